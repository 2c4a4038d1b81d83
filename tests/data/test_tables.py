"""Every form of file gives the texts that were written into it, or says where it is wrong."""

import csv
import gzip
import io
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keifu.data.lines import LONGEST
from keifu.data.tables import Table, is_language, open_table
from keifu.errors import ConfigError, DataError

Names = tuple[str, ...]


def table(
    folder: Path, content: bytes | str, name: str, columns: Names = (), wanted: Names = (), encoding: str = "utf-8"
) -> tuple[Names, list[tuple[int, Names]]]:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    found: Table = open_table(folder / name, columns, wanted, encoding)
    assert found.name == str(folder / name)
    return found.columns, list(found.rows)


def cells(folder: Path, content: bytes | str, name: str) -> list[Names]:
    return [row for _, row in table(folder, content, name)[1]]


def refusal(folder: Path, content: bytes | str, name: str, columns: Names = ()) -> str:
    with pytest.raises((DataError, ConfigError)) as caught:
        table(folder, content, name, columns)
    return str(caught.value).removeprefix(f"{folder}{os.sep}")


# ---- round trips -------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_characters="\n\r\t\0", exclude_categories=["Cs"]), max_size=20)
WRITTEN = st.lists(st.tuples(TEXT.map("x{}".format), TEXT), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(WRITTEN, st.sampled_from(["a.tsv", "a.tab", "a.txt", "a.TSV"]))
def test_tsv_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, written: list[tuple[str, str]], name: str
) -> None:
    content = "".join(f"{left}\t{right}\n" for left, right in written)
    assert cells(tmp_path_factory.mktemp("tsv"), content, name) == written


@settings(max_examples=100, deadline=None)
@given(WRITTEN, st.sampled_from([",", ";", "\t"]), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.data())
def test_csv_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    written: list[tuple[str, str]],
    delimiter: str,
    end: str,
    quoted: bool,
    data: st.DataObject,
) -> None:
    broken = [(left, data.draw(st.sampled_from(["", "a\nb", '"', "\n", ',";\n']))) for left, _ in written]
    written = [("first", "row"), *written, *broken]
    file = io.StringIO()
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(written)
    found = table(tmp_path_factory.mktemp("csv"), file.getvalue(), "a.csv")[1]
    assert [row for _, row in found] == written
    begins = [1 + sum(one.count("\n") + 1 for one in map("".join, written[:row])) for row in range(len(written))]
    assert [line for line, _ in found] == begins


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXT, min_size=1))
def test_plain_text_gives_back_what_was_written(tmp_path_factory: pytest.TempPathFactory, written: list[str]) -> None:
    content = "".join(f"{text}\n" for text in written)
    columns, rows = table(tmp_path_factory.mktemp("plain"), content, "a.en")
    assert columns == ("",)
    assert rows == [(line, (text,)) for line, text in enumerate(written, 1)]


@pytest.mark.parametrize("ending", ["tsv", "csv", "txt"])
def test_gzip_and_other_encodings_make_no_difference(ending: str, tmp_path: Path) -> None:
    content = "one\t一\ntwo\t二\n".replace("\t", "," if ending == "csv" else "\t")
    rows = [(1, ("one", "一")), (2, ("two", "二"))]
    packed = gzip.compress(content.encode("cp932"))
    assert table(tmp_path, packed, f"a.{ending}.gz", encoding="cp932")[1] == rows
    assert table(tmp_path, packed, f"a.{ending}", encoding="cp932")[1] == rows
    with pytest.raises(ConfigError, match="is not known"):
        open_table(tmp_path / f"a.{ending}", encoding="klingon")


# ---- plain text or TSV -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("a\tb\nc\td\n", ("1", "2")),
        ("a\tb\n\nc\td\n", ("1", "2")),
        ("a\tb\tc\n", ("1", "2", "3")),
        ("a\tb\nc\n", ("",)),
        ("a\tb\nc\td\te\n", ("",)),
        ("a\nb\n", ("",)),
        ("\n\n", ("",)),
        ("a\tb\n" * 100 + "c\n", ("1", "2")),
    ],
)
def test_plain_text_with_as_many_tabs_in_every_line_is_tsv(content: str, columns: Names, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(content)
    assert open_table(tmp_path / "a.txt").columns == columns


def test_quotes_are_text_in_tsv(tmp_path: Path) -> None:
    assert cells(tmp_path, 'a\t"b\n"c""\td"\n', "a.tsv") == [("a", '"b'), ('"c""', 'd"')]


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_blank_lines_are_empty_rows_but_for_the_last(name: str, tmp_path: Path) -> None:
    comma = "\t" if name == "a.tsv" else ","
    found = table(tmp_path, f"\n \na{comma}b\n\nc{comma}d\n{comma}\n\n  \n\n", name)[1]
    empty = ("", "")
    assert found == [
        (1, empty),
        (2, empty),
        (3, ("a", "b")),
        (4, empty),
        (5, ("c", "d")),
        *[(n, empty) for n in (6, 7, 8)],
    ]


# ---- headers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "columns", "wanted", "names", "header"),
    [
        ("en\tja", (), (), ("en", "ja"), True),
        ("EN \tJa", (), (), ("EN", "Ja"), True),
        ("en-US\tjpn_Jpan", (), (), ("en-US", "jpn_Jpan"), True),
        ("English\tJapanese", (), (), ("English", "Japanese"), True),
        ("Englisch\tDeutsch", (), (), ("Englisch", "Deutsch"), True),
        ("英語\t日本語", (), (), ("英語", "日本語"), True),
        ("原文\t訳文", (), (), ("原文", "訳文"), True),
        ("source\ttarget", (), (), ("source", "target"), True),
        ("id\ten\tja\tmy_own", (), (), ("id", "en", "ja", "my_own"), True),
        ("\ten\tja", (), (), ("1", "en", "ja"), True),
        ("en\ten", (), (), ("1", "2"), False),
        ("en\tHello", (), (), ("1", "2"), False),
        ("en\tja\tHow are you?", (), (), ("1", "2", "3"), False),
        ("Hello\tこんにちは", (), (), ("1", "2"), False),
        ("text\tこんにちは", (), (), ("1", "2"), False),
        # what is asked for is a header whatever it is
        ("left one\tright one", ("Right One", "left one"), (), ("left one", "right one"), True),
        ("x\ty\tz", ("z",), (), ("x", "y", "z"), True),
        ("x\ty", (), ("y", "X"), ("x", "y"), True),
        ("x\ty", (), ("y",), ("x", "y"), True),
        ("x\ty", (), ("y", "z"), ("1", "2"), False),
        # names for columns that have none, or others
        ("Hello\tこんにちは", ("en", "ja"), (), ("en", "ja"), False),
        ("Hello\tこんにちは", ("en", "ja"), ("ja", "en"), ("en", "ja"), False),
        ("source\ttarget", ("en", "ja"), (), ("en", "ja"), True),
        ("id\tsource\ttarget", ("id", "en", "ja"), (), ("id", "en", "ja"), True),
        ("text\trating", ("text", "label"), (), ("text", "label"), True),
        ("text\tHow are you?", ("text", "label"), (), ("text", "label"), False),
        ("win cash now\tspam", ("text", "spam"), (), ("text", "spam"), False),
        ("no\tnow", ("no", "en"), (), ("no", "en"), False),
        ("in\ten", ("en", "fr"), (), ("en", "fr"), False),
        # numbers choose among columns without a header, whatever stands in them
        ("Hello\tこんにちは\tx", ("2", "1"), (), ("1", "2", "3"), False),
        ("3\tWall St. Bears\tx", ("3",), (), ("1", "2", "3"), False),
        ("0\t1", ("1",), (), ("0", "1"), True),
        ("id\ten\tja\t", ("4",), (), ("1", "2", "3", "4"), True),
    ],
)
@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.txt"])
def test_a_header_is_known(
    first: str, columns: Names, wanted: Names, names: Names, header: bool, name: str, tmp_path: Path
) -> None:
    content = f"{first}\n{first}x\n"
    found, rows = table(tmp_path, content.replace("\t", ",") if name == "a.csv" else content, name, columns, wanted)
    assert found == names
    assert [line for line, _ in rows] == ([2] if header else [1, 2])


@pytest.mark.parametrize(("first", "names"), [("text", ("text",)), ("en", ("1",)), ("Hello", ("1",))])
def test_one_column_has_a_header_only_if_it_is_no_word_of_a_text(first: str, names: Names, tmp_path: Path) -> None:
    found, rows = table(tmp_path, f"{first}\nx\n\ny\n", "a.tsv")
    assert found == names
    assert len(rows) == (3 if names == ("text",) else 4)


@pytest.mark.parametrize(
    "name", ["en", "JA", "ja-JP", "zh_Hans", "zh-Hant-TW", "eng", "deu_Latn", "Japanese", "日本語"]
)
def test_names_of_languages(name: str) -> None:
    assert is_language(name)


@pytest.mark.parametrize("name", ["", "id", "xx", "en-", "is_valid", "no_text", "text", "en.ja", "english text", "1"])
def test_what_is_no_name_of_a_language(name: str) -> None:
    assert not is_language(name)


# ---- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "columns", "message"),
    [
        ("a.tsv", "a\tb\nc\td\te\n", (), "a.tsv:2: 3 columns, but line 1 has 2; every line needs as many TABs"),
        ("a.tsv", "\na\tb\nc\n", (), "a.tsv:3: 1 column, but line 2 has 2; every line needs as many TABs"),
        ("a.txt", "a\tb\n" * 150 + "c", (), "a.txt:151: 1 column, but line 1 has 2; every line needs as many TABs"),
        ("a.csv", 'a,b\n"x\ny",z\nc,d,e\n', (), "a.csv:4: 3 columns, but line 1 has 2; put a text with a comma, "),
        ("a.csv", "a;b\nc;d,e;f\n", (), "a.csv:2: 3 columns, but line 1 has 2; "),
        ("a.csv", 'a,b\nc,"d\ne,f\n', (), "a.csv:2: a quote that is never closed; close it, or write"),
        ("a.csv", 'a,b\nc,"d" x\n', (), "a.csv:2: text right after a closing quote; write"),
        ("a.csv", "a,b\nc,d\re\n", (), "a.csv:2: a carriage return; put the text"),
        ("a.csv", 'a,b\nc,"' + "d\n" * (LONGEST // 2 - 9), (), "a.csv:2: a quote that is never closed"),
        ("a.csv", 'a,b\nc,"' + "de\n" * LONGEST, (), "a.csv:2: a row of over 1,000,000 characters; does a quote stand"),
        ("a.csv", 'a,b\nc,"' + '\n","' * 2 * LONGEST, (), "a.csv:2: a row of over 1,000,000 characters; does a quote"),
        ("a.csv", "\n \n", (), "a.csv: has only blank lines"),
        ("a.tsv", "en\tja\tEN\tx\n", ("en", "ja"), "a.tsv:1: two columns are called en; rename one of them"),
        ("a.tsv", "a\tb\tc\n", ("en", "ja"), "a.tsv:1: 3 columns (a | b | c), but --columns names 2; name each one"),
        (
            "a.csv",
            "en,ja,fr\n",
            ("en", "de"),
            "a.csv:1: 3 columns (en | ja | fr), but --columns names 2; name each one",
        ),
        ("a.tsv", "text\tlabel\n", ("label", "nope"), "a.tsv:1: no column nope; it has text, label"),
        ("a.tsv", "text\trating\n", ("words", "text"), "a.tsv:1: no column words; it has text, rating"),
        ("a.tsv", "text\tlabel\n", ("2", "1"), "a.tsv:1: no column 2; it has text, label; choose by these names"),
        ("a.tsv", "a\tb\n", ("2", "3"), "a.tsv:1: no column 3; it has 2 columns"),
        (
            "a.tsv",
            "id\ttext\tlabel\n",
            ("text", "lable"),
            "a.tsv:1: 3 columns (id | text | label), but --columns names 2; name each one, or such as it has alone, "
            "not lable",
        ),
        (
            "a.tsv",
            "a\tb\tc\n",
            ("body",),
            "a.tsv:1: 3 columns (a | b | c), but --columns names 1; name each one, or choose by number: --columns 1",
        ),
        ("a.tsv", "a\tb\tc\n", ("1", "4"), "a.tsv:1: no column 4; it has 3 columns"),
        ("a.tsv", "a\tb\nc\0\td\n", (), "a.tsv:2: a NUL character"),
        ("a.tsv", b"a\tb\nc\t\xff\n", (), "a.tsv:2: not UTF-8"),
        ("a.csv", b"PK\x03\x04", (), "a.csv: is a zip archive, as .xlsx and .docx files are"),
    ],
)
def test_what_is_no_table_is_refused(
    name: str, content: bytes | str, columns: Names, message: str, tmp_path: Path
) -> None:
    found = refusal(tmp_path, content, name, columns)
    assert found.startswith(message)
    assert len(found) < 200


def test_messages_show_little_and_nothing_that_cannot_be_printed(tmp_path: Path) -> None:
    found = refusal(tmp_path, "\x1b[2J\x07" + "x" * 500_000 + "\ty\tz\n", "a.tsv", ("en", "ja"))
    assert r"(\x1b[2J\x07xxx" in found
    assert len(found) < 200
    path = os.fsencode(tmp_path) + b"/\xff\n.tsv"
    Path(os.fsdecode(path)).write_text("a\tb\nc\n")
    with pytest.raises(DataError, match=r"/\\udcff\\n\.tsv:2: 1 column, ") as caught:
        list(open_table(os.fsdecode(path)).rows)
    str(caught.value).encode()


def test_a_mistake_far_down_is_found_when_it_is_reached(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\tb\n" * 1000 + "c\n")
    rows = open_table(tmp_path / "a.tsv").rows
    assert [next(rows) for _ in range(1000)][-1] == (1000, ("a", "b"))
    with pytest.raises(DataError, match=r"a\.tsv:1001: 1 column"):
        next(rows)


@pytest.mark.parametrize("ending", ["txt", "tsv", "csv", "jsonl", "tmx", "parquet"])
def test_files_are_closed_when_rows_are_left(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    if ending == "parquet":
        pytest.importorskip("pyarrow.parquet").write_table(
            pytest.importorskip("pyarrow").table({"en": ["a"] * 1000}), path
        )
    else:
        row = {
            "jsonl": '{"en": "a", "ja": "b"}\n',
            "tmx": '<tu><tuv lang="en"><seg>a</seg></tuv></tu>\n',
            "csv": "a,b\n",
        }
        path.write_text(
            "<tmx>" * (ending == "tmx") + row.get(ending, "a\tb\n") * 300_000 + "</tmx>" * (ending == "tmx")
        )

    def is_open() -> bool:
        return str(path) in [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]

    found = open_table(path)
    next(found.rows)
    assert is_open()
    del found
    assert not is_open()


def test_the_line_in_which_excel_names_the_separator_is_no_text(tmp_path: Path) -> None:
    found = table(tmp_path, "sep=;\r\nen;ja\r\na,b;c\r\n", "a.csv")
    assert found == (("en", "ja"), [(1, ("", "")), (3, ("a,b", "c"))])
    with pytest.raises(DataError, match=r"a\.csv:4: 1 column, but line 2 has 2"):
        table(tmp_path, "sep=|\nen|ja\na|b\nc\n", "a.csv")
