"""Questions on stories, from files, named sets and the built-in corpus; what is wrong in a file is named."""

import gzip
import json
import os
import re
import zlib
from pathlib import Path

import pytest

from keifu.data.examples import Question
from keifu.data.house import KINDS, ROOMS, STORY_PARTS, House, tell
from keifu.data.pairs import load_pairs
from keifu.data.stories import load_stories
from keifu.data.texts import load_text
from keifu.errors import ConfigError, DataError

REAL = os.environ.get("KEIFU_DATA")
BABI = """1 Mary moved to the bathroom.
2 John went to the hallway.
3 Where is Mary? \tbathroom\t1
4 John took the apple.
5 What is John carrying?\tapple,milk\t2 4
1 Daniel is hungry.
2 Why?\thunger
"""
JSON = {"story": ["Mary moved to the bathroom.", "John slept."], "question": "Where is Mary?", "answer": "bathroom"}


def write(folder: Path, text: str, name: str = "qa1_train.txt") -> str:
    (folder / name).write_text(text, "utf-8")
    return str(folder / name)


def test_babis_text(tmp_path: Path) -> None:
    mary, john, apple = "Mary moved to the bathroom.", "John went to the hallway.", "John took the apple."
    expected = [
        Question((mary, john), "Where is Mary?", "bathroom", (0,), "qa1"),
        Question((mary, john, apple), "What is John carrying?", "apple,milk", (1, 2), "qa1"),
        Question(("Daniel is hungry.",), "Why?", "hunger", (), "qa1"),
    ]
    spec = write(tmp_path, BABI)
    assert load_stories(spec).questions == expected
    (tmp_path / "qa1.txt.gz").write_bytes(gzip.compress(BABI.encode()))
    assert load_stories(str(tmp_path / "qa1.txt.gz")).questions == expected
    assert load_stories(f"{spec}[1:]").questions == expected[1:]
    both = load_stories(f"{spec}+{spec}[:1]")
    assert both.questions == [*expected, expected[0]]
    assert both.sha256 != load_stories(spec).sha256


def test_json_lines(tmp_path: Path) -> None:
    more = {**JSON, "answer": ["apple", "milk"], "supporting": [2], "kind": "list"}
    spec = write(tmp_path, f"{json.dumps(JSON)}\n\n{json.dumps(more)}\n", "mine.jsonl")
    story = tuple(JSON["story"])
    assert load_stories(spec).questions == [
        Question(story, "Where is Mary?", "bathroom", (), "mine"),
        Question(story, "Where is Mary?", "apple,milk", (1,), "list"),
    ]
    assert load_stories(spec).kinds == ["mine", "list"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Mary slept.\n", ":1: expected a number, a space and a fact or question, found 'Mary slept.'"),
        ("1 Mary slept.\n3 Where?\there\n", ":2: line 3 of a story after line 1; expected 2, or 1"),
        ("2 Mary slept.\n", ":1: line 2 of a story after line 0; expected 1"),
        ("1 Where is Mary?\there\n", ":1: a question before any fact"),
        ("1 Mary slept.\n2 Where is Mary?\n", r":2: a question without an answer \(Where is Mary\?\)"),
        ("1 Mary slept.\n2 Where is Mary?\t\t1\n", ":2: expected QUESTION, TAB, ANSWER, TAB, NUMBERS"),
        ("1 Mary slept.\n2 Where?\there\t1\tx\n", ":2: expected QUESTION, TAB, ANSWER, TAB, NUMBERS"),
        ("1 Mary slept.\n2 Where?\there\t2\n", ":2: supporting lines '2': expected numbers of facts above it"),
        ("1 Mary slept.\n2 Where?\there\tone\n", ":2: supporting lines 'one'"),
        ("1 Mary slept.\n2 \n", ":2: nothing stands behind the number"),
        ("1 Mary slept.\n", "no question; expected lines such as"),
        ("", "the file is empty"),
        ("1 a\0b\n", "a NUL character"),
    ],
)
def test_a_damaged_text_is_named_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        load_stories(write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "a.jsonl:1: not valid JSON"),
        ("[1]", "a.jsonl:1: expected a JSON object"),
        ("\n", "a.jsonl: has only blank lines"),
        (json.dumps({**JSON, "story": "x"}), '"story": expected a list of facts'),
        (json.dumps({**JSON, "story": ["x", " "]}), '"story": expected a list of facts'),
        (json.dumps({**JSON, "story": ["a\0"]}), '"story": expected a list of facts'),
        (json.dumps({**JSON, "story": ["\ud800"]}), '"story": expected a list of facts'),
        (json.dumps({**JSON, "story": []}), "a question before any fact"),
        (json.dumps({**JSON, "question": 1}), '"question": expected a text'),
        (json.dumps({**JSON, "answer": None}), '"answer": expected a text'),
        (json.dumps({**JSON, "answer": []}), '"answer": expected a text'),
        (json.dumps({**JSON, "supporting": [3]}), '"supporting": expected numbers of facts, from 1 to 2'),
        (json.dumps({**JSON, "supporting": [True]}), '"supporting": expected numbers of facts'),
        (json.dumps({**JSON, "kind": ""}), '"kind": expected a text'),
        (json.dumps({**JSON, "answers": "x"}), "field 'answers' is not known; expected story, question"),
    ],
)
def test_a_damaged_object_is_named_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        load_stories(write(tmp_path, text, "a.jsonl"))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("enja", "enja: is for translation; question answering needs stories, such as babi-1"),
        ("builtin:enja", "is for translation; question answering needs stories"),
        ("shakespeare", "is for language-modeling"),
        ("builtin:stories:middle", "no part 'middle'; builtin:stories has train, dev, test"),
        ("babi-21", "no file and no set has this name; did you mean babi-2"),
        ("builtin:story", "no such corpus; built in: builtin:enja, builtin:stories"),
    ],
)
def test_a_spec_that_names_no_stories_is_refused(spec: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_stories(spec)


def test_stories_are_neither_pairs_nor_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds stories for question-answering"):
        load_pairs("builtin:stories")
    with pytest.raises(ConfigError, match="is for question-answering; translation needs pairs"):
        load_pairs("babi-1")
    with pytest.raises(ConfigError, match="holds examples for question-answering; expected a text file"):
        load_text("builtin:stories")
    spec = write(tmp_path, BABI)
    with pytest.raises(ConfigError, match="two files; stories and their questions stand in one"):
        load_stories(f"{spec},{write(tmp_path, BABI, 'b.txt')}")
    with pytest.raises(DataError, match="no question in this slice; there are 3"):
        load_stories(f"{spec}[5:]")


# ---- the built-in corpus ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def parts() -> dict[str, list[Question]]:
    return {part: tell(part) for part in STORY_PARTS}


def test_the_parts_have_their_sizes_and_share_no_question(parts: dict[str, list[Question]]) -> None:
    seen: dict[tuple[tuple[str, ...], str], str] = {}
    for part, questions in parts.items():
        assert len(questions) == STORY_PARTS[part]
        assert all([one.kind for one in questions].count(kind) == len(questions) // len(KINDS) for kind in KINDS)
        for one in questions:
            assert seen.setdefault((one.facts, one.question), part) == part
    assert tell("dev") == parts["dev"]
    buckets = [
        {zlib.crc32("\n".join((*one.facts, one.question)).encode()) % 20 for one in questions}
        for questions in parts.values()
    ]
    assert sum(map(len, buckets)) == len(set.union(*buckets)) == 20  # each part has texts that no other can have
    assert {one.answer for part in ("dev", "test") for one in parts[part]} <= {one.answer for one in parts["train"]}


def test_answers_follow_from_the_facts(parts: dict[str, list[Question]]) -> None:
    """Told again by rules of its own, and from the supporting facts alone."""
    for one in parts["dev"] + parts["test"]:
        assert answered(one.facts, one.question) == one.answer, one
        told = tuple(one.facts[place] for place in one.supporting)
        if told and one.kind not in (
            "three-facts",
            "two-facts",
        ):  # in which the order of rooms, not of facts, may be told earlier
            assert answered(told, one.question) == one.answer, one


def test_a_thing_that_is_taken_again_is_where_the_later_facts_say() -> None:
    house = House()
    for number, (person, deed, what) in enumerate(
        [
            ("Mary", "goes", "kitchen"),
            ("Mary", "takes", "apple"),
            ("Mary", "leaves", "apple"),
            ("John", "goes", "garden"),
            ("John", "goes", "kitchen"),
            ("John", "takes", "apple"),
        ]
    ):
        house.facts.append(f"{person} {deed} {what}")
        if deed == "goes":
            house.rooms.setdefault(person, []).append((number, what))
        else:
            house.things.setdefault(what, []).append((number, person, deed == "takes"))
    assert house.way_of("apple") == [((5, 4), "kitchen")]


def answered(facts: tuple[str, ...], question: str) -> str:
    """The answer, from where everybody is and what everybody has after each fact."""
    rooms: dict[str, str] = {}
    holder: dict[str, str] = {}
    lies: dict[str, list[str]] = {}
    for fact in facts:
        words = fact.rstrip(".").split()
        person, last = words[0], words[-1]
        if last in ROOMS:
            rooms[person] = last
        elif words[1] in ("took", "picked", "grabbed"):
            assert last not in holder
            assert last not in lies or lies[last][-1] == rooms[person], "taken where it does not lie"
            holder[last] = person
        else:
            holder.pop(last, None)
        for thing in {*holder, *([] if last in ROOMS else [last])}:
            carrier = holder.get(thing, person)
            here = rooms.get(carrier)
            if here and (not lies.get(thing) or lies[thing][-1] != here):
                lies.setdefault(thing, []).append(here)
    words = question.rstrip("?").split()
    order = ("apple", "milk", "football", "book")
    held = [thing for thing in order if holder.get(thing) == words[-2]]
    if found := re.fullmatch(r"Where was the (\w+) before the (\w+)\?", question):
        way = lies[found[1]]
        assert way[-1] == found[2]
        return way[-2]
    if question.startswith("Where is the"):
        return lies[words[-1]][-1]
    if question.startswith("Where is"):
        return rooms.get(words[-1], "unknown")
    if question.startswith("Is"):
        return "yes" if rooms[words[1]] == words[-1] else "no"
    if question.startswith("How many"):
        return ("none", "one", "two", "three", "four")[len(held)]
    return ",".join(held) or "nothing"


# ---- the named sets -----------------------------------------------------------------------------------------


@pytest.mark.skipif(not REAL, reason="$KEIFU_DATA, the folder of real data, is not set")
@pytest.mark.parametrize(
    ("spec", "count", "kinds"), [("babi-1", 9_000, 1), ("babi-3:valid", 1_000, 1), ("babi:dev", 20_000, 20)]
)
def test_babi_loads_by_name(spec: str, count: int, kinds: int) -> None:
    data = load_stories(spec)
    assert abs(len(data.questions) - count) < 10
    assert len(data.kinds) == kinds
    assert all(one.supporting for one in data.questions)
    assert load_stories("babi-1", "test").spec == "babi-1:dev"
