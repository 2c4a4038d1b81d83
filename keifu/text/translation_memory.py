"""Translation memories in TMX: the units that lack a translation, and the frame around them.

Everything in the file stays byte for byte as it is; a unit with a segment in the source language and none, or an empty
one, in the target language gets a segment. Languages match by their first part: "en" is "EN-US".
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.parsers import expat

from keifu.errors import ConfigError, DataError
from keifu.text.inline import Inline, Mark, assemble
from keifu.text.segments import Document, Frame

Range = tuple[int, int]
"""Bytes of the file, from and to."""

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9_-]*)?")
_ATTRIBUTES = r"""(?:\s(?:[^<>"'/]|/(?!>)|"[^"]*"|'[^']*')*)?"""
_INLINE = re.compile(
    rf"""
      <!--.*?--> | <\?.*?\?>
    | <!\[CDATA\[ (?P<literal> .*? ) \]\]>
    | <(?P<name> bpt | ept | ph | it | ut )\b (?P<attributes> {_ATTRIBUTES} ) (?: /> | > .*? </(?P=name)\s*> )
    | <(?P<slash> /? )(?P<tag> [\w:.-]+ ) {_ATTRIBUTES} (?P<alone> /? )>
    | (?P<entity> &[^;]*; )
    """,
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"""\bi\s*=\s*["'](\d+)["']""")
_SPELLING = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


_START = re.compile(rb"""<[^\s/>]+(?:[^>"']|"[^"]*"|'[^']*')*>""")


@dataclass
class _Variant:
    """A <tuv>: where it stands, and where its <seg> and the text of that do."""

    attribute: str
    language: str
    begin: int
    end: int = 0
    segment: Range = (0, 0)
    text: Range = (0, 0)


def read_translation_memory(content: str, source: str, target: str) -> Document:
    """The units of a TMX file that need a translation from `source` to `target`, and all else as the frame.

    Raises DataError where it is no TMX file, ConfigError where the languages have no names that TMX knows.
    """
    for language in (source, target):
        if not _LANGUAGE.fullmatch(language):
            raise ConfigError(
                f"the model's languages are named {source} and {target}; a TMX file needs codes such as en and ja: "
                "train on files whose endings name them (train.en,train.ja)"
            )
    data = content.encode()
    frame = Frame()
    done = 0
    for unit in _Units(data).units:
        variants = {_primary(one.language): one for one in reversed(unit)}
        original, existing = variants.get(_primary(source)), variants.get(_primary(target))
        text = data[slice(*original.text)].decode() if original else ""
        if original is None or not text.strip():
            continue
        if existing is None:
            last = unit[-1]
            space = data[len(data[done : last.begin].rstrip()) + done : last.begin].decode()
            place, opening = (last.end, last.end), f'{space}<tuv {original.attribute}="{target}"><seg>'
            closing = "</seg></tuv>"
        elif existing.segment != (0, 0) and not data[slice(*existing.text)].strip():
            place, opening, closing = existing.segment, "<seg>", "</seg>"
        else:
            continue
        frame.keep(data[done : place[0]].decode() + opening)
        frame.paragraph([(text, "")], _read_inline, _SPELLING)
        frame.keep(closing)
        done = place[1]
    frame.keep(data[done:].decode())
    return frame.document()


def _primary(language: str) -> str:
    return re.split("[-_]", language)[0].lower()


class _Units:
    """The units of a TMX file, each a list of its variants."""

    def __init__(self, data: bytes) -> None:
        self.units: list[list[_Variant]] = []
        self._data = data
        self._parser = parser = expat.ParserCreate("UTF-8")
        self._is_open = False  # whether the variant last begun is
        self._root = ""
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.EntityDeclHandler = self._refuse_entities
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            problem = expat.ErrorString(error.code)
            raise DataError(f"line {error.lineno}: not well-formed XML ({problem}); export the file again") from None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._root and name != "tmx":
            raise DataError(f"line 1: begins with <{name[:40]}>; expected a TMX file, which begins with <tmx>")
        self._root = self._root or name
        begin = self._parser.CurrentByteIndex
        if name == "tu":
            self.units.append([])
        elif name == "tuv" and self.units:
            attribute = "xml:lang" if "xml:lang" in attributes else "lang"
            self.units[-1].append(_Variant(attribute, attributes.get(attribute, ""), begin))
            self._is_open = True
        elif name == "seg" and self._is_open:
            start = _START.match(self._data, begin)
            assert start is not None
            self.units[-1][-1].segment = self.units[-1][-1].text = (start.end(), start.end())
            self.units[-1][-1].segment = (begin, start.end())

    def _end(self, name: str) -> None:
        if name not in ("tuv", "seg") or not self._is_open:
            return
        # At <seg/> the parser stands behind it already.
        begin = end = self._parser.CurrentByteIndex
        if self._data.startswith(f"</{name}".encode(), begin):
            end = self._data.index(b">", begin) + 1
        variant = self.units[-1][-1]
        if name == "seg":
            variant.text, variant.segment = (variant.text[0], begin), (variant.segment[0], end)
        else:
            variant.end, self._is_open = end, False

    def _refuse_entities(self, *_: object) -> None:
        line = self._parser.CurrentLineNumber
        raise DataError(f"line {line}: declares an entity; remove the declaration, TMX needs none")


def _read_inline(text: str) -> Inline:
    return assemble(text, list(_marks(text)))


def _marks(text: str) -> Iterator[Mark]:
    """The inline elements of a segment. <bpt> and <ept> with one number are a pair, as are the tags of <hi>."""
    for found in _INLINE.finditer(text):
        begin, end = found.span()
        if found["entity"]:
            yield Mark(begin, end, html.unescape(found["entity"]))
        elif found["literal"] is not None:  # its text is plain, what is around it is not there
            yield Mark(begin, found.start("literal"))
            yield Mark(found.end("literal"), end)
        elif found["name"] in ("bpt", "ept") and (number := _NUMBER.search(found["attributes"])):
            opens = found["name"] == "bpt"
            yield Mark(begin, end, verbatim=True, key=number[1], opens=opens, closes=not opens, kind="pair")
        elif found["tag"] and not found["alone"]:
            closes = bool(found["slash"])
            yield Mark(begin, end, verbatim=True, key=found["tag"], opens=not closes, closes=closes, kind="pair")
        else:
            yield Mark(begin, end, verbatim=True)
