"""Attention: the written-out and the fused form are one function, masked positions count for nothing."""

import math

import pytest
import torch
from torch import Tensor, nn

from keifu.layers import attention as layer
from keifu.layers.attention import (
    MultiHeadAttention,
    attend,
    attention,
    causal_mask,
    for_steps,
    padding_mask,
    past_mask,
    scaled_dot_product,
)
from keifu.layers.rotary import RotaryPosition, rotated
from keifu.trace import Recorder

FORMS = ("fused", "written out", "written out, causal")
TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 3e-2}


def _masks(queries: int, keys: int) -> dict[str, Tensor | None]:
    generator = torch.Generator().manual_seed(queries * 100 + keys)
    real = torch.arange(keys) < torch.tensor([keys, max(1, keys - 3)])[:, None]
    random = torch.rand(2, 1, queries, keys, generator=generator) < 0.6
    random[0, 0, 0] = False
    per_head = torch.rand(2, 3, queries, keys, generator=generator) < 0.6
    return {
        "none": None,
        "causal": causal_mask(queries, keys, torch.device("cpu")),
        "padding": padding_mask(real),
        "causal and padding": causal_mask(queries, keys, torch.device("cpu")) & padding_mask(real),
        "random, one row full of nothing": random,
        "a head": per_head,
        "one sentence full of nothing": padding_mask(torch.arange(keys) < torch.tensor([keys, 0])[:, None]),
        "nothing at all": torch.zeros(1, 1, queries, keys, dtype=torch.bool),
    }


SHAPES = [(5, 5), (1, 7), (4, 9), (6, 2), (1, 1)]
MASKS = list(_masks(1, 1))


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer, "_fused_is_faster", lambda query, key: request.param == "fused")
    monkeypatch.setattr(layer, "_short", lambda query, key: request.param.endswith("causal"))


def _vectors(queries: int, keys: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(queries + keys)
    shapes = ((2, 3, queries, 4), (2, 3, keys, 4), (2, 3, keys, 4))
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_() for shape in shapes]


def _by_the_book(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Equation (1), one row and one head at a time, over the allowed keys alone."""
    allowed = torch.ones(query.shape[:3] + key.shape[2:3], dtype=torch.bool)
    if mask is not None:
        allowed = allowed & mask
    rows = []
    for b, h, t in torch.ones(query.shape[:3]).nonzero().tolist():
        keys = allowed[b, h, t].nonzero().squeeze(1)
        likeness = (key[b, h, keys] * query[b, h, t]).sum(-1) / math.sqrt(query.shape[-1])
        exponents = likeness.exp()
        weights = exponents / exponents.sum() if len(keys) else exponents
        rows.append((weights[:, None] * value[b, h, keys]).sum(0))
    return torch.stack(rows).view(*query.shape[:3], -1)


def _with_gradients(result: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    probe = torch.randn(result.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradients = torch.autograd.grad((result.double() * probe).sum(), inputs)
    return [value.detach().double() for value in (result, *gradients)]


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("mask", MASKS)
def test_both_forms_equal_the_equation_in_values_and_gradients(
    form: None, mask: str, shape: tuple[int, int], dtype: torch.dtype
) -> None:
    allowed = _masks(*shape)[mask]
    vectors = _vectors(*shape, dtype)
    found = _with_gradients(attention(*vectors, allowed, at=nn.Module()), vectors)
    exact = [vector.detach().double().requires_grad_() for vector in vectors]
    expected = _with_gradients(_by_the_book(*exact, allowed), exact)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("mask", ["one sentence full of nothing", "nothing at all", "random, one row full of nothing"])
def test_a_row_that_may_attend_to_nothing_gives_exactly_zero(form: None, mask: str, dtype: torch.dtype) -> None:
    allowed = _masks(5, 5)[mask]
    assert allowed is not None
    vectors = _vectors(5, 5, dtype)
    result = attention(*vectors, allowed, at=nn.Module())
    nothing = ~allowed.any(-1).expand(result.shape[:-1])
    assert nothing.any()
    assert torch.equal(result[nothing], torch.zeros_like(result[nothing]))
    for gradient in torch.autograd.grad(result.sum(), vectors):
        assert gradient.isfinite().all()


def test_weights_sum_to_one_over_the_allowed_keys() -> None:
    query, key, value = _vectors(5, 5)
    for name, mask in _masks(5, 5).items():
        weights, result = attend(scaled_dot_product(query, key), value, mask, at=nn.Module())
        allowed = torch.ones_like(weights, dtype=torch.bool) if mask is None else mask.expand(weights.shape)
        assert (weights[~allowed] == 0).all(), name
        torch.testing.assert_close(weights.sum(-1), allowed.any(-1).double(), rtol=0, atol=1e-12)
        torch.testing.assert_close(weights @ value, result, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("dtype", "queries", "keys", "faster"),
    [
        (torch.float32, 16, 16, True),
        (torch.float32, 4, 30, False),
        (torch.float32, 4, 20, True),
        (torch.float32, 2, 300, False),
        (torch.float32, 1, 300, True),
        (torch.bfloat16, 16, 16, False),
        (torch.bfloat16, 300, 300, True),
    ],
)
def test_recording_takes_the_written_out_form_and_nothing_else_does_where_the_kernel_is_faster(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, queries: int, keys: int, faster: bool
) -> None:
    fused = []
    kernel = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        layer.F, "scaled_dot_product_attention", lambda *args, **kwargs: fused.append(1) or kernel(*args, **kwargs)
    )
    at = nn.Module()
    vectors = [torch.randn(1, 1, length, 4, dtype=dtype) for length in (queries, keys, keys)]
    with Recorder(at) as recorder:
        attention(*vectors, None, at=at)
    assert not fused
    assert list(recorder.values()) == ["scores", "weights"]
    attention(*vectors, None, at=at)
    assert len(fused) == faster


@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (4, 4), (1, 6), (2, 6), (6, 6)])
def test_the_last_queries_see_keys_up_to_their_own_place(queries: int, keys: int) -> None:
    mask = causal_mask(queries, keys, torch.device("cpu"))
    expected = [[s <= keys - queries + t for s in range(keys)] for t in range(queries)]
    assert mask.tolist() == expected


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("queries", [1, 3])
def test_a_row_of_a_group_sees_its_own_past_and_no_stranger_s(size: int, queries: int) -> None:
    """By the definition, one query and one key at a time: 2 groups, 4 older keys, then the newest of every row."""
    older, rows = 4, 2 * size
    newest = torch.eye(size, dtype=torch.bool).repeat(2, 1).repeat_interleave(queries, 1)
    past = torch.cat([torch.rand(rows, older, generator=torch.Generator().manual_seed(size)) < 0.6, newest], dim=1)
    mask = past_mask(past, queries, past.shape[1], 2, torch.device("cpu"))
    assert mask is not None
    for row in range(rows):
        for query in range(queries):
            upto = [older + row % size * queries + key for key in range(query + 1)]
            expected = [key for key in range(older) if past[row, key]] + upto
            found = mask[row // size, 0, row % size * queries + query].nonzero().squeeze(1).tolist()
            assert found == expected


def test_what_is_asked_at_every_step_stands_in_one_piece_and_not_in_bfloat16() -> None:
    memory = torch.randn(2, 5, 3, 4).transpose(1, 2)
    for dtype, kept in (
        (torch.float64, torch.float64),
        (torch.float32, torch.float32),
        (torch.bfloat16, torch.float32),
    ):
        found = for_steps(memory.to(dtype))
        assert found.dtype == kept
        assert found.is_contiguous()
        assert torch.equal(found, memory.to(dtype).to(kept))


def test_every_query_sees_every_real_key() -> None:
    real = torch.tensor([[True, True, False], [True, False, False]])
    assert padding_mask(real).expand(2, 4, 5, 3)[1, 2, 3].tolist() == [True, False, False]


def test_self_attention_commutes_with_permutation(form: None) -> None:
    layer = MultiHeadAttention(6, 2, 3).double()
    x = torch.randn(2, 7, 6, dtype=torch.float64)
    order = torch.randperm(7)
    real = torch.arange(7) < torch.tensor([7, 5])[:, None]

    def run(x: Tensor, real: Tensor) -> Tensor:
        result: Tensor = layer(x, *layer.keys_values(x), padding_mask(real))
        return result

    torch.testing.assert_close(run(x[:, order], real[:, order]), run(x, real)[:, order], rtol=0, atol=1e-12)


def test_the_order_of_keys_does_not_matter(form: None) -> None:
    query, key, value = _vectors(4, 9)
    order = torch.randperm(9)
    for mask in _masks(4, 9).values():
        turned = None if mask is None else (mask if mask.dim() == 4 else mask[None, None])[..., order]
        one = attention(query, key, value, mask, at=nn.Module())
        other = attention(query, key[:, :, order], value[:, :, order], turned, at=nn.Module())
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_heads_work_side_by_side() -> None:
    """Several heads equal one head after another, each with its slice of every matrix."""
    layer = MultiHeadAttention(6, 3, 2).double()
    x, memory = torch.randn(2, 4, 6, dtype=torch.float64), torch.randn(2, 5, 6, dtype=torch.float64)
    expected: Tensor = layer.output.bias
    for head in range(3):
        part = slice(2 * head, 2 * head + 2)
        query, key, value = (
            (given @ side.weight[part].T + side.bias[part])[:, None]
            for given, side in ((x, layer.query), (memory, layer.key), (memory, layer.value))
        )
        expected = expected + _by_the_book(query, key, value, None)[:, 0] @ layer.output.weight[:, part].T
    torch.testing.assert_close(layer(x, *layer.keys_values(memory), None), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("mask", ["none", "causal", "padding"])
@pytest.mark.parametrize("shape", [(1, 7), (5, 5)])
def test_heads_that_share_keys_are_heads_with_copies_of_them(form: None, shape: tuple[int, int], mask: str) -> None:
    allowed = _masks(*shape)[mask]
    query, key, value = (torch.randn(2, heads, length, 4, dtype=torch.float64) for heads, length in _shared(shape))
    copies = [each.repeat_interleave(3, dim=1) for each in (key, value)]
    expected = _by_the_book(query, *copies, allowed)
    torch.testing.assert_close(attention(query, key, value, allowed, at=nn.Module()), expected, rtol=0, atol=1e-12)
    at = nn.Module()
    with Recorder(at) as recorder:
        recorded = attention(query, key, value, allowed, at=at)
    torch.testing.assert_close(recorded, expected, rtol=0, atol=1e-12)
    assert recorder.values()["weights"].value.shape == (2, 6, *shape)


def _shared(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Heads and lengths of queries, keys and values."""
    return [(6, shape[0]), (2, shape[1]), (2, shape[1])]


def test_turned_vectors_know_how_far_apart_they_stand_and_nothing_else() -> None:
    position = RotaryPosition(6, 100.0).double()
    query, key = (torch.randn(1, 1, 1, 6, dtype=torch.float64) for _ in range(2))
    turned = [rotated(x.expand(1, 1, 20, 6), position(20)) for x in (query, key)]
    scores = (turned[0] @ turned[1].transpose(-1, -2))[0, 0]
    for distance in range(-19, 20):
        along = scores.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), rtol=0, atol=1e-12)
    assert scores[0].unique().numel() > 15
    torch.testing.assert_close(turned[0].norm(dim=-1), query.norm().expand(1, 1, 20), rtol=0, atol=1e-12)
    for i, j in ((0, 3), (1, 4), (2, 5)):  # the definition: pair i turns by p 100^(-2i/A)
        angle = 7 * 100.0 ** (-2 * i / 6)
        expected = query[..., i] * math.cos(angle) - query[..., j] * math.sin(angle)
        torch.testing.assert_close(turned[0][0, 0, 7, i], expected.squeeze(), rtol=0, atol=1e-12)
