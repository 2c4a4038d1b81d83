"""Too much is refused before it is taken, by an estimate near the truth; what fails all the same is explained."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from keifu.errors import ResourceError
from keifu.training import memory
from keifu.training.memory import available, explained, parameter_count, refuse_too_large_a_batch, saved_bytes
from keifu.training.network import make_model
from keifu.training.precision import autocast
from keifu.training.settings import resolve_settings
from tests.cli.conftest import Command, keifu
from tests.tiny import tiny_run

__all__ = ["keifu"]  # the fixture
CPU = torch.device("cpu")


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_weights_are_counted_without_making_them(layers: int) -> None:
    config = resolve_settings(
        "translation", preset="tiny", overrides={"model": {"n_layers": layers, "vocab_size": 300}}
    ).model
    count = sum(weight.numel() for weight in make_model(config).parameters())
    assert parameter_count(config) == count


def test_a_model_that_is_too_large_is_refused_at_once(corpus: str, tmp_path: Path, keifu: Command) -> None:
    sizes = ("--set", "model.d_model=65536", "--set", "model.n_layers=50", "--set", "model.n_heads=8")
    result = keifu("train", "translation", "--data", corpus, "--out", tmp_path / "run", *sizes)
    assert result.code == 4
    assert "this model and its optimiser take" in result.err
    assert "choose a smaller --preset, or lower model.d_model, model.n_layers or data.vocab_size" in result.err
    assert not (tmp_path / "run").exists()


def bytes_kept(learner: Any, rows: Any) -> int:
    """What the backward pass of a whole batch keeps, every storage once, weights apart."""
    seen: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    learner.network.train()
    kept = torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor)
    with kept, autocast(learner.device, learner.dtype):
        loss = learner.task.loss(learner.model, learner.head, learner.task.batch(learner.data, rows))
    del loss
    weights = {weight.untyped_storage().data_ptr() for weight in learner.network.parameters()}
    return sum(size for place, size in seen.items() if place not in weights)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("d_ff", [32, 20_000])  # of which weights in bfloat16 are kept, whatever the batch
def test_what_a_batch_keeps_is_foretold_from_two_of_its_rows(
    d_ff: int, precision: str, corpus: str, tmp_path: Path
) -> None:
    training = {"batch_tokens": 1000, "precision": precision}
    learner = tiny_run(corpus, tmp_path / "run", training, model={"d_ff": d_ff}).learner
    rows = learner.sampler.largest()
    assert len(rows) > 10
    fixed, a_row = saved_bytes(learner, rows)
    assert bytes_kept(learner, rows) == pytest.approx(fixed + a_row * len(rows), rel=0.15)


def test_a_step_that_does_not_fit_is_refused_and_more_parts_help(
    corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = tiny_run(corpus, tmp_path / "run", {"batch_tokens": 1000}).learner
    rows = learner.sampler.largest()
    weights = sum(weight.numel() for weight in learner.network.parameters())
    fixed, a_row = saved_bytes(learner, rows)
    needed = 20 * weights + fixed + len(rows) * a_row
    monkeypatch.setattr(memory, "available", lambda device: needed)
    refuse_too_large_a_batch(learner, 1)
    monkeypatch.setattr(memory, "available", lambda device: needed - 1)
    with pytest.raises(ResourceError, match=r"a training step takes about .* lower training\.batch_tokens, raise"):
        refuse_too_large_a_batch(learner, 1)
    refuse_too_large_a_batch(learner, 2)


def test_a_limit_of_the_process_counts_as_the_memory_that_there_is() -> None:
    code = (
        "import resource, torch; from keifu.training.memory import available\n"
        "whole = available(torch.device('cpu'))\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 3 * 10**8, resource.RLIM_INFINITY))\n"
        "print(whole > 4 * 10**8, 10**8 < available(torch.device('cpu')) < 3.1 * 10**8)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True"]
    assert available(CPU) > 0


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")]
)
def test_an_allocation_that_fails_names_the_settings_to_change(error: Exception) -> None:
    message = r"^training: out of memory; lower training\.batch_tokens, raise"
    with pytest.raises(ResourceError, match=message), explained("training"):
        raise error
    with pytest.raises(RuntimeError, match=r"^shapes differ$"), explained("training"):
        raise RuntimeError("shapes differ")


def test_a_run_out_of_memory_ends_with_code_4_and_its_last_checkpoint_is_good(
    corpus: str, tmp_path: Path, keifu: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keifu.training import loop

    accumulate = loop.accumulate_gradients

    def fails_at_step_3(learner: Any, *arguments: Any) -> Any:
        if learner.step == 2:
            torch.empty(2**60)  # the allocator's own refusal
        return accumulate(learner, *arguments)

    monkeypatch.setattr(loop, "accumulate_gradients", fails_at_step_3)
    more = ("--max-steps", 4, "--set", "training.evaluate_every=1", "--preset", "tiny", "--quiet")
    result = keifu("train", "translation", "--data", corpus, "--out", tmp_path / "run", *more)
    assert result.code == 4
    assert "keifu: training: out of memory; lower training.batch_tokens" in result.err
    monkeypatch.undo()
    assert (tmp_path / "run" / "last").resolve().name == "step-2"
