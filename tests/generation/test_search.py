"""Greedy and beam search over a toy language whose every output can be listed."""

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest
import torch
from torch import Tensor

from keifu.generation.search import Hypothesis, beam_search, greedy, top

EOS, VOCABULARY = 2, 5
PENALTIES = [0.0, 0.5, 1.0, 2.0]


@dataclass(frozen=True)
class Prefixes:
    """A state that knows what each row has read, and which sentence it belongs to."""

    read: Tensor
    sentence: Tensor

    def select(self, rows: Tensor) -> "Prefixes":
        return Prefixes(self.read[rows], self.sentence[rows])


class Toy:
    """Scores of the next token that depend on the sentence and on all tokens before, drawn at random once."""

    def __init__(self, seed: int, longest: int, eos_bonus: float = 0.0) -> None:
        generator = torch.Generator().manual_seed(seed)
        prefixes = sum(VOCABULARY**n for n in range(longest))
        self.scores = torch.randn(6, prefixes, VOCABULARY, generator=generator)
        self.scores[..., EOS] += eos_bonus
        self.steps = 0

    def start(self, count: int) -> Prefixes:
        return Prefixes(torch.zeros(count, 0, dtype=torch.long), torch.arange(count))

    def step(self, tokens: Tensor, state: Prefixes) -> tuple[Tensor, Prefixes]:
        """The hidden vector names the sentence and the prefix; the prompt's one token is no part of it."""
        self.steps += 1
        after = Prefixes(torch.cat([state.read, tokens], 1), state.sentence)
        prefix = torch.zeros(len(tokens), dtype=torch.long)
        for column in after.read[:, 1:].unbind(1):
            prefix = _longer(prefix, column)
        return torch.stack([after.sentence, prefix], 1)[:, None], after

    def head(self, hidden: Tensor) -> Tensor:
        return self.scores[hidden[..., 0], hidden[..., 1]]

    def log_probability(self, sentence: int, output: tuple[int, ...]) -> float:
        """Of the tokens of one output, [EOS] included where it has one."""
        total, prefix = 0.0, 0
        for token in output:
            total += self.likely[sentence][prefix][token]
            prefix = _longer(prefix, token)
        return total

    @cached_property
    def likely(self) -> list[list[list[float]]]:
        likely: list[list[list[float]]] = self.scores.double().log_softmax(-1).tolist()
        return likely

    def exhaustive(self, sentence: int, limit: int, penalty: float) -> list[Hypothesis]:
        """Every output of at most `limit` tokens, best first."""
        ordinary = [token for token in range(VOCABULARY) if token != EOS]
        outputs = [(*words, EOS) for n in range(limit) for words in itertools.product(ordinary, repeat=n)]
        outputs += list(itertools.product(ordinary, repeat=limit))
        found = []
        for output in outputs:
            score = self.log_probability(sentence, output) / len(output) ** penalty
            complete = output[-1] == EOS
            found.append(Hypothesis(list(output[: len(output) - complete]), score, complete))
        return sorted(found, key=lambda hypothesis: -hypothesis.score)


def _longer(prefix: Any, token: Any) -> Any:
    """The number of a prefix with one more token; the empty one is 0."""
    return prefix * VOCABULARY + token + 1


def _search(toy: Toy, limits: list[int], beam: int, n_best: int, penalty: float) -> list[list[Hypothesis]]:
    count = len(limits)
    prompt = torch.zeros(count, 1, dtype=torch.long)
    return beam_search(toy.step, toy.head, toy.start(count), prompt, EOS, torch.tensor(limits), beam, n_best, penalty)


def _greedy(toy: Toy, limits: list[int], penalty: float = 1.0) -> list[Hypothesis]:
    count = len(limits)
    prompt = torch.zeros(count, 1, dtype=torch.long)
    return greedy(toy.step, toy.head, toy.start(count), prompt, EOS, torch.tensor(limits), penalty)


def _assert_same(found: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [(one.tokens, one.complete) for one in found] == [(one.tokens, one.complete) for one in expected]
    assert [one.score for one in found] == pytest.approx([one.score for one in expected], rel=1e-5)


class Narrow(Toy):
    """Reads no more of a sentence's tokens than it has room for, the prompt's included."""

    def __init__(self, rooms: list[int], eos_bonus: float) -> None:
        super().__init__(3, max(rooms), eos_bonus)
        self.rooms = torch.tensor(rooms)

    def step(self, tokens: Tensor, state: Prefixes) -> tuple[Tensor, Prefixes]:
        hidden, after = super().step(tokens, state)
        assert (self.rooms[after.sentence] >= after.read.shape[1]).all()
        return hidden, after


@pytest.mark.parametrize("beam", [0, 1, 3])
@pytest.mark.parametrize("eos_bonus", [-9.0, -1.0, 1.0, 9.0])
def test_no_output_is_read_beyond_its_limit_while_others_go_on(eos_bonus: float, beam: int) -> None:
    limits = [4, 4, 2, 4, 4, 3]
    toy = Narrow(limits, eos_bonus)
    found = [bests[0] for bests in _search(toy, limits, beam, 1, 1.0)] if beam else _greedy(toy, limits)
    assert all(len(one.tokens) <= limit for one, limit in zip(found, limits, strict=True))


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("eos_bonus", [-1.0, 1.0])
def test_a_beam_as_wide_as_all_prefixes_finds_the_exact_best(penalty: float, eos_bonus: float) -> None:
    toy, limits = Toy(0, 4, eos_bonus), [4, 1, 3, 2, 4]
    found = _search(toy, limits, (VOCABULARY - 1) ** 4, 20, penalty)
    for sentence, (bests, limit) in enumerate(zip(found, limits, strict=True)):
        _assert_same(bests, toy.exhaustive(sentence, limit, penalty)[: len(bests)])
        assert len(bests) == min(20, sum((VOCABULARY - 1) ** n for n in range(limit + 1)))


@pytest.mark.parametrize("beam", [1, 2, 3, 7])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("seed", range(5))
def test_what_a_beam_finds_is_sorted_distinct_and_scored_rightly(seed: int, penalty: float, beam: int) -> None:
    toy, limits = Toy(seed, 5, seed - 2.0), [5, 2, 4, 1]
    for sentence, bests in enumerate(_search(toy, limits, beam, beam, penalty)):
        assert 1 <= len(bests) <= beam
        scores = [best.score for best in bests]
        assert scores == sorted(scores, reverse=True)
        assert len({tuple(best.tokens) for best in bests}) == len(bests)
        for best in bests:
            output = (*best.tokens, EOS) if best.complete else tuple(best.tokens)
            assert EOS not in best.tokens
            assert len(output) <= limits[sentence]
            assert best.complete or len(output) == limits[sentence]
            expected = toy.log_probability(sentence, output) / len(output) ** penalty
            assert best.score == pytest.approx(expected, rel=1e-5)
        assert bests[0].score <= toy.exhaustive(sentence, limits[sentence], penalty)[0].score + 1e-6


@pytest.mark.parametrize("beam", [1, 2, 4])
@pytest.mark.parametrize("seed", range(5))
def test_sentences_of_a_batch_do_not_meet(seed: int, beam: int) -> None:
    """Each is searched as if alone, though all leave the batch at different times."""
    limits = [5, 2, 4, 1, 5, 3]
    toy = Toy(seed, 5)
    together = _search(toy, limits, beam, beam, 1.0)
    together_greedily = _greedy(toy, limits)
    for sentence, limit in enumerate(limits):
        alone = Toy(seed, 5)
        alone.scores = alone.scores[sentence:]
        [bests] = _search(alone, [limit], beam, beam, 1.0)
        _assert_same(together[sentence], bests)
        _assert_same([together_greedily[sentence]], _greedy(alone, [limit]))


@pytest.mark.parametrize("seed", range(5))
def test_fewer_best_are_the_first_of_more(seed: int) -> None:
    toy, limits = Toy(seed, 5), [5, 3, 4]
    for many, few in zip(_search(toy, limits, 6, 6, 1.0), _search(toy, limits, 6, 2, 1.0), strict=True):
        assert few == many[:2]


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("seed", range(5))
def test_greedy_takes_the_likeliest_token_each_time(seed: int, penalty: float) -> None:
    toy, limits = Toy(seed, 5, seed / 2 - 1), [5, 1, 3, 4]
    for sentence, (found, limit) in enumerate(zip(_greedy(toy, limits, penalty), limits, strict=True)):
        output: tuple[int, ...] = ()
        while len(output) < limit and EOS not in output:
            ends = [toy.log_probability(sentence, (*output, token)) for token in range(VOCABULARY)]
            output = (*output, ends.index(max(ends)))
        assert found.complete == (EOS in output)
        assert found.tokens == [token for token in output if token != EOS]
        expected = toy.log_probability(sentence, output) / len(output) ** penalty
        assert found.score == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_a_beam_of_one_is_greedy_search_or_better(seed: int) -> None:
    toy, limits = Toy(seed, 5), [5, 3, 4]
    for penalty in PENALTIES:
        for [best], taken in zip(_search(toy, limits, 1, 1, penalty), _greedy(toy, limits, penalty), strict=True):
            assert best.score >= taken.score - 1e-6
            if penalty == 0:
                _assert_same([best], [taken])


def test_search_stops_when_nothing_better_can_come() -> None:
    """An end that is nearly sure leaves no reason to go on to the limit."""
    toy = Toy(0, 5, eos_bonus=20.0)
    _search(toy, [5], 1, 1, 1.0)
    assert toy.steps == 1
    toy.steps = 0
    _search(toy, [5], 3, 1, 1.0)
    assert toy.steps < 5


def test_a_beam_wider_than_the_vocabulary_is_filled_later() -> None:
    toy = Toy(0, 3)
    [bests] = _search(toy, [3], 20, 20, 1.0)
    assert len(bests) == 20
    [bests] = _search(toy, [1], 20, 20, 1.0)
    assert len(bests) == VOCABULARY
    _assert_same(bests, toy.exhaustive(0, 1, 1.0))


@pytest.mark.parametrize("size", [1, 7, 64, 65, 640, 1000, 1024])
@pytest.mark.parametrize("k", [1, 5, 9])
def test_the_largest_of_wide_rows_are_those_that_topk_finds(size: int, k: int) -> None:
    """Wherever they stand: many in one block of values, and behind the last whole block."""
    generator = torch.Generator().manual_seed(size + k)
    values = torch.stack([torch.randperm(size, generator=generator).float() for _ in range(50)])
    values = torch.cat([values, values.sort().values, values.sort(descending=True).values])
    values[::2, : size // 3] = -torch.inf
    count = min(k, size - size // 3)
    found, places = top(values, count)
    expected = values.topk(count)
    assert torch.equal(found, expected.values)
    assert torch.equal(places, expected.indices)
