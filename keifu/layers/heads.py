"""Heads turn hidden vectors into what a task asks for. A task chooses its head; the head is saved with the model."""

import torch
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
