"""Markup inside a line: the text without it, and the spans that it lies around."""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Kind = Literal["emphasis", "link", "pair", "verbatim"]
"""How a span's markup is treated. Emphasis may be dropped; a link may not, nor a pair of codes, which without a place
stands around nothing; verbatim text is not translated.
"""

_DEEPEST = 100  # marks that are open at once: each keeps a copy of all that is inside
NO_LABELS: frozenset[str] = frozenset()


class Span(NamedTuple):
    """Markup around characters `begin` to `end` of the plain text; none of them where it stands alone, like <br>."""

    begin: int
    end: int
    kind: Kind
    opening: str
    closing: str
    written: str
    """All of it as the document has it, markup and text."""
    at: int
    """Where `written` begins in the text with markup."""


@dataclass(frozen=True)
class Inline:
    """A text and, without its markup, `plain`. `places[i]` is the range of `written` that plain character i stands for.

    spans: in the order in which they open, nested or apart. spelling: characters that the document writes otherwise,
    as {"*": r"\\*"} or {"&": "&amp;"}.
    """

    written: str
    plain: str
    places: Sequence[tuple[int, int]]
    spans: Sequence[Span] = ()
    spelling: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Mark:
    """A stretch of a text that is markup. `plain` is what a reader sees in its place.

    key: marks with the same key, of which one opens and a later one closes, form a pair around what is between them.
    One that finds no partner is plain text, or verbatim. Marks of one run, as "**", are no partners. form: how it is
    written in a translation, if otherwise.
    """

    begin: int
    end: int
    plain: str = ""
    verbatim: bool = False
    key: str = ""
    opens: bool = False
    closes: bool = False
    run: int | None = None
    kind: Kind = "emphasis"
    form: str | None = None


def assemble(text: str, marks: Sequence[Mark]) -> Inline:
    """The text without its marks, which stand in it one after another."""
    partners = _pairs(marks)
    plain: list[str] = []
    places: list[tuple[int, int]] = []
    spans: list[Span] = []
    opened: dict[int, int] = {}  # a mark that opens -> its span
    spelling: dict[str, str] = {}
    done = 0
    for index, mark in enumerate(marks):
        plain += text[done : mark.begin]
        places += ((at, at + 1) for at in range(done, mark.begin))
        done = mark.end
        written, here = text[mark.begin : mark.end], len(plain)
        if index in opened:
            span = spans[opened[index]]
            whole, closing = text[span.at : mark.end], written if mark.form is None else mark.form
            if span.begin == here:  # markup around no text is one piece
                spans[opened[index] :] = [Span(here, here, "verbatim", "", "", whole, span.at)]
            else:
                spans[opened[index]] = span._replace(end=here, closing=closing, written=whole)
        elif index in partners:
            opened[partners[index]] = len(spans)
            spans.append(Span(here, here, mark.kind, written, "", written, mark.begin))
        else:
            if mark.verbatim:
                spans.append(Span(here, here + len(mark.plain), "verbatim", "", "", written, mark.begin))
            elif mark.plain and mark.plain != written:
                spelling[mark.plain] = written
            plain += mark.plain
            places += [(mark.begin, mark.end)] * len(mark.plain)
    plain += text[done:]
    places += ((at, at + 1) for at in range(done, len(text)))
    return Inline(text, "".join(plain), places, spans, spelling)


def _pairs(marks: Sequence[Mark]) -> dict[int, int]:
    """Opening mark -> closing mark: the nearest one of the same key, so that pairs never cross.

    The brackets of a link come before all else: what opens outside of them does not close inside. What would lie in too
    many others opens nothing.
    """
    partners: dict[int, int] = {}
    depth = 0
    waiting: dict[str, list[int]] = {}
    links: list[int] = []
    for index, mark in enumerate(marks):
        own = waiting.setdefault(mark.key, [])
        if mark.closes and own and own[-1] >= (links[-1] if links else 0) and not _in_one_run(marks[own[-1]], mark):
            opening = own.pop()
            partners[opening] = index
            depth -= 1
            if links and opening == links[-1]:
                links.pop()
            for others in waiting.values():  # what opened in between and is still open would cross this pair
                while others and others[-1] > opening:
                    others.pop()
                    depth -= 1
        elif mark.opens and depth < _DEEPEST:
            own.append(index)
            depth += 1
            if mark.key.startswith("["):
                links.append(index)
    return partners


def _in_one_run(first: Mark, second: Mark) -> bool:
    return first.run is not None and first.run == second.run


# ---- plain text: addresses only ----------------------------------------------------------------------------

_ADDRESS = (
    r"(?P<address> \b(?:https?://|www\.) [!-;=?-~]{1,2000} (?<![.,;:!?'\"*_~)\]}`])"
    r" | (?<![\w.+-]) [a-zA-Z0-9_.+-]{1,64} @ [a-zA-Z0-9-]{1,63} (?:\.[a-zA-Z0-9-]{1,63}){1,8} )"
)
_PLAIN = re.compile(_ADDRESS, re.VERBOSE)


def read_plain(text: str) -> Inline:
    """A text whose only markup are addresses (https://..., name@example.org)."""
    marks = [Mark(found.start(), found.end(), found[0], verbatim=True) for found in _PLAIN.finditer(text)]
    return assemble(text, marks)


# ---- Markdown ----------------------------------------------------------------------------------------------

_MARKDOWN = re.compile(
    r"""
      \\ (?P<escaped> [!-/:-@\[-`{-~] )
    | (?P<entity> & (?: \#[0-9]{1,7} | \#[xX][0-9a-fA-F]{1,6} | [A-Za-z][A-Za-z0-9]{1,31} ) ; )
    | (?<!`) (?P<ticks> `++ ) (?P<code> .{1,2000}? ) (?<!`) (?P=ticks) (?!`)
    | < (?P<autolink> [A-Za-z][A-Za-z0-9+.-]{1,31}: [^\s<>]{0,2000} | [^\s<>@]{1,64} @ [^\s<>@]{1,255} ) >
    | (?P<comment> <!-- .{0,2000}? --> )
    | < (?P<slash> /? ) (?P<tag> [A-Za-z][A-Za-z0-9-]{0,30} )
        (?: \s (?: [^<>"'] | "[^"<]{0,1000}" | '[^'<]{0,1000}' ){0,1000} )? (?P<alone> /? ) >
    | (?P<footnote> \[ \^ [^\s\[\]]{1,100} \] )
    | (?P<link> (?P<bracket> !?\[ )
        (?P<label> (?:
            [^\[\]\\`] | \\. | `[^`]{0,1000}` | ` | \[ (?: [^\[\]`] | `[^`]{0,1000}` | ` ){0,1000}+ \]
        ){0,1000}+ )
        (?P<rest> \]
          (?: \( \s* (?: <[^<>]{0,2000}> | [^\s()<>]{0,2000} (?: \( [^\s()]{0,1000} \) [^\s()]{0,1000} ){0,8} )
                (?: \s+ (?: "[^"]{0,1000}" | '[^']{0,1000}' | \([^()]{0,1000}\) ) )? \s* \)
            | \[ (?P<reference> [^\[\]]{0,1000} ) \]
          )?
        )
      )
    | (?P<run> \*+ | _+ | ~+ )
    | """
    + _ADDRESS,
    re.VERBOSE | re.DOTALL,
)
_VOID_TAGS = frozenset(("br", "img", "hr", "wbr", "input"))


def read_markdown(text: str, labels: frozenset[str] = NO_LABELS) -> Inline:
    """A paragraph of Markdown. labels: of the document's link reference definitions, as `label_key` gives them."""
    return assemble(text, list(_markdown_marks(text, 0, len(text), labels)))


def label_key(label: str) -> str:
    """Labels of references that Markdown holds to be the same have the same key."""
    return " ".join(label.split()).casefold()


def _markdown_marks(text: str, begin: int, end: int, labels: frozenset[str]) -> Iterator[Mark]:
    done = begin
    while found := _MARKDOWN.search(text, done, end):
        first, done = found.span()
        match found.lastgroup:
            case "escaped":
                yield Mark(first, done, found["escaped"])
            case "entity":
                read = html.unescape(found["entity"])
                yield Mark(first, done, read)
            case "code":
                yield Mark(first, done, found["code"].strip(" "), verbatim=True)
            case "autolink" | "address":
                yield Mark(first, done, found["autolink"] or found["address"], verbatim=True)
            case "comment" | "footnote":
                yield Mark(first, done, verbatim=True)
            case "alone":
                yield _tag(found)
            case "run":
                yield from _run(text, first, done)
            case _:
                if _is_link(found, labels):
                    yield from _link(text, found, labels)
                else:  # brackets that are only brackets
                    done = first + len(found["bracket"])


def _tag(found: re.Match[str]) -> Mark:
    name = found["tag"].lower()
    alone = bool(found["alone"]) or name in _VOID_TAGS
    closes = bool(found["slash"])
    return Mark(*found.span(), verbatim=True, key=f"<{name}", opens=not (alone or closes), closes=closes, kind="link")


def _run(text: str, first: int, end: int) -> Iterator[Mark]:
    """A mark for each sign of a run as "**": pairs that lie inside each other come out as they went in."""
    before, after = text[first - 1 : first], text[end : end + 1]
    opens, closes = not (after.isspace() or not after), not (before.isspace() or not before)
    if text[first] == "_":  # snake_case is one word
        opens, closes = opens and not before.isalnum(), closes and not after.isalnum()
    for at in range(first, end):
        yield Mark(at, at + 1, text[at], key=text[at], opens=opens, closes=closes, run=first)


def _is_link(found: re.Match[str], labels: frozenset[str]) -> bool:
    if found["rest"].startswith("]("):
        return True
    return label_key(found["reference"] or found["label"]) in labels


def _link(text: str, found: re.Match[str], labels: frozenset[str]) -> Iterator[Mark]:
    """The brackets of a link or an image, with the marks of its text between them.

    Where the text itself is the reference, as in [Guide] or [Guide][], a translation must name the reference.
    """
    key = f"[{found.start()}"
    form = f"][{found['label']}]" if found["rest"] in ("]", "][]") else None
    yield Mark(*found.span("bracket"), found["bracket"], key=key, opens=True, kind="link")
    yield from _markdown_marks(text, *found.span("label"), labels)
    yield Mark(*found.span("rest"), found["rest"], key=key, closes=True, kind="link", form=form)
