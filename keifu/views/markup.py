"""Markup put back into a translation, where the model's attention says that its words went."""

from collections.abc import Container, Mapping, Sequence
from difflib import SequenceMatcher

from torch import Tensor

from keifu.text.inline import Span
from keifu.text.sentences import space_between

Range = tuple[int, int]


def project(
    spans: Sequence[Range],
    source: Sequence[Range],
    target: Sequence[Range],
    weights: Tensor,
    replaced: Container[int] = (),
    text: str = "",
) -> list[Range | None]:
    """Where each span of the source text lies in the target text; None where it has no place.

    spans: in the order in which they open, nested or apart. source, target: the characters of each token. weights
    `[T, S]`: how much each target token draws on each source token; zeros where nothing is known. replaced: the spans
    whose place in the target `text` is written over, so that it holds no other words.

    A target token belongs to the source token that it draws on most, and a span's place reaches from its first target
    token to its last; one around all of the source is around all of the target. Places are nested as the spans are,
    or apart: where two would overlap, the longer one keeps the side on which it has more tokens. An empty span goes
    before the word that followed it.
    """
    words = _drawn_on(source, weights)
    whole = (source[0][0], source[-1][1]) if source else (0, 0)
    everything = (0, max((end for _, end in target), default=0))
    places: list[Range | None] = [None] * len(spans)
    for parent, children in _children(spans).items():
        room = everything if parent is None else places[parent]
        if room is None:
            continue
        tokens: dict[int, list[Range]] = {}
        for child in children:
            begin, end = spans[child]
            own = [place for place, word in zip(target, words, strict=True) if begin <= word < end]
            own = [one for one in own if room[0] <= one[0] and one[1] <= room[1]]
            tokens[child] = _longest_run(own, text) if child in replaced else own
            if begin <= whole[0] and whole[1] <= end and begin < end and room[0] < room[1]:
                tokens[child] = [room]
        _place_apart(tokens, places)
        for child in children:
            position, end = spans[child]
            if position == end and (at := _before_word(position, source, target, words)) is not None:
                places[child] = _outside(at, [places[other] for other in children], room)
    return places


def carry(ranges: Sequence[Range], text: str, other: str) -> list[Range]:
    """The ranges of a text in another form of it, which differs in its spaces, in the case of letters, and here and
    there in a sign (two quotes for one).
    """
    if text == other:
        return list(ranges)
    before = [0]
    for sign in text:
        before.append(before[-1] + (not sign.isspace()))
    signs = [at for at, sign in enumerate(other) if not sign.isspace()]
    starts, ends = [*signs, len(other)], [0, *(at + 1 for at in signs)]
    own = [sign.casefold() for sign in text if not sign.isspace()]
    firsts, lasts = _counterparts(own, [other[at].casefold() for at in signs])
    carried = []
    for begin, end in ranges:
        first = starts[firsts[before[begin]]]
        carried.append((first, max(first, ends[lasts[before[end]]]) if begin < end else first))
    return carried


def _counterparts(signs: Sequence[str], others: Sequence[str]) -> tuple[list[int], list[int]]:
    """Of each border between signs, where a range that begins or ends there does so among the others."""
    if len(signs) == len(others):
        return [*range(len(signs) + 1)], [*range(len(signs) + 1)]
    firsts, lasts = [len(others)] * (len(signs) + 1), [0] * (len(signs) + 1)
    done = known = 0
    for place, other, size in SequenceMatcher(None, signs, others, autojunk=False).get_matching_blocks():
        firsts[done:place] = [known] * (place - done)
        lasts[done + 1 : place + 1] = [other] * (place - done)
        firsts[place : place + size] = range(other, other + size)
        lasts[place + 1 : place + size + 1] = range(other + 1, other + size + 1)
        done, known = place + size, other + size
    return firsts, lasts


def render(text: str, spans: Sequence[Span], places: Sequence[Range | None], spelling: Mapping[str, str]) -> str:
    """A translation with its markup at the places that `project` gives, and characters spelt as the document does.

    Emphasis without a place is dropped; links, code and addresses without one are put at the end.
    """
    borders: list[tuple[int, int, int, str, int]] = []  # where, in which order, what is written, where text goes on
    lost: list[tuple[str, bool]] = []  # and whether it is a word of the sentence
    covered = 0  # up to where the source has markup that is lost with all that is inside
    kept = [place for span, place in zip(spans, places, strict=True) if place and span.kind != "emphasis"]
    for index, (span, place) in enumerate(zip(spans, places, strict=True)):
        if place and span.kind == "emphasis":
            place = _without_signs(text, place, kept)
        if place is None:
            if span.kind != "emphasis" and span.at >= covered:
                mark = span.opening + span.closing if span.kind == "pair" else span.written
                lost.append((mark, span.kind != "pair" and span.begin < span.end))
                covered = span.at + len(span.written) if span.kind == "link" else covered
        elif place[0] == place[1] and span.kind != "verbatim":
            if span.kind != "emphasis":
                borders.append((place[0], 1, index, span.opening + span.closing, place[0]))
        elif span.kind == "verbatim":
            borders.append((place[0], 1 if place[0] == place[1] else 2, index, span.written, place[1]))
        else:
            borders.append((place[0], 2, index, span.opening, place[0]))
            borders.append((place[1], 0, -index, span.closing, place[1]))
    written, done = "", 0
    for position, _, _, mark, following in sorted(borders):
        written += _spelt(text[done:position], spelling) + mark
        done = max(done, following)
    written += _spelt(text[done:], spelling)
    for mark, is_word in lost:
        written += (space_between(written, mark) if is_word else "") + mark
    return written


def _without_signs(text: str, place: Range, others: Sequence[Range]) -> Range:
    """The place without punctuation at a border where a letter stands outside: **「猫」**が would not be emphasis."""
    letters = [at for at in range(*place) if text[at].isalnum()]
    if not letters:
        return place
    begin = letters[0] if text[max(0, place[0] - 1) : place[0]].isalnum() else place[0]
    end = letters[-1] + 1 if text[place[1] : place[1] + 1].isalnum() else place[1]
    cut = ((place[0], begin), (end, place[1]))
    if any(other[0] < last and first < other[1] for first, last in cut for other in others):
        return place
    return begin, end


def _spelt(text: str, spelling: Mapping[str, str]) -> str:
    return "".join(spelling.get(sign, sign) for sign in text)


def _drawn_on(source: Sequence[Range], weights: Tensor) -> list[int]:
    """The character in the middle of the source token that each target token draws on most; -1 where on none."""
    if not source:
        return [-1] * len(weights)
    strongest, columns = weights.max(-1)
    middles = [begin + (end - begin) // 2 for begin, end in source]
    return [
        middles[column] if weight > 0 else -1
        for weight, column in zip(strongest.tolist(), columns.tolist(), strict=True)
    ]


def _children(spans: Sequence[Range]) -> dict[int | None, list[int]]:
    """The spans inside each span, and inside none (None), outer ones first. An empty one is inside only if not at a
    border.
    """
    found: dict[int | None, list[int]] = {None: []}
    around: list[int] = []
    for index, (begin, end) in enumerate(spans):
        edge = begin == end
        while around and not (spans[around[-1]][0] + edge <= begin and end <= spans[around[-1]][1] - edge):
            around.pop()
        found.setdefault(around[-1] if around else None, []).append(index)
        if not edge:
            around.append(index)
    return found


def _place_apart(tokens: Mapping[int, list[Range]], places: list[Range | None]) -> None:
    """Places spans that stand side by side, the shortest place first."""
    taken: list[Range] = []
    for span in sorted(tokens, key=lambda span: _length(_hull(tokens[span]))):
        own = tokens[span]
        for begin, end in taken:
            if (hull := _hull(own)) and hull[0] < end and begin < hull[1]:
                left, right = [one for one in own if one[1] <= begin], [one for one in own if one[0] >= end]
                own = max(left, right, key=len)
        if place := _hull(own):
            places[span] = place
            taken.append(place)


def _longest_run(tokens: Sequence[Range], text: str) -> list[Range]:
    """Of the tokens those that stand together, without another word between; the most characters."""
    runs: list[list[Range]] = []
    for begin, end in tokens:
        if runs and not any(map(str.isalnum, text[runs[-1][-1][1] : begin])):
            runs[-1].append((begin, end))
        else:
            runs.append([(begin, end)])
    return max(runs, key=lambda run: _length(_hull(run)), default=[])


def _hull(tokens: Sequence[Range]) -> Range | None:
    """From the first character of the first token to the last of the last; None where there is none."""
    if not tokens:
        return None
    return min(begin for begin, _ in tokens), max(end for _, end in tokens)


def _length(place: Range | None) -> int:
    return place[1] - place[0] if place else 0


def _before_word(position: int, source: Sequence[Range], target: Sequence[Range], words: Sequence[int]) -> int | None:
    """Where the target of the source token behind `position` begins; 0 in front of all; None behind all."""
    following = next(((begin, end) for begin, end in source if begin >= position), None)
    if following is None:
        return None
    if not any(end <= position for _, end in source):
        return 0
    return min(
        (place[0] for place, word in zip(target, words, strict=True) if following[0] <= word < following[1]),
        default=None,
    )


def _outside(at: int, others: Sequence[Range | None], room: Range) -> Range:
    """An empty place at `at`, in `room` but not inside another place."""
    at = min(max(at, room[0]), room[1])
    for place in others:
        if place and place[0] < at < place[1]:
            at = place[0]
    return at, at
