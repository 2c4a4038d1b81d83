"""Keys and values of the positions that a decoder has already read, kept so that each is computed once.

The memory is allocated ahead and shared by the states that follow one another; a state that is no longer the newest
copies what it needs before it goes on, so that every state remains a value.

Rows come in groups of equal size that stand together, such as the rows of a beam. A group keeps its columns in common
and each row knows which of them are its own past: when rows of a group change places, no key or value is copied.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from keifu.layers.attention import format_for_steps, past_mask


def groups_of(rows: Tensor, size: int) -> Tensor:
    """The groups to keep, so that the chosen rows stand in them again, as many in each: `rows` are indices into groups
    of `size` rows. Where groups would have different numbers of rows, every row becomes a group of its own.
    """
    chosen = rows // max(1, size)
    kept, counts = chosen.unique_consecutive(return_counts=True)
    return chosen if (counts != counts[:1]).any() else kept


_WIDEST = 16
"""Rows of a group: of more, each would look through too many columns of the others."""


def groups_to_keep(rows: Tensor, size: int, groups: int) -> Tensor | None:
    """As `groups_of`, but no group becomes wider than 16 rows. None where all `groups` stay as they are."""
    kept = groups_of(rows, size)
    if len(rows) > _WIDEST * len(kept):
        kept = rows // size
    return None if torch.equal(kept, torch.arange(groups, device=rows.device)) else kept


class _Storage:
    """keys and values `[L, U, H, capacity + 1, A]` of U groups, of which `used` columns are written. One is never used,
    so that those of several heads are never in one piece: code compiled for one form then serves every length.
    """

    def __init__(self, keys: Tensor, values: Tensor, used: int) -> None:
        self.keys, self.values, self.used = keys, values, used

    @property
    def capacity(self) -> int:
        return self.keys.shape[3] - 1


class LayerCache(NamedTuple):
    """keys and values `[U, H, columns, A]` of one layer."""

    keys: Tensor
    values: Tensor

    def write(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Fills the newest columns with `[U, H, group_size * n, A]`, row after row, and returns all keys and values."""
        count = key.shape[2]
        self.keys.narrow(2, self.keys.shape[2] - count, count).copy_(key)
        self.values.narrow(2, self.keys.shape[2] - count, count).copy_(value)
        return self.keys, self.values


@dataclass(frozen=True)
class KeyValueCache:
    """The first `columns` columns of a storage, for every layer.

    lengths: real tokens of each row `[B]`. past: `[B, columns]`, True at the columns that hold a row's own real tokens;
    None where all do.
    """

    storage: _Storage
    columns: int
    lengths: Tensor
    past: Tensor | None = None

    @classmethod
    def empty(
        cls, layers: int, rows: int, heads: int, width: int, capacity: int, dtype: torch.dtype, device: torch.device
    ) -> "KeyValueCache":
        """A cache of as many groups as rows, for a model in the number format `dtype`."""
        kept = format_for_steps(dtype, device)
        keys = torch.empty(layers, rows, heads, capacity + 1, width, dtype=kept, device=device)
        lengths = torch.zeros(rows, dtype=torch.long, device=device)
        return cls(_Storage(keys, torch.empty_like(keys), 0), 0, lengths)

    @property
    def groups(self) -> int:
        return self.storage.keys.shape[1]

    @property
    def group_size(self) -> int:
        return len(self.lengths) // max(self.groups, 1)

    def grow(self, count: int, real: Tensor | None = None) -> "KeyValueCache":
        """The cache with `count` more tokens a row, whose columns each layer must fill.

        real: `[B, count]`, True at real tokens.
        """
        real = None if real is None or bool(real.all()) else real
        storage, columns = self.storage, self.columns + self.group_size * count
        if storage.used != self.columns or storage.capacity < columns:
            capacity = max(columns, storage.capacity if storage.used != self.columns else 2 * columns)
            storage = self._copied(capacity)
        storage.used = columns
        if self.group_size == 1 and real is None and self.past is None:
            return KeyValueCache(storage, columns, self.lengths + count)
        new = real if real is not None else self.lengths.new_ones(len(self.lengths), count, dtype=torch.bool)
        past = self.past if self.past is not None else new.new_ones(len(new), self.columns)
        past = torch.cat([past, self._own(new)], dim=1)
        return KeyValueCache(storage, columns, self.lengths + new.sum(1), past)

    def _own(self, real: Tensor) -> Tensor:
        """Tokens `[B, n]` of every row among the new columns of its group `[B, group_size * n]`."""
        size = self.group_size
        row = torch.eye(size, dtype=torch.bool, device=real.device).repeat(self.groups, 1)
        return (row[:, :, None] & real[:, None, :]).flatten(1)

    def mask(self, count: int) -> Tensor | None:
        """What the newest `count` tokens of each row may attend to: `[U, 1, group_size * count, columns]`.

        None where that is everything.
        """
        return past_mask(self.past, count, self.columns, self.groups, self.lengths.device)

    def layers(self) -> list[LayerCache]:
        """The columns of every layer, the newest of which it has to fill."""
        keys, values = (each.narrow(3, 0, self.columns) for each in (self.storage.keys, self.storage.values))
        return [LayerCache(keys[layer], values[layer]) for layer in range(len(keys))]  # what unbind gives is read alone

    def select(self, rows: Tensor, groups: Tensor | None) -> Self:
        """The rows of index `[R]`, from the groups of index `[G]`, equally many from each; None: from all groups as
        they stand.
        """
        lengths, past = self.lengths[rows], None if self.past is None else self.past[rows]
        kept = torch.arange(self.groups, device=rows.device) if groups is None else groups
        if past is not None and self.group_size > 1 and 0 < len(rows) == len(kept):
            return self._apart(kept, lengths, past)
        storage = self.storage if groups is None else self._copied(self.storage.capacity, groups)
        return type(self)(storage, self.columns, lengths, past)

    def _apart(self, groups: Tensor, lengths: Tensor, past: Tensor) -> Self:
        """Rows that leave their groups, of index `[R]`, each with a copy of its own past alone: with all columns of its
        group it would need as many times the memory as there were rows.
        """
        counts = past.sum(1)
        columns = int(counts.max())
        own = past.byte().argsort(dim=1, descending=True, stable=True)[:, :columns]

        def copied(old: Tensor) -> Tensor:
            layers, _, heads, _, width = old.shape
            new = old.new_empty(layers, len(groups), heads, columns + 1, width)
            for row, (group, places) in enumerate(zip(groups.tolist(), own, strict=True)):
                new[:, row, :, :columns] = old[:, group].index_select(2, places)
            return new

        storage = _Storage(copied(self.storage.keys), copied(self.storage.values), columns)
        short = torch.arange(columns, device=past.device) >= counts[:, None]
        return type(self)(storage, columns, lengths, ~short if short.any() else None)

    def _copied(self, capacity: int, groups: Tensor | None = None) -> _Storage:
        def copied(old: Tensor) -> Tensor:
            written = old[:, :, :, : self.columns]
            if groups is not None:
                written = written.index_select(1, groups)
            layers, count, heads, _, width = written.shape
            new = old.new_empty(layers, count, heads, capacity + 1, width)
            new[:, :, :, : self.columns] = written
            return new

        return _Storage(copied(self.storage.keys), copied(self.storage.values), self.columns)


@dataclass(frozen=True)
class CachedState:
    """A model that reads one text, in its middle: what it has read are the keys and values of its cache."""

    cache: KeyValueCache

    def select(self, rows: Tensor) -> "CachedState":
        """The state of the rows named by index `[R]`: kept, repeated, reordered or dropped."""
        kept = groups_to_keep(rows, self.cache.group_size, self.cache.groups)
        return CachedState(self.cache.select(rows, kept))
