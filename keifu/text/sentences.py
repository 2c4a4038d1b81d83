"""Where a sentence ends, how sentences are joined, and where one is cut that is too long: rules, no model.

A sentence ends behind 。！？ and their closing brackets, unless a particle follows (「行く。」と言った), and behind
. ! ? where a space and then anything but a small letter follows. A full stop behind a common abbreviation, an initial
or the number that begins a line ("1. Cats") ends nothing.
"""

import re
from collections.abc import Callable, Iterator

_END = re.compile(
    r"""
    [。！？｡]++ (?: [」』）】〉》”’]++ (?! [ぁ-ゟ、，] ) | (?! [」』）】〉》”’] ) ) \s*
    | (?<![.!?…؟۔।]) [.!?…؟۔।]++ (?P<closing> [)\]"'”’»›」』）]*+ ) \s+ (?= [(\[“"‘'«‹¿¡「『（]* (?P<next> [^\W_] ) )
    """,
    re.VERBOSE,
)
_ABBREVIATION = re.compile(
    r"""
    (?: ^ | [\s("'“‘«] )
    (?: Mr | Mrs | Ms | Dr | Prof | St | Jr | Sr | Mt | Gen | Capt | Lt | Rev | Hon | M | Mme | Mlle | Hr | Fr | Sra?
      | vs | etc | e\.g | i\.e | cf | al | approx | ca | Inc | Ltd | Co | Corp | Fig | Vol | Ch | pp? | ed | eds
      | z\.\s?B | d\.\s?h | u\.\s?a | bzw | usw
      | [A-HJ-Z] (?: \. \s? [A-Z] )*
    ) \. $
    """,
    re.VERBOSE,
)
_SMALL_ABBREVIATION = re.compile(_ABBREVIATION.pattern, re.VERBOSE | re.IGNORECASE)
_BEFORE_NUMBER = re.compile(r"\b(?:No|Nos|Nr|Art|Sec|Fig|Tab|Eq|Abs)\.$")
_ORDINAL = re.compile(r"\s*(?:\d+|[A-Za-z])\.$")
_WIDE = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff9f\U00020000-\U0003ffff]")
_CLAUSE = re.compile(r"[、，；：]|[,;:](?=\s)")
_SPACE = re.compile(r"\s+")
_LONGEST_ABBREVIATION = 20  # characters looked back


def sentence_ends(text: str, small: bool = False) -> Iterator[tuple[int, int]]:
    """Where a sentence ends and where the next one begins, for each end inside the text. small: whether one may begin
    with a small letter, though not behind a quotation.
    """
    begin = 0
    for found in _END.finditer(text):
        end = found.start() + len(found[0].rstrip())
        following, begins_small = found["next"], small and not found["closing"]
        if found.end() < len(text) and not (following and _goes_on(text, begin, end, following, begins_small)):
            yield end, found.end()
            begin = found.end()


def _goes_on(text: str, begin: int, end: int, following: str, small: bool) -> bool:
    before = text[max(begin, end - _LONGEST_ABBREVIATION) : end]
    if following.islower() and not small:
        return True
    if (_SMALL_ABBREVIATION if small else _ABBREVIATION).search(before):
        return True
    return bool(following.isdigit() and _BEFORE_NUMBER.search(before)) or bool(_ORDINAL.fullmatch(text[begin:end]))


def ends_sentence(line: str) -> bool:
    """Whether a line ends with the sign of a sentence's end."""
    return bool(re.search(r"[。！？｡.!?…؟۔।][)\]\"'”’»›」』）】]*$", line))


def space_between(left: str, right: str) -> str:
    """What parts two sentences, or two lines of one: nothing beside a Japanese or Chinese sign, elsewhere a space."""
    word, following = left.rstrip("*_~`"), right.lstrip("*_~`")
    if not word or not following:
        return ""
    if word != left and not word[-1].isalnum():  # in Markdown, **。** followed by a letter would not be emphasis
        return " "
    return "" if _WIDE.match(word[-1]) or _WIDE.match(following[0]) else " "


def columns(line: str) -> int:
    """The width of a line on a screen, where Japanese and Chinese signs are two columns wide."""
    return len(line) + len(_WIDE.findall(line))


def cut_to_fit(text: str, fits: Callable[[str], bool], begin: int = 0) -> list[tuple[int, int]]:
    """Ranges of a text that fit: it is halved at the clause sign nearest its middle, or at a space, or anywhere."""
    if len(text) < 2 or fits(text):
        return [(begin, begin + len(text))]
    middle = len(text) // 2
    for signs in (_CLAUSE, _SPACE):
        ends = [found.end() for found in signs.finditer(text) if found.end() < len(text)]
        if ends:
            middle = min(ends, key=lambda end: abs(end - middle))
            break
    return cut_to_fit(text[:middle], fits, begin) + cut_to_fit(text[middle:], fits, begin + middle)
