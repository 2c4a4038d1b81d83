"""One step protocol: however a sequence is cut, chosen, repeated or branched, each row goes on as if read at once."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from keifu.interface import State
from keifu.layers.cache import CachedState, KeyValueCache
from keifu.layers.quantised import multiplies_int8, quantise
from tests.properties.cases import Case, Example
from tests.properties.conftest import CASES
from tests.properties.families import FAMILIES, make_case
from tests.properties.inputs import ReadInputs, StoryInputs

TOLERANCE = 1e-10
WRITERS = [(name, seed) for name, seed in CASES if not isinstance(FAMILIES[name].inputs, ReadInputs | StoryInputs)]


@pytest.fixture(params=WRITERS, ids=lambda param: f"{param[0]}-{param[1]}")
def case(request: pytest.FixtureRequest) -> Case:
    """Only of the models that take steps."""
    return make_case(*request.param)


@dataclass
class Row:
    """What one row of a state has read: its example (every side but the written one), and the tokens written."""

    example: Example
    written: list[int]


class Follower:
    """A state, and beside it what each of its rows has read, so that any step can be checked against the whole."""

    def __init__(self, case: Case, rows: list[Row], state: State) -> None:
        self.case, self.rows, self.state = case, rows, state

    @classmethod
    def fresh(cls, case: Case, examples: list[Example], capacity: int = 64) -> "Follower":
        return cls(case, [Row(example, []) for example in examples], case.start(examples, capacity))

    def step(self, pieces: list[list[int]]) -> "Follower":
        """Reads a piece of one or more tokens in every row, ragged ones with a mask; checks what comes out."""
        longest = max(map(len, pieces))
        padded = [piece + self.case.tokens(longest - len(piece)) for piece in pieces]
        mask = torch.tensor([[t < len(piece) for t in range(longest)] for piece in pieces])
        hidden, state = self.case.step(padded, self.state, None if mask.all() else mask)
        rows = [Row(row.example, row.written + piece) for row, piece in zip(self.rows, pieces, strict=True)]
        side = self.case.inputs.written
        whole = self.case.whole([{**row.example, side: row.written or [0]} for row in rows])
        for found, expected, piece, row in zip(hidden, whole, pieces, rows, strict=True):
            read = len(row.written)
            torch.testing.assert_close(found[: len(piece)], expected[read - len(piece) : read], rtol=0, atol=TOLERANCE)
        return Follower(self.case, rows, state)

    def random_step(self, longest: int = 3, ragged: bool = False) -> "Follower":
        rng, length = self.case.random, self.case.random.randint(1, longest)
        lengths = [rng.randint(0, length) if ragged else length for _ in self.rows]
        lengths[rng.randrange(len(lengths))] = length
        return self.step([self.case.tokens(length) for length in lengths])

    def select(self, chosen: list[int]) -> "Follower":
        rows = [self.rows[place] for place in chosen]
        return Follower(self.case, rows, self.state.select(torch.tensor(chosen)))


def test_step_by_step_equals_the_whole_sequence(case: Case) -> None:
    follower = Follower.fresh(case, case.examples(3))
    for _ in range(9):
        follower = follower.random_step(longest=1)


@pytest.mark.parametrize("capacity", [1, 2, 5])
def test_a_cache_that_is_outgrown_keeps_everything(case: Case, capacity: int) -> None:
    follower = Follower.fresh(case, case.examples(2), capacity)
    for length in (1, 1, 4, 1, 9, 1, 1):
        follower = follower.step([case.tokens(length) for _ in range(2)])


def test_a_prompt_may_be_split_anywhere(case: Case) -> None:
    example = case.examples(1)
    prompt = case.tokens(7)
    for place in range(1, len(prompt)):
        follower = Follower.fresh(case, example).step([prompt[:place]]).step([prompt[place:]])
        follower.random_step()


def test_prompts_of_different_lengths_go_in_together(case: Case) -> None:
    follower = Follower.fresh(case, case.examples(4))
    follower = follower.step([case.tokens(length) for length in (5, 1, 3, 2)])
    follower = follower.random_step(longest=1)
    follower = follower.step([case.tokens(length) for length in (1, 4, 0, 2)])
    follower = follower.select([2, 0, 0, 3]).random_step()
    follower.random_step(longest=1)


CHOICES = {
    "one dropped": [0, 2],
    "one left": [1],
    "turned round": [2, 1, 0],
    "each repeated": [0, 0, 1, 1, 2, 2],
    "unevenly repeated": [0, 0, 0, 1, 2, 2],
    "repeated apart": [0, 1, 2, 0, 1, 2],
    "repeated apart and dropped": [2, 0, 2],
    "all from one": [1, 1, 1],
    "all kept": [0, 1, 2],
}


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES.keys())
def test_chosen_rows_go_on_as_themselves(case: Case, choice: list[int]) -> None:
    follower = Follower.fresh(case, case.examples(3)).random_step()
    chosen = follower.select(choice)
    for _ in range(2):
        chosen = chosen.random_step()
    follower.random_step()


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES.keys())
def test_rows_are_chosen_before_the_first_token_as_well(case: Case, choice: list[int]) -> None:
    Follower.fresh(case, case.examples(3)).select(choice).random_step().random_step()


def test_a_beam_moves_within_its_sentence_and_sentences_leave(case: Case) -> None:
    follower = Follower.fresh(case, case.examples(3)).random_step().select([0, 0, 0, 1, 1, 1, 2, 2, 2])
    for choice in ([0, 0, 2, 4, 3, 3, 8, 6, 7], [5, 4, 5, 3, 3, 4, 6, 6, 6], [0, 2, 1, 8, 7, 6], [3, 5, 4], [1]):
        follower = follower.random_step(longest=1).select([place % len(follower.rows) for place in choice])
    follower.random_step()


def test_rows_that_leave_their_groups_keep_their_own_columns_alone() -> None:
    """Else a text among sixteen of its prompt would keep all that the others have written."""

    def read(cache: KeyValueCache, tokens: list[int]) -> KeyValueCache:
        cache = cache.grow(1)
        written = torch.tensor(tokens, dtype=torch.float).view(cache.groups, 1, -1, 1)
        cache.layers()[0].write(written, -written)
        return cache

    cache = read(KeyValueCache.empty(1, 2, 1, 1, 4, torch.float32, torch.device("cpu")), [1, 2])
    cache = CachedState(cache).select(torch.tensor([0, 0, 0, 1, 1, 1])).cache
    for tokens in ([10, 11, 12, 20, 21, 22], [100, 110, 120, 200, 210, 220]):
        cache = read(cache, tokens)
    assert (cache.groups, cache.columns) == (2, 1 + 3 * 2)
    for rows, expected in (
        ([1, 3, 5], [[1, 11, 110], [2, 20, 200], [2, 22, 220]]),  # unevenly many of a group
        ([2, 4], [[1, 12, 120], [2, 21, 210]]),  # one of each
        ([4], [[2, 21, 210]]),
    ):
        left = CachedState(cache).select(torch.tensor(rows)).cache
        assert (left.groups, left.past, left.storage.capacity) == (len(rows), None, 3)
        assert left.layers()[0].keys[:, 0, :, 0].tolist() == expected
        assert left.layers()[0].values[:, 0, :, 0].neg().tolist() == expected


def test_selecting_copies_so_that_neither_disturbs_the_other(case: Case) -> None:
    before = Follower.fresh(case, case.examples(2)).random_step()
    chosen = before.select([0, 1])
    after = before.random_step()
    chosen = chosen.random_step()
    after.random_step()
    chosen.random_step()
    before.random_step()


def test_an_older_state_goes_on_beside_the_newer_one(case: Case) -> None:
    """s0 -> s1 -> s2, then s0 -> s1', and both branches go on in turn."""
    s0 = Follower.fresh(case, case.examples(2), capacity=16)
    s1 = s0.random_step(longest=1)
    s2 = s1.random_step(longest=1)
    other = s0.random_step(longest=1)
    for _ in range(3):
        s2 = s2.random_step(longest=1)
        other = other.random_step(longest=1)
    s1.random_step()
    s0.random_step()
    s2.random_step()


@pytest.mark.parametrize("capacity", [1, 4, 64])
def test_any_program_of_steps_and_choices_equals_the_whole(case: Case, capacity: int) -> None:
    """Random steps, ragged or not, and random choices, from the newest state or from any older one."""
    rng = case.random
    states = [Follower.fresh(case, case.examples(3), capacity)]
    for _ in range(25):
        follower = states[-1] if rng.random() < 0.6 else rng.choice(states)
        if rng.random() < 0.35:
            count = len(follower.rows)
            states.append(follower.select([rng.randrange(count) for _ in range(rng.randint(1, 5))]))
        elif max(len(row.written) for row in follower.rows) < 40:
            states.append(follower.random_step(ragged=rng.random() < 0.3))


def test_greedy_tokens_are_the_same_step_by_step_and_from_the_whole_sequence_in_float32(case: Case) -> None:
    case = case.to(torch.float32)
    side, head = case.inputs.written, case.session().head
    [example] = case.examples(1)
    stepped = case.tokens(1)
    recomputed = list(stepped)
    state = case.start([example])
    for _ in range(20):
        hidden, state = case.step([stepped[-1:]], state)
        stepped.append(best(head, hidden[0, -1]))
        recomputed.append(best(head, case.whole([{**example, side: recomputed}])[0][-1]))
    assert stepped == recomputed


@pytest.mark.parametrize("form", ["bfloat16", "integers"])
def test_rounded_models_step_as_they_read_the_whole(case: Case, form: str) -> None:
    """To what their rounding explains: one step of it in each of a few dozen values on the way."""
    if form == "integers" and not multiplies_int8():
        pytest.skip("this processor has no instructions for it")
    case = case.to(torch.bfloat16 if form == "bfloat16" else torch.float32)
    if form == "integers":
        quantise(case.model)
    examples = case.examples(3)
    state = case.start(examples).select(torch.tensor([0, 0, 1, 1, 2, 2]))
    rows = [case.tokens(6) for _ in range(6)]
    for place, order in enumerate(([0, 1, 2, 3, 4, 5], [1, 1, 3, 2, 4, 4], [1, 0, 2, 3, 5, 4])):
        state = state.select(torch.tensor(order))
        rows = [rows[origin] for origin in order]
        hidden, state = case.step([row[2 * place : 2 * place + 2] for row in rows], state)
    side = case.inputs.written
    whole = case.whole([{**examples[row // 2], side: rows[row]} for row in range(6)])
    expected = torch.stack([vectors[4:6] for vectors in whole]).float()
    squares = (hidden.float() - expected).square()
    if case.family.regroups:  # rounding hands a token to another expert now and then
        squares = squares.mean(-1).median()
    assert squares.mean().sqrt() < 0.1 * expected.std()


@torch.no_grad()
def best(head: Any, hidden: Tensor) -> int:
    return int(head(hidden).argmax())
