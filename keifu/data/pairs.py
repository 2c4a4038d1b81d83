"""From a SPEC to sentence pairs, each with the place where it stands."""

import hashlib
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keifu.data import enja
from keifu.data.catalogue import ALIASES, CATALOGUE, find, whereabouts
from keifu.data.download import Progress, ignore
from keifu.data.examples import Pair
from keifu.data.lines import lines, shown
from keifu.data.spec import BUILTIN, Term, parse
from keifu.data.stored import StoredPairs, collect
from keifu.data.tables import Table, is_language, open_table
from keifu.errors import ConfigError, DataError

BUILTIN_PARTS = ("train", "dev", "test", "length", "combination")
_ENJA = f"{BUILTIN}enja"
SETS = frozenset({_ENJA, f"{BUILTIN}stories", *CATALOGUE})
UNNAMED = ("source", "target")
"""The languages of data that does not name them."""

_SHOWN = 5  # places that a message names
_NAMED = 10  # columns that a message names
_HASHED_TOGETHER = 10_000


@dataclass(frozen=True)
class Places:
    """Where each pair stands. lines: of each pair; begins, names: from which pair on they are those of which file."""

    lines: Sequence[int]
    names: tuple[str, ...]
    begins: tuple[int, ...] = (0,)

    def __getitem__(self, index: int) -> str:
        """Such as "train.en:17"."""
        name = next(n for n, begin in zip(self.names[::-1], self.begins[::-1], strict=True) if index >= begin)
        return f"{name}:{self.lines[index]}"

    def cut(self, begin: int, end: int) -> "Places":
        return Places(self.lines[begin:end], self.names, tuple(max(0, at - begin) for at in self.begins))


class Blank(NamedTuple):
    """Pairs that were left out because they have an empty side: both sides, only one, and where some of these stand."""

    both: int = 0
    one: int = 0
    places: tuple[str, ...] = ()


NONE_BLANK = Blank()


@dataclass(frozen=True)
class PairData:
    """Sentence pairs, with what a report must say of them.

    languages: names of the two sides, from file endings, columns or the set ("en", "ja").
    """

    spec: str
    pairs: Sequence[Pair]
    languages: tuple[str, str]
    places: Places
    blank: Blank = NONE_BLANK

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the texts, a line each, source and target in turn."""
        digest = hashlib.sha256()
        lines = (f"{pair.source}\n{pair.target}\n" for pair in self.pairs)
        while block := "".join(islice(lines, _HASHED_TOGETHER)):
            digest.update(block.encode())
        return digest.hexdigest()

    def cut(self, begin: int, end: int) -> "PairData":
        """The pairs from index `begin` up to `end`."""
        return replace(self, pairs=self.pairs[begin:end], places=self.places.cut(begin, end))


class Form(NamedTuple):
    """What a user says about files that do not say it themselves: names of columns, and the encoding of text."""

    columns: tuple[str, ...] = ()
    encoding: str = "utf-8"


UTF_8 = Form()


def load_pairs(
    spec: str,
    part: str | None = None,
    source: str | None = None,
    target: str | None = None,
    form: Form = UTF_8,
    on_progress: Progress = ignore,
) -> PairData:
    """The pairs that a SPEC names.

    part: which part of a set, where the SPEC itself does not say. source, target: the languages to translate from
    and to, by name; they choose among columns, and turn the pairs round where the data has them the other way.
    on_progress: is told of downloads. Raises DataError and ConfigError.
    """
    loaded: list[PairData] = []
    for term in parse(spec, SETS):
        data = directed(_load(term, part, source, target, form, on_progress), source, target)
        if loaded:
            data = same_way(data, loaded[0].languages)
        loaded.append(data)
    return loaded[0] if len(loaded) == 1 else _joined(loaded)


def has_parts(spec: str) -> bool:
    """Whether the SPEC names a set whose parts are still to be chosen from."""
    return any(term.name and term.part is None for term in parse(spec, SETS))


def other_part(spec: str, part: str) -> str:
    """The SPEC of that part of the sets in `spec` that name none."""
    named = [term.name for term in parse(spec, SETS) if term.name and term.part is None]
    return "+".join(f"{name}:{part}" for name in dict.fromkeys(named))


def tests_at_hand(spec: str) -> list[str]:
    """The test parts of the sets in `spec` that are there without a download."""
    named = [CATALOGUE[name] for name in dict.fromkeys(term.name for term in parse(spec, SETS)) if name in CATALOGUE]
    return [
        f"{each.name}:test"
        for each in named
        if "test" in each.parts and all(whereabouts(file) != "address" for file in each.parts["test"])
    ]


def directed(data: PairData, source: str | None, target: str | None) -> PairData:
    """The pairs from language `source` to `target` (None: whichever it is), turned round where they stand the other
    way. Raises ConfigError where the data has no such languages.
    """
    wanted = (source or None, target or None)
    if all(want in (None, have) for want, have in zip(wanted, data.languages, strict=True)):
        return data
    if all(want in (None, have) for want, have in zip(wanted, data.languages[::-1], strict=True)):
        return replace(data, pairs=_turned(data.pairs), languages=data.languages[::-1])
    found = " and ".join(data.languages)
    asked = " and ".join(f"--{side} {want}" for side, want in zip(("source", "target"), wanted, strict=True) if want)
    raise ConfigError(f"{data.spec}: its sides are {found}, asked for {asked}")


def _turned(pairs: Sequence[Pair]) -> Sequence[Pair]:
    if isinstance(pairs, StoredPairs):
        return pairs.turned()
    return [Pair(pair.target, pair.source, pair.constructions) for pair in pairs]


# ---- one term ----------------------------------------------------------------------------------------------


def _load(
    term: Term, part: str | None, source: str | None, target: str | None, form: Form, on_progress: Progress
) -> PairData:
    if term.name == _ENJA:
        data = _built_in(term, part)
    elif term.name.startswith(BUILTIN):
        raise ConfigError(f"{term.text}: holds stories for question-answering; translation needs pairs, such as enja")
    elif term.name:
        data_set = CATALOGUE[term.name]
        if data_set.task != "translation":
            raise ConfigError(f"{term.text}: is for {data_set.task}; translation needs pairs, such as enja")
        chosen = ALIASES.get(term.part or "", term.part) or part or "train"
        paths = find(data_set, chosen, on_progress)
        left_language, right_language = data_set.languages
        languages = (left_language, right_language)
        data = replace(_aligned(paths, UTF_8, term.rows), spec=f"{term.name}:{chosen}", languages=languages)
    elif len(term.files) == 2:
        left, right = (Path(name) for name in term.files)
        data = replace(_aligned((left, right), form, term.rows), languages=_languages_of(left, right))
    else:
        data = _columns(Path(term.files[0]), source, target, form, term.rows)
    if not data.pairs:
        raise DataError(f"{term.text}: {_nothing(data.blank)}")
    cut = replace(_cut(data, term.rows), spec=term.named(data.spec))
    if not cut.pairs:
        raise DataError(f"{term.text}: no pair in this slice; there are {len(data.pairs):,}")
    return cut


def _nothing(blank: Blank) -> str:
    if not blank.one and not blank.both:
        return "no pair below the header; expected a line for each"
    if not blank.one:
        return f"no line has text on both sides; all {blank.both:,} are blank"
    return f"no line has text on both sides; {blank.one:,} have it on one side only, such as {blank.places[0]}"


def _built_in(term: Term, part: str | None) -> PairData:
    part = ALIASES.get(term.part or "", term.part) or part or "train"
    if part not in BUILTIN_PARTS:
        raise ConfigError(f"{term.text}: no part {part!r}; {term.name} has {', '.join(BUILTIN_PARTS)}")
    pairs, spec = enja.generate(part), f"{term.name}:{part}"
    return PairData(spec, pairs, ("en", "ja"), Places(range(1, len(pairs) + 1), (spec,)))


def _aligned(paths: Sequence[Path], form: Form, rows: slice) -> PairData:
    """Two text files, line N of one translating line N of the other."""
    left, right = (lines(path, form.encoding) for path in paths)

    def triples() -> Iterator[tuple[int, str, str]]:
        count = 0
        for one, other in zip_longest(left, right):
            if one is None or other is None:
                more, blank = 0, True
                for _, text in chain([one or other or (0, "")], left if other is None else right):
                    more, blank = more + 1, blank and not text.strip()
                counts = count + (other is None) * more, count + (one is None) * more
                raise _unequal(paths, form, counts, blank)
            count, source = one
            yield count, source, other[1]

    return _gather(triples(), ",".join(map(str, paths)), str(paths[0]), UNNAMED, rows)


def _columns(path: Path, source: str | None, target: str | None, form: Form, rows: slice) -> PairData:
    """One file with both sides in it."""
    wanted = tuple(name for name in (source, target) if name)
    table = open_table(path, form.columns, wanted, form.encoding)
    left, right = _choose(table, source, target, form.columns)
    triples = ((line, cells[left], cells[right]) for line, cells in table.rows)
    languages = (table.columns[left], table.columns[right])
    asked = bool(source or target)  # by their numbers where they have no names
    named = asked or not all(name.isdecimal() for name in languages)
    return _gather(triples, str(path), str(path), languages if named else UNNAMED, rows)


def _choose(table: Table, source: str | None, target: str | None, columns: tuple[str, ...]) -> tuple[int, int]:
    """The columns of the two sides."""
    names = [name.casefold() for name in table.columns]
    if len(names) == 1:
        named = names[0] not in ("", "1")
        found = f"only one {table.kind} with text ({shown(names[0])})" if named else "one text a line"
        raise DataError(
            f"{table.name}: {found}; translation needs two: a TAB between them, two files (train.en,train.ja), or CSV "
            "(commas, semicolons or TABs), JSON lines, Parquet or TMX with both"
        )
    for name in (source, target):
        if name and name.casefold() not in names:
            raise ConfigError(f"{table.name}: no {table.kind} is called {shown(name)}; {_called(table)}")
    asked = [name.casefold() if name else None for name in (source, target)]
    if len(columns) == 2 and not (source and target):
        sides = [names.index(name.casefold()) for name in columns]
    elif len(names) == 2:
        sides = [0, 1]
    elif all(asked):
        sides = [names.index(name) for name in asked if name]
    else:
        sides = [index for index, name in enumerate(names) if is_language(name)]
    if len(sides) != 2:
        raise ConfigError(
            f"{table.name}: {len(names)} {table.kind}s; say which two to use with --source and --target; "
            f"{_called(table)}"
        )
    if len(set(sides)) == 1:
        options = "--source and --target are" if all(asked) else "--columns names"
        raise ConfigError(f"{table.name}: {options} both {shown(table.columns[sides[0]])}; expected two different ones")
    return sides[0], sides[1]


def _called(table: Table) -> str:
    if not all(name.isdecimal() for name in table.columns):
        more = ", ..." if len(table.columns) > _NAMED else ""
        return f"its {table.kind}s are {', '.join(map(shown, table.columns[:_NAMED]))}{more}"
    line, first = next(table.rows)
    return f"line {line} ({shown(' | '.join(first))}) does not name them: use numbers, or name all with --columns"


def _gather(triples: Iterator[tuple[int, str, str]], spec: str, file: str, languages: Any, rows: slice) -> PairData:
    """Pairs of (line, source, target); those with an empty side are counted and left out."""
    lines = array("I")
    blank: dict[str, Any] = {"both": 0, "one": 0, "places": []}

    def pairs() -> Iterator[Pair]:
        for line, source, target in triples:
            # A space is no text; neither is what only looks like one.
            has_source, has_target = bool(source.strip()), bool(target.strip())
            if has_source and has_target:
                lines.append(line)
                yield Pair(source, target)
            elif has_source or has_target:
                blank["one"] += 1
                if len(blank["places"]) < _SHOWN:
                    blank["places"].append(f"{file}:{line}")
            else:
                blank["both"] += 1

    end = rows.stop if rows.stop is not None and rows.stop >= 0 and (rows.start or 0) >= 0 else None
    gathered = collect(islice(pairs(), end))
    places = Places(_compact(lines), (file,))
    return PairData(spec, gathered, languages, places, Blank(blank["both"], blank["one"], tuple(blank["places"])))


def _compact(lines: "array[int]") -> Sequence[int]:
    """Line numbers, of which there may be many millions, as a range where none is left out."""
    numbers = np.frombuffer(lines, np.uint32) if lines else np.zeros(0, np.uint32)
    if lines and bool((numbers[1:] == numbers[:-1] + 1).all()):
        return range(lines[0], lines[-1] + 1)
    return lines


def _languages_of(left: Path, right: Path) -> tuple[str, str]:
    """The names of two files' languages: their endings where these differ, or a language in front of the ending."""
    endings = [path.name.removesuffix(".gz").split(".") for path in (left, right)]
    if endings[0][-1] != endings[1][-1]:
        if all(len(parts) > 1 and parts[-1] for parts in endings):
            return endings[0][-1], endings[1][-1]
        return UNNAMED
    for one, other in zip(endings[0][-2::-1], endings[1][-2::-1], strict=False):
        pieces = [re.split(r"[-_]", name)[-1] for name in (one, other)]
        if pieces[0] != pieces[1] and all(is_language(piece) for piece in pieces):
            return pieces[0], pieces[1]
    return UNNAMED


# ---- several terms -----------------------------------------------------------------------------------------


def _cut(data: PairData, rows: slice) -> PairData:
    begin, end, _ = rows.indices(len(data.pairs))
    return data if (begin, end) == (0, len(data.pairs)) else data.cut(begin, max(begin, end))


def same_way(data: PairData, languages: tuple[str, str]) -> PairData:
    """The pairs in the direction of these languages, where both name theirs. Raises ConfigError."""
    if UNNAMED in (data.languages, languages):
        return replace(data, languages=languages)
    if set(data.languages) != set(languages):
        found, before = (" and ".join(sides) for sides in (data.languages, languages))
        raise ConfigError(f"{data.spec}: its sides are {found}, those before it {before}; name them alike in all data")
    return directed(data, *languages)


def _joined(parts: list[PairData]) -> PairData:
    pairs = collect(pair for part in parts for pair in part.pairs)
    begins: list[int] = []
    names: list[str] = []
    before = 0
    for part in parts:
        begins += [before + begin for begin in part.places.begins]
        names += part.places.names
        before += len(part.pairs)
    blank = Blank(
        sum(part.blank.both for part in parts),
        sum(part.blank.one for part in parts),
        tuple(place for part in parts for place in part.blank.places)[:_SHOWN],
    )
    lines = array("I", chain.from_iterable(part.places.lines for part in parts))
    places = Places(_compact(lines), tuple(names), tuple(begins))
    return PairData("+".join(part.spec for part in parts), pairs, parts[0].languages, places, blank)


# ---- files that do not fit together ------------------------------------------------------------------------


def _unequal(paths: Sequence[Path], form: Form, counted: tuple[int, int], blank: bool) -> DataError:
    """blank: whether what one has more than the other is empty."""
    left, right = counted
    hint = "; find the line that one of them lacks, or take a file that holds both sides"
    if blank:
        more, longer = abs(left - right), paths[left < right]
        which = f"last {more:,} lines of {longer} are blank: remove them"
        hint = "; the " + (which if more > 1 else f"last line of {longer} is blank: remove it")
    elif drift := _where_they_part(paths, form):
        hint = f"; going by the lengths of the lines, they part near line {drift:,}: look there"
    counts = f"{paths[0]} has {left:,} lines, {paths[1]} has {right:,}"
    return DataError(f"{counts}; line N of one must translate line N of the other{hint}")


def _where_they_part(paths: Sequence[Path], form: Form) -> int | None:
    """The line from which the lengths of two files fit better when one of them is shifted; None where none stands out.

    Up to the right line the logarithms of the lengths of lines with equal numbers differ least, after it those that
    are as far apart as the files' numbers of lines.
    """
    logs = [np.log1p(np.fromiter((len(text) for _, text in lines(path, form.encoding)), np.float32)) for path in paths]
    shorter, longer = sorted(logs, key=len)
    shift = len(longer) - len(shorter)
    if not 0 < shift < len(shorter) // 4:
        return None
    equal, shifted = longer[: len(shorter)] - shorter, longer[shift:] - shorter
    usual = np.median(np.concatenate([equal, shifted]))
    before = np.concatenate([[0], np.cumsum(np.abs(equal - usual))])
    after = np.concatenate([[0], np.cumsum(np.abs(shifted - usual)[::-1])])[::-1]
    total = before + after
    line = int(total.argmin())
    clear = total[line] < 0.8 * min(before[-1], after[0])  # better than no shift at all, and than one from the start
    return line + 1 if clear or line in (0, len(shorter)) else None
