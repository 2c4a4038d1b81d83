"""A hundred data files that no training can use, and what is said of each.

A case is the files of a folder by name, the arguments that name them, the exit code, and what the message must hold.
"""

import gzip
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

GOOD_LEFT = b"I see cats.\nYou see dogs.\nWe see birds.\n"
GOOD_RIGHT = "私は猫を見る。\n君は犬を見る。\n我々は鳥を見る。\n".encode()
ALIGNED = ("--data", "a.en,a.ja")
LONG = b"x" * 1_000_100


class Case(NamedTuple):
    files: dict[str, bytes | Callable[[Path], None]]
    arguments: tuple[str, ...]
    code: int
    holds: tuple[str, ...]

    @property
    def command(self) -> tuple[str, ...]:
        return ("train", "translation", *self.arguments, "--max-steps", "1", "--out", "run")

    def lay_out(self, folder: Path) -> None:
        for name, content in self.files.items():
            if callable(content):
                content(folder / name)
            else:
                (folder / name).write_bytes(content)


def left(content: bytes | Callable[[Path], None], *holds: str, name: str = "a.en", code: int = 3) -> Case:
    """The left one of two aligned files is broken; the right one is good."""
    return Case({name: content, "a.ja": GOOD_RIGHT}, ("--data", f"{name},a.ja"), code, (name, *holds))


def right(content: bytes, *holds: str) -> Case:
    return Case({"a.en": GOOD_LEFT, "a.ja": content}, ALIGNED, 3, ("a.ja", *holds))


def one(name: str, content: bytes | str, *holds: str, more: tuple[str, ...] = (), code: int = 3) -> Case:
    """One file with both sides is broken."""
    content = content.encode() if isinstance(content, str) else content
    return Case({name: content}, ("--data", name, *more), code, (name, *holds))


def spec(text: str, *holds: str, code: int = 2) -> Case:
    """The files are good; what is said of them is not."""
    files: dict[str, bytes | Callable[[Path], None]] = {
        "a.en": GOOD_LEFT,
        "a.ja": GOOD_RIGHT,
        "a.tsv": b"en\tja\nI\t1\nyou\t2\n",
    }
    return Case(files, ("--data", text), code, holds)


def valid(files: dict[str, bytes | Callable[[Path], None]], text: str, *holds: str) -> Case:
    """The training data are good; the validation data are not."""
    return Case({"a.tsv": b"en\tja\nI\t1\nyou\t2\n", **files}, ("--data", "a.tsv", "--valid", text), 3, holds)


def archive(name: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(name, "text")
    return packed.getvalue()


def tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as file:
        file.addfile(tarfile.TarInfo("a.txt"))
    return packed.getvalue()


def parquet(columns: dict[str, list[object]]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    written = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), written)
    return written.getvalue()


def objects(*lines: object) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def damaged(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


JAPANESE = "私は猫を見る。\n君は犬を見る。\n我々は鳥を見る。\n"
FRENCH = "Je vois des chats.\nOù sont les élèves ?\nNous voyons l’été à Orléans.\n"
PACKED = gzip.compress(GOOD_LEFT * 200)
PAIRS = objects({"en": "I", "ja": "私"}, {"en": "you", "ja": "君"})
TMX = '<?xml version="1.0"?><tmx version="1.4"><header srclang="en"/><body>{}</body></tmx>'
UNIT = '<tu><tuv xml:lang="en"><seg>I</seg></tuv><tuv xml:lang="ja"><seg>私</seg></tuv></tu>'
BOMB = (
    '<!DOCTYPE tmx [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    '<tmx version="1.4"><header srclang="en"/><body><tu><tuv xml:lang="en"><seg>&b;</seg></tuv></tu></body></tmx>'
)

ENCODINGS = {
    "Japanese in cp932": right(JAPANESE.encode("cp932"), ":1:", "cp932"),
    "Japanese in EUC-JP": right(JAPANESE.encode("euc_jp"), ":1:", "euc_jp"),
    "Chinese in GB 18030": right(
        "我看见猫。\n你看见狗。\n我们看见鸟。\n".encode("gb18030"), ":1:", "gb18030: add --encoding gb18030"
    ),
    "French in Windows-1252": left(FRENCH.encode("cp1252"), ":2:", "cp1252"),
    "German in Latin-1": left("Die Katze.\nDie Vögel.\nÄpfel.\n".encode("latin-1"), ":2:", "cp1252"),
    "Russian in KOI8-R": left("я вижу\nты видишь\nмы видим\n".encode("koi8-r"), ":1:", "not UTF-8; save it as UTF-8"),
    "UTF-16 LE without a mark": left(
        GOOD_LEFT.decode().encode("utf-16-le"), ":1:", "utf-16-le: add --encoding utf-16-le"
    ),
    "UTF-16 BE without a mark": left(
        GOOD_LEFT.decode().encode("utf-16-be"), ":1:", "utf-16-be: add --encoding utf-16-be"
    ),
    "UTF-32 without a mark": left(GOOD_LEFT.decode().encode("utf-32-le"), ":1:", "utf-32-le: add --encoding utf-32-le"),
    "half of UTF-16 with its mark": left(
        GOOD_LEFT.decode().encode("utf-16")[:-1], ":3:", "not utf-16, though", "cut off"
    ),
    "cut inside a character": right(GOOD_RIGHT[:-2], ":3:", "damaged or cut character"),
    "one byte that is none": left(GOOD_LEFT.replace(b"dogs", b"do\xffgs"), ":2:", "not UTF-8"),
    "an overlong slash": left(GOOD_LEFT.replace(b"dogs", b"do\xc0\xafgs"), ":2:", "not UTF-8"),
    "half of a pair in UTF-8": left(GOOD_LEFT.replace(b"birds", b"\xed\xa0\x80"), ":3:", "not UTF-8"),
    "another encoding than is said": Case(
        {"a.en": GOOD_LEFT, "a.ja": JAPANESE.encode("euc_jp")},
        (*ALIGNED, "--encoding", "utf-16"),
        3,
        ("a.en:1:", "not utf-16; this looks like utf-8"),
    ),
    "an encoding that does not exist": Case(
        {"a.en": GOOD_LEFT, "a.ja": GOOD_RIGHT}, (*ALIGNED, "--encoding", "utf-9"), 2, ("'utf-9' is not known",)
    ),
    "an encoding that is none of text": Case(
        {"a.en": GOOD_LEFT, "a.ja": GOOD_RIGHT}, (*ALIGNED, "--encoding", "base64"), 2, ("'base64' is not known",)
    ),
    "NUL inside": left(GOOD_LEFT.replace(b"dogs", b"do\0gs"), ":2:", "NUL"),
    "NUL at the start": left(b"\0" + GOOD_LEFT, ":1:", "NUL"),
    "NUL alone": left(b"\0" * 5000, ":1:", "NUL"),
}

FOREIGN = {
    "a zip archive": left(archive("a.txt"), "zip"),
    "an Excel sheet": one("a.xlsx", archive("xl/workbook.xml"), "zip"),
    "a Word document": left(archive("word/document.xml"), "zip", name="a.docx"),
    "a zip archive in gzip": left(gzip.compress(archive("a.txt")), "zip", name="a.en.gz"),
    "a tar archive": left(tar(), "tar"),
    "an xz file": left(b"\xfd7zXZ\x00" + b"rest", "xz"),
    "a bzip2 file": left(b"BZh91AY&SY" + b"rest", "bzip2"),
    "a Zstandard file": left(b"\x28\xb5\x2f\xfd" + b"rest" * 9, "zstd"),
    "a PDF": left(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF"),
    "a PNG": left(b"\x89PNG\r\n\x1a\n" + bytes(40), "an image"),
    "a JPEG": left(b"\xff\xd8\xff\xe0" + bytes(40), "an image"),
    "a program": left(b"\x7fELF" + bytes(60), ":1:", "NUL", "name a text file"),
    "a pickle": left(b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07sources\x94.", ":1:", "not UTF-8"),
    "a database": left(b"SQLite format 3\x00" + bytes(100), ":1:", "NUL"),
}

PACKINGS = {
    "gzip that was cut off": left(PACKED[:-20], "cut off or damaged", name="a.en.gz"),
    "gzip with a wrong checksum": left(damaged(PACKED, len(PACKED) - 6), "cut off or damaged", name="a.en.gz"),
    "gzip with a flipped byte": left(damaged(PACKED, 30), "cut off or damaged", name="a.en.gz"),
    "text called .gz": left(GOOD_LEFT, "not gzip in spite of its name", name="a.en.gz"),
    "nothing in gzip": left(gzip.compress(b""), "empty", name="a.en.gz"),
    "an empty file called .gz": left(b"", "empty", name="a.en.gz"),
}

FILES = {
    "one line more on the left": left(GOOD_LEFT + b"They see fish.\n", "has 4 lines", "a.ja has 3; line N"),
    "one line less on the left": left(GOOD_LEFT.split(b"\n", 1)[1], "has 2 lines", "a.ja has 3"),
    "a thousand lines more on the right": right(GOOD_RIGHT * 400, "a.en has 3 lines", "has 1,200"),
    "an empty left": left(b"", "empty"),
    "an empty right": right(b"", "empty"),
    "only a byte order mark": left(b"\xef\xbb\xbf", "empty"),
    "blank lines alone": Case({"a.en": b"\n\n", "a.ja": b" \n\n"}, ALIGNED, 3, ("no line has text on both sides",)),
    "one side always blank": Case({"a.en": b"\n\n\n", "a.ja": GOOD_RIGHT}, ALIGNED, 3, ("no line has text",)),
    "never both sides": Case({"a.en": b"I\n\n", "a.ja": "\n君\n".encode()}, ALIGNED, 3, ("no line has text",)),
    "one pair alone": Case({"a.en": b"I\n", "a.ja": "私\n".encode()}, ALIGNED, 3, ("only one pair",)),
    "a left that is not there": Case({"a.ja": GOOD_RIGHT}, ALIGNED, 3, ("a.en: no such file",)),
    "a right that is not there": Case({"a.en": GOOD_LEFT}, ALIGNED, 3, ("a.ja: no such file",)),
    "a folder": left(lambda path: path.mkdir(), "folder"),
    "a pipe": left(lambda path: os.mkfifo(path), "a pipe or a device"),
    "a device": left(lambda path: path.symlink_to("/dev/null"), "a pipe or a device"),
    "a link to nothing": left(lambda path: path.symlink_to("nowhere"), "no such file"),
    "a link to itself": left(lambda path: path.symlink_to(path), "cannot be read"),
    "a huge line": left(GOOD_LEFT + LONG + b"\n", ":4:", "1,000,000 characters"),
    "one huge line without an end": left(LONG * 3, ":1:", "1,000,000 characters"),
    "a huge line in gzip": left(gzip.compress(GOOD_LEFT + LONG), ":4:", "1,000,000", name="a.en.gz"),
}

TABLES = {
    "a row with a column more": one("a.tsv", "I\t1\nyou\t2\t3\n", "a.tsv:2", "3 columns"),
    "a row with a column less": one("a.tsv", "I\t1\nyou\n", "a.tsv:2", "1 column"),
    "a ragged row far down": one("a.tsv", "I\t1\n" * 5000 + "you\n", "a.tsv:5001", "1 column, but line 1 has 2"),
    "one column": one("a.tsv", "I\nyou\n", "one text a line"),
    "text in one column": one("a.txt", "I\nyou\n", "one text a line"),
    "a header alone": one("a.tsv", "en\tja\n", "no pair below the header"),
    "four columns without names": one(
        "a.tsv", "7\tI\tx\t1\n8\tyou\tx\t2\n", "4 columns", "line 1 (7 | I | x | 1)", "--columns", code=2
    ),
    "too few names": one(
        "a.tsv", "7\tI\t1\n8\tyou\t2\n", "3 columns", "--columns names 2", more=("--columns", "id,en"), code=2
    ),
    "a language that is not there": one(
        "a.tsv", "en\tja\nI\t1\nyou\t2\n", "called fr; its", "en, ja", more=("--source", "fr"), code=2
    ),
    "the same language twice": one(
        "a.tsv", "en\tja\tde\nI\t1\tich\n", "--target are both en", more=("--source", "en", "--target", "en"), code=2
    ),
    "cells without text": one("a.tsv", "\t\n\t\n", "only blank lines"),
    "an empty table": one("a.tsv", "", "empty"),
    "NUL in a table": one("a.tsv", "I\t1\nyou\t\0\n", "a.tsv:2", "NUL character; remove it"),
    "a quote that is not closed": one("a.csv", 'en,ja\nI,1\n"you,2\nwe,3\n', "a.csv:3", "never closed"),
    "a row of CSV too long": one("a.csv", "en,ja\nI,1\nyou, too,2\n", "a.csv:3", "3 columns"),
    "a row of CSV too short": one("a.csv", "en,ja\nI\n", "a.csv:2", "1 column, but line 1 has 2"),
    "text behind a quote": one("a.csv", 'en,ja\n"I"x,1\n', "a.csv:2", "text right after a closing quote"),
    "CSV with one column": one("a.csv", "en\nI\nyou\n", "one text a line"),
    "CSV with a header alone": one("a.csv", "en,ja\n", "no pair below the header"),
    "CSV with a huge cell": one("a.csv", b'en,ja\n"' + LONG + b'",1\n', "a.csv:2", "1,000,000"),
    "CSV with many columns": one("a.csv", "a,b,c\n1,2,3\n", "3 columns", code=2),
    "NUL in CSV": one("a.csv", "en,ja\nI,\0\n", "a.csv:2", "NUL character; remove it"),
}

OBJECTS = {
    "a line that is no JSON": one("a.jsonl", PAIRS + "{en: I}\n", "a.jsonl:3", "not valid JSON"),
    "an array": one("a.json", '[{"en": "I", "ja": "1"}]', "a.json:1", "array", "jq"),
    "one object over many lines": one(
        "a.json", json.dumps({"en": "I", "ja": "1"}, indent=1), "a.json:1", "whole object on each line"
    ),
    "a key that is missing": one("a.jsonl", PAIRS + objects({"en": "we"}), "a.jsonl:3", '"ja" is missing'),
    "a number for a text": one("a.jsonl", PAIRS + objects({"en": "we", "ja": 3}), "a.jsonl:3", '"ja" is 3'),
    "null for a text": one("a.jsonl", PAIRS + objects({"en": "we", "ja": None}), "a.jsonl:3", '"ja" is null'),
    "texts for objects": one("a.jsonl", objects("I", "you"), "a.jsonl:1", "expected a JSON object"),
    "half of a pair of surrogates": one(
        "a.jsonl", PAIRS + '{"en": "\\ud800", "ja": "1"}\n', "a.jsonl:3", "half of a surrogate pair"
    ),
    "NUL in a text": one("a.jsonl", PAIRS + '{"en": "\\u0000", "ja": "1"}\n', "a.jsonl:3: a NUL character; remove it"),
    "nested without end": one("a.jsonl", PAIRS + '{"en":' * 100_000, "a.jsonl:3", "nested too deeply"),
    "an object without texts": one("a.jsonl", objects({"id": 1, "score": 0.5}), "a.jsonl:1", "no field holds a text"),
    "an empty object": one("a.jsonl", objects({}), "a.jsonl:1", "no field holds a text"),
    "three texts": one("a.jsonl", objects({"x": "a", "y": "b", "z": "c"}), "3 fields", "x, y, z", code=2),
    "one text": one("a.jsonl", objects({"text": "a"}), "only one field with text (text)"),
    "cut off in the last line": one("a.jsonl", PAIRS[:-8], "a.jsonl:2", "not valid JSON"),
    "two objects in a line": one("a.jsonl", PAIRS.replace("\n", ""), "a.jsonl:1", "not valid JSON"),
    "Parquet in name only": one("a.parquet", "I\t1\n", "not a Parquet file"),
    "half of a Parquet file": one(
        "a.parquet", parquet({"en": ["I"] * 99, "ja": ["1"] * 99})[:200], "not a Parquet file, or a damaged one"
    ),
    "Parquet without text": one("a.parquet", parquet({"id": [1, 2], "n": [3, 4]}), "no field holds a text"),
    "Parquet with one text": one(
        "a.parquet", parquet({"en": ["I", "you"], "n": [3, 4]}), "only one column with text (en)"
    ),
    "XML that is not well-formed": one("a.tmx", TMX.format("<tu>"), "a.tmx:1", "a tag closes another"),
    "TMX that was cut off": one("a.tmx", TMX.format(UNIT * 3)[:-30], "a.tmx:1", "ends too early"),
    "TMX without units": one("a.tmx", TMX.format(""), "no translation unit"),
    "TMX in one language": one(
        "a.tmx", TMX.format('<tu><tuv xml:lang="en"><seg>I</seg></tuv></tu>'), "only one language with text (en)"
    ),
    "TMX with entities in entities": one("a.tmx", BOMB, "a.tmx:1", "declares the entity a"),
    "TMX without the language": one(
        "a.tmx", TMX.format(UNIT * 2), "called fr; its", "en, ja", more=("--source", "fr"), code=2
    ),
    "a web page called .tmx": one(
        "a.tmx", "<!DOCTYPE html><html><body><p>404<br></body></html>", "a.tmx:1", "begins with <html>"
    ),
    "TMX in another encoding than it says": one(
        "a.tmx", TMX.format(UNIT).encode("cp932"), "a.tmx:1", "byte that XML does not allow"
    ),
}

SPECS = {
    "a comma too many": spec("a.en,a.ja,", "beside a comma", "two aligned files"),
    "three files": spec("a.en,a.ja,a.tsv", "3 files", "two aligned files"),
    "nothing": spec("", "no data to train on"),
    "a plus too many": spec("a.tsv+", "nothing named"),
    "a slice without pairs": spec("a.tsv[5:]", "no pair in this slice; there are 2", code=3),
    "a name that is almost right": spec("enjaa", "did you mean enja"),
    "a part that does not exist": spec("builtin:enja:final", "no part 'final'", "train, dev"),
    "a corpus that does not exist": spec("builtin:enfr", "no such corpus"),
    "a file in another folder": spec(
        "there/a.en,there/a.ja", "there/a.en: no such file; there is no folder there", code=3
    ),
}

WINDOWS = "en;ja\r\nI;1\r\nyou;2;3\r\n"
HEADLESS = "7\tI\t1\n8\tyou\t2\n"
ODD = os.fsdecode(b"not UTF-8 \xff.tsv")  # a file's name may hold any byte

MADE_ELSEWHERE = {
    "semicolons and a mark from Excel": one("a.csv", b"\xef\xbb\xbf" + WINDOWS.encode(), "a.csv:3", "3 columns"),
    "UTF-16 from Excel": one("a.csv", WINDOWS.encode("utf-16"), "a.csv:3", "3 columns, but line 1 has 2"),
    "the line sep=; from Excel": one("a.csv", "sep=;\n" + WINDOWS, "a.csv:4", "3 columns, but line 2 has 2"),
    "bars between the cells": one("a.csv", "I|1\nyou|2\n", "one text a line"),
    "UTF-16 from Notepad beside UTF-8 that is cut": Case(
        {"a.en": GOOD_LEFT.decode().encode("utf-16"), "a.ja": GOOD_RIGHT[:-2]}, ALIGNED, 3, ("a.ja:3", "UTF-8")
    ),
    "a mark and yet Windows-1252": left(b"\xef\xbb\xbf" + FRENCH.encode("cp1252"), ":2:", "begins with its mark"),
    "UTF-8 that is said to be Latin-1": Case(
        {"a.en": GOOD_LEFT, "a.ja": GOOD_RIGHT}, (*ALIGNED, "--encoding", "latin-1"), 3, ("a.ja:1: this is UTF-8",)
    ),
    "one side in UTF-8, one in cp932": Case(
        {"a.en": "é\n".encode() * 4, "a.ja": JAPANESE.encode("cp932")},
        (*ALIGNED, "--encoding", "cp932"),
        3,
        ("a.en:1: this is UTF-8 and not cp932",),
    ),
    "lines of an old Mac before lines of Unix": left(
        b"I\rsee\rcats\rand\n" + GOOD_LEFT, ":1: carriage returns", "one kind of line end"
    ),
    "lines of Unix behind lines of an old Mac": left(b"I\r" * 200_000 + GOOD_LEFT, ":200001: a line feed"),
    "one line of an old Mac's table": one("a.tsv", "en\tja\rI\t1\ryou\r", "a.tsv:3", "1 column"),
}

NAMES = {
    "a file like it": Case(
        {"a.en.gz": PACKED, "a.ja": GOOD_RIGHT}, ALIGNED, 3, ("a.en: no such file; did you mean a.en.gz?",)
    ),
    "the same file twice": spec("a.en,a.en", "'a.en,a.en': the same file twice"),
    "one packed, one not, one line less": Case(
        {"a.en.gz": gzip.compress(GOOD_LEFT), "a.ja": GOOD_RIGHT.rsplit(b"\n", 2)[0]},
        ("--data", "a.en.gz,a.ja"),
        3,
        ("a.en.gz has 3 lines", "a.ja has 2"),
    ),
    "signs in a name": one("a b+c,d:e[1:2].tsv", "I\t1\nyou\n", "a b+c,d:e[1:2].tsv:2: 1 column"),
    "a comma in the names of two": Case(
        {"a,1.en": GOOD_LEFT, "a,1.ja": b"1\n"}, ("--data", "a,1.en,a,1.ja"), 3, ("a,1.en has 3 lines, a,1.ja has 1",)
    ),
    "a name that is not UTF-8": Case({ODD: b"I\t1\nyou\t2\n"}, ("--data", ODD), 2, ("data.train", "not UTF-8; rename")),
    "a name that steers terminals": Case(
        {"a\n\x1b[2J.tsv": b"I\t1\nyou\n"}, ("--data", "a\n\x1b[2J.tsv"), 3, (r"a\n\x1b[2J.tsv:2: 1 column",)
    ),
    "a name that is too long": spec("x" * 256 + ".tsv", "x.tsv: cannot be read", code=3),
    "a name that looks like a built-in one": spec("builtin:a.tsv", "expected builtin:NAME"),
}

ENDS = {
    "a blank line at the end of one": left(GOOD_LEFT + b"\n", "the last line of a.en is blank: remove it"),
    "blank lines at the end of one": right(GOOD_RIGHT + b"\n \n", "the last 2 lines of a.ja are blank: remove them"),
    "a header in one of two": left(b"English\n" + GOOD_LEFT, "a.en has 4 lines, a.ja has 3"),
    "an end of file from DOS": left(GOOD_LEFT + b"\x1a", "a.en has 4 lines, a.ja has 3"),
    "a header over a column that is empty": one("a.tsv", "en\tja\nI\t\nyou\t\n", "2 have it on one side", "a.tsv:2"),
}

ASKED = {
    "languages of columns without names": one(
        "a.tsv", "I\t1\n", "called en; line 1 (I | 1)", "use numbers", more=("--source", "en"), code=2
    ),
    "a number that is too high": one("a.tsv", HEADLESS, "no column is called 4", more=("--source", "4"), code=2),
    "a header of unusual names": one("a.csv", "Deutscher Text,Notiz,Text\nIch,x,1\n", "(Deutscher Text | ", code=2),
    "a comma too many among the columns": Case(
        {"a.tsv": HEADLESS.encode()},
        ("--data", "a.tsv", "--columns", "id,en,"),
        2,
        ("--columns id,en,: a name is empty",),
    ),
    "one column twice": one("a.tsv", "I\t1\n", "--columns names both en", more=("--columns", "en,en"), code=2),
    "three languages in TMX": one(
        "a.tmx",
        TMX.format(UNIT.replace("</tu>", '<tuv xml:lang="de"><seg>ich</seg></tuv></tu>')),
        "3 languages",
        "en, ja, de",
        code=2,
    ),
}

VALIDATION = {
    "validation data that are not there": valid({}, "v.tsv", "v.tsv: no such file; looked in"),
    "ragged validation data": valid({"v.tsv": b"I\t1\nyou\n"}, "v.tsv", "v.tsv:2: 1 column"),
    "unequal validation files": valid(
        {"v.en": b"I\nyou\n", "v.ja": b"1\n"}, "v.en,v.ja", "v.en has 2 lines, v.ja has 1"
    ),
    "validation data in cp932": valid(
        {"v.en": GOOD_LEFT, "v.ja": JAPANESE.encode("cp932")}, "v.en,v.ja", "v.ja:1: not UTF-8; this looks like cp932"
    ),
}

CASES = (
    ENCODINGS
    | FOREIGN
    | PACKINGS
    | FILES
    | TABLES
    | OBJECTS
    | SPECS
    | MADE_ELSEWHERE
    | NAMES
    | ENDS
    | ASKED
    | VALIDATION
)
