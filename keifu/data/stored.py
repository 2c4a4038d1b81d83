"""Pairs that are too many for memory: their text in a file, here only where each begins."""

import os
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import IO, Any, overload

import numpy as np
from numpy.typing import NDArray

from keifu.data.cache import cache_folder
from keifu.data.examples import Pair
from keifu.errors import DataError

MOST_IN_MEMORY = 64_000_000
"""Bytes of text that are kept in memory: some 500,000 sentence pairs, which take about six times as much there."""

_BLOCK = 4096  # pairs that are read at once


class StoredPairs(Sequence[Pair]):
    """A sequence of pairs whose texts lie in a file. A slice of it shares the file; `turned` swaps the sides."""

    def __init__(
        self, file: IO[bytes], starts: NDArray[np.integer[Any]], middles: NDArray[np.uint32], turned: bool
    ) -> None:
        self._file, self._starts, self._middles, self._turned = file, starts, middles, turned

    def __len__(self) -> int:
        return len(self._middles)

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> "StoredPairs": ...
    def __getitem__(self, index: int | slice) -> "Pair | StoredPairs":
        if isinstance(index, slice):
            begin, end, step = index.indices(len(self))
            assert step == 1, "stored pairs are cut, not sampled"
            end = max(begin, end)
            return StoredPairs(self._file, self._starts[begin : end + 1], self._middles[begin:end], self._turned)
        index = range(len(self))[index]
        return self._pair(self._read(index, index + 1), 0, index)

    def __iter__(self) -> Iterator[Pair]:
        for begin in range(0, len(self), _BLOCK):
            end = min(begin + _BLOCK, len(self))
            block = self._read(begin, end)
            for index in range(begin, end):
                yield self._pair(block, int(self._starts[index] - self._starts[begin]), index)

    def turned(self) -> "StoredPairs":
        return StoredPairs(self._file, self._starts, self._middles, not self._turned)

    def byte_lengths(self, begin: int, end: int) -> NDArray[np.int64]:
        """`[end - begin, 2]`, bytes of the source and of the target of the pairs from `begin` up to `end`."""
        whole = np.diff(self._starts[begin : end + 1].astype(np.int64))
        left = self._middles[begin:end].astype(np.int64)
        sides = np.stack([left, whole - left], axis=1)
        return sides[:, ::-1] if self._turned else sides

    def _read(self, begin: int, end: int) -> bytes:
        first, last = int(self._starts[begin]), int(self._starts[end])
        content = os.pread(self._file.fileno(), last - first, first)
        assert len(content) == last - first
        return content

    def _pair(self, block: bytes, offset: int, index: int) -> Pair:
        middle = offset + int(self._middles[index])
        end = offset + int(self._starts[index + 1] - self._starts[index])
        left, right = block[offset:middle].decode(), block[middle:end].decode()
        return Pair(right, left) if self._turned else Pair(left, right)


def collect(pairs: Iterable[Pair], most_in_memory: int = MOST_IN_MEMORY) -> Sequence[Pair]:
    """The pairs as a list, or stored where their text has more bytes than that.

    The file lies in the cache folder under no name, so that it is gone when the process is. Raises DataError where
    the disk is full.
    """
    kept: list[Pair] = []
    size = 0
    remaining = iter(pairs)
    for pair in remaining:
        kept.append(pair)
        size += len(pair.source.encode()) + len(pair.target.encode())
        if size > most_in_memory:
            return store(chain(kept, remaining))
    return kept


def store(pairs: Iterable[Pair]) -> StoredPairs:
    """The pairs in a file without a name. Raises DataError where it cannot be written."""
    folder = cache_folder()
    starts, middles = array("q", [0]), array("I")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file: Any = tempfile.TemporaryFile(dir=folder, buffering=1 << 20)  # noqa: SIM115 - lives as long as the pairs
        for pair in pairs:
            left, right = pair.source.encode(), pair.target.encode()
            file.write(left)
            file.write(right)
            starts.append(starts[-1] + len(left) + len(right))
            middles.append(len(left))
        file.flush()
    except OSError as error:
        raise DataError(
            f"{folder}: data larger than memory cannot be kept here: {error.strerror}; "
            "make room, or name another folder in $KEIFU_CACHE"
        ) from None
    whole = np.frombuffer(starts, np.int64)
    compact = whole.astype(np.uint32) if starts[-1] < 2**32 else whole
    return StoredPairs(file, compact, np.frombuffer(middles, np.uint32), turned=False)
