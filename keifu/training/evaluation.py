"""What a model scores on held-out data: of a translator the loss with teacher forcing, and its own translations against
the references; of a language model how much the text surprises it; of what tells masked tokens, classes or tags, how
often it is right.
"""

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from keifu.data.examples import Pair, Question
from keifu.data.windows import Windows
from keifu.generation.continuation import continue_texts
from keifu.generation.sampling import Sampling
from keifu.generation.translation import Decoding, translate
from keifu.tasks.answer_metrics import score_answers
from keifu.tasks.classification_metrics import classification_scores
from keifu.tasks.image_classification import decide_pictures
from keifu.tasks.language_modeling import scores as language_scores
from keifu.tasks.masked_lm import Passages
from keifu.tasks.reading import Encoded, Reading, decide
from keifu.tasks.translation_metrics import score_translations
from keifu.training.loop import Evaluation, Learner, Stopped
from keifu.training.precision import autocast

_SAMPLES = 5
_WRITTEN = 3  # texts that a language model writes to read
_WRITTEN_TOKENS = 200


def evaluate_translation(
    learner: Learner,
    pairs: Sequence[Pair],
    encoded: Any,
    decoding: Decoding,
    translate_first: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> Evaluation:
    """Loss and perplexity over all pairs; BLEU and chrF of the translations of the first `translate_first`.

    should_stop: asked before each batch and each token. Raises Stopped when it says so.
    """
    ask = partial(_stop_if_asked, should_stop)
    began = time.perf_counter()
    learner.network.eval()
    shown = pairs[:translate_first]
    sources = [pair.source for pair in shown]
    with learner.used_weights():
        with autocast(learner.device, learner.dtype):
            loss = learner.task.mean_surprise(learner.model, learner.head, encoded, ask)
        translations = translate(learner.model, learner.head, learner.task.tokenizer, sources, decoding, ask)
    outputs = [best[0].text for best in translations]
    scores = score_translations(outputs, [pair.target for pair in shown])
    samples = [(pair.source, pair.target, output) for pair, output in zip(shown, outputs, strict=True)]
    metrics = {"loss": loss, "perplexity": math.exp(min(loss, 100.0)), **scores}
    return Evaluation(learner.step, metrics, samples[:_SAMPLES], time.perf_counter() - began)


def _stop_if_asked(should_stop: Callable[[], bool]) -> None:
    if should_stop():
        raise Stopped


def evaluate_language(
    learner: Learner,
    texts: Windows,
    characters: int,
    sampling: Sampling,
    should_stop: Callable[[], bool] = lambda: False,
) -> Evaluation:
    """Loss, perplexity and bits per character over all of the texts, and a few texts of the model's own.

    characters: of the texts, as tasks/language_modeling.py counts them. should_stop: asked before each batch and
    where a text of the model's own goes on. Raises Stopped when it says so.
    """
    ask = partial(_stop_if_asked, should_stop)
    began = time.perf_counter()
    learner.network.eval()
    task = learner.task
    few = sampling.model_copy(update={"max_tokens": min(sampling.max_tokens, _WRITTEN_TOKENS)})
    with learner.used_weights(), autocast(learner.device, learner.dtype):
        surprise = task.surprise(learner.model, learner.head, texts, ask)
        written = continue_texts(
            learner.model, learner.head, task, [""] * _WRITTEN, few, on_text=lambda place, text: ask()
        )
    metrics = language_scores(surprise, int(texts.lengths.sum()), characters)
    samples = [(text.text,) for text in written]
    return Evaluation(learner.step, metrics, samples, time.perf_counter() - began)


def evaluate_masked(
    learner: Learner, passages: Passages, reading: Reading, should_stop: Callable[[], bool] = lambda: False
) -> Evaluation:
    """Loss and the shares of masked tokens and of pairs that are told right, and a few rows to read. should_stop: asked
    before each batch. Raises Stopped when it says so.
    """
    before_batch = partial(_stop_if_asked, should_stop)
    began = time.perf_counter()
    learner.network.eval()
    with learner.used_weights(), autocast(learner.device, learner.dtype):
        metrics = learner.task.measure(learner.model, learner.head, passages, reading.batch_size, before_batch)
        samples = learner.task.samples(learner.model, learner.head, passages, _SAMPLES)
    return Evaluation(learner.step, metrics, samples, time.perf_counter() - began)


def evaluate_decisions(
    learner: Learner,
    examples: Sequence[Any],
    encoded: Encoded,
    reading: Reading,
    should_stop: Callable[[], bool] = lambda: False,
) -> Evaluation:
    """Loss and scores of the classes or tags of the examples, and a few examples to read. should_stop: asked before
    each batch. Raises Stopped when it says so.
    """
    before_batch = partial(_stop_if_asked, should_stop)
    began = time.perf_counter()
    learner.network.eval()
    task = learner.task
    with learner.used_weights(), autocast(learner.device, learner.dtype):
        found, surprise = decide(task, learner.model, learner.head, encoded, reading.batch_size, before_batch)
    metrics = decision_scores(encoded, found, surprise, task.labels)
    samples = [
        task.sample(example, [task.labels[place] for place in probabilities.argmax(-1)])
        for example, probabilities in zip(examples[:_SAMPLES], found, strict=False)
    ]
    return Evaluation(learner.step, metrics, samples, time.perf_counter() - began)


def decision_scores(
    encoded: Encoded, found: Sequence[NDArray[np.float32]], surprise: float, labels: Sequence[str]
) -> dict[str, Any]:
    """Loss (nats a decision) and the scores of tasks/classification_metrics.py, from the probabilities of each row."""
    expected = [place for row in encoded.targets for place in row.tolist()]
    predicted = [place for probabilities in found for place in probabilities.argmax(-1).tolist()]
    return {"loss": surprise / max(1, len(expected)), **classification_scores(expected, predicted, labels)}


def evaluate_answers(
    learner: Learner,
    questions: Sequence[Question],
    encoded: Any,
    together: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> Evaluation:
    """Loss and accuracy over all questions, and those that were answered first, as samples.

    together: questions that are answered at once. should_stop: asked before each batch. Raises Stopped when it says so.
    """
    began = time.perf_counter()
    learner.network.eval()
    with learner.used_weights(), autocast(learner.device, learner.dtype):
        surprise, chosen = answer_all(learner, encoded, together, should_stop)
    right = chosen == encoded.answers
    scores = score_answers(right, [one.kind for one in questions])
    metrics = {"loss": surprise / len(questions), **scores}
    given = [learner.task.answers[number] for number in chosen[:_SAMPLES]]
    samples = [
        ("\n".join((*one.facts, one.question)), one.answer, answer)
        for one, answer in zip(questions, given, strict=False)
    ]
    return Evaluation(learner.step, metrics, samples, time.perf_counter() - began)


@torch.no_grad()
def answer_all(
    learner: Learner, encoded: Any, together: int, should_stop: Callable[[], bool]
) -> tuple[float, NDArray[np.int64]]:
    """-log p of the right answers, in nats, and the number of the likeliest answer to each question."""
    surprise, chosen = 0.0, np.zeros(len(encoded), np.int64)
    order = np.argsort(encoded.sizes[:, 0], kind="stable")
    for begin in range(0, len(order), together):
        _stop_if_asked(should_stop)
        rows = order[begin : begin + together]
        batch = learner.task.batch(encoded, rows).to(learner.device)
        logits = learner.task.logits(learner.model, learner.head, batch.inputs)
        surprise += float(learner.task.surprise(logits, batch.targets))
        chosen[rows] = logits.argmax(-1).cpu().numpy()
    return surprise, chosen


def evaluate_pictures(
    learner: Learner, places: Sequence[str], data: Any, reading: Reading, should_stop: Callable[[], bool]
) -> Evaluation:
    """Loss and scores of the classes of the pictures, and a few with what was found. places: the pictures' names;
    should_stop: asked before each batch. Raises Stopped when it says so.
    """
    before_batch = partial(_stop_if_asked, should_stop)
    began = time.perf_counter()
    learner.network.eval()
    task = learner.task
    with learner.used_weights(), autocast(learner.device, learner.dtype):
        shares, surprise = decide_pictures(task, learner.model, learner.head, data, reading.batch_size, before_batch)
    found = shares.argmax(-1).tolist()
    scores = classification_scores(data.targets.tolist(), found, task.labels)
    samples = [
        (place, task.labels[expected], task.labels[label])
        for place, expected, label in zip(places[:_SAMPLES], data.targets.tolist(), found, strict=False)
    ]
    metrics = {"loss": surprise / len(data), **scores}
    return Evaluation(learner.step, metrics, samples, time.perf_counter() - began)
