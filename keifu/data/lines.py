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
from contextlib import suppress
from difflib import get_close_matches
from itertools import chain, pairwise
from pathlib import Path
from typing import BinaryIO

from keifu.errors import ConfigError, DataError, printable

LONGEST = 1_000_000
"""Characters of the longest line or cell."""

_BLOCK = 1 << 18  # bytes; fewer than LONGEST, so that only the first line of a block can be too long
_STRAY = 2  # carriage returns that a line may hold
_GZIP = b"\x1f\x8b"
_UNPACK = "; unpack it first"
_FOREIGN = {  # how files begin that are no text
    _GZIP: "compressed twice" + _UNPACK,
    b"PK\x03\x04": "a zip archive, as .xlsx and .docx files are; unpack it, or save it as CSV or text in UTF-8",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file; save it as CSV or text in UTF-8",
    b"\xfd7zXZ\0": "compressed with xz" + _UNPACK,
    b"BZh": "compressed with bzip2" + _UNPACK,
    b"\x28\xb5\x2f\xfd": "compressed with zstd" + _UNPACK,
    b"7z\xbc\xaf\x27\x1c": "a 7z archive" + _UNPACK,
    b"Rar!\x1a\x07": "a rar archive" + _UNPACK,
    b"PAR1": "a Parquet file; give it a name that ends in .parquet, or .parquet.gz",
    b"%PDF-": "a PDF; save its text as UTF-8",
    b"\x89PNG\r\n": "an image; name a text file",
    b"\xff\xd8\xff": "an image; name a text file",
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


def check_encoding(encoding: str) -> None:
    """Raises ConfigError where Python knows no such encoding of text."""
    try:
        io.TextIOWrapper(io.BytesIO(), encoding)
        if codecs.lookup(encoding).name in _NO_FILES:
            raise LookupError
    except (LookupError, ValueError):
        message = f"encoding '{shown(encoding)}' is not known; expected one such as utf-8, cp932 or cp1252"
        raise ConfigError(message) from None


# ---- bytes -------------------------------------------------------------------------------------------------


def open_file(path: str | Path) -> BinaryIO:
    """A file with something in it. Raises DataError."""
    name = printable(str(path))
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait
            is_folder = stat.S_ISDIR(found.st_mode)
            raise DataError(
                f"{name}: is {'a folder; name a file' if is_folder else 'a pipe or a device; save it first'}"
            )
        if not found.st_size:
            raise _empty(name)
        return open(path, "rb")
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise DataError(f"{name}: no such file; {_nearby(str(path))}") from None
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error.strerror}; check the file and who may read it") from None


def _empty(name: str) -> DataError:
    return DataError(f"{name}: the file is empty; expected text")


def _nearby(path: str) -> str:
    """What helps to find a file that is not there: a name like it, or where it was looked for."""
    folder, name = os.path.split(path)
    with suppress(OSError, ValueError):
        others = [other for other in sorted(os.listdir(folder or ".")) if other != name]
        packed = [other for other in others if other.startswith(f"{name}.")]
        if close := packed or get_close_matches(name, others, 1, 0.85):
            return f"did you mean {printable(os.path.join(folder, close[0]))}?"
        return f"looked in {printable(os.path.abspath(folder))}"
    return f"there is no folder {printable(folder)}"


def blocks(path: str | Path) -> Iterator[bytes]:
    """The bytes of a file that is not empty, unpacked where it is gzipped. Raises DataError, also for binary files."""
    name = printable(str(path))
    with open_file(path) as file:
        zipped = _read(file, len(_GZIP), name) == _GZIP
        if not zipped and str(path).lower().endswith(".gz"):
            raise DataError(f"{name}: not gzip in spite of its name; rename it, or fetch it again")
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if zipped else file
        block = _read(stream, _BLOCK, name)
        if not block:
            raise _empty(name)
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
    for number, several, _ in _lines(path, encoding):
        yield from enumerate(several, number)


def running_text(path: str | Path, encoding: str = "utf-8") -> Iterator[str]:
    """The text of a file, a piece at a time, every line with a line feed at its end. As `lines`, but of lines of any
    length. Raises DataError.
    """
    for _, several, ended in _lines(path, encoding, any_length=True):
        if several:
            yield "\n".join(several) + ("\n" if ended else "")


def text_lines(content: bytes, name: str) -> list[str]:
    """The lines of UTF-8 text that is at hand as a whole; `name` says in messages where it stands. Raises DataError."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(f"{name}:{line}: not UTF-8; convert it to UTF-8") from None
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []


def _lines(path: str | Path, encoding: str, any_length: bool = False) -> Iterator[tuple[int, list[str], bool]]:
    """Lines, a list at a time, with the number of the list's first one, and whether the last one has ended. Where lines
    may have any length, one that is too long comes in parts.
    """
    name = printable(str(path))
    number, rest, end = 1, "", ""
    for text, problem in _texts(path, encoding):
        text = rest + text
        if not end:
            end = "\n" if "\n" in text else "\r" if "\r" in text[:-1] else ""
        if end == "\n" and "\r" in text:
            text = text.replace("\r\n", "\n")
            text = re.sub("\r+\n", "\n", text) if "\r\n" in text else text  # converted for Windows twice
        *whole, rest = text.split(end) if end else [text]
        if whole and len(whole[0]) > LONGEST and not any_length:
            raise _too_long(name, number)
        if end == "\n" and "\r" in text:
            _refuse_old_lines(whole, name, number)
        yield number, whole, True
        number += len(whole)
        if end == "\r" and "\n" in text:
            at = number - text[text.index("\n") :].count("\r")
            raise DataError(f"{name}:{at}: a line feed where lines end with carriage returns; save it with one of them")
        if len(rest) > LONGEST:
            if not any_length:
                raise _too_long(name, number)
            yield number, [rest[:-1]], False
            rest = rest[-1:]  # a carriage return may wait for its line feed
        if problem:
            raise DataError(f"{name}:{number}: {problem}")
    if rest:
        yield number, [rest.rstrip("\r")], True
    elif number == 1:
        raise _empty(name)


def _refuse_old_lines(several: list[str], name: str, number: int) -> None:
    """One carriage return or two may stand in a sentence by mistake; more are lines from an old Mac."""
    for at, line in enumerate(several, number):
        if line.count("\r") > _STRAY:
            problem = "carriage returns inside a line that a line feed ends; save it with one kind of line end"
            raise DataError(f"{name}:{at}: {problem}")


def _too_long(name: str, number: int) -> DataError:
    return DataError(f"{name}:{number}: a line of over {LONGEST:,} characters; expected a sentence a line")


def _texts(path: str | Path, encoding: str) -> Iterator[tuple[str, str]]:
    """Decoded blocks, each with "" or the problem that stands right behind it and ends all."""
    check_encoding(encoding)
    decoder, marked, ascii_only = None, False, True
    for block, after in pairwise(chain(blocks(path), [b""])):
        begins = decoder is None
        if decoder is None:
            mark = next((name for mark, name in _MARKS if block.startswith(mark)), "")
            encoding, marked = mark or codecs.lookup(encoding).name, bool(mark)
            decoder = codecs.getincrementaldecoder(encoding)()
        if ascii_only and not block.isascii() and _is_utf_8_instead(block, encoding):
            yield block[: _first_high(block)].decode("ascii"), _UTF_8_INSTEAD.format(encoding)
            return
        ascii_only = ascii_only and block.isascii()
        text, problem = _decode(decoder, block, not after, encoding, marked)
        text = text.removeprefix("\ufeff") if begins else text
        if "\0" in text:
            text, guess = text[: text.index("\0")], "" if marked else _wide_guess(block)
            problem = "a NUL character" + (_remedy(guess) if guess else "; remove it, or name a text file")
        elif lone := _lone_surrogate(text, encoding):
            text, problem = text[: lone - 1], "half of a surrogate pair; remove or correct it"
        yield text, problem
        if problem:
            return


def _decode(
    decoder: codecs.IncrementalDecoder, block: bytes, final: bool, encoding: str, marked: bool
) -> tuple[str, str]:
    """The text of a block up to the first bytes that are none, with the problem there."""
    before = decoder.getstate()
    try:
        return decoder.decode(block, final), ""
    except UnicodeError as error:
        bad = max(0, error.start - len(before[0])) if isinstance(error, UnicodeDecodeError) else 0
        problem = _undecodable(encoding, block, bad, marked)
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
_CERTAIN = 4  # characters beyond ASCII that are UTF-8 by chance in hardly any other text
_UTF_8_INSTEAD = "this is UTF-8 and not {}; leave --encoding away, or save all files as UTF-8"
_KANA = 0.1  # least share of kana among the signs of Japanese beyond ASCII
_TELLING = 0.15  # least share of the frequent signs among the letters of a language
_FREQUENT = {  # the signs that make up a good part of all text
    "cp949": "이다는을를에의가고하지은로서한도기사시그나리대자니아어게들있",
    "gb18030": "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后",
    "big5": "的一是不了人我在有他這中大來上國個到說們為子和你地出道也時年得就那要下以生會自著去之過家學對可她裡後",
}


def _undecodable(encoding: str, block: bytes, bad: int, marked: bool) -> str:
    """What to say of text whose byte `bad` does not fit."""
    name = "UTF-8" if encoding == "utf-8" else encoding
    guess = "utf-8" if encoding != "utf-8" and _decoded(block, "utf-8") else _wide_guess(block)
    if not guess and _mostly_utf8(block):
        return "a damaged or cut character in UTF-8 text; correct this line"
    if marked:  # naming an encoding would not help, the mark overrules it
        return f"not {name}, though the file begins with its mark; it is damaged or cut off"
    guess = guess or _guess(block, bad)
    if guess and guess not in (encoding, f"{encoding}-le"):
        return f"not {name}{_remedy(guess)}"
    return f"not {name}; save it as UTF-8, or name its encoding with --encoding NAME"


def _remedy(guess: str) -> str:
    return f"; this looks like {guess}: add --encoding {guess}, or save it as UTF-8"


def _is_utf_8_instead(block: bytes, encoding: str) -> bool:
    """Whether text that is said to be in another encoding is UTF-8: many would take it, as mojibake."""
    if encoding.startswith("utf"):
        return False
    return sum(not sign.isascii() for sign in _decoded(block, "utf-8")) >= _CERTAIN


def _first_high(block: bytes) -> int:
    return next(at for at, byte in enumerate(block) if byte > 127)


def _mostly_utf8(block: bytes) -> bool:
    text = block.decode("utf-8", "replace")
    return sum(not sign.isascii() for sign in text) > 2 * text.count("\ufffd")


def _wide_guess(block: bytes) -> str:
    """UTF-16 and UTF-32 without a byte order mark hold zero bytes, as no other text does."""
    sample = block[:_SAMPLE]
    spaces = sample.count(b" ") + sample.count(b"\n")
    for name in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        if b"\0" in sample:  # any two bytes may be a character, but not make spaces and line ends of most that look so
            text = _decoded(sample, name)
            if text.count("\u3000") + 2 * (text.count(" ") + text.count("\n")) > spaces:
                return name
    return ""


def _guess(block: bytes, bad: int) -> str:
    """The encoding of texts with one to four bytes a sign that the lines from byte `bad` on look like, or "".

    Rather none than a wrong one: text that is read in a wrong encoding may look well to a program.
    """
    begin = block.rfind(b"\n", 0, bad) + 1
    sample = block[begin : begin + _SAMPLE]
    for codec in ("euc_jp", "cp932"):
        signs = [sign for sign in _decoded(sample, codec) if not sign.isascii()]
        if signs and sum("\u3041" <= sign <= "\u30ff" for sign in signs) >= _KANA * len(signs):
            return codec
    share, name = max((_share(_decoded(sample, codec), signs), codec) for codec, signs in _FREQUENT.items())
    if share >= _TELLING:
        return name
    return "cp1252" if _looks_western(sample) else ""


def _share(text: str, frequent: str) -> float:
    letters = [sign for sign in text if sign.isalpha() and not sign.isascii()]
    return sum(sign in frequent for sign in letters) / max(1, len(letters))


def _looks_western(sample: bytes) -> bool:
    """Letters with accents stand alone or in twos between plain ones, and within words there are only letters."""
    runs = re.findall(rb"[\x80-\xff]+", sample)
    alone = sum(map(len, runs)) < 1.5 * len(runs)
    inside = re.findall("(?<=[A-Za-z])[\x80-\U0010ffff](?=[A-Za-z])", text := _decoded(sample, "cp1252"))
    return bool(text) and alone and all(sign.isalpha() or sign in "’–—…" for sign in inside)


def _decoded(sample: bytes, encoding: str) -> str:
    """The text, or "" where it is none: undecodable, or with signs that texts do not hold."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample)  # may end inside a character
    except UnicodeError:
        return ""
    strange = any(unicodedata.category(sign) in ("Cc", "Co", "Cn", "Cs") and sign not in "\t\r\n" for sign in text)
    return "" if strange else text
