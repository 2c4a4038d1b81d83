"""Language modelling: text to windows of tokens, hidden vectors to the surprise of what comes next."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from keifu.data.batches import Indices, cut, length_mask
from keifu.data.token_file import packs
from keifu.data.windows import Stretches, Windows, whole
from keifu.errors import ConfigError
from keifu.interface import Loss, State, TokenBatch
from keifu.layers.heads import VocabularyHead
from keifu.text import Tokenizer

MOST_TOGETHER = 64
"""Texts that are read side by side where they are only measured."""

_POSITIONS = 8192  # of these that are computed together


class Batch(NamedTuple):
    """What the model reads, and the token `[B, T]` that it should predict at each position.

    begins: whether the rows begin here; if not, they go on from the batch before. goes_on: whether another batch goes
    on from this one.
    """

    inputs: TokenBatch
    targets: Tensor
    begins: bool = True
    goes_on: bool = False

    def to(self, device: torch.device) -> "Batch":
        inputs = self.inputs._replace(tokens=self.inputs.tokens.to(device), mask=self.inputs.mask.to(device))
        return self._replace(inputs=inputs, targets=self.targets.to(device))

    def after(self, state: State | None) -> "Batch":
        """The same, going on from the state after the batch before, unless its rows begin here."""
        return self if self.begins else self._replace(inputs=self.inputs._replace(state=state))


@dataclass(frozen=True)
class LanguageModeling:
    """The next token from those before it.

    Every text begins with [BOS]. reading: "documents", each of which stands for itself and ends with [EOS], or
    "stream", one long text without an end, of which [BOS] may begin any piece. A model that reads at most `longest`
    tokens together reads longer texts in windows, each of which stands for itself.
    """

    name = "language-modeling"
    selects_by = "-loss"
    tokenizer: Tokenizer
    reading: str = "documents"

    def head(self, model: Any) -> VocabularyHead:
        """Scores over the vocabulary; shares the model's embedding where the model ties them."""
        return VocabularyHead.beside(model.output_embedding, self.tokenizer.vocab_size, model.d_output)

    @property
    def never_written(self) -> tuple[int, ...]:
        """The tokens that a text does not hold; one long text does not end either."""
        tokenizer = self.tokenizer
        end = () if self.reading == "documents" else (tokenizer.eos_id,)
        marks = (tokenizer.cls_id, tokenizer.sep_id, tokenizer.mask_id) if tokenizer.reads else ()
        return (tokenizer.pad_id, tokenizer.unk_id, tokenizer.bos_id, *end, *marks)

    @property
    def lead(self) -> tuple[int, ...]:
        """What stands before a later part of a text that is read by itself."""
        return () if self.reading == "documents" else (self.tokenizer.bos_id,)

    def encode(self, texts: Sequence[str]) -> Windows:
        """Each text as one window."""
        begin, end = [self.tokenizer.bos_id], [self.tokenizer.eos_id] if self.reading == "documents" else []
        return whole(
            np.array([*begin, *row, *end], np.int32)
            for pack in packs(texts)
            for row in self.tokenizer.encode_batch(pack)
        )

    def pieces(self, text: str, count: int) -> Windows:
        """A long text in so many pieces of one length (the first ones may have a token more), each as one window."""
        ids = np.asarray(self.tokenizer.encode(text), np.int32)
        return whole([self.tokenizer.bos_id, *piece] for piece in np.array_split(ids, max(1, min(count, len(ids)))))

    def batch(self, data: Windows | Stretches, rows: Indices) -> Batch:
        """The windows of these rows, padded on the right."""
        inputs, targets = data.padded(rows, self.tokenizer.pad_id)
        begins = len(rows) == 0 or int(rows[0]) < (data.streams or len(data))
        if data.streams and begins:  # where the streams are cut from one array, another token stands before them
            for token in self.lead:
                inputs[:, 0] = token
        return Batch(TokenBatch(inputs, length_mask(data.lengths[rows])), targets, begins, data.streams > 0)

    def sequences(self, inputs: TokenBatch) -> dict[str, list[str]]:
        """The tokens of a batch of one row, to read: "text", and "predicted" after each of them. What comes after the
        last token of a long text is not known.
        """
        text = [self.tokenizer.token(index) for index in inputs.tokens[0].tolist()]
        end = self.tokenizer.token(self.tokenizer.eos_id) if self.reading == "documents" else "…"
        return {"text": text, "predicted": [*text[1:], end]}

    def loss(self, model: nn.Module, head: VocabularyHead, batch: Batch) -> Loss:
        """Cross-entropy of the real targets; padding never reaches the head."""
        output = model(batch.inputs)
        mask = batch.inputs.mask
        if bool(mask.all()):  # windows of one length, of which nothing need be picked out
            hidden, targets = output.hidden.flatten(0, 1), batch.targets.flatten()
        else:
            hidden, targets = output.hidden[mask], batch.targets[mask]
        total, surprise = head.cross_entropy(hidden, targets, 0.0)
        for penalty in output.penalties:
            total = total + penalty * len(targets)
        return Loss(total, surprise, len(targets), output.state if batch.goes_on else None)

    @staticmethod
    def scored(batch: Batch) -> int:
        """The number of tokens that the loss sums over."""
        return int(batch.inputs.mask.sum())

    @torch.no_grad()
    def surprise(
        self,
        model: nn.Module,
        head: Any,
        texts: Windows,
        before_batch: Callable[[], None] = lambda: None,
        together: int = MOST_TOGETHER,
    ) -> float:
        """-log p of every token of the texts, in nats; the state is carried through the whole of each. A model that
        reads at most `longest` tokens together predicts each from half as many before it at least, where there are so
        many.

        together: texts that are read side by side, at most. before_batch: called before each batch; it may raise.
        """
        device = next(model.parameters()).device
        total = 0.0
        if longest := getattr(model, "longest", None):
            views = self._views(texts, longest)
            sizes = views.windows.lengths
            for rows in cut(np.argsort(-sizes, kind="stable"), sizes, min(_POSITIONS, together * longest)):
                before_batch()
                inputs, targets, scored = (each.to(device) for each in self._view(views, rows))
                hidden = model(TokenBatch(inputs, length_mask(sizes[rows]).to(device))).hidden
                total += float(head.cross_entropy(hidden[scored], targets[scored], 0.0)[1])
            return total
        order = np.argsort(-texts.lengths, kind="stable")  # side by side with others of like length
        for first in range(0, len(order), together):
            rows = order[first : first + together]
            state: State | None = None
            most = max(1, _POSITIONS // len(rows))
            for begin in range(0, int(texts.lengths[rows].max()), most):
                before_batch()
                left = int((texts.lengths[rows] > begin).sum())  # the longest stand first
                if state is not None and left < len(rows):
                    rows, state = rows[:left], state.select(torch.arange(left, device=device))
                here = texts.within(rows, begin, most)
                batch = self.batch(here, here.rows())._replace(begins=begin == 0, goes_on=True).to(device)
                loss = self.loss(model, head, batch.after(state))
                state, total = loss.state, total + float(loss.surprise)
        return total

    @torch.no_grad()
    def hidden(self, model: nn.Module, text: str) -> Tensor:
        """What a model shows after [BOS] and after each token of a text `[T, N]`, however long it is."""
        windows = whole([[self.tokenizer.bos_id, *self.tokenizer.encode(text), self.tokenizer.eos_id]])  # read to EOS
        device = next(model.parameters()).device
        views = self._views(windows, getattr(model, "longest", None) or int(windows.lengths.max()))
        found = []
        for row in views.windows.rows():
            inputs, _, scored = (each.to(device) for each in self._view(views, np.array([row])))
            found.append(model(TokenBatch(inputs, torch.ones_like(inputs, dtype=torch.bool))).hidden[scored])
        return torch.cat(found)

    def _views(self, texts: Windows, longest: int) -> "_Views":
        """The texts in windows of at most `longest` tokens: each after a text's first adds half as many."""
        begins, lengths, known = [], [], []
        for begin, length in zip(texts.begins.tolist(), texts.lengths.tolist(), strict=True):
            ends = np.arange(min(longest, length), length + max(1, longest // 2), max(1, longest // 2))
            ends = np.minimum(ends, length)
            first = np.maximum(ends - longest, 0)
            begins.append(begin + first)
            lengths.append(ends - first)
            known.append(np.concatenate([[0], ends[:-1]]) - first)
        starts = np.concatenate([np.arange(len(part)) > 0 for part in begins])
        return _Views(
            Windows(texts.tokens, np.concatenate(begins), np.concatenate(lengths)), np.concatenate(known), starts
        )

    def _view(self, views: "_Views", rows: Indices) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs and targets of these windows, and a mask of what they add, `[B, T]` each."""
        inputs, targets = views.windows.padded(rows, self.tokenizer.pad_id)
        for token in self.lead:
            inputs[torch.from_numpy(views.later[rows]), 0] = token
        known = torch.from_numpy(views.known[rows])[:, None]
        scored = length_mask(views.windows.lengths[rows]) & (torch.arange(inputs.shape[1]) >= known)
        return inputs, targets, scored


class _Views(NamedTuple):
    """Windows over texts that overlap. known `[N]`: tokens of each that windows before it predicted. later `[N]`: True
    where a window is not its text's first.
    """

    windows: Windows
    known: Indices
    later: Indices


def refuse_looking_ahead(config: Any) -> None:
    """Raises ConfigError for a model that has read what it should predict."""
    direction = getattr(config, "direction", "forward")
    if direction != "forward":
        raise ConfigError(
            f"model.direction: {direction} sees what comes later, which a language model has to predict; "
            "expected forward"
        )


def scores(surprise: float, tokens: int, characters: int) -> dict[str, Any]:
    """The metrics of a text: loss (nats a token), perplexity, bits per character.

    characters: of the text, where the end of a document counts as one, as a line break would.
    """
    loss = surprise / tokens
    return {
        "loss": loss,
        "perplexity": math.exp(min(loss, 100.0)),
        "bits_per_character": surprise / math.log(2) / characters,
    }
