"""Long texts, cut so that the tokens of the pieces are those of the whole."""

import re
from collections.abc import Iterable, Iterator

_PIECE = 1 << 20  # characters that are encoded together, at least
_LONGEST = 1 << 24  # where no place to cut is found before, a piece ends anywhere

# Where no piece of a word reaches across, and `encode` puts no space before what begins there, or just the one that is
# taken away: before a line end, after 。 and its like, and at a single space before a plain letter.
_CUT = re.compile(r"(?<=\S)(?=\n)|(?<=[。！？])(?=[\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff])|(?<=\S) (?=[A-Za-z])")


def pieces(blocks: Iterable[str], kind: str) -> Iterator[str]:
    """A text that comes in blocks, in pieces for a tokenizer of this kind; the same blocks give the same pieces."""
    rest = ""
    for block in blocks:
        rest += block
        while len(rest) >= _PIECE:
            end, begin = _place(rest, kind)
            if end == 0:
                break
            yield rest[:end]
            rest = rest[begin:]
    if rest:
        yield rest


def _place(text: str, kind: str) -> tuple[int, int]:
    """Where the text's first piece ends, and where the next one begins; zeros where there is no place for that."""
    if kind == "character":
        return _PIECE, _PIECE
    if found := _CUT.search(text, _PIECE):
        return found.span()
    return (_LONGEST, _LONGEST) if len(text) >= _LONGEST else (0, 0)
