"""Windows of text: every token is predicted once, after the one before it, and streams go on where they stopped."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keifu.data.batches import Sampler
from keifu.data.windows import InOrder, Shuffled, Stretches, Windows, cut_to, side_by_side, split, whole


def predictions(windows: Windows, rows: np.ndarray) -> list[tuple[int, int]]:
    """(read, predicted) of every place of these windows."""
    inputs, targets = windows.padded(rows, -1)
    pairs = zip(inputs.flatten().tolist(), targets.flatten().tolist(), strict=True)
    return [pair for pair in pairs if pair != (-1, -1)]


sequences = st.lists(st.integers(2, 30), min_size=1, max_size=8).map(
    lambda sizes: [list(range(1000 * n, 1000 * n + size)) for n, size in enumerate(sizes)]
)


@given(sequences, st.integers(1, 12))
def test_documents_in_parts_have_every_prediction_once(rows: list[list[int]], most: int) -> None:
    expected = [(one, one + 1) for row in rows for one in row[:-1]]
    assert predictions(whole(rows), np.arange(len(rows))) == expected
    parts = cut_to(whole(rows), most)
    assert parts.lengths.max() <= most
    assert predictions(parts, parts.rows()) == expected
    sampler = Sampler(parts.sizes, 20, seed=0)
    seen = [pair for _ in range(sampler.batches_per_epoch) for pair in predictions(parts, next(sampler))]
    assert sorted(seen) == expected


@given(st.integers(1, 200), st.integers(1, 9), st.integers(1, 12))
def test_streams_go_on_where_the_batch_before_ended(tokens: int, streams: int, most: int) -> None:
    streams = min(streams, tokens)
    pieces = [[-7, *piece.tolist()] for piece in np.array_split(np.arange(tokens), streams)]
    windows = side_by_side(whole(pieces), most)
    assert windows.streams == streams
    sampler = InOrder(windows)
    read: list[list[int]] = [[] for _ in range(streams)]
    for batch in range(sampler.batches_per_epoch):
        rows = next(sampler)
        assert len(rows) == streams  # the state of each goes on
        assert windows.lengths[rows].max() <= most + (batch == sampler.batches_per_epoch - 1)
        inputs, targets = windows.padded(rows, -1)
        for stream, (one, other, length) in enumerate(zip(inputs, targets, windows.lengths[rows], strict=True)):
            read[stream] += other[:length].tolist()
            begins = -7 if batch == 0 else read[stream][batch * most - 1]
            assert one[0] == begins
    assert [[-7, *stream] for stream in read] == pieces
    assert sampler.epoch == 0
    assert (next(sampler) == np.arange(streams)).all()
    assert sampler.epoch == 1


def test_a_place_in_the_streams_is_two_numbers() -> None:
    windows = side_by_side(whole([range(50), range(50)]), 7)
    one, other = InOrder(windows), InOrder(windows)
    for _ in range(9):
        next(one)
    other.go_to(one.epoch, one.batch)
    assert (next(one) == next(other)).all()
    one.go_to(one.epoch, one.batch - 1)
    assert (next(one) == other._batches[other.batch - 1]).all()


@pytest.mark.parametrize("begin", [0, 3])
def test_a_stretch_of_windows(begin: int) -> None:
    windows = whole([range(10), range(100, 106)])
    stretch = windows.within(np.array([1, 0]), begin, 4)
    assert stretch.lengths.tolist() == [min(4, 5 - begin), 4]
    assert predictions(stretch, np.array([1])) == [(n, n + 1) for n in range(begin, begin + 4)]


@given(st.integers(2, 200), st.integers(1, 12), st.integers(1, 5), st.booleans())
def test_windows_of_one_text_predict_each_token_once_an_epoch(
    tokens: int, length: int, together: int, led: bool
) -> None:
    lead = -7 if led else None
    windows = Stretches(np.arange(tokens, dtype=np.int32), length, lead)
    length = min(length, windows.predictions)
    sampler = Shuffled(windows, together, seed=0)
    for epoch in range(3):
        seen: list[int] = []
        for _ in range(sampler.batches_per_epoch):
            rows = next(sampler)
            assert len(rows) <= together
            assert (windows.lengths[rows] == length).all()
            for read, predicted in zip(*(side.tolist() for side in windows.padded(rows, -1)), strict=True):
                assert len(predicted) == length
                assert read == [-7 if led else predicted[0] - 1, *predicted[:-1]]
                seen += predicted
        assert sampler.epoch == epoch
        assert sorted(seen) == list(range(min(seen), max(seen) + 1))  # once, and none between them left out
        assert len(seen) > windows.predictions - 2 * length
    begins = {int(np.min(np.concatenate(Shuffled(windows, 1, seed)._batches_of(0)))) for seed in range(400)}
    reached = windows.predictions - length * len(np.concatenate(sampler._batches_of(0)))
    assert begins == set(range(reached + 1))  # so that no token is always left out
    if length > 4 and tokens > 100:
        assert len({int(Shuffled(windows, 1, seed)._batches_of(0)[0][0]) % length for seed in range(20)}) > 1


def test_a_share_of_tokens_is_that_of_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keifu.data.windows._PART", 3)
    tokens = np.array([1, 2, 3, 2, 2, 4, 5], np.uint16)
    assert Stretches(tokens, 2).share_of({2, 5}) == split(tokens, 2).share_of({2, 5}) == 4 / 7
