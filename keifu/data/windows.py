"""Token sequences as windows, in which every token is predicted from those before it."""

from collections.abc import Iterable, Sequence, Set
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from keifu.data.batches import Indices, Sampler

Tokens = NDArray[np.integer[Any]]

_PART = 1 << 24  # tokens that are looked at together


class Windows:
    """Stretches of one array of tokens: window r reads those from `begins[r]` on, as many as `lengths[r]`, and predicts
    the one after each.

    streams: so many windows stand side by side, and window r + streams goes on where window r ends; 0: every window
    stands for itself.
    """

    def __init__(self, tokens: Tokens, begins: Indices, lengths: Indices, streams: int = 0) -> None:
        self.tokens, self.begins, self.lengths, self.streams = tokens, begins, lengths, streams

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def sizes(self) -> Indices:
        """`[N, 1]`, the tokens that each window reads."""
        return self.lengths[:, None]

    def rows(self) -> Indices:
        """The indices of all windows."""
        return np.arange(len(self))

    @property
    def predictions(self) -> int:
        """The tokens that are predicted, all windows together."""
        return int(self.lengths.sum())

    def share_of(self, ids: Set[int]) -> float:
        """The share of all tokens that are one of these."""
        return _share_of(self.tokens, ids)

    def padded(self, rows: Indices, pad_id: int) -> tuple[Tensor, Tensor]:
        """What the windows of these rows read, and what they predict, `[B, T]` each, padded on the right."""
        batch = np.full((2, len(rows), int(self.lengths[rows].max(initial=0))), pad_id, dtype=np.int64)
        for place, row in enumerate(rows.tolist()):
            begin, length = self.begins[row], self.lengths[row]
            batch[0, place, :length] = self.tokens[begin : begin + length]
            batch[1, place, :length] = self.tokens[begin + 1 : begin + length + 1]
        inputs, targets = torch.from_numpy(batch)
        return inputs, targets

    def within(self, rows: Indices, begin: int, most: int) -> "Windows":
        """Of the windows of these rows the stretch from token `begin` on, at most so long; all reach beyond it."""
        return Windows(self.tokens, self.begins[rows] + begin, np.minimum(self.lengths[rows] - begin, most))


class Stretches:
    """Windows of one length over one array of tokens, which may begin at any of them: window r predicts `length` tokens
    from number r on. It reads those before each, and before the first of them `lead`; where there is none, it predicts
    from number r + 1 on.
    """

    streams = 0

    def __init__(self, tokens: Tokens, length: int, lead: int | None = None) -> None:
        self.tokens, self.lead = tokens, lead
        self.predictions = len(tokens) - (lead is None)
        self.length = min(length, self.predictions)

    def __len__(self) -> int:
        return self.predictions - self.length + 1

    @property
    def lengths(self) -> Indices:
        """`[N]`, the tokens that each window reads: one number, whatever N is."""
        return np.broadcast_to(np.int64(self.length), (len(self),))

    @property
    def sizes(self) -> Indices:
        """`[N, 1]`, the same."""
        return self.lengths[:, None]

    def share_of(self, ids: Set[int]) -> float:
        """The share of all tokens that are one of these."""
        return _share_of(self.tokens, ids)

    def padded(self, rows: Indices, pad_id: int) -> tuple[Tensor, Tensor]:
        """What the windows of these rows read, and what they predict, `[B, T]` each."""
        count = self.length + (self.lead is None)
        block = torch.from_numpy(self.tokens[rows[:, None] + np.arange(count)].astype(np.int64))
        if self.lead is None:
            return block[:, :-1], block[:, 1:]
        return torch.cat([torch.full((len(rows), 1), self.lead), block[:, :-1]], dim=1), block


def _share_of(tokens: Tokens, ids: Set[int]) -> float:
    """Counted part by part, since there may be more tokens than memory holds."""
    parts = (tokens[begin : begin + _PART] for begin in range(0, len(tokens), _PART))
    return sum(int(np.isin(part, list(ids)).sum()) for part in parts) / max(1, len(tokens))


def whole(sequences: Iterable[Sequence[int] | Tokens]) -> Windows:
    """Each sequence as one window, however long."""
    rows = [np.asarray(row, np.int32) for row in sequences]
    sizes = np.fromiter(map(len, rows), np.int64, len(rows))
    tokens = np.concatenate(rows) if rows else np.zeros(0, np.int32)
    return Windows(tokens, np.cumsum(sizes) - sizes, sizes - 1)


def split(tokens: Tokens, count: int) -> Windows:
    """One array of tokens as so many windows beside each other, of one length, the first ones longer by one token."""
    predictions = len(tokens) - 1
    count = max(1, min(count, predictions))
    lengths = predictions // count + (np.arange(count) < predictions % count)
    return Windows(tokens, np.cumsum(lengths) - lengths, lengths)


def cut_to(windows: Windows, most: int) -> Windows:
    """The same predictions in windows of at most `most` tokens."""
    begins, lengths = [], []
    for begin, length in zip(windows.begins.tolist(), windows.lengths.tolist(), strict=True):
        places = np.arange(0, length, most)
        begins.append(begin + places)
        lengths.append(np.minimum(most, length - places))
    return Windows(windows.tokens, np.concatenate(begins), np.concatenate(lengths))


def side_by_side(windows: Windows, most: int) -> Windows:
    """The same predictions in windows of `most` tokens: first the first of each sequence, then the second of each.

    The sequences are of one length, or the first ones longer by one token, which their last window takes: what goes
    side by side from window to window is always all of them.
    """
    shortest = int(windows.lengths.min())
    places = np.arange(0, max(1, shortest), most)[:, None]
    lengths = np.minimum(windows.lengths - places, most)
    lengths[-1] = windows.lengths - places[-1]
    begins = windows.begins + places
    return Windows(windows.tokens, begins.flatten(), lengths.flatten(), streams=len(windows))


class InOrder(Sampler):
    """Gives the windows of streams in their order: in each batch the next one of every stream."""

    def __init__(self, windows: Windows) -> None:
        self._together = windows.streams
        super().__init__(windows.sizes, 0, 0)

    def _batches_of(self, epoch: int) -> list[Indices]:
        rows = np.arange(len(self._sizes), dtype=np.int32)
        return [rows[begin : begin + self._together] for begin in range(0, len(rows), self._together)]


class Shuffled(Sampler):
    """Gives windows that stand side by side, in a random order; from another place on in every epoch, so that they are
    cut elsewhere. Every token is predicted once an epoch, but for up to two windows' before the first and after the
    last, which are others in another epoch.
    """

    def __init__(self, windows: Stretches, together: int, seed: int) -> None:
        self._windows, self._together = windows, together
        super().__init__(windows.sizes, 0, seed)

    def largest(self) -> Indices:
        return self._batches[0]

    def padding(self) -> float:
        return 0.0

    def _batches_of(self, epoch: int) -> list[Indices]:
        random = np.random.default_rng([self._seed, epoch])
        tokens, length = self._windows.predictions, self._windows.length
        count = max(1, (tokens + 1) // length - 1)  # wherever the first begins
        rows = random.integers(tokens - count * length + 1) + length * np.arange(count)
        random.shuffle(rows)
        return [rows[begin : begin + self._together] for begin in range(0, len(rows), self._together)]
