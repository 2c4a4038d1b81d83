"""Cross-entropy over a vocabulary, without ever holding all of its scores."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


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
        smoothed, plain = torch.zeros(2, dtype=exact, device=hidden.device).unbind()
        hidden_gradients = []
        weight_gradient = torch.zeros_like(weight, dtype=exact) if wants_gradient else None
        with torch.autocast(hidden.device.type, enabled=False):
            size, normalised = _blocks(hidden.device, len(weight))
            for rows, target in zip(hidden.split(size), targets.split(size), strict=True):
                scores = rows @ weight.T
                for some, their_target in zip(scores.split(normalised), target.split(normalised), strict=True):
                    surprise, spread = _to_gradient(some, their_target, smoothing, exact)
                    plain += surprise
                    smoothed += (1 - smoothing) * surprise + smoothing * spread
                if weight_gradient is not None:
                    hidden_gradients.append(scores @ weight)
                    weight_gradient += scores.T @ rows
            if weight_gradient is not None and smoothing:
                # The share of all tokens is the same for every one, so it is taken off the products, not the scores.
                share = smoothing / len(weight)
                even = share * weight.sum(0)
                hidden_gradients = [part.sub_(even) for part in hidden_gradients]
                weight_gradient -= share * hidden.sum(0, dtype=exact)
        if weight_gradient is not None:
            ctx.save_for_backward(torch.cat(hidden_gradients), weight_gradient)
            ctx.dtype = weight.dtype
        ctx.mark_non_differentiable(plain)
        return smoothed, plain

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        hidden_gradient, weight_gradient = ctx.saved_tensors
        scale = gradients[0]
        return hidden_gradient * scale, (weight_gradient * scale).to(ctx.dtype), None, None, None


def _blocks(device: torch.device, vocabulary: int) -> tuple[int, int]:
    """How many positions have their scores held at a time, and how many of these are normalised at a time in full
    precision: on a CPU few enough to stay in its cache; a GPU wants many.
    """
    if device.type != "cpu":
        most = max(1, 2**26 // vocabulary)
        return most, most
    return min(512, max(64, 2**25 // vocabulary)), 64


def _to_gradient(scores: Tensor, target: Tensor, smoothing: float, exact: torch.dtype) -> tuple[Tensor, Tensor]:
    """Puts the gradient of the loss in the place of scores `[n, V]`, but for the share of all tokens: p, less
    1 - smoothing at the target. Returns two sums over the rows: -log p of the target, and the mean of -log p over all
    tokens (0 without smoothing, which needs none).
    """
    logs, target = scores.log_softmax(-1, exact), target[:, None]
    surprise = -logs.gather(-1, target).sum()
    spread = -logs.mean(-1).sum() if smoothing else torch.zeros_like(surprise)
    # Taken off before rounding: of a target that is nearly certain only the difference matters.
    gradient = logs.exp_().scatter_add_(-1, target, logs.new_full(target.shape, smoothing - 1))
    scores.copy_(gradient)
    return surprise, spread
