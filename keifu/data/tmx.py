"""TMX, the exchange format of translation memories: units of one text in several languages, read as they stream.

https://www.gala-global.org/tmx-14b
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

from keifu.data.lines import LONGEST, blocks, shown
from keifu.errors import DataError, printable

_SCANNED = 100  # units whose languages become the columns
_DEEPEST = 100
_NATIVE = {"bpt", "ept", "ph", "it", "ut"}  # elements that hold codes of the document a text comes from
_REASONS = {  # the parser's words in ours
    "no element found": "the file ends too early",
    "unclosed token": "the file ends too early",
    "mismatched tag": "a tag closes another than the one that is open",
    "not well-formed (invalid token)": "a character or byte that XML does not allow",
    "undefined entity": "an entity that XML does not know",
}
_SPACE = re.compile(r"[ \t\r\n]{2,}|[\t\r\n]")  # not the usual space, that stays as it is


class _Unit(NamedTuple):
    """A text in several languages: the line where it begins, texts by language code in lower case."""

    line: int
    texts: dict[str, str]


def read_tmx(path: str | Path) -> tuple[tuple[str, ...], Iterator[tuple[int, tuple[str, ...]]]]:
    """The languages of a TMX file, and a row for every unit, with "" for a language that it lacks.

    The languages are those of the first 100 units, the header's source language first: "en" for all of EN, en-US and
    en-GB, except where one unit has several of these. The first of several texts of a language counts. Codes of the
    original document inside a text are dropped, runs of white space become a space. Raises DataError.
    """
    reader = _Reader(printable(str(path)))
    units = reader.units(path)
    first = list(islice(units, _SCANNED))
    names = _names(first)
    if not names:
        raise DataError(f"{reader.name}: no translation unit (<tu>) with a text; expected TMX")
    columns = tuple(sorted(set(names.values()), key=[names.get(reader.source), *names.values()].index))
    return columns, (_row(unit, names, columns) for unit in chain(first, units))


def _names(units: list[_Unit]) -> dict[str, str]:
    """What each language code of the units is called: "en-us" is "en" unless a unit has another English too."""
    several = {
        primary
        for unit in units
        for primary, count in Counter(_primary(code) for code in unit.texts).items()
        if count > 1
    }
    codes = [code for unit in units for code in unit.texts]
    return {code: code if _primary(code) in several else _primary(code) for code in codes}


def _primary(code: str) -> str:
    return code.split("-")[0]


def _row(unit: _Unit, names: dict[str, str], columns: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    texts: dict[str, str] = {}
    for code, text in unit.texts.items():
        texts.setdefault(names.get(code) or _primary(code), text)
    return unit.line, tuple(texts.get(column, "") for column in columns)


class _Reader:
    """Gathers units from what the XML parser reports."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.source = ""  # language of the header
        self.ready: list[_Unit] = []
        self.depth = 0
        self.unit: _Unit | None = None
        self.language = ""
        self.size = 0  # characters in the unit
        self.text: list[str] | None = None  # of the <seg> that is open
        self.kept: list[bool] = []  # whether text counts, for each element open in it
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.characters
        self.parser.EntityDeclHandler = self.entity
        self.parser.SkippedEntityHandler = self.skipped

    def units(self, path: str | Path) -> Iterator[_Unit]:
        fed = 0
        for block in chain(blocks(path), [b""]):
            self.parse(block)
            yield from self.ready
            self.ready.clear()
            fed += len(block)
            if fed - self.parser.CurrentByteIndex > 4 * LONGEST:  # the parser holds back what has no end yet
                raise self.error(f"a tag or comment of over {LONGEST:,} characters; expected TMX")

    def parse(self, block: bytes) -> None:
        try:
            self.parser.Parse(block, not block)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            reason = _REASONS.get(reason, reason)
            message = f"{self.name}:{error.lineno}: not well-formed XML ({reason}); correct it or export it again"
            raise DataError(message) from None
        except (LookupError, ValueError):
            raise self.error("an encoding that XML readers do not know; save it as UTF-8") from None

    def error(self, problem: str) -> DataError:
        return DataError(f"{self.name}:{self.parser.CurrentLineNumber}: {problem}")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth == 1 and tag != "tmx":
            raise self.error(f"begins with <{shown(tag)}>; expected TMX, which begins with <tmx>")
        if self.depth > _DEEPEST:
            raise self.error(f"over {_DEEPEST} elements inside each other; expected TMX")
        if self.text is not None:
            self.kept.append(tag == "sub" or (tag not in _NATIVE and self.kept[-1]))
        elif tag == "seg" and self.unit and self.language:
            self.text, self.kept = [], [True]
        elif tag == "header":
            self.source = _code(attributes.get("srclang", ""))
        elif tag == "tu":
            self.unit, self.language, self.size = _Unit(self.parser.CurrentLineNumber, {}), "", 0
        elif tag == "tuv":
            self.language = _code(attributes.get("xml:lang") or attributes.get("lang", ""))
            self.grow(self.language)
            if not self.language:
                raise self.error("a <tuv> without a language; give it xml:lang")

    def characters(self, text: str) -> None:
        if self.text is not None and self.kept[-1]:
            self.grow(text)
            self.text.append(text)

    def end(self, tag: str) -> None:
        self.depth -= 1
        if self.text is not None:
            self.kept.pop()
            if not self.kept and self.unit:
                self.unit.texts.setdefault(self.language, _SPACE.sub(" ", "".join(self.text)).strip(" "))
                self.text = None
        elif tag == "tu" and self.unit:
            self.ready.append(self.unit)
            self.unit = None

    def grow(self, text: str) -> None:
        self.size += len(text)
        if self.size > LONGEST:
            raise self.error(f"a unit of over {LONGEST:,} characters; expected a sentence a unit")

    def entity(self, name: str, *rest: object) -> None:
        raise self.error(f"declares the entity {shown(name)}; TMX needs none, write its text out")

    def skipped(self, name: str, is_parameter: bool) -> None:
        raise self.error(f"an entity that XML does not know: &{shown(name)};; write the character itself")


def _code(language: str) -> str:
    return language.strip().lower().replace("_", "-")
