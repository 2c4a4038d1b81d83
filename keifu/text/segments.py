"""A document in two: the sentences to translate, and the frame that stays around them."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from keifu.text.inline import Inline, Span
from keifu.text.sentences import sentence_ends, space_between


@dataclass(frozen=True)
class Segment:
    """A sentence of a document. `text`: as it stands there, with markup and line ends.

    plain: what is translated. spans: the markup in `plain`. spelling: characters that the document writes otherwise.
    """

    text: str
    plain: str
    spans: Sequence[Span] = ()
    spelling: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Document:
    """`frame[i]` stands before `segments[i]`, its last part behind them all.

    joined: those i whose frame only parts two sentences of one paragraph.
    """

    segments: Sequence[Segment]
    frame: Sequence[str]
    joined: frozenset[int] = frozenset()

    def fill(self, translations: Sequence[str]) -> str:
        """The document with a translation in place of each segment.

        A translated paragraph becomes one line, its sentences joined as their script asks. A paragraph whose
        translations are its own sentences stays as it is.
        """
        assert len(translations) == len(self.segments), f"{len(translations)} for {len(self.segments)} segments"
        same = self._unchanged(translations)
        content: list[str] = []
        for index, translation in enumerate(translations):
            if index in self.joined and not same[index]:
                content.append(space_between(translations[index - 1], translation))
            else:
                content.append(self.frame[index])
            content.append(translation)
        return "".join([*content, self.frame[-1]])

    def _unchanged(self, translations: Sequence[str]) -> list[bool]:
        """For each segment, whether its whole paragraph stays as it is."""
        same = [text == segment.text for text, segment in zip(translations, self.segments, strict=True)]
        for index in range(1, len(same)):
            if index in self.joined:
                same[index] = same[index] and same[index - 1]
        for index in reversed(range(1, len(same))):
            if index in self.joined:
                same[index - 1] = same[index]
        return same


class Frame:
    """A document in the making: what is kept and what is to be translated, in order."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._parts: list[list[str]] = [[]]
        self._joined: set[int] = set()

    def document(self) -> Document:
        return Document(self._segments, ["".join(part) for part in self._parts], frozenset(self._joined))

    def keep(self, text: str) -> None:
        """Text that stays as it is."""
        self._parts[-1].append(text)

    def paragraph(
        self,
        lines: Sequence[tuple[str, str]],
        read: Callable[[str], Inline],
        spelling: Mapping[str, str] | None = None,
    ) -> None:
        """A paragraph, cut into its sentences; those without words stay. lines: each with what follows it."""
        raw, folded, places = _fold(lines)
        inline = read(folded)
        done = 0
        previous: int | None = None  # where the sentence before ends in `folded`, if it is one to translate
        for first, last in _sentences(inline):
            begin, end = places[first], places[last - 1] + 1
            self.keep(raw[done:begin])
            segment = _segment(raw[begin:end], inline, first, last, spelling or {})
            if not _has_words(segment):
                self.keep(segment.text)
                previous = None
            else:
                if previous is not None and not folded[previous:first].strip():
                    self._joined.add(len(self._segments))
                self._segments.append(segment)
                self._parts.append([])
                previous = last
            done = end
        self.keep(raw[done:])


def _fold(lines: Sequence[tuple[str, str]]) -> tuple[str, str, list[int]]:
    """The lines as they stand in the document, as one line, and for each character of that where it stands."""
    raw: list[str] = []
    folded: list[str] = []
    places: list[int] = []
    length = 0
    for index, (line, gap) in enumerate(lines):
        space = space_between(line, lines[index + 1][0]) if index + 1 < len(lines) else ""
        places += [*range(length, length + len(line)), *([length + len(line)] * len(space))]
        raw += (line, gap)
        folded += (line, space)
        length += len(line) + len(gap)
    return "".join(raw), "".join(folded), places


def _sentences(inline: Inline) -> list[tuple[int, int]]:
    """The ranges of the sentences in the written text. No span is cut in two.

    Emphasis around all of it belongs to the frame, so that the sentences inside can be parted.
    """
    first, until, around = 0, len(inline.written), 0
    for span in inline.spans:
        if span.kind != "emphasis" or span.at != first or len(span.written) != until - first:
            break
        first, until, around = first + len(span.opening), until - len(span.closing), around + 1
    inside = bytearray(len(inline.plain) + 1)
    ends: dict[int, int] = {}  # place in the plain text -> where the markup around what ends there ends
    begins: dict[int, int] = {}
    for span in inline.spans[around:]:
        inside[span.begin + 1 : span.end] = b"\1" * max(0, span.end - span.begin - 1)
        ends[span.end] = max(ends.get(span.end, 0), span.at + len(span.written))
        begins.setdefault(span.begin, span.at)
    ranges = []
    for end, begin in sentence_ends(inline.plain):
        if inside[end] or inside[begin]:
            continue
        last = max(ends.get(end, 0), inline.places[end - 1][1])
        ranges.append((first, last))
        first = max(last, min(begins.get(begin, len(inline.written)), inline.places[begin][0]))
    ranges.append((first, until))
    return [(first, last) for first, last in ranges if first < last]


def _segment(text: str, inline: Inline, first: int, last: int, spelling: Mapping[str, str]) -> Segment:
    """The sentence at `first` to `last` of the written text."""
    begin = bisect_left(inline.places, first, key=lambda place: place[0])
    end = bisect_left(inline.places, last, key=lambda place: place[0])
    spans = inline.spans[
        bisect_left(inline.spans, first, key=lambda span: span.at) : bisect_left(
            inline.spans, last, key=lambda span: span.at
        )
    ]
    moved = [span._replace(begin=span.begin - begin, end=span.end - begin) for span in spans]
    return Segment(text, inline.plain[begin:end], moved, {**spelling, **inline.spelling})


def _has_words(segment: Segment) -> bool:
    """Whether there is a letter that is not part of code or of an address."""
    done = 0
    for span in segment.spans:
        if span.kind == "verbatim":
            if any(sign.isalpha() for sign in segment.plain[done : span.begin]):
                return True
            done = span.end
    return any(sign.isalpha() for sign in segment.plain[done:])
