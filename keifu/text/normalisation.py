"""How the source texts of a training set are written, so that what a user types can be written the same way.

A model that was trained on "i like cats ." has never seen "I like cats.". The habits are inferred from the training
text, kept with the model, and applied to every text that is to be translated. Text that has the habits already is
left as it is.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

_ENOUGH = 0.995  # of the lines must agree; a few odd ones stand in every collection
_EVIDENCE = 0.1  # of the lines must show what is inferred
_CASED = re.compile(r"[a-z]", re.IGNORECASE)
_END = re.compile(r"\S\s*[.?!]$")
# Signs that never stand inside a word, and those that do in "3,000", "12:30" and "p.m.".
_ALWAYS_APART = re.compile(r"\s*([?!;\"()])\s*")
_APART_BEFORE_SPACE = re.compile(r"(?<=[^\s.,:])([,:])(?=\s|$)")
_FULL_STOP = re.compile(r"(?<![\s.])(?<!\.\w)(\.+)(?=\s|$)")
_APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")
_SPACES = re.compile(r" {2,}")


class Normalisation(NamedTuple):
    """Habits of a set of texts. `lower_case`: no capitals. `split_punctuation`: signs stand apart, "i 'm here ."."""

    lower_case: bool = False
    split_punctuation: bool = False

    def __call__(self, text: str) -> str:
        """The text written the way the training texts are."""
        if self.lower_case:
            text = text.lower()
        if self.split_punctuation:
            for pattern, form in _SPLITS:
                text = pattern.sub(form, text)
            text = _SPACES.sub(" ", text).strip(" ")
        return text

    def describe(self) -> str:
        """In words, for a report: "lower case, punctuation apart"; empty where there is nothing to do."""
        habits = {"lower case": self.lower_case, "punctuation apart": self.split_punctuation}
        return ", ".join(name for name, holds in habits.items() if holds)


_SPLITS = (
    (_ALWAYS_APART, r" \1 "),
    (_APART_BEFORE_SPACE, r" \1"),
    (_FULL_STOP, r" \1"),
    (_APOSTROPHE, " '"),
)


def infer(texts: Iterable[str]) -> Normalisation:
    """The habits that nearly all of the texts share."""
    lines = cased = lower = ended = apart = 0
    for text in texts:
        lines += 1
        if _CASED.search(text):
            cased += 1
            lower += text == text.lower()
        if end := _END.search(text):
            ended += 1
            apart += end[0][1].isspace()
    return Normalisation(_nearly_all(lower, cased, lines), _nearly_all(apart, ended, lines))


def _nearly_all(count: int, total: int, lines: int) -> bool:
    return total > _EVIDENCE * lines and count >= _ENOUGH * total
