"""Which pairs are learned from, and which the best checkpoint is chosen on."""

from dataclasses import replace
from pathlib import Path

import pytest

from keifu.data.examples import Pair
from keifu.data.findings import examine_stories
from keifu.data.pairs import NONE_BLANK
from keifu.errors import ConfigError, DataError
from keifu.training.corpus import load_corpus
from keifu.training.data_settings import Data, StoryData, TextData
from tests.tiny import pairs, write


@pytest.mark.parametrize(
    ("count", "held_out"), [(2, 1), (20, 1), (21, 2), (100, 5), (39_999, 2000), (40_000, 2000), (45_000, 2000)]
)
def test_the_last_twentieth_is_held_out_and_at_most_two_thousand(count: int, held_out: int, tmp_path: Path) -> None:
    examples = [Pair(f"sentence {number}", f"文{number}") for number in range(count)]
    corpus = load_corpus(Data(train=write(tmp_path, examples)))
    assert list(corpus.train.pairs) == examples[:-held_out]
    assert list(corpus.valid.pairs) == examples[-held_out:]
    which = "pair" if held_out == 1 else f"{held_out:,} pairs"
    assert corpus.valid_is == f"the last {which} of {tmp_path / 'text'}.en,{tmp_path / 'text'}.ja"
    assert corpus.train.sha256 != corpus.valid.sha256


def one_story(questions: int) -> str:
    """bAbI's text of a story with a question behind every fact."""
    facts = (
        f"{2 * n - 1} Mary went to room {n}.\n{2 * n} Where is Mary?\troom {n}\t{2 * n - 1}\n"
        for n in range(1, questions + 1)
    )
    return "".join(facts)


def test_no_story_is_both_learned_from_and_held_out(tmp_path: Path) -> None:
    path = tmp_path / "rooms.txt"
    path.write_text(one_story(3) * 10, "utf-8")
    corpus = load_corpus(StoryData(train=str(path)))  # of 30 questions, 2 are a twentieth
    assert [len(part.questions) for part in (corpus.train, corpus.valid)] == [27, 3]
    assert corpus.valid_is == f"the last 3 questions of {path}"
    for first, second, learned in ((1, 99, 95), (96, 4, 96), (92, 8, 92), (50, 50, 95)):
        path.write_text(one_story(first) + one_story(second), "utf-8")
        corpus = load_corpus(StoryData(train=str(path)))  # where that would hold out far more, it stays as it is
        assert [len(part.questions) for part in (corpus.train, corpus.valid)] == [learned, 100 - learned]
    words = [examine_stories(*both) for both in ((corpus.train, corpus.valid), (corpus.valid, corpus.train))]
    assert all("missing kind" not in [one.kind for one in each] for each in words)
    other = [replace(one, kind="other") for one in corpus.valid.questions]
    both = replace(corpus.train, questions=[*corpus.train.questions, *other])
    found = {one.kind: one.text for one in examine_stories(both, corpus.valid)}
    assert found["missing kind"] == "no question of the kind other among those that the best model is chosen on"
    assert "missing kind" not in {one.kind for one in examine_stories(replace(both, questions=other), corpus.valid)}


def test_validation_data_of_its_own_leaves_the_training_data_whole(tmp_path: Path) -> None:
    train, valid = write(tmp_path, pairs(40)), write(tmp_path, pairs(7, seed=1), "valid")
    corpus = load_corpus(Data(train=train, valid=valid))
    assert (list(corpus.train.pairs), list(corpus.valid.pairs)) == (pairs(40), pairs(7, seed=1))
    assert corpus.valid_is == valid


def test_validation_data_is_turned_to_the_direction_of_the_training_data(tmp_path: Path) -> None:
    train, valid = write(tmp_path, pairs(40)), write(tmp_path, pairs(7, seed=1), "valid")
    turned = ",".join(reversed(valid.split(",")))
    assert list(load_corpus(Data(train=train, valid=turned)).valid.pairs) == pairs(7, seed=1)
    backwards = load_corpus(Data(train=train, valid=valid, source="ja"))
    assert backwards.train.pairs[0] == Pair(pairs(1)[0].target, pairs(1)[0].source)
    assert backwards.valid.pairs[0].source == pairs(1, seed=1)[0].target
    assert backwards.train.languages == backwards.valid.languages == ("ja", "en")


def test_no_data_and_too_little_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no data to train on; name it with --data"):
        load_corpus(Data())
    with pytest.raises(DataError, match="only one pair"):
        load_corpus(Data(train=write(tmp_path, pairs(1))))


def test_blank_lines_of_a_file_are_told_once(tmp_path: Path) -> None:
    texts = [*pairs(40), Pair("I see cats.", ""), Pair("", "")]
    corpus = load_corpus(Data(train=write(tmp_path, texts)))
    assert (corpus.train.blank.one, corpus.train.blank.both) == (1, 1)
    assert corpus.valid.blank == NONE_BLANK


# ---- text --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reading", "held_out", "valid_is"),
    [
        ("".join(f"{n}\n" for n in range(100)), "documents", "95\n96\n97\n98\n99\n", "the last 5 documents of {}"),
        ("a\nb\n", "documents", "b\n", "the last document of {}"),
        ("a b c d e\n\n" * 20, "stream", "a b c d e\n\n", "the last 11 characters of {}"),
    ],
)
def test_the_end_of_a_text_is_held_out(text: str, reading: str, held_out: str, valid_is: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text, "utf-8")
    corpus = load_corpus(TextData(train=str(tmp_path / "a.txt")))
    assert corpus.reading == reading
    assert corpus.train.text + corpus.valid.text == text
    assert corpus.valid.text == held_out
    assert corpus.valid_is == valid_is.format(tmp_path / "a.txt")
    other = load_corpus(TextData(train=str(tmp_path / "a.txt"), reading="stream", valid=f"{tmp_path / 'a.txt'}[:1]"))
    assert (other.reading, other.train.text) == ("stream", text)
    assert other.valid.text == text[: len(other.valid.text)]


def test_too_little_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("only one line\n", "utf-8")
    with pytest.raises(ConfigError, match=r"no data to train on; name it with --data, for example --data book\.txt"):
        load_corpus(TextData())
    with pytest.raises(DataError, match="too little text; some of it must be kept"):
        load_corpus(TextData(train=str(tmp_path / "a.txt")))
