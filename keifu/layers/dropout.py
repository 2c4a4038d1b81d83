"""Dropout whose random numbers cost little on a CPU (Srivastava et al. 2014).

torch draws one random number a value, which took over a third of a translation training step. One byte decides as
well: 64 random bits serve eight values.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Dropout(nn.Module):
    """Sets each value to zero with probability `rate` while training, and scales the others so that the mean stays.

    On a CPU the rate is rounded to a whole number of 256ths (0.1 becomes 26/256) and the scale follows the rounded
    rate; in bfloat16 the scale itself is rounded to 8 bits.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self._threshold = round(rate * 256)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        if x.device.type != "cpu" or not 0 < self._threshold < 256:
            return F.dropout(x, self.rate)
        bits = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        keep = bits.view(torch.uint8)[: x.numel()].view(x.shape) >= self._threshold
        return x * keep.to(x.dtype).mul_(256 / (256 - self._threshold))

    def extra_repr(self) -> str:
        return f"rate={self.rate}"
