"""Products with weight matrices: their forms agree, and eight-bit integers err by what rounding explains."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from keifu.layers.attention import MultiHeadAttention
from keifu.layers.heads import VocabularyHead
from keifu.layers.linear import Linear, affine
from keifu.layers.quantised import QuantisedHead, QuantisedLinear, multiplies_int8, quantise

SHAPES = [(1, 8), (5, 8), (2, 3, 8), (0, 8), (2, 0, 8)]
needs_int8 = pytest.mark.skipif(not multiplies_int8(), reason="this processor has no instructions for it")


def _layer(outputs: int = 6, bias: bool = True) -> tuple[Tensor, Tensor | None]:
    generator = torch.Generator().manual_seed(outputs)
    weight = torch.randn(outputs, 8, generator=generator)
    return weight, torch.randn(outputs, generator=generator) if bias else None


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_a_product_is_that_of_torch_with_gradients_and_without(
    dtype: torch.dtype, shape: tuple[int, ...], bias: bool
) -> None:
    weight, offset = (None if part is None else part.to(dtype) for part in _layer(bias=bias))
    assert weight is not None
    x = torch.randn(shape, dtype=dtype)
    expected = F.linear(x, weight, offset)
    with torch.no_grad():
        torch.testing.assert_close(affine(x, weight, offset), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(affine(x, weight.requires_grad_(), offset), expected, rtol=0, atol=0)
    [gradient] = torch.autograd.grad(affine(x, weight, offset).sum(), weight)
    torch.testing.assert_close(gradient, x.flatten(0, -2).sum(0).expand_as(weight))


def test_autocast_is_heard() -> None:
    weight, bias = _layer()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert affine(torch.randn(3, 8), weight, bias).dtype == torch.bfloat16


@needs_int8
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rounded_products_err_by_at_most_half_a_step_of_each_factor(shape: tuple[int, ...], bias: bool) -> None:
    weight, offset = _layer(40, bias)
    x = torch.randn(shape) * torch.logspace(-6, 6, 8)[torch.randperm(8)]
    found = QuantisedLinear(weight, offset)(x)
    expected = F.linear(x.double(), weight.double(), None if offset is None else offset.double())
    x_step, weight_step = x.abs().amax(-1, keepdim=True) / 254, weight.abs().amax(1) / 254
    bound = x_step * (weight.abs().sum(1) + 8 * weight_step) + weight_step * x.abs().sum(-1, keepdim=True)
    assert found.shape == expected.shape
    assert ((found - expected).abs() <= 1.001 * bound + 1e-6).all()


@needs_int8
def test_each_row_of_either_factor_is_rounded_to_the_nearest_of_its_own_steps() -> None:
    """A diagonal matrix shows every rounded value by itself."""
    scales = torch.logspace(-4, 4, 8)
    x = torch.randn(50, 8) * torch.logspace(-4, 4, 50)[:, None]
    found = QuantisedLinear(torch.diag(scales), None)(x) / scales
    assert ((found - x).abs() <= 1.001 * x.abs().amax(1, keepdim=True) / 254).all()


@needs_int8
def test_rounded_products_hang_on_nothing_else_in_the_batch() -> None:
    layer = QuantisedLinear(*_layer())
    x = torch.randn(7, 8)
    strangers = torch.cat([1000 * torch.randn(3, 8), x])
    torch.testing.assert_close(layer(strangers)[3:], layer(x), rtol=1e-6, atol=1e-6)
    for row, alone in zip(layer(x), x, strict=True):
        torch.testing.assert_close(layer(alone[None])[0], row, rtol=1e-6, atol=1e-6)


@needs_int8
def test_nothing_times_anything_is_nothing() -> None:
    weight, bias = _layer()
    assert bias is not None
    assert torch.equal(QuantisedLinear(weight, bias)(torch.zeros(2, 8)), bias.expand(2, -1))
    assert torch.equal(QuantisedLinear(torch.zeros_like(weight), bias)(torch.randn(2, 8)), bias.expand(2, -1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_a_product_of_one_vector_written_for_compilation_is_the_same(
    dtype: torch.dtype, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight, offset = (part if part is None else part.to(dtype) for part in _layer(40, bias))
    vector = torch.randn(1, 1, 8).to(dtype)
    expected = F.linear(vector, weight, offset)
    monkeypatch.setattr("torch.compiler.is_compiling", lambda: True)
    with torch.no_grad():
        torch.testing.assert_close(affine(vector, weight, offset), expected)


@needs_int8
def test_a_rounded_product_written_for_compilation_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, vectors = QuantisedLinear(*_layer(40)), [torch.randn(1, 8), torch.zeros(1, 8)]
    expected = [layer(vector) for vector in vectors]
    layer.unpack()
    monkeypatch.setattr("torch.compiler.is_compiling", lambda: True)
    for vector, result in zip(vectors, expected, strict=True):
        torch.testing.assert_close(layer(vector), result, rtol=1e-6, atol=1e-6)


@needs_int8
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_loss_in_integers_is_that_of_the_rounded_scores(smoothing: float) -> None:
    exact = VocabularyHead(torch.nn.Parameter(torch.randn(50, 8)))
    head, hidden = QuantisedHead(exact), torch.randn(1100, 8)  # more than are computed at a time
    targets = torch.randint(50, (1100,), generator=torch.Generator().manual_seed(0))
    logs = head(hidden).log_softmax(-1)
    plain = -logs[torch.arange(1100), targets].sum()
    smoothed = (1 - smoothing) * plain - smoothing * logs.mean(-1).sum()
    torch.testing.assert_close(
        torch.stack(head.cross_entropy(hidden, targets, smoothing)), torch.stack([smoothed, plain])
    )
    assert not torch.isclose(plain, exact.cross_entropy(hidden, targets, smoothing)[1], rtol=1e-5)


@needs_int8
@pytest.mark.parametrize("bias", [True, False])
def test_query_key_and_value_of_one_sequence_are_one_product_and_the_same(bias: bool) -> None:
    attention = MultiHeadAttention(8, 4, 2, n_kv_heads=2, bias=bias)
    model = torch.nn.ModuleDict({"self_attention": attention, "cross_attention": MultiHeadAttention(8, 4, 2)})
    x = torch.randn(2, 3, 8)
    apart = [QuantisedLinear(part.weight, part.bias) for part in (attention.query, attention.key, attention.value)]
    quantise(model)
    assert [name for name, _ in attention.named_children()] == ["output", "merged"]
    for found, part in zip(attention.queries_keys_values(x), apart, strict=True):
        torch.testing.assert_close(found.transpose(1, 2).flatten(2), part(x), rtol=1e-6, atol=1e-6)
    assert model["cross_attention"].merged is None
    assert isinstance(model["cross_attention"].query, QuantisedLinear)


@needs_int8
def test_every_linear_layer_is_replaced_and_nothing_else() -> None:
    inner = torch.nn.Sequential(Linear(8, 8), torch.nn.LayerNorm(8))
    model = torch.nn.Sequential(inner, Linear(8, 5))
    quantise(model)
    kinds = [type(module).__name__ for module in model.modules()]
    assert kinds == ["Sequential", "Sequential", "QuantisedLinear", "LayerNorm", "QuantisedLinear"]
