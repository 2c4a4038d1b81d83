"""Heads turn hidden vectors into what a task asks for. A task chooses its head; the head is saved with the model."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from keifu.layers.dropout import Dropout
from keifu.layers.linear import Linear, affine
from keifu.layers.losses import cross_entropy


def loss_of_scores(scores: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """The smoothed and the plain loss, each summed over scores `[N, V]` and targets `[N]`; nats."""
    plain = F.cross_entropy(scores, targets, reduction="sum")
    if smoothing == 0:
        return plain, plain.detach()
    return F.cross_entropy(scores, targets, reduction="sum", label_smoothing=smoothing), plain.detach()


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


class MaskedHead(nn.Module):
    """What a masked token was: a layer with GELU, a norm, and a score with a bias for every token of the vocabulary
    (Devlin et al. 2019, as in their code). weight `[V, D]` may be the token embedding itself.
    """

    def __init__(self, weight: nn.Parameter, norm_eps: float) -> None:
        super().__init__()
        tokens, width = weight.shape
        self.transform = Linear(width, width)
        self.norm = nn.LayerNorm(width, norm_eps)
        self.weight = weight
        self.bias = nn.Parameter(torch.zeros(tokens))
        _begin(self.transform)

    def forward(self, hidden: Tensor) -> Tensor:
        return affine(self.norm(F.gelu(self.transform(hidden))), self.weight, self.bias)


class Pooler(nn.Module):
    """tanh(W x + b) of the vector that stands for a whole text (Devlin et al. 2019)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.transform = Linear(width, width)
        _begin(self.transform)

    def forward(self, vector: Tensor) -> Tensor:
        transformed: Tensor = self.transform(vector)
        return transformed.tanh()


class PretrainingHead(nn.Module):
    """BERT's two tasks, either of which may be left out: what masked tokens were, and whether b follows a.

    Called as it is, it gives the scores `[..., V]` of what a token was.
    """

    def __init__(self, masked: MaskedHead | None, width: int, next_sentence: bool) -> None:
        super().__init__()
        self.masked = masked
        self.pooler = Pooler(width) if next_sentence else None
        self.next_sentence = Linear(width, 2) if next_sentence else None
        if self.next_sentence is not None:
            _begin(self.next_sentence)

    def forward(self, hidden: Tensor) -> Tensor:
        assert self.masked is not None, "this head was made without masked tokens"
        scores: Tensor = self.masked(hidden)
        return scores

    def cross_entropy(self, hidden: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        """The smoothed and the plain loss, each summed over hidden `[N, D]` and targets `[N]`."""
        return loss_of_scores(exact(self(hidden)), targets, smoothing)

    def follows(self, vector: Tensor) -> Tensor:
        """Scores `[B, 2]` from the vectors of [CLS] `[B, D]`: b is a stranger, b follows a."""
        assert self.pooler is not None, "this head was made without sentence pairs"
        assert self.next_sentence is not None
        scores: Tensor = self.next_sentence(self.pooler(vector))
        return scores


class ClassHead(nn.Module):
    """A score for every class: `[..., D]` to `[..., C]`, through a pooler where a vector stands for a whole text of
    BERT's.
    """

    def __init__(self, width: int, n_classes: int, dropout: float, pooled: bool) -> None:
        super().__init__()
        self.pooler = Pooler(width) if pooled else None
        self.dropout = Dropout(dropout)
        self.classes = Linear(width, n_classes)
        _begin(self.classes)

    def forward(self, vector: Tensor) -> Tensor:
        if self.pooler is not None:
            vector = self.pooler(vector)
        scores: Tensor = self.classes(self.dropout(vector))
        return scores


class AnswerHead(nn.Module):
    """A score for every answer: the inner product with its word's vector, which is the model's own (Sukhbaatar et al.
    2015, section 2.2). An answer that has none there has a vector of its own.

    table `[V, D]`: the tokens' vectors. words: the token ids of each answer, whose vectors are summed where a word has
    several; nothing where it has a vector of its own.
    """

    words: Tensor
    real: Tensor
    alone: Tensor

    def __init__(self, table: nn.Parameter, words: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.table = table
        longest = max(1, *map(len, words))
        padded = torch.tensor([[*row, *[0] * (longest - len(row))] for row in words])
        lengths = torch.tensor([len(row) for row in words])
        self.register_buffer("words", padded, persistent=False)
        self.register_buffer("real", torch.arange(longest) < lengths[:, None], persistent=False)
        self.register_buffer("alone", (lengths == 0).nonzero().squeeze(1), persistent=False)
        count = len(self.alone)
        self.own = nn.Parameter(torch.empty(count, table.shape[1]).normal_(std=0.1)) if count else None

    def forward(self, vector: Tensor) -> Tensor:
        """`[..., D]` to `[..., C]`."""
        answers = (F.embedding(self.words, self.table) * self.real[:, :, None]).sum(1)
        if self.own is not None:
            answers = answers.index_add(0, self.alone, self.own)
        with torch.autocast(vector.device.type, enabled=False):
            return vector.to(answers.dtype) @ answers.T


def exact(scores: Tensor) -> Tensor:
    """In float32 at least, where probabilities are made of them."""
    return scores if scores.dtype == torch.float64 else scores.float()


def _begin(layer: nn.Linear) -> None:
    nn.init.normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
