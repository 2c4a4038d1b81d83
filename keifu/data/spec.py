"""The SPEC of the command line: which data a user means.

train.en,train.ja            two aligned files            corpus.tsv       one file with both sides
enja                         a named set                  builtin:enja     a built-in corpus
enja:train                   one part of it               enja:dev[:100]   its first hundred pairs
enja+mine.tsv                several, one after another
"""

import os
import re
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import accumulate, takewhile
from pathlib import Path
from typing import NamedTuple

from keifu.errors import ConfigError

BUILTIN = "builtin:"
_LONGEST_NAME, _LONGEST_SPEC = 8192, 50_000  # characters of the names of two files, and of all
_LONGEST_LAST = 600  # characters behind the last / of two names; a file system takes 255 of one
_SLICE = re.compile(r"(?P<rest>.*)\[(?P<begin>-?[0-9]{0,15}):(?P<end>-?[0-9]{0,15})\]", re.DOTALL)
_NAMED = re.compile(r"(?P<name>(?:builtin:)?[A-Za-z0-9_-]+)(?::(?P<part>[A-Za-z0-9_-]+))?")


class Term(NamedTuple):
    """One of the terms that `+` joins: files, or a set by name with a part of it; rows: which of its pairs."""

    text: str
    files: tuple[str, ...] = ()
    name: str = ""
    part: str | None = None
    rows: slice = slice(None)

    @property
    def slice_text(self) -> str:
        """The slice as it was written, "[:100]"; "" where there is none."""
        return "" if self.rows == slice(None) else self.text[self.text.rindex("[") :]

    def named(self, spec: str) -> str:
        """What is shown of it: files as they were written, of a set `spec`, its name and part, and the slice."""
        return spec + self.slice_text if self.name else self.text


def parse(spec: str, names: frozenset[str]) -> list[Term]:
    """The terms of a SPEC; names: of the sets that exist. Raises ConfigError.

    A file that exists is meant as it is written, whatever signs its name holds; `./enja` is the file where `enja` is
    a set.
    """
    terms, pieces = [], spec.split("+")
    while pieces:
        joined = _pieces_of_a_name(pieces)
        terms.append(_term("+".join(pieces[:joined]), spec, names))
        del pieces[:joined]
    return terms


def absolute(spec: str, names: frozenset[str]) -> str:
    """The SPEC with whole paths, so that it means the same files in any folder. Raises ConfigError where it is longer
    than can be written down.
    """
    whole = "+".join(_absolute(term) for term in parse(spec, names))
    if len(whole) > _LONGEST_SPEC:
        raise ConfigError(
            f"{spec[:40]}...: {len(whole):,} characters of paths; expected at most {_LONGEST_SPEC:,}: join the files "
            "into fewer"
        )
    return whole


def _pieces_of_a_name(pieces: Sequence[str]) -> int:
    """How many pieces between "+" make the first term: a "+" may stand in a file's name."""
    joined = takewhile(_may_be_a_name, accumulate(pieces, "{}+{}".format))
    there = (n for n, text in enumerate(joined, 1) if n > 1 and (_are_files(text) or _are_files(_without_slice(text))))
    return max(there, default=1)


def _may_be_a_name(text: str) -> bool:
    """Whether a file, or two with a comma between, can be called so: what stands behind the last / is not too long."""
    return len(text) <= _LONGEST_NAME and len(text) - text.rfind("/") <= _LONGEST_LAST


def short_name(spec: str) -> str:
    """A name for the data that can stand in a folder's name: of its first term, without folders and endings."""
    first = spec.split("+")[0].removeprefix(BUILTIN)
    stem = Path(re.split(r"[,\[]", first)[0]).name.lstrip(".").split(".")[0].split(":")[0]
    return re.sub(r"[^\w-]", "_", stem) or "data"


def _term(text: str, spec: str, names: frozenset[str]) -> Term:
    if not text.strip():
        raise ConfigError(f"{spec!r}: nothing named{' beside a +' if '+' in spec else ''}; {EXPECTED}")
    rows, rest = slice(None), text
    if not _are_files(text) and (cut := _SLICE.fullmatch(text)):
        rest = cut["rest"]
        rows = slice(*(int(bound) if bound.strip("-") else None for bound in (cut["begin"], cut["end"])))
    found = _NAMED.fullmatch(rest)
    if found and (found["name"] in names or rest.startswith(BUILTIN)):
        if found["name"] not in names:
            built_in = ", ".join(sorted(name for name in names if name.startswith(BUILTIN)))
            raise ConfigError(f"{spec}: no such corpus; built in: {built_in}")
        return Term(text, name=found["name"], part=found["part"], rows=rows)
    if found and not os.path.lexists(rest):
        close = get_close_matches(found["name"], names, 1)
        hint = f"did you mean {close[0]}?" if close else "keifu datasets lists the sets that have names"
        raise ConfigError(f"{spec}: no file and no set has this name; {hint}")
    if rest.startswith(BUILTIN):
        raise ConfigError(f"{spec}: expected builtin:NAME or builtin:NAME:PART, found {rest}")
    return Term(text, files=_files(rest, spec), rows=rows)


def _files(text: str, spec: str) -> tuple[str, ...]:
    if os.path.lexists(text):
        return (text,)
    pieces = text.split(",")
    for n in range(1, len(pieces)):  # a comma may stand in a file's name
        both = ",".join(pieces[:n]).strip(), ",".join(pieces[n:]).strip()
        if len(pieces) > 2 and all(map(os.path.lexists, both)):
            return both
    files = tuple(piece.strip() for piece in pieces)
    if not all(files):
        raise ConfigError(f"{spec!r}: no file's name beside a comma; {EXPECTED}")
    if len(files) > 2:
        raise ConfigError(f"{spec!r}: {len(files)} files; {EXPECTED}")
    if len(set(files)) < len(files):
        raise ConfigError(f"{spec!r}: the same file twice; name the file with the translations behind the comma")
    return files


EXPECTED = (
    "expected two aligned files (train.en,train.ja), one file with both sides (corpus.tsv), or a name that keifu "
    "datasets lists"
)


def _absolute(term: Term) -> str:
    if term.name:
        return term.text
    return ",".join(map(os.path.abspath, term.files)) + term.slice_text


def _without_slice(text: str) -> str:
    cut = _SLICE.fullmatch(text)
    return cut["rest"] if cut else text


def _are_files(text: str) -> bool:
    return os.path.lexists(text) or all(os.path.lexists(name.strip()) for name in text.split(","))
