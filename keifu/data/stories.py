"""From a SPEC to questions on stories: bAbI's text, JSON lines, named sets and the built-in corpus.

bAbI's text has a numbered line a fact or question, and begins a story anew at 1; a question is followed by a TAB, its
answer, and perhaps a TAB and the numbers of the lines that support it:

    1 Mary moved to the bathroom.
    2 John went to the hallway.
    3 Where is Mary?<TAB>bathroom<TAB>1

JSON lines have an object a question, with "story" (a list of facts), "question" and "answer" (a text, or a list of
them), and perhaps "supporting" (the numbers of facts, from 1) and "kind" (the sort of question).
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from keifu.data.catalogue import ALIASES, CATALOGUE, find
from keifu.data.download import Progress, ignore
from keifu.data.examples import Question
from keifu.data.house import STORY_PARTS, tell
from keifu.data.lines import blocks, lines, shown
from keifu.data.pairs import SETS
from keifu.data.records import JSON_LINES
from keifu.data.spec import BUILTIN, Term, parse
from keifu.errors import ConfigError, DataError, printable

STORIES = f"{BUILTIN}stories"
_LINE = re.compile(r"(\d{1,9}) (.*)")
_FIELDS = ("story", "question", "answer", "supporting", "kind")


@dataclass(frozen=True)
class StoryData:
    """Questions, each with its story, and what a report must say of them."""

    spec: str
    questions: Sequence[Question]

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the questions with their stories and answers, a line each."""
        digest = hashlib.sha256()
        for one in self.questions:
            digest.update("\t".join((*one.facts, one.question, one.answer, "")).encode())
        return digest.hexdigest()

    @property
    def kinds(self) -> list[str]:
        """The sorts of questions, in order of appearance."""
        return list(dict.fromkeys(one.kind for one in self.questions))

    def cut(self, begin: int, end: int) -> "StoryData":
        """The questions from index `begin` up to `end`."""
        return replace(self, questions=self.questions[begin:end])


def load_stories(
    spec: str, part: str | None = None, encoding: str = "utf-8", on_progress: Progress = ignore
) -> StoryData:
    """The questions that a SPEC names; several terms one after another. A slice counts questions.

    part: which part of a set, where the SPEC itself does not say; "test" means dev in a set that has no test. Raises
    DataError and ConfigError.
    """
    loaded = [_load(term, part, encoding, on_progress) for term in parse(spec, SETS)]
    questions = [question for data in loaded for question in data.questions]
    return StoryData("+".join(data.spec for data in loaded), questions)


def _load(term: Term, part: str | None, encoding: str, on_progress: Progress) -> StoryData:
    if term.name == STORIES:
        chosen = ALIASES.get(term.part or "", term.part) or part or "train"
        if chosen not in STORY_PARTS:
            raise ConfigError(f"{term.text}: no part {chosen!r}; {term.name} has {', '.join(STORY_PARTS)}")
        found = StoryData(f"{term.name}:{chosen}", tell(chosen))
    elif term.name:
        found = _part_of_a_set(term, part, on_progress)
    elif len(term.files) > 1:
        raise ConfigError(f"{term.text}: two files; stories and their questions stand in one: {'+'.join(term.files)}")
    else:
        path = Path(term.files[0])
        found = StoryData(term.text, list(_read(path, encoding)))
    if term.rows == slice(None):
        return found
    chosen_rows = found.questions[term.rows]
    if not chosen_rows:
        raise DataError(f"{term.text}: no question in this slice; there are {len(found.questions):,}")
    return StoryData(term.named(found.spec), chosen_rows)


def _part_of_a_set(term: Term, part: str | None, on_progress: Progress) -> StoryData:
    data_set = CATALOGUE.get(term.name)
    if data_set is None or data_set.task != "question-answering":
        task = data_set.task if data_set else "translation"
        raise ConfigError(f"{term.text}: is for {task}; question answering needs stories, such as babi-1 or {STORIES}")
    chosen = ALIASES.get(term.part or "", term.part) or part or "train"
    if chosen == "test" and term.part is None and "test" not in data_set.parts:
        chosen = "dev"
    questions: list[Question] = []
    for path in find(data_set, chosen, on_progress):
        questions += _babi(path, "utf-8")
    return StoryData(f"{term.name}:{chosen}", questions)


def _read(path: Path, encoding: str) -> Iterator[Question]:
    as_json = is_json(path, next(blocks(path)))
    yield from (_json_lines if as_json else _babi)(path, encoding)


def is_json(path: Path, begin: bytes) -> bool:
    """Whether a file holds JSON lines, by its name or by what it begins with."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith(JSON_LINES) or begin.lstrip()[:1] == b"{"


def _babi(path: Path, encoding: str) -> Iterator[Question]:
    name = printable(str(path))
    kind = path.name.split(".")[0].removesuffix("_train").removesuffix("_valid").removesuffix("_test")
    facts: list[str] = []
    places: dict[str, int] = {}  # line of the story -> index of its fact
    previous, found = 0, False
    for number, line in lines(path, encoding):
        if not line.strip():
            continue
        parts = _LINE.fullmatch(line)
        if parts is None:
            raise DataError(
                f"{name}:{number}: expected a number, a space and a fact or question, found '{shown(line)}'; a story's "
                "lines are numbered from 1"
            )
        if int(parts[1]) == 1:
            facts, places = [], {}
        elif int(parts[1]) != previous + 1:
            raise DataError(
                f"{name}:{number}: line {parts[1]} of a story after line {previous}; expected {previous + 1}, or 1 to "
                "begin a story"
            )
        previous = int(parts[1])
        text, *more = (part.strip() for part in parts[2].split("\t"))
        if not text:
            raise DataError(f"{name}:{number}: nothing stands behind the number; write a fact or a question there")
        if not more:
            _refuse_unanswered(text, f"{name}:{number}")
            places[parts[1]] = len(facts)
            facts.append(text)
            continue
        answer, support = more[0], (more[1] if len(more) > 1 else "")
        if not answer or len(more) > 2:
            raise DataError(f"{name}:{number}: expected QUESTION, TAB, ANSWER, TAB, NUMBERS; found '{shown(line)}'")
        if any(word not in places for word in support.split()):
            raise DataError(f"{name}:{number}: supporting lines '{shown(support)}': expected numbers of facts above it")
        supporting = tuple(places[word] for word in support.split())
        yield Question(_told(facts, f"{name}:{number}"), text, answer, supporting, kind)
        found = True
    if not found:
        raise DataError(f"{name}: no question; expected lines such as: 3 Where is Mary?<TAB>bathroom<TAB>1")


def _json_lines(path: Path, encoding: str) -> Iterator[Question]:
    name = printable(str(path))
    default = path.name.split(".")[0]
    found = False
    for number, line in lines(path, encoding):
        if not line.strip():
            continue
        place = f"{name}:{number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            raise DataError(f"{place}: not valid JSON; expected a whole object on each line") from None
        if not isinstance(record, dict):
            raise DataError(f"{place}: expected a JSON object, found {shown(line)}")
        if other := [key for key in record if key not in _FIELDS]:
            raise DataError(f"{place}: field '{shown(other[0])}' is not known; expected {', '.join(_FIELDS)}")
        yield _question(record, place, default)
        found = True
    if not found:
        raise DataError(f"{name}: has only blank lines; expected a JSON object a line")


def _question(record: dict[str, Any], place: str, kind: str) -> Question:
    story: Any = record.get("story")
    if not _are_texts(story):
        raise DataError(f'{place}: "story": expected a list of facts, each a text')
    question: Any = record.get("question")
    if not _are_texts([question]):
        raise DataError(f'{place}: "question": expected a text')
    answer: Any = record.get("answer")
    answers = answer if isinstance(answer, list) else [answer]
    if not answers or not _are_texts(answers):
        raise DataError(f'{place}: "answer": expected a text, or a list of texts')
    supporting: Any = record.get("supporting", [])
    numbers = range(1, len(story) + 1)
    if not isinstance(supporting, list) or not all(type(one) is int and one in numbers for one in supporting):
        raise DataError(f'{place}: "supporting": expected numbers of facts, from 1 to {len(story)}')
    if not _are_texts([sort := record.get("kind", kind)]):
        raise DataError(f'{place}: "kind": expected a text')
    told = _told([fact.strip() for fact in story], place)
    indices = tuple(one - 1 for one in supporting)
    return Question(told, question.strip(), ",".join(one.strip() for one in answers), indices, sort)


def _are_texts(values: Any) -> bool:
    """Whether it is a list of texts that can be written down, none of them blank."""
    if not isinstance(values, list):
        return False
    if not all(isinstance(one, str) and one.strip() and "\0" not in one for one in values):
        return False
    try:
        "".join(values).encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _told(facts: list[str], place: str) -> tuple[str, ...]:
    if not facts:
        raise DataError(f"{place}: a question before any fact; expected a story above it")
    return tuple(facts)


def _refuse_unanswered(text: str, place: str) -> None:
    if text.endswith(("?", "？")):
        raise DataError(f"{place}: a question without an answer ({shown(text)}); write a TAB and the answer behind it")
