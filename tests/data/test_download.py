"""Downloads against a server that behaves badly: what arrives is the file, or nothing and one message."""

import gzip
import hashlib
import http.server
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keifu.data import download as module
from keifu.data.download import download
from keifu.errors import DataError

CONTENT = bytes(range(256)) * 4000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """Answers by the functions in `answers`, one a request, the last again and again; notes the ranges asked for."""

    def __init__(self) -> None:
        self.answers: list[Callable[[Any], None]] = []
        self.ranges: list[str | None] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.ranges.append(self.headers.get("Range"))
                answer = server.answers[0] if len(server.answers) == 1 else server.answers.pop(0)
                answer(self)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/file"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "WAITS", (0.0, 0.0, 0.0))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    running = Server()
    yield running
    running.close()


def sends(content: bytes = CONTENT, most: int | None = None, ranges: bool = True) -> Callable[[Any], None]:
    """Sends the content, or what a range asks for; breaks off after `most` bytes."""

    def answer(handler: Any) -> None:
        asked = handler.headers.get("Range")
        begin = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and ranges else 0
        handler.send_response(206 if begin else 200)
        if begin:
            handler.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        handler.send_header("Content-Length", str(len(content) - begin))
        handler.end_headers()
        handler.wfile.write(content[begin:][:most])

    return answer


def says(code: int, **headers: str) -> Callable[[Any], None]:
    def answer(handler: Any) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def fetch(server: Server, folder: Path, suffix: str = "", size: int = len(CONTENT)) -> Path:
    path = folder / "sub" / "file"
    download(server.address + suffix, DIGEST, size, path, by_hand="$KEIFU_DATA/file")
    return path


def assert_refused(server: Server, folder: Path, *holds: str, suffix: str = "") -> None:
    with pytest.raises(DataError) as caught:
        fetch(server, folder, suffix)
    message = str(caught.value)
    assert "\n" not in message
    assert "put the file at $KEIFU_DATA/file" in message
    for part in holds:
        assert part in message
    assert not (folder / "sub" / "file").exists()


def test_a_file_arrives_with_nothing_beside_it(server: Server, tmp_path: Path) -> None:
    server.answers = [sends()]
    path = fetch(server, tmp_path)
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


def test_a_packed_file_is_unpacked_and_checked_unpacked(server: Server, tmp_path: Path) -> None:
    server.answers = [sends(gzip.compress(CONTENT))]
    assert fetch(server, tmp_path, ".gz").read_bytes() == CONTENT


def test_a_broken_transfer_goes_on_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.answers = [sends(most=100_000), sends(most=200_000), sends()]
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=300000-"]


def test_what_has_come_is_kept_for_the_next_time(server: Server, tmp_path: Path) -> None:
    server.answers = [sends(most=100_000), says(503)]
    assert_refused(server, tmp_path, "503")
    server.answers = [sends()]
    server.ranges.clear()
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=100000-"]


def test_a_server_that_knows_no_ranges_is_asked_for_the_whole(server: Server, tmp_path: Path) -> None:
    server.answers = [sends(most=100_000), sends(ranges=False)]
    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_a_wrong_range_is_not_put_behind_what_there_is(server: Server, tmp_path: Path) -> None:
    wrong = says(206, Content_Range=f"bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}")
    server.answers = [sends(most=100_000), wrong, sends()]
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges[-1] is None


def test_a_range_beyond_the_end_begins_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".file.partial").write_bytes(CONTENT + b"more")
    server.answers = [says(416), sends()]
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT) + 4}-", None]


def test_redirects_are_followed_but_not_for_ever_and_not_out_of_the_web(server: Server, tmp_path: Path) -> None:
    server.answers = [says(302, Location="/there"), sends()]
    assert fetch(server, tmp_path / "once").read_bytes() == CONTENT
    server.answers = [says(302, Location="/file")]
    assert_refused(server, tmp_path / "loop", "302")
    server.answers = [says(302, Location="file:///etc/passwd")]
    assert_refused(server, tmp_path / "file", "'file:///etc/passwd' is not allowed")


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.answers = [sends(CONTENT[:-1] + b"x")]
    assert_refused(server, tmp_path, "SHA-256", DIGEST[:12])
    assert list((tmp_path / "sub").iterdir()) == []


PACKED = gzip.compress(CONTENT, mtime=0)[:-9]


@pytest.mark.parametrize("content", [CONTENT, PACKED, gzip.compress(CONTENT + b"more", mtime=0)])
def test_a_damaged_packing_leaves_nothing(content: bytes, server: Server, tmp_path: Path) -> None:
    server.answers = [sends(content)]
    assert_refused(server, tmp_path, "SHA-256", suffix=".gz")
    assert list((tmp_path / "sub").iterdir()) == []


def test_a_file_without_end_is_cut_off(server: Server, tmp_path: Path) -> None:
    def floods(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(500):
            handler.wfile.write(CONTENT)

    server.answers = [floods]
    assert_refused(server, tmp_path, "more than the 1,024,000 bytes")
    assert sum(path.stat().st_size for path in (tmp_path / "sub").iterdir()) == 0


@pytest.mark.parametrize(("code", "times"), [(404, 1), (403, 1), (500, 4), (429, 4)])
def test_what_the_server_says_is_told_and_only_what_may_pass_is_tried_again(
    code: int, times: int, server: Server, tmp_path: Path
) -> None:
    server.answers = [says(code)]
    assert_refused(server, tmp_path, str(code))
    assert len(server.ranges) == times


def test_a_server_that_falls_silent_is_given_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENCE", 0.2)
    server.answers = [lambda handler: time.sleep(1)]
    assert_refused(server, tmp_path, "no answer in time")


def test_nobody_there_and_no_address_of_the_web(server: Server, tmp_path: Path) -> None:
    server.close()
    assert_refused(server, tmp_path, "refused")
    with pytest.raises(DataError, match="not an address of the web"):
        download("ftp://example.org/file", DIGEST, 1, tmp_path / "file")


def test_a_full_disk_and_a_cache_that_is_no_folder_are_told(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers = [sends()]
    (tmp_path / "sub").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        fetch(server, tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: _Usage(10, 10, 0))
    assert_refused(server, tmp_path / "other", "MB are free")


class _Usage:
    def __init__(self, total: int, used: int, free: int) -> None:
        self.total, self.used, self.free = total, used, free


def test_two_at_once_fetch_the_file_once(server: Server, tmp_path: Path) -> None:
    server.answers = [sends()]
    threads = [threading.Thread(target=fetch, args=(server, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "sub" / "file").read_bytes() == CONTENT
    assert len(server.ranges) == 1


def test_progress_tells_how_far_it_is(server: Server, tmp_path: Path) -> None:
    server.answers = [sends(most=100_000), sends()]
    seen: list[tuple[int, int]] = []
    download(server.address, DIGEST, len(CONTENT), tmp_path / "file", lambda _, done, total: seen.append((done, total)))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
