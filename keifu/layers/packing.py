"""Padded rows read without their padding: texts of different lengths stand one behind another in common rows, and a
mask keeps them apart.

Products of full rows are faster than those of many small batches of like length (benchmarks/encoding.py).
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_SHORTEST = 64  # tokens of a packed row, at least
_WORTH = 0.9  # share of real tokens up to which it pays


class Packing(NamedTuple):
    """Where tokens of `[B, T]` stand in packed rows `[R, W]`.

    taken: for every place of these the token that stands there `[R * W]`, of all `B * T` in a row; behind the last text
    of a row any. mask: `[R, 1, W, W]`, True within a text. back: of every real token its place `[N]`; real: `[B, T]`.
    """

    taken: Tensor
    mask: Tensor
    back: Tensor
    real: Tensor

    def pack(self, x: Tensor) -> Tensor:
        """x `[B, T, D]` as `[R, W, D]`."""
        return x.flatten(0, 1)[self.taken].view(*self.mask.shape[::3], x.shape[-1])

    def unpack(self, x: Tensor) -> Tensor:
        """x `[R, W, D]` as `[B, T, D]`, zero where there is no token."""
        result = x.new_zeros(*self.real.shape, x.shape[-1])
        result[self.real] = x.flatten(0, 1)[self.back]
        return result


def packing_of(real: Tensor) -> Packing | None:
    """How rows `[B, T]`, True at their real tokens, which stand on the left, are packed; None where that does not pay,
    and on a GPU, where it was not measured.

    The longest first, each into the first row that has room for it.
    """
    if real.device.type != "cpu":
        return None
    lengths = real.sum(1).numpy()
    if len(lengths) < 2 or lengths.sum() > _WORTH * real.numel():
        return None
    width = max(_SHORTEST, int(lengths.max()))
    free: list[int] = []
    row_of, begin_of = np.zeros(len(lengths), np.int64), np.zeros(len(lengths), np.int64)
    for text in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[text])
        row = next((row for row, room in enumerate(free) if room >= length), len(free))
        if row == len(free):
            free.append(width)
        row_of[text], begin_of[text] = row, width - free[row]
        free[row] -= length
    text = np.repeat(np.arange(len(lengths)), lengths)
    within = np.arange(len(text)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    back = row_of[text] * width + begin_of[text] + within
    taken, owner = np.zeros(len(free) * width, np.int64), np.full(len(free) * width, -1)
    taken[back], owner[back] = text * real.shape[1] + within, text
    rows = torch.from_numpy(owner).view(len(free), width)
    mask = (rows[:, :, None] == rows[:, None, :])[:, None]
    return Packing(torch.from_numpy(taken), mask, torch.from_numpy(back), real)
