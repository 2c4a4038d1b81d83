"""Whether the memory suffices, asked before it is taken: a process that the system kills cannot say anything."""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from keifu.data.batches import Indices
from keifu.errors import ResourceError, is_out_of_memory
from keifu.training.network import make_model
from keifu.training.precision import autocast

_STATE = 20  # bytes a weight: itself, its gradient, the optimiser's two moments and its running mean, in float32
_ROWS_MEASURED = 2

LESS_A_STEP = (
    "lower training.batch_tokens, raise training.accumulate (the same step in less memory), lower data.max_tokens "
    "(of GPTs model.max_length), or choose a smaller --preset"
)


def available(device: torch.device) -> int:
    """Bytes that this process can still have, on a GPU or in main memory."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # by PyTorch, for later
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    known = [*_system(), *_control_group(), *_own_limit()]
    return max(0, min(known, default=sys.maxsize))


def peak(device: torch.device) -> int:
    """The most bytes that this process has held so far, on a GPU or in main memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def refuse_too_large_a_model(config: Any, device: torch.device) -> None:
    """Raises ResourceError where weights and optimiser alone do not fit; nothing is allocated for that."""
    needed, free = _STATE * parameter_count(config), available(device)
    if needed > free:
        raise ResourceError(
            f"this model and its optimiser take {gigabytes(needed)}, {gigabytes(free)} are free; choose a smaller "
            "--preset, or lower model.d_model, model.n_layers or data.vocab_size"
        )


def parameter_count(config: Any) -> int:
    """The number of weights that such a model has. Built without memory, and with few layers, however many it has."""
    depth = "n_layers" if hasattr(config, "n_layers") else "n_hops"
    total: int = getattr(config, depth)
    fewest, more = min(1, total), min(2, total)

    def count(layers: int) -> int:
        model = make_model(config.model_copy(update={depth: layers}))
        return sum(weight.numel() for weight in model.parameters())

    with torch.device("meta"):
        first, second = count(fewest), count(more)
    return first + (total - fewest) * (second - first)


def refuse_too_large_a_batch(learner: Any, parts: int) -> None:
    """Raises ResourceError where a step on the largest batch, computed in so many parts, does not fit."""
    largest = learner.sampler.largest()
    rows = -(-len(largest) // parts)
    weights = sum(weight.numel() for weight in learner.network.parameters())
    # A trial measures how long a step takes, with weights of its own.
    fixed, a_row = saved_bytes(learner, largest)
    needed = _STATE * weights + fixed + rows * a_row
    free = available(learner.device)
    if needed > free:
        raise ResourceError(
            f"a training step takes about {gigabytes(needed)}, {gigabytes(free)} are free; {LESS_A_STEP}"
        )


def saved_bytes(learner: Any, rows: Indices) -> tuple[int, int]:
    """The bytes that a batch, padded as this one is, keeps for the backward pass: however many rows it has (such as
    weights in bfloat16), and for each row.
    """
    lengths = learner.data.sizes[rows]
    longest = rows[[int(lengths[:, side].argmax()) for side in range(lengths.shape[1])]]
    few = longest[:_ROWS_MEASURED]  # padded to the longest source and the longest target
    learner.network.train()
    once, twice = (_saved(learner, some) for some in (few, np.tile(few, 2)))
    a_row = (twice - once) // len(few)
    return once - a_row * len(few), a_row


def _saved(learner: Any, rows: Indices) -> int:
    """The bytes that a batch of these rows keeps for the backward pass, every storage once, weights apart."""
    seen: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    known = {weight.untyped_storage().data_ptr() for weight in learner.network.parameters()}
    batch = learner.task.batch(learner.data, rows).to(learner.device)
    with (
        torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
        autocast(learner.device, learner.dtype),
    ):
        loss = learner.task.loss(learner.model, learner.head, batch)
    del loss
    return sum(size for place, size in seen.items() if place not in known)


@contextmanager
def explained(doing: str, remedy: str = LESS_A_STEP) -> Iterator[None]:
    """Turns an allocation that fails inside the block into a ResourceError that names the settings to change."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ResourceError(f"{doing}: out of memory; {remedy}") from None


def _system() -> Iterator[int]:
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        yield int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return


def _control_group() -> Iterator[int]:
    folder = Path("/sys/fs/cgroup")
    for group, most, used in (
        (folder, "memory.max", "memory.current"),
        (folder / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        try:
            statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            files = sum(int(statistics.get(name, 0)) for name in ("inactive_file", "active_file"))  # can be given back
            yield int((group / most).read_text()) - int((group / used).read_text()) + files
        except (OSError, ValueError):  # no such group, or no limit ("max")
            continue


def _own_limit() -> Iterator[int]:
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        try:
            yield limit - int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        except (OSError, ValueError):
            return


def gigabytes(size: int) -> str:
    """Bytes to read: "1.3 GB"."""
    return f"{size / 1e9:,.1f} GB"
