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
        """x and the result `[..., D]`. It is computed in float32 at least, as Llama does."""
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        return (exact * (exact.square().mean(-1, keepdim=True) + self.eps).rsqrt()).to(x.dtype) * self.weight
