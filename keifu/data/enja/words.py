"""Words of a sentence in both languages, and how they become a `Pair` with its alignment."""

from collections.abc import Iterable, Sequence

from keifu.data.examples import Alignment, Pair


class Word:
    """One English word of one sentence. Japanese words point at it, so it is made anew for every sentence."""

    __slots__ = ("index", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.index = -1


# An English sentence is a list of words; a plain string in it is punctuation that closes up to the word before.
English = list[Word | str]
# A Japanese word and the English words that it renders. "、" is punctuation, not a word.
Chunk = tuple[str, Sequence[Word]]

COMMA: Chunk = ("、", ())


def words(text: str) -> list[Word]:
    return [Word(part) for part in text.split()]


def listed(text: str) -> tuple[str, ...]:
    """The parts of "eat, look for, play#game"."""
    return tuple(part.strip() for part in text.split(","))


def spell(english: Iterable[Word | str], end: str) -> tuple[str, list[tuple[int, int]]]:
    """The text of an English sentence and the character range of each of its words, which get their index here."""
    parts: list[str] = []
    spans: list[tuple[int, int]] = []
    position = 0
    for item in english:
        if isinstance(item, str):
            parts.append(item)
            position += len(item)
            continue
        if parts:
            parts.append(" ")
            position += 1
        text = item.text
        item.index = len(spans)
        spans.append((position, position + len(text) - (text[-1] == ".")))  # the full stop of "Mr." is punctuation
        parts.append(text)
        position += len(text)
    parts.append(end)
    text = "".join(parts)
    return text[0].upper() + text[1:], spans


def pair(source: str, spans: list[tuple[int, int]], japanese: Iterable[Chunk], constructions: tuple[str, ...]) -> Pair:
    """The finished pair. `source` and `spans` are what `spell` gave for the words that `japanese` points at."""
    parts: list[str] = []
    target_spans: list[tuple[int, int]] = []
    links: list[tuple[int, int]] = []
    position = 0
    for text, sources in japanese:
        parts.append(text)
        start = position
        position += len(text)
        if text == "、":
            continue
        index = len(target_spans)
        for word in sources:
            links.append((index, word.index))
        target_spans.append((start, position))
    parts.append("。")
    alignment = Alignment(tuple(spans), tuple(target_spans), frozenset(links))
    return Pair(source, "".join(parts), constructions, alignment)
