"""Recurrent networks that read forward, both ways, or forward and backward in turn: what each vector knows."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from keifu.interface import TokenBatch
from keifu.models import recurrent
from keifu.models.recurrent import RecurrentNetwork
from keifu.tasks.reading import last_of
from keifu.trace import Recorder
from tests.properties.cases import scatter

WORDS, LENGTHS = 12, (7, 1, 4)
CELLS = [("rnn", "tanh"), ("rnn", "relu"), ("gru", "tanh"), ("lstm", "tanh")]
DIRECTIONS = ["forward", "bidirectional", "alternating"]


@pytest.fixture(params=product(CELLS, DIRECTIONS, [1, 2, 3]), ids=str)
def model(request: pytest.FixtureRequest) -> RecurrentNetwork:
    (name, nonlinearity), direction, n_layers = request.param
    sizes: dict[str, Any] = {"vocab_size": WORDS, "d_model": 9, "d_hidden": 7, "n_layers": n_layers}
    choices = {"direction": direction, "nonlinearity": nonlinearity, "learned_start": True, "tie_embeddings": False}
    torch.manual_seed(0)
    made = RecurrentNetwork(recurrent.Config(name=name, **sizes, **choices)).double().eval()
    scatter(made, 1)
    return made


def batch(*lengths: int, filler: int = 0) -> TokenBatch:
    """Rows of so many tokens, each the same whoever stands beside it; `filler` is what its padding is."""
    tokens = torch.full((len(lengths), max(lengths)), filler)
    for row, length in enumerate(lengths):
        tokens[row, :length] = (torch.arange(length) * 5 + length) % WORDS
    return TokenBatch(tokens, torch.arange(max(lengths))[None, :] < torch.tensor(lengths)[:, None])


def known(model: RecurrentNetwork, length: int) -> list[Tensor]:
    """Of each part of the output, which inputs `[T]` each position `[T]` may know."""
    past = torch.ones(length, length).tril().bool()
    everything = torch.ones_like(past)
    turned = model.config.n_layers > 1
    match model.config.direction:
        case "bidirectional":
            return [everything, everything] if turned else [past, past.T]
        case "alternating":
            return [everything if turned else past]
        case _:
            return [past]


def test_each_part_knows_what_it_has_read_and_nothing_else(model: RecurrentNetwork) -> None:
    inputs = batch(6)
    vectors = model.embedding(inputs.tokens).detach()
    dependence = torch.autograd.functional.jacobian(lambda x: model.recurrent(x)[0][0], vectors)
    parts = dependence.chunk(len(model.backward_parts), dim=1)  # [T, N, B, S, D]
    for part, expected in zip(parts, known(model, 6), strict=True):
        found = part.abs().sum((1, 2, 4)) > 0
        assert torch.equal(found & expected, found)
        if model.config.nonlinearity != "relu":  # which may be zero all over, and knows nothing then
            assert torch.equal(found, expected)


@torch.no_grad()
def test_neither_neighbours_nor_padding_matter(model: RecurrentNetwork) -> None:
    together, others = (model(batch(*LENGTHS, filler=filler)) for filler in (3, 8))
    for row, length in enumerate(LENGTHS):
        alone = model(batch(length))
        for found in (together, others):
            torch.testing.assert_close(found.hidden[row, :length], alone.hidden[0], rtol=0, atol=1e-12)
            for name, value in found.state.tensors().items():
                torch.testing.assert_close(value[row], alone.state.tensors()[name][0], rtol=0, atol=1e-12)


@torch.no_grad()
def test_reading_ends_with_the_states_of_the_last_layer(model: RecurrentNetwork) -> None:
    read = model(batch(*LENGTHS))
    ends = last_of(read.hidden, torch.tensor(LENGTHS), model.backward_parts)
    torch.testing.assert_close(ends, read.state.layers[-1][0].flatten(1), rtol=0, atol=1e-12)


@torch.no_grad()
def test_what_is_recorded_is_what_is_computed_and_has_the_sizes_of_its_axes(model: RecurrentNetwork) -> None:
    inputs, config = batch(*LENGTHS), model.config
    with Recorder(model) as recorder:
        hidden = model(inputs).hidden
    torch.testing.assert_close(hidden[inputs.mask], model(inputs).hidden[inputs.mask], rtol=0, atol=1e-12)
    sizes = {"B": len(LENGTHS), "T": max(LENGTHS), "D": config.d_model, "N": config.d_hidden, "R": 2}
    values = recorder.values()
    for name, recorded in values.items():
        found = dict(zip(recorded.letters, recorded.value.shape, strict=True))
        assert found == {letter: sizes[letter] for letter in found}, name
    top = config.n_layers - 1
    states = [values[f"recurrent.layers.{top}.{way}.hidden"] for way in range(len(model.backward_parts))]
    assert torch.equal(
        torch.cat([state.value for state in states], dim=-1).transpose(0, 1)[inputs.mask], hidden[inputs.mask]
    )
