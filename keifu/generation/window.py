"""Texts longer than what a model reads together: the model goes on from the latest part of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from keifu.data.batches import Sequences, length_mask


@dataclass(frozen=True)
class WindowState:
    """inner: the model's own state. windows: the tokens of each row that it has read; begins: how many stand before
    them.
    """

    inner: Any
    windows: tuple[list[int], ...]
    begins: tuple[int, ...]

    def select(self, rows: Tensor) -> "WindowState":
        """The state of the rows named by index: kept, repeated, reordered or dropped."""
        chosen = rows.tolist()
        windows, begins = (tuple(of[row] for row in chosen) for of in (self.windows, self.begins))
        return WindowState(self.inner.select(rows), windows, begins)


class Windowed:
    """The steps of a model over texts of any length. A row that would be longer than `model.longest` lets go of so many
    halves of that at its beginning that it fits, and is read anew; which is decided by its own length alone. lead: what
    is put before such a part.
    """

    def __init__(self, model: Any, lead: Sequence[int]) -> None:
        self._model, self._lead = model, list(lead)

    def start(self, rows: int) -> WindowState:
        """The state before the first token of so many texts."""
        return WindowState(self._model.start(rows), ([],) * rows, (0,) * rows)

    def step(self, tokens: Tensor, state: WindowState, mask: Tensor | None = None) -> tuple[Tensor, WindowState]:
        """As a model's. Hidden vectors of tokens that were let go of unread are zeros."""
        counts = [tokens.shape[1]] * len(tokens) if mask is None else mask.sum(1).tolist()
        pieces = [row[:count] for row, count in zip(tokens.tolist(), counts, strict=True)]
        windows = [[*window, *piece] for window, piece in zip(state.windows, pieces, strict=True)]
        begins = [self._begin(old + len(window)) for old, window in zip(state.begins, windows, strict=True)]
        if begins == list(state.begins):
            hidden, inner = self._model.step(tokens, state.inner, mask)
            return hidden, WindowState(inner, tuple(windows), state.begins)
        windows = [window[new - old :] for window, new, old in zip(windows, begins, state.begins, strict=True)]
        read = Sequences(
            [*(self._lead if begin else []), *window] for window, begin in zip(windows, begins, strict=True)
        )
        padded, real = read.padded(np.arange(len(read)), 0), length_mask(read.lengths)
        latest, inner = self._model.step(padded.to(tokens.device), self._model.start(len(read)), real.to(tokens.device))
        hidden = latest.new_zeros(*tokens.shape, latest.shape[-1])
        for row, (length, window) in enumerate(zip(read.lengths.tolist(), windows, strict=True)):
            new = min(counts[row], len(window))
            hidden[row, counts[row] - new : counts[row]] = latest[row, length - new : length]
        return hidden, WindowState(inner, tuple(windows), tuple(begins))

    def _begin(self, length: int) -> int:
        """How many tokens a row of this length has let go of."""
        longest: int = self._model.longest
        if length <= longest:
            return 0
        half = max(1, longest // 2)
        return half * -(-(length + len(self._lead) - longest) // half)


def steps_for(model: Any, longest: int, lead: Sequence[int]) -> Any:
    """What steps through texts of up to `longest` tokens: the model itself, or its windows where that is too long."""
    within = getattr(model, "longest", None)
    return model if within is None or longest <= within else Windowed(model, lead)
