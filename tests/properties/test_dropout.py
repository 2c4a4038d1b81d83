"""Dropout: the right rate and mean, the same mask for values and gradients, and nothing outside training."""

import pytest
import torch

from keifu.layers.dropout import Dropout

RATES = [0.001, 0.05, 0.1, 0.3, 0.5, 0.9, 0.999]


@pytest.mark.parametrize("rate", RATES)
def test_rate_and_mean(rate: float) -> None:
    layer = Dropout(rate).train()
    rounded = round(rate * 256) / 256
    expected = rounded if 0 < rounded < 1 else rate
    count = 1_000_003
    result = layer(torch.ones(count))
    dropped = (result == 0).double().mean()
    assert abs(dropped - expected) < 5 * (expected * (1 - expected) / count) ** 0.5
    kept = result[result != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - expected)))
    assert abs(rounded - rate) <= 1 / 512


@pytest.mark.parametrize("rate", RATES[:-1])
def test_places_are_independent(rate: float) -> None:
    """However far apart, two values are dropped together by chance alone: the autocorrelation at every distance."""
    count = 2**20
    dropped = (Dropout(rate).train()(torch.ones(count)) == 0).double()
    share = dropped.mean()
    spectrum = torch.fft.rfft(dropped - share)
    together = torch.fft.irfft(spectrum.abs().square())[1:] / count
    assert together.abs().max() < 8 * share * (1 - share) / count**0.5


@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize("shape", [(1,), (7,), (8,), (3, 5, 11), (0,), ()])
def test_the_gradient_passes_where_the_value_does(rate: float, shape: tuple[int, ...]) -> None:
    layer = Dropout(rate).train()
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    result = layer(x)
    [gradient] = torch.autograd.grad(result.sum(), x)
    assert result.shape == x.shape
    torch.testing.assert_close(gradient * x, result, rtol=1e-12, atol=0)


def test_the_seed_decides() -> None:
    layer, x = Dropout(0.3).train(), torch.randn(1000)
    first, second = (layer(x) for _ in range(2))
    assert not torch.equal(first, second)
    torch.manual_seed(5)
    first = layer(x)
    torch.manual_seed(5)
    assert torch.equal(first, layer(x))


def test_nothing_happens_at_rate_zero_or_outside_training() -> None:
    x = torch.randn(100)
    before = torch.get_rng_state()
    assert Dropout(0.0).train()(x) is x
    assert Dropout(0.5).eval()(x) is x
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_format_stays(dtype: torch.dtype) -> None:
    assert Dropout(0.1).train()(torch.ones(9, dtype=dtype)).dtype == dtype


def test_a_strided_value_keeps_its_order() -> None:
    x = torch.arange(1.0, 13).view(3, 4).T
    result = Dropout(0.5).train()(x)
    kept = result != 0
    assert torch.equal(result[kept], 2 * x[kept])
