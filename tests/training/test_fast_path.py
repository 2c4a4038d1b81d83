"""What makes training fast changes nothing but rounding: after 100 equal steps the losses are those of plain float32.

Plain: attention written out with every mask, torch's cross-entropy over all scores at once, one parameter after another
in the optimisers, everything in float32. Without dropout, so that both see the same network.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from keifu.layers import attention, heads
from keifu.training import muon, optimiser
from keifu.training.loop import Step
from tests.tiny import tiny_run

STEPS = 100
EQUAL_AT_FIRST = {"fp32": 1e-5, "bf16": 1e-2}
"""Relative difference of the first loss and the first gradient, by number format."""


def trained(corpus: str, out: Path, precision: str, name: str) -> tuple[Tensor, float]:
    """The loss of every step, and the length of the first gradient."""
    training = {
        "max_steps": STEPS,
        "precision": precision,
        "optimizer": name,
        "batch_tokens": 1000,
        "evaluate_every": STEPS,
        "learning_rate": 2e-3,
    }
    run = tiny_run(corpus, out, training, model={"d_model": 64, "d_ff": 128, "n_layers": 2, "dropout": 0.0})
    steps = [event for event in run.events() if isinstance(event, Step)]
    return torch.tensor([step.loss for step in steps], dtype=torch.float64), steps[0].norm


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes every short cut out of training."""

    def cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        logits = (hidden @ weight.T).float()
        smoothed = F.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="sum")
        return smoothed, F.cross_entropy(logits.detach(), targets, reduction="sum")

    def adamw(groups: Any, settings: Any, peak: float, decay: float) -> torch.optim.AdamW:
        return torch.optim.AdamW(groups, lr=peak, betas=settings.betas, eps=1e-9, weight_decay=decay, foreach=False)

    monkeypatch.setattr(attention, "_fused_is_faster", lambda query, key: False)
    monkeypatch.setattr(attention, "_short", lambda query, key: False)
    monkeypatch.setattr(muon, "_TOGETHER", {"cpu": 1})
    monkeypatch.setattr(heads, "cross_entropy", cross_entropy)
    monkeypatch.setattr(optimiser, "_adamw", adamw)


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_the_fast_path_is_no_farther_from_plain_float32_than_bfloat16_explains(
    name: str, corpus: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    fast = {precision: trained(corpus, tmp_path / f"fast-{precision}", precision, name) for precision in EQUAL_AT_FIRST}
    request.getfixturevalue("plain")
    plain = {precision: trained(corpus, tmp_path / precision, precision, name) for precision in EQUAL_AT_FIRST}
    full, norm = plain["fp32"]
    explained = (plain["bf16"][0] - full).abs().mean()
    assert full[-1] < 0.5 * full[0]
    for precision, tolerance in EQUAL_AT_FIRST.items():
        losses, first_norm = fast[precision]
        assert float(losses[0]) == pytest.approx(float(full[0]), rel=tolerance)
        assert first_norm == pytest.approx(norm, rel=tolerance)
        # Rounding grows from step to step, in Muon faster: it lifts the smallest directions of a gradient too.
        assert (losses - full).abs().mean() < 3 * explained
