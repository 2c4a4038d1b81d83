"""The same small network applied to every position (Vaswani et al. 2017, equation 2), in two forms."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from keifu.layers.linear import Linear
from keifu.trace import record


class FeedForward(nn.Module):
    """f(x W1 + b1) W2 + b2, from `[B, T, D]` over `[B, T, F]` back to `[B, T, D]`; f: max(0, .) where none is named."""

    def __init__(self, d_model: int, d_ff: int, activation: Callable[[Tensor], Tensor] = torch.relu_) -> None:
        super().__init__()
        self.expand = Linear(d_model, d_ff)
        self.contract = Linear(d_ff, d_model)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        hidden = record(self, "hidden", self.activation(self.expand(x)), "B T F")
        return record(self, "output", self.contract(hidden), "B T D")


class GatedFeedForward(nn.Module):
    """SwiGLU: (silu(x W) * x V) W2, where silu(a) = a sigmoid(a), without biases (Shazeer 2020, "GLU Variants Improve
    Transformer", equation 6).
    """

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.gate = Linear(d_model, d_ff, bias=False)
        self.expand = Linear(d_model, d_ff, bias=False)
        self.contract = Linear(d_ff, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate = record(self, "gate", F.silu(self.gate(x)), "B T F")
        hidden = record(self, "hidden", gate * self.expand(x), "B T F")
        return record(self, "output", self.contract(hidden), "B T D")
