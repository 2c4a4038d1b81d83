"""Texts of different lengths read in common rows: each as if it were alone."""

import numpy as np
import pytest
import torch
from torch import Tensor

from keifu.data.batches import length_mask
from keifu.interface import TokenBatch
from keifu.layers import packing as module
from keifu.layers.packing import packing_of
from keifu.layers.quantised import multiplies_int8, quantise
from keifu.models.bert import Bert, Config
from keifu.trace import Recorder

LENGTHS = np.random.default_rng(0).integers(1, 90, 40)


def model() -> Bert:
    torch.manual_seed(0)
    return Bert(Config(vocab_size=50, max_length=100, d_model=16, n_layers=2, n_heads=2, d_ff=32)).eval()


def batch(lengths: np.ndarray) -> TokenBatch:
    mask = length_mask(lengths)
    dice = torch.Generator().manual_seed(1)
    tokens = torch.randint(1, 50, mask.shape, generator=dice).masked_fill(~mask, 0)
    segments = (torch.rand(mask.shape, generator=dice) < 0.5).long()
    return TokenBatch(tokens, mask, None, segments)


def alone(network: Bert, inputs: TokenBatch) -> list[Tensor]:
    assert inputs.segments is not None
    rows = zip(inputs.tokens, inputs.mask, inputs.segments, strict=True)
    return [
        network(TokenBatch(tokens[real][None], real[real][None], None, segments[real][None])).hidden[0]
        for tokens, real, segments in rows
    ]


@torch.no_grad()
def test_each_text_is_read_as_if_it_were_alone() -> None:
    network, inputs = model().double(), batch(LENGTHS)
    assert packing_of(inputs.mask) is not None
    for row, real, expected in zip(network(inputs).hidden, inputs.mask, alone(network, inputs), strict=True):
        torch.testing.assert_close(row[real], expected, rtol=0, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("form", ["bfloat16", "integers"])
def test_rounded_models_read_packed_texts_as_well(form: str) -> None:
    network, inputs = model(), batch(LENGTHS)
    if form == "integers":
        if not multiplies_int8():
            pytest.skip("this processor has no instructions for it")
        quantise(network)
    else:
        network.bfloat16()
    for row, real, expected in zip(network(inputs).hidden, inputs.mask, alone(network, inputs), strict=True):
        torch.testing.assert_close(row[real].float(), expected.float(), rtol=0, atol=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_every_token_stands_once_in_a_row_that_has_room_for_it(seed: int) -> None:
    lengths = np.random.default_rng(seed).integers(0, 200, 30)
    mask = length_mask(lengths)
    packing = packing_of(mask)
    assert packing is not None
    assert len(set(packing.back.tolist())) == len(packing.back) == lengths.sum()
    assert torch.equal(packing.taken[packing.back], mask.flatten().nonzero()[:, 0])
    rows, width = packing.mask.shape[0], packing.mask.shape[-1]
    assert width == max(64, lengths.max())
    assert rows * width < mask.numel()
    owner = mask.nonzero()[:, 0]
    row, place = packing.back // width, packing.back % width
    in_sight, same_row = packing.mask[row, 0, place][:, place], row[:, None] == row
    assert torch.equal(in_sight & same_row, owner[:, None] == owner)
    x = torch.randn(*mask.shape, 3)
    assert torch.equal(packing.unpack(packing.pack(x)), x.masked_fill(~mask[..., None], 0))


def test_rows_stay_as_they_are_where_nothing_is_gained_or_someone_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert packing_of(length_mask(np.array([9]))) is None
    assert packing_of(length_mask(np.array([9, 9, 9]))) is None
    network, inputs = model(), batch(LENGTHS)
    calls: list[Tensor] = []
    monkeypatch.setattr("keifu.models.bert.packing_of", lambda real: calls.append(real))
    network(inputs)  # with gradients
    with torch.no_grad():
        network.train()(inputs)
        network.eval()
        with Recorder(network, ["*"], None):
            network(inputs)
        assert not calls
        network(inputs)
    assert len(calls) == 1
    assert module.packing_of is packing_of
