"""Heads turn hidden vectors into what a task asks for. A task chooses its head; the head is saved with the model."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from keifu.layers.linear import affine
from keifu.layers.losses import cross_entropy


class VocabularyHead(nn.Module):
    """A score for every token of the vocabulary: `[..., D]` to `[..., V]`.

    weight `[V, D]` may be the token embedding itself (Press and Wolf 2017); there is no bias, as in the Transformer
    paper.
    """

    def __init__(self, weight: nn.Parameter) -> None:
        super().__init__()
        self.weight = weight

    @classmethod
    def beside(cls, shared: nn.Parameter | None, vocab_size: int, width: int) -> "VocabularyHead":
        """A head with the matrix that a model shares, or with a fresh one."""
        if shared is None:
            shared = nn.Parameter(torch.empty(vocab_size, width))
            nn.init.normal_(shared, std=width**-0.5)
        return cls(shared)

    def forward(self, hidden: Tensor) -> Tensor:
        return affine(hidden, self.weight)

    def cross_entropy(self, hidden: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        """The smoothed and the plain loss, each summed over hidden `[N, D]` and targets `[N]`; see layers/losses.py."""
        return cross_entropy(hidden, self.weight, targets, smoothing)


class ClassHead(nn.Module):
    """A score for every class, of which there are few: `[..., D]` to `[..., C]`."""

    def __init__(self, n_classes: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_classes, width))
        self.bias = nn.Parameter(torch.zeros(n_classes))
        nn.init.normal_(self.weight, std=width**-0.5)

    def forward(self, hidden: Tensor) -> Tensor:
        return affine(hidden, self.weight, self.bias)

    def cross_entropy(self, hidden: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        """The smoothed and the plain loss, each summed over hidden `[N, D]` and targets `[N]`; no target: -1."""
        scores = self(hidden).float() if hidden.dtype != torch.float64 else self(hidden)
        smoothed = F.cross_entropy(scores, targets, reduction="sum", ignore_index=-1, label_smoothing=smoothing)
        plain = F.cross_entropy(scores.detach(), targets, reduction="sum", ignore_index=-1)
        return smoothed, plain
