"""Muon: momentum whose directions all have the same length (Jordan et al. 2024, "Muon: An optimizer for hidden layers
in neural networks").

The momentum M of a matrix is replaced by U V^T of its singular value decomposition M = U S V^T, so that rare
directions move as far as common ones. Only for matrices of hidden layers; embeddings and vectors keep AdamW.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic whose iteration lifts singular values between 0 and 1 to about 1 (Jordan et al. 2024)."""

_ITERATIONS = 5
_ADAMW = 0.2
"""Root mean square of the values of AdamW's updates at a rate of 1, about (Liu et al. 2025, "Muon is Scalable for LLM
Training", equation 4).
"""


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised.

    size: root mean square of an update's values at a rate of 1, as a multiple of AdamW's. dtype: the number format of
    the products.
    """

    def __init__(
        self,
        matrices: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float,
        size: float = 1.0,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self._size, self._dtype = _ADAMW * size, dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Moves every matrix that has a gradient."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                memory = self.state[matrix]
                if "momentum" not in memory:
                    memory["momentum"] = torch.zeros_like(matrix)
                momentum: Tensor = memory["momentum"]
                momentum.lerp_(matrix.grad, 1 - group["momentum"])
                ahead = matrix.grad.lerp(momentum, group["momentum"])
                update = orthogonalised(ahead.to(self._dtype)).to(matrix.dtype)
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-group["lr"] * self._size * math.sqrt(max(matrix.shape)))


def orthogonalised(matrix: Tensor) -> Tensor:
    """About U V^T of matrix `[n, m]` = U S V^T: singular values come out between 0.7 and 1.2, very small ones lower."""
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp(min=1e-7)  # no singular value is above the norm
    for _ in range(_ITERATIONS):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
