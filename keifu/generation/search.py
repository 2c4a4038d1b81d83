"""Greedy and beam search, written once over the step protocol: they ask nothing about the model.

Vaswani et al. 2017 (section 6.1) search with a beam of 4, divide by ((5 + length) / 6)^0.6 (Wu et al. 2016, equation
14) and stop at the source's length + 50; here the divisor is length^penalty.

A step reads tokens `[B, n]` after a state and returns hidden `[B, n, D]` and the new state; a head turns hidden
vectors into scores over the vocabulary.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

Step = Callable[[Tensor, Any], tuple[Tensor, Any]]
Head = Callable[[Tensor], Tensor]

_BLOCK = 64  # values that `top` looks at together


@dataclass(frozen=True)
class Hypothesis:
    """One output: its tokens without [EOS], and its score, log-probability / length^penalty (natural logarithm).

    The length counts [EOS]. An output that was cut off at its limit has no [EOS]; `complete` is False then.
    """

    tokens: list[int]
    score: float
    complete: bool = True


def greedy(
    step: Step, head: Head, state: Any, prompt: Tensor, eos_id: int, limits: Tensor, length_penalty: float = 1.0
) -> list[Hypothesis]:
    """Takes the likeliest token at each step. prompt `[B, n]`; limits `[B]`, the most tokens a row may have, [EOS]
    included. length_penalty changes the scores alone.
    """
    count = prompt.shape[0]
    tokens: list[list[int]] = [[] for _ in range(count)]
    scores, complete = [0.0] * count, [False] * count
    rows = torch.arange(count, device=prompt.device)
    unfinished = torch.ones_like(rows, dtype=torch.bool)
    hidden, state = step(prompt, state)
    length = 0
    while True:
        length += 1
        log_probability, token = (best.squeeze(1) for best in top(_log_probability(head, hidden[:, -1]), 1))
        counting = unfinished.nonzero().squeeze(1)
        taken = (values[counting].tolist() for values in (rows, token, log_probability))
        for row, chosen, likely in zip(*taken, strict=True):
            scores[row] += likely
            complete[row] = chosen == eos_id
            if not complete[row]:
                tokens[row].append(chosen)
        at_limit = limits[rows] <= length
        unfinished = unfinished & (token != eos_id) & ~at_limit
        if not unfinished.any():
            lengths = [len(row) + done for row, done in zip(tokens, complete, strict=True)]
            return [
                Hypothesis(row, score / size**length_penalty, done)
                for row, score, size, done in zip(tokens, scores, lengths, complete, strict=True)
            ]
        if _have_to_go(unfinished, at_limit):
            kept = unfinished.nonzero().squeeze(1)
            rows, token, unfinished, state = rows[kept], token[kept], unfinished[kept], state.select(kept)
        hidden, state = step(token[:, None], state)


def should_drop(unfinished: Tensor) -> bool:
    """Whether to drop the finished ones `[B]`: when many are, since that copies what the others remember, and a CPU
    makes new kernels for every number of rows that it has not seen before.
    """
    return int(unfinished.sum()) <= 0.75 * len(unfinished)


def _have_to_go(unfinished: Tensor, at_limit: Tensor) -> bool:
    """Whether to drop the finished ones `[B]`: when many are, or when one has no room for another token."""
    return should_drop(unfinished) or bool((at_limit & ~unfinished).any())


@dataclass(frozen=True)
class _Beams:
    """The k best unfinished and the k best finished outputs of each of B sentences, after `length` tokens.

    live: log-probabilities `[B, k]`, tokens `[B, k, length]`. done: scores `[B, k]` (-inf where there is none yet),
    done_tokens `[B, k, length]`, filled up with [EOS]; cut: `[B, k]`, True where an output reached its limit.
    """

    live: Tensor
    tokens: Tensor
    done: Tensor
    done_tokens: Tensor
    cut: Tensor

    def of(self, sentences: Tensor) -> "_Beams":
        return _Beams(*(getattr(self, name)[sentences] for name in self.__dataclass_fields__))


def beam_search(
    step: Step,
    head: Head,
    state: Any,
    prompt: Tensor,
    eos_id: int,
    limits: Tensor,
    beam: int = 5,
    n_best: int = 1,
    length_penalty: float = 1.0,
) -> list[list[Hypothesis]]:
    """Keeps the `beam` likeliest unfinished outputs of each sentence; returns the `n_best` finished ones, best first.

    prompt `[B, n]`; limits `[B]`, the most tokens an output may have, [EOS] included. A finished output's score is
    its log-probability divided by length^length_penalty. A sentence is done when it has `beam` finished outputs and
    its best unfinished one, scored at its present length, is no better than the worst of them. An end counts only
    among the `beam` best candidates of a step; a sentence at its limit counts its unfinished outputs as finished.
    """
    assert 1 <= n_best <= beam
    count, device = prompt.shape[0], prompt.device
    hidden, state = step(prompt, state)
    state = state.select(torch.arange(count, device=device).repeat_interleave(beam))
    hidden = hidden[:, -1].repeat_interleave(beam, 0)
    nothing = torch.full((count, beam), -math.inf, device=device)
    live = nothing.clone()
    live[:, 0] = 0.0  # all rows of a sentence are equal at first: only one may lead on
    empty = torch.zeros(count, beam, 0, dtype=torch.long, device=device)
    beams = _Beams(live, empty, nothing, empty, torch.zeros(count, beam, dtype=torch.bool, device=device))
    sentences = torch.arange(count, device=device)
    unfinished = torch.ones_like(sentences, dtype=torch.bool)
    results: list[list[Hypothesis]] = [[] for _ in range(count)]
    length = 0
    while True:
        length += 1
        beams, origin = _advance(beams, _log_probability(head, hidden), eos_id, length, length_penalty)
        at_limit = limits[sentences] <= length
        settled = beams.live[:, 0] / length**length_penalty <= beams.done[:, -1]
        finished = unfinished & (at_limit | settled)
        if finished.any():
            beams = _cut_off(beams, at_limit, length, length_penalty)
            for place in finished.nonzero().squeeze(1).tolist():
                results[int(sentences[place])] = _hypotheses(beams, place, eos_id, n_best)
            unfinished = unfinished & ~finished
            if not unfinished.any():
                return results
        if _have_to_go(unfinished, at_limit):
            kept = unfinished.nonzero().squeeze(1)
            beams, origin, sentences, unfinished = beams.of(kept), origin[kept], sentences[kept], unfinished[kept]
        if not torch.equal(origin.flatten(), torch.arange(len(hidden), device=device)):
            state = state.select(origin.flatten())
        hidden, state = step(beams.tokens[:, :, -1].reshape(-1, 1), state)
        hidden = hidden[:, -1]


def _log_probability(head: Head, hidden: Tensor) -> Tensor:
    """Of every token `[B, V]`, in float32 also where a model computes in less."""
    return head(hidden).float().log_softmax(-1)


def top(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row `[B, N]`, largest first, and their places, as `Tensor.topk` gives them.

    Several times as fast in wide rows on a CPU (benchmarks/translation.py): the largest lie in the k blocks of the
    largest maxima, or behind the last whole block.
    """
    rows, size = values.shape
    blocks = size // _BLOCK
    if blocks <= k:
        return values.topk(k)
    whole = values[:, : blocks * _BLOCK].unflatten(1, (blocks, _BLOCK))
    chosen = whole.amax(-1).topk(k).indices
    within = torch.arange(_BLOCK, device=values.device)
    behind = torch.arange(blocks * _BLOCK, size, device=values.device).expand(rows, -1)
    places = torch.cat([(chosen[:, :, None] * _BLOCK + within).flatten(1), behind], dim=1)
    found, index = values.gather(1, places).topk(k)
    return found, places.gather(1, index)


def _advance(beams: _Beams, log_probability: Tensor, eos_id: int, length: int, penalty: float) -> tuple[_Beams, Tensor]:
    """Adds one token to every output, log_probability `[B * k, V]`; also returns the row `[B, k]` each live one came
    from.
    """
    count, k = beams.live.shape
    vocabulary = log_probability.shape[-1]
    total = beams.live[:, :, None] + log_probability.view(count, k, vocabulary)
    # Of 2k candidates at most k end here, so k go on.
    likely, index = top(total.view(count, -1), min(2 * k, k * vocabulary))
    origin, token = index // vocabulary, index % vocabulary
    candidates = torch.cat([_pick(beams.tokens, origin), token[:, :, None]], dim=-1)

    ended = token == eos_id
    may_end = ended & (torch.arange(likely.shape[1], device=likely.device) < k)
    score = (likely / length**penalty).masked_fill(~may_end, -math.inf)
    padded = torch.cat([beams.done_tokens, beams.done_tokens.new_full((count, k, 1), eos_id)], dim=-1)
    done, best = torch.cat([beams.done, score], 1).topk(k)
    done_tokens = _pick(torch.cat([padded, candidates], 1), best)

    live, best = likely.masked_fill(ended, -math.inf).topk(k)
    origin = origin.gather(1, best) + torch.arange(count, device=live.device)[:, None] * k
    return replace(beams, live=live, tokens=_pick(candidates, best), done=done, done_tokens=done_tokens), origin


def _cut_off(beams: _Beams, at_limit: Tensor, length: int, penalty: float) -> _Beams:
    """Counts the unfinished outputs of sentences at their limit as finished."""
    score = (beams.live / length**penalty).masked_fill(~at_limit[:, None], -math.inf)
    done, best = torch.cat([beams.done, score], 1).topk(beams.done.shape[1])
    tokens = _pick(torch.cat([beams.done_tokens, beams.tokens], 1), best)
    return replace(beams, done=done, done_tokens=tokens, cut=best >= beams.done.shape[1])


def _hypotheses(beams: _Beams, place: int, eos_id: int, n_best: int) -> list[Hypothesis]:
    found = []
    for score, tokens, cut in zip(
        beams.done[place].tolist(), beams.done_tokens[place].tolist(), beams.cut[place].tolist(), strict=True
    ):
        if score > -math.inf:
            found.append(Hypothesis(tokens[: tokens.index(eos_id)] if eos_id in tokens else tokens, score, not cut))
    return found[:n_best]


def _pick(values: Tensor, index: Tensor) -> Tensor:
    """values `[B, n, t]` at index `[B, m]`: `[B, m, t]`."""
    return values.gather(1, index[:, :, None].expand(-1, -1, values.shape[-1]))
