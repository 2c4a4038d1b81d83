"""Text within the columns of a terminal, whatever it holds."""

import unicodedata

from keifu.errors import printable

_WIDTH = 100  # columns of a terminal
_LONGEST = 400  # columns of a text; --json has all of it


def wrapped(text: str, first: str, most: int = _LONGEST) -> list[str]:
    """The text in lines of at most 100 columns after `first`, under which further ones begin; what goes beyond `most`
    columns is left out.
    """
    shown = printable(text)
    room, indent = _WIDTH - len(first), " " * len(first)
    lines, rest = [], _cut(shown, most)
    while _columns(rest) > room:
        end = len(_fitting(rest, room))
        space = rest.rfind(" ", end // 2, end + 1)
        end = end if space < 0 else space
        lines.append(rest[:end].rstrip(" "))
        rest = rest[end:].lstrip(" ")
    if rest or not lines:
        lines.append(rest)
    return [(indent if number else first) + line for number, line in enumerate(lines)]


def _cut(text: str, columns: int) -> str:
    kept = _fitting(text[:columns], columns)  # in characters too: combining ones take no column
    return text if kept == text else kept + "…"


def _fitting(text: str, columns: int) -> str:
    """The longest beginning of the text that fits, at least one character."""
    used = 0
    for place, sign in enumerate(text):
        used += _columns(sign)
        if used > columns and place:
            return text[:place]
    return text


def _columns(text: str) -> int:
    """Columns in a terminal: Chinese and Japanese characters take two, combining ones none."""
    return sum(0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "WF") for sign in text)
