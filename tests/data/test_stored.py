"""Pairs on the disk are the pairs that were put there, however they are asked for."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keifu.data.examples import Pair
from keifu.data.stored import StoredPairs, collect, store
from keifu.errors import DataError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
lists = st.lists(st.builds(Pair, texts, texts), max_size=30)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("KEIFU_CACHE", str(folder))
    return folder


@given(lists, st.integers(-35, 35), st.integers(-35, 35))
def test_stored_pairs_are_a_sequence_like_a_list(pairs: list[Pair], begin: int, end: int) -> None:
    stored = store(pairs)
    assert len(stored) == len(pairs)
    assert list(stored) == pairs
    assert [stored[row] for row in range(-len(pairs), len(pairs))] == pairs + pairs
    assert list(stored[begin:end]) == pairs[begin:end]
    assert list(stored[begin:end].turned()) == [Pair(pair.target, pair.source) for pair in pairs[begin:end]]


@given(lists)
def test_lengths_are_the_bytes_of_each_side(pairs: list[Pair]) -> None:
    stored = store(pairs)
    expected = [(len(pair.source.encode()), len(pair.target.encode())) for pair in pairs]
    count = len(pairs)
    assert stored.byte_lengths(0, count).tolist() == [list(sides) for sides in expected]
    assert stored.turned().byte_lengths(0, count).tolist() == [list(sides[::-1]) for sides in expected]
    for begin in range(count):
        assert np.array_equal(stored[begin:].byte_lengths(0, count - begin), stored.byte_lengths(begin, count))


def test_more_pairs_than_one_block_holds_come_in_order() -> None:
    pairs = [Pair(f"{n}", f"{n}番") for n in range(10_000)]
    assert list(store(pairs)[3:]) == pairs[3:]


@pytest.mark.parametrize("most", [0, 11, 12, 10**9])
def test_what_fits_in_memory_stays_there_and_nothing_is_lost_where_it_does_not(most: int) -> None:
    pairs = [Pair("ab", "猫")] * 2 + [Pair("c", "d")]  # 12 bytes
    collected = collect(iter(pairs), most)
    assert list(collected) == pairs
    assert isinstance(collected, StoredPairs) == (most < 12)


def test_the_file_has_no_name_so_that_nothing_stays_behind(cache: Path) -> None:
    stored = store([Pair("a", "b")])
    assert list(cache.iterdir()) == []
    assert stored[0] == Pair("a", "b")


def test_a_cache_that_cannot_be_written_to_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "file").write_text("")
    monkeypatch.setenv("KEIFU_CACHE", str(cache / "file"))
    with pytest.raises(DataError, match=r"file: data larger than memory cannot be kept here: .*KEIFU_CACHE"):
        store([Pair("a", "b")])
