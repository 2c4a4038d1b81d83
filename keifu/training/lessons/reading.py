"""Pre-training on text, and what a text or its words are."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from keifu.data.batches import Sampler
from keifu.errors import ConfigError, DataError
from keifu.tasks.classification import Classification
from keifu.tasks.masked_lm import MaskedLanguageModeling
from keifu.tasks.reading import balanced
from keifu.tasks.tagging import Tagging
from keifu.text import Tokenizer
from keifu.training.corpus import ExampleCorpus, PassageCorpus
from keifu.training.evaluation import (
    evaluate_decisions,
    evaluate_masked,
)
from keifu.training.loop import Evaluation, Learner
from keifu.training.report import example_report, passage_report
from keifu.training.settings import Settings

_FEWEST_TOKENS = 8  # of a stretch that is read together


class MaskedLesson:
    """Stretches of documents whose tokens are masked, and pairs of such stretches."""

    def __init__(self, settings: Settings, corpus: PassageCorpus, tokenizer: Tokenizer) -> None:
        training = settings.training
        passages, held_out = (part.passages(corpus.reading) for part in (corpus.train, corpus.valid))
        pairs = training.next_sentence
        if pairs is None:  # half of them are strangers, from another document
            several = [sum(len(sentences) > 1 for sentences in part) for part in (passages, held_out)]
            pairs = 2 * several[0] > len(passages) and min(several) > 1
        settings = settings.with_data(reading=corpus.reading).with_training(next_sentence=pairs)
        self.settings, self.corpus = settings, corpus
        self.most = _most_tokens(settings)
        about = {"masked": training.masked, "next_sentence": pairs, "whole_words": training.whole_words}
        task = MaskedLanguageModeling(tokenizer, **about, share=training.mask_share)
        self.data, self.valid = (task.encode(part, self.most) for part in (passages, held_out))
        self._refuse_too_little(pairs, training.masked)
        weight = training.mask_share * float(self.data.lengths.mean())
        self.task = replace(task, pair_weight=weight)
        shown = {"mask_share": training.mask_share, "whole_words": training.whole_words, "reading": corpus.reading}
        self.model_facts = {"masked": training.masked, "next_sentence": pairs, "max_tokens": self.most, **shown}

    def _refuse_too_little(self, pairs: bool, masked: bool) -> None:
        for spec, data in ((self.corpus.train.spec, self.data), (self.corpus.valid_is, self.valid)):
            if pairs and not len(data.paired):
                raise DataError(
                    f"{spec}: no document has two sentences, of which one follows the other; put blank lines between "
                    "documents, or leave this part away with --set training.next_sentence=false"
                )
            if pairs and data.documents_with_pairs < 2:
                raise DataError(
                    f"{spec}: one document with several sentences, so no pair of two; put blank lines between "
                    "documents, or leave this part away with --set training.next_sentence=false"
                )
        if not pairs and not masked:
            raise ConfigError("training.masked is false and documents are single sentences: nothing is left to learn")

    def sampler(self) -> Sampler:
        training = self.settings.training
        return Sampler(self.data.sizes, training.batch_tokens, training.seed)

    def evaluate(self, learner: Learner, settings: Settings, should_stop: Callable[[], bool]) -> Evaluation:
        return evaluate_masked(learner, self.valid, settings.decoding, should_stop)

    def rehearse(self, trial: Learner, settings: Settings) -> Evaluation:
        return self.evaluate(trial, settings, lambda: False)

    def report(self, sampler: Sampler) -> dict[str, Any]:
        return passage_report(self.corpus, self.data, self.valid, sampler, self.task.tokenizer)


class DecisionLesson:
    """Texts with a class, or sentences with a tag for every word."""

    def __init__(self, settings: Settings, corpus: ExampleCorpus, tokenizer: Tokenizer) -> None:
        self.settings, self.corpus = settings, corpus
        counts = corpus.train.labels
        labels = tuple(counts)
        weights = balanced(list(counts.values())) if settings.training.class_weights == "balanced" else ()
        make: type[Classification | Tagging] = Tagging if settings.training.task == "tagging" else Classification
        self.task = make(tokenizer, labels, weights)
        most = _most_tokens(settings)
        self.data, self.valid = (self.task.encode(part.examples, most) for part in (corpus.train, corpus.valid))
        self.model_facts = {"labels": list(labels), "max_tokens": most}
        if isinstance(self.task, Classification):
            self.model_facts["texts"] = len(corpus.train.examples[0].texts)

    def sampler(self) -> Sampler:
        training = self.settings.training
        return Sampler(self.data.sizes, training.batch_tokens, training.seed)

    def evaluate(self, learner: Learner, settings: Settings, should_stop: Callable[[], bool]) -> Evaluation:
        return evaluate_decisions(learner, self.corpus.valid.examples, self.valid, settings.decoding, should_stop)

    def rehearse(self, trial: Learner, settings: Settings) -> Evaluation:
        return self.evaluate(trial, settings, lambda: False)

    def report(self, sampler: Sampler) -> dict[str, Any]:
        return example_report(self.corpus, self.data, self.valid, sampler, self.task.tokenizer)


def _most_tokens(settings: Settings) -> int:
    """The tokens that are read together, at most. Raises ConfigError where hardly anything could be read."""
    most: int = min(settings.data.max_tokens, getattr(settings.model, "max_length", settings.data.max_tokens))
    if most < _FEWEST_TOKENS:
        raise ConfigError(
            f"data.max_tokens and model.max_length: {most} tokens together; expected {_FEWEST_TOKENS} or more"
        )
    return most
