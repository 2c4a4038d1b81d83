"""The kinds of input that models read, as the property tests make them. A kind is shared by all models that declare
the same `takes`.
"""

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from keifu.data.batches import to_right_padded
from keifu.interface import PairBatch, StoryBatch, TokenBatch
from keifu.session import Answerer, LanguageModel, MaskedModel, Translator
from keifu.tasks.language_modeling import LanguageModeling
from keifu.tasks.masked_lm import MaskedLanguageModeling
from keifu.tasks.question_answering import QuestionAnswering
from keifu.tasks.translation import Translation
from keifu.text import Tokenizer
from keifu.trace import Trace


class PairInputs:
    """Reads a source and a target; writes the target step by step."""

    sides = ("source", "target")
    written = "target"
    session, task = Translator, Translation
    config: Mapping[str, Any] = {}

    def __init__(self, source_embedding: str = "source_embedding", begin: Sequence[str] = ()) -> None:
        self.embeddings: Mapping[str, str] = {"source": source_embedding, "target": "target_embedding"}
        self.begin = begin  # of a source

    def batch(self, tokens: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> PairBatch:
        return PairBatch(tokens["source"], masks["source"], tokens["target"], masks["target"])

    def spread(self, hidden: Tensor, tokens: Mapping[str, Tensor]) -> Tensor:
        """What a model came to, as a vector for every token of the written side."""
        return hidden

    def outputs(self, model: Any, batch: PairBatch) -> dict[str, Tensor]:
        """Every sequence of hidden vectors, by the side that it runs over."""
        return {"source": model.encode(batch.source, batch.source_mask), "target": model(batch).hidden}

    def start(self, model: Any, tokens: Mapping[str, Tensor], masks: Mapping[str, Tensor], capacity: int) -> Any:
        """The state before the first token of the written side."""
        return model.start(tokens["source"], masks["source"], **_sized(model, capacity))

    def logits(self, model: Any, tokens: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> Tensor:
        return model.logits(tokens["source"], tokens["target"], masks["source"], masks["target"])

    def trace(self, model: Any, text: str, target: str, **options: Any) -> Trace:
        return model.trace(text, target, **options)

    def sequences(self, text: str, target: str) -> dict[str, list[str]]:
        """What a trace calls the tokens along its axes, where a token is a letter."""
        return {"source": [*self.begin, *text, "[EOS]"], "target": ["[BOS]", *target], "predicted": [*target, "[EOS]"]}


class TokenInputs:
    """Reads one text, and writes it step by step."""

    sides = ("text",)
    written = "text"
    embeddings: Mapping[str, str] = {"text": "embedding"}
    session, task = LanguageModel, LanguageModeling
    config: Mapping[str, Any] = {}

    def batch(self, tokens: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> TokenBatch:
        return TokenBatch(tokens["text"], masks["text"])

    def spread(self, hidden: Tensor, tokens: Mapping[str, Tensor]) -> Tensor:
        """What a model came to, as a vector for every token of the written side."""
        return hidden

    def outputs(self, model: Any, batch: TokenBatch) -> dict[str, Tensor]:
        """Every sequence of hidden vectors, by the side that it runs over."""
        return {"text": model(batch).hidden}

    def start(self, model: Any, tokens: Mapping[str, Tensor], masks: Mapping[str, Tensor], capacity: int) -> Any:
        """The state before the first token of the written side."""
        return model.start(len(tokens["text"]), **_sized(model, capacity))

    def logits(self, model: Any, tokens: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> Tensor:
        return model.logits(tokens["text"], masks["text"])

    def trace(self, model: Any, text: str, target: str, **options: Any) -> Trace:
        return model.trace(text, **options)

    def sequences(self, text: str, target: str) -> dict[str, list[str]]:
        return {"text": ["[BOS]", *text], "predicted": [*text, "[EOS]"]}


class StoryInputs:
    """Reads a story, whose facts are of one token here, and a question; comes to one vector, which is that of every
    token of the question.
    """

    sides = ("story", "question")
    written = "question"
    embeddings: Mapping[str, str] = {"story": "embeddings.1", "question": "question_embedding.words"}
    session = Answerer
    config: Mapping[str, Any] = {"answers": [f"answer {number}" for number in range(50)], "max_facts": 64}

    def task(self, tokenizer: Tokenizer) -> QuestionAnswering:
        return QuestionAnswering(tokenizer, tuple(self.config["answers"]))

    def batch(self, tokens: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> StoryBatch:
        story = tokens["story"]
        facts = story.reshape(-1, 1)
        places = torch.arange(story.numel()).view_as(story)
        mask = torch.ones_like(facts, dtype=torch.bool)
        return StoryBatch(facts, mask, places, masks["story"], tokens["question"], masks["question"])

    def spread(self, hidden: Tensor, tokens: Mapping[str, Tensor]) -> Tensor:
        return hidden.expand(-1, tokens["question"].shape[1], -1)

    def outputs(self, model: Any, batch: StoryBatch) -> dict[str, Tensor]:
        return {"question": self.spread(model(batch).hidden, {"question": batch.question})}

    @torch.no_grad()
    def logits(self, model: Any, tokens: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> Tensor:
        moved = {side: to_right_padded(tokens[side], masks[side]) for side in self.sides}
        inputs = ({side: each[part] for side, each in moved.items()} for part in (0, 1))
        return self.spread(model.head(model.network(self.batch(*inputs)).hidden), tokens)

    def trace(self, model: Any, text: str, target: str, **options: Any) -> Trace:
        return model.trace(target, [*text], **options)

    def sequences(self, text: str, target: str) -> dict[str, list[str]]:
        return {"answers": self.config["answers"], "story": [*text], "question": [*target]}


class ReadInputs:
    """Reads a text or a pair of texts at once, and writes nothing: there are no steps. The vectors of a text are called
    after it as if it were written. Every third token is one of a second text.
    """

    sides = ("text",)
    written = "text"
    embeddings: Mapping[str, str] = {"text": "embedding"}
    session, task = MaskedModel, MaskedLanguageModeling
    config: Mapping[str, Any] = {}

    def batch(self, tokens: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> TokenBatch:
        return TokenBatch(tokens["text"], masks["text"], None, self.segments(tokens["text"]))

    def spread(self, hidden: Tensor, tokens: Mapping[str, Tensor]) -> Tensor:
        """What a model came to, as a vector for every token of the written side."""
        return hidden

    def segments(self, tokens: Tensor) -> Tensor:
        return (tokens % 3 == 0).long()

    def outputs(self, model: Any, batch: TokenBatch) -> dict[str, Tensor]:
        """Every sequence of hidden vectors, by the side that it runs over."""
        return {"text": model(batch).hidden}

    def logits(self, model: Any, tokens: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> Tensor:
        return model.logits(tokens["text"], masks["text"], self.segments(tokens["text"]))

    def trace(self, model: Any, text: str, target: str, **options: Any) -> Trace:
        return model.trace(text, **options)

    def sequences(self, text: str, target: str) -> dict[str, list[str]]:
        labels = ["[CLS]", *text, "[SEP]"]
        return {"text": labels, "source": labels}


def _sized(model: Any, capacity: int) -> dict[str, int]:
    """What a model whose state is a cache is told of its size."""
    return {"capacity": capacity} if "capacity" in signature(model.start).parameters else {}


Inputs = PairInputs | TokenInputs | ReadInputs | StoryInputs
