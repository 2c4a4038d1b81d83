"""The same small network applied to every position (Vaswani et al. 2017, equation 2)."""

from torch import Tensor, nn

from keifu.layers.linear import Linear
from keifu.trace import record


class FeedForward(nn.Module):
    """max(0, x W1 + b1) W2 + b2, from `[B, T, D]` over `[B, T, F]` back to `[B, T, D]`."""

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.expand = Linear(d_model, d_ff)
        self.contract = Linear(d_ff, d_model)

    def forward(self, x: Tensor) -> Tensor:
        hidden = record(self, "hidden", self.expand(x).relu_(), "B T F")
        return record(self, "output", self.contract(hidden), "B T D")
