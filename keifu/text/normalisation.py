"""How the texts of a training set are written, so that what a user types can be written the same way.

A model that was trained on "i like cats ." has never seen "I like cats.", and writes as it has read. The habits of both
sides are inferred from the training text and kept with the model. Those of the source are applied to every text that is
to be translated; text that has them already is left as it is. Those of the target are undone on translations, where it
is certain how.
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import Any, Literal

from pydantic import model_validator

from keifu.config import Schema
from keifu.text.punctuation import join, split

Width = Literal["full", "half"] | None

_SAMPLE = 200_000  # lines that are looked at
_ENOUGH = 0.995  # of the lines must agree; a few odd ones stand in every collection
_EVIDENCE = 0.1  # of the lines must show what is inferred
_FEW = 20  # characters are no evidence of how wide they are written
_LONG = 10  # Chinese characters and kana in a line: more than one word
_CASED = re.compile(r"[a-z]", re.IGNORECASE)
_END = re.compile(r"\S\s*[.?!]$")
_CJK = (
    r"\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_CJK_LETTER = re.compile(f"[{_CJK}]")
_CJK_APART = re.compile(f"[{_CJK}] [{_CJK}]")
# Spaces beside signs and letters that are written without any; full-width letters and digits are not among them.
_CJK_SIGN = r"\u3001-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
_CJK_SPACE = re.compile(f"(?<=[{_CJK}{_CJK_SIGN}]) +| +(?=[{_CJK}{_CJK_SIGN}])")
# A Latin letter at the beginning, or after the end of a sentence that is neither "p.m." nor "...".
_FIRST_LETTER = re.compile(r"(?:^\s*|(?<!\.\w)(?<!\.)[.?!]\s+)[\"'“‘«(\[¿¡]*[a-zà-öø-ɏ]")
_ENGLISH = re.compile(r"(?:en(g|glish)?|英語)([-_].*)?", re.IGNORECASE)
_ENGLISH_I = re.compile(r"(?<![\w.-])i(?![\w-]|\.\w)")

_LETTERS_AND_DIGITS = string.ascii_letters + string.digits
_MARKS = "?!"
_NARROW_KATAKANA = [chr(code) for code in range(0xFF66, 0xFFA0)]
_KATAKANA = [chr(code) for code in range(0x30A1, 0x3100)] + _NARROW_KATAKANA
_NARROW_RUN = re.compile(r"[ぁ-ヶ]?[\uff61-\uff9f]+")  # with the letter before, which a narrow ﾞ may belong to


class Normalisation(Schema):
    """Habits of a set of texts."""

    lower_case: bool = False
    """No capitals."""

    split_punctuation: bool = False
    """Signs stand apart: "i 'm here ."."""

    width: Width = None
    """Of letters and digits in Chinese and Japanese text: Ａ１ are full, A1 half; katakana are full with either."""

    mark_width: Width = None
    """Of question and exclamation marks there."""

    spaces_between_words: bool = False
    """Chinese or Japanese words, as an analyser cut them, with spaces between."""

    def __call__(self, text: str) -> str:
        """The text written the way the training texts are. Spaces between words are not put in."""
        if self.width:
            text = _NARROW_RUN.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
            text = _in_width(self.width, _LETTERS_AND_DIGITS, text)
        if self.mark_width:
            text = _in_width(self.mark_width, _MARKS, text)
        if self.lower_case:
            text = text.lower()
        return split(text) if self.split_punctuation else text

    def undo(self, text: str, language: str = "") -> str:
        """A model's output as it is ordinarily written, where that is certain.

        Signs join their words again, spaces go that Chinese and Japanese do not have, and what was lower-cased gets
        a capital where a sentence of Latin letters begins, and in "I" where the language is "en". Names stay in
        lower case, and widths as they are.
        """
        if self.split_punctuation:
            text = join(text)
        if self.spaces_between_words:
            text = _CJK_SPACE.sub("", text)
        if self.lower_case and not _CJK_LETTER.search(text):
            text = _FIRST_LETTER.sub(lambda found: found[0][:-1] + found[0][-1].upper(), text)
            if _ENGLISH.fullmatch(language):
                text = _ENGLISH_I.sub("I", text)
        return text

    @property
    def applied(self) -> "Normalisation":
        """The habits that text can be given."""
        return self.model_copy(update={"spaces_between_words": False})

    @property
    def undone(self) -> "Normalisation":
        """The habits that translations do not keep."""
        return self.model_copy(update={"width": None, "mark_width": None})

    def describe(self) -> str:
        """In words, to follow "is written": "in lower case, with punctuation apart"; empty where there is no habit."""
        habits = {
            "in lower case": self.lower_case,
            "with punctuation apart": self.split_punctuation,
            f"with {self.width}-width letters and digits": self.width,
            f"with {self.mark_width}-width ? and !": self.mark_width,
            "with spaces between words": self.spaces_between_words,
        }
        return ", ".join(name for name, holds in habits.items() if holds)


class PairNormalisation(Schema):
    """The habits of both sides of a set of pairs."""

    source: Normalisation = Normalisation()
    target: Normalisation = Normalisation()

    @model_validator(mode="before")
    @classmethod
    def _of_the_source_alone(cls, value: Any) -> Any:
        """Older checkpoints have the habits of the source alone and do not name the side."""
        flat = isinstance(value, dict) and value.keys() & {"lower_case", "split_punctuation"}
        return {"source": value} if flat else value


def infer(texts: Iterable[str]) -> Normalisation:
    """The habits that nearly all of the texts share, of which the first 200,000 are looked at."""
    seen: Counter[str] = Counter()
    characters: Counter[str] = Counter()  # of Chinese and Japanese lines
    for text in islice(texts, _SAMPLE):
        seen["lines"] += 1
        if _CASED.search(text):
            seen["cased"] += 1
            seen["lower"] += text == text.lower()
        if end := _END.search(text):
            seen["ended"] += 1
            seen["apart"] += end[0][1].isspace()
        if letters := len(_CJK_LETTER.findall(text)):
            seen["cjk"] += 1
            characters.update(text)
            if letters >= _LONG:
                seen["long"] += 1
                seen["spaced"] += bool(_CJK_APART.search(text))
    if seen["cjk"] <= _EVIDENCE * seen["lines"]:
        characters.clear()
    katakana, narrow = (sum(characters[one] for one in all_) for all_ in (_KATAKANA, _NARROW_KATAKANA))
    return Normalisation(
        lower_case=_nearly_all(seen["lower"], seen["cased"], seen["lines"]),
        split_punctuation=_nearly_all(seen["apart"], seen["ended"], seen["lines"]),
        width=_width_of(_LETTERS_AND_DIGITS, characters) if narrow <= (1 - _ENOUGH) * katakana else None,
        mark_width=_width_of(_MARKS, characters),
        spaces_between_words=_nearly_all(seen["spaced"], seen["long"], seen["lines"]),
    )


def _nearly_all(count: int, total: int, lines: int) -> bool:
    return total > _EVIDENCE * lines and count >= _ENOUGH * total


def _width_of(signs: str, characters: Counter[str]) -> Width:
    """The width in which nearly all of the characters that are one of `signs` are written."""
    half, full = (sum(characters[sign] for sign in form) for form in (signs, _full(signs)))
    if max(half, full) < max(_FEW, _ENOUGH * (half + full)):
        return None
    return "half" if half > full else "full"


def _in_width(width: Width, signs: str, text: str) -> str:
    full = _full(signs)
    return text.translate(str.maketrans(signs, full) if width == "full" else str.maketrans(full, signs))


def _full(signs: str) -> str:
    """The full-width forms of ASCII characters."""
    return "".join(chr(ord(sign) + 0xFEE0) for sign in signs)
