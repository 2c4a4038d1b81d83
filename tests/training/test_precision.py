"""bfloat16 is chosen where it helps, and learns what float32 learns."""

from pathlib import Path
from typing import Any

import pytest
import torch

from keifu.checkpoint import load_tensors
from keifu.errors import ConfigError
from keifu.training import precision
from keifu.training.loop import Step
from keifu.training.precision import choose_device, choose_precision
from tests.tiny import tiny_run

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("name", "hardware", "width", "expected"),
    [
        ("auto", True, 128, torch.bfloat16),
        ("auto", True, 127, torch.float32),
        ("auto", False, 512, torch.float32),
        ("fp32", True, 512, torch.float32),
        ("bf16", False, 16, torch.bfloat16),
    ],
)
def test_the_rule_on_a_processor(
    name: str, hardware: bool, width: int, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "multiplies_bf16", lambda: hardware)
    assert choose_precision(name, CPU, width) == expected


@pytest.mark.parametrize(("supported", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_the_rule_on_a_gpu(supported: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert choose_precision("auto", CUDA, 16) == expected
    assert choose_precision("fp32", CUDA, 16) == torch.float32


def test_auto_is_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert str(choose_device("auto")) == expected


@pytest.mark.parametrize("name", ["gpu", "", "meta", "mkldnn", "cpu:x", "cuda:", "cuda:9999"])
def test_a_device_that_cannot_be_used_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^device '{name}' (is not known|cannot be used here)") as caught:
        choose_device(name)
    assert len(str(caught.value)) < 250


def losses(corpus: str, out: Path, precision: Any) -> list[float]:
    training = {"max_steps": 60, "precision": precision, "batch_tokens": 1000, "evaluate_every": 60}
    run = tiny_run(corpus, out, training, model={"d_model": 32, "dropout": 0.0})
    assert run.learner.dtype == (torch.bfloat16 if precision == "bf16" else torch.float32)
    found = [event.loss for event in run.events() if isinstance(event, Step)]
    saved = [load_tensors(out / "last" / name) for name in ("model.safetensors", "optimizer.safetensors")]
    assert all(value.dtype == torch.float32 for tensors in saved for value in tensors.values())
    assert all(parameter.dtype == torch.float32 for parameter in run.learner.network.parameters())
    return found


def test_bfloat16_learns_nearly_as_well_as_float32_and_weights_stay_float32(corpus: str, tmp_path: Path) -> None:
    half, full = (losses(corpus, tmp_path / name, name) for name in ("bf16", "fp32"))
    assert half != full  # bfloat16 was really used
    assert full[-1] < 0.5 * full[0]
    assert sum(half[-10:]) == pytest.approx(sum(full[-10:]), rel=0.05)
