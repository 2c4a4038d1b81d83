"""Markup goes where the attention says, stays nested, and nothing is lost that must not be."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from keifu.text.inline import Inline, Span, read_markdown
from keifu.views.markup import Range, carry, project, render

Words = list[Range]


def words(text: str) -> Words:
    """The ranges of the words of a text."""
    found, begin = [], 0
    for word in text.split(" "):
        found.append((begin, begin + len(word)))
        begin += len(word) + 1
    return found


def attention(*strongest: int, size: int) -> torch.Tensor:
    """Weights `[T, S]` by which target word t draws most on source word `strongest[t]`, on none where that is -1."""
    weights = torch.zeros(len(strongest), size)
    for row, column in enumerate(strongest):
        if column >= 0:
            weights[row] = 0.1
            weights[row, column] = 0.5
    return weights


def translated(source: str, target: str, *strongest: int) -> str:
    """Markdown through a translation of its words to the words of `target`."""
    inline = read_markdown(source)
    spans = [(span.begin, span.end) for span in inline.spans]
    weights = attention(*strongest, size=len(words(inline.plain)))
    code = [index for index, span in enumerate(inline.spans) if span.kind == "verbatim"]
    places = project(spans, words(inline.plain), words(target), weights, code, target)
    return render(target, inline.spans, places, inline.spelling)


# ---- where a span goes -------------------------------------------------------------------------------------


def test_a_span_reaches_from_its_first_to_its_last_target_word() -> None:
    spans = [(0, 3), (4, 9)]
    weights = attention(1, 0, 1, -1, size=3)
    assert project(spans, words("red house z"), words("haus rotes dort x"), weights) == [(5, 10), (0, 4)]
    weights = attention(0, 2, 0, size=3)
    assert project([(0, 3)], words("red house z"), words("a b c"), weights) == [(0, 5)]


def test_code_takes_the_place_of_its_own_words_alone() -> None:
    assert translated("run `make` now", "X Yy Zzz", 1, 2, 1) == "X Yy `make`"
    assert translated("run `make` now", "Xxx , Z Y", 1, 2, 1, 2) == "`make` Y"  # over signs between them
    assert translated("run *make* now", "X Yy Zzz", 1, 2, 1) == "*X Yy Zzz*"


def test_a_span_that_nothing_draws_on_has_no_place() -> None:
    assert project([(0, 3), (4, 6)], words("red at z"), words("a b"), attention(0, 2, size=3)) == [(0, 1), None]
    assert project([(0, 3)], words("red z"), words("a b"), torch.zeros(2, 2)) == [None]
    assert project([(0, 3)], [], [], torch.zeros(0, 0)) == [None]


def test_a_span_around_all_is_around_all() -> None:
    assert project([(0, 5)], words("red z"), words("a b c"), torch.zeros(3, 2)) == [(0, 5)]


def test_overlapping_spans_are_parted() -> None:
    # The second span's words are 1, 2 and 4, the first one's 0 and 3: it lies across, with one word on each side.
    weights = attention(0, 1, 1, 0, 1, size=3)
    first, second = project([(0, 1), (2, 3)], words("a b c"), words("p q r s t"), weights)
    assert first is not None
    assert second is not None
    assert first[1] <= second[0] or second[1] <= first[0]


def test_a_token_belongs_to_the_span_that_its_middle_lies_in() -> None:
    assert project([(2, 9)], [(0, 9), (10, 12)], words("abc de"), attention(0, 1, size=2)) == [(0, 3)]
    assert project([(0, 2)], [(0, 9), (10, 12)], words("abc de"), attention(0, 1, size=2)) == [None]


TEXT = st.lists(st.integers(1, 3), min_size=0, max_size=6)


def tokens(lengths: list[int]) -> Words:
    found, begin = [], 0
    for length in lengths:
        found.append((begin, begin + length))
        begin += length
    return found


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Range], Words, Words, torch.Tensor]:
    """Spans that are nested or apart, in the order in which they open, with any attention at all."""
    source, target = tokens(draw(TEXT)), tokens(draw(TEXT))
    length = source[-1][1] if source else 0
    spans: list[Range] = []

    def fill(begin: int, end: int, depth: int) -> None:
        while begin <= end and draw(st.booleans()):
            first = draw(st.integers(begin, end))
            last = draw(st.integers(first, end))
            spans.append((first, last))
            if depth and first < last:
                fill(first, last, depth - 1)
            begin = last

    fill(0, length, 2)
    weights = torch.tensor([[draw(st.sampled_from((0.0, 0.1, 0.2, 0.7))) for _ in source] for _ in target])
    return spans, source, target, weights.view(len(target), len(source))


@given(cases())
def test_places_are_nested_or_apart_whatever_the_attention(
    case: tuple[list[Range], Words, Words, torch.Tensor],
) -> None:
    spans, _, target, _ = case
    places = project(*case)
    length = target[-1][1] if target else 0
    for index, (span, place) in enumerate(zip(spans, places, strict=True)):
        if place is None:
            continue
        assert 0 <= place[0] <= place[1] <= length
        assert (place[0] < place[1]) == (span[0] < span[1])
        for other_span, other in zip(spans[index + 1 :], places[index + 1 :], strict=True):
            if other is None:
                continue
            apart = other[0] >= place[1] or other[1] <= place[0]
            inside = place[0] <= other[0] and other[1] <= place[1]
            assert apart or (inside and span[0] <= other_span[0] and other_span[1] <= span[1])


# ---- the markup written out --------------------------------------------------------------------------------


def test_markup_moves_with_its_words() -> None:
    assert translated("the *red* [house](u)", "das [Haus] rote", 0, 2, 1) == "das [[Haus]](u) *rote*"
    assert translated("**all of it**", "X Y", 0, 1) == "**X Y**"
    assert translated("***red*** house", "ein rotes Haus", -1, 0, 1) == "ein ***rotes*** Haus"


def test_code_and_addresses_are_written_as_in_the_source() -> None:
    assert translated("run `make test` now", "X Y Z", 3, 1, 2) == "X `make test`"
    assert translated("see https://a.b here", "hier Y", 2, 1) == "hier https://a.b"


def test_what_has_no_place_stands_at_the_end_and_emphasis_goes() -> None:
    assert translated("run `make` now", "X Y", 0, 2) == "X Y `make`"
    assert translated("a [*b* `c`](u) d", "X", 3) == "X [*b* `c`](u)"
    assert translated("a *b `c`* d", "X", 3) == "X `c`"
    assert translated("cats[^1] sleep", "猫", -1) == "猫[^1]"


def test_a_point_goes_before_the_word_that_followed_it() -> None:
    assert translated("cats<br> sleep", "X Y", 1, 0) == "<br>X Y"
    assert translated("cats sleep.[^1]", "X Y", 0, 1) == "X Y[^1]"


def test_emphasis_is_put_where_markdown_reads_it() -> None:
    inline = read_markdown("a *b* c")
    for place, expected in [((1, 4), "ア「*猫*」が"), ((3, 5), "ア「猫」*が*"), ((0, 4), "*ア「猫*」が")]:
        assert render("ア「猫」が", inline.spans, [place], {}) == expected
    inline = read_markdown("a *b <br>* c")
    assert render("x (y) z", inline.spans, [(2, 5), (5, 5)], {}) == "x *(y)*<br> z"


def test_signs_are_spelt_as_in_the_source() -> None:
    assert translated(r"2 \* 3 &amp; x", "a * b & c", -1, -1, -1, -1, -1) == r"a \* b &amp; c"
    assert translated("2 * 3", "a * b", -1, -1, -1) == "a * b"


PIECES = st.lists(
    st.sampled_from(
        (
            "cats",
            "dogs",
            "*a b*",
            "**x *y* z**",
            "`code{0}`",
            "[l](u{0})",
            "[*m* `code{0}`](u{0})",
            "<b>n</b>",
            "t{0}[^f{0}]",
        )
    ),
    min_size=1,
    max_size=8,
)


@given(PIECES, st.lists(st.integers(-1, 12), max_size=10))
def test_every_protected_text_occurs_exactly_once_and_markup_stays_nested(pieces: list[str], draws: list[int]) -> None:
    source = " ".join(piece.format(f"{index}n") for index, piece in enumerate(pieces))
    inline = read_markdown(source)
    count = len(words(inline.plain))
    strongest = [draw if draw < count else -1 for draw in draws]
    target = " ".join(f"w{index}" for index in range(len(draws)))
    result = translated(source, target, *strongest) if draws else _with_nothing(inline)
    for span in inline.spans:
        if span.kind == "verbatim":
            assert result.count(span.written) == 1
        elif span.kind == "link" and span.closing.startswith("]("):
            assert result.count(span.closing) == 1
    again = read_markdown(result)
    stars = sum(span.kind == "emphasis" for span in again.spans)
    assert result.count("*") == 2 * stars  # every sign of emphasis has its partner


def _with_nothing(inline: Inline) -> str:
    return render("", inline.spans, [None] * len(inline.spans), inline.spelling)


# ---- other forms of a text ---------------------------------------------------------------------------------


def test_ranges_are_carried_to_a_text_with_other_spaces_and_cases() -> None:
    text, other = "I'm here (now).", "i 'm here ( now ) ."
    ranges = [(0, 3), (4, 8), (10, 13), (0, 15), (9, 9)]
    found = [other[begin:end] for begin, end in carry(ranges, text, other)]
    assert found == ["i 'm", "here", "now", other, ""]
    assert carry(carry(ranges, text, other), other, text) == ranges


@pytest.mark.parametrize(
    ("text", "other", "part"),
    [
        ("`` a '' b c d", '"a" b c d', "b"),
        ("ﾊﾞﾅﾅは好きです", "バナナは好きです", "好き"),
        ("a b", "a (x) b", "b"),
        ("`` two dogs '' play", '"Two dogs" play', "Two"),
    ],
)
def test_ranges_stay_on_their_words_where_signs_were_joined(text: str, other: str, part: str) -> None:
    begin = text.casefold().index(part.casefold())
    [(first, last)] = carry([(begin, begin + len(part))], text, other)
    assert other[first:last] == part


def test_a_link_without_words_is_opened_before_it_is_closed() -> None:
    span = Span(0, 1, "pair", "[", "](u)", "[a](u)", 0)
    assert render("b", [span], [(1, 1)], {}) == "b[](u)"
