"""Texts and pairs as models read them that say something about them: [CLS] a [SEP], or [CLS] a [SEP] b [SEP]."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from keifu.config import Schema
from keifu.data.batches import Indices, Sequences, length_mask
from keifu.interface import Loss, TokenBatch
from keifu.layers.heads import exact
from keifu.text import Tokenizer

_TOLERATED = 1.25  # longest against shortest text that are read side by side; both in tokens, and some more
_SOME_MORE = 8


class Reading(Schema):
    """How texts are read once a model is trained."""

    batch_size: int = Field(64, ge=1)
    """Texts computed together, at most. Only texts of like length are, where a model does not pack them."""


class Encoded:
    """Encoded texts with what is to be said of them.

    firsts: tokens of the first text of each row, [CLS] and [SEP] included. targets: of each row the classes, one for a
    text, or one for a word. places: where the words begin, of rows with a class a word. cut: `[N]`, rows that were too
    long.
    """

    def __init__(
        self,
        tokens: Sequences,
        firsts: Indices,
        targets: Sequences,
        cut: NDArray[np.bool_],
        places: Sequences | None = None,
    ) -> None:
        self.tokens, self.firsts, self.targets, self.cut, self.places = tokens, firsts, targets, cut, places

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def sizes(self) -> Indices:
        """`[N, 1]`, the tokens of each row."""
        return self.tokens.lengths[:, None]

    def rows(self) -> Indices:
        """The indices of all rows."""
        return np.arange(len(self))


class Batch(NamedTuple):
    """What the model reads, the classes `[N]`, and for words where each stands: its row and its position `[2, N]`."""

    inputs: TokenBatch
    targets: Tensor
    places: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        places = None if self.places is None else self.places.to(device)
        return Batch(moved(self.inputs, device), self.targets.to(device), places)


def moved(inputs: TokenBatch, device: torch.device) -> TokenBatch:
    """The same on a device."""
    segments = None if inputs.segments is None else inputs.segments.to(device)
    return inputs._replace(tokens=inputs.tokens.to(device), mask=inputs.mask.to(device), segments=segments)


def join(
    tokenizer: Tokenizer, texts: Sequence[Sequence[int]], most: int | None = None, nearest: bool = False
) -> tuple[list[int], int]:
    """Token ids of a text or a pair with [CLS] and [SEP], and how many of them are the first text's.

    most: what goes beyond so many tokens is cut off, from the longer text first. nearest: of the first text the end is
    kept, which is next to the second, and else the beginning.
    """
    first, second = list(texts[0]), list(texts[1]) if len(texts) > 1 else []
    if most is not None:
        room = most - 1 - len(texts)
        del second[max(room - len(first), room // 2) :]
        kept = room - len(second)
        first = first[max(0, len(first) - kept) :] if nearest else first[:kept]
    before = [tokenizer.cls_id, *first, tokenizer.sep_id]
    return before + ([*second, tokenizer.sep_id] if len(texts) > 1 else []), len(before)


def join_all(
    tokenizer: Tokenizer, texts: Sequence[Sequence[str]], most: int | None, nearest: bool = False
) -> tuple[Sequences, Indices, NDArray[np.bool_]]:
    """Texts and pairs as `join` puts them together: the tokens, how many of each row are the first text's, and which
    rows were cut.
    """
    ids = iter(tokenizer.encode_batch([text for each in texts for text in each]))
    several = [[next(ids) for _ in each] for each in texts]
    rows = [join(tokenizer, each, most, nearest) for each in several]
    whole = np.array([sum(map(len, each)) + 1 + len(each) for each in several], np.int64)
    tokens = Sequences(row for row, _ in rows)
    return tokens, np.array([first for _, first in rows], np.int64), tokens.lengths < whole


def pad(tokenizer: Tokenizer, tokens: Sequences, firsts: Indices, rows: Indices) -> TokenBatch:
    """These rows side by side, padded on the right."""
    lengths = tokens.lengths[rows]
    segments = None
    if bool((firsts[rows] < lengths).any()):
        places = np.arange(int(lengths.max()))[None, :]
        segments = torch.from_numpy(((places >= firsts[rows][:, None]) & (places < lengths[:, None])).astype(np.int64))
    return TokenBatch(tokens.padded(rows, tokenizer.pad_id), length_mask(lengths), None, segments)


def make_batch(tokenizer: Tokenizer, data: Encoded, rows: Indices) -> Batch:
    """The texts of these rows and their classes, row after row."""
    targets = torch.from_numpy(np.concatenate([data.targets[row] for row in rows.tolist()]).astype(np.int64))
    inputs = pad(tokenizer, data.tokens, data.firsts, rows)
    if data.places is None:
        return Batch(inputs, targets)
    places = [data.places[row] for row in rows.tolist()]
    of_row = np.repeat(np.arange(len(rows)), list(map(len, places)))
    return Batch(inputs, targets, torch.from_numpy(np.stack([of_row, np.concatenate(places)]).astype(np.int64)))


def hidden_of(model: Any, inputs: TokenBatch) -> Tensor:
    """Hidden vectors `[B, T, D]` of what a model reads; of a model with two sides, those of its encoder."""
    hidden: Tensor = model.encode(inputs.tokens, inputs.mask) if model.takes == "pair" else model(inputs).hidden
    return hidden


def last_of(hidden: Tensor, lengths: Tensor, backward_parts: Sequence[bool] = (False,)) -> Tensor:
    """The vectors `[B, N]` with which a reading of so many tokens `[B]` ends, of those of each token `[B, T, N]`.

    backward_parts: of the parts of a vector, side by side and of one width, whether each was read backward. Such a part
    ends at the first token.
    """
    ends = hidden[torch.arange(len(hidden), device=hidden.device), lengths - 1]
    both = (vectors.chunk(len(backward_parts), dim=-1) for vectors in (hidden[:, 0], ends))
    return torch.cat([(ends, firsts)[turned] for turned, firsts, ends in zip(backward_parts, *both, strict=True)], -1)


def backward_parts_of(model: Any) -> tuple[bool, ...]:
    """What `last_of` asks, of the vectors that `hidden_of` gives."""
    parts: tuple[bool, ...] = getattr(model, "backward_parts", (False,))
    return parts


def summary_of(model: Any, hidden: Tensor, mask: Tensor) -> Tensor:
    """The vector `[B, D]` of each text as a whole: that of [CLS] where the model has one, else the mean of all."""
    if getattr(model, "summary", "mean") == "first":
        return hidden[:, 0]
    return mean_of(hidden, mask)


def mean_of(hidden: Tensor, mask: Tensor) -> Tensor:
    """The mean `[B, D]` of the vectors `[B, T, D]` of the real tokens."""
    real = mask[:, :, None]
    return hidden.masked_fill(~real, 0.0).sum(1) / real.sum(1).clamp(min=1)


def width_of(model: Any) -> int:
    """The width of a model's hidden vectors."""
    width: int = getattr(model, "d_output", model.config.d_model)
    return width


def dropout_of(model: Any) -> float:
    """What a head drops of a model's hidden vectors: nothing where the model has dropped them itself."""
    rate: float = 0.0 if getattr(model, "drops_output", False) else model.config.dropout
    return rate


def reader(model: Any) -> Any:
    """The model without what it writes with, where it has such a part."""
    if model.takes == "pair":
        model.keep_encoder()
    return model


def class_loss(scores: Tensor, targets: Tensor, weights: Sequence[float] = ()) -> Loss:
    """Cross-entropy of the classes `[N]` from their scores `[N, C]`; weights: what an example of each class counts."""
    surprise = F.cross_entropy(exact(scores), targets, reduction="none")
    counted = surprise * surprise.new_tensor(weights)[targets] if weights else surprise
    return Loss(counted.sum(), surprise.detach().sum(), len(targets))


def balanced(counts: Sequence[int]) -> tuple[float, ...]:
    """Weights that make every class count as much as any other, from how often each occurs; 1 for an example in the
    mean.
    """
    total, classes = sum(counts), len(counts)
    return tuple(total / (classes * count) for count in counts)


def selected_by(weights: Sequence[float]) -> str:
    """Where classes weigh the same however many examples they have, the best checkpoint is chosen so, too."""
    return "macro_f1" if weights else "accuracy"


def by_length(lengths: Indices, most: int, model: Any) -> Iterator[Indices]:
    """Rows that a model reads together, at most so many, the shortest first: those of like length, or of any length
    where it packs them.
    """
    order = np.argsort(lengths, kind="stable")
    packed = getattr(model, "packs", False) and next(model.parameters()).device.type == "cpu"
    begin = 0
    for place in range(1, len(order) + 1):
        full = place - begin == most or place == len(order)
        if full or (not packed and lengths[order[place]] > _TOLERATED * lengths[order[begin]] + _SOME_MORE):
            yield order[begin:place]
            begin = place


@torch.no_grad()
def decide(
    task: Any,
    model: nn.Module,
    head: nn.Module,
    data: Encoded,
    batch_size: int,
    before_batch: Callable[[], None] = lambda: None,
) -> tuple[list[NDArray[np.float32]], float]:
    """Of each row the probabilities of its classes `[n, C]`, and the surprise at those that are right, in nats.

    before_batch: called before each batch; it may raise.
    """
    device = next(model.parameters()).device
    found: list[NDArray[np.float32]] = [np.zeros((0, 0), np.float32)] * len(data)
    surprise = 0.0
    for rows in by_length(data.tokens.lengths, batch_size, model):
        before_batch()
        batch = task.batch(data, rows).to(device)
        scores = exact(task.scores(model, head, batch))
        surprise += float(F.cross_entropy(scores, batch.targets, reduction="sum"))
        probabilities = scores.softmax(-1).cpu().numpy()
        ends = np.cumsum(data.targets.lengths[rows])
        for row, part in zip(rows.tolist(), np.split(probabilities, ends[:-1]), strict=True):
            found[row] = part
    return found, surprise
