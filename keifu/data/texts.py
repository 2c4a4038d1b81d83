"""From a SPEC to running text: what a language model reads."""

import hashlib
import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from keifu.data.catalogue import ALIASES, CATALOGUE, find
from keifu.data.download import Progress, ignore
from keifu.data.lines import lines, shown
from keifu.data.pairs import SETS, UTF_8, Form
from keifu.data.spec import BUILTIN, Term, parse
from keifu.data.tables import Table, open_table
from keifu.errors import ConfigError, DataError
from keifu.text.sentences import sentence_ends

_USUAL = "text"  # what a column of texts is called where nobody says
_OF_BUILT_IN = {f"{BUILTIN}enja": "translation", f"{BUILTIN}stories": "question-answering"}
_TABLES = (".tsv", ".tab", ".csv", ".jsonl", ".ndjson", ".json", ".parquet", ".tmx")


@dataclass(frozen=True)
class TextData:
    """One text, whose lines end with line feeds, and what a report must say of it."""

    spec: str
    text: str

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the text in UTF-8."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def documents(self) -> list[str]:
        """The lines that are not blank."""
        return [line for line in self.text.split("\n") if line.strip()]

    @property
    def is_a_list(self) -> bool:
        """Whether its lines seem to stand each for itself: there are several, and no blank one divides them."""
        lines = self.text.removesuffix("\n").split("\n")
        return len(lines) > 1 and all(map(str.strip, lines))

    def passages(self, reading: str) -> list[list[str]]:
        """The sentences of each document: of "documents" each line is one, of a "stream" what blank lines divide."""
        if reading == "documents":
            return [_sentences(line) for line in self.documents]
        blocks = re.split(r"\n(?:[^\S\n]*\n)+", self.text)
        found = ([sentence for line in block.split("\n") for sentence in _sentences(line)] for block in blocks)
        return [sentences for sentences in found if sentences]

    def cut(self, begin: int, end: int) -> "TextData":
        """The characters from `begin` up to `end`."""
        return replace(self, text=self.text[begin:end])


def load_text(spec: str, part: str | None = None, form: Form = UTF_8, on_progress: Progress = ignore) -> TextData:
    """The text that a SPEC names; several terms one after another.

    part: which part of a set, where the SPEC itself does not say. form.columns: the column of a table that holds the
    texts. A slice counts lines. on_progress: is told of downloads. Raises DataError and ConfigError.
    """
    parts = [_load(term, part, form, on_progress) for term in parse(spec, SETS)]
    text = TextData("+".join(each.spec for each in parts), "".join(each.text for each in parts))
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
        found = TextData(term.text, _whole(Path(term.files[0]), form))
    if term.rows == slice(None):
        return found
    lines = re.findall("[^\n]*\n|[^\n]+", found.text)
    chosen = "".join(lines[term.rows])
    if not chosen:
        raise DataError(f"{term.text}: no line in this slice; there are {len(lines):,}")
    return TextData(found.spec + term.text[term.text.rindex("[") :] if term.name else term.text, chosen)


def _part_of_a_set(term: Term, part: str | None, on_progress: Progress) -> TextData:
    data_set = CATALOGUE.get(term.name)
    if data_set is None or data_set.task != "language-modeling":
        name = next(name for name, other in CATALOGUE.items() if other.task == "language-modeling")
        task = _OF_BUILT_IN[term.name] if data_set is None else data_set.task
        holds = "pairs for translation" if task == "translation" else f"examples for {task}"
        raise ConfigError(f"{term.text}: holds {holds}; expected a text file, or a set such as {name}")
    chosen = ALIASES.get(term.part or "", term.part) or part or "train"
    (path,) = find(data_set, chosen, on_progress)
    text = _whole(path, UTF_8)
    begin, end = (int(share * len(text)) for share in data_set.shares[chosen])
    return TextData(f"{term.name}:{chosen}", text[begin:end])


def _sentences(line: str) -> list[str]:
    """The sentences of a line, without the white space round them."""
    ends = [0, *(place for end in sentence_ends(line) for place in end), len(line)]
    found = (line[begin:end].strip() for begin, end in zip(ends[::2], ends[1::2], strict=True))
    return [sentence for sentence in found if sentence]


def _whole(path: Path, form: Form) -> str:
    """A file's text: of plain text all of it, of a table one column, a row after another."""
    table = open_table(path, form.columns, (), form.encoding)
    if table.columns == ("",) or not (form.columns or _named(path)):
        return "".join(f"{line}\n" for _, line in lines(path, form.encoding))
    column = _column(table, form.columns)
    return "".join(f"{cells[column]}\n" for _, cells in table.rows)


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
    raise ConfigError(f"{table.name}: its {table.kind}s are {called}; say which holds the texts with --columns NAME")
