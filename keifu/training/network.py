"""A model and its head: made from settings, filled from a checkpoint's tensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from keifu.errors import CheckpointError
from keifu.models import model_class


def make_model(config: Any) -> nn.Module:
    """The architecture that the config names, with fresh weights."""
    model: nn.Module = model_class(config.name)(config)
    return model


def named_parameters(model: nn.Module, head: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Every weight once, tied ones under their first name: "model.encoder.0.attention.query.weight"."""
    return list(nn.ModuleDict({"model": model, "head": head}).named_parameters())


def _is_finite(tensor: Tensor | None) -> bool:
    return tensor is None or bool(torch.isfinite(tensor).all())


def fill(named: list[tuple[str, nn.Parameter]], tensors: Mapping[str, Tensor], where: Path) -> None:
    """Copies a checkpoint's tensors into the weights. Raises CheckpointError unless names and shapes are the same."""
    expected = {name: tuple(parameter.shape) for name, parameter in named}
    problems = [f"{name} is missing" for name in expected if name not in tensors]
    problems += [f"{name} is not part of this model" for name in tensors if name not in expected]
    problems += [
        f"{name} has shape {tuple(tensors[name].shape)}, expected {shape}"
        for name, shape in expected.items()
        if name in tensors and tuple(tensors[name].shape) != shape
    ]
    problems += [f"{name} holds values that are no numbers" for name in expected if not _is_finite(tensors.get(name))]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise CheckpointError(f"{where}: the weights do not fit its config.json: {'; '.join(problems[:3])}{more}")
    with torch.no_grad():
        for name, parameter in named:
            parameter.copy_(tensors[name])
