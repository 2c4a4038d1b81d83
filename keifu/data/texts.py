"""From a SPEC to running text: what a language model reads."""

import hashlib
import re
import shlex
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from keifu.data.catalogue import ALIASES, BUILT_IN, CATALOGUE, find
from keifu.data.download import Progress, ignore
from keifu.data.lines import LONGEST, running_text, shown
from keifu.data.pairs import SETS, UTF_8, Form
from keifu.data.records import JSON_LINES
from keifu.data.spec import Term, parse
from keifu.data.stored import StoredText, collect_text
from keifu.data.tables import Table, open_table
from keifu.errors import ConfigError, DataError
from keifu.text.sentences import sentence_ends

_SPACE = re.compile(r"\s+")
_USUAL = "text"  # what a column of texts is called where nobody says
_TABLES = (".tsv", ".tab", ".csv", *JSON_LINES, ".parquet", ".tmx")


@dataclass(frozen=True)
class TextData:
    """One text, whose lines end with line feeds, and what a report must say of it. A long one is stored in a file."""

    spec: str
    content: str | StoredText

    @property
    def text(self) -> str:
        """All of it."""
        return self.content if isinstance(self.content, str) else "".join(self.content.blocks())

    @property
    def is_stored(self) -> bool:
        """Whether it is larger than what is kept in memory."""
        return not isinstance(self.content, str)

    @property
    def characters(self) -> int:
        return len(self.content)

    def blocks(self) -> Iterator[str]:
        """The text, a block at a time."""
        if isinstance(self.content, StoredText):
            yield from self.content.blocks()
        elif self.content:
            yield self.content

    def lines(self) -> Iterator[str]:
        """Its lines without their ends; where the last one has ended, none follows it. One that is longer than what is
        read at once comes in parts.
        """
        return (piece.removesuffix("\n") for piece in self.pieces())

    def pieces(self) -> Iterator[str]:
        """The same with the ends of lines, which parts do not have but the last."""
        rest = ""
        for block in self.blocks():
            *whole, rest = (rest + block).split("\n")
            yield from (f"{line}\n" for line in whole)
            if self.is_stored and len(rest) > LONGEST:
                yield rest
                rest = ""
        if rest:
            yield rest

    @cached_property
    def line_count(self) -> int:
        """How many lines it has, however long they are."""
        ended = not self.characters or self.cut(self.characters - 1, self.characters).text == "\n"
        return sum(block.count("\n") for block in self.blocks()) + (not ended)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the text in UTF-8."""
        digest = hashlib.sha256()
        for block in self.blocks():
            digest.update(block.encode())
        return digest.hexdigest()

    @cached_property
    def documents(self) -> Collection[str]:
        """The lines that are not blank."""
        return _Documents(self) if self.is_stored else list(_not_blank(self.lines()))

    @property
    def is_a_list(self) -> bool:
        """Whether its lines seem to stand each for itself: there are several, and no blank one divides them."""
        texts, ended, blank = 0, True, False
        for piece in self.pieces():
            if piece.strip():
                if blank:
                    return False
                texts += ended  # of a line that comes in parts the first
            elif ended:
                blank = texts > 0
            ended = piece.endswith("\n")
        return texts > 1

    def passages(self, reading: str) -> list[list[str]]:
        """The sentences of each document: of "documents" each line is one, of a "stream" what blank lines divide."""
        if reading == "documents":
            return [_sentences(line) for line in self.documents]
        blocks = re.split(r"\n(?:[^\S\n]*\n)+", self.text)
        found = ([sentence for line in block.split("\n") for sentence in _sentences(line)] for block in blocks)
        return [sentences for sentences in found if sentences]

    def cut(self, begin: int, end: int) -> "TextData":
        """The characters from `begin` up to `end`."""
        content = self.content[begin:end] if isinstance(self.content, str) else self.content.cut(begin, end)
        return replace(self, content=content)

    def place_of_line(self, number: int) -> int:
        """How many characters stand before line `number`, counted from 0."""
        place = ended = 0
        for piece in self.pieces():
            if ended == number:
                break
            place, ended = place + len(piece), ended + piece.endswith("\n")
        return place


class _Documents(Collection[str]):
    """The lines of a stored text that are not blank, read anew whenever they are asked for."""

    def __init__(self, data: TextData) -> None:
        self._data = data

    def __iter__(self) -> Iterator[str]:
        return _not_blank(self._data.lines())

    def __contains__(self, text: object) -> bool:
        return any(one == text for one in self)

    @cached_property
    def _count(self) -> int:
        return sum(1 for _ in self)

    def __len__(self) -> int:
        return self._count

    def __bool__(self) -> bool:
        return next(iter(self), None) is not None


def _not_blank(lines: Iterable[str]) -> Iterator[str]:
    return (line for line in lines if line.strip())


def load_text(spec: str, part: str | None = None, form: Form = UTF_8, on_progress: Progress = ignore) -> TextData:
    """The text that a SPEC names; several terms one after another.

    part: which part of a set, where the SPEC itself does not say. form.columns: the column of a table that holds the
    texts. A slice counts lines. on_progress: is told of downloads. Raises DataError and ConfigError.
    """
    parts = [_load(term, part, form, on_progress) for term in parse(spec, SETS)]
    content = parts[0].content if len(parts) == 1 else collect_text(block for each in parts for block in each.blocks())
    text = TextData("+".join(each.spec for each in parts), content)
    if not text.documents:
        raise DataError(f"{spec}: no text, only blank lines; expected some")
    return text


def _load(term: Term, part: str | None, form: Form, on_progress: Progress) -> TextData:
    if term.name:
        found = _part_of_a_set(term, part, on_progress)
    elif len(term.files) > 1:
        left, right = term.files
        raise ConfigError(f"{term.text}: two files; a language model reads one after the other: {left}+{right}")
    else:
        found = TextData(term.text, collect_text(_pieces(Path(term.files[0]), form)))
    if term.rows == slice(None):
        return found
    begin, end, _ = term.rows.indices(found.line_count)
    if begin >= end:
        raise DataError(f"{term.text}: no line in this slice; there are {found.line_count:,}")
    chosen = found.cut(found.place_of_line(begin), found.place_of_line(end))
    return replace(chosen, spec=term.named(found.spec))


def _part_of_a_set(term: Term, part: str | None, on_progress: Progress) -> TextData:
    data_set = CATALOGUE.get(term.name)
    if data_set is None or data_set.task != "language-modeling":
        name = next(name for name, other in CATALOGUE.items() if other.task == "language-modeling")
        task = BUILT_IN[term.name][0] if data_set is None else data_set.task
        holds = "pairs for translation" if task == "translation" else f"examples for {task}"
        raise ConfigError(f"{term.text}: holds {holds}; expected a text file, or a set such as {name}")
    chosen = ALIASES.get(term.part or "", term.part) or part or "train"
    (path,) = find(data_set, chosen, on_progress)
    text = TextData(f"{term.name}:{chosen}", collect_text(_pieces(path, UTF_8)))
    begin, end = (int(share * text.characters) for share in data_set.shares[chosen])
    return text.cut(begin, end)


def _sentences(line: str) -> list[str]:
    """The sentences of a line, without the white space round them."""
    ends = [0, *(place for end in sentence_ends(line) for place in end), len(line)]
    found = (line[begin:end].strip() for begin, end in zip(ends[::2], ends[1::2], strict=True))
    return [sentence for sentence in found if sentence]


def _pieces(path: Path, form: Form) -> Iterator[str]:
    """A file's text: of plain text all of it, of a table one column, a row after another."""
    if not (form.columns or _named(path)):
        yield from running_text(path, form.encoding)
        return
    table = open_table(path, form.columns, (), form.encoding)
    if table.columns == ("",):
        yield from running_text(path, form.encoding)
        return
    column = _column(table, form.columns)
    texts = (cells[column] for _, cells in table.rows)  # a row is a line; a blank one divides nothing
    yield from (f"{_in_one_line(text)}\n" for text in texts if text.strip())


def _in_one_line(text: str) -> str:
    """The text with a space in the place of each line end and the space around it."""
    return _SPACE.sub(lambda found: " " if "\n" in found[0] or "\r" in found[0] else found[0], text)


def _named(path: Path) -> bool:
    """Whether the file's name says that it is a table; TABs in plain text do not."""
    return path.name.lower().removesuffix(".gz").endswith(_TABLES)


def _column(table: Table, columns: tuple[str, ...]) -> int:
    names = [name.casefold() for name in table.columns]
    wanted = [name.casefold() for name in columns] or [_USUAL]
    if len(wanted) == 1 and wanted[0] in names:
        return names.index(wanted[0])
    if len(names) == 1:
        return 0
    called = ", ".join(map(shown, table.columns))
    such = next((name for name in table.columns[::-1] if not name.isdecimal()), table.columns[-1])
    raise ConfigError(
        f"{table.name}: its {table.kind}s are {called}; say which holds the texts with --columns NAME, as in "
        f"--columns {shlex.quote(such)}"
    )
