"""A run of any translator that was stopped after any step goes on exactly."""

from pathlib import Path
from typing import Any

import pytest

from keifu.training.run import Run
from keifu.training.start import prepare
from tests.resuming import assert_ends_equal, fingerprints, stopped_everywhere, stops
from tests.tiny import pairs, write

STEPS, EVERY = 7, 3
SIZES = {"d_model": 16, "n_layers": 2, "dropout": 0.3}
MODELS: dict[str, dict[str, Any]] = {
    "rnn-seq2seq": {"nonlinearity": "relu", "learned_start": True, "direction": "alternating"},
    "lstm-seq2seq-attention": {"attention": "additive", "input_feeding": True},
    "gru-attention": {"n_heads": 2},
    "bert-seq2seq": {"n_heads": 2, "d_ff": 32},
    "gpt": {"n_heads": 2},
    "llama": {"n_heads": 2},
    "moe": {"n_heads": 2, "balance_step": 0.01},
}


def begun(spec: str, out: Path, model: str) -> Run:
    training = {"max_steps": STEPS, "evaluate_every": EVERY, "accumulate": 2, "batch_tokens": 200, "evaluate_on": 4}
    fixed = {"device": "cpu", "precision": "fp32"}
    overrides = {"model": SIZES | MODELS[model], "data": {"tokenizer": "character"}, "training": training | fixed}
    return prepare("translation", spec, model, out=out, overrides=overrides)


@pytest.mark.parametrize("model", MODELS)
def test_a_run_may_be_stopped_at_every_step(model: str, tmp_path: Path) -> None:
    spec = write(tmp_path, pairs(30))
    expected = dict(fingerprints(begun(spec, tmp_path / "whole", model)))
    assert stopped_everywhere(begun(spec, tmp_path / "run", model), stops(STEPS, EVERY)) == expected
    assert_ends_equal(tmp_path / "run", tmp_path / "whole")
