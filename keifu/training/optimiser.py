"""The optimisers, and the learning rate's way up and down.

Vaswani et al. 2017, section 5.3, train with Adam (betas 0.9 and 0.98, eps 1e-9, kept here) at a rate of D^-0.5
min(step^-0.5, step warmup^-1.5) with 4,000 steps of warm-up, without decay or clipping, and average the last
checkpoints. Here Muon moves the matrices of hidden layers, gradients are clipped, and the rate goes down in a straight
line to 2 % of its peak; optimizer=adamw, schedule=inverse-sqrt and weight_decay=0 come near to theirs.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from keifu.errors import ConfigError
from keifu.training.muon import Muon
from keifu.training.settings import Training

_MUON = 4.0
"""Size of Muon's updates against AdamW's. Loss on held-out lines of enja's training part after 2.5 epochs, `small`:
2.90 with AdamW alone, 2.10 at 2, 2.03 at 4.
"""
_BESIDE_MUON = 6.0
"""How many times faster AdamW moves embeddings, head, norms and biases where Muon moves the matrices. The same loss
after 4 epochs: 1.54 at 3, 1.53 at 10, 1.58 at 20; after 1.6 epochs 2.24 at 1, 2.00 at 3, 1.97 at 10.
"""
_LOWEST = 0.02  # of the peak, at the end of a schedule that goes down
_ROWS = ("embedding", "head.own")  # in the names of matrices whose rows are vectors of words or answers


def peak_learning_rate(settings: Training, width: int) -> float:
    """The configured rate, or 0.256 / width and at most 0.002: wider models take smaller steps."""
    return settings.learning_rate or min(0.256 / width, 2e-3)


def make_optimizers(
    named: Iterable[tuple[str, nn.Parameter]], settings: Training, peak: float, dtype: torch.dtype
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of hidden layers and AdamW (Loshchilov and Hutter 2019) for the rest, or AdamW for all.

    Only matrices decay, and none whose rows are vectors of words or answers; beside Muon the head does not either.
    Weights that are frozen are left out; layers may learn the slower the lower they are (layer-wise decay, Howard and
    Ruder 2018, arXiv:1801.06146). dtype: the number format of Muon's products.
    """
    named = [(name, parameter) for name, parameter in named if parameter.requires_grad]
    matrices = {
        name: parameter for name, parameter in named if parameter.dim() == 2 and not any(part in name for part in _ROWS)
    }
    others = {name: parameter for name, parameter in named if name not in matrices}
    decay, slower = settings.weight_decay, _layer_rates(list(matrices) + list(others), settings.layer_decay)
    if settings.optimizer == "adamw":
        groups = [*_groups(matrices, slower), *_groups(others, slower, weight_decay=0.0)]
        return [_adamw(groups, settings, peak, decay)]
    hidden = {name: matrix for name, matrix in matrices.items() if not name.startswith("head.")}
    others |= {name: matrix for name, matrix in matrices.items() if name.startswith("head.")}
    muon = [Muon(_groups(hidden, slower), peak, _MUON, weight_decay=decay, dtype=dtype)] if hidden else []
    return [*muon, _adamw(_groups(others, slower, _BESIDE_MUON), settings, peak, 0.0)]


def freeze(named: Iterable[tuple[str, nn.Parameter]], layers: int, of: int) -> None:
    """Lets the embeddings and the lowest so many layers stay as they are. Raises ConfigError where there are fewer."""
    if layers > of:
        raise ConfigError(f"training.frozen_layers: {layers}, but the model has {of} layers; give {of} at most")
    for name, parameter in named:
        depth = _depth(name)
        if layers and depth is not None and depth <= layers:
            parameter.requires_grad_(False)


def _depth(name: str) -> int | None:
    """Of a weight's name the number of its layer, from 1; 0 of embeddings; None of what stands above all layers, and of
    attention to another side, which no pre-trained reader has.
    """
    if "embedding" in name:
        return 0
    if "cross_attention" in name:
        return None
    found = re.match(r"model\..*?\.(\d+)\.", name)
    return int(found[1]) + 1 if found else None


def _layer_rates(names: list[str], decay: float) -> dict[str, float]:
    """The share of the rate at which each weight learns. A head learns at all of it, and so do the blocks of a decoder:
    to write from what another side has read is new to them, whatever they begin with.
    """
    depths = {name: None if name.startswith("model.decoder.") else _depth(name) for name in names}
    top = max((depth for depth in depths.values() if depth is not None), default=0)
    return {name: 1.0 if depth is None else decay ** (top + 1 - depth) for name, depth in depths.items()}


def _groups(
    parameters: Mapping[str, nn.Parameter], rates: Mapping[str, float], faster: float = 1.0, **more: Any
) -> list[dict[str, Any]]:
    """The weights in groups of one rate."""
    found: dict[float, list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        found.setdefault(rates[name] * faster, []).append(parameter)
    return [{"params": group, "faster": rate, **more} for rate, group in found.items()]


def set_learning_rate(optimizers: Iterable[torch.optim.Optimizer], rate: float) -> None:
    """Puts the rate of a step into every group of weights."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("faster", 1.0)


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


def state_tensors(
    optimizers: Iterable[torch.optim.Optimizer], named: Iterable[tuple[str, nn.Parameter]]
) -> dict[str, Tensor]:
    """The optimisers' memory, by the names of the parameters: "exp_avg.model.target_embedding.tokens"."""
    named = list(named)
    return {
        f"{key}.{name}": value
        for optimizer in optimizers
        for name, parameter in named
        for key, value in sorted(optimizer.state.get(parameter, {}).items())
    }


def restore_state(
    optimizers: Iterable[torch.optim.Optimizer],
    named: Iterable[tuple[str, nn.Parameter]],
    tensors: dict[str, Tensor],
) -> None:
    """Puts back what `state_tensors` gave. Missing entries stay as they are at the first step."""
    named = list(named)
    for optimizer in optimizers:
        theirs = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        for name, parameter in named:
            for key in ("momentum",) if isinstance(optimizer, Muon) else ("step", "exp_avg", "exp_avg_sq"):
                if id(parameter) in theirs and (value := tensors.get(f"{key}.{name}")) is not None:
                    # AdamW's fused kernel wants its step counter on the parameter's device as well.
                    optimizer.state[parameter][key] = value.clone().to(parameter.device)


def _adamw(groups: Any, settings: Training, peak: float, decay: float) -> torch.optim.AdamW:
    return torch.optim.AdamW(groups, lr=peak, betas=settings.betas, eps=1e-9, weight_decay=decay, fused=True)
