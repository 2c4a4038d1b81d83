"""Translation: sentence pairs to batches, hidden vectors to a loss, outputs to scores.

A model that takes a pair reads the source apart from the target. One that takes tokens reads both as a single stream:
source, [BOS], target, [EOS]; only the target is scored.
"""

from collections.abc import Callable, Sequence, Set
from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from keifu.data.batches import Indices, Sequences, cut, length_mask, to_right_padded
from keifu.data.examples import Pair
from keifu.data.stored import StoredPairs
from keifu.interface import Loss, PairBatch, TokenBatch
from keifu.layers.heads import VocabularyHead
from keifu.text import Tokenizer

Sizes = NDArray[np.integer[Any]]

_SAMPLE = 2_000  # pairs from which the tokens of stored ones are estimated
_ENCODED_TOGETHER = 10_000
_MEASURED_TOGETHER = 8192  # tokens
_ESTIMATED_TOGETHER = 1_000_000
_MOST_ESTIMATED = np.iinfo(np.uint16).max


class Batch(NamedTuple):
    """What the model reads, the token `[B, T]` that it should predict at each position of its target input, or of its
    stream, and where `[B, T]` that counts: True from where it has read [BOS] to the end of the target.
    """

    inputs: PairBatch | TokenBatch
    targets: Tensor
    scored: Tensor

    def to(self, device: torch.device) -> "Batch":
        inputs: PairBatch | TokenBatch
        if isinstance(self.inputs, PairBatch):
            inputs = PairBatch(*(part.to(device) for part in self.inputs))
        else:
            inputs = TokenBatch(self.inputs.tokens.to(device), self.inputs.mask.to(device))
        return Batch(inputs, self.targets.to(device), self.scored.to(device))


class PairSequences:
    """Encoded pairs, as `Translation.encode` makes them. `sizes` `[N, 2]` are the lengths of their sides."""

    estimated = False

    def __init__(self, sources: Sequences, targets: Sequences) -> None:
        self.sources, self.targets = sources, targets
        self.sizes: Sizes = np.stack([sources.lengths, targets.lengths], axis=1)

    def __len__(self) -> int:
        return len(self.sizes)

    def rows(self) -> Indices:
        """The indices of all pairs."""
        return np.arange(len(self))

    def shares_of(self, ids: Set[int]) -> tuple[float, float]:
        """The share of the sources' and of the targets' tokens that are one of these."""
        return self.sources.share_of(ids), self.targets.share_of(ids)

    def take(self, rows: Indices) -> "PairSequences":
        """The pairs of these rows."""
        return PairSequences(self.sources.take(rows), self.targets.take(rows))

    def up_to(self, tokens: int) -> "PairSequences":
        """The pairs with at most this many tokens on each side."""
        kept = np.flatnonzero(self.sizes.max(axis=1, initial=0) <= tokens)
        return self if len(kept) == len(self) else self.take(kept)

    def cut_to(self, tokens: int) -> "PairSequences":
        """All pairs, longer sides cut to this many tokens, their [EOS] included."""
        if self.sizes.max(initial=0) <= tokens:
            return self
        return PairSequences(self.sources.cut_to(tokens), self.targets.cut_to(tokens))


class StoredPairSequences:
    """Pairs that are encoded when they are used, because they are too many for memory.

    `sizes` `[N, 2]` are estimates, from the bytes of each text and the bytes that a token has in a sample. Pairs that
    turn out longer than `most` tokens are cut there.
    """

    estimated = True

    def __init__(
        self, pairs: StoredPairs, encode: Callable[[Sequence[Pair]], PairSequences], special: tuple[int, int]
    ) -> None:
        self._pairs, self._encode = pairs, encode
        self._rows: NDArray[np.int32] | None = None
        self._most: int | None = None
        sample = np.unique(np.linspace(0, len(pairs) - 1, min(len(pairs), _SAMPLE)).astype(np.int64))
        self._sample = encode([pairs[int(row)] for row in sample])
        bytes_read = sum(pairs.byte_lengths(row, row + 1)[0] for row in sample.tolist())
        tokens_a_byte = (self._sample.sizes - special).sum(axis=0) / bytes_read
        self.sizes: Sizes = np.empty((len(pairs), 2), np.uint16)
        for begin in range(0, len(pairs), _ESTIMATED_TOGETHER):
            end = min(begin + _ESTIMATED_TOGETHER, len(pairs))
            tokens = np.ceil(pairs.byte_lengths(begin, end) * tokens_a_byte) + special
            self.sizes[begin:end] = np.minimum(tokens, _MOST_ESTIMATED)

    def __len__(self) -> int:
        return len(self.sizes)

    def shares_of(self, ids: Set[int]) -> tuple[float, float]:
        """The share of a sample's source and target tokens that are one of these."""
        return self._sample.shares_of(ids)

    def take(self, rows: Indices) -> PairSequences:
        """The pairs of these rows, encoded now."""
        if self._rows is not None:
            rows = self._rows[rows].astype(np.int64)
        encoded = self._encode([self._pairs[row] for row in rows.tolist()])
        return encoded if self._most is None else encoded.cut_to(self._most)

    def up_to(self, tokens: int) -> "StoredPairSequences":
        """The pairs that seem to have at most this many tokens on each side."""
        kept = np.flatnonzero(self.sizes.max(axis=1, initial=0) <= tokens)
        fitting = copy(self)
        fitting._most = tokens
        if len(kept) < len(self):
            fitting._rows, fitting.sizes = kept.astype(np.int32), self.sizes[kept]
        return fitting


EncodedPairs = PairSequences | StoredPairSequences


@dataclass(frozen=True)
class Translation:
    """From the source text to the target text, one token after another (teacher forcing while training).

    takes: what the model takes, "pair" or "tokens". begins_source: whether [BOS] stands before a source.
    """

    name = "translation"
    selects_by = "chrf"  # steadier than BLEU, which one output that repeats itself can spoil
    tokenizer: Tokenizer
    label_smoothing: float = 0.0
    takes: str = "pair"
    begins_source: bool = False

    @classmethod
    def for_model(cls, model: Any, tokenizer: Tokenizer, label_smoothing: float = 0.0) -> "Translation":
        """The task as a model, or a class of models, reads it."""
        return cls(tokenizer, label_smoothing, model.takes, getattr(model, "begins_source", False))

    def head(self, model: Any) -> VocabularyHead:
        """Scores over the vocabulary; shares the model's embedding where the model ties them."""
        return VocabularyHead.beside(model.output_embedding, self.tokenizer.vocab_size, model.config.d_model)

    def encode(self, pairs: Sequence[Pair]) -> EncodedPairs:
        """The pairs' tokens, sides ending with [EOS] (but not a source in a stream), the source after [BOS] where it
        begins so; of stored pairs, what encodes them when they are used.
        """
        if isinstance(pairs, StoredPairs):
            return StoredPairSequences(pairs, self.encode_now, self.special)
        return self.encode_now(pairs)

    def encode_now(self, pairs: Sequence[Pair]) -> PairSequences:
        sides: list[list[NDArray[np.int32]]] = [[], []]
        for begin in range(0, len(pairs), _ENCODED_TOGETHER):  # lists of Python's integers take nine times the memory
            block = pairs[begin : begin + _ENCODED_TOGETHER]
            texts = ([pair.source for pair in block], [pair.target for pair in block])
            for side, written, (first, end) in zip(sides, texts, self.around, strict=True):
                side += [np.array([*first, *row, *end], np.int32) for row in self.tokenizer.encode_batch(written)]
        return PairSequences(Sequences(sides[0]), Sequences(sides[1]))

    @property
    def special(self) -> tuple[int, int]:
        """How many special tokens stand around a source, and around a target."""
        source, target = (len(first) + len(end) for first, end in self.around)
        return source, target

    @property
    def around(self) -> list[tuple[list[int], list[int]]]:
        """The special tokens before and behind a source, and a target."""
        bos, eos = [self.tokenizer.bos_id], [self.tokenizer.eos_id]
        return [(bos if self.begins_source else [], eos if self.takes == "pair" else []), ([], eos)]

    def sizes_read(self, data: EncodedPairs) -> Sizes:
        """`[N, 2]` or `[N, 1]`: the lengths of what the model reads, apart or as one."""
        return data.sizes if self.takes == "pair" else data.sizes.sum(axis=1, keepdims=True)

    def longest_side(self, max_length: int) -> int:
        """The most tokens of a side that a model of this length is given."""
        return longest_side(self.takes, max_length)

    def batch(self, data: EncodedPairs, rows: Indices) -> Batch:
        """The pairs of these rows, padded on the right."""
        pad, bos = self.tokenizer.pad_id, self.tokenizer.bos_id
        chosen = data.take(rows)
        every = chosen.rows()
        target = chosen.targets.padded(every, pad, first=bos)
        mask = length_mask(chosen.targets.lengths)
        source = chosen.sources.padded(every, pad)
        pair = PairBatch(source, length_mask(chosen.sources.lengths), target[:, :-1], mask)
        if self.takes == "pair":
            return Batch(pair, target[:, 1:], mask)
        inputs, order = in_one_stream(pair)
        order = order[:, : inputs.tokens.shape[1]]
        behind = torch.cat([torch.zeros_like(source), target[:, 1:]], dim=1).gather(1, order)
        scored = torch.cat([torch.zeros_like(pair.source_mask), mask], dim=1).gather(1, order)
        return Batch(inputs, behind, scored)

    def sequences(self, batch: Batch) -> dict[str, list[str]]:
        """The tokens of a batch of one row, to read, by the names of their sequences."""

        def read(ids: Tensor) -> list[str]:
            return [self.tokenizer.token(index) for index in ids[0].tolist()]

        if isinstance(batch.inputs, TokenBatch):
            text = read(batch.inputs.tokens)
            return {"text": text, "predicted": [*text[1:], self.tokenizer.token(self.tokenizer.eos_id)]}
        inputs = batch.inputs
        return {"source": read(inputs.source), "target": read(inputs.target), "predicted": read(batch.targets)}

    def loss(self, model: nn.Module, head: VocabularyHead, batch: Batch) -> Loss:
        """Cross-entropy of the real target tokens; padding never reaches the head."""
        output = model(batch.inputs)
        targets = batch.targets[batch.scored]
        total, surprise = head.cross_entropy(output.hidden[batch.scored], targets, self.label_smoothing)
        for penalty in output.penalties:
            total = total + penalty * len(targets)
        return Loss(total, surprise, len(targets))

    @torch.no_grad()
    def mean_surprise(
        self,
        model: nn.Module,
        head: VocabularyHead,
        data: EncodedPairs,
        before_batch: Callable[[], None] = lambda: None,
    ) -> float:
        """Nats a target token, [EOS] included, with teacher forcing and without label smoothing. before_batch: called
        before each batch; it may raise.
        """
        surprise, tokens = 0.0, 0
        longest, device = data.sizes.max(axis=1), next(model.parameters()).device
        for rows in cut(np.argsort(longest, kind="stable"), longest, _MEASURED_TOGETHER):
            before_batch()
            loss = self.loss(model, head, self.batch(data, rows).to(device))
            surprise += float(loss.surprise)
            tokens += loss.tokens
        return surprise / tokens

    @staticmethod
    def scored(batch: Batch) -> int:
        """The number of tokens that the loss sums over."""
        return int(batch.scored.sum())


def longest_side(takes: str, max_length: int) -> int:
    """The most tokens of a side that a model of this length is given: in a stream, a half is for the other side."""
    return max_length if takes == "pair" else max(1, max_length // 2)


def limit_name(takes: str) -> str:
    """Where `longest_side` comes from, for messages."""
    return "model.max_length" if takes == "pair" else "half of model.max_length"


def in_one_stream(pair: PairBatch) -> tuple[TokenBatch, Tensor]:
    """Each row's source and target as one sequence, no longer than the longest, padded on the right, and the order
    `[B, S + T]` in which its tokens were taken, which `from_right_padded` undoes.
    """
    tokens = torch.cat([pair.source, pair.target], dim=1)
    tokens, mask, order = to_right_padded(tokens, torch.cat([pair.source_mask, pair.target_mask], dim=1))
    return TokenBatch(tokens, mask), order
