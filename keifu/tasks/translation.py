"""Translation: sentence pairs to batches, hidden vectors to a loss, outputs to scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from keifu.data.batches import Indices, Sequences, length_mask
from keifu.data.examples import Pair
from keifu.interface import PairBatch
from keifu.layers.heads import VocabularyHead
from keifu.text import Tokenizer


class Batch(NamedTuple):
    """What the model reads, and the token `[B, T]` that it should predict at each position of its target input."""

    inputs: PairBatch
    targets: Tensor

    def to(self, device: torch.device) -> "Batch":
        return Batch(PairBatch(*(part.to(device) for part in self.inputs)), self.targets.to(device))


class Loss(NamedTuple):
    """Sums over the scored tokens of a batch. `total` carries the gradient; `surprise` is -log p of the targets in
    nats.
    """

    total: Tensor
    surprise: Tensor
    tokens: int


class PairSequences:
    """Encoded pairs, both sides ending with [EOS]. `sizes` `[N, 2]` are their lengths."""

    def __init__(self, sources: Sequences, targets: Sequences) -> None:
        self.sources, self.targets = sources, targets
        self.sizes: Indices = np.stack([sources.lengths, targets.lengths], axis=1)

    def __len__(self) -> int:
        return len(self.sources)

    def rows(self) -> Indices:
        """The indices of all pairs."""
        return np.arange(len(self))

    def up_to(self, tokens: int) -> "PairSequences":
        """The pairs with at most this many tokens on each side."""
        kept = np.flatnonzero(self.sizes.max(axis=1, initial=0) <= tokens)
        if len(kept) == len(self):
            return self
        return PairSequences(*(Sequences(side[int(row)] for row in kept) for side in (self.sources, self.targets)))


@dataclass(frozen=True)
class Translation:
    """From the source text to the target text, one token after another (teacher forcing while training)."""

    selects_by = "chrf"  # steadier than BLEU, which one output that repeats itself can spoil
    tokenizer: Tokenizer
    label_smoothing: float = 0.0

    def head(self, model: Any) -> VocabularyHead:
        """Scores over the vocabulary; shares the model's embedding where the model ties them."""
        shared = model.output_embedding
        if shared is None:
            shared = nn.Parameter(torch.empty(self.tokenizer.vocab_size, model.config.d_model))
            nn.init.normal_(shared, std=model.config.d_model**-0.5)
        return VocabularyHead(shared)

    def encode(self, pairs: Sequence[Pair]) -> PairSequences:
        eos = self.tokenizer.eos_id
        sources = self.tokenizer.encode_batch([pair.source for pair in pairs])
        targets = self.tokenizer.encode_batch([pair.target for pair in pairs])
        return PairSequences(Sequences([*row, eos] for row in sources), Sequences([*row, eos] for row in targets))

    def batch(self, data: PairSequences, rows: Indices) -> Batch:
        """The pairs of these rows, padded on the right."""
        pad, bos = self.tokenizer.pad_id, self.tokenizer.bos_id
        target = data.targets.padded(rows, pad, first=bos)
        mask = length_mask(data.targets.lengths[rows])
        source = data.sources.padded(rows, pad)
        inputs = PairBatch(source, length_mask(data.sources.lengths[rows]), target[:, :-1], mask)
        return Batch(inputs, target[:, 1:])

    def loss(self, model: nn.Module, head: VocabularyHead, batch: Batch) -> Loss:
        """Cross-entropy of the real target tokens; padding never reaches the head."""
        output = model(batch.inputs)
        mask = batch.inputs.target_mask
        targets = batch.targets[mask]
        total, surprise = head.cross_entropy(output.hidden[mask], targets, self.label_smoothing)
        for penalty in output.penalties:
            total = total + penalty * len(targets)
        return Loss(total, surprise, len(targets))

    @staticmethod
    def scored(batch: Batch) -> int:
        """The number of tokens that the loss sums over."""
        return int(batch.inputs.target_mask.sum())
