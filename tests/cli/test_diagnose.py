"""`keifu diagnose` tells the truth about runs that were really trained, in lines that no text can break."""

import json
import random
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from keifu.cli.diagnosis import diagnosis_report
from keifu.config import merge
from keifu.data.examples import Pair
from keifu.session import Model, TrainedRun, load, train
from tests.cli.conftest import Command
from tests.tiny import TINY, pairs, write


def columns(line: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(sign) in "WF") for sign in line)


def run(folder: Path, examples: list[Pair], steps: int, **more: Any) -> Path:
    return train(
        "translation", write(folder, examples), out=folder / "run", max_steps=steps, overrides=merge(TINY, more)
    ).path


# ---- verdicts on real runs ---------------------------------------------------------------------------------


def test_a_run_that_learned_noise_by_heart_is_overfit(tmp_path: Path, keifu: Command) -> None:
    draw = random.Random(1)
    noise = [
        Pair("".join(draw.choices("abcdefghij", k=8)), "".join(draw.choices("あいうえお", k=8))) for _ in range(60)
    ]
    path = run(
        tmp_path, noise, 150,
        model={"d_model": 32, "d_ff": 64, "dropout": 0.0}, training={"batch_tokens": 1000, "evaluate_every": 25},
    )  # fmt: skip
    report = json.loads(keifu("diagnose", path, "--json").out)
    assert report["verdict"] == "overfit"
    assert report["fit"]["training_loss"] < report["fit"]["validation_loss"] - 0.5
    assert report["fit"]["turned_up"]
    assert report["advice"][0].startswith("overfit")
    lines = keifu("diagnose", path).out.splitlines()
    assert "verdict: overfit" in lines
    assert [line for line in lines if line.startswith("  1. overfit (validation loss")]


def test_a_run_of_two_steps_is_underfit(corpus: str, tmp_path: Path, keifu: Command) -> None:
    path = train("translation", corpus, out=tmp_path / "run", max_steps=2, overrides=TINY).path
    report = json.loads(keifu("diagnose", path, "--json").out)
    assert report["verdict"] == "underfit"
    assert f"keifu resume {path} --max-time +20m" in report["advice"][0]


def test_a_run_that_stopped_on_its_way_up_is_still_improving(corpus: str, tmp_path: Path) -> None:
    more = {
        "model": {"d_model": 32, "d_ff": 64},
        "data": {"valid": write(tmp_path, pairs(50, seed=5), "valid")},
        "training": {"batch_tokens": 1000, "evaluate_every": 15, "evaluate_on": 50},
    }
    path = train("translation", corpus, out=tmp_path / "run", max_steps=45, overrides=merge(TINY, more)).path
    report = load(path, "cpu").diagnose(beam=1)
    assert report["verdict"] == "still improving"
    assert report["fit"]["rise"] >= 0.5


# ---- what is measured --------------------------------------------------------------------------------------


def test_losses_and_scores_are_those_of_training(trained: TrainedRun) -> None:
    report = load(trained.path, "cpu").diagnose(beam=1)
    assert report["fit"]["validation_loss"] == pytest.approx(trained.metrics["loss"], abs=1e-5)
    assert report["fit"]["loss"] == report["fit"]["validation_loss"]
    assert report["scores"]["chrf"] == pytest.approx(trained.metrics["chrf"])
    assert report["scores"]["bleu"] == pytest.approx(trained.metrics["bleu"])
    assert report["fit"]["best_step"] == trained.metrics["step"]
    assert report["fit"]["training_loss_is"] == "computed, without dropout"
    assert (report["pairs"], report["of"], report["trained_on"]) == (6, 6, False)
    assert report["data"].startswith("the last 6 pairs of")
    lines = {each["line"]: each["place"].rpartition(":")[2] for each in report["worst"]}
    assert lines == {line: str(114 + line) for line in lines}


def test_sentences_stand_with_what_the_model_writes_for_them(trained: TrainedRun, model: Model, tmp_path: Path) -> None:
    examples = pairs(25, seed=12)
    report = model.diagnose(write(tmp_path, examples), beam=1)
    outputs = model.translate([pair.source for pair in examples], beam=1)
    assert len(report["worst"]) > 5
    for each in report["worst"]:
        pair = examples[each["line"] - 1]
        assert each["place"] == f"{tmp_path}/text.en:{each['line']}"
        assert (each["source"], each["reference"], each["output"]) == (
            pair.source,
            pair.target,
            outputs[each["line"] - 1],
        )
    assert report["lengths"]["characters"] == sum(map(len, outputs)) / sum(len(pair.target) for pair in examples)


def test_other_data_are_named_and_the_verdict_stays_that_of_the_run(
    trained: TrainedRun, corpus: str, tmp_path: Path, keifu: Command
) -> None:
    own = json.loads(keifu("diagnose", trained.path, "--json").out)
    strange = [Pair(pair.source[::-1], pair.target[::-1]) for pair in pairs(120)]
    other = json.loads(keifu("diagnose", trained.path, "--data", write(tmp_path, strange), "--json").out)
    assert own["verdict"] == other["verdict"]
    assert own["fit"]["validation_loss"] == other["fit"]["validation_loss"]
    assert other["fit"]["loss"] > own["fit"]["loss"] + 0.5
    assert [line for line in other["advice"] if line.startswith("unlike the training data")]
    assert (other["pairs"], other["of"]) == (120, 120)


def test_a_limit_takes_some_of_the_pairs_and_says_so(trained: TrainedRun, corpus: str, keifu: Command) -> None:
    result = keifu("diagnose", trained.path, "--data", corpus, "--limit", 10, "--beam", 1)
    assert "10 of 120 pairs, beam 1" in " ".join(result.out.split())
    assert "only 10 sentences" in result.out


def test_without_the_training_data_what_was_logged_is_used(tmp_path: Path, keifu: Command) -> None:
    path = run(tmp_path, pairs(60), 12)
    spec = write(tmp_path, pairs(5, seed=3), "other")
    (tmp_path / "text.en").unlink()
    report = json.loads(keifu("diagnose", path, "--data", spec, "--json").out)
    assert report["fit"]["training_loss_is"] == "logged, with dropout"
    assert report["verdict"] != "unknown"
    result = keifu("diagnose", path)
    assert (result.code, result.out) == (3, "")
    assert "no such file" in result.err
    assert "name other data with --data" in result.err


def test_validation_data_that_changed_are_refused(tmp_path: Path, keifu: Command) -> None:
    path = run(tmp_path, pairs(60), 2)
    write(tmp_path, pairs(70))
    result = keifu("diagnose", path)
    assert result.code == 3
    assert "not the text that the run began with (its SHA-256 differs)" in result.err


def test_a_model_outside_a_run_needs_data(trained: TrainedRun, corpus: str, tmp_path: Path, keifu: Command) -> None:
    alone = tmp_path / "alone"
    shutil.copytree((trained.path / "best").resolve(), alone)
    result = keifu("diagnose", alone)
    assert (result.code, result.out) == (2, "")
    assert result.err == f"keifu: {alone}: not in a run's folder, so without data of its own; name some with --data\n"
    report = json.loads(keifu("diagnose", alone, "--data", corpus, "--json").out)
    assert report["verdict"] == "unknown"
    assert report["fit"]["training_loss"] is None
    assert "losses, nats a token\n  training              -" in keifu("diagnose", alone, "--data", corpus).out


def test_a_limit_of_nothing_is_refused(trained: TrainedRun, keifu: Command) -> None:
    result = keifu("diagnose", trained.path, "--limit", 0)
    assert (result.code, result.err) == (2, "keifu: limit 0: expected at least 1 pair\n")


# ---- the text ----------------------------------------------------------------------------------------------


def test_verdict_and_advice_come_first_and_the_worst_sentences_last(trained: TrainedRun, keifu: Command) -> None:
    result = keifu("diagnose", trained.path)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    begins = ("verdict: ", "what to try", "losses", "chrF", "unknown tokens", "length", "the ")
    places = [next(row for row, line in enumerate(lines) if line.startswith(begin) and row) for begin in begins]
    assert places == sorted(places)
    assert max(map(columns, lines)) <= 100


HOSTILE = [
    "\x1b[31mred\x07",
    "one\u2028two\x85three",
    "\u202eright to left",
    "長い文" * 300,
    "e\u0301" * 500,
    "a" * 3000,
    "\t\u3000 x",
]


def test_no_text_breaks_the_lines(trained: TrainedRun, model: Model) -> None:
    report = model.diagnose()
    worst = report["worst"][0]
    plain = diagnosis_report({**report, "worst": [worst]}).splitlines()
    for text in HOSTILE:
        shown = diagnosis_report(
            {
                **report,
                "data": text,
                "advice": [text],
                "worst": [{**worst, "source": text, "reference": text, "output": text, "place": text}],
                "unknown": {**report["unknown"], "most_frequent": [(text, 3)]},
                "repetitions": {**report["repetitions"], "most_frequent": [(text, 3)]},
            }
        )
        lines = shown.split("\n")
        assert lines == shown.splitlines()
        assert all(sign.isprintable() or sign in "\n\u3000" for sign in shown)
        assert max(map(columns, (unicodedata.normalize("NFC", line) for line in lines))) <= 100
        assert len(lines) < len(plain) + 60
        assert [line for line in lines if line.startswith("    output     ")]


def test_japanese_is_wrapped_by_columns_and_nothing_is_lost(model: Model) -> None:
    report = model.diagnose()
    text = "私は猫と犬と鳥と魚を見る。" * 8
    sentence = {**report["worst"][0], "source": text}
    lines = diagnosis_report({**report, "worst": [sentence]}).splitlines()
    begin = next(row for row, line in enumerate(lines) if line.startswith("    source     "))
    end = next(row for row, line in enumerate(lines) if line.startswith("    reference  "))
    shown = [line[15:] for line in lines[begin:end]]
    assert "".join(shown) == text
    assert [columns(line) for line in lines[begin : end - 1]] == [99] * (end - 1 - begin)
    assert all(line.startswith(" " * 15) for line in lines[begin + 1 : end])


def test_data_in_another_encoding_are_read_as_they_are_named(
    tmp_path: Path, keifu: Command, trained: TrainedRun
) -> None:
    (tmp_path / "a.csv").write_bytes("8,私は猫を見る。,I see cats.\n".encode("cp932"))
    arguments = ("diagnose", trained.path, "--data", tmp_path / "a.csv", "--beam", 1)
    assert "looks like cp932: add --encoding cp932" in keifu(*arguments).err
    found = keifu(*arguments, "--encoding", "cp932", "--source", "3", "--target", "2", "--json")
    report = json.loads(found.out)
    assert (found.code, report["pairs"], report["of"]) == (0, 1, 1)
