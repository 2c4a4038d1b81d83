"""From a SPEC to pairs: exactly what stands in the files, each with its place, or a message."""

import random
import re
from pathlib import Path

import pytest

from keifu.data.examples import Pair
from keifu.data.pairs import UNNAMED, Blank, Form, has_parts, load_pairs, other_part
from keifu.data.stored import StoredPairs, collect
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
        (
            b"one\ntwo\n",
            b"1\n",
            r"a\.en has 2 lines, .*a\.ja has 1; line N of one must translate line N .*; find the line",
        ),
        (b"one\n" * 1500, b"1\n" * 1499, "has 1,500 lines, .* has 1,499"),
        (b"", b"1\n", r"a\.en.*empty"),
        (b"\n\n", b" \n\n", "no line has text on both sides"),
        (b"one\n\xfftwo\n", b"1\n2\n", r"a\.en:2: not UTF-8"),
        (b"\xef\xbb\xbfab\n\xff\n", b"1\n2\n", r"a\.en:2: not UTF-8"),
        (b"one\ntwo\n", "1\n二".encode()[:-1], r"a\.ja:2: "),
    ],
)
def test_files_that_cannot_be_used_are_refused(left: bytes, right: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        load_pairs(spec(tmp_path, left, right))


# ---- languages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "languages"),
    [
        (("a.en", "a.ja"), ("en", "ja")),
        (("train.v1.de", "train.fr"), ("de", "fr")),
        (("en.txt", "ja.txt"), ("en", "ja")),
        (("news-en.txt", "news-ja.txt"), ("en", "ja")),
        (("left.txt", "right.txt"), UNNAMED),
        (("a.en.txt", "a.en-clean.txt"), UNNAMED),
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


def test_only_a_corpus_without_a_part_has_parts_to_choose_from() -> None:
    assert has_parts("builtin:enja")
    assert not has_parts("builtin:enja:train")
    assert not has_parts("a.en,a.ja")


# ---- one file with both sides ------------------------------------------------------------------------------


def table(folder: Path, content: str, name: str = "corpus.tsv") -> str:
    (folder / name).write_text(content, "utf-8")
    return str(folder / name)


def both(spec: str, *names: str | None, columns: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    data = load_pairs(spec, None, *names, form=Form(columns))
    return [(pair.source, pair.target) for pair in data.pairs]


def test_two_columns_are_the_two_sides(tmp_path: Path) -> None:
    data = load_pairs(table(tmp_path, "one\t1\ntwo\t2\n"))
    assert [(pair.source, pair.target) for pair in data.pairs] == [("one", "1"), ("two", "2")]
    assert data.languages == UNNAMED


def test_a_header_names_the_languages(tmp_path: Path) -> None:
    spec = table(tmp_path, "en\tja\none\t1\n")
    assert load_pairs(spec).languages == ("en", "ja")
    assert both(spec) == [("one", "1")]
    assert both(spec, "ja", "en") == both(spec, "ja") == [("1", "one")]


def test_names_choose_among_many_columns(tmp_path: Path) -> None:
    headed = table(tmp_path, "id\ten\tscore\tja\n7\tone\t0.5\t1\n")
    assert both(headed) == both(headed, "en", "ja") == [("one", "1")]
    assert both(headed, columns=("ja", "en")) == [("1", "one")]
    plain = table(tmp_path, "7\tone\t0.5\t1\n", "plain.tsv")
    assert both(plain, "en", "ja", columns=("id", "en", "score", "ja")) == [("one", "1")]
    assert both(plain, columns=("id", "en", "score", "ja")) == [("one", "1")]
    with pytest.raises(
        ConfigError, match=r"plain\.tsv: 4 columns; say which two to use with --source and --target; line 1"
    ):
        load_pairs(plain)


def test_a_third_language_is_chosen_by_name(tmp_path: Path) -> None:
    spec = table(tmp_path, "en\tde\tfr\none\teins\tun\n")
    assert both(spec, "fr", "de") == [("un", "eins")]
    with pytest.raises(
        ConfigError, match="3 columns; say which two to use with --source and --target; its columns are en, de, fr"
    ):
        load_pairs(spec)
    with pytest.raises(ConfigError, match="no column is called it; its columns are en, de, fr"):
        load_pairs(spec, None, "en", "it")
    with pytest.raises(ConfigError, match="both en"):
        load_pairs(spec, None, "en", "en")


def test_every_format_gives_the_same_pairs(tmp_path: Path) -> None:
    contents = {
        "a.tsv": "en\tja\none, two\t1\n",
        "a.csv": 'en,ja\n"one, two",1\n',
        "a.jsonl": '{"en": "one, two", "ja": "1"}\n',
        "b.jsonl": '{"translation": {"en": "one, two", "ja": "1"}}\n',
        "a.tmx": '<tmx version="1.4"><header srclang="en"/><body><tu><tuv xml:lang="EN-US"><seg>one, two</seg></tuv>'
        '<tuv xml:lang="ja"><seg>1</seg></tuv></tu></body></tmx>',
    }
    for name, content in contents.items():
        data = load_pairs(table(tmp_path, content, name))
        assert ([*data.pairs], data.languages) == ([Pair("one, two", "1")], ("en", "ja")), name


def test_one_column_is_not_enough(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"text\.txt: one text a line; translation needs two: a TAB"):
        load_pairs(table(tmp_path, "one\ntwo\n", "text.txt"))


# ---- parts, slices and sums --------------------------------------------------------------------------------


def test_a_slice_takes_some_of_the_pairs(tmp_path: Path) -> None:
    spec = table(tmp_path, "".join(f"{n}\tn{n}\n" for n in range(10)))
    assert [source for source, _ in both(f"{spec}[2:4]")] == ["2", "3"]
    assert [source for source, _ in both(f"{spec}[:3]")] == ["0", "1", "2"]
    assert [source for source, _ in both(f"{spec}[-2:]")] == ["8", "9"]
    assert [source for source, _ in both(f"{spec}[7:-1]")] == ["7", "8"]
    assert [source for source, _ in both(f"{spec}[8:99]")] == ["8", "9"]
    with pytest.raises(DataError, match="no pair in this slice"):
        load_pairs(f"{spec}[20:]")


def test_terms_are_joined_in_the_direction_of_the_first(tmp_path: Path) -> None:
    first = spec(tmp_path, b"one\n", b"1\n")
    second = table(tmp_path, "ja\ten\n2\ttwo\n")
    data = load_pairs(f"{first}+{second}")
    assert list(data.pairs) == [Pair("one", "1"), Pair("two", "2")]
    assert [data.places[0], data.places[1]] == [f"{tmp_path / 'a.en'}:1", f"{second}:2"]


def test_a_place_names_file_and_line_also_after_cuts_and_gaps(tmp_path: Path) -> None:
    left = "".join(f"{n}\n" if n % 3 else "\n" for n in range(1, 13)).encode()
    data = load_pairs(spec(tmp_path, left, b"x\n" * 12) + "+" + table(tmp_path, "a\tb\nc\td\n"))
    numbers = [n for n in range(1, 13) if n % 3]
    places = [*(f"{tmp_path / 'a.en'}:{n}" for n in numbers), *(f"{tmp_path / 'corpus.tsv'}:{n}" for n in (1, 2))]
    assert [data.places[row] for row in range(10)] == places
    cut = data.cut(3, 9)
    assert [cut.places[row] for row in range(6)] == places[3:9]
    assert [pair.source for pair in cut.pairs] == ["5", "7", "8", "10", "11", "a"]
    assert data.blank == Blank(0, 4, tuple(f"{tmp_path / 'a.en'}:{n}" for n in (3, 6, 9, 12)))


def test_other_parts_are_those_of_the_sets_without_one(tmp_path: Path) -> None:
    spec = "builtin:enja+a.tsv+enja:train+multi30k-en-de[:5]"
    assert other_part(spec, "dev") == "builtin:enja:dev+multi30k-en-de:dev"


@pytest.mark.parametrize("name", ["builtin:enja:all", "enja:all"])
def test_an_unknown_part_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"no part 'all'.*train, dev"):
        load_pairs(name)


# ---- files that do not fit together, and files that are too large ------------------------------------------


@pytest.mark.parametrize("at", [0, 137, 250, 499])
def test_where_aligned_files_part_is_found_by_the_lengths_of_their_lines(at: int, tmp_path: Path) -> None:
    draw = random.Random(at)
    lengths = [draw.randint(1, 60) for _ in range(500)]
    left = ["a" * length for length in lengths]
    right = ["b" * round(1.2 * length + draw.random()) for length in lengths]
    del right[at]
    named = spec(tmp_path, "\n".join(left).encode(), "\n".join(right).encode())
    with pytest.raises(DataError, match=r"has 500 lines, .* has 499") as caught:
        load_pairs(named)
    found = re.search(r"they part near line (\d+)", str(caught.value))
    assert found
    assert abs(int(found[1]) - (at + 1)) <= 3


def test_large_files_are_kept_on_the_disk_and_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = spec(tmp_path, b"".join(b"line %d\n" % n for n in range(50)), b"".join(b"%d\n\n" % n for n in range(25)))
    small = load_pairs(named)
    monkeypatch.setenv("KEIFU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("keifu.data.pairs.collect", lambda pairs: collect(pairs, most_in_memory=100))
    large = load_pairs(named)
    assert isinstance(large.pairs, StoredPairs)
    assert (list(large.pairs), large.sha256, large.blank) == (list(small.pairs), small.sha256, small.blank)
    turned = load_pairs(named, source="ja")
    assert turned.sha256 == load_pairs(named, source="ja").sha256 != large.sha256
    assert list(turned.pairs) == [Pair(pair.target, pair.source) for pair in small.pairs]


def test_columns_without_names_are_chosen_by_number(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("7\tI\tx\t1\n8\tyou\ty\t2\n", "utf-8")
    data = load_pairs(str(tmp_path / "a.tsv"), source="2", target="4")
    assert [(pair.source, pair.target) for pair in data.pairs] == [("I", "1"), ("you", "2")]
    assert data.languages == ("2", "4")


def test_data_that_name_their_languages_otherwise_are_not_joined(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("en\tja\nI\t私\n", "utf-8")
    (tmp_path / "b.tsv").write_text("English\tJapanese\nyou\t君\n", "utf-8")
    with pytest.raises(
        ConfigError, match=r"b\.tsv: its sides are English and Japanese, those before it en and ja; name"
    ):
        load_pairs(f"{tmp_path}/a.tsv+{tmp_path}/b.tsv")


def test_places_of_joined_data_are_those_of_each_file(tmp_path: Path) -> None:
    (tmp_path / "b.tsv").write_text("I\t私\n\nyou\t君\n", "utf-8")
    (tmp_path / "c.tsv").write_text("we\t我々\n\n\nthey\t彼ら\n", "utf-8")
    data = load_pairs(f"{tmp_path}/b.tsv+{tmp_path}/c.tsv")
    assert [data.places[row].split("/")[-1] for row in range(4)] == ["b.tsv:1", "b.tsv:3", "c.tsv:1", "c.tsv:4"]


def test_the_other_part_of_a_set_is_named_once() -> None:
    assert other_part("builtin:enja[:100]+builtin:enja[200:300]", "dev") == "builtin:enja:dev"
