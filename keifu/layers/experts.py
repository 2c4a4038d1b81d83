"""Several feed-forward networks of which each token takes a few: a router gives every token to those that suit it.

    p = softmax(W x), one share for each expert
    Mixtral   the k experts with the largest shares, weighted by these, divided by their sum   (Jiang et al. 2024,
              arXiv:2401.04088, section 2.1)
    Switch    the one with the largest share, weighted by it   (Fedus et al. 2022, arXiv:2101.03961, equations 1 and 2)

No token is dropped: each expert computes all that it is given, however many these are, and one that is given none is
not called and gets no gradient. The router computes in float32, and sees real tokens alone.

What keeps experts from being left idle:

    balance penalty   E sum_e f_e P_e, with f_e the share of all choices that fell on e, and P_e its mean share; 1 where
                      all work alike (Fedus et al. 2022, equations 4 to 6)
    z penalty         mean of (log sum exp W x)^2, which keeps scores small (Zoph et al. 2022, arXiv:2202.08906,
                      equation 5)
    loss-free         a bias on the shares, for choosing alone, goes up by a fixed step where an expert had less than
                      the mean, and down where more (Wang et al. 2024, arXiv:2408.15664, algorithm 1)
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from keifu.layers.linear import Linear
from keifu.trace import record, recording


class Routed(NamedTuple):
    """What the experts made of x `[B, T, D]`, and how their router decided, of the real tokens.

    gates: `[N, E]`, the weight of each expert in each token, zero where it was not chosen. shares: `[N, E]`, the
    softmax. scores: `[N, E]`, before it.
    """

    output: Tensor
    gates: Tensor
    shares: Tensor
    scores: Tensor

    def balance(self) -> Tensor:
        """The balance penalty, 1 where all work alike."""
        chosen = (self.gates != 0).to(self.shares.dtype).sum(0)
        return len(chosen) * (chosen / chosen.sum().clamp(min=1) * _mean(self.shares)).sum()

    def spread(self) -> Tensor:
        """The z penalty."""
        return _mean(self.scores.logsumexp(-1).square())


class Router(nn.Module):
    """Chooses experts for each token, and weighs them."""

    load: Tensor

    def __init__(self, d_model: int, n_experts: int, experts_per_token: int, renormalise: bool, step: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_experts, d_model))
        # Moved by `after_step`, not by a gradient; a weight all the same, so that it is saved.
        self.bias = nn.Parameter(torch.zeros(n_experts), requires_grad=False) if step else None
        self.register_buffer("load", torch.zeros(n_experts), persistent=False)
        self.experts_per_token, self.renormalise, self._step = experts_per_token, renormalise, step

    def forward(self, x: Tensor) -> Tensor:
        """A score `[N, E]` of each expert for tokens `[N, D]`."""
        with torch.autocast(x.device.type, enabled=False):
            exact = torch.float64 if x.dtype == torch.float64 else torch.float32
            return F.linear(x.to(exact), self.weight.to(exact))

    def gates(self, shares: Tensor) -> Tensor:
        """The weights `[N, E]` of the chosen experts, zero for all others, from shares `[N, E]`."""
        wanted = shares.detach() if self.bias is None else shares.detach() + self.bias
        chosen = wanted.topk(self.experts_per_token, dim=-1).indices
        weights = shares.gather(-1, chosen)
        if self.renormalise:
            weights = weights / weights.sum(-1, keepdim=True)
        gates = torch.zeros_like(shares).scatter(-1, chosen, weights)
        if self.bias is not None and self.training and gates.requires_grad:
            # Counted when the gradient comes by: only what is learned from counts.
            gates.register_hook(partial(self._note, torch.bincount(chosen.flatten(), minlength=len(self.load))))
        return gates

    @torch.no_grad()
    def after_step(self) -> None:
        """Moves the bias by the load since the step before."""
        if self.bias is not None:
            self.bias.add_((self.load.mean() - self.load).sign(), alpha=self._step)
            self.forget_step()

    def forget_step(self) -> None:
        """Counts anew."""
        self.load.zero_()

    def _note(self, load: Tensor, gradient: Tensor) -> None:
        self.load += load


class Expert(nn.Module):
    """SwiGLU, as in layers/feedforward.py: (silu(x W) * x V) W2, for the tokens `[n, D]` that it is given."""

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.gate = Linear(d_model, d_ff, bias=False)
        self.expand = Linear(d_model, d_ff, bias=False)
        self.contract = Linear(d_ff, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.contract(F.silu(self.gate(x)) * self.expand(x))
        return result


class Experts(nn.Module):
    """A router and its experts, in the place of a feed-forward network."""

    experts: Sequence[Expert]

    def __init__(
        self, d_model: int, d_ff: int, n_experts: int, experts_per_token: int, renormalise: bool, step: float
    ) -> None:
        super().__init__()
        self.router = Router(d_model, n_experts, experts_per_token, renormalise, step)
        self.experts = cast(Sequence[Expert], nn.ModuleList(Expert(d_model, d_ff) for _ in range(n_experts)))

    def forward(self, x: Tensor, real: Tensor | None) -> Routed:
        """x `[B, T, D]`; real `[B, T]`, True at real tokens; None: all are. Padding comes out as zeros."""
        given = x.flatten(0, -2) if real is None else x[real]
        scores = _recorded(self, "scores", self.router(given), "B T E", real, x)
        shares = _recorded(self, "shares", scores.softmax(-1), "B T E", real, x)
        gates = _recorded(self, "gates", self.router.gates(shares), "B T E", real, x)
        # Pairs of an expert and a token that it takes, expert by expert.
        expert, token = gates.T.nonzero(as_tuple=True)
        counts = torch.bincount(expert, minlength=len(self.experts)).tolist()
        parts = given.index_select(0, token).split(counts)
        results = [self.experts[place](part) for place, part in enumerate(parts) if len(part)]
        if recording():
            results = _shown(self.experts, results, token.split(counts), real, x)
        found = torch.cat([given[:0], *results])
        weighted = found * gates[token, expert, None].to(found.dtype)
        mixed = weighted.new_zeros(given.shape).index_add(0, token, weighted)
        output = mixed.view(x.shape) if real is None else _spread(mixed, real)
        return Routed(record(self, "output", output, "B T D"), gates, shares, scores)


def _shown(
    experts: Sequence[Expert], results: Sequence[Tensor], tokens: Sequence[Tensor], real: Tensor | None, x: Tensor
) -> list[Tensor]:
    """Records what each called expert made `[n, D]` of these of the real tokens, with zeros at the others."""
    count = x[..., 0].numel() if real is None else int(real.sum())
    called = [(expert, own) for expert, own in zip(experts, tokens, strict=True) if len(own)]
    shown = []
    for result, (expert, own) in zip(results, called, strict=True):
        whole = result.new_zeros(count, x.shape[-1]).index_copy(0, own, result)
        shown.append(_recorded(expert, "output", whole, "B T D", real, x)[own])
    return shown


def _recorded(at: nn.Module, name: str, value: Tensor, axes: str, real: Tensor | None, x: Tensor) -> Tensor:
    """Records `[N, K]` of the real tokens of x as `[B, T, K]`, with zeros at padding."""
    if not recording():
        return value
    if real is None:
        return record(at, name, value.view(*x.shape[:-1], -1), axes).flatten(0, -2)
    return record(at, name, _spread(value, real), axes)[real]


def _spread(values: Tensor, real: Tensor) -> Tensor:
    """Values of the real tokens `[N, K]` in their places `[B, T, K]`."""
    places = real.flatten().nonzero().squeeze(1)
    return values.new_zeros(real.numel(), values.shape[-1]).index_copy(0, places, values).view(*real.shape, -1)


def _mean(values: Tensor) -> Tensor:
    return values.sum(0) / max(1, len(values))
