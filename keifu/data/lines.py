"""The lines of a text file, plain or gzipped, decoded a block at a time; or where it is wrong and what to do."""

import codecs
import gzip
import io
import os
import re
import stat
import unicodedata
import zlib
from collections.abc import Iterator
from itertools import chain, pairwise
from pathlib import Path
from typing import BinaryIO

from keifu.errors import ConfigError, DataError

LONGEST = 1_000_000
"""Characters of the longest line or cell."""

_BLOCK = 1 << 18  # bytes; fewer than LONGEST, so that only the first line of a block can be too long
_GZIP = b"\x1f\x8b"
_UNPACK = "; unpack it first"
_FOREIGN = {  # how files begin that are no text
    _GZIP: "compressed twice" + _UNPACK,
    b"PK\x03\x04": "a zip archive, .xlsx or .docx; unpack it, or save it as CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file; save it as CSV UTF-8",
    b"\xfd7zXZ\0": "compressed with xz" + _UNPACK,
    b"BZh": "compressed with bzip2" + _UNPACK,
    b"\x28\xb5\x2f\xfd": "compressed with zstd" + _UNPACK,
    b"7z\xbc\xaf\x27\x1c": "a 7z archive" + _UNPACK,
    b"Rar!\x1a\x07": "a rar archive" + _UNPACK,
    b"PAR1": "a Parquet file; give it a name that ends in .parquet, and no gzip around it",
    b"%PDF-": "a PDF; save its text as UTF-8",
    b"\x89PNG\r\n": "an image; expected text",
    b"\xff\xd8\xff": "an image; expected text",
}
_MARKS = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_FILES = ("idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape")  # encodings of names and of code


def shown(text: str) -> str:
    """The beginning of a text on one line, in signs that can be printed."""
    escaped = printable(text[:61])
    return escaped if len(escaped) <= 60 else escaped[:57] + "..."


def printable(text: str) -> str:
    """The text with its control characters and what stands for undecodable bytes of a file's name escaped."""
    return "".join(sign if sign.isprintable() or sign == "\u3000" else repr(sign)[1:-1] for sign in text)


def check_encoding(encoding: str) -> None:
    """Raises ConfigError where Python knows no such encoding of text."""
    try:
        io.TextIOWrapper(io.BytesIO(), encoding)
        if codecs.lookup(encoding).name in _NO_FILES:
            raise LookupError
    except (LookupError, ValueError):
        message = f"data.encoding {shown(encoding)}: no such encoding; expected one such as utf-8, cp932 or cp1252"
        raise ConfigError(message) from None


# ---- bytes -------------------------------------------------------------------------------------------------


def open_file(path: str | Path) -> BinaryIO:
    """A file with something in it. Raises DataError."""
    name = printable(str(path))
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait
            raise DataError(f"{name}: is {'a folder' if stat.S_ISDIR(found.st_mode) else 'not a regular file'}")
        if not found.st_size:
            raise DataError(f"{name}: is empty")
        return open(path, "rb")
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise DataError(f"{name}: no such file") from None
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error.strerror}") from None


def blocks(path: str | Path) -> Iterator[bytes]:
    """The bytes of a file that is not empty, unpacked where it is gzipped. Raises DataError, also for binary files."""
    name = printable(str(path))
    with open_file(path) as file:
        zipped = _read(file, len(_GZIP), name) == _GZIP
        if not zipped and str(path).lower().endswith(".gz"):
            raise DataError(f"{name}: no gzip file in spite of its name; rename it or fetch it again")
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if zipped else file
        block = _read(stream, _BLOCK, name)
        if not block:
            raise DataError(f"{name}: is empty")
        _refuse_foreign(block, name)
        while block:
            yield block
            block = _read(stream, _BLOCK, name)


def _read(stream: BinaryIO | gzip.GzipFile, size: int, name: str) -> bytes:
    try:
        return stream.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise DataError(f"{name}: the gzip file is cut off or damaged; fetch it again") from None
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error.strerror}") from None


def _refuse_foreign(block: bytes, name: str) -> None:
    for begin, kind in _FOREIGN.items():
        if block.startswith(begin):
            raise DataError(f"{name}: is {kind}")
    if block[257:262] == b"ustar":
        raise DataError(f"{name}: is a tar archive{_UNPACK}")


# ---- lines -------------------------------------------------------------------------------------------------


def lines(path: str | Path, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """The lines of a text file without their ends, numbered from 1.

    A line feed ends a line, with or without a carriage return before it, and nothing else does: str.splitlines would
    also cut at U+2028 and others that stand inside sentences. Only where the first lines end with carriage returns
    alone, as on old Macs, these do. A byte order mark overrules `encoding`. Raises DataError.
    """
    for number, several in _lines(path, encoding):
        yield from enumerate(several, number)


def text_lines(content: bytes, name: str) -> list[str]:
    """The lines of UTF-8 text that is at hand as a whole; `name` says in messages where it stands. Raises DataError."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(f"{name}:{line}: not UTF-8; convert it to UTF-8") from None
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []


def _lines(path: str | Path, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """Lines, a list at a time, with the number of the list's first one."""
    name = printable(str(path))
    number, rest, end = 1, "", ""
    for text, problem in _texts(path, encoding):
        text = rest + text
        if not end:
            end = "\n" if "\n" in text else "\r" if "\r" in text[:-1] else ""
        if end == "\n" and "\r" in text:
            text = text.replace("\r\n", "\n")
        *whole, rest = text.split(end) if end else [text]
        if whole and len(whole[0]) > LONGEST:
            raise _too_long(name, number)
        yield number, whole
        number += len(whole)
        if end == "\r" and "\n" in text:
            at = number - text[text.index("\n") :].count("\r")
            raise DataError(f"{name}:{at}: a line feed where lines end with carriage returns; save it with one of them")
        if len(rest) > LONGEST:
            raise _too_long(name, number)
        if problem:
            raise DataError(f"{name}:{number}: {problem}")
    if rest:
        yield number, [rest.removesuffix("\r")]
    elif number == 1:
        raise DataError(f"{name}: is empty")


def _too_long(name: str, number: int) -> DataError:
    return DataError(f"{name}:{number}: a line of over {LONGEST:,} characters; expected a sentence a line")


def _texts(path: str | Path, encoding: str) -> Iterator[tuple[str, str]]:
    """Decoded blocks, each with "" or the problem that stands right behind it and ends all."""
    decoder = None
    for block, after in pairwise(chain(blocks(path), [b""])):
        begins = decoder is None
        if decoder is None:
            encoding = next((marked for mark, marked in _MARKS if block.startswith(mark)), codecs.lookup(encoding).name)
            decoder = codecs.getincrementaldecoder(encoding)()
        text, problem = _decode(decoder, block, not after, encoding)
        text = text.removeprefix("\ufeff") if begins else text
        if "\0" in text:
            text, guess = text[: text.index("\0")], _wide_guess(block)
            problem = "a NUL character" + (_remedy(guess) if guess else "; is it a text file?")
        elif lone := _lone_surrogate(text, encoding):
            text, problem = text[: lone - 1], "half of a surrogate pair; remove or correct it"
        yield text, problem
        if problem:
            return


def _decode(decoder: codecs.IncrementalDecoder, block: bytes, final: bool, encoding: str) -> tuple[str, str]:
    """The text of a block up to the first bytes that are none, with the problem there."""
    before = decoder.getstate()
    try:
        return decoder.decode(block, final), ""
    except UnicodeError as error:
        bad = max(0, error.start - len(before[0])) if isinstance(error, UnicodeDecodeError) else 0
        problem = _undecodable(encoding, block, bad)
    decoder.setstate(before)
    try:
        return decoder.decode(block[:bad]), problem
    except UnicodeError:  # UTF-16 and UTF-32 without a mark decode not even a part
        return "", problem


def _lone_surrogate(text: str, encoding: str) -> int:
    """Which character is half of a pair, from 1, or 0. Few encodings can spell one, UTF-8 cannot."""
    if encoding == "utf-8":
        return 0
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start + 1
    return 0


# ---- which encoding a file has in truth --------------------------------------------------------------------

_SAMPLE = 4096
_KANA, _HAN, _HANGUL = ("HIRAGANA", "KATAKANA"), ("CJK",), ("HANGUL",)
_DENSE = 0.3  # the share of bytes beyond ASCII that every text in Chinese characters has, and no Western one
_GUESSES = (  # decodes with, signs that show it, share of them among those beyond ASCII, least density, name
    ("euc_jp", _KANA, 0.1, 0.0, "euc_jp"),
    ("cp932", _KANA, 0.1, 0.0, "cp932"),
    ("cp949", _HANGUL, 0.5, _DENSE, "cp949"),
    ("gb2312", _HAN, 0.5, _DENSE, "gb18030"),
    ("big5", _HAN, 0.5, _DENSE, "big5"),
    ("cp932", _HAN, 0.5, _DENSE, "cp932"),
    ("gb18030", _HAN, 0.5, _DENSE, "gb18030"),
)


def _undecodable(encoding: str, block: bytes, bad: int) -> str:
    """What to say of text whose byte `bad` does not fit."""
    guess = "utf-8" if encoding != "utf-8" and _decoded(block, "utf-8") else _wide_guess(block)
    if not guess and _mostly_utf8(block):
        return "a damaged or cut character in UTF-8 text; correct this line"
    if guess := guess or _guess(block, bad):
        return f"not {encoding}{_remedy(guess)}"
    return f"not {encoding}; save it as UTF-8, or name its encoding with --set data.encoding=NAME"


def _remedy(guess: str) -> str:
    return f"; this looks like {guess}: add --set data.encoding={guess}, or save it as UTF-8"


def _mostly_utf8(block: bytes) -> bool:
    text = block.decode("utf-8", "replace")
    return sum(not sign.isascii() for sign in text) > 2 * text.count("\ufffd")


def _wide_guess(block: bytes) -> str:
    """UTF-16 and UTF-32 without a byte order mark hold zero bytes, as no other text does."""
    sample = block[:_SAMPLE]
    for name in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        if b"\0" in sample and re.search(r"[ \u3000\n]", _decoded(sample, name)):  # any two bytes may be a character
            return name
    return ""


def _guess(block: bytes, bad: int) -> str:
    """The encoding of texts with one to four bytes a sign that the lines from byte `bad` on look like, or ""."""
    begin = block.rfind(b"\n", 0, bad) + 1
    sample = block[begin : begin + _SAMPLE]
    dense = sum(byte > 127 for byte in sample) / max(1, len(b"".join(sample.split())))
    for codec, scripts, share, density, name in _GUESSES:
        signs = [sign for sign in _decoded(sample, codec) if not sign.isascii()]
        telling = sum(unicodedata.name(sign, "").startswith(scripts) for sign in signs)
        if signs and dense >= density and telling >= share * len(signs):
            return name
    return "cp1252" if dense < _DENSE and _decoded(sample, "cp1252") else ""


def _decoded(sample: bytes, encoding: str) -> str:
    """The text, or "" where it is none: undecodable, or with signs that texts do not hold."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample)  # may end inside a character
    except UnicodeError:
        return ""
    strange = any(unicodedata.category(sign) in ("Cc", "Co", "Cn", "Cs") and sign not in "\t\r\n" for sign in text)
    return "" if strange else text
