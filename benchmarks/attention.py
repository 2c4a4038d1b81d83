"""Fused against written-out attention by shape and number format: forward and backward over whole sentences, then over
texts whose tokens see what stands before them, then forward where a few queries ask, as they do when tokens are written
one after another.

    python benchmarks/attention.py

The rule in keifu/layers/attention.py is read off this table. Times are medians in milliseconds; a ratio above 1 says
that the written-out form is the faster one.
"""

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from keifu.layers.attention import _written_out, causal_mask, padding_mask
from keifu.training.allocator import keep_freed_memory

SHAPES = [(256, 16), (128, 32), (64, 64), (32, 128), (16, 256), (8, 512), (4, 1024)]  # batch, length: ~4096 tokens
STEPS = [
    (1, 1, 32),
    (1, 1, 160),
    (1, 1, 1024),
    (8, 1, 160),
    (64, 1, 8),
    (64, 1, 20),
    (64, 4, 20),
    (64, 4, 80),
    (64, 8, 20),
    (64, 1, 200),
]  # batch, queries, keys
HEADS, WIDTH, REPEATS = 8, 32, 9


def main() -> None:
    keep_freed_memory()
    print(f"{torch.get_num_threads()} threads, {HEADS} heads of {WIDTH}, forward + backward, ms")
    print(f"{'format':10}{'batch x length':>16}{'fused':>10}{'written out':>13}{'ratio':>8}")
    for dtype in (torch.float32, torch.bfloat16):
        for batch, length in SHAPES:
            mask = padding_mask(torch.ones(batch, length, dtype=torch.bool))
            fused, plain = (median(run, batch, length, dtype, mask) for run in (run_fused, _written_out))
            print_row(dtype, f"{batch} x {length}", fused, plain)
    print(f"\n{'causal':10}{'batch x length':>16}{'fused':>10}{'written out':>13}{'ratio':>8}")
    for dtype in (torch.float32, torch.bfloat16):
        for batch, length in SHAPES:
            mask = causal_mask(length, length, torch.device("cpu"))
            fused, plain = (median(run, batch, length, dtype, mask) for run in (run_fused_causal, _written_out))
            print_row(dtype, f"{batch} x {length}", fused, plain)
    print(f"\n{'forward':10}{'queries x keys':>16}{'fused':>10}{'written out':>13}{'ratio':>8}")
    for dtype in (torch.float32, torch.bfloat16):
        for batch, queries, keys in STEPS:
            fused, plain = (step(run, batch, queries, keys, dtype) for run in (run_fused, _written_out))
            print_row(dtype, f"{batch}: {queries} x {keys}", fused, plain)


def print_row(dtype: torch.dtype, shape: str, fused: float, plain: float) -> None:
    print(f"{str(dtype).removeprefix('torch.'):10}{shape:>16}{fused:10.3f}{plain:13.3f}{fused / plain:8.2f}")


def run_fused(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def run_fused_causal(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value, is_causal=True)


def median(run: Callable[..., Tensor], batch: int, length: int, dtype: torch.dtype, mask: Tensor) -> float:
    """Milliseconds of one forward and backward pass, the median of several after a warm-up."""
    inputs = [torch.randn(batch, HEADS, length, WIDTH, dtype=dtype, requires_grad=True) for _ in range(3)]
    times = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        run(*inputs, mask).sum().backward()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times[1:])


@torch.inference_mode()
def step(run: Callable[..., Tensor], batch: int, queries: int, keys: int, dtype: torch.dtype) -> float:
    """Milliseconds of one forward pass, the median of many after a warm-up."""
    query = torch.randn(batch, HEADS, queries, WIDTH, dtype=dtype)
    memory = torch.randn(2, batch, HEADS, keys, WIDTH, dtype=dtype)
    mask = padding_mask(torch.ones(batch, keys, dtype=torch.bool))
    times = []
    for _ in range(20 * REPEATS):
        began = time.perf_counter()
        run(query, *memory, mask)
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times[REPEATS:])


if __name__ == "__main__":
    main()
