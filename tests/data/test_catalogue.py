"""Named sets come from $KEIFU_DATA, then from the cache, then from their address, and are what they should be."""

import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from keifu.data import catalogue
from keifu.data.catalogue import CATALOGUE, DataSet, File, find, whereabouts
from keifu.data.pairs import load_pairs
from keifu.errors import ConfigError, DataError

REAL = os.environ.get("KEIFU_DATA")


def file(name: str, content: bytes) -> File:
    digest = hashlib.sha256(content).hexdigest()
    return File(f"small/{name}", f"https://example.org/{name}", digest, len(content))


SMALL = replace(CATALOGUE["enja"], name="small", parts={"train": (file("train.en", b"I\n"), file("train.ja", b"1\n"))})


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, list[str]]:
    """$KEIFU_DATA, the cache, and the addresses that were asked for."""
    data, cache = tmp_path / "data", tmp_path / "cache"
    (data / "small").mkdir(parents=True)
    (cache / "small").mkdir(parents=True)
    monkeypatch.setenv("KEIFU_DATA", str(data))
    monkeypatch.setenv("KEIFU_CACHE", str(cache))
    asked: list[str] = []

    def fetch(address: str, sha256: str, size: int, destination: Path, *_: Any) -> None:
        asked.append(address)
        destination.write_bytes(b"I\n" if address.endswith("en") else b"1\n")

    monkeypatch.setattr(catalogue, "download", fetch)
    return data, cache, asked


def put(folder: Path) -> None:
    (folder / "small" / "train.en").write_bytes(b"I\n")
    (folder / "small" / "train.ja").write_bytes(b"1\n")


def test_keifu_data_comes_first_then_the_cache_then_the_address(places: tuple[Path, Path, list[str]]) -> None:
    data, cache, asked = places
    english = SMALL.parts["train"][0]
    assert whereabouts(english) == "address"
    assert find(SMALL, "train") == (cache / "small/train.en", cache / "small/train.ja")
    assert asked == ["https://example.org/train.en", "https://example.org/train.ja"]
    assert whereabouts(english) == "cache"
    assert find(SMALL, "train")[0] == cache / "small/train.en"
    put(data)
    assert whereabouts(english) == "$KEIFU_DATA"
    assert find(SMALL, "train") == (data / "small/train.en", data / "small/train.ja")
    assert len(asked) == 2


@pytest.mark.parametrize("place", [0, 1])
def test_a_file_that_is_not_the_sets_is_named_and_not_used(place: int, places: tuple[Path, Path, list[str]]) -> None:
    folder = places[:2][place]
    put(folder)
    (folder / "small" / "train.ja").write_bytes(b"2\n")
    with pytest.raises(DataError, match=r"train\.ja: not the file that this set is made of"):
        find(SMALL, "train")


def test_a_part_that_is_none_and_a_folder_that_is_none_are_refused(
    places: tuple[Path, Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="small: no part 'dev'; it has train"):
        find(SMALL, "dev")
    monkeypatch.setenv("KEIFU_DATA", "/nowhere")
    with pytest.raises(ConfigError, match="KEIFU_DATA is /nowhere: no such folder"):
        find(SMALL, "train")


def test_what_lies_in_an_archive_is_fetched_by_hand(places: tuple[Path, Path, list[str]]) -> None:
    with pytest.raises(DataError, match=r"qa1_train.txt: not at hand; fetch https://.*gz, and put its file tasks_1-20"):
        find(CATALOGUE["babi-1"], "train")
    assert not places[2]


@pytest.mark.parametrize("data_set", CATALOGUE.values(), ids=CATALOGUE.keys())
def test_every_entry_is_complete(data_set: DataSet) -> None:
    in_archive = data_set.task == "question-answering"
    assert set(data_set.parts) >= {"train", "dev", *([] if in_archive else ["test"])}
    assert all((data_set.summary, data_set.licence, data_set.citation, data_set.homepage.startswith("https://")))
    for files in data_set.parts.values():
        if data_set.languages:
            assert [one.path.rpartition(".")[2] for one in files] == list(data_set.languages)
        for one in files:
            assert re.fullmatch("[0-9a-f]{64}", one.sha256)
            assert in_archive == ("#" in one.address)
            assert in_archive or re.search("/[0-9a-f]{40}/", one.address)  # of a commit, so that it stays what it is


@pytest.mark.skipif(not REAL, reason="$KEIFU_DATA, the folder of real data, is not set")
@pytest.mark.parametrize(
    ("spec", "count"),
    [
        ("enja:train", 50_000),
        ("enja:dev", 500),
        ("multi30k-en-de:train", 29_000),
        ("multi30k-en-de:val", 1_014),
        ("multi30k-en-fr:test_2016", 1_000),
        ("multi30k-en-fr:test[:10]", 10),
    ],
)
def test_real_sets_load_by_name(spec: str, count: int) -> None:
    data = load_pairs(spec)
    assert len(data.pairs) == count
    assert data.languages == CATALOGUE[spec.split(":")[0]].languages
    assert data.blank.one == 0
