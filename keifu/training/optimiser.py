"""AdamW and the learning rate's way up and down.

Vaswani et al. 2017, section 5.3, train with Adam (betas 0.9 and 0.98, eps 1e-9, kept here) at a rate of D^-0.5
min(step^-0.5, step warmup^-1.5) with 4,000 steps of warm-up, without decay or clipping, and average the last
checkpoints. Here the decay is AdamW's, gradients are clipped, and the rate goes down in a straight line to 2 % of its
peak; schedule=inverse-sqrt and weight_decay=0 come near to theirs.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from keifu.training.settings import Training

_LOWEST = 0.02  # of the peak, at the end of a schedule that goes down


def peak_learning_rate(settings: Training, width: int) -> float:
    """The configured rate, or 0.256 / width and at most 0.002: wider models take smaller steps."""
    return settings.learning_rate or min(0.256 / width, 2e-3)


def make_optimizer(named: Iterable[tuple[str, nn.Parameter]], settings: Training, peak: float) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019) with its fused kernel; only matrices of linear layers decay."""
    named = list(named)
    decays = [parameter for name, parameter in named if parameter.dim() == 2 and "embedding" not in name]
    others = [parameter for name, parameter in named if parameter.dim() != 2 or "embedding" in name]
    groups: list[dict[str, Any]] = [{"params": decays}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(
        groups, lr=peak, betas=settings.betas, eps=1e-9, weight_decay=settings.weight_decay, fused=True
    )


def learning_rate(step: int, settings: Training, peak: float) -> float:
    """The rate of step 1, 2, ... max_steps: a straight way up over the warm-up, then the schedule's way down."""
    assert settings.max_steps is not None
    warmup = max(1, round(settings.warmup * settings.max_steps))
    if step <= warmup:
        return peak * step / warmup
    left = (settings.max_steps - step) / max(1, settings.max_steps - warmup)  # from 1 down to 0
    match settings.schedule:
        case "linear":
            return peak * max(left, _LOWEST)
        case "cosine":
            return peak * max((1 - math.cos(math.pi * left)) / 2, _LOWEST)
        case "inverse-sqrt":
            return peak * math.sqrt(warmup / step)
        case "constant":
            return peak


def state_tensors(optimizer: torch.optim.Optimizer, named: Iterable[tuple[str, nn.Parameter]]) -> dict[str, Tensor]:
    """The optimiser's memory, by the names of the parameters: "exp_avg.model.encoder.0.attention.query.weight"."""
    return {
        f"{key}.{name}": value
        for name, parameter in named
        for key, value in sorted(optimizer.state.get(parameter, {}).items())
    }


def restore_state(
    optimizer: torch.optim.Optimizer, named: Iterable[tuple[str, nn.Parameter]], tensors: dict[str, Tensor]
) -> None:
    """Puts back what `state_tensors` gave. Missing entries stay as they are at the first step."""
    for name, parameter in named:
        for key in ("step", "exp_avg", "exp_avg_sq"):
            if (value := tensors.get(f"{key}.{name}")) is not None:
                # AdamW's fused kernel wants its step counter on the parameter's device as well.
                optimizer.state[parameter][key] = value.clone().to(parameter.device)
