"""Tagging: every word of a sentence to its tag, told where the word's first token stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from keifu.data.batches import Indices, Sequences
from keifu.data.examples import TaggedSentence
from keifu.interface import Loss
from keifu.layers.heads import ClassHead
from keifu.tasks.reading import (
    Batch,
    Encoded,
    class_loss,
    dropout_of,
    hidden_of,
    make_batch,
    reader,
    selected_by,
    width_of,
)
from keifu.text import Tokenizer


@dataclass(frozen=True)
class Tagging:
    """labels: the tags. weights: what a word with each tag counts in the loss; none: all the same."""

    name = "tagging"
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    weights: tuple[float, ...] = ()

    @property
    def selects_by(self) -> str:
        """What the best checkpoint has the most of."""
        return selected_by(self.weights)

    def head(self, model: Any) -> ClassHead:
        """Scores of the tags, from the vector of a token. What the model writes with is left away."""
        model = reader(model)
        return ClassHead(width_of(model), len(self.labels), dropout_of(model), pooled=False)

    def encode(self, examples: Sequence[TaggedSentence], most: int | None = None) -> Encoded:
        """The sentences as the model reads them, and the numbers of their tags. Words of which no token is among the
        first `most` are left out.
        """
        number = {label: place for place, label in enumerate(self.labels)}
        encoded = self.encode_words([example.words for example in examples], most)
        counts = encoded.targets.lengths.tolist()
        tags = [example.tags[:count] for example, count in zip(examples, counts, strict=True)]
        targets = Sequences([number[tag] for tag in each] for each in tags)
        return Encoded(encoded.tokens, encoded.firsts, targets, encoded.cut, encoded.places)

    def encode_words(self, sentences: Sequence[Sequence[str]], most: int | None = None) -> Encoded:
        """Sentences given as words, without tags. Every word is cut into tokens by itself."""
        pieces = iter(self.tokenizer.encode_batch([word for words in sentences for word in words]))
        tokens, places = [], []
        cut = np.zeros(len(sentences), np.bool_)
        for number, words in enumerate(sentences):
            row, begins = [self.tokenizer.cls_id], []
            for _ in words:
                begins.append(len(row))
                row += next(pieces) or [self.tokenizer.unk_id]
            if most is not None and len(row) >= most:
                cut[number] = True
                del row[most - 1 :]
            tokens.append([*row, self.tokenizer.sep_id])
            places.append([begin for begin in begins if begin < len(row)])
        known = Sequences(places)
        sequences = Sequences(tokens)
        return Encoded(sequences, sequences.lengths, Sequences([0] * len(each) for each in places), cut, known)

    def batch(self, data: Encoded, rows: Indices) -> Batch:
        """The sentences of these rows, padded on the right."""
        return make_batch(self.tokenizer, data, rows)

    def scores(self, model: nn.Module, head: nn.Module, batch: Batch) -> Tensor:
        """Scores of the tags `[N, C]`, of one word after the other."""
        assert batch.places is not None
        row, place = batch.places
        scores: Tensor = head(hidden_of(model, batch.inputs)[row, place])
        return scores

    def loss(self, model: nn.Module, head: nn.Module, batch: Batch) -> Loss:
        """Cross-entropy of the right tags."""
        return class_loss(self.scores(model, head, batch), batch.targets, self.weights)

    @staticmethod
    def sample(example: TaggedSentence, found: Sequence[str]) -> tuple[str, ...]:
        """An example to read: its words, their tags, and the tags that were found."""
        return " ".join(example.words), " ".join(example.tags), " ".join(found)

    @staticmethod
    def scored(batch: Batch) -> int:
        """The number of words that the loss sums over."""
        return len(batch.targets)
