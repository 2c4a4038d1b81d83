"""Aligned files are read line by line, exactly, or refused with their place."""

from pathlib import Path

import pytest

from keifu.data.examples import Pair
from keifu.data.sources import UNNAMED, has_parts, load_pairs, short_name, text_lines
from keifu.errors import ConfigError, DataError


def spec(folder: Path, left: bytes, right: bytes, names: tuple[str, str] = ("a.en", "a.ja")) -> str:
    for name, content in zip(names, (left, right), strict=True):
        (folder / name).write_bytes(content)
    return ",".join(str(folder / name) for name in names)


def texts(folder: Path, left: bytes, right: bytes) -> list[tuple[str, str]]:
    return [(pair.source, pair.target) for pair in load_pairs(spec(folder, left, right)).pairs]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (b"one\ntwo\n", b"1\n2\n"),
        (b"one\ntwo", b"1\n2\n"),  # without a line feed at the end
        (b"one\r\ntwo\r\n", b"1\n2\n"),
        (b"one\r\ntwo", b"1\r\n2\r\n"),
        (b"\xef\xbb\xbfone\ntwo\n", b"\xef\xbb\xbf1\r\n2\r\n"),
    ],
    ids=["LF", "no last LF", "CRLF", "CRLF without a last one", "BOM"],
)
def test_line_ends_and_byte_order_marks_are_no_text(left: bytes, right: bytes, tmp_path: Path) -> None:
    assert texts(tmp_path, left, right) == [("one", "1"), ("two", "2")]


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
def test_only_a_line_feed_ends_a_line(sign: str, tmp_path: Path) -> None:
    found = texts(tmp_path, f"on{sign}e\ntwo\n".encode(), b"1\n2\n")
    assert found == [(f"on{sign}e", "1"), ("two", "2")]


def test_lines_with_an_empty_side_are_skipped(tmp_path: Path) -> None:
    found = texts(tmp_path, b"one\n\ntwo\n  \nfive\n", "1\n0\n\n3\n　5\n".encode())
    assert found == [("one", "1"), ("five", "　5")]


def test_text_is_left_as_it_is(tmp_path: Path) -> None:
    assert texts(tmp_path, b"  I'm  here \t\n", "ｶﾞe\u0301\n".encode()) == [("  I'm  here \t", "ｶﾞe\u0301")]


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (b"one\ntwo\n", b"1\n", r"a\.en has 2 lines, .*a\.ja has 1; line N of one must translate line N"),
        (b"one\n" * 1500, b"1\n" * 1499, "has 1,500 lines, .* has 1,499"),
        (b"", b"1\n", "a.en has 0 lines"),
        (b"", b"", "no line has text on both sides"),
        (b"\xef\xbb\xbf", b"", "no line has text on both sides"),
        (b"\n\n", b" \n\n", "no line has text on both sides"),
        (b"one\n\xfftwo\n", b"1\n2\n", r"a\.en:2: not UTF-8; save the file as UTF-8"),
        (b"\xef\xbb\xbfab\n\xff\n", b"1\n2\n", r"a\.en:2: not UTF-8"),
        (b"one\ntwo\n", "1\n二".encode()[:-1], r"a\.ja:2: not UTF-8"),
        ("one\n".encode("utf-16"), b"1\n", r"a\.en:1: not UTF-8"),
        (b"one\n", "一\n".encode("shift_jis"), r"a\.ja:1: not UTF-8"),
    ],
)
def test_files_that_cannot_be_used_are_refused(left: bytes, right: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        load_pairs(spec(tmp_path, left, right))


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "there.en").write_text("one\n")
    (tmp_path / "folder.ja").mkdir()
    for name, message in {
        "none.ja": "no such file",
        "folder.ja": "is a folder",
        "x" * 300 + ".ja": "no such file",
        "\0.ja": "no such file",
    }.items():
        with pytest.raises(DataError, match=f"{message}; expected a text file with one sentence a line"):
            load_pairs(f"{tmp_path / 'there.en'},{tmp_path / name}")


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    named = spec(tmp_path, b"one\n", b"1\n")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"a\.en: cannot be read: Permission denied"):
        load_pairs(named)


@pytest.mark.parametrize("name", ["", ",", "one.en", "one.en,", ",one.ja", "a.en,b.ja,c.fr"])
def test_a_spec_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="expected two aligned files with a comma between them"):
        load_pairs(name)


@pytest.mark.parametrize("name", ["builtin:", "builtin:other", "builtin:enja:train:5", "builtin:enja:all"])
def test_an_unknown_corpus_or_part_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"no such corpus|no part 'all'"):
        load_pairs(name)


# ---- languages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "languages"),
    [
        (("a.en", "a.ja"), ("en", "ja")),
        (("train.v1.de", "train.fr"), ("de", "fr")),
        (("en.txt", "ja.txt"), UNNAMED),
        (("english", "japanese"), UNNAMED),
        (("a.en", "japanese"), UNNAMED),
    ],
)
def test_languages_are_the_file_endings_where_these_differ(
    names: tuple[str, str], languages: tuple[str, str], tmp_path: Path
) -> None:
    assert load_pairs(spec(tmp_path, b"one\n", b"1\n", names)).languages == languages


@pytest.mark.parametrize(
    ("source", "target", "languages"),
    [
        (None, None, ("en", "ja")),
        ("en", None, ("en", "ja")),
        (None, "ja", ("en", "ja")),
        ("en", "ja", ("en", "ja")),
        ("ja", None, ("ja", "en")),
        (None, "en", ("ja", "en")),
        ("ja", "en", ("ja", "en")),
    ],
)
def test_pairs_are_turned_round_where_that_is_asked_for(
    source: str | None, target: str | None, languages: tuple[str, str], tmp_path: Path
) -> None:
    data = load_pairs(spec(tmp_path, b"one\n", b"1\n"), None, source, target)
    assert data.languages == languages
    assert list(data.pairs) == [Pair("one", "1") if languages[0] == "en" else Pair("1", "one")]


@pytest.mark.parametrize(
    ("source", "target", "asked"),
    [
        ("fr", None, "--source fr"),
        ("en", "en", "--source en and --target en"),
        ("en", "fr", "--source en and --target fr"),
    ],
)
def test_impossible_languages_are_refused(source: str, target: str | None, asked: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"its sides are en and ja, asked for {asked}$"):
        load_pairs(spec(tmp_path, b"one\n", b"1\n"), None, source, target)


# ---- names and hashes --------------------------------------------------------------------------------------


def test_the_hash_is_that_of_the_texts_in_their_direction(tmp_path: Path) -> None:
    named = spec(tmp_path, b"one\ntwo\n", b"1\n2\n")
    same = spec(tmp_path, b"one\r\ntwo\r\n", b"1\n2\n", ("b.en", "b.ja"))
    assert load_pairs(named).sha256 == load_pairs(same).sha256
    assert load_pairs(named).sha256 != load_pairs(named, source="ja").sha256


@pytest.mark.parametrize(
    ("name", "short"),
    [("data/train.en,data/train.ja", "train"), ("builtin:enja:dev", "enja"), (".en,.ja", "en"), ("a,b", "a")],
)
def test_data_has_a_short_name_for_folders(name: str, short: str) -> None:
    assert short_name(name) == short


def test_only_a_corpus_without_a_part_has_parts_to_choose_from() -> None:
    assert has_parts("builtin:enja")
    assert not has_parts("builtin:enja:train")
    assert not has_parts("a.en,a.ja")


def test_lines_of_standard_input_are_read_like_those_of_a_file() -> None:
    assert text_lines(b"\xef\xbb\xbfa\r\n\nb", "standard input") == ["a", "", "b"]
    assert text_lines(b"\n", "standard input") == [""]
    assert text_lines(b"", "standard input") == []
    with pytest.raises(DataError, match=r"^standard input:3: not UTF-8"):
        text_lines(b"a\nb\n\xff", "standard input")
