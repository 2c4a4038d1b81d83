"""Rotary positions (Su et al. 2021, "RoFormer", arXiv:2104.09864, section 3.2.2): a query or a key is turned by an
angle that grows with its place, so that their inner product hangs on how far apart they stand.

Dimension i goes with dimension i + A/2, as in every implementation that reads Llama's weights; the paper pairs
neighbours.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Rotation(NamedTuple):
    """Cosines and sines `[T, A]`, or `[U, 1, B / U * T, A]` where B rows in U groups stand at places of their own."""

    cosine: Tensor
    sine: Tensor


class RotaryPosition(nn.Module):
    """Angles p base^(-2i/A) for place p and pair of dimensions i. No weights, and no longest sequence."""

    cosine: Tensor
    sine: Tensor

    def __init__(self, d_head: int, base: float) -> None:
        super().__init__()
        self.d_head, self.base = d_head, base
        for name in ("cosine", "sine"):
            self.register_buffer(name, torch.zeros(0, d_head), persistent=False)

    def forward(self, length: int, first: Tensor | None = None, groups: int = 1) -> Rotation:
        """For `length` tokens; `first` `[B]`: each row's first place (default 0). Rows of a group follow each other."""
        longest = length + (int(first.max()) if first is not None and len(first) else 0)
        if len(self.cosine) < longest:
            self._grow(max(longest, 2 * len(self.cosine)))
        if first is None:
            return Rotation(self.cosine[:length], self.sine[:length])
        places = (first[:, None] + torch.arange(length, device=first.device)).view(groups, 1, -1)
        return Rotation(self.cosine[places], self.sine[places])

    def _grow(self, longest: int) -> None:
        pairs = torch.arange(0, self.d_head, 2, dtype=torch.float64) / self.d_head
        angle = torch.arange(longest, dtype=torch.float64)[:, None] * self.base**-pairs
        self.cosine = angle.cos().repeat(1, 2).to(self.cosine)
        self.sine = angle.sin().repeat(1, 2).to(self.sine)


def rotated(x: Tensor, rotation: Rotation) -> Tensor:
    """Queries or keys `[B, H, T, A]`, each turned by the angle of its place."""
    first, second = x.chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1)
    return x * rotation.cosine.to(x.dtype) + turned * rotation.sine.to(x.dtype)
