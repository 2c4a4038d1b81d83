"""A loaded model that answers questions on stories: answer, evaluate, look inside."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from keifu.data.examples import Question
from keifu.data.stories import load_stories
from keifu.errors import CheckpointError, ConfigError, DataError
from keifu.interface import StoryBatch
from keifu.models import model_class
from keifu.session.model import Model, one_by_one, pooled, read_sections
from keifu.session.reading import called, read_most_tokens
from keifu.tasks.answer_metrics import score_answers, supported
from keifu.tasks.question_answering import AROUND, Batch, QuestionAnswering, form_of, plain, spoken_words
from keifu.tasks.reading import backward_parts_of
from keifu.text import Tokenizer
from keifu.text.sentences import sentence_ends
from keifu.trace import Edit, Recorded, Recorder, Trace, bound
from keifu.training.settings import Answering
from keifu.views.paths import influence_by_distance

_NUMBERED = re.compile(r"^(\d{1,9}) ")
_COUNTED = 2  # lines, of which a single one may begin with a number of its own
_WEIGHTS = "weights"  # of a memory network, by hop


@dataclass(frozen=True)
class Answered:
    """An answer, and how the model came to it.

    answer: None where the story does not speak of what is asked for; missing: the words of the question that it lacks.
    others: the next likeliest answers with their probabilities. facts: those that were read, all but the first
    `left_out` of the story; weights: of each hop how
    much of each fact it read, where the model has hops. unknown: words of the facts that no training text has.
    """

    question: str
    answer: str | None
    probability: float
    others: tuple[tuple[str, float], ...]
    facts: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    left_out: int = 0


class Answerer(Model):
    """A trained model that answers questions on stories, ready to use."""

    uses = ("answer", "embed", "evaluate")

    def __init__(
        self, path: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor], tokenizer: Tokenizer
    ) -> None:
        """config: the content of its config.json. Raises CheckpointError."""
        sections = read_sections(path, config, {"decoding": Answering})
        self.decoding: Answering = sections["decoding"]
        answers, longest = config.get("answers"), config.get("max_facts")
        if not isinstance(answers, list) or not answers or not all(isinstance(one, str) for one in answers):
            raise CheckpointError(f"{path}/config.json: answers: expected a list of texts")
        if type(longest) is not int or longest < 1:
            raise CheckpointError(f"{path}/config.json: max_facts: expected a whole number from 1")
        if not isinstance(told := config.get("told_of", []), list):
            raise CheckpointError(f"{path}/config.json: told_of: expected a list of words")
        self._told_of = frozenset(word for word in told if isinstance(word, str))
        takes, most = form_of(model_class(sections["model"].name)), read_most_tokens(path, config, least=AROUND + 1)
        if takes == "segments" and not tokenizer.reads:
            raise CheckpointError(f"{path}/tokenizer.json: without [CLS] and [SEP]; copy the whole folder again")
        task = QuestionAnswering(tokenizer, tuple(answers), takes, longest, most)
        super().__init__(path, sections["model"], tensors, tokenizer, task)

    def answer(
        self,
        question: str | Sequence[str],
        story: str | Sequence[str],
        *,
        details: bool = False,
        batch_size: int | None = None,
    ) -> Any:
        """The answer to a question on a story; of a list of questions, a list.

        story: facts, or a text with a fact a sentence or line. The answer is None where the story does not speak of
        what is asked for. details=True gives `Answered` objects. Raises ConfigError and DataError.
        """
        questions = [question] if isinstance(question, str) else list(question)
        asked = self._asked(questions, facts_of(story))
        found: list[Answered] = []
        together = self._together(batch_size)
        for begin in range(0, len(asked), together):
            found += self._answer(asked[begin : begin + together])
        given = found if details else [one.answer for one in found]
        return given[0] if isinstance(question, str) else given

    @torch.no_grad()
    def _answer(self, asked: list[Question]) -> list[Answered]:
        data = self.task.encode(asked)
        logits, hops = self._read(self._batch(data, np.arange(len(asked))))
        shares, order = logits.float().softmax(-1).sort(-1, descending=True)
        found = []
        answered = zip(asked, shares.tolist(), order.tolist(), hops, strict=True)
        for row, (one, share, places, weights) in enumerate(answered):
            facts = one.facts[len(one.facts) - len(data.story(row)) :]
            likely = [(self.task.answers[place], part) for place, part in zip(places, share, strict=True)]
            missing = self._missing(one.question, facts)
            answer, probability = likely[0]
            found.append(
                Answered(
                    one.question,
                    None if missing else answer,
                    probability,
                    tuple(likely[1:4]),
                    facts,
                    tuple(tuple(hop[: len(facts)]) for hop in weights.tolist()),
                    missing,
                    self._unknown(facts),
                    len(one.facts) - len(facts),
                )
            )
        return found

    @torch.no_grad()
    def embed(
        self,
        text: str | Sequence[str],
        pool: str | None = None,
        *,
        normalise: bool = False,
        batch_size: int | None = None,
    ) -> Any:
        """A vector `[D]` for a text; of a list of texts, a list.

        Of a memory network the vector of a question with these words. Else pool says which: "mean" of all tokens'
        vectors, "last", or of a BERT "cls". normalise: to the length 1. Texts are read one by one, whatever batch_size
        says. Raises ConfigError, also for a text that has more tokens than a BERT learned from.
        """
        about = (pool or "mean", normalise, backward_parts_of(self.network), self.task.takes == "segments")
        return one_by_one(text, lambda one: pooled(self._vectors(one).float(), *about))

    def _vectors(self, text: str) -> Tensor:
        """What the model makes of each token of a text `[T, D]`; a memory network has one vector for all."""
        alone = Question((text,), "", "") if self.task.takes == "pair" else Question((), text, "")
        self._refuse_too_long(called([text], 0), len(self.tokenizer.encode(plain(text))))
        inputs: Any = self._batch(self.task.encode([alone]), np.arange(1)).inputs
        if self.task.takes == "pair":
            encoded: Tensor = self.network.encode(inputs.source, inputs.source_mask)[0]
            return encoded
        if self.task.takes == "story":
            with Recorder(self.network, ("question",)) as recorder:
                self.network(inputs)
            return recorder.values()["question"].value[0]
        hidden: Tensor = self.network(inputs).hidden[0]
        return hidden

    def inputs(self, question: str, *more: Any) -> Any:
        if len(more) != 1:
            raise ConfigError("give a question and a story")
        return self._batch(self.task.encode(self._asked([question], facts_of(more[0]))), np.arange(1)).inputs

    def read(self, inputs: Any) -> list[list[str]]:
        """The tokens of each side; of a memory network those of the question, and the facts."""
        if not isinstance(inputs, StoryBatch):
            return super().read(inputs)
        facts = [self.tokenizer.decode(inputs.facts[place].tolist()) for place in inputs.story[0].tolist()]
        return [self.labels(inputs.question[0]), facts]

    def influence(self, texts: Any, longest: int = 100) -> Tensor:
        """As of any model, of pairs of a question and its story. Raises ConfigError for a memory network, which reads
        facts by their likeness and not along a distance.
        """
        if self.task.takes == "story":
            raise ConfigError("a memory network reads facts at no distance; see the weights of its hops (trace)")
        self._refuse_quantised()
        return influence_by_distance(self.network, (self.inputs(*asked) for asked in texts), longest)

    @torch.no_grad()
    def trace(
        self,
        question: str,
        story: str | Sequence[str],
        names: Sequence[str] = ("*",),
        edits: Mapping[str, Edit] | None = None,
    ) -> Trace:
        """What the model computes while it answers a question.

        Its sequences are the "story" (facts) and the "question" (tokens) of a memory network, what another model reads,
        and the "answers". names: patterns of the values to keep, beside the logits, which are always there. edits:
        pattern -> function that replaces a value.
        """
        asked = self._asked([question], facts_of(story))
        data = self.task.encode(asked)
        inputs: Any = self._batch(data, np.arange(1)).inputs
        with Recorder(self.network, names, edits) as recorder:
            logits = self.task.logits(self.network, self.head, inputs)
        values = recorder.values()
        values["logits"] = Recorded("logits", "B C", logits, {"C": "answers"})
        sequences = {"answers": list(self.task.answers)}
        match self.task.takes:
            case "story":
                facts = list(asked[0].facts[len(asked[0].facts) - len(data.story(0)) :])
                sequences |= {"story": facts, "question": self.labels(inputs.question[0])}
            case "pair":
                sequences |= {"source": self.labels(inputs.source[0]), "target": self.labels(inputs.target[0])}
            case _:
                sequences |= {"text": self.labels(inputs.tokens[0])}
        return Trace(bound(values, self.network.axis_sequences), sequences)

    def evaluate(
        self, data: str, *, encoding: str = "utf-8", batch_size: int | None = None, **other: Any
    ) -> dict[str, Any]:
        """How many questions are answered rightly: accuracy with its 95 % interval, accuracy of each kind, the mean
        error of the kinds and which of them failed (over 5 % wrong), loss in nats a question, and in "unknown_answers"
        how many questions have an answer that the model was not taught, all of which are wrong.

        The likeliest answer counts also where `answer` would name words that are missing. Of a memory network also for
        each hop, of the questions whose supporting facts the data know, the share whose highest weight lies on one,
        which it does not where none of these facts is read. A set without a part is measured on `test`, or on `dev`
        where it has no test. Says in "selected_on" whether the best checkpoint was chosen on these very questions, in
        "trained_on" whether the model was trained on them. Raises ConfigError and DataError.
        """
        if given := [name for name, value in other.items() if value not in (None, ())]:
            raise ConfigError(f"{given[0]} does not go with a model that answers questions; leave it away")
        together = self._together(batch_size)
        stories = load_stories(data, "test", encoding)
        began = time.perf_counter()
        surprise, chosen, weights = self._measure(stories.questions, together)
        seconds = time.perf_counter() - began
        right = np.array([self.task.answers[number] for number in chosen]) == np.array(
            [one.answer for one in stories.questions]
        )
        report: dict[str, Any] = {"data": stories.spec, "questions": len(right)}
        report |= score_answers(right, [one.kind for one in stories.questions])
        untaught = sum(one.answer not in self.task.answers for one in stories.questions)
        report |= {"loss": surprise / len(right), "unknown_answers": untaught}
        known = [row for row, one in enumerate(stories.questions) if one.supporting]
        if weights and known:
            places = [self._places(stories.questions[row]) for row in known]
            report["supported_by_hop"] = supported([weights[row] for row in known], places)
        return report | self.role_in_training(stories.sha256) | {"questions_per_second": len(right) / seconds}

    @torch.no_grad()
    def _measure(
        self, questions: Sequence[Question], together: int
    ) -> tuple[float, NDArray[np.int64], list[NDArray[np.floating[Any]]]]:
        """-log p of the right answers, the likeliest answers by number, and the weights of each question's hops."""
        data = self.task.encode(questions)
        surprise, chosen = 0.0, np.zeros(len(data), np.int64)
        weights: dict[int, NDArray[np.floating[Any]]] = {}
        order = np.argsort(data.sizes[:, 0], kind="stable")
        for begin in range(0, len(order), together):
            rows = order[begin : begin + together]
            batch = self._batch(data, rows)
            logits, hops = self._read(batch)
            surprise += float(self.task.surprise(logits, batch.targets))
            chosen[rows] = logits.argmax(-1).cpu().numpy()
            if self.task.takes == "story":
                weights |= dict(zip(rows.tolist(), hops, strict=True))
        return surprise, chosen, [weights[row] for row in sorted(weights)]

    def _read(self, batch: Batch) -> tuple[Tensor, list[NDArray[np.floating[Any]]]]:
        """The scores of the answers, and of each question the weights of its hops `[I, M]`; without a hop where the
        model has none, which then is not recorded, so that its kernels stay fast.
        """
        if self.task.takes != "story":
            logits = self.task.logits(self.network, self.head, batch.inputs)
            return logits, [np.zeros((0, 0))] * len(logits)
        with Recorder(self.network, (_WEIGHTS,)) as recorder:
            logits = self.task.logits(self.network, self.head, batch.inputs)
        weights = recorder.values()[_WEIGHTS].value[:, :, 0].float().cpu().numpy()
        return logits, list(weights.transpose(1, 0, 2))

    def _batch(self, data: Any, rows: NDArray[np.integer[Any]]) -> Batch:
        batch: Batch = self.task.batch(data, rows)
        return batch.to(self.device)

    def _together(self, batch_size: int | None) -> int:
        if batch_size is not None and batch_size < 1:
            raise ConfigError(f"batch_size {batch_size}: expected at least 1")
        return batch_size or self.decoding.batch_size

    def _asked(self, questions: list[str], facts: tuple[str, ...]) -> list[Question]:
        """The questions that can be asked. Raises ConfigError and DataError."""
        if not facts:
            raise DataError("the story is empty; expected a fact a line")
        for place, one in enumerate(questions):
            ids, name = self.tokenizer.encode(plain(one)), called(questions, place)
            if not ids:
                raise ConfigError(f"{name}: an empty question; write one, such as: Where is Daniel?")
            self._refuse_too_long(name, len(ids))
            if all(index == self.tokenizer.unk_id for index in ids):
                raise ConfigError(f"{name}: no word of it occurs in what the model learned from; ask in its words")
        return [Question(facts, one, "") for one in questions]

    def _refuse_too_long(self, name: str, count: int) -> None:
        """Raises ConfigError for a text of so many tokens that a BERT cannot read with its places as far as they were
        learned.
        """
        most = self.task.most_tokens
        if most is not None and count + AROUND > most:
            raise ConfigError(
                f"{name}: {count} tokens; of this model's questions and stories none had more than "
                f"{most - AROUND}; give a shorter text"
            )

    def _missing(self, question: str, facts: Sequence[str]) -> tuple[str, ...]:
        """Words of the question that no training text has, or of which a story always told and these facts do not."""
        spoken = {word for fact in facts for word in spoken_words(fact)}
        silent = (word for word in spoken_words(question) if word in self._told_of and word not in spoken)
        return tuple(dict.fromkeys((*silent, *_unknown_in(plain(question), self.tokenizer))))

    def _unknown(self, texts: Sequence[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(word for text in texts for word in _unknown_in(plain(text), self.tokenizer)))

    def _places(self, one: Question) -> list[int]:
        """The supporting facts by their places among those that are read."""
        left_out = max(0, len(one.facts) - self.task.longest)
        return [place - left_out for place in one.supporting if place >= left_out]


def facts_of(story: str | Sequence[str]) -> tuple[str, ...]:
    """The facts of a story: those of a list as they are, of a text its sentences and lines; of lines that are counted
    from 1, as bAbI has them, each as a whole, without its number and without bAbI's questions.
    """
    if not isinstance(story, str):
        return tuple(fact for fact in story if plain(fact))
    lines = [line for line in story.splitlines() if line.strip()]
    facts = _counted(lines)
    if facts is None:
        facts = [sentence for line in lines for sentence in _sentences(line)]
    return tuple(fact for fact in facts if plain(fact))


def _counted(lines: list[str]) -> list[str] | None:
    """The facts of lines that are counted from 1; None where they are not. A story begins anew where the numbers do:
    the last one stays.
    """
    numbers = [int(found[1]) if (found := _NUMBERED.match(line)) else 0 for line in lines]
    counted = all(number in (1, before + 1) for before, number in zip([0, *numbers], numbers, strict=False))
    if len(lines) < _COUNTED or not counted:
        return None
    begin = len(numbers) - 1 - numbers[::-1].index(1)
    return [_NUMBERED.sub("", line).strip() for line in lines[begin:] if "\t" not in line]


def _sentences(line: str) -> Iterator[str]:
    """The sentences of a line. Where it has no capital letter, none tells that one begins."""
    begin = 0
    for end, after in sentence_ends(line, small=line.islower()):
        yield line[begin:end].strip()
        begin = after
    yield line[begin:].strip()


def _unknown_in(text: str, tokenizer: Tokenizer) -> Iterator[str]:
    ids, offsets = tokenizer.encode_with_offsets(text)
    for index, (begin, end) in zip(ids, offsets, strict=True):
        if index == tokenizer.unk_id:
            yield text[begin:end].strip()
