"""A run may begin with the weights and the tokenizer of another one."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from keifu.checkpoint import load_model_files
from keifu.errors import CheckpointError, ConfigError
from keifu.session import Model, TrainedRun
from keifu.training.network import named_parameters
from keifu.training.run import Run
from keifu.training.start import prepare, resume
from tests.small_reading import TEXTS, reading_run
from tests.tiny import pairs, weights, write


@pytest.fixture
def other(tmp_path: Path) -> str:
    return write(tmp_path, pairs(60, seed=8), "other")


def begun(path: Path, spec: str, out: Path, **options: object) -> Run:
    overrides = {"training": {"batch_tokens": 200, "evaluate_on": 4, "evaluate_every": 2}}
    return prepare("translation", spec, out=out, init=str(path), overrides=overrides, max_steps=4, **options)


def test_it_begins_with_the_weights_the_tokenizer_and_the_sizes_of_the_best_checkpoint(
    trained: TrainedRun, model: Model, other: str, tmp_path: Path
) -> None:
    run = begun(trained.path, other, tmp_path / "run")
    _, tensors, _ = load_model_files(trained.path / "best")
    for name, parameter in named_parameters(run.learner.model, run.learner.head):
        assert torch.equal(parameter, tensors[name])
    assert run.task.tokenizer.to_json() == model.tokenizer.to_json()
    assert (run.settings.model.d_model, run.settings.model.d_ff) == (32, 64)
    assert run.learner.step == 0


def test_it_scores_from_the_start_what_a_fresh_run_does_not(trained: TrainedRun, other: str, tmp_path: Path) -> None:
    warm = begun(trained.path, other, tmp_path / "warm").evaluate().metrics
    assert warm["chrf"] > 50


def test_it_goes_on_exactly_like_any_other_run(trained: TrainedRun, other: str, tmp_path: Path) -> None:
    whole = begun(trained.path, other, tmp_path / "whole")
    list(whole.events())
    run = begun(trained.path, other, tmp_path / "run")
    list(run.events(should_stop=lambda: run.learner.step == 3))
    again = resume(tmp_path / "run")
    list(again.events())
    assert weights(again) == weights(whole)


def test_what_the_weights_do_not_depend_on_may_be_set(trained: TrainedRun, other: str, tmp_path: Path) -> None:
    overrides = {"model": {"dropout": 0.4}}
    run = prepare("translation", other, out=tmp_path / "run", init=str(trained.path), overrides=overrides, max_steps=4)
    assert run.settings.model.dropout == 0.4


def test_other_sizes_are_refused(trained: TrainedRun, other: str, tmp_path: Path) -> None:
    overrides = {"model": {"d_ff": 128}}
    with pytest.raises(ConfigError, match=r"cannot begin with it: model\.d_ff is 128 here and 64 there; leave"):
        prepare("translation", other, out=tmp_path / "run", init=str(trained.path), overrides=overrides)
    with pytest.raises(ConfigError, match=r"--preset tiny and --init .* both say how large the model is"):
        begun(trained.path, other, tmp_path / "run", preset="tiny")
    assert not (tmp_path / "run").exists()


def test_a_damaged_model_is_refused(trained: TrainedRun, other: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained.path / "best", copy)
    content = bytearray((copy / "model.safetensors").read_bytes())
    content[-3] ^= 1
    (copy / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"copy: damaged \(model\.safetensors\); copy it again"):
        begun(copy, other, tmp_path / "run")


def test_what_is_no_model_of_text_is_refused(trained: TrainedRun, other: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained.path / "best", copy, ignore=shutil.ignore_patterns("checksums.json", "training.json"))
    config = json.loads((copy / "config.json").read_text("utf-8"))
    (copy / "config.json").write_text(json.dumps({key: value for key, value in config.items() if key != "model"}))
    with pytest.raises(CheckpointError, match="not a model that keifu trained on text"):
        begun(copy, other, tmp_path / "run")


def test_a_reader_whose_decoder_was_left_away_is_no_beginning_for_a_translator(other: str, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(TEXTS["classification"](40), "utf-8")
    sizes = {"d_model": 12, "n_layers": 1}
    training = {"max_steps": 1, "device": "cpu"}
    spec = str(tmp_path / "a.tsv")
    list(reading_run("classification", spec, tmp_path / "reader", training, "transformer", model=sizes).events())
    with pytest.raises(ConfigError, match=r"training left model\.(target_embedding|decoder).* away; begin"):
        prepare("translation", other, out=tmp_path / "run", init=str(tmp_path / "reader"), max_steps=1)
