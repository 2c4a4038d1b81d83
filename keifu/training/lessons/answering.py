"""Questions on stories."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from keifu.data.batches import Sampler
from keifu.data.examples import Question
from keifu.errors import ConfigError
from keifu.models import model_class
from keifu.tasks.question_answering import AROUND, QuestionAnswering, form_of, spoken_words
from keifu.text import Tokenizer
from keifu.training.corpus import StoryCorpus
from keifu.training.evaluation import evaluate_answers
from keifu.training.loop import Evaluation, Learner
from keifu.training.report import story_report
from keifu.training.settings import Settings

_FEWEST_TOKENS = 8  # of a question and its story, read as a pair of texts


class AnsweringLesson:
    """Questions on stories, as the model takes them."""

    def __init__(self, settings: Settings, corpus: StoryCorpus, tokenizer: Tokenizer) -> None:
        self.settings, self.corpus = settings, corpus
        answers = tuple(sorted({one.answer for one in corpus.train.questions}))
        takes, longest = form_of(model_class(settings.model.name)), settings.data.max_facts
        if takes == "story":
            longest = min(longest, settings.model.max_length)
        most_tokens = settings.model.max_length if takes == "segments" else None
        if most_tokens is not None and most_tokens < _FEWEST_TOKENS:
            raise ConfigError(f"model.max_length: {most_tokens} tokens together; expected {_FEWEST_TOKENS} or more")
        self.task = QuestionAnswering(tokenizer, answers, takes, longest, most_tokens)
        self.data = self.task.encode(corpus.train.questions)
        if most_tokens is not None:  # places behind the longest are not learned
            self.task = replace(self.task, most_tokens=min(most_tokens, int(self.data.sizes.max()) + AROUND))
        if takes == "story":  # nor are times before the longest story
            longest = min(longest, int(self.data.counts.max()))
            self.task = replace(self.task, longest=longest)
        self.valid = self.task.encode(corpus.valid.questions)
        told_of = sorted(always_told_of(corpus.train.questions, self.data.read.tolist()))
        self.model_facts = {"answers": list(answers), "max_facts": longest, "told_of": told_of}
        if self.task.most_tokens is not None:
            self.model_facts["max_tokens"] = self.task.most_tokens

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


def always_told_of(questions: Sequence[Question], read: Sequence[int]) -> set[str]:
    """The words that a question never has without a fact having them too, of the latest ones, of which so many are read
    of each story.
    """
    told: dict[str, frozenset[str]] = {}  # of every fact its words
    words: set[str] = set()
    others: set[str] = set()
    for one, count in zip(questions, read, strict=True):
        asked = set(spoken_words(one.question)) - others
        facts = one.facts[len(one.facts) - count :]
        for fact in facts:
            if fact not in told:
                told[fact] = frozenset(spoken_words(fact))
        spoken = frozenset().union(*(told[fact] for fact in facts)) if asked else frozenset()
        words |= asked
        others |= asked - spoken
    return words - others
