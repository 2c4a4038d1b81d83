"""Data as users name it: two aligned files, or a built-in corpus."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from keifu.data import enja
from keifu.data.examples import Pair
from keifu.errors import ConfigError, DataError

PARTS = ("train", "dev", "test", "length", "combination")
UNNAMED = ("source", "target")
"""The languages of data that does not name them."""


@dataclass(frozen=True)
class PairData:
    """Sentence pairs, with what a report must say of them.

    languages: names of the two sides, from the file endings or the corpus ("en", "ja").
    """

    spec: str
    pairs: Sequence[Pair]
    languages: tuple[str, str]

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the texts, a line each, source and target in turn."""
        digest = hashlib.sha256()
        for pair in self.pairs:
            digest.update(f"{pair.source}\n{pair.target}\n".encode())
        return digest.hexdigest()


def load_pairs(spec: str, part: str | None = None, source: str | None = None, target: str | None = None) -> PairData:
    """The pairs that `spec` names: "a.en,a.ja" or "builtin:enja[:part]".

    part: which part of a corpus, where the spec itself does not say. source, target: the languages to translate from
    and to, by name; they turn the pairs round where the corpus has them the other way. Raises DataError and
    ConfigError.
    """
    data = _builtin(spec, part) if spec.startswith("builtin:") else _aligned_files(spec)
    return directed(data, source, target)


def directed(data: PairData, source: str | None, target: str | None) -> PairData:
    """The pairs from language `source` to `target` (None: whichever it is), turned round where they stand the other
    way. Raises ConfigError where the data has no such languages.
    """
    wanted = (source or None, target or None)
    if all(want in (None, have) for want, have in zip(wanted, data.languages, strict=True)):
        return data
    if all(want in (None, have) for want, have in zip(wanted, data.languages[::-1], strict=True)):
        turned = [Pair(pair.target, pair.source, pair.constructions) for pair in data.pairs]
        return PairData(data.spec, turned, data.languages[::-1])
    found = " and ".join(data.languages)
    asked = " and ".join(f"--{side} {want}" for side, want in zip(("source", "target"), wanted, strict=True) if want)
    raise ConfigError(f"--data {data.spec}: its sides are {found}, asked for {asked}")


def text_lines(content: bytes, name: str) -> list[str]:
    """The lines of UTF-8 text without their ends; `name` says in messages where it stands. Raises DataError."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(f"{name}:{line}: not UTF-8; save the file as UTF-8") from None
    # Only line feeds end a line: str.splitlines would also cut at U+2028 and others that stand inside sentences.
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []


def has_parts(spec: str) -> bool:
    """Whether the spec names a corpus whose parts are still to be chosen from."""
    return spec.startswith("builtin:") and spec.count(":") == 1


def short_name(spec: str) -> str:
    """A name for the data that can stand in a folder's name."""
    if spec.startswith("builtin:"):
        return spec.split(":")[1]
    return Path(spec.split(",")[0]).stem.lstrip(".") or "data"


def _builtin(spec: str, part: str | None) -> PairData:
    _, name, *rest = spec.split(":")
    if name != "enja" or len(rest) > 1:
        raise ConfigError(f"--data {spec}: no such corpus; expected builtin:enja or builtin:enja:PART")
    part = rest[0] if rest else (part or "train")
    if part not in PARTS:
        raise ConfigError(f"--data {spec}: no part {part!r}; builtin:enja has {', '.join(PARTS)}")
    pairs = enja.generate(part)
    return PairData(f"builtin:enja:{part}", pairs, ("en", "ja"))


def _aligned_files(spec: str) -> PairData:
    names = spec.split(",")
    if len(names) != 2 or not all(names):
        raise ConfigError(
            f"--data {spec}: expected two aligned files with a comma between them (train.en,train.ja) or builtin:enja"
        )
    left, right = (_lines(Path(name)) for name in names)
    if len(left) != len(right):
        raise DataError(
            f"{names[0]} has {len(left):,} lines, {names[1]} has {len(right):,}; "
            "line N of one must translate line N of the other"
        )
    pairs = [
        Pair(source, target) for source, target in zip(left, right, strict=True) if source.strip() and target.strip()
    ]
    if not pairs:
        raise DataError(f"{spec}: no line has text on both sides")
    first, second = (Path(name).suffix.removeprefix(".") for name in names)
    distinct = first and second and first != second
    return PairData(spec, pairs, (first, second) if distinct else UNNAMED)


def _lines(path: Path) -> list[str]:
    if not os.path.isfile(path):  # unlike Path.is_file, also for a name that is too long or not permitted
        found = "is a folder" if os.path.isdir(path) else "no such file"
        raise DataError(f"{path}: {found}; expected a text file with one sentence a line")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    return text_lines(content, str(path))
