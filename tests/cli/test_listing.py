"""Lists of what there is, and fetching a set."""

import json
from pathlib import Path

import pytest

from keifu.data import catalogue
from keifu.data.catalogue import CATALOGUE
from tests.cli.conftest import Command
from tests.data.test_catalogue import SMALL, put


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data" / "small").mkdir(parents=True)
    monkeypatch.setenv("KEIFU_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("KEIFU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(CATALOGUE, "small", SMALL)
    return tmp_path / "data"


def test_data_sets_are_listed_with_their_terms_and_where_they_are(data: Path, keifu: Command) -> None:
    put(data)
    out = keifu("datasets").out
    for data_set in CATALOGUE.values():
        assert f"{data_set.name}\n  {data_set.summary}" in out
        assert data_set.licence in out
    assert "in $KEIFU_DATA\n" in out
    assert "MB to download" in out
    assert "builtin:enja" in out
    listed = {line["name"]: line for line in map(json.loads, keifu("datasets", "--json").out.splitlines())}
    assert listed["small"]["bytes_to_download"] == 0
    assert listed["enja"]["bytes_to_download"] == sum(
        file.size for part in CATALOGUE["enja"].parts.values() for file in part
    )
    assert listed["enja"]["parts"]["dev"][0]["sha256"] == CATALOGUE["enja"].parts["dev"][0].sha256


def test_a_set_is_fetched_once(data: Path, keifu: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(address: str, sha256: str, size: int, destination: Path, *_: object) -> None:
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(b"I\n" if address.endswith("en") else b"1\n")

    monkeypatch.setattr(catalogue, "download", fetch)
    first = keifu("download", "small")
    assert first.code == 0
    assert "cache/small/train.ja" in first.out
    assert SMALL.licence in first.out
    monkeypatch.setattr(catalogue, "download", None)
    assert json.loads(keifu("download", "small", "--json").out)["files"] == first.out.splitlines()[:2]


def test_an_unknown_set_is_refused(keifu: Command) -> None:
    result = keifu("download", "multi30k-en-dee")
    assert (result.code, result.out) == (2, "")
    assert result.err == "keifu: data set 'multi30k-en-dee' is not known; did you mean multi30k-en-de?\n"
