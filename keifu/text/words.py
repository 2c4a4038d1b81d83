"""Where the words of a text stand: by rules, and in Japanese by an analyser, of which keifu does without elsewhere."""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Any

from keifu.errors import ConfigError

_JAPANESE = re.compile(r"[\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff々〆ー]")
_WORD = re.compile(
    r"[^\W\d_]+?(?=n['’]t(?!\w))|n['’]t(?!\w)|['’](?:[dmst]|ll|re|ve)(?!\w)|[^\W\d_]+|\d+(?:[.,:]\d+)*|\S",
    re.IGNORECASE,
)
_RUNNING = re.compile(r"[^\s、。，．！？][、。，．！？]")  # a sign right behind a word, as where nobody cut words apart
_JOINER = "\u200d"  # between emoji that make one
_SKINS = range(0x1F3FB, 0x1F400)
_REMEDY = "install it with pip install 'keifu[ja]' (fugashi and unidic-lite)"


def word_ranges(text: str) -> list[tuple[int, int]]:
    """The words and signs of a text as ranges of characters, in order; white space belongs to none.

    Raises ConfigError for Japanese where the analyser is not installed.
    """
    if not _JAPANESE.search(text):
        return _with_marks(text, (found.span() for found in _WORD.finditer(text)))
    ranges, place = [], 0
    for word in _analyser()(text):
        begin = text.find(word.surface, place)
        place = begin + len(word.surface)
        if not word.surface.isspace():  # an ideographic space is one to it
            ranges.append((begin, place))
    return ranges


def words(text: str) -> list[str]:
    """The words and signs of a text; of Japanese whose words and signs have spaces between them, what stands between
    these. Raises ConfigError as `word_ranges` does.
    """
    parts = text.split()
    if len(parts) > 1 and _JAPANESE.search(text) and not _RUNNING.search(text):
        return parts
    return [text[begin:end] for begin, end in word_ranges(text)]


def _with_marks(text: str, ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges, where a word goes on at the marks that belong to its letters, and behind these."""
    found: list[tuple[int, int]] = []
    for begin, end in ranges:
        follows = found and found[-1][1] == begin
        if follows and (_is_mark(text[begin]) or (_is_mark(text[begin - 1]) and _goes_on(text, found[-1][0], begin))):
            found[-1] = (found[-1][0], end)
        else:
            found.append((begin, end))
    return found


def _is_mark(sign: str) -> bool:
    return unicodedata.category(sign).startswith("M") or sign == _JOINER or ord(sign) in _SKINS


def _goes_on(text: str, begin: int, place: int) -> bool:
    """Whether the sign behind a mark is of the word that has begun: of letters, or an emoji that is joined."""
    return text[place - 1] == _JOINER or (text[begin].isalpha() and text[place].isalpha())


@cache
def _analyser() -> Any:
    try:
        import fugashi
        import unidic_lite
    except ImportError:
        raise ConfigError(
            f"words of Japanese text are found by an analyser, which is not installed; {_REMEDY}"
        ) from None
    return fugashi.Tagger(f'-d "{unidic_lite.DICDIR}"')
