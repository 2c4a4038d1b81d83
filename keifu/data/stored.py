"""Data that are too large for memory: their text in a file, here only where each part begins."""

import os
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
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
_CHARACTERS = 1 << 20  # of a long text, that are read at once


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


class StoredText:
    """A text that lies in a file, in blocks of at most about a million characters. A part of it shares the file."""

    def __init__(
        self, file: IO[bytes], starts: NDArray[np.int64], counts: NDArray[np.int64], begin: int, end: int
    ) -> None:
        """starts, counts: bytes and characters before each block, and before the end. begin, end: the part, in
        characters.
        """
        self._file, self._starts, self._counts, self._begin, self._end = file, starts, counts, begin, end

    def __len__(self) -> int:
        return self._end - self._begin

    def blocks(self) -> Iterator[str]:
        """The text, a block at a time."""
        first = int(np.searchsorted(self._counts, self._begin, side="right")) - 1
        for block in range(first, len(self._counts) - 1):
            before = int(self._counts[block])
            if before >= self._end:
                return
            start, stop = int(self._starts[block]), int(self._starts[block + 1])
            text = os.pread(self._file.fileno(), stop - start, start).decode()
            yield text[max(0, self._begin - before) : self._end - before]

    def cut(self, begin: int, end: int) -> "StoredText":
        """The characters from `begin` up to `end`."""
        begin, end = min(begin, len(self)), min(end, len(self))
        return StoredText(self._file, self._starts, self._counts, self._begin + begin, self._begin + max(begin, end))


def collect_text(pieces: Iterable[str], most_in_memory: int | None = None) -> str | StoredText:
    """The pieces as one text, stored as `collect` stores pairs where they have more bytes than that (default:
    MOST_IN_MEMORY). Raises DataError where the disk is full.
    """
    most = MOST_IN_MEMORY if most_in_memory is None else most_in_memory
    kept: list[str] = []
    size = 0
    remaining = iter(pieces)
    for piece in remaining:
        kept.append(piece)
        size += len(piece.encode())
        if size > most:
            return _store_text(chain(kept, remaining))
    return "".join(kept)


def _store_text(pieces: Iterable[str]) -> StoredText:
    starts, counts = array("q", [0]), array("q", [0])
    with _explained():
        file = _nameless_file()
        for block in _in_blocks(pieces):
            content = block.encode()
            file.write(content)
            starts.append(starts[-1] + len(content))
            counts.append(counts[-1] + len(block))
        file.flush()
    return StoredText(file, np.frombuffer(starts, np.int64), np.frombuffer(counts, np.int64), 0, counts[-1])


def _in_blocks(pieces: Iterable[str]) -> Iterator[str]:
    """The same text in blocks that are neither very small nor larger than they may be."""
    waiting: list[str] = []
    size = 0
    for piece in pieces:
        for begin in range(0, len(piece), _CHARACTERS):
            waiting.append(piece[begin : begin + _CHARACTERS])
            size += len(waiting[-1])
            if 2 * size > _CHARACTERS:
                yield "".join(waiting)
                waiting, size = [], 0
    if waiting:
        yield "".join(waiting)


def store(pairs: Iterable[Pair]) -> StoredPairs:
    """The pairs in a file without a name. Raises DataError where it cannot be written."""
    starts, middles = array("q", [0]), array("I")
    with _explained():
        file = _nameless_file()
        for pair in pairs:
            left, right = pair.source.encode(), pair.target.encode()
            file.write(left)
            file.write(right)
            starts.append(starts[-1] + len(left) + len(right))
            middles.append(len(left))
        file.flush()
    whole = np.frombuffer(starts, np.int64)
    compact = whole.astype(np.uint32) if starts[-1] < 2**32 else whole
    return StoredPairs(file, compact, np.frombuffer(middles, np.uint32), turned=False)


def _nameless_file() -> Any:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder, buffering=1 << 20)  # lives as long as what is in it


@contextmanager
def _explained() -> Iterator[None]:
    """Turns a file that cannot be written into a message."""
    try:
        yield
    except OSError as error:
        raise cannot_be_kept(error) from None


def cannot_be_kept(error: OSError) -> DataError:
    """What to say where the cache folder takes no more."""
    return DataError(
        f"{cache_folder()}: data larger than memory cannot be kept here: {error.strerror}; "
        "make room, or name another folder in $KEIFU_CACHE"
    )
