"""What a model scores on held-out pairs: the loss with teacher forcing, and its own translations against the
references.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from keifu.data.batches import cut
from keifu.data.examples import Pair
from keifu.generation.translation import Decoding, translate
from keifu.tasks.translation_metrics import score_translations
from keifu.training.loop import Evaluation, Learner, Stopped
from keifu.training.precision import autocast

_SAMPLES = 5
_BATCH_TOKENS = 8192


def evaluate_translation(
    learner: Learner,
    pairs: Sequence[Pair],
    encoded: Any,
    decoding: Decoding,
    translate_first: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> Evaluation:
    """Loss and perplexity over all pairs; BLEU and chrF of the translations of the first `translate_first`.

    should_stop: asked before each batch. Raises Stopped when it says so.
    """

    def before_batch() -> None:
        if should_stop():
            raise Stopped

    began = time.perf_counter()
    learner.network.eval()
    shown = pairs[:translate_first]
    sources = [pair.source for pair in shown]
    with learner.used_weights():
        loss = held_out_loss(learner, encoded, before_batch)
        translations = translate(learner.model, learner.head, learner.task.tokenizer, sources, decoding, before_batch)
    outputs = [best[0].text for best in translations]
    scores = score_translations(outputs, [pair.target for pair in shown])
    samples = [(pair.source, pair.target, output) for pair, output in zip(shown, outputs, strict=True)]
    metrics = {"loss": loss, "perplexity": math.exp(min(loss, 100.0)), **scores}
    return Evaluation(learner.step, metrics, samples[:_SAMPLES], time.perf_counter() - began)


@torch.no_grad()
def held_out_loss(learner: Learner, encoded: Any, before_batch: Callable[[], None] = lambda: None) -> float:
    """Nats a token, [EOS] included, without label smoothing; a mean over all tokens."""
    surprise, tokens = 0.0, 0
    longest = encoded.sizes.max(axis=1)
    for rows in cut(np.argsort(longest, kind="stable"), longest, _BATCH_TOKENS):
        before_batch()
        batch = learner.task.batch(encoded, rows).to(learner.device)
        with autocast(learner.device, learner.dtype):
            loss = learner.task.loss(learner.model, learner.head, batch)
        surprise += float(loss.surprise)
        tokens += loss.tokens
    return surprise / tokens
