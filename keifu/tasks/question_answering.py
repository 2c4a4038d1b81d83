"""Question answering: questions on stories to batches, one vector a question to its answer.

An answer is one of those that were seen in training, a list ("apple,milk") as a whole. What a model reads depends on
what it takes:

    story     the facts as a memory, and the question
    pair      the story as source, its facts one after another; the question as target
    tokens    the question, then the story, as one sequence
    segments  the same as BERT reads a pair of texts: [CLS] question [SEP] fact [SEP] fact [SEP]

Words are in lower case, and the sign that ends a sentence is left out, so that nothing hangs on how a user writes it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from keifu.data.batches import Indices, Sequences, length_mask
from keifu.data.examples import Question
from keifu.interface import Loss, PairBatch, StoryBatch, TokenBatch
from keifu.layers.heads import AnswerHead, ClassHead
from keifu.tasks.reading import backward_parts_of, last_of, pad
from keifu.text import Tokenizer

MOST_TOGETHER = 256
"""Questions that are answered together where they are only measured."""

AROUND = 2
"""[CLS] and the [SEP] behind a question, of what is read in segments."""
_NO_ANSWER = -1  # of a question whose answer was not seen in training
_END = re.compile(r"[\s.?!。？！]+$")
_BETWEEN_WORDS = re.compile(
    r"""(?: ['’] (?:[dmst]|ll|re|ve) (?!\w) | [\s"'‘’“”«»()\[\],.;:!?…—–、。，；：！？「」『』（）] )+""", re.VERBOSE
)


def form_of(model: Any) -> str:
    """What a model, or its class, reads of a story, in the words above."""
    return "segments" if hasattr(model, "summary") else str(model.takes)


def plain(text: str) -> str:
    """The text as models read it: in lower case, without the sign that ends it."""
    return _END.sub("", " ".join(text.casefold().split()))


def spoken_words(text: str) -> list[str]:
    """The words of a text as it is compared with others: what stands between spaces and signs, "daniel's" without s."""
    return [word for word in _BETWEEN_WORDS.split(plain(text)) if word]


class Batch(NamedTuple):
    """What the model reads, and the number of each question's answer `[B]`."""

    inputs: StoryBatch | PairBatch | TokenBatch
    targets: Tensor

    def to(self, device: torch.device) -> "Batch":
        parts = (part.to(device) if isinstance(part, Tensor) else part for part in self.inputs)
        return Batch(type(self.inputs)(*parts), self.targets.to(device))  # type: ignore[arg-type]


class StoryQuestions:
    """Encoded questions on stories; every different fact is kept once.

    facts: their tokens; told: of all stories, one after another, which fact stands there; counts: how many facts each
    has. answers: their numbers. longest: facts of a story that are read at most, the latest; room: tokens of a question
    and its facts, with one more behind each fact; None: all. `sizes` `[N, 1]`: such tokens, of what is read.
    """

    def __init__(
        self,
        facts: Sequences,
        told: NDArray[np.int32],
        counts: Indices,
        questions: Sequences,
        answers: Indices,
        longest: int | None = None,
        room: int | None = None,
    ) -> None:
        self.facts, self.told, self.counts, self.questions, self.answers = facts, told, counts, questions, answers
        self._ends: Indices = np.cumsum(counts)
        self._begins: Indices = self._ends - (counts if longest is None else np.minimum(counts, longest))
        lengths = np.concatenate([[0], np.cumsum(facts.lengths[told] + 1)])
        if room is not None:
            first = np.searchsorted(lengths, lengths[self._ends] + questions.lengths - room)
            self._begins = np.clip(first, self._begins, self._ends)
        self.sizes: Indices = (lengths[self._ends] - lengths[self._begins] + questions.lengths)[:, None]

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def read(self) -> Indices:
        """How many facts of each story are read, the latest."""
        return self._ends - self._begins

    @property
    def cut(self) -> NDArray[np.bool_]:
        """Which stories have facts that are not read."""
        return self.read < self.counts

    def story(self, row: int) -> NDArray[np.int32]:
        """The facts that are read of a question's story."""
        return self.told[self._begins[row] : self._ends[row]]

    def unknown(self, unk_id: int) -> float:
        """The share of all tokens that are not in the vocabulary."""
        facts = np.array([int((fact == unk_id).sum()) for fact in self.facts])
        count = int(facts[self.told].sum()) + sum(int((question == unk_id).sum()) for question in self.questions)
        return count / max(1, int(self.facts.lengths[self.told].sum() + self.questions.lengths.sum()))


@dataclass(frozen=True)
class QuestionAnswering:
    """The answer to a question on a story, among those that `answers` names.

    takes: what the model reads: "story", "pair", "tokens" or "segments". longest: facts of a story that are read at
    most, the latest; most_tokens: what is read at most in segments; None: all.
    """

    name = "question-answering"
    selects_by = "accuracy"
    tokenizer: Tokenizer
    answers: tuple[str, ...]
    takes: str = "story"
    longest: int | None = None
    most_tokens: int | None = None

    def head(self, model: Any) -> ClassHead | AnswerHead:
        """A score for every answer, by the vector of its word where the model shares them."""
        if (shared := getattr(model, "answer_embedding", None)) is not None:
            return AnswerHead(shared, [self._known_word(answer) for answer in self.answers])
        if self.takes == "segments":
            return ClassHead(model.d_output, len(self.answers), model.config.dropout, pooled=True)
        return ClassHead(model.d_output, len(self.answers), 0.0, pooled=False)

    def _known_word(self, answer: str) -> list[int]:
        """The tokens of an answer of one word, if all are in the vocabulary; else none. A list (apple,milk) counts as a
        word of its own, as in the paper: a sum does not know which of two comes first.
        """
        ids = self.tokenizer.encode(plain(answer))
        return [] if len(spoken_words(answer)) > 1 or self.tokenizer.unknown_ids & set(ids) else ids

    def encode(self, questions: Sequence[Question]) -> StoryQuestions:
        """The questions with their stories, as tokens."""
        written = {fact: plain(fact) for fact in dict.fromkeys(fact for one in questions for fact in one.facts)}
        places = {fact: place for place, fact in enumerate(dict.fromkeys(written.values()))}
        told = [places[written[fact]] for one in questions for fact in one.facts]
        number = {answer: place for place, answer in enumerate(self.answers)}
        answers = np.array([number.get(one.answer, _NO_ANSWER) for one in questions], np.int64)
        counts = np.array([len(one.facts) for one in questions], np.int64)
        facts = Sequences(self.tokenizer.encode_batch(list(places)))
        asked = Sequences(self.tokenizer.encode_batch([plain(one.question) for one in questions]))
        room = None if self.most_tokens is None else self.most_tokens - AROUND
        if room is not None:
            asked = Sequences(tokens[:room] for tokens in asked)
        return StoryQuestions(facts, np.array(told, np.int32), counts, asked, answers, self.longest, room)

    def batch(self, data: StoryQuestions, rows: Indices) -> Batch:
        """The questions of these rows, padded on the right."""
        inputs = _INPUTS[self.takes](self, data, rows)
        return Batch(inputs, torch.from_numpy(data.answers[rows]))

    def logits(self, model: nn.Module, head: nn.Module, inputs: Any) -> Tensor:
        """A score for every answer `[B, C]`: by the vector with which reading ends, that of [CLS], or the only one."""
        hidden = model(inputs).hidden
        match self.takes:
            case "pair":
                vector = last_of(hidden, inputs.target_mask.sum(1))
            case "tokens":
                vector = last_of(hidden, inputs.mask.sum(1), backward_parts_of(model))
            case _:
                vector = hidden[:, 0]
        scores: Tensor = head(vector)
        return scores

    def loss(self, model: nn.Module, head: nn.Module, batch: Batch) -> Loss:
        """Cross-entropy of the answers."""
        total = self.surprise(self.logits(model, head, batch.inputs), batch.targets)
        return Loss(total, total.detach(), len(batch.targets))

    def surprise(self, logits: Tensor, targets: Tensor) -> Tensor:
        """-log p of the answers, summed; an even guess for one that no training question has."""
        total = F.cross_entropy(logits.float(), targets, reduction="sum", ignore_index=_NO_ANSWER)
        return total + (targets == _NO_ANSWER).sum() * float(np.log(len(self.answers)))

    @staticmethod
    def scored(batch: Batch) -> int:
        """The number of answers that the loss sums over."""
        return len(batch.targets)


def _story(task: QuestionAnswering, data: StoryQuestions, rows: Indices) -> StoryBatch:
    stories = [data.story(row) for row in rows.tolist()]
    counts = np.array([len(story) for story in stories])
    different, places = np.unique(np.concatenate(stories), return_inverse=True)
    story = np.zeros((len(rows), int(counts.max(initial=0))), np.int64)
    story[np.arange(story.shape[1]) < counts[:, None]] = places
    pad_id = task.tokenizer.pad_id
    return StoryBatch(
        data.facts.padded(different, pad_id),
        length_mask(data.facts.lengths[different]),
        torch.from_numpy(story),
        length_mask(counts),
        data.questions.padded(rows, pad_id),
        length_mask(data.questions.lengths[rows]),
    )


def _pair(task: QuestionAnswering, data: StoryQuestions, rows: Indices) -> PairBatch:
    pad_id, bos_id = task.tokenizer.pad_id, task.tokenizer.bos_id
    stories = Sequences(_written(data, row, task.tokenizer.eos_id) for row in rows.tolist())
    every = np.arange(len(rows))
    return PairBatch(
        stories.padded(every, pad_id),
        length_mask(stories.lengths),
        data.questions.padded(rows, pad_id, first=bos_id),
        length_mask(data.questions.lengths[rows] + 1),
    )


def _tokens(task: QuestionAnswering, data: StoryQuestions, rows: Indices) -> TokenBatch:
    whole = _in_one(task, data, rows, task.tokenizer.bos_id, task.tokenizer.eos_id)
    return TokenBatch(whole.padded(np.arange(len(rows)), task.tokenizer.pad_id), length_mask(whole.lengths))


def _segments(task: QuestionAnswering, data: StoryQuestions, rows: Indices) -> TokenBatch:
    whole = _in_one(task, data, rows, task.tokenizer.cls_id, task.tokenizer.sep_id)
    return pad(task.tokenizer, whole, data.questions.lengths[rows] + AROUND, np.arange(len(rows)))


def _in_one(task: QuestionAnswering, data: StoryQuestions, rows: Indices, first: int, end: int) -> Sequences:
    """Each question and then its story; `end` stands behind the question and behind every fact."""
    return Sequences(
        np.concatenate([[first], data.questions[row], [end], _written(data, row, end)]) for row in rows.tolist()
    )


def _written(data: StoryQuestions, row: int, end: int) -> NDArray[np.int32]:
    """The facts of a story one after another, each with `end` behind it."""
    parts = [np.append(data.facts[fact], end) for fact in data.story(row).tolist()]
    return np.concatenate(parts).astype(np.int32) if parts else np.zeros(0, np.int32)


_INPUTS: dict[str, Callable[[QuestionAnswering, StoryQuestions, Indices], StoryBatch | PairBatch | TokenBatch]] = {
    "story": _story,
    "pair": _pair,
    "tokens": _tokens,
    "segments": _segments,
}
"""Of what a model takes, how it is made."""
