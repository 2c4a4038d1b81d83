"""Records with named fields: JSON lines and Parquet, their texts as columns."""

import gzip
import json
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from keifu.data.lines import LONGEST, blocks, lines, open_file, shown
from keifu.errors import ConfigError, DataError, printable

Rows = Iterator[tuple[int, tuple[str, ...]]]

JSON_LINES = (".jsonl", ".ndjson", ".json")
"""How names of files with an object a line end."""

_NESTED = "translation"  # Hugging Face's {"translation": {"en": ..., "ja": ...}}: its fields stand for themselves
_MANY = 10  # fields that a message names
_TOGETHER = 256  # rows of Parquet in memory


# ---- JSON lines --------------------------------------------------------------------------------------------


def read_json_lines(
    path: str | Path, columns: Sequence[str], wanted: Sequence[str], encoding: str, numbers: bool = False
) -> tuple[tuple[str, ...], Rows, frozenset[str]]:
    """The columns and rows of a file with a JSON object a line, and which columns hold numbers.

    Columns are the fields of the first object that hold texts, or of these the ones that are asked for. numbers: so
    are those that hold whole numbers, true or false, which are read as they are written. Blank lines are skipped.
    Raises DataError and ConfigError.
    """
    name = printable(str(path))
    if next(blocks(path)).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        raise DataError(f"{name}:1: a JSON array; expected an object a line, as jq -c '.[]' writes them")
    objects = _objects(lines(path, encoding), name)
    begin, first = next(objects, (1, None))
    if first is None:
        raise DataError(f"{name}: has only blank lines; expected a JSON object a line")
    counted = frozenset(key for key, value in first.items() if numbers and isinstance(value, int))
    texts = [key for key, value in first.items() if isinstance(value, str) or key in counted]
    keys = _chosen(f"{name}:{begin}", texts, columns, wanted)

    def rows() -> Rows:
        for line, record in chain([(begin, first)], objects):
            if numbers:
                record = {key: json.dumps(value) if isinstance(value, int) else value for key, value in record.items()}
            yield line, _cells(record, keys, f"{name}:{line}")

    return keys, rows(), counted


def _objects(numbered: Iterator[tuple[int, str]], name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in numbered:
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except RecursionError:
            raise DataError(f"{name}:{number}: JSON nested too deeply; expected an object with texts") from None
        except ValueError as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "a number too long"
            raise DataError(
                f"{name}:{number}: not valid JSON ({reason}); expected a whole object on each line"
            ) from None
        if not isinstance(record, dict):
            raise DataError(f"{name}:{number}: expected a JSON object, found {shown(line)}")
        nested = record.get(_NESTED)
        yield number, {**record, **nested} if isinstance(nested, dict) else record


def _cells(record: dict[str, Any], keys: tuple[str, ...], place: str) -> tuple[str, ...]:
    for key in keys:
        if not isinstance(record.get(key), str):
            found = f"is {shown(json.dumps(record[key]))}" if key in record else "is missing"
            raise DataError(f'{place}: "{shown(key)}" {found}; expected a text, or choose fields with --columns')
        _check(record[key], place)
    return tuple([record[key] for key in keys])


# ---- Parquet -----------------------------------------------------------------------------------------------


def read_parquet(
    path: str | Path, columns: Sequence[str], wanted: Sequence[str], numbers: bool = False
) -> tuple[tuple[str, ...], Rows, frozenset[str]]:
    """The columns and rows of a Parquet file, and which columns hold numbers; rows are numbered from 1.

    Columns are those that hold texts, or of these the ones that are asked for. numbers: so are those that hold whole
    numbers, true or false. A missing text is "". Raises DataError and ConfigError.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ConfigError("Parquet files need pyarrow; install it with: pip install 'keifu[data]'") from None
    name = printable(str(path))
    damaged = DataError(f"{name}: not a Parquet file, or a damaged one; fetch it again")
    with _unpacked(path) as file:
        try:
            schema = parquet.read_schema(file)
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError):
            raise damaged from None
    counted = frozenset(field.name for field in schema if numbers and _is_number(field.type))
    places: dict[str, tuple[str, ...]] = {
        field.name: (field.name,) for field in schema if _is_text(field.type) or field.name in counted
    }
    if _NESTED in schema.names and pyarrow.types.is_struct(nested := schema.field(_NESTED).type):
        places |= {field.name: (_NESTED, field.name) for field in nested if _is_text(field.type)}
    if len(set(schema.names)) < len(schema.names):
        raise DataError(f"{name}: two columns have one name; rename one of them")
    names = _chosen(name, list(places), columns, wanted)

    def column(batch: Any, top: str, *nested: str) -> Any:
        return batch.column(top).field(*nested) if nested else batch.column(top)

    def batches() -> Iterator[list[list[str | int | None]]]:
        read = [".".join(places[key]) for key in names]
        with _unpacked(path) as file:
            try:
                content = parquet.ParquetFile(file, buffer_size=1 << 20)
                # A group at a time: what is read of one stays in memory up to the end of the iteration.
                for batch in chain.from_iterable(
                    content.iter_batches(_TOGETHER, [group], read, use_threads=False)
                    for group in range(content.num_row_groups)
                ):
                    yield [column(batch, *places[key]).to_pylist() for key in names]
            except (pyarrow.ArrowException, OSError, UnicodeDecodeError):
                raise damaged from None

    def rows() -> Rows:
        every = chain.from_iterable(zip(*texts, strict=True) for texts in batches())
        for number, texts in enumerate(every, 1):
            cells = tuple([json.dumps(text) if isinstance(text, int) else text or "" for text in texts])
            for cell in cells:
                _check(cell, f"{name}:{number}")
            yield number, cells

    return names, rows(), counted


@contextmanager
def _unpacked(path: str | Path) -> Iterator[BinaryIO]:
    """The file, open; where it is gzipped what is in it, in a file without a name. Raises DataError."""
    name = printable(str(path))
    if not name.lower().endswith(".gz"):
        with open_file(path) as file:
            yield file
        return
    with open_file(path) as file, tempfile.TemporaryFile() as whole:
        try:
            with gzip.GzipFile(fileobj=file) as packed:
                shutil.copyfileobj(packed, whole)
        except gzip.BadGzipFile:
            raise DataError(f"{name}: not gzip in spite of its name; rename it, or fetch it again") from None
        except (EOFError, zlib.error):
            raise DataError(f"{name}: the gzip file is cut off or damaged; fetch it again") from None
        whole.seek(0)
        yield whole


def _is_text(kind: Any) -> bool:
    name = str(kind.value_type if str(kind).startswith("dictionary") else kind)
    return name in ("string", "large_string", "string_view")


def _is_number(kind: Any) -> bool:
    return re.fullmatch(r"u?int\d+|bool", str(kind)) is not None


# ---- both --------------------------------------------------------------------------------------------------


def _chosen(place: str, texts: list[str], columns: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """The fields to read: those that are asked for, in the file's spelling, else all that hold texts."""
    spelled = {text.casefold(): text for text in texts}
    asked = columns or [name for name in wanted if len(wanted) > 1 and all(one.casefold() in spelled for one in wanted)]
    shortened = ", ".join(shown(text) for text in texts[:_MANY]) + (", ..." if len(texts) > _MANY else "")
    if not texts:
        raise DataError(f"{place}: no field holds a text; expected one for each side")
    for name in asked:
        if name.casefold() not in spelled:
            raise ConfigError(f"{place}: no field {shown(name)} with a text; its texts are {shortened}")
    names = tuple(spelled[name.casefold()] for name in asked) or tuple(texts)
    for name in names:
        _check(name, place)
    return names


def _check(text: str, place: str) -> None:
    if "\0" in text:
        raise DataError(f"{place}: a NUL character; remove it")
    if len(text) > LONGEST:
        raise DataError(f"{place}: a text of over {LONGEST:,} characters; expected a sentence")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(f"{place}: half of a surrogate pair in {shown(text)}; remove or correct it") from None
