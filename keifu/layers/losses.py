"""Cross-entropy over a vocabulary, without ever holding all of its scores."""

from typing import Any

import torch
from torch import Tensor

_ROWS = 512
"""Positions whose scores are held at a time."""


def cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """Sums -log p(target) over positions, where p = softmax(hidden weight^T); nats.

    hidden `[N, D]`, weight `[V, D]`, targets `[N]`. With label smoothing (Szegedy et al. 2016, section 7) the target
    keeps 1 - smoothing of the probability and all tokens share the rest evenly. Returns the smoothed sum, which
    carries the gradient, and the plain sum, which does not. Loss and gradient are made block by block in one pass.
    """
    if torch.is_autocast_enabled(hidden.device.type):
        dtype = torch.get_autocast_dtype(hidden.device.type)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
    # Inside the function nobody can tell any more whether a gradient will be asked for.
    wants_gradient = torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)
    smoothed, plain = _CrossEntropy.apply(hidden, weight, targets, smoothing, wants_gradient)  # type: ignore[no-untyped-call]
    return smoothed, plain


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, smoothing: float, wants_gradient: bool
    ) -> tuple[Tensor, Tensor]:
        exact = torch.float64 if hidden.dtype == torch.float64 else torch.float32
        smoothed = torch.zeros((), dtype=exact, device=hidden.device)
        plain = torch.zeros_like(smoothed)
        hidden_gradients = []
        weight_gradient = torch.zeros_like(weight, dtype=exact) if wants_gradient else None
        with torch.autocast(hidden.device.type, enabled=False):
            for rows, target in zip(hidden.split(_ROWS), targets.split(_ROWS), strict=True):
                logits = (rows @ weight.T).to(exact)
                normaliser = logits.logsumexp(-1, keepdim=True)
                surprise = (normaliser - logits.gather(-1, target[:, None])).sum()
                plain += surprise
                smoothed += (1 - smoothing) * surprise
                if smoothing:
                    smoothed += smoothing * (normaliser.squeeze(-1) - logits.mean(-1)).sum()
                if weight_gradient is not None:
                    gradient = _score_gradient(logits, normaliser, target, smoothing).to(hidden.dtype)
                    hidden_gradients.append(gradient @ weight)
                    weight_gradient += gradient.T @ rows
        if weight_gradient is not None:
            ctx.save_for_backward(torch.cat(hidden_gradients), weight_gradient)
            ctx.dtype = weight.dtype
        ctx.mark_non_differentiable(plain)
        return smoothed, plain

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        hidden_gradient, weight_gradient = ctx.saved_tensors
        scale = gradients[0]
        return hidden_gradient * scale, (weight_gradient * scale).to(ctx.dtype), None, None, None


def _score_gradient(logits: Tensor, normaliser: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """softmax(logits) minus the smoothed target distribution, in the memory of the logits."""
    gradient = logits.sub_(normaliser).exp_()
    if smoothing:
        gradient.sub_(smoothing / logits.shape[-1])
    gradient.scatter_add_(-1, target[:, None], gradient.new_full((len(target), 1), smoothing - 1))
    return gradient
