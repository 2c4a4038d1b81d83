"""Every example once an epoch, in batches of similar length, and on from anywhere."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from keifu.data.batches import (
    Indices,
    Sampler,
    Sequences,
    cut,
    from_right_padded,
    length_mask,
    to_right_padded,
)

SIZES = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=60)
BUDGETS = st.integers(1, 300)


def sampler(sizes: Sequence[tuple[int, int]], budget: int, seed: int = 0) -> Sampler:
    return Sampler(np.array(sizes), budget, seed)


def epoch(sampler: Sampler) -> list[list[int]]:
    """The batches from here to the end of the epoch."""
    return [next(sampler).tolist() for _ in range(sampler.batches_per_epoch - sampler.batch)]


def random_sizes(count: int) -> Indices:
    """Lengths of sentences and their translations, which are about as long."""
    random = np.random.default_rng(0)
    source = random.integers(1, 60, size=count)
    return np.stack([source, np.maximum(1, source + random.integers(-3, 4, size=count))], axis=1)


@given(SIZES, BUDGETS, st.integers(0, 5))
def test_every_example_comes_once_an_epoch(sizes: list[tuple[int, int]], budget: int, seed: int) -> None:
    source = sampler(sizes, budget, seed)
    for number in range(3):
        found = epoch(source)
        assert sorted(row for batch in found for row in batch) == list(range(len(sizes)))
        assert source.epoch == number
        assert source.batch == source.batches_per_epoch
        following = next(source)
        assert (source.epoch, source.batch) == (number + 1, 1)
        assert len(following)
        source.go_to(number + 1, 0)


@given(SIZES, BUDGETS, st.data())
def test_another_sampler_goes_on_where_one_stopped(
    sizes: list[tuple[int, int]], budget: int, data: st.DataObject
) -> None:
    source, other = sampler(sizes, budget), sampler(sizes, budget)
    for _ in range(data.draw(st.integers(0, 3 * source.batches_per_epoch))):
        next(source)
    other.go_to(source.epoch, source.batch)
    for _ in range(source.batches_per_epoch + 1):
        assert next(source).tolist() == next(other).tolist()
        assert (source.epoch, source.batch) == (other.epoch, other.batch)


@given(SIZES, BUDGETS)
def test_no_batch_exceeds_the_budget_unless_one_example_does(sizes: list[tuple[int, int]], budget: int) -> None:
    for batch in epoch(sampler(sizes, budget)):
        longest = max(max(sizes[row]) for row in batch)
        assert len(batch) == 1 or len(batch) * longest <= budget


@given(SIZES, BUDGETS)
def test_a_batch_is_cut_only_where_the_next_example_does_not_fit(sizes: list[tuple[int, int]], budget: int) -> None:
    longest = np.array(sizes).max(axis=1)
    order = np.argsort(longest)
    batches = cut(order, longest, budget)
    assert np.concatenate(batches).tolist() == order.tolist()
    for batch, following in pairwise(batches):
        with_one_more = max(*longest[batch], longest[following[0]]) * (len(batch) + 1)
        assert with_one_more > budget


def test_the_order_follows_from_the_seed_and_the_epoch() -> None:
    sizes = random_sizes(1000)
    one, same, other = Sampler(sizes, 300, 0), Sampler(sizes, 300, 0), Sampler(sizes, 300, 1)
    first, second = epoch(one), (one.go_to(1, 0), epoch(one))[1]
    assert first == epoch(same)
    assert first != epoch(other)
    assert first != second
    assert {frozenset(batch) for batch in first} != {frozenset(batch) for batch in second}


def test_batches_are_not_in_the_order_of_their_length() -> None:
    sizes = random_sizes(500)
    lengths = [sizes[batch].max() for batch in epoch(Sampler(sizes, 300, 0))]
    assert abs(np.corrcoef(lengths, np.arange(len(lengths)))[0, 1]) < 0.5


def test_batches_of_similar_length_waste_less_than_random_ones() -> None:
    sizes = random_sizes(500)
    longest = sizes.max(axis=1)

    def padded(batches: list[list[int]]) -> int:
        return sum(len(batch) * int(longest[batch].max()) for batch in batches)

    random_order = np.random.default_rng(1).permutation(len(sizes))
    random_batches = [batch.tolist() for batch in cut(random_order, longest, 1000)]
    ours = padded(epoch(Sampler(sizes, 1000, 0)))
    assert ours < 1.15 * longest.sum() < padded(random_batches)


def test_with_more_examples_than_are_sorted_together_each_still_comes_once() -> None:
    sizes = random_sizes(45_000)
    batches = epoch(Sampler(sizes, 4096, 0))
    assert sorted(row for batch in batches for row in batch) == list(range(45_000))


# ---- sequences and padding ---------------------------------------------------------------------------------

ROWS = st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=8)


@given(ROWS, st.booleans(), st.data())
def test_sequences_are_padded_on_the_right(rows: list[list[int]], lead: bool, data: st.DataObject) -> None:
    sequences = Sequences(rows)
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=10))
    first = [77] if lead else []
    padded = sequences.padded(np.array(chosen), 99, first=77 if lead else None)
    width = max(len(rows[row]) for row in chosen) + len(first)
    expected = [(first + rows[row] + [99] * width)[:width] for row in chosen]
    assert padded.tolist() == expected
    assert len(sequences) == len(rows)
    mask = length_mask(sequences.lengths[np.array(chosen)])
    assert mask.sum(1).tolist() == [len(rows[row]) for row in chosen]
    assert (padded[:, len(first) :][mask] != 99).all()


def test_no_sequences_are_no_trouble() -> None:
    assert len(Sequences([])) == 0
    assert Sequences([]).lengths.tolist() == []


@given(st.integers(1, 5), st.integers(1, 7), st.data())
def test_moving_padding_to_the_right_can_be_undone(rows: int, width: int, data: st.DataObject) -> None:
    mask = torch.tensor(data.draw(st.lists(st.lists(st.booleans(), min_size=width, max_size=width), min_size=rows,
                                           max_size=rows)))  # fmt: skip
    tokens = torch.arange(rows * width).view(rows, width)
    moved, moved_mask, order = to_right_padded(tokens, mask)
    longest = int(mask.sum(1).max())
    assert moved.shape == moved_mask.shape == (rows, longest)
    for row in range(rows):
        real = tokens[row][mask[row]]
        assert moved[row, : len(real)].tolist() == real.tolist()
        assert moved_mask[row].tolist() == [True] * len(real) + [False] * (longest - len(real))
    back = from_right_padded(moved[..., None] * 2.0, order)[..., 0]
    assert back.shape == tokens.shape
    assert torch.equal(back[mask], tokens[mask] * 2.0)


def test_without_a_mask_all_tokens_are_real() -> None:
    tokens = torch.arange(6).view(2, 3)
    moved, mask, _ = to_right_padded(tokens, None)
    assert torch.equal(moved, tokens)
    assert mask.all()
