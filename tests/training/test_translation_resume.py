"""A run of any translator that was stopped after any step goes on exactly."""

from pathlib import Path
from typing import Any

import pytest

from keifu.training.loop import Step
from keifu.training.run import Run
from keifu.training.start import prepare, resume
from tests.tiny import metric_lines, optimiser_state, pairs, weights, write

STEPS = 7
SIZES = {"d_model": 16, "n_layers": 2, "dropout": 0.3}
MODELS: dict[str, dict[str, Any]] = {
    "rnn-seq2seq": {"nonlinearity": "relu", "learned_start": True, "direction": "alternating"},
    "lstm-seq2seq-attention": {"attention": "additive", "input_feeding": True},
    "gru-attention": {"n_heads": 2},
}


def begun(spec: str, out: Path, model: str) -> Run:
    training = {"max_steps": STEPS, "evaluate_every": 3, "accumulate": 2, "batch_tokens": 200, "evaluate_on": 4}
    fixed = {"device": "cpu", "precision": "fp32"}
    overrides = {"model": SIZES | MODELS[model], "data": {"tokenizer": "character"}, "training": training | fixed}
    return prepare("translation", spec, model, out=out, overrides=overrides)


def learned(run: Run, stop: int | None = None) -> dict[int, tuple[str, str, str]]:
    """Weights, optimiser and loss after every step."""
    found = {}
    for event in run.events(should_stop=lambda: run.learner.step == stop):
        if isinstance(event, Step):
            found[event.step] = weights(run), optimiser_state(run), event.loss.hex()
    return found


@pytest.mark.parametrize("model", MODELS)
def test_a_run_may_be_stopped_at_every_step(model: str, tmp_path: Path) -> None:
    spec = write(tmp_path, pairs(30))
    expected = learned(begun(spec, tmp_path / "whole", model))
    found = {}
    run = begun(spec, tmp_path / "run", model)
    for stop in range(1, STEPS + 1):
        found |= learned(run, stop if stop < STEPS else None)
        if stop < STEPS:
            run = resume(tmp_path / "run")
    assert found == expected
    assert metric_lines(tmp_path / "run") == metric_lines(tmp_path / "whole")
