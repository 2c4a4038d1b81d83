"""Keys and values of the positions that a decoder has already read, kept so that each is computed once.

The memory is allocated ahead and shared by the states that follow one another; a state that is no longer the newest
copies what it needs before it goes on, so that every state remains a value.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


class _Storage:
    """keys and values `[L, B, H, capacity, A]`, of which `used` columns are written."""

    def __init__(self, keys: Tensor, values: Tensor, used: int) -> None:
        self.keys, self.values, self.used = keys, values, used


@dataclass(frozen=True)
class KeyValueCache:
    """The first `columns` columns of a storage, for every layer.

    lengths: real tokens of each row `[B]`. real: `[B, columns]`, False where a shorter row of a ragged prompt was
    padded; None where all is real.
    """

    storage: _Storage
    columns: int
    lengths: Tensor
    real: Tensor | None = None

    @classmethod
    def empty(
        cls, layers: int, rows: int, heads: int, width: int, capacity: int, dtype: torch.dtype, device: torch.device
    ) -> "KeyValueCache":
        keys = torch.empty(layers, rows, heads, capacity, width, dtype=dtype, device=device)
        lengths = torch.zeros(rows, dtype=torch.long, device=device)
        return cls(_Storage(keys, torch.empty_like(keys), 0), 0, lengths)

    def grow(self, count: int, real: Tensor | None = None) -> "KeyValueCache":
        """The cache with `count` more columns, which `write` must fill. real: `[B, count]`, True at real tokens."""
        storage, columns = self.storage, self.columns + count
        if storage.used != self.columns or storage.keys.shape[3] < columns:
            capacity = max(columns, storage.keys.shape[3] if storage.used != self.columns else 2 * columns)
            storage = _Storage(
                self._copied(storage.keys, capacity), self._copied(storage.values, capacity), self.columns
            )
        storage.used = columns
        if real is None and self.real is None:
            return KeyValueCache(storage, columns, self.lengths + count)
        rows = self.lengths.shape[0]
        old = self.real if self.real is not None else self.lengths.new_ones(rows, self.columns, dtype=torch.bool)
        new = real if real is not None else self.lengths.new_ones(rows, count, dtype=torch.bool)
        return KeyValueCache(storage, columns, self.lengths + new.sum(1), torch.cat([old, new], dim=1))

    def write(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Fills the newest columns of a layer with `[B, H, n, A]` and returns all of its keys and values."""
        first = self.columns - key.shape[2]
        self.storage.keys[layer, :, :, first : self.columns] = key
        self.storage.values[layer, :, :, first : self.columns] = value
        return self.storage.keys[layer, :, :, : self.columns], self.storage.values[layer, :, :, : self.columns]

    def select(self, rows: Tensor) -> Self:
        capacity = self.storage.keys.shape[3]
        storage = _Storage(
            self._copied(self.storage.keys, capacity, rows),
            self._copied(self.storage.values, capacity, rows),
            self.columns,
        )
        real = None if self.real is None else self.real[rows]
        return type(self)(storage, self.columns, self.lengths[rows], real)

    def _copied(self, old: Tensor, capacity: int, rows: Tensor | None = None) -> Tensor:
        written = old[:, :, :, : self.columns]
        if rows is not None:
            written = written.index_select(1, rows)
        layers, batch, heads, _, width = written.shape
        new = old.new_empty(layers, batch, heads, capacity, width)
        new[:, :, :, : self.columns] = written
        return new
