"""The tokens of a text: in memory, or, of a long one, in a file that is made once and then read where it lies.

The file lies in the cache, under a name that follows from the text and the tokenizer. It grows piece by piece beside a
note of how far it is, so that a process that was killed goes on there; only a whole one has its name. At its end stands
how many tokens it has: one that was cut off afterwards is made anew.
"""

import fcntl
import hashlib
import json
import os
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keifu.data.cache import cache_folder
from keifu.data.stored import cannot_be_kept
from keifu.data.texts import TextData
from keifu.data.windows import Tokens
from keifu.text import Tokenizer
from keifu.text.running import pieces

WORTH_A_FILE = 10_000_000
"""Characters from which on a text's tokens are kept in a file."""

_DOCUMENTS = 1 << 20  # characters of documents that are encoded together, about
_FORM = "2"  # of what is in the files; another one makes them anew
_END = struct.Struct("<q")  # behind the tokens: how many they are


def tokens_of(data: TextData, tokenizer: Tokenizer, packed: bool) -> Tokens:
    """The ids of a text; packed: of its documents, each from [BOS] to [EOS], one after another. Raises DataError where
    the disk is full.
    """
    if data.characters < WORTH_A_FILE:
        parts = list(
            _encoded(packs(data.documents) if packed else _stretches(data, tokenizer), tokenizer, packed, np.int32)
        )
        return np.concatenate(parts) if parts else np.zeros(0, np.int32)
    dtype = np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.int32
    name = hashlib.sha256("\n".join([_FORM, data.sha256, tokenizer.to_json(), str(packed)]).encode()).hexdigest()
    path = cache_folder() / "tokens" / f"{name[:32]}.{np.dtype(dtype).name}"
    try:
        count = _count(path, dtype)
        if count is None:
            _make(path, data, tokenizer, packed, dtype)
            count = _count(path, dtype)
            assert count is not None, "it was made whole"
        return np.memmap(path, dtype, "r", shape=count)
    except OSError as error:
        raise cannot_be_kept(error) from None


def _count(path: Path, dtype: Any) -> int | None:
    """How many tokens the file has; None where there is none, or not all of it."""
    try:
        size = path.stat().st_size - _END.size
        with path.open("rb") as file:
            file.seek(max(size, 0))
            count: int = _END.unpack(file.read())[0]
    except (FileNotFoundError, struct.error):
        return None
    return count if count * np.dtype(dtype).itemsize == size else None


def _make(path: Path, data: TextData, tokenizer: Tokenizer, packed: bool, dtype: Any) -> None:
    """Writes the file, or goes on with it where another process was stopped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial, note = path.with_suffix(".part"), path.with_suffix(".json")
    with partial.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # another process may be making it: then this one waits
        if _count(path, dtype) is not None:
            return
        done = _done(note, os.fstat(file.fileno()).st_size)
        file.truncate(done["bytes"])
        texts = packs(data.documents) if packed else _stretches(data, tokenizer)
        for ids in _encoded(islice(texts, done["pieces"], None), tokenizer, packed, dtype):
            file.write(ids.tobytes())
            file.flush()
            os.fsync(file.fileno())
            done = {"pieces": done["pieces"] + 1, "bytes": done["bytes"] + ids.nbytes}
            _write(note, json.dumps(done))
        file.write(_END.pack(done["bytes"] // np.dtype(dtype).itemsize))
        file.flush()
        os.fsync(file.fileno())
        os.replace(partial, path)
    note.unlink(missing_ok=True)


def _done(note: Path, size: int) -> dict[str, int]:
    """How far the file of this size is, in pieces and in bytes."""
    nothing = {"pieces": 0, "bytes": 0}
    try:
        found = json.loads(note.read_text("utf-8"))
        done = {key: int(found[key]) for key in nothing}
    except (OSError, ValueError, KeyError, TypeError):
        return nothing
    return done if done["bytes"] <= size else nothing


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    new = path.with_suffix(".new")
    new.write_text(text, "utf-8")
    os.replace(new, path)


def _stretches(data: TextData, tokenizer: Tokenizer) -> Iterator[list[str]]:
    return ([piece] for piece in pieces(data.blocks(), tokenizer.kind))


def packs(documents: Iterable[str]) -> Iterator[list[str]]:
    """Documents, a pack at a time: lists of Python's integers take nine times the memory of arrays."""
    pack: list[str] = []
    size = 0
    for document in documents:
        pack.append(document)
        size += len(document)
        if size >= _DOCUMENTS:
            yield pack
            pack, size = [], 0
    if pack:
        yield pack


def _encoded(
    texts: Iterable[list[str]], tokenizer: Tokenizer, packed: bool, dtype: Any
) -> Iterator[NDArray[np.integer[Any]]]:
    """The ids of each pack or piece."""
    begin, end = ([tokenizer.bos_id], [tokenizer.eos_id]) if packed else ([], [])
    for several in texts:
        rows = (np.array([*begin, *ids, *end], dtype) for ids in tokenizer.encode_batch(several))
        yield np.concatenate(list(rows))
