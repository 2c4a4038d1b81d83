"""What a run teaches, and how it examines: all that differs from task to task.

A lesson is made of the settings, the corpus and the tokenizer. It has the task, the encoded examples, a sampler of
them, and evaluates a learner on the validation data.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from keifu.config import validate
from keifu.data.batches import Sampler
from keifu.data.examples import Question
from keifu.data.token_file import WORTH_A_FILE, tokens_of
from keifu.data.windows import InOrder, Shuffled, Stretches, Windows, cut_to, side_by_side, split
from keifu.errors import ConfigError, DataError
from keifu.generation.translation import EXTRA_TOKENS
from keifu.models import model_class
from keifu.tasks.alignment import alignment_errors
from keifu.tasks.classification import Classification, balanced
from keifu.tasks.image_classification import ImageClassification
from keifu.tasks.language_modeling import LanguageModeling
from keifu.tasks.masked_lm import MaskedLanguageModeling
from keifu.tasks.question_answering import QuestionAnswering, plain
from keifu.tasks.tagging import Tagging
from keifu.tasks.translation import Translation
from keifu.text import Tokenizer
from keifu.text.normalisation import PairNormalisation, infer
from keifu.training.corpus import Corpus, ExampleCorpus, PassageCorpus, PictureCorpus, StoryCorpus, TextCorpus
from keifu.training.evaluation import (
    evaluate_answers,
    evaluate_decisions,
    evaluate_language,
    evaluate_masked,
    evaluate_pictures,
    evaluate_translation,
)
from keifu.training.loop import Evaluation, Learner
from keifu.training.probes import Probes
from keifu.training.report import data_report, example_report, passage_report, picture_report, story_report, text_report
from keifu.training.settings import Settings

_LONGER = 1.3  # a batch's longest output takes as many steps, against the mean
_PROBES, _ALIGNED = 4, 64  # sentences whose attention is kept, and on which the alignment error is measured
_USUAL_WINDOW = 128  # of a model that remembers what was before
_STREAMS, _SHORTEST_STREAM = 32, 4096  # most streams that an evaluation reads side by side, and their least tokens


class Lesson(Protocol):
    """The contract. settings: with what the data decided; data: the encoded examples; model_facts: what config.json
    holds of the texts beside the settings. Where the settings name probes, `probes()` gives them.
    """

    settings: Settings
    corpus: Any
    task: Any
    data: Any
    model_facts: dict[str, Any]

    def sampler(self) -> Sampler:
        """A new sampler of the data, at its beginning."""
        ...

    def evaluate(self, learner: Learner, settings: Settings, should_stop: Callable[[], bool]) -> Evaluation:
        """Scores on the validation data. Raises Stopped when asked to stop."""
        ...

    def rehearse(self, trial: Learner, settings: Settings) -> Evaluation:
        """An evaluation by a model that has learned nothing, which takes as long as one of a trained model."""
        ...

    def report(self, sampler: Sampler) -> dict[str, Any]:
        """data.json: what is learned from, with hashes, counts and findings."""
        ...


class TranslationLesson:
    """Pairs with at most as many tokens as the settings allow; `left_out` are longer."""

    def __init__(self, settings: Settings, corpus: Corpus, tokenizer: Tokenizer) -> None:
        data = settings.data
        self.settings, self.corpus = settings, corpus
        self.task = Translation(tokenizer, settings.training.label_smoothing, model_class(settings.model.name).takes)
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


class LanguageLesson:
    """Windows of text: of documents, in random batches; of one long text, or of packed documents, whose streams go on
    from step to step; or each by itself, where a model reads no more than its max_length together.
    """

    def __init__(self, settings: Settings, corpus: TextCorpus, tokenizer: Tokenizer) -> None:
        data, training = settings.data, settings.training
        carries = hasattr(model_class(settings.model.name), "state_of")  # its state, from window to window
        longest = None if carries else settings.model.max_length
        window = _window(data.window, longest)
        packed = corpus.reading == "documents" and (corpus.train.is_stored if data.packed is None else data.packed)
        self.settings, self.corpus = settings.with_data(reading=corpus.reading, window=window, packed=packed), corpus
        self.task = LanguageModeling(tokenizer, corpus.reading)
        self.model_facts = {"reading": corpus.reading}
        self._together = max(1, training.batch_tokens // window)
        self.data: Windows | Stretches
        if corpus.reading == "documents":
            self.valid = self.task.encode(list(corpus.valid.documents))
            self.characters = sum(len(text) + 1 for text in corpus.valid.documents)
        else:
            # In pieces that begin anew it is read faster: as many as there are windows in it, or, where what was before
            # is remembered, a few side by side.
            self.valid = self.task.pieces(corpus.valid.text, 1)
            self.characters, tokens = corpus.valid.characters, self.valid.predictions
            count = -(-tokens // window) if longest else min(_STREAMS, tokens // _SHORTEST_STREAM)
            self.valid = self.task.pieces(corpus.valid.text, count) if count > 1 else self.valid
        if corpus.reading == "documents" and not packed:
            most = min(data.max_tokens, longest or data.max_tokens)
            self.data = cut_to(self.task.encode(list(corpus.train.documents)), most)
        elif longest is not None:
            lead = None if packed else tokenizer.bos_id
            self.data = Stretches(tokens_of(corpus.train, tokenizer, packed), window, lead)
        elif packed or corpus.train.characters >= WORTH_A_FILE:
            self.data = side_by_side(split(tokens_of(corpus.train, tokenizer, packed), self._together), window)
        else:
            self.data = side_by_side(self.task.pieces(corpus.train.text, self._together), window)

    def probes(self) -> Probes | None:
        encoded = self.task.encode(self.corpus.probes[:_PROBES])
        batches = [self.task.batch(encoded, np.array([row])) for row in encoded.rows()]
        return Probes(batches, [self.task.sequences(batch.inputs) for batch in batches]) if batches else None

    def sampler(self) -> Sampler:
        training = self.settings.training
        if isinstance(self.data, Stretches):
            return Shuffled(self.data, self._together, training.seed)
        if self.data.streams:
            return InOrder(self.data)
        return Sampler(self.data.sizes, training.batch_tokens, training.seed)

    def evaluate(self, learner: Learner, settings: Settings, should_stop: Callable[[], bool]) -> Evaluation:
        return evaluate_language(learner, self.valid, self.characters, settings.decoding, should_stop)

    def rehearse(self, trial: Learner, settings: Settings) -> Evaluation:
        return self.evaluate(trial, settings, lambda: False)

    def report(self, sampler: Sampler) -> dict[str, Any]:
        return text_report(self.corpus, self.data, self.valid, sampler, self.task.tokenizer)


def _window(asked: int | None, longest: int | None) -> int:
    """The tokens of a stream that are read together. Raises ConfigError where some places would be left untaught."""
    if longest is not None and asked not in (None, longest):
        raise ConfigError(
            f"data.window {asked}: this model reads windows of model.max_length {longest}, so that it learns every "
            f"place in them; leave data.window empty, or set model.max_length={asked}"
        )
    return longest or asked or _USUAL_WINDOW


class MaskedLesson:
    """Stretches of documents whose tokens are masked, and pairs of such stretches."""

    def __init__(self, settings: Settings, corpus: PassageCorpus, tokenizer: Tokenizer) -> None:
        data, training = settings.data, settings.training
        passages, held_out = (part.passages(corpus.reading) for part in (corpus.train, corpus.valid))
        pairs = training.next_sentence
        if pairs is None:
            pairs = 2 * sum(len(sentences) > 1 for sentences in passages) > len(passages)
        settings = settings.with_data(reading=corpus.reading).with_training(next_sentence=pairs)
        self.settings, self.corpus = settings, corpus
        self.most = min(data.max_tokens, settings.model.max_length)
        about = {"masked": training.masked, "next_sentence": pairs, "whole_words": training.whole_words}
        task = MaskedLanguageModeling(tokenizer, **about, share=training.mask_share)
        self.data, self.valid = (task.encode(part, self.most) for part in (passages, held_out))
        self._refuse_too_little(pairs, training.masked)
        weight = training.mask_share * float(self.data.lengths.mean())
        self.task = replace(task, pair_weight=weight)
        self.model_facts = {"masked": training.masked, "next_sentence": pairs, "max_tokens": self.most}

    def _refuse_too_little(self, pairs: bool, masked: bool) -> None:
        paired = self.data.documents[self.data.first[self.data.paired]]
        if pairs and len(paired) and len(set(paired.tolist())) < 2:
            raise DataError(
                f"{self.corpus.train.spec}: one document with several sentences, so no pair of two; put blank lines "
                "between documents, or leave this part away with --set training.next_sentence=false"
            )
        for spec, data in ((self.corpus.train.spec, self.data), (self.corpus.valid_is, self.valid)):
            if pairs and not len(data.paired):
                raise DataError(
                    f"{spec}: no document has two sentences, of which one follows the other; put blank lines between "
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
        self.task: Classification | Tagging
        if settings.training.task == "tagging":
            self.task = Tagging(tokenizer, labels)
        else:
            weights = balanced(list(counts.values())) if settings.training.class_weights == "balanced" else ()
            self.task = Classification(tokenizer, labels, weights)
        most = min(settings.data.max_tokens, getattr(settings.model, "max_length", settings.data.max_tokens))
        self.data, self.valid = (self.task.encode(part.examples, most) for part in (corpus.train, corpus.valid))
        self.model_facts = {"labels": list(labels)}

    def sampler(self) -> Sampler:
        training = self.settings.training
        return Sampler(self.data.sizes, training.batch_tokens, training.seed)

    def evaluate(self, learner: Learner, settings: Settings, should_stop: Callable[[], bool]) -> Evaluation:
        return evaluate_decisions(learner, self.corpus.valid.examples, self.valid, settings.decoding, should_stop)

    def rehearse(self, trial: Learner, settings: Settings) -> Evaluation:
        return self.evaluate(trial, settings, lambda: False)

    def report(self, sampler: Sampler) -> dict[str, Any]:
        return example_report(self.corpus, self.data, self.valid, sampler, self.task.tokenizer)


class AnsweringLesson:
    """Questions on stories, as the model takes them."""

    def __init__(self, settings: Settings, corpus: StoryCorpus, tokenizer: Tokenizer) -> None:
        self.settings, self.corpus = settings, corpus
        answers = tuple(sorted({one.answer for one in corpus.train.questions}))
        takes, longest = model_class(settings.model.name).takes, settings.data.max_facts
        if takes == "story":
            longest = min(longest, settings.model.max_length)
        self.task = QuestionAnswering(tokenizer, answers, takes, longest)
        self.data = self.task.encode(corpus.train.questions)
        self.valid = self.task.encode(corpus.valid.questions)
        told_of = sorted(always_told_of(corpus.train.questions))
        self.model_facts = {"answers": list(answers), "max_facts": longest, "told_of": told_of}

    def sampler(self) -> Sampler:
        training = self.settings.training
        if self.task.takes == "story":  # no row is longer in it than another: a fact of any length is one vector
            return Sampler(np.ones_like(self.data.sizes), training.batch_size, training.seed)
        return Sampler(self.data.sizes, training.batch_tokens, training.seed)

    def evaluate(self, learner: Learner, settings: Settings, should_stop: Callable[[], bool]) -> Evaluation:
        return evaluate_answers(
            learner, self.corpus.valid.questions, self.valid, settings.decoding.batch_size, should_stop
        )

    def rehearse(self, trial: Learner, settings: Settings) -> Evaluation:
        return self.evaluate(trial, settings, lambda: False)

    def report(self, sampler: Sampler) -> dict[str, Any]:
        return story_report(self.corpus, self.task, self.data, self.valid)


class PictureLesson:
    """Pictures with their classes, all of one size."""

    def __init__(self, settings: Settings, corpus: PictureCorpus, tokenizer: None) -> None:
        shape, training = corpus.train.shape, settings.training
        asked = settings.model.model_dump() | shape._asdict()
        model = validate({"model": type(settings.model)}, {"model": asked})["model"]  # a patch may not fit the size
        self.settings, self.corpus = replace(settings, model=model), corpus
        labels = tuple(corpus.train.classes)
        self.task = ImageClassification(labels, training.augment, training.label_smoothing)
        self.data, self.valid = (self.task.encode(part.pixels, part.labels) for part in (corpus.train, corpus.valid))
        self.model_facts = {"labels": list(labels)}

    def sampler(self) -> Sampler:
        training = self.settings.training
        return Sampler(self.data.sizes, training.batch_size, training.seed)

    def evaluate(self, learner: Learner, settings: Settings, should_stop: Callable[[], bool]) -> Evaluation:
        return evaluate_pictures(learner, self.corpus.valid.places, self.valid, settings.decoding, should_stop)

    def rehearse(self, trial: Learner, settings: Settings) -> Evaluation:
        return self.evaluate(trial, settings, lambda: False)

    def report(self, sampler: Sampler) -> dict[str, Any]:
        return picture_report(self.corpus)


def always_told_of(questions: Sequence[Question]) -> set[str]:
    """The words that a question never has without a fact of its story having them too."""
    told: dict[str, frozenset[str]] = {}  # of every fact its words
    words: set[str] = set()
    others: set[str] = set()
    for one in questions:
        asked = set(plain(one.question).split()) - others
        for fact in one.facts:
            if fact not in told:
                told[fact] = frozenset(plain(fact).split())
        spoken = frozenset().union(*(told[fact] for fact in one.facts)) if asked else frozenset()
        words |= asked
        others |= asked - spoken
    return words - others


LESSONS: dict[str, Callable[[Settings, Any, Any], Lesson]] = {
    "translation": TranslationLesson,
    "language-modeling": LanguageLesson,
    "masked-lm": MaskedLesson,
    "classification": DecisionLesson,
    "tagging": DecisionLesson,
    "question-answering": AnsweringLesson,
    "image-classification": PictureLesson,
}
