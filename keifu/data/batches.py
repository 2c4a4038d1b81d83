"""Token sequences, batches of similar length, and a sampler that can be stopped and goes on exactly."""

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Indices = NDArray[np.integer[Any]]

_POOL = 20_000
"""Examples that are sorted by length together: enough for little padding, few enough to leave the order random."""


class Sequences:
    """Many token sequences in one array, `tokens`, four bytes a token."""

    def __init__(self, sequences: Iterable[Sequence[int] | NDArray[np.int32]]) -> None:
        rows = [np.asarray(row, dtype=np.int32) for row in sequences]
        self.lengths: Indices = np.fromiter(map(len, rows), np.int64, len(rows))
        self.tokens = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int32)
        self._starts = np.concatenate([[0], np.cumsum(self.lengths)])

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> NDArray[np.int32]:
        return self.tokens[self._starts[index] : self._starts[index + 1]]

    def take(self, rows: Indices) -> "Sequences":
        """These rows alone."""
        return Sequences([self[row] for row in rows.tolist()])

    def cut_to(self, most: int) -> "Sequences":
        """All rows, longer ones without what stands before their last token and after `most` - 1."""
        return Sequences(row if len(row) <= most else np.append(row[: most - 1], row[-1]) for row in self)

    def share_of(self, ids: Set[int]) -> float:
        """The share of all tokens that are one of these."""
        return float(np.isin(self.tokens, list(ids)).mean()) if len(self.tokens) else 0.0

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        return (self[row] for row in range(len(self)))

    def padded(self, rows: Indices, pad_id: int, first: int | None = None) -> Tensor:
        """Token ids `[B, T]` of the rows, padded on the right; `first` is put before every row."""
        lead = [] if first is None else [first]
        batch = np.full((len(rows), len(lead) + int(self.lengths[rows].max(initial=0))), pad_id, dtype=np.int64)
        batch[:, : len(lead)] = lead
        for place, row in enumerate(rows):
            batch[place, len(lead) : len(lead) + self.lengths[row]] = self[row]
        return torch.from_numpy(batch)


def length_mask(lengths: Indices) -> Tensor:
    """`[B, T]`, True at the real tokens of rows with these lengths."""
    longest = int(lengths.max(initial=0))
    return torch.from_numpy(np.arange(longest)[None, :] < lengths[:, None])


def to_right_padded(tokens: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Moves the real tokens of each row to the left. tokens and mask (True at real tokens; None: all) `[B, T]`.

    Returns tokens and mask, no longer than the longest row, and the order `[B, T]` that `from_right_padded` undoes.
    """
    mask = torch.ones_like(tokens, dtype=torch.bool) if mask is None else mask.to(tokens.device).bool()
    order = (~mask).int().argsort(dim=1, stable=True)
    longest = int(mask.sum(1).max()) if len(mask) else 0
    return tokens.gather(1, order)[:, :longest], mask.gather(1, order)[:, :longest], order


def from_right_padded(values: Tensor, order: Tensor) -> Tensor:
    """Puts values `[B, T, D]` back where their tokens stood; zeros stand at padding that was left away."""
    values = F.pad(values, (0, 0, 0, order.shape[1] - values.shape[1]))
    index = order.argsort(dim=1)
    return values[torch.arange(len(values), device=values.device)[:, None], index]


def cut(order: Indices, sizes: NDArray[np.integer[Any]], budget: int) -> list[Indices]:
    """Cuts `order` into batches whose padded size, rows times the longest, stays within `budget` tokens.

    An example longer than the budget becomes a batch of its own.
    """
    batches, begin, longest = [], 0, 0
    for place, size in enumerate(sizes[order].tolist()):
        longest = max(longest, size)
        if longest * (place - begin + 1) > budget and place > begin:
            batches.append(order[begin:place])
            begin, longest = place, size
    if len(order) > begin:
        batches.append(order[begin:])
    return batches


class Sampler:
    """Gives every example once an epoch, in random batches of similar length. Its position is two numbers.

    sizes: `[N, k]`, the length of each example on each of its k sides. budget: padded tokens a batch, of the longer
    side. The order of an epoch depends on seed and epoch alone, so `go_to(epoch, batch)` goes on where another
    sampler stopped.
    """

    def __init__(self, sizes: NDArray[np.integer[Any]], budget: int, seed: int) -> None:
        self._sizes, self._budget, self._seed = sizes, budget, seed
        self._made: tuple[int, list[Indices]] = (-1, [])
        self.go_to(0, 0)

    def go_to(self, epoch: int, batch: int) -> None:
        """Makes batch number `batch` (from 0) of an epoch the next one."""
        self.epoch, self.batch = epoch, batch

    @property
    def _batches(self) -> list[Indices]:
        """Those of the epoch, made when they are first asked for."""
        if self._made[0] != self.epoch:
            self._made = (-1, [])  # an old epoch's need not stay while the new one's are made
            self._made = (self.epoch, self._batches_of(self.epoch))
        return self._made[1]

    @property
    def batches_per_epoch(self) -> int:
        return len(self._batches)

    def largest(self) -> Indices:
        """The epoch's batch with the most tokens, padding included."""
        return max(self._batches, key=self._positions)

    def padding(self) -> float:
        """The share of the epoch's positions that are padding."""
        filled = sum(int(self._sizes[rows].sum()) for rows in self._batches)
        return 1 - filled / sum(map(self._positions, self._batches))

    def _positions(self, rows: Indices) -> int:
        return int(len(rows) * self._sizes[rows].max(axis=0).sum())

    def __iter__(self) -> Iterator[Indices]:
        return self

    def __next__(self) -> Indices:
        if self.batch >= len(self._batches):  # more, where a run goes on that had more in an epoch
            self.go_to(self.epoch + 1, 0)
        self.batch += 1
        return self._batches[self.batch - 1]

    def _batches_of(self, epoch: int) -> list[Indices]:
        random = np.random.default_rng([self._seed, epoch])
        order = np.arange(len(self._sizes), dtype=np.int32)  # batches are views of it: there may be many millions
        random.shuffle(order)
        longest = self._sizes.max(axis=1)
        batches: list[Indices] = []
        for begin in range(0, len(order), _POOL):
            pool = order[begin : begin + _POOL]
            pool[:] = pool[np.lexsort(self._sizes[pool].T)]  # the last side decides first, so targets pad least
            batches += cut(pool, longest, self._budget)
        return [batches[index] for index in random.permutation(len(batches))]
