"""`keifu translate RUN --file`: a document in, the document in another language out.

The library is imported inside the function, so that --help does not wait for torch.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keifu.cli.options import json_line
from keifu.errors import ConfigError, DataError

_KINDS = {".md": "markdown", ".markdown": "markdown", ".tmx": "tmx"}
_EXPECTED = "expected text, Markdown (.md) or a translation memory (.tmx) in UTF-8"


def translate_file(file: Path, out: Path | None, as_json: bool, load: Callable[[], Any], **decoding: Any) -> None:
    """Translates `file` with the model that `load` returns, to the new file `out` or standard output."""
    _refuse_used(out)
    content = _read(file)
    from keifu.checkpoint import write_atomically
    from keifu.tasks.translation import limit_name
    from keifu.views.documents import open_document, translate_segments

    model = load()
    try:
        document = open_document(model, content, _KINDS.get(file.suffix.lower(), "text"))
    except DataError as error:
        raise DataError(f"{file}, {error}") from None
    if not document.segments:
        print(f"keifu: {file}: no text in {model.languages[0]} that lacks its translation", file=sys.stderr)
    found = translate_segments(model, document.segments, **decoding)
    if as_json:
        results = [
            {"source": segment.text, "translation": one.text, "score": one.score, "complete": one.complete}
            for segment, one in zip(document.segments, found, strict=True)
        ]
        result = "".join(json_line(one) + "\n" for one in results)
    else:
        result = document.fill([one.text for one in found])
    if long := sum(one.parts > 1 for one in found):
        limit = f"{limit_name(model.task.takes)} ({model.longest_side} tokens)"
        print(
            f"keifu: {file}: translated in parts, because longer than {limit}: {long} of {len(found)} sentences",
            file=sys.stderr,
        )
    if out is None:
        sys.stdout.write(result)
    else:
        write_atomically(out, result)


def _refuse_used(out: Path | None) -> None:
    if out is None:
        return
    if os.path.lexists(out):
        raise ConfigError(f"--out {out}: exists already; name a new file, or remove that one")
    if not out.parent.is_dir():
        raise ConfigError(f"--out {out}: no folder {out.parent}; make it first")


def _read(file: Path) -> str:
    """The document's text with its line ends. Raises DataError."""
    if not os.path.isfile(file):  # unlike Path.is_file, also for a name that is too long or not permitted
        found = "is a folder" if os.path.isdir(file) else "is no file" if os.path.exists(file) else "no such file"
        raise DataError(f"{file}: {found}; {_EXPECTED}")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from None
    if content.startswith(b"PK\x03\x04"):
        raise DataError(f"{file}: is a zip archive, as .docx and .odt files are; save it as text or Markdown")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{file}: is UTF-16; save it as UTF-8")
    if b"\0" in content or content.startswith((b"%PDF-", b"\x1f\x8b", b"\x89PNG", b"\xff\xd8\xff")):
        raise DataError(f"{file}: is not text; {_EXPECTED}")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{file}:{line}: not UTF-8; save the file as UTF-8") from None
