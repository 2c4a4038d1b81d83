"""What a run writes, and that a run with the same seed is the same run."""

import hashlib
import json
import math
import os
from pathlib import Path

import pytest
import torch

from keifu.data.catalogue import DataSet
from keifu.data.download import Progress
from keifu.errors import ConfigError, DataError
from keifu.session import TrainedRun
from keifu.training.loop import Evaluation
from keifu.training.model_card import command_to_use
from keifu.training.settings import MaskedTraining, read_settings
from keifu.training.start import prepare
from tests.tiny import TINY, metric_lines, pairs, tiny_run, weights, write


def test_a_run_folder_holds_all_that_was_learned_and_how(trained: TrainedRun, corpus: str) -> None:
    path = trained.path
    files = {"config.yaml", "env.json", "data.json", "metrics.jsonl", "train.log", "README.md"}
    folders = {"samples", "checkpoints", "best", "last"}
    assert {file.name for file in path.iterdir()} - {".lock"} == files | folders
    assert read_settings(path / "config.yaml").training.max_steps == 120
    assert sorted(file.name for file in (path / "samples").iterdir()) == ["step-120.txt", "step-40.txt", "step-80.txt"]
    assert os.readlink(path / "last") == "checkpoints/step-120"
    best = os.readlink(path / "best")
    assert best == f"checkpoints/step-{trained.metrics['step']}"
    assert json.loads((path / "env.json").read_text())["packages"]["torch"] == torch.__version__

    report = json.loads((path / "data.json").read_text())
    text = "".join(f"{pair.source}\n{pair.target}\n" for pair in pairs(120)[:-6])
    assert report["train"] == {"spec": corpus, "pairs": 114, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    assert report["valid"]["spec"] == f"the last 6 pairs of {corpus}"
    assert report["languages"] == ["en", "ja"]
    assert report["tokens"]["target"] == sum(len(pair.target) + 1 for pair in pairs(120)[:-6])  # [EOS] included


def test_the_model_card_says_how_good_the_model_is_and_on_what(trained: TrainedRun) -> None:
    card = (trained.path / "README.md").read_text("utf-8")
    assert f"BLEU {trained.metrics['bleu']:.2f}" in card
    assert "tok:char" in card
    assert f"Best at step {trained.metrics['step']} of 120" in card
    assert "These are scores on the data that it was chosen on" in card


def test_metrics_have_every_evaluation_and_every_tenth_step(trained: TrainedRun) -> None:
    lines = metric_lines(trained.path)
    assert [line["step"] for line in lines if "valid" in line] == [40, 80, 120]
    assert [line["step"] for line in lines if "valid" not in line] == [1, *range(10, 121, 10)]
    assert max(line["valid"]["bleu"] for line in lines if "valid" in line) == trained.metrics["bleu"]


def test_a_sample_file_shows_source_reference_and_output(trained: TrainedRun) -> None:
    blocks = (trained.path / "samples" / "step-120.txt").read_text("utf-8").strip().split("\n\n")
    held_out = pairs(120)[-6:]
    assert [block.splitlines()[:2] for block in blocks] == [[pair.source, pair.target] for pair in held_out[:5]]


def test_the_seed_decides_everything(corpus: str, tmp_path: Path) -> None:
    def learned(name: str, seed: int) -> tuple[str, list[dict[str, object]]]:
        run = tiny_run(corpus, tmp_path / name, {"max_steps": 6, "evaluate_every": 3, "seed": seed})
        list(run.events())
        return weights(run), metric_lines(run.folder.path)

    first = learned("one", 0)
    assert first == learned("two", 0)
    assert first[0] != learned("three", 1)[0]


def test_perplexity_is_that_of_the_loss_and_the_loss_is_a_mean_over_tokens(trained: TrainedRun, corpus: str) -> None:
    run = tiny_run(corpus, trained.path.parent / "unused", model={"d_model": 32, "d_ff": 64})
    run.learner.network.eval()
    held_out = run.lesson.encoded_valid
    loss = run.task.mean_surprise(run.learner.model, run.learner.head, held_out)
    batch = run.task.batch(held_out, held_out.rows())
    with torch.no_grad():
        scores = run.learner.head(run.learner.model(batch.inputs).hidden).log_softmax(-1)
    expected = -scores.gather(-1, batch.targets[..., None])[..., 0][batch.inputs.target_mask].mean()
    assert loss == pytest.approx(float(expected), rel=1e-5)
    assert trained.metrics["perplexity"] == pytest.approx(math.exp(trained.metrics["loss"]))


def test_evaluation_changes_no_weight_and_no_later_step(corpus: str, tmp_path: Path) -> None:
    def end(name: str, every: int) -> str:
        run = tiny_run(corpus, tmp_path / name, {"max_steps": 6, "evaluate_every": every})
        list(run.events())
        return weights(run)

    assert end("often", 1) == end("once", 6)


def test_pairs_that_are_too_long_are_left_out_and_counted(corpus: str, tmp_path: Path) -> None:
    lengths = [max(len(pair.source), len(pair.target)) + 1 for pair in pairs(120)]
    limit = sorted(lengths[-6:])[3]  # of the pairs held out, some are too long as well
    run = tiny_run(corpus, tmp_path / "run", data={"max_tokens": limit})
    assert run.lesson.left_out == sum(length > limit for length in lengths) > 0
    assert len(run.learner.data) == sum(length <= limit for length in lengths[:-6])
    assert len(run.lesson.valid) == sum(length <= limit for length in lengths[-6:]) < 6
    assert run.data_report["left_out_as_too_long"] == run.lesson.left_out
    with pytest.raises(DataError, match=r"every pair has over 3 tokens; raise data\.max_tokens"):
        tiny_run(corpus, tmp_path / "run", data={"max_tokens": 3})


def test_two_pairs_are_enough_and_one_is_not(tmp_path: Path) -> None:
    run = tiny_run(write(tmp_path, pairs(2)), tmp_path / "run", {"max_steps": 2})
    assert [event.step for event in run.events() if isinstance(event, Evaluation)] == [1, 2]
    with pytest.raises(DataError, match="only one pair; training needs at least 2"):
        tiny_run(write(tmp_path, pairs(1), "one"), tmp_path / "other", {"max_steps": 2})
    assert not (tmp_path / "other").exists()


def test_a_folder_that_is_in_use_is_refused_before_any_work(corpus: str, trained: TrainedRun) -> None:
    before = sorted(file.stat().st_mtime_ns for file in trained.path.rglob("*"))
    with pytest.raises(ConfigError, match="the folder is not empty; name another one with --out"):
        tiny_run(corpus, trained.path)
    assert sorted(file.stat().st_mtime_ns for file in trained.path.rglob("*")) == before


def test_nothing_is_written_until_training_begins_and_free_names_are_found(
    corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = []
    for _ in range(2):
        run = tiny_run(corpus, None, {"max_steps": 1})  # type: ignore[arg-type]
        assert not run.folder.path.exists()
        list(run.events())
        names.append(str(run.folder.path))
    assert names == ["runs/text-transformer-1", "runs/text-transformer-2"]


def test_two_runs_prepared_at_once_take_two_names(corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (tiny_run(corpus, None, {"max_steps": 1}) for _ in range(2))  # type: ignore[arg-type]
    for run in (first, second):
        list(run.events())
    names = [str(run.folder.path) for run in (first, second)]
    assert names == ["runs/text-transformer-1", "runs/text-transformer-2"]
    assert "keifu resume runs/text-transformer-2" in Path("runs/text-transformer-2/config.yaml").read_text("utf-8")


def test_whoever_waits_is_told_what_takes_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [Path(name) for name in write(tmp_path, pairs(40)).split(",")]

    def find(data_set: DataSet, part: str, on_progress: Progress) -> list[Path]:
        on_progress("https://example.org/train.en", 5_000_000, 10_000_000)
        return paths

    monkeypatch.setattr("keifu.data.pairs.find", find)
    said: list[str] = []
    prepare("translation", "enja", out=tmp_path / "run", overrides=TINY, max_steps=1, say=said.append)
    assert said[0] == "reading the data"
    assert "fetching https://example.org/train.en: 5.0 MB of 10.0" in said
    assert said[-1] == "measuring how fast training is here"


def test_a_model_of_pairs_alone_is_not_asked_to_fill_gaps() -> None:
    path = Path("runs/one")
    assert command_to_use(path, MaskedTraining()) == 'keifu fill runs/one "... [MASK] ..."'
    assert command_to_use(path, MaskedTraining(masked=False)).endswith("keifu classify runs/one --head next-sentence")
