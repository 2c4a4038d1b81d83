"""JSON lines and Parquet give the texts of their fields, or say which record is wrong."""

import gzip
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keifu.data.tables import open_table
from keifu.errors import ConfigError, DataError

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

Names = tuple[str, ...]
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
WRITTEN = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8)


def rows(path: Path, columns: Names = (), wanted: Names = ()) -> tuple[Names, list[tuple[int, Names]]]:
    table = open_table(path, columns, wanted)
    return table.columns, list(table.rows)


def refusal(path: Path, columns: Names = ()) -> str:
    with pytest.raises((DataError, ConfigError)) as caught:
        rows(path, columns)
    return str(caught.value).removeprefix(f"{path.parent}{os.sep}")


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8", newline="")
    return path


# ---- JSON lines --------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(WRITTEN, st.booleans(), st.booleans(), st.sampled_from(["jsonl", "ndjson", "json"]))
def test_json_lines_give_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, written: list[tuple[str, str]], escaped: bool, nested: bool, ending: str
) -> None:
    records: list[dict[str, Any]] = [{"ja": ja, "en": en} for ja, en in written]
    if nested:
        records = [{"id": 1, "translation": record} for record in records]
    content = "".join(json.dumps(record, ensure_ascii=escaped) + "\n" for record in records)
    path = write(tmp_path_factory.mktemp("json") / f"a.{ending}", content)
    assert rows(path) == (("ja", "en"), [(line, row) for line, row in enumerate(written, 1)])


def test_fields_with_texts_are_columns_or_those_that_are_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"n": 1, "en": "a", "note": "x", "JA": "b", "none": null}\n')
    assert rows(path)[0] == ("en", "note", "JA")
    assert rows(path, ("ja", "en")) == (("JA", "en"), [(1, ("b", "a"))])
    assert rows(path, (), ("ja", "en"))[0] == ("JA", "en")
    assert rows(path, (), ("ja",))[0] == ("en", "note", "JA")
    assert rows(path, (), ("ja", "fr"))[0] == ("en", "note", "JA")
    assert refusal(path, ("en", "de")) == "a.jsonl:1: no field de with a text; its texts are en, note, JA"
    assert refusal(path, ("en", "n")) == "a.jsonl:1: no field n with a text; its texts are en, note, JA"


def test_a_field_that_was_not_asked_for_may_be_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '\n{"en": "a", "ja": "b", "x": "c"}\n\n{"x": null, "ja": "d", "en": "e"}\n')
    assert rows(path, ("en", "ja")) == (("en", "ja"), [(2, ("a", "b")), (4, ("e", "d"))])
    assert refusal(path) == 'a.jsonl:4: "x" is null; expected a text, or choose fields with --columns'


def test_a_translation_that_is_a_text_is_a_column(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "a", "translation": "b"}\n')
    assert rows(path) == (("text", "translation"), [(1, ("a", "b"))])


GOOD = '{"en": "a", "ja": "b"}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD + '{"en": "a"}\n', 'a.json:2: "ja" is missing; expected a text'),
        (GOOD + '{"en": "a", "ja": ["b"]}\n', 'a.json:2: "ja" is ["b"]; expected a text'),
        (GOOD + '{"en": "a", "ja": %s}\n' % ([1] * 999), 'a.json:2: "ja" is [1, 1, 1, '),
        (GOOD + '{"en": "a", "ja": NaN}\n', 'a.json:2: "ja" is NaN; expected a text'),
        (
            GOOD + '{"en": "a", "ja": "b\n',
            "a.json:2: not valid JSON (Unterminated string starting at); expected a whole",
        ),
        (GOOD + "{'en': 'a'}\n", "a.json:2: not valid JSON (Expecting property name enclosed in double quotes); "),
        (
            '{\n"en": "a"\n}\n',
            "a.json:1: not valid JSON (Expecting property name enclosed in double quotes); expected a",
        ),
        (GOOD + "7\n", "a.json:2: expected a JSON object, found 7"),
        (GOOD + '["a", "b"]\n', 'a.json:2: expected a JSON object, found ["a", "b"]'),
        ("9" * 5000 + "\n", "a.json:1: not valid JSON (a number too long); "),
        ('{"a":' * 200_000, "a.json:1: JSON nested too deeply; "),
        (GOOD + "[" * 400_000, "a.json:2: JSON nested too deeply; "),
        ('[{"en": "a"}]\n', "a.json:1: a JSON array; expected an object a line, as jq"),
        ("\ufeff \n [\n{}]", "a.json:1: a JSON array; "),
        ("[" + GOOD.strip() * 100_000, "a.json:1: a JSON array; "),
        (GOOD + '{"en": "\\ud83d", "ja": "b"}\n', "a.json:2: half of a surrogate pair in \\ud83d; "),
        ('{"\\udc00": "a", "ja": "b"}\n', "a.json:1: half of a surrogate pair in \\udc00; "),
        (GOOD + '{"en": "\\u0000", "ja": "b"}\n', "a.json:2: a NUL character; "),
        ('{"n": 1}\n', "a.json:1: no field holds a text; "),
        ("{}\n", "a.json:1: no field holds a text; "),
        (" \n\n", "a.json: has only blank lines; expected a JSON object a line"),
        ("", "a.json: the file is empty"),
    ],
)
def test_what_is_no_json_line_is_refused(content: str, message: str, tmp_path: Path) -> None:
    found = refusal(write(tmp_path / "a.json", content))
    assert found.startswith(message)
    assert len(found) < 200


# ---- Parquet -----------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(WRITTEN, st.sampled_from(["string", "large_string", "dictionary"]), st.booleans(), st.integers(1, 9))
def test_parquet_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, written: list[tuple[str, str]], kind: str, nested: bool, group: int
) -> None:
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    of_type = pyarrow.dictionary(pyarrow.int32(), pyarrow.string()) if kind == "dictionary" else kind
    sides = [pyarrow.array(list(texts), pyarrow.string()).cast(of_type) for texts in zip(*written, strict=True)]
    fields = dict(zip(("en", "ja"), sides, strict=True))
    if nested:
        fields = {"translation": pyarrow.StructArray.from_arrays(sides, ["en", "ja"])}
    parquet.write_table(pyarrow.table({"n": [0.5] * len(written), **fields}), path, row_group_size=group)
    assert rows(path) == (("en", "ja"), [(number, row) for number, row in enumerate(written, 1)])


def test_of_parquet_columns_are_chosen_and_missing_texts_are_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    content = {
        "en": ["a", None, "c"],
        "n": [1, 2, 3],
        "translation": [{"JA": "x", "n": 1}, None, {"JA": None, "n": 2}],
        "de": ["p", "q", "r"],
    }
    parquet.write_table(pyarrow.table(content), path)
    assert rows(path)[0] == ("en", "de", "JA")
    assert rows(path, ("ja", "en")) == (("JA", "en"), [(1, ("x", "a")), (2, ("", "")), (3, ("", "c"))])
    assert rows(path, (), ("de", "en"))[0] == ("de", "en")
    assert refusal(path, ("en", "n")) == "a.parquet: no field n with a text; its texts are en, de, JA"


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"n": [1]}), path)
    assert refusal(path) == "a.parquet: no field holds a text; expected one for each side"
    whole = path.read_bytes()
    (tmp_path / "a.parquet.gz").write_bytes(whole)
    assert refusal(tmp_path / "a.parquet.gz").startswith("a.parquet.gz: not gzip")
    (tmp_path / "a.txt").write_bytes(whole)
    assert refusal(tmp_path / "a.txt").startswith("a.txt: is a Parquet file; give it a name that ends in .parquet")
    for content in (
        whole[:-9],
        whole[:40],
        b"text\n",
        b"PAR1",
        whole[: len(whole) // 2] + whole[len(whole) // 2 + 5 :],
    ):
        path.write_bytes(content)
        assert refusal(path) == "a.parquet: not a Parquet file, or a damaged one; fetch it again"
    path.write_bytes(b"")
    assert refusal(path) == "a.parquet: the file is empty; expected text"
    parquet.write_table(pyarrow.table({"en": ["a", "b\0"]}), path)
    assert refusal(path) == "a.parquet:2: a NUL character; remove it"
    parquet.write_table(pyarrow.table({"en": ["a", "b" * 1_000_001]}), path)
    assert refusal(path) == "a.parquet:2: a text of over 1,000,000 characters; expected a sentence"
    parquet.write_table(pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 2, ["en", "en"]), path)
    assert refusal(path) == "a.parquet: two columns have one name; rename one of them"
    broken = pyarrow.array([b"\xff"], pyarrow.binary()).view(pyarrow.string())
    parquet.write_table(pyarrow.table({"en": broken}), path)
    assert refusal(path) == "a.parquet: not a Parquet file, or a damaged one; fetch it again"


def test_damage_to_parquet_ends_in_a_message(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"en": ["a", "b", None] * 300, "ja": ["x"] * 900}), path, row_group_size=400)
    whole, draw, refused = path.read_bytes(), random.Random(1), 0
    for _ in range(200):
        content = bytearray(whole)
        for _ in range(3):
            content[draw.randrange(len(content))] = draw.randrange(256)
        path.write_bytes(content)
        try:
            rows(path)
        except DataError:
            refused += 1
    assert refused > 50


def test_parquet_needs_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"need pyarrow; install it with: pip install 'keifu\[data\]'"):
        open_table(tmp_path / "a.parquet")


def test_parquet_may_be_gzipped(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"en": ["a", "b"], "ja": ["x", "y"]}), path)
    packed = tmp_path / "b.parquet.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert rows(packed) == rows(path)
    packed.write_bytes(packed.read_bytes()[:-40])
    assert refusal(packed) == "b.parquet.gz: the gzip file is cut off or damaged; fetch it again"
