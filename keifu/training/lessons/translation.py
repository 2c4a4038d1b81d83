"""Translating: pairs of sentences."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from keifu.data.batches import Sampler
from keifu.errors import DataError
from keifu.generation.translation import EXTRA_TOKENS
from keifu.models import model_class
from keifu.tasks.alignment import alignment_errors
from keifu.tasks.translation import Translation
from keifu.text import Tokenizer
from keifu.text.normalisation import PairNormalisation, infer
from keifu.training.corpus import Corpus
from keifu.training.evaluation import evaluate_translation
from keifu.training.loop import Evaluation, Learner
from keifu.training.probes import Probes
from keifu.training.report import data_report
from keifu.training.settings import Settings

_LONGER = 1.3  # a batch's longest output takes as many steps, against the mean
_PROBES, _ALIGNED = 4, 64  # sentences whose attention is kept, and on which the alignment error is measured


class TranslationLesson:
    """Pairs with at most as many tokens as the settings allow; `left_out` are longer."""

    def __init__(self, settings: Settings, corpus: Corpus, tokenizer: Tokenizer) -> None:
        data = settings.data
        self.settings, self.corpus = settings, corpus
        model = model_class(settings.model.name)
        self.task = Translation.for_model(model, tokenizer, settings.training.label_smoothing)
        everything = self.task.encode(corpus.train.pairs)
        most = min(data.max_tokens, self.task.longest_side(settings.model.max_length))
        self.data = everything.up_to(most)
        if len(self.data) == 0:
            remedy = "raise data.max_tokens and model.max_length"
            raise DataError(f"{data.train}: every pair has over {most} tokens; {remedy}")
        self.normalisation = PairNormalisation(
            source=infer(pair.source for pair in corpus.train.pairs),
            target=infer(pair.target for pair in corpus.train.pairs),
        )
        # What the best checkpoint is chosen on is read as a user's text will be.
        valid = [replace(pair, source=self.normalisation.source(pair.source)) for pair in corpus.valid.pairs]
        encoded = self.task.encode(valid)
        fits = encoded.sizes.max(axis=1) <= most
        self.valid = [pair for pair, kept in zip(valid, fits, strict=True) if kept]
        self.encoded_valid = encoded.up_to(most)
        if not self.valid:
            raise DataError(f"{corpus.valid_is}: every pair has over {most} tokens; choose other data with --valid")
        self.left_out = len(everything) - len(self.data) + len(fits) - len(self.valid)
        self.model_facts = {
            "languages": list(corpus.train.languages),
            "normalisation": self.normalisation.model_dump(mode="json"),
        }

    def probes(self) -> Probes | None:
        given = self.corpus.probes[:_ALIGNED]
        if not given:
            return None
        pairs = [replace(pair, source=self.normalisation.source(pair.source)) for pair in given]
        encoded = self.task.encode_now(pairs[:_PROBES])
        batches = [self.task.batch(encoded, np.array([row])) for row in encoded.rows()]
        sequences = [self.task.sequences(batch) for batch in batches]
        if any(pair.alignment is None for pair in pairs) or pairs != list(given):
            return Probes(batches, sequences)
        return Probes(batches, sequences, lambda model: alignment_errors(model, self.task, pairs))

    def sampler(self) -> Sampler:
        training = self.settings.training
        return Sampler(self.task.sizes_read(self.data), training.batch_tokens, training.seed)

    def evaluate(self, learner: Learner, settings: Settings, should_stop: Callable[[], bool]) -> Evaluation:
        return self._evaluation(learner, settings, should_stop)

    def rehearse(self, trial: Learner, settings: Settings) -> Evaluation:
        """Outputs are cut where a trained model would end them."""
        source, target = self.encoded_valid.sizes.mean(axis=0)
        ratio = max(0.01, (_LONGER * target - EXTRA_TOKENS) / source)
        return self._evaluation(trial, settings, lambda: False, max_ratio=ratio)

    def _evaluation(
        self, learner: Learner, settings: Settings, should_stop: Callable[[], bool], **decoding: Any
    ) -> Evaluation:
        greedy = settings.decoding.model_copy(update={"beam": 1, "n_best": 1, **decoding})
        first = settings.training.evaluate_on
        return evaluate_translation(learner, self.valid, self.encoded_valid, greedy, first, should_stop)

    def report(self, sampler: Sampler) -> dict[str, Any]:
        return data_report(self.corpus, self.data, self.encoded_valid, self.left_out, sampler, self.task.tokenizer)
