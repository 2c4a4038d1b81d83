"""Alignment errors count exactly the words whose attention was planted on a wrong one."""

import pytest
import torch
from torch import Tensor, nn

from keifu.data.examples import Alignment, Pair
from keifu.interface import PairBatch
from keifu.session import Model
from keifu.tasks.alignment import alignment_errors
from keifu.tasks.translation import Translation
from keifu.text import Tokenizer
from keifu.trace import record
from tests.tiny import JAPANESE, pairs


class Attention(nn.Module):
    pass


class Planted(nn.Module):
    """A model of which nothing is known but its attention: weights [L, H, T, S] for each source text."""

    def __init__(self, task: Translation, plans: dict[str, Tensor], layers: int) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        blocks = [nn.ModuleDict({"cross_attention": Attention()}) for _ in range(layers)]
        self.decoder = nn.ModuleList(blocks)
        self._task, self._plans = task, plans

    def forward(self, batch: PairBatch) -> None:
        rows = [self._plans[self._task.tokenizer.decode(row.tolist())] for row in batch.source]
        width = (batch.target.shape[1], batch.source.shape[1])
        for layer, block in enumerate(self.decoder):
            weights = torch.full((len(rows), rows[0].shape[1], *width), -9.0)  # what lies under padding must not matter
            for row, plan in enumerate(rows):
                weights[row, :, : plan.shape[2], : plan.shape[3]] = plan[layer]
            record(block["cross_attention"], "weights", weights, "B H T S")


def spans(words: list[str], text: str) -> tuple[tuple[int, int], ...]:
    found, begin = [], 0
    for word in words:
        begin = text.index(word, begin)
        found.append((begin, begin + len(word)))
        begin += len(word)
    return tuple(found)


def pair(source: str, target: str, source_words: str, target_words: str, links: set[tuple[int, int]]) -> Pair:
    alignment = Alignment(spans(source_words.split(), source), spans(target_words.split(), target), frozenset(links))
    return Pair(source, target, (), alignment)


def character_task(*texts: str) -> Translation:
    return Translation(Tokenizer.train(texts, "character", 200))


# "ab c" has the words ab, c; "XY Z" the words XY, Z. Rows are X Y _ Z [EOS], columns a b _ c [EOS].
CROSSED = pair("ab c", "XYZ", "ab c", "XY Z", {(0, 1), (1, 0)})
TASK = character_task("ab c", "XYZ", "d", "W")


def errors(layers: list[list[Tensor]], example: Pair = CROSSED) -> list[float]:
    plan = torch.stack([torch.stack(heads) for heads in layers])
    model = Planted(TASK, {example.source: plan}, len(layers))
    return list(alignment_errors(model, TASK, [example]).values())


def rows(*values: list[float]) -> Tensor:
    return torch.tensor(values)


RIGHT = rows([0.1, 0.1, 0.1, 0.7, 0], [0.1, 0.1, 0.1, 0.7, 0], [0.4, 0.4, 0, 0.2, 0], [0, 0, 0, 0, 1])
WRONG = rows([0.4, 0.4, 0, 0.2, 0], [0.4, 0.4, 0, 0.2, 0], [0.1, 0.1, 0.1, 0.7, 0], [0, 0, 0, 0, 1])
HALF = rows([0.1, 0.1, 0.1, 0.7, 0], [0.1, 0.1, 0.1, 0.7, 0], [0.1, 0.1, 0.1, 0.7, 0], [0, 0, 0, 0, 1])


def test_each_layer_has_its_own_share_of_wrong_words() -> None:
    assert errors([[RIGHT], [WRONG], [HALF]]) == [0.0, 1.0, 0.5]


def test_weights_of_the_pieces_of_a_source_word_are_summed() -> None:
    # For Z, c has the largest single weight, but a and b together have more.
    summed = rows([0, 0, 0, 1, 0], [0, 0, 0, 1, 0], [0.3, 0.3, 0, 0.4, 0], [0, 0, 0, 0, 1])
    assert errors([[summed]]) == [0.0]


def test_rows_of_the_pieces_of_a_target_word_are_taken_together() -> None:
    # X alone would choose ab, but X and Y together choose c.
    together = rows([0.3, 0.3, 0, 0.4, 0], [0, 0, 0, 1, 0], [0.5, 0.5, 0, 0, 0], [0, 0, 0, 0, 1])
    alone = rows([0.3, 0.3, 0, 0.4, 0], [0.5, 0.5, 0, 0, 0], [0.5, 0.5, 0, 0, 0], [0, 0, 0, 0, 1])
    assert errors([[together], [alone]]) == [0.0, 0.5]


def test_weights_on_the_begin_of_a_source_are_left_out() -> None:
    task = Translation(TASK.tokenizer, begins_source=True)
    shifted = torch.cat([torch.full((4, 1), 0.9), WRONG], dim=1)
    model = Planted(task, {CROSSED.source: shifted[None, None]}, 1)
    assert list(alignment_errors(model, task, [CROSSED]).values()) == [1.0]
    model = Planted(task, {CROSSED.source: torch.cat([shifted[:, :1], RIGHT], dim=1)[None, None]}, 1)
    assert list(alignment_errors(model, task, [CROSSED]).values()) == [0.0]


def test_heads_are_averaged() -> None:
    strong = rows([0, 0, 0, 1, 0], [0, 0, 0, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1])
    weak = rows(*[[0.3, 0.3, 0, 0.4, 0]] * 2, [0.2, 0.2, 0, 0.6, 0], [0, 0, 0, 0, 1])
    assert errors([[strong, weak], [weak, strong], [weak, weak]]) == [0.0, 0.0, 1.0]


def test_row_t_is_the_step_that_predicts_token_t_and_eos_is_no_word() -> None:
    moved = torch.cat([RIGHT[-1:], RIGHT[:-1]])  # as if row t stood for the token that is read at t
    assert errors([[moved]])[0] > 0
    on_eos = RIGHT.clone()
    on_eos[2] = torch.tensor([0.02, 0.02, 0, 0.01, 0.95])  # weight on [EOS] chooses no word
    assert errors([[on_eos]]) == [0.0]


def test_words_without_a_link_are_not_scored_and_one_of_several_links_is_enough() -> None:
    one_link = pair("ab c", "XYZ", "ab c", "XY Z", {(0, 1)})
    two_links = pair("ab c", "XYZ", "ab c", "XY Z", {(0, 0), (0, 1), (1, 0)})
    no_link = pair("ab c", "XYZ", "ab c", "XY Z", set())
    assert errors([[RIGHT], [WRONG], [HALF]], one_link) == [0.0, 1.0, 0.0]
    assert errors([[RIGHT], [WRONG], [HALF]], two_links) == [0.0, 0.5, 0.5]
    assert errors([[RIGHT]], no_link) == [0.0]


def test_the_share_is_one_of_all_words_of_all_pairs_however_they_are_padded() -> None:
    short = pair("d", "W", "d", "W", {(0, 0)})
    plans = {"ab c": torch.stack([WRONG[None], HALF[None]]), "d": torch.ones(2, 1, 2, 2)}
    model = Planted(TASK, plans, 2)
    many = [CROSSED, short, short, CROSSED] * 33  # more than are computed at once
    assert list(alignment_errors(model, TASK, many).values()) == [pytest.approx(4 / 6), pytest.approx(2 / 6)]


def test_pairs_without_an_alignment_are_a_programmers_mistake() -> None:
    model = Planted(TASK, {"d": torch.ones(1, 1, 2, 2)}, 1)
    with pytest.raises(AssertionError, match="need pairs whose alignment is known"):
        alignment_errors(model, TASK, [Pair("d", "W")])


def words_of(example: Pair) -> Pair:
    """The pair with every word linked to its translation."""
    nouns = [word.strip(".") for word in example.source.split()]
    return pair(
        example.source,
        example.target,
        " ".join(nouns),
        " ".join([JAPANESE[nouns[0]], *(JAPANESE[word] for word in nouns[2::2]), JAPANESE[nouns[1]]]),
        {(0, 0), *((1 + place, 2 + 2 * place) for place in range(len(nouns[2::2]))), (1 + len(nouns[2::2]), 1)},
    )


def test_a_trained_model_attends_to_the_words_that_it_translates(model: Model) -> None:
    examples = [words_of(example) for example in pairs(40, seed=3)]
    (error,) = alignment_errors(model.network, model.task, examples).values()
    assert error < 0.5  # a choice at random among four to nine words is wrong more often
