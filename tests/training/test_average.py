"""The running mean of the weights: its value, its exchange with the weights, and a run that goes on with it."""

from pathlib import Path

import pytest
import torch
from torch import nn

from keifu.checkpoint import load_tensors
from keifu.training.average import Average
from keifu.training.network import named_parameters
from tests.tiny import tiny_run


def averaged(values: list[float], share: float) -> float:
    weight = nn.Parameter(torch.zeros(1))
    average = Average([weight], share)
    for step, value in enumerate(values, 1):
        weight.data.fill_(value)
        average.update(step)
    return float(average.mean[0])


def test_later_steps_count_more_by_a_power_of_their_number() -> None:
    values = [3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0]
    assert averaged(values, share=0.5) == pytest.approx(sum(values) / len(values), abs=1e-6)
    exponent = 1 / 0.2 - 1  # of the sums t^n - (t - 1)^n that the update telescopes to
    counts = [step**exponent - (step - 1) ** exponent for step in range(1, 8)]
    expected = sum(count * value for count, value in zip(counts, values, strict=True)) / sum(counts)
    assert averaged(values, share=0.2) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("steps", [100, 1000])
def test_the_mean_is_as_old_as_its_share_of_the_steps_whatever_their_number(steps: int) -> None:
    age = steps - averaged(list(map(float, range(1, steps + 1))), share=0.05)
    assert age / steps == pytest.approx(0.05, abs=0.001 + 1 / steps)


def test_the_weights_come_back_after_an_error() -> None:
    weight = nn.Parameter(torch.ones(2))
    average = Average([weight], 0.5)
    weight.data.fill_(7)

    def fail() -> None:
        with average.in_place():
            assert weight.tolist() == [1, 1]
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert weight.tolist() == [7, 7]
    assert average.mean[0].tolist() == [1, 1]


def test_what_is_saved_and_evaluated_is_the_mean_and_training_goes_on_from_the_latest(
    corpus: str, tmp_path: Path
) -> None:
    run = tiny_run(corpus, tmp_path / "run", {"max_steps": 20, "average": 0.5})
    list(run.events())
    learner = run.learner
    assert learner.average is not None
    saved = load_tensors(tmp_path / "run" / "last" / "model.safetensors")
    kept = load_tensors(tmp_path / "run" / "last" / "optimizer.safetensors")
    named = named_parameters(learner.model, learner.head)
    for (name, weight), mean in zip(named, learner.average.mean, strict=True):
        assert torch.equal(saved[name], mean)
        assert torch.equal(kept[f"latest.{name}"], weight)
    assert any(not torch.equal(saved[name], weight) for name, weight in named)
    with_mean = run.evaluate().metrics["loss"]
    learner.average = None
    assert run.evaluate().metrics["loss"] != with_mean
