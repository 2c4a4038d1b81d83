"""From source texts to translations: batched by length, results in the order of the input."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import nn

from keifu.config import Schema
from keifu.data.batches import Indices, Sequences, length_mask
from keifu.errors import ConfigError
from keifu.generation.search import Hypothesis, beam_search, greedy
from keifu.tasks.translation import Translation, limit_name, longest_side
from keifu.text import Tokenizer

EXTRA_TOKENS = 10
"""Tokens that an output may have beyond its share of the source's."""


class Decoding(Schema):
    """How outputs are searched for."""

    beam: int = Field(5, ge=1, le=100)
    """Unfinished outputs kept at each step; 1 is greedy search."""

    n_best: int = Field(1, ge=1)
    """Translations returned for each text, best first; at most `beam`."""

    length_penalty: float = Field(1.0, ge=0, le=10)
    """Scores are log-probability / length^penalty: more favours longer outputs; 0 compares plain log-probabilities,
    which favours short ones."""

    max_ratio: float = Field(3.0, gt=0, le=1000)
    """An output may have this many tokens for each source token, and 10 more."""

    batch_size: int = Field(64, ge=1)
    """Sentences translated together."""

    @model_validator(mode="after")
    def _beam_is_wide_enough(self) -> "Decoding":
        if self.n_best > self.beam:
            raise ValueError(
                f"n_best {self.n_best} needs a beam of {self.n_best} or more, found {self.beam}; widen the beam"
            )
        return self


@dataclass(frozen=True)
class Translated:
    """One translation: its text, its score (log-probability / length^penalty), and its token ids without [EOS].

    complete: False where the output was cut off at its length limit. raw: the text as the model wrote it, before it was
    given in ordinary writing.
    """

    text: str
    score: float
    tokens: list[int]
    complete: bool
    raw: str


@torch.no_grad()
def translate(
    model: Any,
    head: nn.Module,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    decoding: Decoding,
    before_step: Callable[[], None] = lambda: None,
) -> list[list[Translated]]:
    """The `decoding.n_best` translations of each text. A text without words gives empty ones.

    before_step: called before each batch and each token of it; it may raise to end the work.
    """
    device = next(model.parameters()).device
    ids = [row if text.strip() else [] for text, row in zip(texts, tokenizer.encode_batch(texts), strict=True)]
    (begin, end), _ = Translation.for_model(model, tokenizer).around
    sources = Sequences([*begin, *row, *end] for row in ids)
    order = np.argsort(sources.lengths, kind="stable")
    results = [[Translated("", 0.0, [], True, "")] * decoding.n_best for _ in texts]
    order = order[sources.lengths[order] > len(begin) + len(end)]
    _refuse_too_long(texts, sources.lengths, model)
    for place in range(0, len(order), decoding.batch_size):
        before_step()
        rows = order[place : place + decoding.batch_size]
        lengths = sources.lengths[rows]
        source = sources.padded(rows, tokenizer.pad_id).to(device)
        limits = torch.from_numpy(_limits(lengths, decoding.max_ratio, model)).to(device)
        state = _after_source(model, source, length_mask(lengths).to(device))
        prompt = torch.full((len(rows), 1), tokenizer.bos_id, device=device)
        found = _search(model, head, tokenizer, state, prompt, limits, decoding, before_step)
        for row, hypotheses in zip(rows.tolist(), found, strict=True):
            decoded = tokenizer.decode_batch([hypothesis.tokens for hypothesis in hypotheses])
            results[row] = [
                Translated(text, hypothesis.score, hypothesis.tokens, hypothesis.complete, text)
                for text, hypothesis in zip(decoded, hypotheses, strict=True)
            ]
    return results


def _limits(lengths: Indices, max_ratio: float, model: Any) -> Indices:
    """The most tokens of each output."""
    limits = (lengths * max_ratio).astype(np.int64) + EXTRA_TOKENS
    if model.longest is None:
        return limits
    longest: int = model.longest
    room = longest - (lengths if model.takes == "tokens" else 0 * lengths)  # in a stream, the source takes its part
    return np.minimum(limits, room)


def _after_source(model: Any, source: torch.Tensor, mask: torch.Tensor) -> Any:
    """The state of a model that has read the source."""
    if model.takes == "pair":
        return model.start(source, mask)
    return model.step(source, model.start(len(source)), mask)[1]


def _refuse_too_long(texts: Sequence[str], lengths: Indices, model: Any) -> None:
    if model.longest is None or not len(texts):
        return
    most, place = longest_side(model.takes, model.longest), int(lengths.argmax())
    if lengths[place] > most:
        raise ConfigError(
            f"text {place + 1}, {texts[place][:40]!r}... has {lengths[place]} tokens; this model reads {most} "
            f"({limit_name(model.takes)}); split it"
        )


def _search(
    model: Any,
    head: nn.Module,
    tokenizer: Tokenizer,
    state: object,
    prompt: torch.Tensor,
    limits: torch.Tensor,
    decoding: Decoding,
    before_step: Callable[[], None],
) -> list[list[Hypothesis]]:
    def step(tokens: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        before_step()
        after: tuple[torch.Tensor, Any] = model.step(tokens, state)
        return after

    if decoding.beam == 1:
        penalty = decoding.length_penalty
        return [[best] for best in greedy(step, head, state, prompt, tokenizer.eos_id, limits, penalty)]
    return beam_search(
        step,
        head,
        state,
        prompt,
        tokenizer.eos_id,
        limits,
        decoding.beam,
        decoding.n_best,
        decoding.length_penalty,
    )
