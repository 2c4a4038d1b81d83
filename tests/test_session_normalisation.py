"""A model whose training texts are tokenised and in lower case takes and gives ordinary writing."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from keifu.cli.introduction import introduction
from keifu.config import merge
from keifu.data.examples import Pair
from keifu.session import Model, TrainedRun, load, train
from keifu.tasks.translation_metrics import score_translations
from keifu.training.run import Run
from tests.tiny import JAPANESE, TINY, pairs, tiny_run, write

WORDS = {**{english.lower(): japanese for english, japanese in JAPANESE.items()}, ".": "。", "and": "と"}
LOWER_SPLIT = {"lower_case": True, "split_punctuation": True, "width": None, "mark_width": None}


def tokenised(pair: Pair) -> Pair:
    """As in enja: "i see cats and dogs ." and "私 は 猫 と 犬 を 見る 。"."""
    subject, verb, *nouns, end = pair.source.lower().replace(".", " .").split()
    found = [WORDS[word] for word in (subject, *nouns, verb, end)]
    return Pair(" ".join((subject, verb, *nouns, end)), " ".join([found[0], "は", *found[1:-2], "を", *found[-2:]]))


ORDINARY = pairs(30, seed=9)
UNSEEN = [tokenised(pair) for pair in ORDINARY]


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(tmp_path_factory.mktemp("corpus"), map(tokenised, pairs(120)))


@pytest.fixture(scope="module")
def run(spec: str, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """Has learned to write Japanese with spaces."""
    more = {
        "model": {"d_model": 32, "d_ff": 64},
        "training": {"batch_tokens": 1000, "evaluate_every": 60, "evaluate_on": 6},
    }
    out = tmp_path_factory.mktemp("runs") / "tokenised"
    return train("translation", spec, out=out, max_steps=60, overrides=merge(TINY, more))


@pytest.fixture(scope="module")
def model(run: TrainedRun) -> Model:
    return load(run.path, "cpu")


def test_the_habits_of_both_sides_are_kept_with_the_model(run: TrainedRun, model: Model) -> None:
    config = json.loads((run.path / "best" / "config.json").read_text("utf-8"))
    assert config["normalisation"] == {
        "source": {**LOWER_SPLIT, "spaces_between_words": False},
        "target": {
            **dict.fromkeys(LOWER_SPLIT, False),
            "width": None,
            "mark_width": None,
            "spaces_between_words": True,
        },
    }
    assert model.normalisation.model_dump() == config["normalisation"]


def test_ordinary_texts_are_read_as_training_lines_and_translated_into_ordinary_ones(model: Model) -> None:
    found = model.translate([pair.source for pair in ORDINARY], beam=1, details=True)
    assert found == model.translate([pair.source for pair in UNSEEN], beam=1, details=True)
    for one in found:
        assert " " in one.raw
        assert one.text == one.raw.replace(" ", "")
        assert one.raw == model.tokenizer.decode(one.tokens)


def test_raw_translations_are_left_as_the_model_writes_them(model: Model) -> None:
    texts = [pair.source for pair in UNSEEN[:4]]
    found = model.translate(texts, beam=3, n_best=2, details=True)
    left = model.translate(texts, beam=3, n_best=2, details=True, raw=True)
    assert left == [[replace(one, text=one.raw) for one in bests] for bests in found]
    assert model.translate(texts[0], raw=True) == model.translate(texts[0], details=True).raw
    assert model.translate(texts) == [text.replace(" ", "") for text in model.translate(texts, raw=True)]


def test_scores_are_those_of_raw_translations(model: Model, tmp_path: Path) -> None:
    report = model.evaluate(write(tmp_path, UNSEEN, "test"), beam=1)
    outputs = model.translate([pair.source for pair in UNSEEN], beam=1, raw=True)
    expected = score_translations(outputs, [pair.target for pair in UNSEEN])
    assert {name: report[name] for name in expected} == expected
    assert "bleu_as_given" in report  # the outputs have the spaces of the references


def test_a_trace_reads_and_writes_as_the_model_does(model: Model) -> None:
    sequences = model.trace(ORDINARY[0].source).sequences
    raw = model.translate(ORDINARY[0].source, beam=1, details=True)
    assert sequences["target"][1:] == [model.tokenizer.token(one) for one in raw.tokens]
    assert sequences == model.trace(UNSEEN[0].source, raw.raw).sequences


def with_habits(run: TrainedRun, folder: Path, habits: object, languages: list[str]) -> Model:
    """The model as if its texts had other habits."""
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        shutil.copy(run.path / "best" / name, folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config |= {"normalisation": habits, "languages": languages}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return load(folder, "cpu")


def test_a_model_with_the_older_form_of_habits_leaves_translations_alone(run: TrainedRun, tmp_path: Path) -> None:
    older = with_habits(run, tmp_path / "older", {"lower_case": True, "split_punctuation": True}, ["en", "ja"])
    found = older.translate([pair.source for pair in ORDINARY], beam=1, details=True)
    assert found == older.translate([pair.source for pair in UNSEEN], beam=1, details=True)
    assert all(one.text == one.raw for one in found)


def test_a_target_that_a_trace_is_given_is_rewritten_as_well(run: TrainedRun, tmp_path: Path) -> None:
    lower = with_habits(run, tmp_path / "lower", {"target": {"lower_case": True}}, ["ja", "en"])
    assert lower.trace("cats", "I See").sequences == lower.trace("cats", "i see").sequences
    assert lower.trace("I See", "cats").sequences != lower.trace("i see", "cats").sequences


def test_only_translations_into_english_get_its_capitals(
    run: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    habits = {"target": {"lower_case": True, "split_punctuation": True}}
    monkeypatch.setattr("keifu.text.tokenizer.Tokenizer.decode_batch", lambda self, rows: ["so am i ."] * len(rows))
    for language, expected in (("en", "So am I."), ("it", "So am i.")):
        model = with_habits(run, tmp_path / language, habits, ["ja", language])
        assert model.translate("cats", beam=2, n_best=2) == [expected] * 2
        assert model.translate("cats", raw=True) == "so am i ."


def said_of_habits(run: Run) -> list[str]:
    """The entries of a run's introduction that say how the texts are written, each on a line."""
    entries = introduction(run).replace("\n         ", " ").splitlines()
    return [entry for entry in entries if "is written" in entry]


def test_training_says_how_both_sides_are_written(spec: str, tmp_path: Path) -> None:
    assert said_of_habits(tiny_run(spec, tmp_path / "a")) == [
        "source   is written in lower case, with punctuation apart; texts to translate will be rewritten the same way",
        "target   is written with spaces between words; translations are given in ordinary writing "
        "(--raw leaves them as the model writes them)",
    ]
    turned = tiny_run(spec, tmp_path / "b", data={"source": "ja", "target": "en"})
    assert said_of_habits(turned) == [
        "source   is written with spaces between words; texts to translate need them too, from the same analyser",
        "target   is written in lower case, with punctuation apart; translations are given in ordinary writing "
        "(--raw leaves them as the model writes them)",
    ]
    assert said_of_habits(tiny_run(write(tmp_path, pairs(40)), tmp_path / "c")) == []


def test_validation_pairs_are_read_as_users_texts_and_compared_as_they_are(spec: str, tmp_path: Path) -> None:
    run = tiny_run(spec, tmp_path / "run", data={"valid": write(tmp_path, ORDINARY, "valid")})
    assert [pair.source for pair in run.lesson.valid] == [pair.source for pair in UNSEEN]
    assert [pair.target for pair in run.lesson.valid] == [pair.target for pair in ORDINARY]
