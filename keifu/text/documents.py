"""Documents as users have them, plain text and Markdown, as sentences to translate and the frame around them.

Paragraphs of plain text are parted by empty lines. The lines of a paragraph are joined where all but its last are at
least 50 columns wide, which is how text looks that was wrapped to a width; otherwise, and where every line ends a
sentence, each line stays a line: an address, a poem, a list. A line that begins as an item of a list begins anew.
"""

import re
from itertools import pairwise

from keifu.text.inline import read_plain
from keifu.text.markdown import read_markdown_blocks
from keifu.text.segments import Document, Frame
from keifu.text.sentences import columns, ends_sentence

KINDS = ("text", "markdown")

_WRAPPED = 50  # columns
_LINE = re.compile(r"([^\S\r\n]*+)((?:[^\r\n]*[^\s])?)([^\S\r\n]*+(?:\r\n|\r|\n|\Z))")
_ITEM = re.compile(r"(?:[-*+•‣◦・●○◆◇■□▪※]|[(（]?\d{1,3}[.)）．、])\s+|[・●○◆◇■□※]")

_Line = tuple[str, str, str]
"""White space before it, the line, white space behind it with the line end."""


def read_document(content: str, kind: str) -> Document:
    """A document of kind "text" or "markdown". Filled with its own sentences, it is itself again."""
    assert kind in KINDS, kind
    frame = Frame()
    if content.startswith("\ufeff"):
        frame.keep("\ufeff")
        content = content[1:]
    if kind == "markdown":
        read_markdown_blocks(content, frame)
    else:
        _read_text(content, frame)
    return frame.document()


def _read_text(content: str, frame: Frame) -> None:
    paragraph: list[_Line] = []
    for found in _LINE.finditer(content):
        before, line, after = found.groups()
        if paragraph and (not line or _ITEM.match(line)):
            _add(paragraph, frame)
            paragraph = []
        if line:
            paragraph.append((before, line, after))
        else:
            frame.keep(found[0])
    _add(paragraph, frame)


def _add(paragraph: list[_Line], frame: Frame) -> None:
    units = [paragraph] if _is_wrapped([line for _, line, _ in paragraph]) else [[line] for line in paragraph]
    for unit in units:
        if not unit:
            continue
        before, line, _ = unit[0]
        item = _ITEM.match(line)
        marker = item[0] if item else ""
        texts = [line[len(marker) :], *(line for _, line, _ in unit[1:])]
        gaps = [after + following for (_, _, after), (following, _, _) in pairwise(unit)]
        frame.keep(before + marker)
        frame.paragraph(list(zip(texts, [*gaps, unit[-1][2]], strict=True)), read_plain)


def _is_wrapped(lines: list[str]) -> bool:
    return all(columns(line) >= _WRAPPED for line in lines[:-1]) and not all(map(ends_sentence, lines))
