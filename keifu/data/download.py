"""Fetching a file over HTTP: resumed where it broke off, checked before it gets its name."""

import errno
import fcntl
import gzip
import hashlib
import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from keifu.errors import DataError

Progress = Callable[[str, int, int], None]
"""Called with the address, the bytes that have come, and all that are expected (0: not known)."""

SILENCE = 30.0
"""Seconds without a byte after which a transfer counts as broken off."""

WAITS = (0.5, 1.0, 2.0, 4.0)
"""Seconds before each further attempt; an attempt that brought bytes starts them anew."""

_BLOCK = 1 << 16
_MOST_ATTEMPTS = 50
_SLACK = 1 << 20  # bytes that a packed file may have beyond its unpacked size


def ignore(address: str, done: int, total: int) -> None:
    """Shows no progress."""


def download(
    address: str, sha256: str, size: int, destination: Path, on_progress: Progress = ignore, by_hand: str = ""
) -> None:
    """Fetches `address` to `destination`, unpacked where it ends in .gz, and checks it.

    sha256, size: of the unpacked content. by_hand: where a user may put the file instead, for messages. What has come
    of a transfer that breaks off, or that the user stops, is kept beside the destination for the next time. Raises
    DataError.
    """
    remedy = f"; try again, or put the file at {by_hand}" if by_hand else "; try again"
    if not address.startswith(("http://", "https://")):
        raise DataError(f"{address}: not an address of the web{remedy}")
    partial = destination.with_name(f".{destination.name}.partial")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # a second process waits, and finds the file there
            if destination.exists():
                return
            _refuse_full_disk(destination.parent, size)
            _fetch(address, size, file, on_progress)
            _unpack(address, sha256, size, partial, destination, remedy)
    except (OSError, http.client.HTTPException, _Broken) as error:
        raise DataError(f"{address}: {_reason(error)}{remedy}") from None


class _Broken(Exception):
    """The other side did not send what was asked for."""


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not from https to http. (urllib itself stays on the web.)"""

    max_redirections = 5

    def redirect_request(  # type: ignore[no-untyped-def]
        self, req, fp, code, msg, headers, newurl
    ) -> urllib.request.Request | None:
        if req.full_url.startswith("https://") and not newurl.startswith("https://"):
            raise _Broken(f"leads to {newurl[:60]!r}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_opener = urllib.request.build_opener(_NoDowngrade)


def _fetch(address: str, size: int, file: BinaryIO, on_progress: Progress) -> None:
    """Brings all of the address's bytes into `file`, which may hold the first ones already."""
    waits = iter(WAITS)
    for _ in range(_MOST_ATTEMPTS):
        before = file.seek(0, os.SEEK_END)
        try:
            if _attempt(address, size, file, on_progress):
                return
            problem: Exception = _Broken("the transfer breaks off again and again")
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 429:
                raise _Broken(f"the server says {error.code} {error.reason}") from None
            problem = _Broken(f"the server says {error.code} {error.reason}")
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
                raise
            problem = error
        if file.seek(0, os.SEEK_END) > before:
            waits = iter(WAITS)
        wait = next(waits, None)
        if wait is None:
            raise problem
        time.sleep(wait)
    raise _Broken("the transfer breaks off again and again")


def _attempt(address: str, size: int, file: BinaryIO, on_progress: Progress) -> bool:
    """Asks for what is missing; True when the whole is there."""
    have = file.seek(0, os.SEEK_END)
    request = urllib.request.Request(address, headers={"User-Agent": "keifu", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = _opener.open(request, timeout=SILENCE)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        file.truncate(0)  # longer than the file is now: begin again
        return False
    with response:
        if have and not _continues(response, have):
            if response.status == 206:
                file.truncate(0)
                return False
            file.truncate(0)
            have = 0
        rest = response.headers.get("Content-Length", "")
        total = have + int(rest) if rest.isdecimal() else 0
        while block := response.read1(_BLOCK):
            if file.tell() + len(block) > size + _SLACK:
                file.truncate(0)
                raise _Broken(f"sends more than the {size:,} bytes that were expected")
            file.write(block)
            on_progress(address, file.tell(), total)
        file.flush()
        return not total or file.tell() >= total


def _continues(response: http.client.HTTPResponse, have: int) -> bool:
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return response.status == 206 and found is not None and int(found[1]) == have


def _unpack(address: str, sha256: str, size: int, partial: Path, destination: Path, remedy: str) -> None:
    """Gives a whole file its name, unpacked, or removes what came."""
    whole = destination.with_name(f".{destination.name}.whole")
    try:
        try:
            with _opened(address, partial) as packed, whole.open("wb") as file:
                digest = _copy(packed, file, size)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            digest = "damaged gzip"
        if digest != sha256:
            partial.unlink(missing_ok=True)
            raise DataError(
                f"{address}: its SHA-256 is {digest[:12]}..., expected {sha256[:12]}...: changed or damaged on the "
                f"way{remedy}"
            )
        os.replace(whole, destination)
        partial.unlink(missing_ok=True)
    finally:
        whole.unlink(missing_ok=True)


def _opened(address: str, partial: Path) -> BinaryIO:
    return gzip.open(partial) if address.endswith(".gz") else partial.open("rb")  # type: ignore[return-value]


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> str:
    """Copies at most one byte more than `size` and returns the SHA-256 of what was copied."""
    digest, left = hashlib.sha256(), size + 1
    while left and (block := source.read(min(_BLOCK, left))):
        digest.update(block)
        target.write(block)
        left -= len(block)
    target.flush()
    os.fsync(target.fileno())
    return digest.hexdigest()


def _refuse_full_disk(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < 2 * size + _SLACK:
        raise _Broken(f"{2 * size / 1e6:,.1f} MB are needed in {folder}, {free / 1e6:,.1f} MB are free")


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception):
        error = error.reason
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename} cannot be written: {error.strerror}"
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return text.splitlines()[0]
