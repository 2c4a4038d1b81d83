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
_TOGETHER = {"cpu": 2**21, "cuda": 2**26}  # values of matrices that are orthogonalised together
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
            for matrices in _stacks(matrix for matrix in group["params"] if matrix.grad is not None):
                gradients: list[Any] = [matrix.grad for matrix in matrices]
                momenta = [self._momentum(matrix) for matrix in matrices]
                torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
                ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])
                updates = orthogonalised(torch.stack([_wide(each) for each in ahead]).to(self._dtype))
                torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
                length = self._size * math.sqrt(max(matrices[0].shape))
                for matrix, update in zip(matrices, updates, strict=True):
                    _wide(matrix).add_(update, alpha=-group["lr"] * length)

    def _momentum(self, matrix: Tensor) -> Tensor:
        memory: dict[str, Tensor] = self.state[matrix]
        if "momentum" not in memory:
            memory["momentum"] = torch.zeros_like(matrix)
        return memory["momentum"]


def orthogonalised(matrices: Tensor) -> Tensor:
    """About U V^T of each of the matrices `[K, n, m]` = U S V^T, n no more than m: singular values come out between
    0.7 and 1.2, very small ones lower.
    """
    a, b, c = _COEFFICIENTS
    lengths = matrices.norm(dim=(1, 2), keepdim=True)  # no singular value is above them
    x: Tensor = matrices / lengths.clamp(min=1e-7)
    for _ in range(_ITERATIONS):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x


def _wide(matrix: Tensor) -> Tensor:
    """The matrix, lying on its side where it is higher than wide."""
    return matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix


def _stacks(matrices: Iterable[Tensor]) -> Iterable[list[Tensor]]:
    """The matrices in lists that are orthogonalised together: of one shape, and small, where the calls take longer than
    the products, as on a GPU they always do.
    """
    found: dict[tuple[int, ...], list[Tensor]] = {}
    for matrix in matrices:
        found.setdefault(_wide(matrix).shape, []).append(matrix)
    for shape, alike in found.items():
        most = _TOGETHER.get(alike[0].device.type, _TOGETHER["cpu"])
        together = max(1, most // math.prod(shape))
        yield from (alike[first : first + together] for first in range(0, len(alike), together))
