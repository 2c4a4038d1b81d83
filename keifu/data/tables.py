"""One data file of any form that keifu reads, as a table of texts that streams by in constant memory.

By the ending of the name, before .gz: .tsv and .tab, .csv, .jsonl, .ndjson and .json (an object a line), .parquet,
.tmx; all else is plain text, one text a line, or several where the first lines all have the same number of TABs.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from keifu.data.lines import LONGEST, check_encoding, lines, shown
from keifu.data.records import JSON_LINES, read_json_lines, read_parquet
from keifu.data.tmx import read_tmx
from keifu.errors import ConfigError, DataError, printable

Rows = Iterator[tuple[int, tuple[str, ...]]]
Records = Iterator[tuple[int, list[str]]]

_SNIFFED = 100  # lines that tell what form a file has
_NO_TAB = "every line needs as many TABs, and a text cannot hold one"
_QUOTE = "put a text with a comma, a line feed or quotes in it between quotes"
csv.field_size_limit(
    max(LONGEST, csv.field_size_limit())
)  # the whole process's, so only ever wider; _csv limits records


@dataclass(frozen=True)
class Table:
    """A file's texts. name: of the file, for messages. columns: their names; "" where there is one text a line.

    rows: the line where each begins, from 1 (of Parquet the row), and its cells. They can be read once; what is wrong
    with the file further on is raised as DataError on the way. numeric: the columns that hold numbers, where the file
    itself says so. kind: what messages call a column.
    """

    name: str
    columns: tuple[str, ...]
    rows: Rows
    numeric: frozenset[str] = frozenset()
    kind: str = "column"


def open_table(
    path: str | Path,
    columns: tuple[str, ...] = (),
    wanted: tuple[str, ...] = (),
    encoding: str = "utf-8",
    numbers: bool = False,
) -> Table:
    """The table in a file.

    columns: the names of its columns, or some of those that it names itself. wanted: languages that are asked for.
    encoding: of text without a byte order mark; TMX and Parquet say theirs themselves. numbers: whether fields of JSON
    and Parquet that hold whole numbers, true or false are columns too. Raises DataError where the file cannot be used,
    ConfigError where the file is not as the arguments say.

    The first row of TSV and CSV is a header where it holds all of `columns` or all of `wanted`, or two names of
    languages or usual columns and otherwise single words, or only a usual column; upper and lower case are the same.
    Columns without a header are called as `columns` says, else "1", "2", ..., by which some can be chosen, whatever
    stands in them. `columns` also replaces a header of as many names, unless one of them stands elsewhere in it.
    """
    name = printable(str(path))
    check_encoding(encoding)
    if not all(columns):
        raise ConfigError(f"--columns {','.join(columns)}: a name is empty; expected names such as id,en,ja")
    ending = Path(str(path).lower().removesuffix(".gz")).suffix
    if ending in JSON_LINES:
        return Table(name, *read_json_lines(path, columns, wanted, encoding, numbers), "field")
    if ending == ".parquet":
        return Table(name, *read_parquet(path, columns, wanted, numbers))
    if ending == ".tmx":
        return _checked(Table(name, *read_tmx(path), kind="language"), columns)
    numbered = lines(path, encoding)
    first = _beginning(numbered)
    texts = [line for _, line in first]
    numbered = chain(first, numbered)
    if ending == ".csv":
        said = re.fullmatch("sep=(.)", texts[0])  # how Excel writes down what separates the cells
        if said:
            next(numbered)
            numbered = chain([(1, "")], numbered)
        delimiter = said[1] if said else _delimiter(texts)
        return _table(name, _csv(numbered, delimiter, name), columns, wanted, _QUOTE)
    if ending in (".tsv", ".tab") or _has_tabs(texts):
        return _table(name, ((number, line.split("\t")) for number, line in numbered), columns, wanted, _NO_TAB)
    return Table(name, ("",), ((number, (line,)) for number, line in numbered))


def _checked(table: Table, columns: tuple[str, ...]) -> Table:
    for name in columns:
        if name.casefold() not in table.columns:
            raise ConfigError(f"{table.name}: no language {shown(name)}; it has {', '.join(map(shown, table.columns))}")
    return table


# ---- TSV and CSV -------------------------------------------------------------------------------------------


def _beginning(numbered: Iterator[tuple[int, str]]) -> list[tuple[int, str]]:
    first, size = [], 0
    for number, line in numbered:
        first.append((number, line))
        size += len(line)
        if len(first) == _SNIFFED or size > LONGEST:
            break
    return first


def _has_tabs(texts: list[str]) -> bool:
    counts = {text.count("\t") for text in texts if text.strip()}
    return len(counts) == 1 and counts != {0}


def _delimiter(texts: list[str]) -> str:
    """What separates the cells of CSV: a comma, or the semicolon or TAB of a first line that has no comma."""
    unquoted = re.sub(r'"[^"]*"?', "x", "\n".join(texts)).split("\n")
    first = next(filter(str.strip, unquoted), "")
    return next((sign for sign in ",;\t" if sign in first), ",")


_CSV_CAUSES = {
    "unexpected end": 'a quote that is never closed; close it, or write "" for a quote inside of quotes',
    "expected after": 'text right after a closing quote; write "" for a quote inside of quotes',
    "new-line": "a carriage return; put the text that holds it in quotes, or remove it",
}


def _csv(numbered: Iterator[tuple[int, str]], delimiter: str, name: str) -> Records:
    begin, size = 1, 0

    def fed() -> Iterator[str]:
        nonlocal size
        for _, line in numbered:
            size += len(line) + 1
            if size > LONGEST:
                raise DataError(f"{name}:{begin}: a row of over {LONGEST:,} characters; does a quote stand open in it?")
            yield line + "\n"

    reader = csv.reader(fed(), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            yield begin, cells
            begin, size = reader.line_num + 1, 0
    except csv.Error as error:
        found = next((cause for known, cause in _CSV_CAUSES.items() if known in str(error)), str(error))
        raise DataError(f"{name}:{begin}: {found}") from None


def _table(name: str, records: Records, columns: tuple[str, ...], wanted: tuple[str, ...], remedy: str) -> Table:
    """Rows of as many cells as the first one with a text has; lines before it are blank."""
    line, first = next((record for record in records if any(map(str.strip, record[1]))), (0, []))
    if not first:
        raise DataError(f"{name}: has only blank lines; expected text")
    place, cells = f"{name}:{line}", [cell.strip() for cell in first]
    names, header = _names(place, cells, columns, wanted)
    blank = ((number, ("",) * len(cells)) for number in range(1, line))
    rest = _rows(records if header else chain([(line, first)], records), place, len(cells), remedy)
    return Table(name, names, chain(blank, rest))


def _rows(records: Records, first: str, width: int, remedy: str) -> Rows:
    blank = 0  # a blank line that does not count where it is the last
    for number, cells in records:
        if blank:
            yield blank, ("",) * width
            blank = 0
        if len(cells) == width:
            yield number, tuple(cells)
        elif any(map(str.strip, cells)):
            name, line = first.rsplit(":", 1)
            raise DataError(f"{name}:{number}: {_columns(cells)}, but line {line} has {width}; {remedy}")
        else:
            blank = number


def _columns(cells: list[str]) -> str:
    return f"{len(cells)} column{'s' if len(cells) > 1 else ''}"


def _names(
    place: str, cells: list[str], columns: tuple[str, ...], wanted: tuple[str, ...]
) -> tuple[tuple[str, ...], bool]:
    """What the columns are called, and whether the first row, these cells, is a header."""
    lower, asked = [cell.casefold() for cell in cells], [name.casefold() for name in columns]
    header = _looks_like_header(lower) or (bool(wanted) and all(name.casefold() in lower for name in wanted))
    numbers = tuple(str(number) for number, _ in enumerate(cells, 1))
    absent = [name for name in columns if name.casefold() not in lower]
    if columns and all(map(str.isdecimal, columns)) and not _are_counted(cells):
        beyond = [name for name in columns if name not in numbers or (header and cells[int(name) - 1])]
        if beyond:
            found = f"{', '.join(map(shown, cells))}; choose by these names" if header else _columns(cells)
            raise ConfigError(f"{place}: no column {shown(beyond[0])}; it has {found}")
        return numbers, header
    if len(absent) < len(columns):
        header = header or not absent or _has_usual_names(lower, asked)
    if absent:
        _refuse_misnamed(place, cells, columns, absent[0] if header else "")
        if header and any(name in lower and name != cell for name, cell in zip(asked, lower, strict=True)):
            raise ConfigError(f"{place}: no column {shown(absent[0])}; it has {', '.join(map(shown, cells))}")
        return columns, header
    if not header:
        return numbers, False
    for cell in lower:
        if cell and lower.count(cell) > 1:
            raise DataError(f"{place}: two columns are called {shown(cell)}; rename one of them")
    return tuple(cell or number for cell, number in zip(cells, numbers, strict=True)), True


def _are_counted(cells: list[str]) -> bool:
    """Whether these are the numbers from 0 or 1 on, as some tools write for a header."""
    return any(cells == [str(first + place) for place, _ in enumerate(cells)] for first in (0, 1))


def _refuse_misnamed(place: str, cells: list[str], columns: tuple[str, ...], absent: str) -> None:
    """Raises ConfigError where there are not as many names as columns. absent: one that the header has not, if any."""
    if len(columns) != len(cells):
        other = f"or such as it has alone, not {shown(absent)}" if absent else "or choose by number: --columns 1"
        row = shown(" | ".join(cells))
        raise ConfigError(
            f"{place}: {_columns(cells)} ({row}), but --columns names {len(columns)}; name each one, {other}"
        )


# ---- what columns are usually called -----------------------------------------------------------------------


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CODES = _words(  # without Indonesian's "id", which is more often the name of a column of numbers
    """
    af am ar as az be bg bn bs ca cs cy da de el en eo es et eu fa fi fr ga gl gu he hi hr hu hy is it ja ka kk km kn
    ko ky la lo lt lv mg mi mk ml mn mr ms mt my nb ne nl nn no or pa pl ps pt ro ru sa si sk sl so sq sr sv sw ta te
    tg th tl tr tt uk ur uz vi xh yo zh zu
    ara bul ces chi cmn cze dan deu dut ell eng fin fra fre ger heb hin hun ind ita jpn kor nld nor pol por ron rum rus
    spa swe tha tur ukr vie yue zho
    """
)
_LANGUAGES = _words(
    """
    arabic bulgarian chinese czech danish dutch english finnish french german greek hebrew hindi hungarian indonesian
    italian japanese korean norwegian polish portuguese romanian russian spanish swedish thai turkish ukrainian
    vietnamese
    englisch deutsch französisch spanisch italienisch japanisch chinesisch anglais allemand français espagnol italien
    japonais chinois inglés alemán francés español italiano japonés chino
    英語 日本語 中国語 韓国語 フランス語 ドイツ語 スペイン語
    """
)
_FIELDS = _words(
    """
    source target src tgt trg text sentence sentence1 sentence2 source_text target_text translation reference ref mt
    hypothesis id idx index line label score lang language source_lang target_lang src_lang tgt_lang domain url
    class category sentiment review title headline premise question
    原文 訳文 和訳 英訳
    """
)
_NAME = re.compile(r"[\w.:-]{1,40}")
_CODE = re.compile(r"([a-z]{2,3})([-_](latn|cyrl|arab|hans|hant|jpan|kore|hang|deva|grek|hebr))?([-_][a-z]{2})?")


def is_language(name: str) -> bool:
    """Whether this is a code or a name of a common language: "ja", "en-US", "jpn_Jpan", "Japanese", "日本語"."""
    code = _CODE.fullmatch(name.lower())
    return bool(code and code[1] in _CODES) or name.lower() in _LANGUAGES


def _looks_like_header(cells: Sequence[str]) -> bool:
    texts = [cell for cell in cells if cell]
    if len(cells) == 1:
        return cells[0] in _FIELDS
    known = sum(is_language(cell) or cell in _FIELDS for cell in texts)
    return known >= 2 and len(set(texts)) == len(texts) and all(map(_NAME.fullmatch, texts))


def _has_usual_names(cells: Sequence[str], asked: Sequence[str]) -> bool:
    """Whether these are single words, one of them usual for a column and asked for. Languages do not count: words of
    theirs are spelt like codes.
    """
    usual = any(cell in asked and cell in _FIELDS for cell in cells)
    return usual and all(map(_NAME.fullmatch, filter(None, cells)))
