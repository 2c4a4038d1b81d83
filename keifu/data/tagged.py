"""From a SPEC to sentences whose words have tags.

CoNLL-U: ten columns, of which the second is the word and the fourth its part of speech (UPOS); words that stand for
several (1-2) and those that are not written (5.1) are passed over. Else a word and its tag with a TAB or a space
between. A blank line ends a sentence in both; lines that begin with # are comments in CoNLL-U.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from keifu.data.catalogue import CATALOGUE
from keifu.data.download import Progress, ignore
from keifu.data.examples import TaggedSentence
from keifu.data.labelled import part_of_a_set
from keifu.data.lines import lines, shown
from keifu.data.pairs import SETS, UTF_8, Form
from keifu.data.spec import Term, parse
from keifu.errors import ConfigError, DataError, printable

_WORD, _UPOS, _CONLL_U = 1, 3, 10
_EXPECTED = "expected CoNLL-U, or a word, a TAB and its tag in every line, and a blank line behind every sentence"
_LONGEST = 10_000  # words


@dataclass(frozen=True)
class TaggedData:
    """Sentences with a tag for every word."""

    spec: str
    examples: Sequence[TaggedSentence]

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of words and tags, a line each."""
        lines = (f"{word}\t{tag}\n" for one in self.examples for word, tag in zip(one.words, one.tags, strict=True))
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def texts(self) -> list[str]:
        """Every word, as often as it occurs: a tokenizer reads them one by one."""
        return [word for example in self.examples for word in example.words]

    @property
    def labels(self) -> dict[str, int]:
        """The tags in the order of their names, and how often each occurs."""
        return dict(sorted(Counter(tag for example in self.examples for tag in example.tags).items()))

    def cut(self, begin: int, end: int) -> "TaggedData":
        """The sentences from `begin` up to `end`."""
        return replace(self, examples=self.examples[begin:end])


def load_tagged(spec: str, part: str | None = None, form: Form = UTF_8, on_progress: Progress = ignore) -> TaggedData:
    """The sentences that a SPEC names; several terms one after another. part: which part of a set, where the SPEC does
    not say. A slice counts sentences. on_progress: is told of downloads. Raises DataError and ConfigError.
    """
    parts = [_load(term, part, form, on_progress) for term in parse(spec, SETS)]
    return TaggedData("+".join(each.spec for each in parts), [one for each in parts for one in each.examples])


def _load(term: Term, part: str | None, form: Form, on_progress: Progress) -> TaggedData:
    found: TaggedData
    if len(term.files) > 1:
        raise ConfigError(f"{term.text}: two files; {_EXPECTED}, in one file")
    if term.name:
        found = part_of_a_set(term, part, "tagging", on_progress, lambda path: _read(path, UTF_8))
        begin, end = CATALOGUE[term.name].shares[found.spec.split(":")[1]]
        count = len(found.examples)
        found = found.cut(round(begin * count), round(end * count))
    else:
        found = replace(_read(Path(term.files[0]), form), spec=term.text)
    if term.rows == slice(None):
        return found
    chosen = found.examples[term.rows]
    if not chosen:
        raise DataError(f"{term.text}: no sentence in this slice; there are {len(found.examples):,}")
    return TaggedData(term.named(found.spec), chosen)


def _read(path: Path, form: Form) -> TaggedData:
    name = printable(str(path))
    examples = [TaggedSentence(*zip(*pairs, strict=True)) for pairs in _sentences(path, form.encoding)]
    if not examples:
        raise DataError(f"{name}: no sentence in it; {_EXPECTED}")
    return TaggedData(name, examples)


def _sentences(path: Path, encoding: str) -> Iterator[list[tuple[str, str]]]:
    """The words and tags of each sentence."""
    name = printable(str(path))
    columns = 0
    sentence: list[tuple[str, str]] = []
    first: list[tuple[str, str]] = []
    for number, line in lines(path, encoding):
        if not line.strip():
            if sentence:
                yield sentence
            sentence = []
            continue
        cells = line.split("\t") if "\t" in line else line.split(" ")
        if line.startswith("#") and "\t" not in line and columns != 2:
            if not columns and len(cells) == 2 and cells[0] != "#":
                first.append((cells[0], cells[1]))  # a comment, or one of the first words of two columns
            continue
        columns = columns or len(cells)
        if columns == 2:
            sentence, first = [*first, *sentence], []
        if len(cells) != columns or columns not in (2, _CONLL_U):
            found = f"{len(cells)} column{'s' if len(cells) > 1 else ''} ({shown(line)})"
            raise DataError(f"{name}:{number}: {found}; {_EXPECTED}")
        if columns == _CONLL_U and not cells[0].isdecimal():
            continue
        word, tag = (cells[_WORD], cells[_UPOS]) if columns == _CONLL_U else cells
        if not word.strip() or not tag.strip():
            raise DataError(f"{name}:{number}: a word without a tag, or a tag without a word; {_EXPECTED}")
        sentence.append((word.strip(), tag.strip()))
        if len(sentence) > _LONGEST:
            raise DataError(f"{name}:{number}: a sentence of over {_LONGEST:,} words; {_EXPECTED}")
    if sentence:
        yield sentence
