"""Signs set apart from words, "i 'm here .", and joined to them again, "i'm here."."""

import re

# Signs that never stand inside a word, and those that do in "3,000", "12:30" and "p.m.".
_ALWAYS_APART = re.compile(r"(?:(?<!\s)\s+)?([?!;\"()])\s*")
_FULL_STOP = re.compile(r"(?<![\s.])(?<!\.\w)(\.+)(?=\s|$)")
_APART_BEFORE_SPACE = re.compile(r"(?<=[^\s.,:])([,:])(?=\s|$)")
_APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")
_SPACES = re.compile(r" {2,}")
_SPLITS = ((_ALWAYS_APART, r" \1 "), (_FULL_STOP, r" \1"), (_APART_BEFORE_SPACE, r" \1"), (_APOSTROPHE, " '"))

_CLOSING = re.compile(r"[.,:;?!)”»’]+")
_MARKS = ("?", "!", ";", ")")  # which push a quotation mark away that follows
_QUOTES = ('"', "''", "``")
_ENDING = re.compile(r"'(s|m|re|ve|ll|d|t|clock)", re.IGNORECASE)  # never a word of its own
_SHORTENED = re.compile(r"'(em|til|cause|bout|tis|twas|round|n)", re.IGNORECASE)  # a word without its beginning


def split(text: str) -> str:
    """The text with its signs apart. Text whose signs are apart is left as it is."""
    for pattern, form in _SPLITS:
        text = pattern.sub(form, text)
    return _SPACES.sub(" ", text).strip(" ")


def join(text: str) -> str:
    """The text with its signs where they are ordinarily written. Quotation marks without a partner stay apart."""
    words = text.split(" ")
    opening, closing = _quotation_marks(words)
    joined, glued = "", True
    for place, word in enumerate(words):
        if place in closing or _CLOSING.fullmatch(word) or _belongs_to_the_word_before(words, place):
            glued = True
        if word in _QUOTES and (place in opening or place in closing):
            word = '"'
        joined += word if glued else f" {word}"
        glued = place in opening or word == "("
    return joined


def _quotation_marks(words: list[str]) -> tuple[set[int], set[int]]:
    """Where quotation marks open and where they close."""
    double = [place for place, word in enumerate(words) if word in _QUOTES]
    if len(double) % 2:
        double = []
    opening, closing = set(double[::2]), set(double[1::2])
    match [place for place, word in enumerate(words) if word == "'"]:
        case places if all(_follows_a_mark(words, place) for place in places):  # "'why ? '"
            closing.update(places)
        case [place] if _follows_a_plural(words, place):  # "ten minutes ' walk"
            closing.add(place)
        case [first, last] if not _follows_a_plural(words, first):  # "' why ? '"
            opening.add(first)
            closing.add(last)
    return opening, closing


def _follows_a_mark(words: list[str], place: int) -> bool:
    return place > 0 and words[place - 1] in _MARKS


def _follows_a_plural(words: list[str], place: int) -> bool:
    return place > 0 and words[place - 1].endswith("s")


def _belongs_to_the_word_before(words: list[str], place: int) -> bool:
    """Whether a word such as "'m" or "'clock" goes on with the one before, instead of opening a quotation."""
    word = words[place]
    if not (place and words[place - 1][-1:].isalnum() and word[:1] == "'" and word[1:2].isalpha()):
        return False
    if _ENDING.fullmatch(word):
        return True
    return not _SHORTENED.fullmatch(word) and not _is_closed(words[place:])


def _is_closed(words: list[str]) -> bool:
    """Whether the next apostrophe that is not inside a word ends a quotation that the first word opens."""
    for place, word in enumerate(words):
        if word == "'" and _follows_a_mark(words, place):
            return True
        if word.endswith("'") and word not in ("'", *_QUOTES):
            return True
        if place and word.startswith("'") and not _ENDING.fullmatch(word):
            return False
    return False
