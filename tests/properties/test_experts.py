"""Experts: each token goes to those that suit it, idle ones cost nothing, and all are kept at work."""

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from keifu.interface import TokenBatch
from keifu.layers.experts import Experts, Routed
from keifu.models.moe import Config, MixtureOfExperts
from tests.properties.cases import scatter


def layer(n_experts: int = 4, experts_per_token: int = 2, renormalise: bool = True, step: float = 0.0) -> Experts:
    made = Experts(6, 5, n_experts, experts_per_token, renormalise, step).double()
    scatter(made, 1)
    with torch.no_grad():
        made.router.weight.normal_()
        if made.router.bias is not None:
            made.router.bias.zero_()
    return made


def by_the_book(experts: Experts, x: Tensor) -> Tensor:
    """One token at a time, as the papers say it."""
    result = torch.zeros_like(x)
    for place, token in enumerate(x):
        shares = (experts.router.weight @ token).softmax(0)
        best, chosen = shares.topk(experts.router.experts_per_token)
        weights = best / best.sum() if experts.router.renormalise else best
        for weight, expert in zip(weights, chosen.tolist(), strict=True):
            result[place] += weight * experts.experts[expert](token[None])[0]
    return result


@pytest.mark.parametrize(("experts_per_token", "renormalise"), [(1, False), (2, True), (4, True)])
def test_every_token_is_the_weighted_sum_of_its_own_experts(experts_per_token: int, renormalise: bool) -> None:
    experts = layer(experts_per_token=experts_per_token, renormalise=renormalise)
    x = torch.randn(3, 7, 6, dtype=torch.float64)
    real = torch.arange(7) < torch.tensor([7, 4, 1])[:, None]
    for mask in (None, real):
        found = experts(x, mask).output
        chosen = torch.ones(3, 7, dtype=torch.bool) if mask is None else mask
        torch.testing.assert_close(found[chosen], by_the_book(experts, x[chosen]), rtol=0, atol=1e-12)
        assert (found[~chosen] == 0).all()


@pytest.mark.parametrize(("experts_per_token", "renormalise"), [(1, False), (2, True)])
@pytest.mark.parametrize("step", [0.0, 0.01])
def test_gradients_of_experts_and_router(experts_per_token: int, renormalise: bool, step: float) -> None:
    experts = layer(experts_per_token=experts_per_token, renormalise=renormalise, step=step)
    if experts.router.bias is not None:
        with torch.no_grad():
            experts.router.bias.copy_(torch.tensor([0.3, -0.2, 0.0, 0.1]))
    x = torch.randn(2, 3, 6, dtype=torch.float64, requires_grad=True)
    learned = {name: each for name, each in experts.named_parameters() if each.requires_grad}
    weights, names = [each.detach().clone().requires_grad_() for each in learned.values()], list(learned)

    def run(x: Tensor, *given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        routed: Routed = torch.func.functional_call(experts, dict(zip(names, given, strict=True)), (x, None))
        return routed.output, routed.balance(), routed.spread()

    assert torch.autograd.gradcheck(run, (x, *weights))


def test_an_idle_expert_is_not_called_and_has_no_gradient() -> None:
    experts = layer(n_experts=5)
    x = torch.randn(1, 9, 6, dtype=torch.float64)
    with torch.no_grad():
        experts.router.weight[[1, 3]] = 0
        experts.router.weight[[0, 2, 4]] = x[0].mean(0) * 0 + torch.linspace(1, 3, 3, dtype=torch.float64)[:, None]
        x[..., :] = x.abs()  # the scores of experts 0, 2 and 4 are above zero
    rows: Counter[int] = Counter()
    for place, expert in enumerate(experts.experts):
        expert.register_forward_hook(lambda module, given, output, place=place: rows.update({place: len(given[0])}))
    experts(x, None).output.sum().backward()
    assert set(rows) == {2, 4}
    assert sum(rows.values()) == 2 * 9
    for place, expert in enumerate(experts.experts):
        assert all((weight.grad is not None) == (place in rows) for weight in expert.parameters())


def test_experts_may_change_places() -> None:
    experts, other = layer(), layer()
    order = [2, 0, 3, 1]
    with torch.no_grad():
        other.router.weight.copy_(experts.router.weight[order])
    other.experts = nn.ModuleList(experts.experts[place] for place in order)
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(other(x, None).output, experts(x, None).output, rtol=0, atol=1e-12)
    torch.testing.assert_close(other(x, None).gates, experts(x, None).gates[:, order], rtol=0, atol=1e-12)


def test_penalties_are_those_of_the_papers() -> None:
    scores = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 2.0, 0.0], [5.0, 0.0, 1.0]], dtype=torch.float64)
    shares = scores.softmax(-1)
    gates = torch.tensor([[0.7, 0.3, 0.0], [0.0, 0.9, 0.1], [0.4, 0.6, 0.0], [0.9, 0.0, 0.1]], dtype=torch.float64)
    routed = Routed(gates, gates, shares, scores)
    load = torch.tensor([3, 3, 2]) / 8
    torch.testing.assert_close(routed.balance(), 3 * (load * shares.mean(0)).sum())
    torch.testing.assert_close(routed.spread(), torch.stack([row.exp().sum().log() ** 2 for row in scores]).mean())
    even = torch.full((4, 4), 0.25)
    assert Routed(even, torch.eye(4), even, even).balance() == 1


def _model(**more: Any) -> MixtureOfExperts:
    sizes = {"vocab_size": 20, "d_model": 8, "n_layers": 2, "n_heads": 2, "n_experts": 4, "dropout": 0.0}
    torch.manual_seed(0)
    model = MixtureOfExperts(Config(**{**sizes, **more})).double()
    scatter(model, 2)
    return model


def test_penalties_see_no_padding_and_are_left_out_at_no_weight() -> None:
    model, tokens = _model(), torch.randint(20, (2, 6))
    mask = torch.arange(6) < torch.tensor([6, 3])[:, None]
    before = model(TokenBatch(tokens, mask)).penalties
    tokens[1, 3:] = (tokens[1, 3:] + 1) % 20
    assert len(before) == 4
    for one, other in zip(before, model(TokenBatch(tokens, mask)).penalties, strict=True):
        assert torch.equal(one, other)
    assert _model(balance_penalty=0.0, z_penalty=0.0)(TokenBatch(tokens, mask)).penalties == ()


def test_a_bias_lifts_experts_that_had_too_little_and_weighs_nothing() -> None:
    model = _model(balance_step=0.005, balance_penalty=0.0)
    with torch.no_grad():
        for block in model.blocks:
            block.feedforward.router.bias.zero_()
            block.feedforward.router.weight[0] += 3 * block.feedforward.router.weight[1:].abs().max()
    tokens = torch.randint(20, (4, 16))
    batch = TokenBatch(tokens, torch.ones_like(tokens, dtype=torch.bool))
    router = model.blocks[0].feedforward.router

    def step(learn: bool = True) -> Tensor:
        hidden = model(batch).hidden
        if learn:
            hidden.sum().backward()
        load = router.load.clone()
        model.after_step()
        return load

    model.train()
    assert (step(learn=False) == 0).all()  # measured, not learned from
    assert (router.bias == 0).all()
    loads = [step() for _ in range(20)]
    assert loads[0].sum() == 2 * 64
    assert (loads[0] - 32).abs().max() > (loads[-1] - 32).abs().max()
    expected = sum(0.005 * (load.mean() - load).sign() for load in loads)
    torch.testing.assert_close(router.bias.data, expected.double())
    model.eval()
    step()
    assert router.load.sum() == 0
    shares = torch.tensor([[0.5, 0.3, 0.15, 0.05]], dtype=torch.float64)
    with torch.no_grad():
        router.bias.copy_(torch.tensor([-1.0, 0, 0, 1]))
    torch.testing.assert_close(router.gates(shares)[0], torch.tensor([0, 0.3, 0, 0.05], dtype=torch.float64) / 0.35)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_experts": 2, "experts_per_token": 3}, "experts_per_token 3: there are only 2"),
        ({"routing": "switch"}, "routing switch takes one expert a token; set experts_per_token to 1"),
        ({"experts_per_token": 1}, "teaches the router nothing; set routing to switch"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**settings)
