"""Language modelling: windows of text."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keifu.data.batches import Sampler
from keifu.data.token_file import WORTH_A_FILE, tokens_of
from keifu.data.windows import InOrder, Shuffled, Stretches, Windows, cut_to, side_by_side, split
from keifu.errors import ConfigError
from keifu.models import model_class
from keifu.tasks.language_modeling import LanguageModeling
from keifu.text import Tokenizer
from keifu.training.corpus import TextCorpus
from keifu.training.evaluation import evaluate_language
from keifu.training.loop import Evaluation, Learner
from keifu.training.probes import Probes
from keifu.training.report import text_report
from keifu.training.settings import Settings

_PROBES = 4  # texts whose attention is kept
_USUAL_WINDOW, _USUAL_DOCUMENT = 128, 256  # tokens that a model reads together which remembers what was before
_STREAMS, _SHORTEST_STREAM = 32, 4096  # most streams that an evaluation reads side by side, and their least tokens


class LanguageLesson:
    """Windows of text: of documents, in random batches; of one long text, or of packed documents, whose streams go on
    from batch to batch; or each by itself, where a model reads no more than its max_length together.
    """

    def __init__(self, settings: Settings, corpus: TextCorpus, tokenizer: Tokenizer) -> None:
        data, training = settings.data, settings.training
        carries = hasattr(model_class(settings.model.name), "state_of")  # its state, from window to window
        longest = None if carries else settings.model.max_length
        window = _window(data.window, longest)
        packed = corpus.reading == "documents" and (corpus.train.is_stored if data.packed is None else data.packed)
        if data.packed and not packed:
            raise ConfigError("data.packed: packs documents, and this is read as one text; add data.reading=documents")
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
            most = _most_tokens(data.max_tokens, longest)
            self.data = cut_to(self.task.encode(list(corpus.train.documents)), most)
            self.settings = self.settings.with_data(max_tokens=most)
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


def _most_tokens(asked: int | None, longest: int | None) -> int:
    """The tokens of a document that are read together, at most. Raises ConfigError as `_window` does."""
    if longest is not None and asked is not None and asked < longest:
        raise ConfigError(
            f"data.max_tokens {asked}: this model reads up to model.max_length {longest}, and would not learn the "
            f"places behind; leave data.max_tokens empty, or set model.max_length={asked}"
        )
    return longest or asked or _USUAL_DOCUMENT
