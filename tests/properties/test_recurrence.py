"""Recurrent layers: written out and fused agree, as torch's own layers do; padding, state and direction mean what they
should.
"""

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from keifu.layers import recurrence
from keifu.layers.recurrence import CELLS, Elman, Recurrent, RecurrentState
from keifu.models import architecture
from keifu.trace import Recorder
from keifu.training.network import make_model
from tests.properties.cases import scatter
from tests.properties.test_gradients import check, normal
from tests.torch_layers import as_torch

DIRECTIONS = ("forward", "bidirectional", "alternating")
LENGTHS = torch.tensor([6, 3, 0, 1])
MASK = torch.arange(6) < LENGTHS[:, None]


def layers(cell: str, direction: str = "forward", n_layers: int = 3, **options: object) -> Recurrent:
    network = Recurrent(cell, 5, 7, n_layers, direction, **options).double()  # type: ignore[arg-type]
    scatter(network, 0)
    return network


def results(network: Recurrent, x: Tensor, mask: Tensor = MASK) -> list[Tensor]:
    """Outputs at real tokens, states, and the gradients of a function of both."""
    outputs, state = network(x, mask)
    found = [outputs[mask], *(part for parts in state.layers for part in parts)]
    total = sum(each.sin().sum() for each in found)
    gradients = torch.autograd.grad(total, [x, *network.parameters()])  # type: ignore[arg-type]
    return [*found, *gradients]


FORMS = [*product(CELLS, DIRECTIONS, ("tanh",)), ("rnn", "forward", "relu")]


@pytest.mark.parametrize(("cell", "direction", "nonlinearity"), FORMS, ids=str)
def test_both_forms_agree_in_values_and_gradients(cell: str, direction: str, nonlinearity: str) -> None:
    network = layers(cell, direction, learned_start=True, nonlinearity=nonlinearity)
    x = normal(4, 6, 5)
    fused = results(network, x)
    with Recorder(network) as recorder:
        written_out = results(network, x)
    assert recorder.values()
    for one, other in zip(fused, written_out, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("cell", "direction", "nonlinearity"), FORMS, ids=str)
def test_rows_of_one_length_give_the_same_by_the_library_and_by_the_loop(
    cell: str, direction: str, nonlinearity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []
    real = recurrence.library
    monkeypatch.setattr(recurrence, "library", lambda *inputs: called.append(inputs[0]) or real(*inputs))
    network = layers(cell, direction, learned_start=True, nonlinearity=nonlinearity)
    x, even = normal(4, 6, 5), torch.ones(4, 6, dtype=torch.bool)
    found = []
    for library in (True, False):
        monkeypatch.setattr(CELLS[cell], "library_is_faster_on_cpu", library)
        called.clear()
        found.append(results(network, x, even))
        assert bool(called) is library
        results(network, x)
        assert len(called) == (6 if direction == "bidirectional" else 3) * library  # not for rows of several lengths
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_derivatives_by_hand_have_none_of_their_own_and_say_so(cell: str) -> None:
    x = normal(4, 6, 5)
    outputs, _ = layers(cell)(x, MASK)
    (slope,) = torch.autograd.grad(outputs[MASK].sin().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.square().sum().backward()


@pytest.mark.parametrize("cell", CELLS)
def test_both_forms_have_gradients_like_finite_differences(cell: str) -> None:
    def run(network: Recurrent, x: Tensor) -> list[Tensor]:
        outputs, state = network(x, MASK[:3, :4])
        return [outputs * MASK[:3, :4, None], *(part for parts in state.layers for part in parts)]

    check(Recurrent(cell, 3, 2, 2, "bidirectional", learned_start=True), run, normal(3, 4, 3))
    network = Recurrent(cell, 3, 2, 2, "alternating")
    check(network, lambda network, x: _recorded(network, x), normal(3, 4, 3))


def _recorded(network: Recurrent, x: Tensor) -> Tensor:
    with Recorder(network):
        outputs: Tensor = network(x)[0]
    return outputs


@pytest.mark.parametrize(("cell", "direction"), [*product(CELLS, DIRECTIONS[:2])], ids=str)
def test_they_compute_what_torch_computes(cell: str, direction: str) -> None:
    network = layers(cell, direction)
    theirs = as_torch(network, cell, direction == "bidirectional")
    x = normal(4, 6, 5)
    real = LENGTHS > 0  # torch packs no empty rows
    packed = nn.utils.rnn.pack_padded_sequence(x[real], LENGTHS[real], batch_first=True, enforce_sorted=False)
    expected, last = theirs(packed)
    expected, _ = nn.utils.rnn.pad_packed_sequence(expected, batch_first=True, total_length=6)
    outputs, state = network(x, MASK)
    torch.testing.assert_close(outputs[MASK], expected[MASK[real]], rtol=0, atol=1e-12)
    for number, part in enumerate(last if cell == "lstm" else (last,)):
        ours = torch.cat([parts[number] for parts in state.layers], dim=1)
        torch.testing.assert_close(ours[real], part.transpose(0, 1), rtol=0, atol=1e-12)
    assert not any(part[~real].any() for parts in state.layers for part in parts)  # nothing read: still zero


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("recorded", [False, True])
def test_a_sequence_may_be_cut_anywhere(cell: str, recorded: bool) -> None:
    network = layers(cell, learned_start=True)
    x = normal(2, 6, 5)
    whole, end = network(x)
    for place in range(7):
        state: RecurrentState | None = None
        pieces = []
        for piece in (x[:, :place], x[:, place:]):
            if recorded and piece.shape[1]:
                with Recorder(network):
                    outputs, state = network(piece, None, state)
            elif piece.shape[1]:
                outputs, state = network(piece, None, state)
            else:
                continue
            pieces.append(outputs)
        assert state is not None
        torch.testing.assert_close(torch.cat(pieces, dim=1), whole, rtol=0, atol=1e-12)
        for one, other in zip(state.layers, end.layers, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_layers_read_in_the_direction_that_was_asked_for() -> None:
    """Which inputs an output depends on: those before it, all, or, with two alternating layers, all again."""
    for direction, n_layers, expected in (
        ("forward", 2, torch.ones(6, 6).tril()),
        ("alternating", 1, torch.ones(6, 6).tril()),
        ("alternating", 2, torch.ones(6, 6)),
        ("bidirectional", 1, torch.ones(6, 6)),
    ):
        network = layers("gru", direction, n_layers)
        jacobian = torch.autograd.functional.jacobian(lambda x, net=network: net(x)[0].sum((0, 2)), normal(1, 6, 5))
        assert torch.equal((jacobian[:, 0].abs().sum(-1) > 0).double(), expected.double())


def test_what_is_recorded_stands_in_the_order_of_time_and_can_be_edited() -> None:
    network = layers("lstm", "bidirectional", 1)
    x = normal(1, 6, 5)
    with Recorder(network) as recorder:
        outputs, _ = network(x)
    values = recorder.values()
    for way, name in enumerate(("layers.0.0", "layers.0.1")):
        hidden = values[f"{name}.hidden"]
        assert hidden.axes == "T B N"
        torch.testing.assert_close(hidden.value[:, 0], outputs[0, :, 7 * way : 7 * (way + 1)], rtol=0, atol=0)
    with Recorder(network, edits={"layers.0.*.input_gate": torch.zeros_like}):
        closed, _ = network(x)
    assert not closed.any()  # nothing ever enters a cell


def test_bfloat16_errs_by_what_rounding_explains() -> None:
    for cell in CELLS:
        network = layers(cell).float()
        x = torch.randn(4, 6, 5)
        exact = network(x)[0]
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(x)[0]
        assert rounded.dtype == torch.float32
        assert (rounded - exact).abs().max() < 0.03
        assert network.bfloat16()(x.bfloat16())[0].dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["rnn", "rnn-attention", "rnn-seq2seq", "rnn-seq2seq-attention"])
def test_the_nonlinearity_and_a_learned_start_are_settings(name: str) -> None:
    config = architecture(name).Config(
        name=name, vocab_size=9, d_model=4, n_layers=1, nonlinearity="relu", learned_start=True
    )
    model = make_model(config)
    blocks = [module for module in model.modules() if isinstance(module, Elman)]
    assert {block.kind for block in blocks} == {"relu"}
    starts = [module.start for module in model.modules() if isinstance(module, Recurrent)]
    assert any(start is not None for start in starts)
    with pytest.raises(ValueError, match="nonlinearity relu goes with an rnn alone"):
        architecture(name).Config(name=name.replace("rnn", "gru"), nonlinearity="relu")
