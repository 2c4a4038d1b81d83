"""From a SPEC to texts, or pairs of texts, and the class of each."""

import hashlib
import re
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from keifu.data.catalogue import ALIASES, CATALOGUE, find
from keifu.data.download import Progress, ignore
from keifu.data.examples import LabelledText
from keifu.data.lines import shown
from keifu.data.pairs import SETS, UTF_8, Form
from keifu.data.spec import Term, parse
from keifu.data.tables import Table, open_table
from keifu.errors import ConfigError, DataError

_LABEL = ("label", "class", "category", "sentiment")  # what a column of classes is usually called
_NO_TEXT = ("id", "idx", "index", "line", "score", "lang", "language", "domain", "url")
_MOST_CLASSES = 10_000
_USUAL = {1: ("text",), 2: ("sentence1", "sentence2")}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,39}( [A-Za-z0-9_.:-]{1,39}){0,2}|[^\W\d]{1,8}")  # of a column
KINDS = {1: "single texts", 2: "pairs of texts"}  # what an example may be, by its texts
_EXPECTED = "expected a text and its class, or two texts and their class, with TABs between"


@dataclass(frozen=True)
class LabelledData:
    """Texts with their classes; what a report must say of them. blank: lines without a text or without a class, which
    are left out.
    """

    spec: str
    examples: Sequence[LabelledText]
    blank: int = 0

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the texts and classes, a line each."""
        lines = ("\t".join((*example.texts, example.label)) for example in self.examples)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def texts(self) -> list[str]:
        """Every text."""
        return [text for example in self.examples for text in example.texts]

    @property
    def kind(self) -> str:
        """What its examples are."""
        return KINDS[len(self.examples[0].texts)]

    @property
    def labels(self) -> dict[str, int]:
        """The classes in the order of their names, and how often each occurs."""
        return dict(sorted(Counter(example.label for example in self.examples).items()))

    def cut(self, begin: int, end: int) -> "LabelledData":
        """The examples from `begin` up to `end`."""
        return replace(self, examples=self.examples[begin:end], blank=0 if begin else self.blank)


def load_labelled(
    spec: str, part: str | None = None, form: Form = UTF_8, on_progress: Progress = ignore
) -> LabelledData:
    """The texts and classes that a SPEC names; several terms one after another.

    part: which part of a set, where the SPEC itself does not say. form.columns: names of all columns, or those of the
    texts and, last, of the class. A slice counts examples. on_progress: is told of downloads. Raises DataError and
    ConfigError.
    """
    parts = [_load(term, part, form, on_progress) for term in parse(spec, SETS)]
    kinds = {len(example.texts) for each in parts for example in each.examples[:1]}
    if len(kinds) > 1:
        raise ConfigError(f"{spec}: single texts in one place and pairs in another; expected one or the other")
    examples = [example for each in parts for example in each.examples]
    return LabelledData("+".join(each.spec for each in parts), examples, sum(each.blank for each in parts))


def part_of_a_set(term: Term, part: str | None, task: str, on_progress: Progress, read: Callable[[Path], Any]) -> Any:
    """A part of a named set for this task, read by `read`."""
    data_set = CATALOGUE.get(term.name)
    if data_set is None or data_set.task != task:
        name = next(name for name, other in CATALOGUE.items() if other.task == task)
        other = data_set.task if data_set else "translation"
        raise ConfigError(f"{term.text}: is for {other}; expected a file for {task}, or a set such as {name}")
    chosen = ALIASES.get(term.part or "", term.part) or part or "train"
    (path,) = find(data_set, chosen, on_progress)
    return replace(read(path), spec=f"{term.name}:{chosen}")


def _load(term: Term, part: str | None, form: Form, on_progress: Progress) -> LabelledData:
    found: LabelledData
    if len(term.files) > 1:
        raise ConfigError(f"{term.text}: two files; {_EXPECTED} in one file")
    if term.name:
        found = part_of_a_set(term, part, "classification", on_progress, lambda path: _read(path, UTF_8))
    else:
        found = replace(_read(Path(term.files[0]), form), spec=term.text)
    if term.rows == slice(None):
        return found
    chosen = found.examples[term.rows]
    if not chosen:
        raise DataError(f"{term.text}: no example in this slice; there are {len(found.examples):,}")
    return LabelledData(term.named(found.spec), chosen, found.blank)


def _read(path: Path, form: Form) -> LabelledData:
    table = open_table(path, form.columns, (), form.encoding, numbers=True)
    if not form.columns:
        table = _with_header(table)
    texts, label = _columns(table, form.columns)
    examples, blank = [], 0
    for _, cells in table.rows:
        chosen = tuple(cells[column] for column in texts)
        if all(map(str.strip, chosen)) and cells[label].strip():
            examples.append(LabelledText(chosen, cells[label].strip()))
        else:
            blank += 1
    if not examples:
        raise DataError(f"{table.name}: no line has both a text and a class; {_EXPECTED}")
    classes = Counter(example.label for example in examples)
    if len(classes) > _MOST_CLASSES:
        raise DataError(f"{table.name}: {len(classes):,} different classes; {_EXPECTED}, or name them with --columns")
    if _is_named_by_number(table):
        _refuse_header(table.name, examples[0], classes, by_number=bool(form.columns))
    return LabelledData(table.name, examples, blank)


def _with_header(table: Table) -> Table:
    """The table, whose first row is a header where it calls a column as classes are called, and no other row says so
    there; of a column that is not the last, only where some class occurs more than once.
    """
    rows = list(table.rows)
    first = rows[0][1] if rows else ()
    calls = [column for column, cell in enumerate(first) if cell.strip().casefold() in _LABEL]
    others = [cells[calls[0]] for _, cells in rows[1:]] if _is_named_by_number(table) and len(calls) == 1 else []
    is_last, repeats = calls[:1] == [len(first) - 1], len(set(others)) < len(others)
    if others and first[calls[0]] not in others and (is_last or repeats):
        return replace(table, columns=tuple(cell.strip() for cell in first), rows=iter(rows[1:]))
    return replace(table, rows=iter(rows))


def _is_named_by_number(table: Table) -> bool:
    return table.columns == tuple(str(number) for number, _ in enumerate(table.columns, 1))


def _refuse_header(name: str, first: LabelledText, classes: Counter[str], by_number: bool) -> None:
    """Raises ConfigError where the first example seems to be a header: it looks like names, and it alone has its class,
    while most other classes have several examples. by_number: whether columns were chosen so.
    """
    cells = (*first.texts, first.label)
    others = [count for label, count in classes.items() if label != first.label]
    often = 2 * sum(count > 1 for count in others) > len(others)
    if classes[first.label] == 1 and often and all(map(_NAME.fullmatch, cells)):
        usual = f"add --columns {','.join((*_USUAL[len(first.texts)], _LABEL[0]))}"
        raise ConfigError(
            f"{name}: its first line, {shown(' | '.join(cells))}, looks like a header, and would be the only example "
            f"of {shown(first.label)}; where it is one, name the texts and, last, the class: --columns "
            f"{shlex.quote(','.join(cells))}; where it is not, {'put another line first' if by_number else usual}"
        )


def _columns(table: Table, asked: tuple[str, ...]) -> tuple[tuple[int, ...], int]:
    """The columns of the texts, and that of the classes."""
    names = [name.casefold() for name in table.columns]
    if len(names) == 1:
        raise DataError(f"{table.name}: one text a line, without a class; {_EXPECTED}")
    wanted = [name.casefold() for name in asked]
    chosen = [names.index(name) for name in wanted] if wanted and set(wanted) <= set(names) else list(range(len(names)))
    label = next((column for column in chosen if names[column] in _LABEL), chosen[-1])
    some = bool(asked) and len(chosen) < len(names)  # these and no others
    no_text = {*_NO_TEXT, *(name.casefold() for name in table.numeric)}
    texts = [column for column in chosen if column != label and (some or names[column] not in no_text)]
    if len(texts) not in (1, 2) or len(set(chosen)) < len(chosen):
        called = ", ".join(map(shown, table.columns))
        raise ConfigError(
            f"{table.name}: its {table.kind}s are {called}; name those of one or two texts and of the class with "
            "--columns, as in --columns text,label"
        )
    return tuple(texts), label
