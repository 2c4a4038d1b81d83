"""Norms that `torch.nn` lacks, or has slower."""

import torch
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) times a trained gain: a LayerNorm that takes no mean off (Zhang and Sennrich 2019,
    "Root Mean Square Layer Normalization").
    """

    def __init__(self, d_model: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """x and the result `[..., D]`."""
        return x * (x.square().mean(-1, keepdim=True) + self.eps).rsqrt() * self.weight
