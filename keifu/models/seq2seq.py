"""Sequence to sequence: one recurrent network reads the source, and its last state starts another, which writes.

    rnn-seq2seq, gru-seq2seq   Cho, van Merrienboer, Gulcehre, Bahdanau, Bougares, Schwenk and Bengio 2014, "Learning
                               Phrase Representations using RNN Encoder-Decoder", arXiv:1406.1078
    lstm-seq2seq               Sutskever, Vinyals and Le 2014, "Sequence to Sequence Learning with Neural Networks",
                               arXiv:1409.3215

The name says which block both networks are made of; layers/recurrence.py has their equations. All that the writer
knows of the source passes through one state, a vector a layer (two with an LSTM): layer l of the encoder starts layer l
of the decoder, as in Sutskever et al. (section 3.4 has four such layers).

Departures: Cho et al. have gated blocks alone, show the encoder's vector to every step of the decoder, and put a tanh
layer between the two networks and a maxout layer before the scores; here the state passes as it is and only starts the
decoder, and the scores are made of what its last layer shows. Sutskever et al. turn the source round; here the encoder
may read both ways instead, half of its width each, so that the two last states side by side start the decoder. Token
vectors are multiplied by sqrt(D), so that their values are about 1, and source, target and output scores may share
them.

The walk of shapes

    source [B, S] -> embedding [B, S, D] -> encoder -> its last state, [B, R, D / R] a layer
    target [B, T] -> embedding [B, T, D] -> decoder, which begins with that state [B, 1, D] -> hidden [B, T, D]
"""

import math
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from keifu.config import Schema
from keifu.interface import Output, PairBatch
from keifu.layers.dropout import Dropout
from keifu.layers.embeddings import TokenEmbedding
from keifu.layers.recurrence import Parts, Recurrent, RecurrentState, refuse_nonlinearity
from keifu.trace import record


class Config(Schema):
    """Sizes, rates and choices that the papers themselves vary."""

    name: Literal["rnn-seq2seq", "gru-seq2seq", "lstm-seq2seq"] = "lstm-seq2seq"
    """The architecture, which begins with the kind of block."""

    vocab_size: int | None = Field(None, ge=4, le=2_000_000)
    """Number of tokens, shared by source and target. Empty: as many as the tokenizer has."""

    max_length: int = Field(512, ge=1, le=1_000_000)
    """Longest sequence in tokens to learn from. A trained model reads longer ones too."""

    d_model: int = Field(384, ge=2, le=65_536)
    """Width of the token vectors and of what a layer remembers (1000 in the papers)."""

    n_layers: int = Field(2, ge=1, le=1_000)
    """Recurrent layers in the encoder, and as many in the decoder (1 in Cho et al., 4 in Sutskever et al.)."""

    direction: Literal["forward", "bidirectional", "alternating"] = "forward"
    """Which way the encoder's layers read. Bidirectional ones have half of d_model each way."""

    nonlinearity: Literal["tanh", "relu"] = "tanh"
    """Of rnn-seq2seq: what the sum in a step goes through."""

    learned_start: bool = False
    """Whether the state before the first source token is learned; otherwise it is zero."""

    dropout: float = Field(0.2, ge=0, lt=1)
    """Share of values set to zero before, between and after the layers, while training."""

    tie_embeddings: bool = True
    """One matrix for source tokens, target tokens and the output scores."""

    @model_validator(mode="after")
    def _goes_together(self) -> "Config":
        refuse_nonlinearity(self.name, self.nonlinearity)
        if self.direction == "bidirectional" and self.d_model % 2:
            raise ValueError(f"d_model {self.d_model} cannot be halved for two directions; make it even")
        return self


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"d_model": 192, "n_layers": 1},
    "small": {"d_model": 384, "n_layers": 2},
    "base": {"d_model": 1024, "n_layers": 2},
}


class Seq2Seq(nn.Module):
    """Encoder and decoder. `forward` reads whole sequences; `start` and `step` write one token after another."""

    takes = "pair"
    block_outputs = ("encoder.*.hidden", "encoder.*.cell", "decoder.*.hidden", "decoder.*.cell")
    axis_sequences: ClassVar[dict[str, dict[str, str]]] = {
        "source_embedding.*": {"T": "source"},
        "encoder.*": {"T": "source"},
        "*": {"T": "target"},
    }

    def __init__(self, config: Config) -> None:
        super().__init__()
        assert config.vocab_size is not None, "the vocabulary's size is known once there is a tokenizer"
        self.config = config
        cell, width = config.name.split("-")[0], config.d_model
        source = nn.Parameter(torch.empty(config.vocab_size, width))
        target = source if config.tie_embeddings else nn.Parameter(torch.empty_like(source))
        self.source_embedding, self.target_embedding = TokenEmbedding(source), TokenEmbedding(target)
        self.encoder = Encoder(config)
        kind = config.nonlinearity
        self.decoder = Recurrent(cell, width, width, config.n_layers, "forward", config.dropout, nonlinearity=kind)
        self.dropout = Dropout(config.dropout)
        for embedding in (source, target):
            nn.init.normal_(embedding, std=1 / math.sqrt(width))

    def forward(self, batch: PairBatch) -> Output:
        """Hidden vectors `[B, T, D]`: the one at t has read target tokens up to t and, as one state, the source."""
        return Output(self.step(batch.target, self.start(batch.source, batch.source_mask))[0])

    def encode(self, source: Tensor, source_mask: Tensor) -> Tensor:
        """What the encoder's last layer shows `[B, S, D]` of source tokens `[B, S]`."""
        memory: Tensor = self.encoder(self.source_embedding(source), source_mask)[0]
        return memory

    def start(self, source: Tensor, source_mask: Tensor) -> RecurrentState:
        """The state before the first target token."""
        state: RecurrentState = self.encoder(self.source_embedding(source), source_mask)[1]
        return state

    def step(self, tokens: Tensor, state: RecurrentState, mask: Tensor | None = None) -> tuple[Tensor, RecurrentState]:
        """Reads target tokens `[B, n]` after those of the state; returns hidden `[B, n, D]` and the new state.

        mask: `[B, n]`, False at the padding of shorter rows, which stands on the right.
        """
        token = self.dropout(self.target_embedding(tokens))
        hidden, state = self.decoder(token, mask, state)
        return record(self, "output", self.dropout(hidden), "B T D"), state

    @property
    def backward_parts(self) -> tuple[bool, ...]:
        """Of the parts of what `encode` gives, whether each was read backward."""
        return self.encoder.recurrent.backward_parts

    @property
    def output_embedding(self) -> nn.Parameter | None:
        """The matrix that the vocabulary head shares; None where embeddings are not tied."""
        return self.target_embedding.tokens if self.config.tie_embeddings else None

    @property
    def longest(self) -> None:
        """The most tokens that it can read on a side: there is no bound."""


class Encoder(nn.Module):
    """Reads the source, and makes of its last state what a decoder of the same width and depth begins with."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        cell, width, direction = config.name.split("-")[0], config.d_model, config.direction
        one_way = width // 2 if direction == "bidirectional" else width
        start, kind = config.learned_start, config.nonlinearity
        self.recurrent = Recurrent(cell, width, one_way, config.n_layers, direction, config.dropout, start, kind)
        self.dropout = Dropout(config.dropout)

    def forward(self, token: Tensor, source_mask: Tensor) -> tuple[Tensor, RecurrentState]:
        """The output of the last layer `[B, S, D]` for token vectors `[B, S, D]`, and the state to begin with."""
        outputs, last = self.recurrent(self.dropout(token), source_mask)
        return self.dropout(outputs), RecurrentState(tuple(self._hand_over(parts) for parts in last.layers))

    def _hand_over(self, parts: Parts) -> Parts:
        """A layer's last state, both directions side by side: `[B, 1, D]`."""
        names = ("handed_over", "handed_over_cell")[: len(parts)]
        joined = zip(names, (part.flatten(1) for part in parts), strict=True)
        return tuple(record(self, name, part, "B D", along="L")[:, None] for name, part in joined)
