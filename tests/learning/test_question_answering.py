"""What models that answer questions must be able to learn, they learn: where somebody is, by the latest fact."""

from pathlib import Path
from typing import Any

import pytest

from keifu.session import load, train
from tests.small_stories import write_stories

PAPER = {"d_model": 32, "n_hops": 2, "d_ff": 0, "tying": "adjacent", "linear_start": 0.1}
SETTINGS: dict[str, Any] = {  # sizes, rate, steps, tokens of a step, and the most facts of a story
    "memory-network": (PAPER, 0.01, 400, 500, 4),
    "lstm": ({"d_model": 64, "n_layers": 1}, 0.004, 400, 500, 2),
    "bert": ({"d_model": 64, "n_layers": 2, "n_heads": 2, "d_ff": 128}, 0.001, 2000, 1000, 2),
}


@pytest.mark.parametrize("model", SETTINGS)
def test_a_small_model_learns_where_everybody_is(model: str, tmp_path: Path) -> None:
    sizes, rate, steps, tokens, longest = SETTINGS[model]
    overrides = {
        "model": {"dropout": 0.0, **sizes},
        "training": {"batch_size": 32, "batch_tokens": tokens, "evaluate_every": steps, "learning_rate": rate},
    }
    spec = write_stories(tmp_path, 1000, longest=longest)
    other = write_stories(tmp_path, 300, seed=1, name="other.txt", longest=longest)
    run = train("question-answering", spec, model, out=tmp_path / "run", max_steps=steps, overrides=overrides)
    report = load(run.path, "cpu").evaluate(other)
    assert report["accuracy"] >= 0.98, report["accuracy"]
    if model == "memory-network":
        assert report["supported_by_hop"][-1] > 0.95
