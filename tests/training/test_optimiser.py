"""The learning rate goes up and down as it should; only matrices decay; the optimiser's memory can be put back."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from keifu.training.optimiser import learning_rate, make_optimizers, peak_learning_rate, restore_state, state_tensors
from keifu.training.settings import Training

SCHEDULES = ["linear", "cosine", "inverse-sqrt", "constant"]


def rates(schedule: Any, steps: int = 100, warmup: float = 0.1, peak: float = 2.0) -> list[float]:
    settings = Training(max_steps=steps, warmup=warmup, schedule=schedule)
    return [learning_rate(step, settings, peak) for step in range(1, steps + 1)]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_warm_up_is_a_straight_line_to_the_peak(schedule: str) -> None:
    assert rates(schedule)[:10] == pytest.approx([0.2 * step for step in range(1, 11)])
    assert max(rates(schedule)) == 2.0


def test_the_ways_down() -> None:
    assert rates("linear")[10:98] == pytest.approx([2 * (100 - step) / 90 for step in range(11, 99)])
    assert rates("linear")[-1] == pytest.approx(0.04)
    assert rates("cosine")[54] == pytest.approx(1.0)
    assert rates("cosine")[-1] == pytest.approx(0.04)
    assert rates("inverse-sqrt")[39] == pytest.approx(1.0)
    assert rates("inverse-sqrt")[-1] == pytest.approx(2 * math.sqrt(0.1))
    assert rates("constant")[10:] == [2.0] * 90


@given(
    schedule=st.sampled_from(SCHEDULES),
    steps=st.integers(1, 300),
    warmup=st.floats(0, 0.99),
    peak=st.floats(1e-6, 1.0),
)
def test_no_rate_is_above_the_peak_or_nothing_and_after_the_warm_up_none_rises(
    schedule: str, steps: int, warmup: float, peak: float
) -> None:
    found = rates(schedule, steps, warmup, peak)
    assert all(0 < rate <= peak * (1 + 1e-12) for rate in found)
    way_down = found[max(1, round(warmup * steps)) - 1 :]
    assert all(later <= rate * (1 + 1e-12) for rate, later in pairwise(way_down))


@pytest.mark.parametrize(("width", "rate"), [(16, 2e-3), (128, 2e-3), (256, 1e-3), (512, 5e-4)])
def test_wider_models_have_a_lower_peak_unless_one_is_given(width: int, rate: float) -> None:
    assert peak_learning_rate(Training(), width) == pytest.approx(rate)
    assert peak_learning_rate(Training(learning_rate=0.3), width) == 0.3


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(3, 2)
        self.linear = nn.Linear(2, 2)
        self.norm = nn.LayerNorm(2)
        self.head = nn.Module()
        self.head.own = nn.Parameter(torch.randn(2, 2))  # vectors of answers


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_only_matrices_of_hidden_layers_decay(name: Any) -> None:
    net = Net()
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    settings = Training(optimizer=name, weight_decay=0.5)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for optimizer in make_optimizers(net.named_parameters(), settings, 0.1, torch.float32):
        optimizer.step()
    for name, parameter in net.named_parameters():
        kept = 1 - 0.1 * 0.5 if name == "linear.weight" else 1.0
        assert torch.allclose(parameter, before[name] * kept), name


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_the_optimisers_memory_can_be_put_back(name: Any) -> None:
    def stepped(net: Net, optimizers: list[torch.optim.Optimizer], seed: int) -> None:
        torch.manual_seed(seed)
        for parameter in net.parameters():
            parameter.grad = torch.randn_like(parameter)
        for optimizer in optimizers:
            optimizer.step()

    torch.manual_seed(0)
    one, other = Net(), Net()
    first, second = (
        make_optimizers(net.named_parameters(), Training(optimizer=name), 0.1, torch.float32) for net in (one, other)
    )
    for seed in range(3):
        stepped(one, first, seed)
    other.load_state_dict(one.state_dict())
    restore_state(second, other.named_parameters(), state_tensors(first, one.named_parameters()))
    for net, optimizers in ((one, first), (other, second)):
        stepped(net, optimizers, 3)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_muon_moves_hidden_matrices_and_adamw_the_rest() -> None:
    net = Net()
    muon, adamw = make_optimizers(net.named_parameters(), Training(), 0.1, torch.float32)
    theirs = [
        {name for name, parameter in net.named_parameters() if any(parameter is one for one in group["params"])}
        for optimizer in (muon, adamw)
        for group in optimizer.param_groups
    ]
    assert theirs == [{"linear.weight"}, {"embedding.weight", "linear.bias", "norm.weight", "norm.bias", "head.own"}]
