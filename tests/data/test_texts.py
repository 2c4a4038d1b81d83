"""From a SPEC to the text that is meant, character by character; or one message that says what is wrong."""

import gzip
import hashlib
import os
from pathlib import Path

import pytest

from keifu.data.pairs import Form, load_pairs
from keifu.data.texts import TextData, load_text
from keifu.errors import ConfigError, DataError

REAL = os.environ.get("KEIFU_DATA")
needs_data = pytest.mark.skipif(REAL is None, reason="$KEIFU_DATA names no folder")
TEXT = "ROMEO:\nIt is my lady.\n\n  O, it is\tmy love!\u2028吾輩は猫である。\n"


def test_line_breaks_blank_lines_and_spaces_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT.encode())
    data = load_text(str(path))
    assert data == TextData(str(path), TEXT)
    assert data.sha256 == hashlib.sha256(TEXT.encode()).hexdigest()
    assert data.documents == ["ROMEO:", "It is my lady.", "  O, it is\tmy love!\u2028吾輩は猫である。"]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (TEXT.replace("\n", "\r\n").encode(), "utf-8"),
        (TEXT.removesuffix("\n").encode(), "utf-8"),
        (b"\xef\xbb\xbf" + TEXT.encode(), "utf-8"),
        (TEXT.encode("utf-16"), "utf-8"),
        (gzip.compress(TEXT.encode(), mtime=0), "utf-8"),
    ],
    ids=["Windows", "no last line feed", "a byte order mark", "UTF-16", "gzip"],
)
def test_the_same_text_however_it_is_stored(content: bytes, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    assert load_text(str(path), None, Form((), encoding)).text == TEXT


def test_tabs_in_plain_text_make_no_table(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ttwo\nthree\tfour\n")
    assert load_text(str(tmp_path / "a.txt")).text == "one\ttwo\nthree\tfour\n"


def test_slices_count_lines_and_a_plus_joins(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("1\n2\n\n4\n5")
    assert load_text(f"{path}[:2]").text == "1\n2\n"
    assert load_text(f"{path}[-2:]").text == "4\n5\n"
    assert load_text(f"{path}[3:]+{path}[:1]").text == "4\n5\n1\n"


def test_one_column_of_a_table_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "1", "text": "I am."}\n{"id": "2", "text": "You are."}\n')
    (tmp_path / "b.csv").write_text("title,body\nA,I am.\nB,You are.\n")
    assert load_text(str(tmp_path / "a.jsonl")).text == "I am.\nYou are.\n"
    assert load_text(str(tmp_path / "b.csv"), None, Form(("body",))).text == "I am.\nYou are.\n"
    with pytest.raises(ConfigError, match="its columns are 1, 2; say which holds the texts with --columns NAME"):
        load_text(str(tmp_path / "b.csv"))


def test_lines_that_stand_for_themselves_are_told_from_running_text() -> None:
    assert TextData("", "one\ntwo\n").is_a_list
    assert not TextData("", "one\n\ntwo\n").is_a_list
    assert not TextData("", "one long line\n").is_a_list
    assert TextData("", "\n one\ntwo\n\n \n").is_a_list  # around them they divide nothing
    assert not TextData("", "\none long line\n\n").is_a_list


def test_blank_cells_of_a_table_divide_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1,one\n2,\n3,two\n4, \n5,three\n")
    data = load_text(f"{tmp_path}/a.csv")
    assert data.text == "one\ntwo\nthree\n"
    assert data.is_a_list


@pytest.mark.parametrize(
    ("spec", "kind", "message"),
    [
        ("{0}/none.txt", DataError, "no such file"),
        ("{0}/blank.txt", DataError, "no text, only blank lines"),
        ("{0}/a.txt[5:]", DataError, "no line in this slice; there are 1"),
        ("{0}/a.txt,{0}/blank.txt", ConfigError, "two files; a language model reads one after the other"),
        (
            "builtin:enja",
            ConfigError,
            "holds pairs for translation; expected a text file, or a set such as shake",
        ),
        ("enja:dev", ConfigError, "holds pairs for translation"),
        ("shakespeare:middle", ConfigError, "no part 'middle'; it has train, dev, test"),
    ],
)
def test_what_is_no_text_is_refused(spec: str, kind: type[Exception], message: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text\n")
    (tmp_path / "blank.txt").write_text("\n \n")
    with pytest.raises(kind, match=message):
        load_text(spec.format(tmp_path))


def test_text_is_no_data_for_translation() -> None:
    with pytest.raises(ConfigError, match="is for language-modeling; translation needs pairs, such as enja"):
        load_pairs("shakespeare")


@needs_data
@pytest.mark.parametrize(("name", "characters"), [("shakespeare", 1_115_394), ("neko", 338_685 - 9_964)])
def test_the_parts_of_a_set_make_up_its_text_and_the_last_tenth_is_for_tests(name: str, characters: int) -> None:
    whole = load_text(f"{name}:train+{name}:dev+{name}:test").text
    file = {"shakespeare": "input.txt", "neko": "neko.txt"}[name]
    assert whole == (Path(REAL or "") / name / file).read_text("utf-8")  # which reads \r\n as \n
    assert len(whole) == characters
    test = load_text(f"{name}:test")
    assert (test.spec, test.text) == (f"{name}:test", whole[int(0.9 * characters) :])
    assert load_text(name, "dev").text == load_text(f"{name}:val").text


def test_a_row_of_a_table_is_a_line_whatever_breaks_are_in_it(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text('text\n"First part.\n\nSecond part."\nAnother\n"Third\r\none"\n', "utf-8", newline="")
    data = load_text(str(file))
    assert data.is_a_list
    assert list(data.documents) == ["First part. Second part.", "Another", "Third one"]
