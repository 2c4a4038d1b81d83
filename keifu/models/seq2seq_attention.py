"""Sequence to sequence with attention: at every step the writer looks back at all that the reader has read.

    Bahdanau, Cho and Bengio 2015, "Neural Machine Translation by Jointly Learning to Align and Translate",
    arXiv:1409.0473 (additive likeness, an encoder that reads both ways)
    Luong, Pham and Manning 2015, "Effective Approaches to Attention-based Neural Machine Translation",
    arXiv:1508.04025 (dot and general likeness, attention after the decoder's step, input feeding)

Encoder, decoder and what is handed over are those of models/seq2seq.py. With h the decoder's output at a step and m the
encoder's outputs, as Luong et al. put it (equations 5 and 7):

    weights = softmax(likeness(h, m))        c = weights m        output = tanh(W c + U h)

Departures: dot products are divided by sqrt(D), as attention did later. Bahdanau et al. attend before the decoder's
step, start the decoder with tanh(W m) of the backward reading, and score by a maxout layer; here attention comes after
the step with every likeness, so that without input feeding all steps of the decoder are computed together, and the
state passes as it is. With input feeding the output is also part of the next step's input (section 3.3).

The walk of shapes

    source [B, S] -> embedding [B, S, D] -> encoder -> memory [B, S, D], and its last state
    target [B, T] -> embedding [B, T, D] -> decoder [B, T, D] -> attention to the memory -> hidden [B, T, D]
"""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from keifu.config import Schema
from keifu.interface import Output, PairBatch
from keifu.layers.attention import SingleAttention, padding_mask
from keifu.layers.cache import groups_of
from keifu.layers.dropout import Dropout
from keifu.layers.embeddings import TokenEmbedding
from keifu.layers.linear import Linear
from keifu.layers.recurrence import Recurrent, RecurrentState, refuse_nonlinearity
from keifu.models.seq2seq import Encoder
from keifu.trace import record


class Config(Schema):
    """Sizes, rates and choices that the papers themselves vary."""

    name: Literal["rnn-seq2seq-attention", "gru-seq2seq-attention", "lstm-seq2seq-attention"] = "lstm-seq2seq-attention"
    """The architecture, which begins with the kind of block."""

    vocab_size: int | None = Field(None, ge=4, le=2_000_000)
    """Number of tokens, shared by source and target. Empty: as many as the tokenizer has."""

    max_length: int = Field(512, ge=1, le=1_000_000)
    """Longest sequence in tokens to learn from. A trained model reads longer ones too."""

    d_model: int = Field(384, ge=2, le=65_536)
    """Width of the token vectors and of what a layer remembers (1000 in the papers)."""

    n_layers: int = Field(2, ge=1, le=1_000)
    """Recurrent layers in the encoder, and as many in the decoder (1 in Bahdanau et al., 4 in Luong et al.)."""

    direction: Literal["forward", "bidirectional", "alternating"] = "bidirectional"
    """Which way the encoder's layers read. Bidirectional ones have half of d_model each way."""

    attention: Literal["dot", "general", "additive"] = "general"
    """How the likeness of the decoder's output and the encoder's is computed."""

    input_feeding: bool = False
    """Whether a step's output is part of the next step's input, which costs speed."""

    nonlinearity: Literal["tanh", "relu"] = "tanh"
    """Of rnn-seq2seq-attention: what the sum in a step goes through."""

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


@dataclass(frozen=True)
class AttentionState:
    """A decoder in the middle of its output. Rows are outputs; several rows (a beam) may read one source sentence: they
    stand together, as many for every sentence.

    recurrent: the decoder's. key, value: of the source `[U, 1, S, D]`, once a sentence. memory_mask: `[U, 1, 1, S]`.
    output: the last one `[B, D]`, where it is fed to the next step.
    """

    recurrent: RecurrentState
    key: Tensor
    value: Tensor
    memory_mask: Tensor
    output: Tensor

    def select(self, rows: Tensor) -> "AttentionState":
        kept = groups_of(rows, len(self.output) // max(1, len(self.key)))
        return AttentionState(
            self.recurrent.select(rows), self.key[kept], self.value[kept], self.memory_mask[kept], self.output[rows]
        )


class Seq2SeqAttention(nn.Module):
    """Encoder, decoder and the attention between them."""

    takes = "pair"
    block_outputs = ("encoder.*.hidden", "encoder.*.cell", "decoder.*.hidden", "decoder.*.cell", "attentional")
    axis_sequences: ClassVar[dict[str, dict[str, str]]] = {
        "source_embedding.*": {"T": "source"},
        "encoder.*": {"T": "source"},
        "*": {"T": "target", "S": "source"},
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
        fed, kind = width if config.input_feeding else 0, config.nonlinearity
        self.decoder = Recurrent(
            cell, width + fed, width, config.n_layers, "forward", config.dropout, nonlinearity=kind
        )
        self.cross_attention = SingleAttention(config.attention, width)
        self.beside = Linear(width, width)
        self.dropout = Dropout(config.dropout)
        for embedding in (source, target):
            nn.init.normal_(embedding, std=1 / math.sqrt(width))

    def forward(self, batch: PairBatch) -> Output:
        """Hidden vectors `[B, T, D]`: the one at t has read target tokens up to t and all of the source."""
        return Output(self.step(batch.target, self.start(batch.source, batch.source_mask))[0])

    def encode(self, source: Tensor, source_mask: Tensor) -> Tensor:
        """The memory `[B, S, D]` of source tokens `[B, S]`."""
        memory: Tensor = self.encoder(self.source_embedding(source), source_mask)[0]
        return memory

    def start(self, source: Tensor, source_mask: Tensor) -> AttentionState:
        """The state before the first target token."""
        memory, recurrent = self.encoder(self.source_embedding(source), source_mask)
        nothing = memory.new_zeros(len(source), self.config.d_model)
        return AttentionState(recurrent, *self.cross_attention.keys_values(memory), padding_mask(source_mask), nothing)

    def step(self, tokens: Tensor, state: AttentionState, mask: Tensor | None = None) -> tuple[Tensor, AttentionState]:
        """Reads target tokens `[B, n]` after those of the state; returns hidden `[B, n, D]` and the new state.

        mask: `[B, n]`, False at the padding of shorter rows, which stands on the right.
        """
        x = self.dropout(self.target_embedding(tokens))
        if not self.config.input_feeding:
            return self._read(x, mask, state)
        outputs = []
        for t in range(tokens.shape[1]):
            real = None if mask is None else mask[:, t, None]
            output, after = self._read(torch.cat([x[:, t], state.output], dim=-1)[:, None], real, state)
            fed = output[:, 0] if real is None else torch.where(real, output[:, 0], state.output)
            state = replace(after, output=fed)
            outputs.append(output)
        return torch.cat(outputs, dim=1), state

    def _read(self, x: Tensor, mask: Tensor | None, state: AttentionState) -> tuple[Tensor, AttentionState]:
        """Hidden `[B, n, D]` of the decoder's inputs x `[B, n, D or 2 D]`: a step of the decoder, then attention."""
        hidden, recurrent = self.decoder(x, mask, state.recurrent)
        shape = hidden.shape
        # The rows of a sentence become further queries to the same keys.
        asking = hidden.reshape(len(state.key), -1, shape[-1])
        attended = self.cross_attention(asking, state.key, state.value, state.memory_mask).view(shape)
        output = record(self, "attentional", (attended + self.beside(hidden)).tanh(), "B T D", along="T")
        output = record(self, "output", self.dropout(output), "B T D", along="T")
        return output, replace(state, recurrent=recurrent)

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
