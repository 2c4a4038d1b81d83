"""Classification: texts and pairs of texts to the classes that they belong to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from keifu.data.batches import Indices, Sequences
from keifu.data.examples import LabelledText
from keifu.interface import Loss
from keifu.layers.heads import ClassHead
from keifu.tasks.reading import (
    Batch,
    Encoded,
    class_loss,
    hidden_of,
    join_all,
    make_batch,
    reader,
    selected_by,
    summary_of,
    width_of,
)
from keifu.text import Tokenizer


@dataclass(frozen=True)
class Classification:
    """labels: the classes. weights: what an example of each class counts in the loss; none: all the same."""

    name = "classification"
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    weights: tuple[float, ...] = ()

    @property
    def selects_by(self) -> str:
        """What the best checkpoint has the most of."""
        return selected_by(self.weights)

    def head(self, model: Any) -> ClassHead:
        """Scores of the classes, from the vector of a text as a whole. What the model writes with is left away."""
        model = reader(model)
        pooled = hasattr(model, "summary")
        return ClassHead(width_of(model), len(self.labels), model.config.dropout, pooled)

    def encode(self, examples: Sequence[LabelledText], most: int | None = None) -> Encoded:
        """The texts as the model reads them, at most so many tokens each, and the numbers of their classes."""
        number = {label: place for place, label in enumerate(self.labels)}
        targets = Sequences([number[example.label]] for example in examples)
        return self._encoded([example.texts for example in examples], targets, most)

    def encode_texts(self, texts: Sequence[Sequence[str]], most: int | None = None) -> Encoded:
        """Texts and pairs without classes."""
        return self._encoded(texts, Sequences([0] for _ in texts), most)

    def _encoded(self, texts: Sequence[Sequence[str]], targets: Sequences, most: int | None) -> Encoded:
        tokens, firsts, cut = join_all(self.tokenizer, texts, most)
        return Encoded(tokens, firsts, targets, cut)

    def batch(self, data: Encoded, rows: Indices) -> Batch:
        """The texts of these rows, padded on the right."""
        return make_batch(self.tokenizer, data, rows)

    def scores(self, model: nn.Module, head: nn.Module, batch: Batch) -> Tensor:
        """Scores of the classes `[B, C]`."""
        hidden = hidden_of(model, batch.inputs)
        scores: Tensor = head(summary_of(model, hidden, batch.inputs.mask))
        return scores

    def loss(self, model: nn.Module, head: nn.Module, batch: Batch) -> Loss:
        """Cross-entropy of the right classes."""
        return class_loss(self.scores(model, head, batch), batch.targets, self.weights)

    @staticmethod
    def sample(example: LabelledText, found: Sequence[str]) -> tuple[str, ...]:
        """An example to read: its texts, its class, and the class that was found."""
        return (*example.texts, example.label, found[0])

    @staticmethod
    def scored(batch: Batch) -> int:
        """The number of texts that the loss sums over."""
        return len(batch.targets)
