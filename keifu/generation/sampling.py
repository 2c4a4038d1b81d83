"""Sampling, written once over the step protocol: a token is drawn, fed back, and so on. It asks nothing of the model.

What is drawn from is the model's distribution, reshaped in this order:

    repetition penalty   scores of tokens that have occurred, divided where positive, multiplied where negative
                         (Keskar et al. 2019, arXiv:1909.05858, section 4.1; the negative case as in later practice)
    temperature          scores divided by it: below 1 sharper, above 1 flatter; 0 takes the likeliest token
    top-k                the k likeliest tokens alone (Fan et al. 2018, arXiv:1805.04833)
    top-p                the likeliest tokens that together have at least p (Holtzman et al. 2020, arXiv:1904.09751)
    min-p                tokens at least this share as likely as the likeliest (Nguyen et al. 2024, arXiv:2407.01082)

A step reads tokens `[B, n]` after a state and returns hidden `[B, n, D]` and the new state; a head turns hidden vectors
into scores over the vocabulary.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from keifu.config import Schema
from keifu.generation.search import Head, should_drop

_OFTEN_ENOUGH = 1024
"""Likeliest tokens that most often hold the share asked for: to sort 50,000 takes as long as a small model's step."""


class Drawn(NamedTuple):
    """A token that was drawn, and its log-probability (nats) in the model's own distribution, before any reshaping."""

    token: int
    logprob: float


class Sampling(Schema):
    """How text is written."""

    max_tokens: int = Field(200, ge=1, le=10_000_000)
    """Most tokens to write; a model of documents may end before."""

    temperature: float = Field(0.8, ge=0, le=100)
    """Scores are divided by this: below 1 the likely becomes likelier. 0: always the likeliest token."""

    top_k: int = Field(0, ge=0)
    """Draws from this many likeliest tokens alone. 0: from all."""

    top_p: float = Field(1.0, gt=0, le=1)
    """Draws from the fewest likeliest tokens that together have this probability. 1: from all."""

    min_p: float = Field(0.0, ge=0, le=1)
    """Draws from tokens that are at least this share as likely as the likeliest. 0: from all."""

    repetition_penalty: float = Field(1.0, gt=0, le=100)
    """Above 1, tokens that have occurred become less likely. 1: no change."""

    batch_size: int = Field(64, ge=1)
    """Texts written together."""


def distribution(scores: Tensor, settings: Sampling, occurred: Tensor) -> Tensor:
    """What a token is drawn from, `[B, V]` in float64, from scores `[B, V]`. occurred: `[B, V]`, True for the tokens
    that a text holds already.
    """
    scores = scores.double()
    penalty = settings.repetition_penalty
    if penalty != 1:
        scores = torch.where(occurred, torch.where(scores > 0, scores / penalty, scores * penalty), scores)
    if settings.temperature == 0:
        return torch.zeros_like(scores).scatter_(-1, scores.argmax(-1, keepdim=True), 1.0)
    scores = (scores - scores.amax(-1, keepdim=True)) / settings.temperature  # however small: none grows without bound
    if 0 < settings.top_k < scores.shape[-1]:
        best = scores.topk(settings.top_k)  # no more than these where several score the same
        scores = torch.full_like(scores, -math.inf).scatter_(-1, best.indices, best.values)
    shares = scores.softmax(-1)
    if settings.top_p < 1:
        shares = shares.masked_fill(~_nucleus(shares, settings.top_p), 0.0)
    if settings.min_p > 0:
        shares = shares.masked_fill(shares < settings.min_p * shares.amax(-1, keepdim=True), 0.0)
    return shares / shares.sum(-1, keepdim=True)


def _nucleus(shares: Tensor, least: float) -> Tensor:
    """The fewest likeliest tokens `[B, V]` that together have at least so much; of equally likely ones the first."""
    count = shares.shape[-1]
    ordered = shares.topk(min(_OFTEN_ENOUGH, count)).values
    if (ordered.cumsum(-1)[:, -1] < least).any():
        ordered = shares.topk(count).values
    before = ordered.cumsum(-1) - ordered  # what the likelier ones have together
    kept = (before < least).sum(-1, keepdim=True)
    last = ordered.gather(-1, kept - 1)
    likelier, alike = shares > last, shares == last
    return likelier | (alike & (alike.cumsum(-1) <= kept - likelier.sum(-1, keepdim=True)))


@torch.no_grad()
def sample(
    step: Callable[..., tuple[Tensor, Any]],
    head: Head,
    state: Any,
    prompt: Tensor,
    mask: Tensor,
    settings: Sampling,
    dice: Sequence[np.random.Generator],
    eos_id: int,
    never: Sequence[int] = (),
    prompt_of: Sequence[int] | None = None,
) -> Iterator[list[Drawn | None]]:
    """Goes on with prompts `[B, n]` of one or more tokens each; yields every text's next token, None once it has ended.

    mask: `[B, n]`, True at real tokens, padding on the right. dice: what each text draws with, so that it does not hang
    on the others. A text ends before [EOS], all do after `settings.max_tokens`. never: tokens that are not written.
    prompt_of: of each text the number of its prompt, which several may share; None: one text a prompt.
    """
    rows = torch.arange(len(prompt), device=prompt.device)
    hidden, state = step(prompt, state, mask)
    scores = head(hidden[rows, mask.sum(1) - 1])
    occurred = torch.zeros(scores.shape[0], scores.shape[1] + 1, dtype=torch.bool)
    padded = prompt.masked_fill(~mask, scores.shape[1]).cpu()  # padding has occurred in a column of its own
    occurred = occurred.scatter_(1, padded, True)[:, :-1]
    if prompt_of is not None and list(prompt_of) != rows.tolist():
        shared = torch.tensor(prompt_of, device=prompt.device)
        scores, occurred, state = scores[shared], occurred[shared.cpu()], state.select(shared)
        rows = torch.arange(len(shared), device=prompt.device)
    excluded = torch.tensor(list(never), dtype=torch.long, device=prompt.device)
    unfinished = torch.ones_like(rows, dtype=torch.bool)
    for length in range(1, settings.max_tokens + 1):
        scores = scores.float()
        own = scores.log_softmax(-1)
        scores.index_fill_(1, excluded, -math.inf)
        scores.masked_fill_(~unfinished[:, None], 0.0)  # what follows an end is nobody's business, but is a number
        places = rows.tolist()
        if settings.temperature == 0 and settings.repetition_penalty == 1:
            tokens = scores.argmax(-1)
        else:  # on a CPU whatever the device, so that the dice show the same
            shares = distribution(scores.cpu(), settings, occurred)
            tokens = _draw(shares, [dice[row] for row in places]).to(prompt.device)
        logprobs = own.gather(1, tokens[:, None])[:, 0]
        found: list[Drawn | None] = [None] * len(dice)
        unfinished = unfinished & (tokens != eos_id)
        for row, token, logprob, goes_on in zip(
            places, tokens.tolist(), logprobs.tolist(), unfinished.tolist(), strict=True
        ):
            found[row] = Drawn(token, logprob) if goes_on else None
        yield found
        if not unfinished.any() or length == settings.max_tokens:
            return
        if should_drop(unfinished):
            kept = unfinished.nonzero().squeeze(1)
            tokens, occurred, unfinished = tokens[kept], occurred[kept.cpu()], unfinished[kept]
            rows, state = rows[kept], state.select(kept)
        if settings.repetition_penalty != 1:
            occurred.scatter_(1, tokens[:, None].cpu(), True)
        hidden, state = step(tokens[:, None], state)
        scores = head(hidden[:, -1])


def _draw(shares: Tensor, dice: Sequence[np.random.Generator]) -> Tensor:
    """A token of each row `[B]`: the first one up to which the shares `[B, V]` add up to more than the die shows."""
    sums = shares.cumsum(-1)
    thrown = torch.tensor([[die.random()] for die in dice], dtype=sums.dtype)
    return torch.searchsorted(sums, thrown * sums[:, -1:], right=True).squeeze(1)
