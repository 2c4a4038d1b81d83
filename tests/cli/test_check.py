"""`keifu check`: what stands out in data and what training on it takes, before anything is written."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from keifu.config import read_yaml
from keifu.data.catalogue import CATALOGUE, File, task_of
from keifu.data.examples import Pair
from keifu.data.pairs import load_pairs
from keifu.session import TrainedRun
from tests.cli.conftest import Command
from tests.tiny import pairs, set_arguments, write


@pytest.fixture
def messy(tmp_path: Path) -> str:
    """Sixty pairs with a repetition, a blank line, HTML, and one that the validation data repeat."""
    texts = pairs(60, seed=2)
    spec = write(tmp_path, [*texts[:30], texts[3], *texts[30:]], "messy")
    for ending, text in (("en", "I see <br> fish."), ("ja", "私は魚を見る。")):
        file = tmp_path / f"messy.{ending}"
        file.write_text(f"{file.read_text('utf-8')}\n{text}\n", "utf-8")
    return spec


@pytest.fixture
def valid(tmp_path: Path) -> str:
    return write(tmp_path, [pairs(60, seed=2)[7], *pairs(70, seed=2)[61:]], "valid")


def check(keifu: Command, *arguments: object) -> str:
    result = keifu("check", *arguments, *set_arguments())
    assert (result.code, result.err) == (0, "")
    return result.out


def test_everything_that_stands_out_is_told_with_its_place_and_a_remedy(
    messy: str, valid: str, tmp_path: Path, keifu: Command
) -> None:
    before = sorted(tmp_path.rglob("*"))
    place = f"{tmp_path}/messy.en"
    found = {each["kind"]: each for each in json.loads(check(keifu, messy, "--valid", valid, "--json"))["findings"]}
    assert found["strange characters"]["places"] == [f"{place}:63"]
    assert found["duplicates"]["places"] == [f"{place}:31 (first {place}:4)"]
    assert found["overlap"]["places"] == [f"{tmp_path}/valid.en:1 is {place}:8"]
    assert found["both sides empty"]["count"] == 1
    shown = "".join(check(keifu, messy, "--valid", valid).split())
    for each in found.values():
        for text in (each["text"], each["advice"]):
            assert "".join(text.split()) in shown
    assert sorted(tmp_path.rglob("*")) == before


def test_the_counts_are_those_of_the_texts(corpus: str, keifu: Command) -> None:
    report = json.loads(check(keifu, corpus, "--json"))
    train, valid = pairs(120)[:114], pairs(120)[114:]
    assert report["train"]["pairs"] == len(train)
    assert report["valid"]["pairs"] == len(valid)
    # The tokenizer is one of characters, and [EOS] ends each text.
    assert report["tokens"] == {
        "source": sum(len(pair.source) + 1 for pair in train),
        "target": sum(len(pair.target) + 1 for pair in train),
    }
    assert report["longest"] == {
        "source": max(len(pair.source) + 1 for pair in train),
        "target": max(len(pair.target) + 1 for pair in train),
    }
    assert 0 < report["padding"] < 0.3
    estimate = report["estimate"]
    assert estimate["steps"] == 1000
    assert estimate["seconds"] > estimate["steps"] * estimate["seconds_a_step"]


def test_unknown_tokens_are_counted_on_both_sides(corpus: str, tmp_path: Path, keifu: Command) -> None:
    valid = write(tmp_path, [Pair("I see qq.", "私は猫")], "valid")
    report = json.loads(check(keifu, corpus, "--valid", valid, "--json"))
    assert report["vocabulary"]["unknown"] == "[UNK]"
    assert report["unknown"]["train"] == {"source": 0.0, "target": 0.0}
    assert report["unknown"]["valid"] == {"source": pytest.approx(2 / 10), "target": 0.0}


def test_pairs_that_are_too_long_are_counted(corpus: str, keifu: Command) -> None:
    most = 40
    report = json.loads(check(keifu, corpus, "--set", f"data.max_tokens={most}", "--json"))
    data = load_pairs(corpus).pairs
    assert report["left_out_as_too_long"] == sum(max(len(p.source), len(p.target)) + 1 > most for p in data) > 0


def test_a_dry_run_shows_the_same_report_above_settings_that_can_be_used(
    corpus: str, tmp_path: Path, keifu: Command
) -> None:
    checked = check(keifu, corpus)
    arguments = ("train", "translation", "--data", corpus, "--dry-run", *set_arguments())
    shown = keifu(*arguments).out
    comments = " ".join(" ".join(line[1:] for line in shown.splitlines() if line.startswith("#")).split())
    for name in ("data", "model", "training", "note"):
        line = next(line for line in checked.splitlines() if line.startswith(name))
        assert " ".join(line.split()) in comments
    (tmp_path / "shown.yaml").write_text(shown, "utf-8")
    assert read_yaml(tmp_path / "shown.yaml")[0]["model"]["d_model"] == 16
    as_json = json.loads(keifu(*arguments, "--json").out)
    assert as_json["settings"]["model"]["d_model"] == 16
    assert as_json["estimate"]["steps"] == as_json["settings"]["training"]["max_steps"]


def test_the_report_stands_in_the_runs_data_json(trained: TrainedRun) -> None:
    report = json.loads((trained.path / "data.json").read_text("utf-8"))
    assert [finding["kind"] for finding in report["findings"]] == ["few"]


def test_data_that_cannot_be_used_is_refused_as_by_training(tmp_path: Path, keifu: Command) -> None:
    (tmp_path / "a.en").write_text("one\ntwo\n")
    (tmp_path / "a.ja").write_text("1\n")
    result = keifu("check", f"{tmp_path}/a.en,{tmp_path}/a.ja")
    assert (result.code, result.out) == (3, "")
    assert re.search(r"a\.en has 2 lines, .*a\.ja has 1;", result.err)


def test_the_test_part_of_a_named_set_is_held_against_the_training_data(
    tmp_path: Path, keifu: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = pairs(60, seed=6)
    parts = {"train": everything[:40], "dev": everything[40:50], "test": [everything[7], *everything[50:]]}
    files = {}
    for part, texts in parts.items():
        spec = write(tmp_path, texts, part)
        contents = [Path(name).read_bytes() for name in spec.split(",")]
        digests = [hashlib.sha256(content).hexdigest() for content in contents]
        files[part] = tuple(
            File(f"{part}.{ending}", "https://nowhere.invalid/", digest, len(content))
            for ending, digest, content in zip(("en", "ja"), digests, contents, strict=True)
        )
    own = replace(CATALOGUE["enja"], parts=files)
    monkeypatch.setitem(CATALOGUE, "enja", own)
    monkeypatch.setenv("KEIFU_DATA", str(tmp_path))
    found = {each["kind"]: each for each in json.loads(check(keifu, "enja", "--json"))["findings"]}
    assert found["overlap"]["places"] == [f"{tmp_path}/test.en:1 is {tmp_path}/train.en:8"]

    (tmp_path / "test.en").unlink()  # it is not fetched to be looked at
    report = json.loads(check(keifu, "enja", "--json"))
    assert [each["kind"] for each in report["findings"]] == ["few"]


@pytest.mark.parametrize(
    ("spec", "task"),
    [
        ("shakespeare:train+x.txt", "language-modeling"),
        ("babi-1[:10]", "question-answering"),
        ("builtin:stories:dev", "question-answering"),
        ("builtin:enja", "translation"),
        ("sst2", "classification"),
        ("{folder}", "image-classification"),
        ("{folder}/a.en,{folder}/a.ja", "translation"),
    ],
)
def test_data_whose_task_is_known_are_checked_for_it(spec: str, task: str, tmp_path: Path) -> None:
    assert task_of(spec.format(folder=tmp_path)) == task


def test_a_check_needs_no_task_where_the_data_say_it(keifu: Command) -> None:
    small = ("--set", "model.d_model=16", "--set", "training.device=cpu")
    report = json.loads(keifu("check", "builtin:stories:test", *small, "--json").out)
    assert report["answers"] > 5
