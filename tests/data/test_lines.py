"""Lines come out of a file as they stand in it, whatever its encoding, or the place and the remedy are named."""

import gzip
import os
import random
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keifu.data.lines import LONGEST, check_encoding, lines, shown, text_lines
from keifu.errors import ConfigError, DataError

JAPANESE = "吾輩は猫である。名前はまだ無い。\nどこで生れたかとんと見当がつかぬ。\n"
CHINESE = "我们今天去公园散步。\n她喜欢读书和写字。\n"
TRADITIONAL = "我們今天去公園散步。\n她喜歡讀書和寫字。\n"
KOREAN = "나는 오늘 학교에 갔습니다.\n날씨가 매우 좋습니다.\n"
FRENCH = "Le café était déjà fermé à midi.\nVoilà où ça s’arrête.\n"
GERMAN = "Grüße für die Tür.\nEs wäre schön, wenn du kämst.\n"


def read(folder: Path, content: bytes, encoding: str = "utf-8", name: str = "a.txt") -> list[str]:
    (folder / name).write_bytes(content)
    numbered = list(lines(folder / name, encoding))
    assert [number for number, _ in numbered] == list(range(1, len(numbered) + 1))
    return [line for _, line in numbered]


def refusal(folder: Path, content: bytes, encoding: str = "utf-8", name: str = "a.txt") -> str:
    with pytest.raises(DataError) as caught:
        read(folder, content, encoding, name)
    return str(caught.value).removeprefix(f"{folder}{os.sep}")


# ---- line ends ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\r\nb\r", ["a", "b"]),
        (b"a\r\r\nb\r\r\n", ["a", "b"]),
        (b"a\nb\r\r", ["a", "b"]),
        (b"a\nb\r\nc", ["a", "b", "c"]),
        (b"a\rb\nc\n", ["a\rb", "c"]),
        (b"a\rb\rc", ["a", "b", "c"]),
        (b"a\rb\r", ["a", "b"]),
        (b"a\r\rb", ["a", "", "b"]),
        (b"\n", [""]),
        (b"\n\na\n\n", ["", "", "a", ""]),
        (b"a", ["a"]),
        (b"\xef\xbb\xbfa\nb\n", ["a", "b"]),
    ],
)
def test_line_feeds_end_lines_and_carriage_returns_only_where_there_are_none(
    content: bytes, found: list[str], tmp_path: Path
) -> None:
    assert read(tmp_path, content) == found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]))), st.booleans())
def test_nothing_but_a_line_feed_ends_a_line(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], windows: bool
) -> None:
    end = "\r\n" if windows else "\n"
    texts = ["first", *texts]
    content = "".join(text + end for text in texts)
    assert read(tmp_path_factory.mktemp("lines"), content.encode()) == texts


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp932", "utf-16"])
@pytest.mark.parametrize("zipped", [False, True])
def test_lines_across_blocks_are_whole(end: str, encoding: str, zipped: bool, tmp_path: Path) -> None:
    draw = random.Random(1)
    texts = ["あ漢ab"[draw.randrange(3) :] * draw.choice([1, 7, 300, 90_000]) for _ in range(30)]
    content = "".join(text + end for text in texts).encode(encoding)
    assert len(content) > 1 << 20
    assert read(tmp_path, gzip.compress(content) if zipped else content, encoding) == texts


def test_a_carriage_return_at_the_end_of_a_block_waits_for_its_line_feed(tmp_path: Path) -> None:
    for length in range((1 << 18) - 3, (1 << 18) + 3):
        assert read(tmp_path, b"x" * length + b"\r\nb\r\n") == ["x" * length, "b"]
        assert read(tmp_path, b"x" * length + b"\rb\r") == ["x" * length, "b"]


def test_only_the_first_mark_of_a_file_is_no_text(tmp_path: Path) -> None:
    line = "\ufeff" * 10
    assert read(tmp_path, f"\ufeff{line}\n".encode() * 20_000)[1:] == ["\ufeff" + line] * 19_999


def test_both_kinds_of_line_ends_in_one_old_file_are_refused(tmp_path: Path) -> None:
    content = b"a\r" * 200_000 + b"b\nc\r"
    assert refusal(tmp_path, content).startswith("a.txt:200001: a line feed where lines end with carriage returns; ")


def test_lines_of_an_old_mac_are_not_taken_for_one_of_unix(tmp_path: Path) -> None:
    assert refusal(tmp_path, b"x\na\rb\rc\rd\n").startswith("a.txt:2: carriage returns inside a line that a line feed")
    assert read(tmp_path, b"x\na\rb\rc\n") == ["x", "a\rb\rc"]


def test_a_line_has_its_limit_and_the_rest_is_not_read(tmp_path: Path) -> None:
    assert read(tmp_path, b"x" * LONGEST + b"\ny\n")[1] == "y"
    found = refusal(tmp_path, b"a\n" + b"x" * (LONGEST + 1) + b"\n")
    assert found == "a.txt:2: a line of over 1,000,000 characters; expected a sentence a line"
    endless = tmp_path / "endless"
    with endless.open("wb") as file:
        file.truncate(1 << 34)  # holes, which are NUL bytes
        file.write(b"x" * (2 * LONGEST))
    with pytest.raises(DataError, match=r"endless:1: a line of over"):
        list(lines(endless))


# ---- encodings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("said", ["utf-8", "cp932"])
def test_a_byte_order_mark_says_the_encoding(encoding: str, said: str, tmp_path: Path) -> None:
    assert read(tmp_path, JAPANESE.encode(encoding), said) == JAPANESE.splitlines()
    big = "\ufeff" + JAPANESE
    if encoding != "utf-8-sig":
        assert read(tmp_path, big.encode(f"{encoding}-be"), said) == JAPANESE.splitlines()


@pytest.mark.parametrize("encoding", ["cp932", "euc_jp", "iso2022_jp", "UTF-8", "utf-16-le", "utf-7"])
def test_a_named_encoding_is_read(encoding: str, tmp_path: Path) -> None:
    assert read(tmp_path, JAPANESE.encode(encoding), encoding) == JAPANESE.splitlines()


@pytest.mark.parametrize(
    ("text", "encoding", "line"),
    [
        (JAPANESE, "cp932", 1),
        (JAPANESE, "euc_jp", 1),
        ("plain\nplain\n" + JAPANESE, "cp932", 3),
        ("Hello\tこんにちは\n", "cp932", 1),
        (JAPANESE, "utf-16-le", 1),
        (JAPANESE, "utf-16-be", 1),
        (FRENCH, "utf-16-le", 1),
        (FRENCH, "utf-32-be", 1),
        ("plain\n" + FRENCH, "cp1252", 2),
        (GERMAN, "cp1252", 1),
        ("eine Tür", "cp1252", 1),
        ("Il est fermé", "cp1252", 1),
        (KOREAN, "cp949", 1),
        (CHINESE, "gb18030", 1),
        ("我看见猫。\n", "gb18030", 1),
        ("My name\t她昨天买了一本新书。\n", "gb18030", 1),
        ("그녀는 어제 새 책을 샀다.\n", "cp949", 1),
        ("她昨天買了一本新書。\n", "big5", 1),
        (TRADITIONAL, "big5", 1),
    ],
)
def test_the_true_encoding_is_guessed(text: str, encoding: str, line: int, tmp_path: Path) -> None:
    found = refusal(tmp_path, text.encode(encoding))
    assert found.startswith(f"a.txt:{line}: ")
    assert found.endswith(f"this looks like {encoding}: add --encoding {encoding}, or save it as UTF-8")
    check_encoding(encoding)
    assert read(tmp_path, text.encode(encoding), encoding) == text.splitlines()


def test_utf_8_is_guessed_where_another_encoding_was_named(tmp_path: Path) -> None:
    for encoding in ("ascii", "latin-1", "cp1252", "cp932", "gb18030"):  # most of them would read it, as mojibake
        found = refusal(tmp_path, b"I\nyou\n" + JAPANESE.encode(), encoding)
        name = encoding.replace("latin-1", "iso8859-1")
        assert found == f"a.txt:3: this is UTF-8 and not {name}; leave --encoding away, or save all files as UTF-8"
    assert read(tmp_path, "caf\u00e9\n".encode("cp1252"), "cp1252") == ["caf\u00e9"]
    assert "not utf-16; this looks like utf-8: " in refusal(tmp_path, b"one\n", "utf-16")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (JAPANESE.encode() + "二\n三\n".encode().replace(b"\x8c", b""), "a.txt:3: a damaged or cut character in UTF-8"),
        (JAPANESE.encode() + "二".encode()[:-1], "a.txt:3: a damaged or cut character in UTF-8"),
        ("Привет, как дела\n".encode("koi8-r"), "a.txt:1: not UTF-8; save it as UTF-8, or name its encoding"),
        ("请勿吸烟\n".encode("gb18030"), "a.txt:1: not UTF-8; save it as UTF-8, or name its encoding"),
        ("Proszę zamknąć drzwi.\n".encode("cp1250"), "a.txt:1: not UTF-8; save it as UTF-8, or name its encoding"),
        (b"I\t1\nyou\t\0\n", "a.txt:2: a NUL character; remove it"),
        ("I\nyou\n".encode("utf-16")[:-1], "a.txt:2: not utf-16, though the file begins with its mark"),
        (b"\xef\xbb\xbfI\nd\xe9j\xe0\n", "a.txt:2: not UTF-8, though the file begins with its mark"),
        (b"a\nb\0c\n", "a.txt:2: a NUL character; remove it, or name a text file"),
        (b"a\n" * 200_000 + b"\0", "a.txt:200001: a NUL character"),
        (bytes(range(256)), "a.txt:1: a NUL character"),
        (b"\xc3\xff\x80\x81" * 9, "a.txt:1: not UTF-8; "),
    ],
)
def test_what_is_no_text_or_damaged_is_refused_without_a_guess(content: bytes, found: str, tmp_path: Path) -> None:
    message = refusal(tmp_path, content)
    assert message.startswith(found)
    assert "looks like" not in message


@pytest.mark.parametrize("bad", [b"\xe3\x81\nb\n", b"\xff\xff\n", b"\xe3"])
@pytest.mark.parametrize("before", [0, 1, 2, 3])
def test_the_line_of_a_bad_byte_is_right_across_blocks(before: int, bad: bytes, tmp_path: Path) -> None:
    content = b"x" * before + "あ\n".encode() * 200_000 + bad
    assert refusal(tmp_path, content).startswith("a.txt:200001: ")


def test_half_of_a_surrogate_pair_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, b"ab\nc+2AA-\n", "utf-7").startswith("a.txt:2: half of a surrogate pair")


@pytest.mark.parametrize(
    "encoding", ["", "klingon", "hex", "rot13", "zlib", "undefined", "idna", "a\0b", "\udcff", "é"]
)
def test_encodings_that_no_text_file_has_are_refused(encoding: str) -> None:
    with pytest.raises(ConfigError, match="is not known; expected one such as utf-8, cp932") as caught:
        check_encoding(encoding)
    assert str(caught.value).isprintable()


# ---- files -------------------------------------------------------------------------------------------------


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    packed = gzip.compress(b"a\nb\n")
    assert read(tmp_path, packed, name="a.en") == ["a", "b"]
    assert read(tmp_path, packed + packed, name="a.gz") == ["a", "b", "a", "b"]


@pytest.mark.parametrize("cut", [-1, -5, 11, 3])
def test_a_gzip_file_that_is_cut_off_is_refused(cut: int, tmp_path: Path) -> None:
    packed = gzip.compress(random.Random(1).randbytes(5000).hex().encode())
    assert refusal(tmp_path, packed[:cut]) == "a.txt: the gzip file is cut off or damaged; fetch it again"


def test_a_damaged_gzip_file_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(random.Random(1).randbytes(5000).hex().encode()))
    for position in (2, 40, len(packed) // 2, len(packed) - 6):
        damaged = packed.copy()
        damaged[position] ^= 0x55
        assert "the gzip file is cut off or damaged" in refusal(tmp_path, bytes(damaged))
    assert "not gzip in spite of its name" in refusal(tmp_path, b"text\n", name="a.txt.gz")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (
            b"PK\x03\x04\x14\0",
            "a zip archive, as .xlsx and .docx files are; unpack it, or save it as CSV or text in UTF-8",
        ),
        (b"\xfd7zXZ\0\0", "compressed with xz; unpack it first"),
        (b"BZh91AY&SY", "compressed with bzip2"),
        (b"\x28\xb5\x2f\xfd\x04", "compressed with zstd"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\x89PNG\r\n\x1a\n", "an image"),
        (b"\xff\xd8\xff\xe0", "an image"),
        (b"PAR1\x15", "a Parquet file; give it a name that ends in .parquet"),
        (b"a.txt".ljust(257, b"\0") + b"ustar\x0000", "a tar archive; unpack it first"),
        (gzip.compress(b"x", mtime=0), "compressed twice"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_archives_and_other_binary_files_are_known(content: bytes, found: str, zipped: bool, tmp_path: Path) -> None:
    if zipped or not content.startswith(b"\x1f\x8b"):
        assert refusal(tmp_path, gzip.compress(content) if zipped else content).startswith(f"a.txt: is {found}")


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0), "\ufeff".encode("utf-16-le")])
def test_an_empty_file_is_called_empty(content: bytes, tmp_path: Path) -> None:
    assert refusal(tmp_path, content) == "a.txt: the file is empty; expected text"


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name, found in {
        "none": "no such file",
        "none/below": "no such file",
        "dangling": "no such file",
        "nul\0": "no such file",
        "folder": "is a folder",
        "pipe": "is a pipe or a device; save it first",
        "x" * 300: "cannot be read: ",
        os.fsdecode(b"\xff\n\xe9"): "no such file",
    }.items():
        with pytest.raises(DataError, match=found) as caught:
            next(lines(f"{tmp_path}/{name}"))
        assert str(caught.value).isprintable()


def test_a_name_like_the_missing_one_is_named(tmp_path: Path) -> None:
    for name in ("train.en.gz", "corpus.tsv", "v.tsv"):
        (tmp_path / name).touch()
    for name, found in {
        "train.en": "no such file; did you mean .*train\\.en\\.gz\\?",
        "corpsu.tsv": "no such file; did you mean .*corpus\\.tsv\\?",
        "a.tsv": "no such file; looked in ",
        "below/a.tsv": "no such file; there is no folder .*below$",
    }.items():
        with pytest.raises(DataError, match=found):
            next(lines(tmp_path / name))


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.txt").write_text("a")
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(DataError, match=r"a\.txt: cannot be read: Permission denied"):
        next(lines(tmp_path / "a.txt"))


def test_a_file_is_closed_when_reading_stops_early(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"a\n" * 500_000)
    before = set(os.listdir("/proc/self/fd"))
    numbered = lines(path)
    assert list(islice(numbered, 2)) == [(1, "a"), (2, "a")]
    assert set(os.listdir("/proc/self/fd")) > before
    del numbered
    assert set(os.listdir("/proc/self/fd")) <= before


WRITE = """
import gzip, random, sys
path, ending, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
left, right = "A line of some forty characters, about. " * 25, "四十文字ほどの長さがある日本語の一行。" * 30
if ending == "parquet":
    import pyarrow
    from pyarrow import parquet
    tails = [random.randbytes(60).hex() for _ in range(rows)]
    table = pyarrow.table({"en": [left + tail for tail in tails], "ja": [right + tail for tail in tails]})
    parquet.write_table(table, path, row_group_size=1000, compression="none")
    sys.exit()
form = {
    "txt": "%s %s\\n",
    "tsv": "%s\\t%s\\n",
    "csv": '"%s","%s"\\n',
    "jsonl": '{"en": "%s", "ja": "%s"}\\n',
    "tmx": '<tu><tuv lang="en"><seg>%s</seg></tuv><tuv lang="ja"><seg>%s</seg></tuv></tu>\\n',
}[ending.removesuffix(".gz")] % (left, right)
begin, end = ("<tmx><body>", "</body></tmx>") if ending == "tmx" else ("", "")
with (gzip.open if ending.endswith("gz") else open)(path, "wt", encoding="utf-8") as file:
    file.write(begin)
    for _ in range(rows):
        file.write(form)
    file.write(end)
"""
MEASURE = """
import resource, sys
from keifu.data.tables import open_table
peaks = []
for path in sys.argv[1:]:
    print(sum(1 for _ in open_table(path).rows))
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(peaks[1] - peaks[0])
"""


@pytest.mark.parametrize("ending", ["txt", "tsv", "csv", "jsonl", "tmx", "parquet", "txt.gz"])
def test_a_large_file_takes_little_more_memory_than_a_small_one(ending: str, tmp_path: Path) -> None:
    small, large = (str(tmp_path / f"{name}.{ending}") for name in ("small", "large"))
    for path, rows in ((small, "2000"), (large, "20000")):
        subprocess.run([sys.executable, "-c", WRITE, path, ending, rows], check=True)
    assert ending == "txt.gz" or os.path.getsize(large) > 50_000_000
    found = subprocess.run([sys.executable, "-c", MEASURE, small, large], check=True, capture_output=True, text=True)
    counted, recounted, grown = map(int, found.stdout.split())
    assert (counted, recounted) == (2000, 20_000)
    assert grown < 15_000  # KiB


# ---- messages ----------------------------------------------------------------------------------------------


@given(st.text())
def test_excerpts_are_short_and_can_be_printed(text: str) -> None:
    found = shown(text * 20)
    assert len(found) <= 60
    assert found.replace("\u3000", " ").isprintable()
    found.encode()


def test_lines_of_standard_input_are_read_like_those_of_a_file() -> None:
    assert text_lines(b"\xef\xbb\xbfa\r\n\nb", "standard input") == ["a", "", "b"]
    assert text_lines(b"\n", "standard input") == [""]
    assert text_lines(b"", "standard input") == []
    with pytest.raises(DataError, match=r"^standard input:3: not UTF-8"):
        text_lines(b"a\nb\n\xff", "standard input")
