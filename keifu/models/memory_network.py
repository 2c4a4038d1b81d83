"""The memory network: facts lie in a memory, and a question reads them in several hops before it is answered.

Sukhbaatar, Szlam, Weston and Fergus 2015, "End-To-End Memory Networks", arXiv:1503.08895. Every fact is encoded twice,
as a key m and as a value c, and the question as u. A hop reads

    p = softmax(u m)        o = sum of p c        u' = u + o

and the last u is what the answer is scored by. The encoders of the hops may be shared (section 2.2): "adjacent", where
a hop's values are the next one's keys and the first keys' word vectors are the question's; "layer-wise", where all hops
have the same keys and values and u' = H u + o; "none", where all are separate, as in the textbook's figure 38-1.

Word vectors are summed with the weights l = (1 - j/J) - (k/D)(1 - 2j/J) of word j of J in dimension k ("position",
section 4.1) or plainly ("bag"). To keys and values a trained vector is added that says how many facts ago one was told;
while training, these numbers have gaps here and there, as if empty facts stood between ("random noise"). Over the first
steps the softmax may be left out ("linear start").

Departures from the paper: answers are classes with a matrix of their own unless `tie_answers` says otherwise (the paper
ties it to the last values' word vectors); a small network of one hidden layer (d_ff) may be added to every fact's
vector and after every hop, because a plain sum of word vectors cannot say who stands left of whom; linear start ends
after a share of the steps, not when the loss on held-out data stops falling. What it leaves open: words are in lower
case, without the sign that ends a sentence. How training departs stands in training/settings.py (StoryTraining).

The walk of shapes

    facts [U, S] -> word vectors [U, S, D] -> sums [U, D] -> keys and values of the story [B, M, D]
    question [B, T] -> word vectors [B, T, D] -> u [B, D] -> hops: weights [B, 1, M], u [B, D] -> hidden [B, 1, D]
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from keifu.config import Schema
from keifu.interface import Output, StoryBatch
from keifu.layers.attention import attend
from keifu.layers.dropout import Dropout
from keifu.layers.embeddings import LearnedPosition
from keifu.layers.feedforward import FeedForward
from keifu.layers.linear import Linear
from keifu.trace import record


class Config(Schema):
    """Sizes, rates and choices that the paper itself varies."""

    name: Literal["memory-network"] = "memory-network"
    """The architecture."""

    vocab_size: int | None = Field(None, ge=4, le=2_000_000)
    """Number of tokens. Empty: as many as the tokenizer has."""

    max_length: int = Field(256, ge=1, le=1_000_000)
    """Most facts of a story that lie in memory; of longer stories the latest (50 in the paper)."""

    d_model: int = Field(64, ge=1, le=65_536)
    """Width of the vectors (20 in the paper for one task, 50 for all)."""

    n_hops: int = Field(3, ge=1, le=100)
    """How often the memory is read."""

    tying: Literal["adjacent", "layer-wise", "none"] = "adjacent"
    """Which encoders the hops share: a hop's values are the next one's keys, all hops have the same, or none."""

    tie_answers: bool = False
    """Whether an answer is scored by its word's vector among the last values, as in the paper, and not by one of its
    own. An answer of several words, such as a list, has one.
    """

    encoding: Literal["position", "bag"] = "position"
    """How word vectors become one: weighted by where they stand, or summed."""

    temporal: bool = True
    """Whether the model knows how long ago a fact was told."""

    time_noise: float = Field(0.1, ge=0, lt=1)
    """Share of facts before which an empty one seems to stand, while training."""

    linear_start: float = Field(0.1, ge=0, lt=1)
    """Share of the steps, from the first, that are taken without the softmax."""

    nonlinearity: Literal["none", "relu"] = "none"
    """What the sum after each hop goes through: nothing, or max(0, .), which the paper adds to its largest models."""

    d_ff: int = Field(0, ge=0, le=1_000_000)
    """Width of the hidden layers on facts and after hops, which the paper does not have; 0: none."""

    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of values set to zero in what a hop reads and in the last vector, while training."""


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"d_model": 64, "n_hops": 3},
    "small": {"d_model": 128, "n_hops": 3},
    "base": {"d_model": 256, "n_hops": 4},
}


class MemoryNetwork(nn.Module):
    """Encoders, and hops over what they made of the story."""

    takes = "story"
    entries = ("question_embedding.token", "value")
    block_outputs = ("state",)
    embeddings: "Sequence[FactEmbedding]"
    axis_sequences: ClassVar[dict[str, dict[str, str]]] = {
        "question_embedding.*": {"T": "question"},
        "*": {"M": "story"},
    }

    def __init__(self, config: Config) -> None:
        super().__init__()
        assert config.vocab_size is not None, "the vocabulary's size is known once there is a tokenizer"
        self.config = config
        self.d_output = config.d_model
        self.linear = False
        hops = range(config.n_hops)
        match config.tying:
            case "adjacent":
                self.keys, self.values = list(hops), [hop + 1 for hop in hops]
            case "layer-wise":
                self.keys, self.values = [0 for _ in hops], [1 for _ in hops]
            case "none":
                self.keys, self.values = [2 * hop for hop in hops], [2 * hop + 1 for hop in hops]
        encoders = [FactEmbedding(config) for _ in range(max(self.values) + 1)]
        self.embeddings = cast("Sequence[FactEmbedding]", nn.ModuleList(encoders))
        words = encoders[0].tokens if config.tying == "adjacent" else _word_vectors(config)
        self.question_embedding = SentenceEmbedding(words)
        self.carry = Linear(config.d_model, config.d_model, bias=False) if config.tying == "layer-wise" else None
        self.dropout = Dropout(config.dropout)
        self.hidden = nn.ModuleList(FeedForward(config.d_model, config.d_ff) for _ in hops) if config.d_ff else None

    @property
    def answer_embedding(self) -> nn.Parameter | None:
        """The word vectors that answers are scored by; None where they have vectors of their own."""
        return self.embeddings[self.values[-1]].tokens if self.config.tie_answers else None

    def before_step(self, progress: float) -> None:
        """Told by training which share of the steps is done."""
        self.linear = progress < self.config.linear_start

    def forward(self, batch: StoryBatch) -> Output:
        """Hidden vectors `[B, 1, D]`, one a question: what it came to after the last hop."""
        encoded = self._encode(batch)
        mask = batch.story_mask[:, None]
        u = self.question_embedding(batch.question, self._word_weights(batch.question_mask))[:, None]
        u = record(self, "question", u, "B T D")
        for hop, (key, value) in enumerate(zip(self.keys, self.values, strict=True)):
            read = self._read(u, encoded[key], encoded[value], mask)
            u = (u if self.carry is None else self.carry(u)) + self.dropout(read)
            u = u.relu() if self.config.nonlinearity == "relu" else u
            u = record(self, "state", u, "B T D", along="I")
            if self.hidden is not None:
                u = record(self, "after", u + self.hidden[hop](u), "B T D", along="I")
        return Output(record(self, "output", self.dropout(u), "B T D"))

    def _encode(self, batch: StoryBatch) -> list[Tensor]:
        """Of every encoder the vectors of the stories' facts `[B, M, D]`."""
        ages = self._ages(batch.story_mask)
        weights = self._word_weights(batch.facts_mask)
        return [each(batch.facts, weights, batch.story, ages) for each in self.embeddings]

    def _word_weights(self, mask: Tensor) -> Tensor:
        by_position = self.config.encoding == "position"
        return word_weights(mask, self.config.d_model, by_position, self.question_embedding.tokens)

    def _read(self, u: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """What a question `[B, 1, D]` reads of keys and values `[B, M, D]`, of which `mask` `[B, 1, M]` are real."""
        key = record(self, "key", key, "B M D", along="I")
        value = record(self, "value", value, "B M D", along="I")
        exact = torch.promote_types(u.dtype, torch.float32)
        with torch.autocast(u.device.type, enabled=False):  # facts differ by less than bfloat16 tells
            scores = u.to(exact) @ key.to(exact).transpose(1, 2)
            if self.training and self.linear:
                return (scores.masked_fill(~mask, 0.0) @ value.to(exact)).to(value.dtype)
            _, read = attend(scores, value.to(exact), mask, self, "B T M", "I")
        return record(self, "read", read.to(value.dtype), "B T D", along="I")

    def _ages(self, real: Tensor) -> Tensor:
        """How many facts ago each one was told `[B, M]`, 0 for the latest; with gaps while training."""
        steps = real.long()
        if self.training and self.config.time_noise:
            steps = steps + (torch.rand(real.shape, device=real.device) < self.config.time_noise) * steps
        until = steps.cumsum(1)
        return (until[:, -1:] - until).clamp(max=self.config.max_length - 1)


class SentenceEmbedding(nn.Module):
    """The word vectors of a sentence, summed to one. The table `[V, D]` may be shared."""

    def __init__(self, tokens: nn.Parameter) -> None:
        super().__init__()
        self.tokens = tokens
        self.words = WordVectors()

    def forward(self, tokens: Tensor, weights: Tensor) -> Tensor:
        """Vectors `[B, D]` of sentences `[B, T]`, in whose sum a word has these weights."""
        words = record(self, "token", self.words(tokens, self.tokens), "B T D")
        return (words * weights).sum(1)


class FactEmbedding(nn.Module):
    """The facts of a story as vectors: their words summed to one, and how long ago each was told."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.tokens = _word_vectors(config)
        width, inner = config.d_model, config.d_ff
        self.hidden = nn.Sequential(Linear(width, inner), nn.ReLU(), Linear(inner, width)) if inner else None
        self.position = LearnedPosition(config.max_length, config.d_model) if config.temporal else None
        if self.position is not None:
            nn.init.normal_(self.position.weight, std=_DEVIATION)

    def forward(self, facts: Tensor, weights: Tensor, story: Tensor, ages: Tensor) -> Tensor:
        """Vectors `[B, M, D]` of stories `[B, M]`, which name sentences `[U, S]`, in whose sums words have weights
        `[U, S, D]`; ages `[B, M]`.
        """
        sentences = (F.embedding(facts, self.tokens) * weights).sum(1)
        if self.hidden is not None:
            sentences = sentences + self.hidden(sentences)
        told = F.embedding(story, sentences)
        return told if self.position is None else told + self.position(ages, 0)


class WordVectors(nn.Module):
    """Rows of a table."""

    def forward(self, tokens: Tensor, table: Tensor) -> Tensor:
        """Vectors `[B, T, D]` of token ids `[B, T]`."""
        return F.embedding(tokens, table)


def word_weights(mask: Tensor, width: int, by_position: bool, like: Tensor) -> Tensor:
    """What each word counts in the sum of its sentence `[B, T, D]`, or `[B, T, 1]` where its place does not matter; 0
    where `mask` `[B, T]` has none. like: of the number format.
    """
    real = mask.to(like.dtype)[:, :, None]
    if not by_position:
        return real
    count = mask.sum(1)[:, None, None].clamp(min=1).to(like.dtype)
    place = torch.arange(1, mask.shape[1] + 1, device=mask.device, dtype=like.dtype)[:, None] / count  # j / J
    dimension = torch.arange(1, width + 1, device=mask.device, dtype=like.dtype) / width  # k / D
    return real * ((1 - place) - dimension * (1 - 2 * place))


_DEVIATION = 0.1
"""Of first weights, as in the paper."""


def _word_vectors(config: Config) -> nn.Parameter:
    assert config.vocab_size is not None
    return nn.Parameter(torch.empty(config.vocab_size, config.d_model).normal_(std=_DEVIATION))
