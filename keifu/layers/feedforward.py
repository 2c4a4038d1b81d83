"""The same small network applied to every position (Vaswani et al. 2017, equation 2)."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from keifu.layers.linear import Linear
from keifu.trace import record


class FeedForward(nn.Module):
    """f(x W1 + b1) W2 + b2, from `[B, T, D]` over `[B, T, F]` back to `[B, T, D]`.

    activation: f is max(0, x) of the Transformer, or the GELU of BERT, x times the share of a normal distribution that
    lies below x (Hendrycks and Gimpel 2016, arXiv:1606.08415).
    """

    def __init__(self, d_model: int, d_ff: int, activation: Literal["relu", "gelu"] = "relu") -> None:
        super().__init__()
        self.expand = Linear(d_model, d_ff)
        self.contract = Linear(d_ff, d_model)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        expanded = self.expand(x)
        activated = expanded.relu_() if self.activation == "relu" else F.gelu(expanded)
        hidden = record(self, "hidden", activated, "B T F")
        return record(self, "output", self.contract(hidden), "B T D")
