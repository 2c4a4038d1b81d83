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
    "Chinese in GB 18030": right("我看见猫。\n你看见狗。\n我们看见鸟。\n".encode("gb18030"), ":1:", "not utf-8"),
    "French in Windows-1252": left(FRENCH.encode("cp1252"), ":2:", "cp1252"),
    "German in Latin-1": left("Die Katze.\nDie Vögel.\nÄpfel.\n".encode("latin-1"), ":2:", "cp1252"),
    "Russian in KOI8-R": left("я вижу\nты видишь\nмы видим\n".encode("koi8-r"), ":1:", "not utf-8"),
    "UTF-16 LE without a mark": left(GOOD_LEFT.decode().encode("utf-16-le"), ":1:", "utf-16"),
    "UTF-16 BE without a mark": left(GOOD_LEFT.decode().encode("utf-16-be"), ":1:", "utf-16"),
    "UTF-32 without a mark": left(GOOD_LEFT.decode().encode("utf-32-le"), ":1:"),
    "half of UTF-16 with its mark": left(GOOD_LEFT.decode().encode("utf-16")[:-1], "utf-16"),
    "cut inside a character": right(GOOD_RIGHT[:-2], ":3:"),
    "one byte that is none": left(GOOD_LEFT.replace(b"dogs", b"do\xffgs"), ":2:"),
    "an overlong slash": left(GOOD_LEFT.replace(b"dogs", b"do\xc0\xafgs"), ":2:"),
    "half of a pair in UTF-8": left(GOOD_LEFT.replace(b"birds", b"\xed\xa0\x80"), ":3:"),
    "another encoding than is said": Case(
        {"a.en": GOOD_LEFT, "a.ja": JAPANESE.encode("euc_jp")}, (*ALIGNED, "--encoding", "utf-16"), 3, ("a.en",)
    ),
    "an encoding that does not exist": Case(
        {"a.en": GOOD_LEFT, "a.ja": GOOD_RIGHT}, (*ALIGNED, "--encoding", "utf-9"), 2, ("utf-9",)
    ),
    "an encoding that is none of text": Case(
        {"a.en": GOOD_LEFT, "a.ja": GOOD_RIGHT}, (*ALIGNED, "--encoding", "base64"), 2, ("base64",)
    ),
    "NUL inside": left(GOOD_LEFT.replace(b"dogs", b"do\0gs"), ":2:", "NUL"),
    "NUL at the start": left(b"\0" + GOOD_LEFT, ":1:", "NUL"),
    "NUL alone": left(b"\0" * 5000, ":1:"),
}

FOREIGN = {
    "a zip archive": left(archive("a.txt"), "zip"),
    "an Excel sheet": one("a.xlsx", archive("xl/workbook.xml"), "zip"),
    "a Word document": left(archive("word/document.xml"), "zip", name="a.docx"),
    "a zip archive in gzip": left(gzip.compress(archive("a.txt")), "zip", name="a.en.gz"),
    "a tar archive": left(tar(), "tar"),
    "an xz file": left(b"\xfd7zXZ\x00" + b"rest", "xz"),
    "a bzip2 file": left(b"BZh91AY&SY" + b"rest", "bzip2"),
    "a Zstandard file": left(b"\x28\xb5\x2f\xfd" + b"rest" * 9, "a.en"),
    "a PDF": left(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF"),
    "a PNG": left(b"\x89PNG\r\n\x1a\n" + bytes(40), "an image"),
    "a JPEG": left(b"\xff\xd8\xff\xe0" + bytes(40), "an image"),
    "a program": left(b"\x7fELF" + bytes(60), "a.en"),
    "a pickle": left(b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07sources\x94.", "a.en"),
    "a database": left(b"SQLite format 3\x00" + bytes(100), "a.en"),
}

PACKINGS = {
    "gzip that was cut off": left(PACKED[:-20], "a.en.gz", name="a.en.gz"),
    "gzip with a wrong checksum": left(damaged(PACKED, len(PACKED) - 6), "a.en.gz", name="a.en.gz"),
    "gzip with a flipped byte": left(damaged(PACKED, 30), "a.en.gz", name="a.en.gz"),
    "text called .gz": left(GOOD_LEFT, "gzip", name="a.en.gz"),
    "nothing in gzip": left(gzip.compress(b""), "empty", name="a.en.gz"),
    "an empty file called .gz": left(b"", "empty", name="a.en.gz"),
}

FILES = {
    "one line more on the left": left(GOOD_LEFT + b"They see fish.\n", "has 4 lines", "a.ja has 3"),
    "one line less on the left": left(GOOD_LEFT.split(b"\n", 1)[1], "has 2 lines", "a.ja has 3"),
    "a thousand lines more on the right": right(GOOD_RIGHT * 400, "a.en has 3 lines", "has 1,200"),
    "an empty left": left(b"", "empty"),
    "an empty right": right(b"", "empty"),
    "only a byte order mark": left(b"\xef\xbb\xbf"),
    "blank lines alone": Case({"a.en": b"\n\n", "a.ja": b" \n\n"}, ALIGNED, 3, ("no line has text on both sides",)),
    "one side always blank": Case({"a.en": b"\n\n\n", "a.ja": GOOD_RIGHT}, ALIGNED, 3, ("no line has text",)),
    "never both sides": Case({"a.en": b"I\n\n", "a.ja": "\n君\n".encode()}, ALIGNED, 3, ("no line has text",)),
    "one pair alone": Case({"a.en": b"I\n", "a.ja": "私\n".encode()}, ALIGNED, 3, ("only one pair",)),
    "a left that is not there": Case({"a.ja": GOOD_RIGHT}, ALIGNED, 3, ("a.en: no such file",)),
    "a right that is not there": Case({"a.en": GOOD_LEFT}, ALIGNED, 3, ("a.ja: no such file",)),
    "a folder": left(lambda path: path.mkdir(), "folder"),
    "a pipe": left(lambda path: os.mkfifo(path), "not a regular file"),
    "a device": left(lambda path: path.symlink_to("/dev/null"), "not a regular file"),
    "a link to nothing": left(lambda path: path.symlink_to("nowhere"), "no such file"),
    "a link to itself": left(lambda path: path.symlink_to(path), "a.en"),
    "a huge line": left(GOOD_LEFT + LONG + b"\n", ":4:", "1,000,000 characters"),
    "one huge line without an end": left(LONG * 3, ":1:", "1,000,000 characters"),
    "a huge line in gzip": left(gzip.compress(GOOD_LEFT + LONG), ":4:", "1,000,000", name="a.en.gz"),
}

TABLES = {
    "a row with a column more": one("a.tsv", "I\t1\nyou\t2\t3\n", "a.tsv:2", "3 columns"),
    "a row with a column less": one("a.tsv", "I\t1\nyou\n", "a.tsv:2", "1 column"),
    "a ragged row far down": one("a.tsv", "I\t1\n" * 5000 + "you\n", "a.tsv:5001"),
    "one column": one("a.tsv", "I\nyou\n", "one text a line"),
    "text in one column": one("a.txt", "I\nyou\n", "one text a line"),
    "a header alone": one("a.tsv", "en\tja\n", "no line has text"),
    "four columns without names": one("a.tsv", "7\tI\tx\t1\n8\tyou\tx\t2\n", "4 columns", "--columns", code=2),
    "too few names": one("a.tsv", "7\tI\t1\n8\tyou\t2\n", "3", more=("--columns", "id,en"), code=2),
    "a language that is not there": one("a.tsv", "en\tja\nI\t1\nyou\t2\n", "fr", more=("--source", "fr"), code=2),
    "the same language twice": one(
        "a.tsv", "en\tja\tde\nI\t1\tich\n", "both en", more=("--source", "en", "--target", "en"), code=2
    ),
    "cells without text": one("a.tsv", "\t\n\t\n", "a.tsv"),
    "an empty table": one("a.tsv", "", "empty"),
    "NUL in a table": one("a.tsv", "I\t1\nyou\t\0\n", "a.tsv:2", "NUL"),
    "a quote that is not closed": one("a.csv", 'en,ja\nI,1\n"you,2\nwe,3\n', "a.csv:3", "quot"),
    "a row of CSV too long": one("a.csv", "en,ja\nI,1\nyou, too,2\n", "a.csv:3", "3 columns"),
    "a row of CSV too short": one("a.csv", "en,ja\nI\n", "a.csv:2"),
    "text behind a quote": one("a.csv", 'en,ja\n"I"x,1\n', "a.csv:2"),
    "CSV with one column": one("a.csv", "en\nI\nyou\n", "a.csv"),
    "CSV with a header alone": one("a.csv", "en,ja\n", "no line has text"),
    "CSV with a huge cell": one("a.csv", b'en,ja\n"' + LONG + b'",1\n', "a.csv:2", "1,000,000"),
    "CSV with many columns": one("a.csv", "a,b,c\n1,2,3\n", "3 columns", code=2),
    "NUL in CSV": one("a.csv", "en,ja\nI,\0\n", "a.csv:2", "NUL"),
}

OBJECTS = {
    "a line that is no JSON": one("a.jsonl", PAIRS + "{en: I}\n", "a.jsonl:3"),
    "an array": one("a.json", '[{"en": "I", "ja": "1"}]', "a.json", "array"),
    "one object over many lines": one("a.json", json.dumps({"en": "I", "ja": "1"}, indent=1), "a.json:1"),
    "a key that is missing": one("a.jsonl", PAIRS + objects({"en": "we"}), "a.jsonl:3", "ja"),
    "a number for a text": one("a.jsonl", PAIRS + objects({"en": "we", "ja": 3}), "a.jsonl:3", "ja"),
    "null for a text": one("a.jsonl", PAIRS + objects({"en": "we", "ja": None}), "a.jsonl:3", "ja"),
    "texts for objects": one("a.jsonl", objects("I", "you"), "a.jsonl:1"),
    "half of a pair of surrogates": one("a.jsonl", PAIRS + '{"en": "\\ud800", "ja": "1"}\n', "a.jsonl:3"),
    "nested without end": one("a.jsonl", PAIRS + '{"en":' * 100_000, "a.jsonl:3"),
    "an object without texts": one("a.jsonl", objects({"id": 1, "score": 0.5}), "a.jsonl"),
    "an empty object": one("a.jsonl", objects({}), "a.jsonl"),
    "three texts": one("a.jsonl", objects({"x": "a", "y": "b", "z": "c"}), "3 columns", code=2),
    "one text": one("a.jsonl", objects({"text": "a"}), "a.jsonl"),
    "cut off in the last line": one("a.jsonl", PAIRS[:-8], "a.jsonl:2"),
    "two objects in a line": one("a.jsonl", PAIRS.replace("\n", ""), "a.jsonl:1"),
    "Parquet in name only": one("a.parquet", "I\t1\n", "a.parquet"),
    "half of a Parquet file": one("a.parquet", parquet({"en": ["I"] * 99, "ja": ["1"] * 99})[:200], "a.parquet"),
    "Parquet without text": one("a.parquet", parquet({"id": [1, 2], "n": [3, 4]}), "a.parquet"),
    "Parquet with one text": one("a.parquet", parquet({"en": ["I", "you"], "n": [3, 4]}), "a.parquet"),
    "XML that is not well-formed": one("a.tmx", TMX.format("<tu>"), "a.tmx:1"),
    "TMX that was cut off": one("a.tmx", TMX.format(UNIT * 3)[:-30], "a.tmx:1"),
    "TMX without units": one("a.tmx", TMX.format(""), "a.tmx"),
    "TMX in one language": one("a.tmx", TMX.format('<tu><tuv xml:lang="en"><seg>I</seg></tuv></tu>'), "a.tmx"),
    "TMX with entities in entities": one("a.tmx", BOMB, "a.tmx"),
    "TMX without the language": one("a.tmx", TMX.format(UNIT * 2), "fr", more=("--source", "fr"), code=2),
    "a web page called .tmx": one("a.tmx", "<!DOCTYPE html><html><body><p>404<br></body></html>", "a.tmx"),
    "TMX in another encoding than it says": one("a.tmx", TMX.format(UNIT).encode("cp932"), "a.tmx"),
}

SPECS = {
    "a comma too many": spec("a.en,a.ja,", "two aligned files"),
    "three files": spec("a.en,a.ja,a.tsv", "two aligned files"),
    "nothing": spec("", "no data to train on"),
    "a plus too many": spec("a.tsv+", "nothing named"),
    "a slice without pairs": spec("a.tsv[5:]", "no pair in this slice", code=3),
    "a name that is almost right": spec("enjaa", "did you mean enja"),
    "a part that does not exist": spec("builtin:enja:final", "no part 'final'", "train, dev"),
    "a corpus that does not exist": spec("builtin:enfr", "no such corpus"),
    "a file in another folder": spec("there/a.en,there/a.ja", "there/a.en: no such file", code=3),
}

CASES = ENCODINGS | FOREIGN | PACKINGS | FILES | TABLES | OBJECTS | SPECS
