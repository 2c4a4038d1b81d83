"""Attention over the chain's own past: a recurrent network whose every block also looks back at what it showed before.

This is the step between the two parents: the blocks of models/recurrent.py, with the attention that the Transformer
kept when it left them out. Cheng, Dong and Lapata 2016, "Long Short-Term Memory-Networks for Machine Reading",
arXiv:1601.06733, and Daniluk, Rocktaschel, Welbl and Riedel 2017, "Frustratingly Short Attention Spans in Neural
Language Modeling", arXiv:1702.04521, who make key, value and output of one block's vector. With h the block's outputs
up to the present one,

    q = W h_t        k = U h        v = V h        x_t = h_t + O (softmax(q k / sqrt(A)) v)

so that what is far away is one step away, whatever the block itself still holds of it. x goes to the next layer.

Departures: projections of their own make the query, the key and the value (Vaswani et al. 2017, section 3.2.2), with
several heads by choice, and the weighted sum is added, as in a residual connection, where Daniluk et al. concatenate.
The token itself may be attended to. Dropout acts on the weighted sum and not on h beside it. Attention looks back over
`max_length` tokens; what lies further back lives on in the recurrent state alone.

It writes on from a text, and it translates in a single stream: source, [BOS], target.

The walk of shapes

    tokens [B, T] -> embedding [B, T, D] -> blocks: recurrent [B, T, D], attention to the past [B, T, D], their sum
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from keifu.config import Schema
from keifu.interface import Output, TokenBatch
from keifu.layers.attention import MultiHeadAttention
from keifu.layers.dropout import Dropout
from keifu.layers.embeddings import TokenEmbedding
from keifu.layers.past import Past
from keifu.layers.recurrence import Recurrent, RecurrentState, refuse_nonlinearity
from keifu.trace import record, recording


class Config(Schema):
    """Sizes, rates and choices that the papers themselves vary."""

    name: Literal["rnn-attention", "gru-attention", "lstm-attention"] = "lstm-attention"
    """The architecture, which begins with the kind of block."""

    vocab_size: int | None = Field(None, ge=4, le=2_000_000)
    """Number of tokens. Empty: as many as the tokenizer has."""

    max_length: int = Field(512, ge=1, le=1_000_000)
    """How many tokens back the attention looks, the present one included. A translation is learned from sides of at
    most half as many.
    """

    d_model: int = Field(256, ge=1, le=65_536)
    """Width of the token vectors and of what a block remembers."""

    n_layers: int = Field(2, ge=1, le=1_000)
    """Blocks on top of each other, each with an attention of its own."""

    n_heads: int = Field(1, ge=1, le=1_000)
    """Attention heads of a block."""

    d_head: int | None = Field(None, ge=1, le=65_536)
    """Width of one head's queries, keys and values. Empty: d_model / n_heads."""

    nonlinearity: Literal["tanh", "relu"] = "tanh"
    """Of rnn-attention: what the sum in a step goes through."""

    learned_start: bool = False
    """Whether the blocks' state before the first token is learned; otherwise it is zero."""

    dropout: float = Field(0.2, ge=0, lt=1)
    """Share of values set to zero after the embeddings, after the attention and at the end, while training."""

    tie_embeddings: bool = True
    """One matrix for the tokens and the output scores."""

    @model_validator(mode="after")
    def _goes_together(self) -> "Config":
        refuse_nonlinearity(self.name, self.nonlinearity)
        if self.d_head is None and self.d_model % self.n_heads:
            raise ValueError(
                f"d_model {self.d_model} is not a multiple of n_heads {self.n_heads}; change one of them or set d_head"
            )
        return self


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"d_model": 256, "n_layers": 1},
    "small": {"d_model": 512, "n_layers": 2},
    "base": {"d_model": 1024, "n_layers": 2},
}

_TOGETHER = 1024  # tokens whose attention is computed in one piece


@dataclass(frozen=True)
class ChainState:
    """What the blocks remember, and the keys and values of what they showed."""

    recurrent: RecurrentState
    past: Past

    def select(self, rows: Tensor) -> "ChainState":
        return ChainState(self.recurrent.select(rows), self.past.select(rows))

    def detach(self) -> "ChainState":
        """The same values; no gradient goes back beyond them."""
        return ChainState(self.recurrent.detach(), self.past.detach())

    def tensors(self) -> dict[str, Tensor]:
        """The recurrent state's tensors and the past's, each by its own name for them."""
        return self.recurrent.tensors() | self.past.tensors()

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "ChainState":
        """The state whose `tensors` these are."""
        recurrent = {name: tensor for name, tensor in tensors.items() if "." in name}
        return cls(RecurrentState.of(recurrent), Past.of(tensors))


class RecurrentAttention(nn.Module):
    """Token vectors and blocks. `forward` reads whole sequences, `step` a few tokens at a time."""

    takes = "tokens"
    axis_sequences: ClassVar[dict[str, dict[str, str]]] = {"*": {"T": "text", "S": "text"}}
    block_outputs = ("blocks.*.recurrent.*.hidden", "blocks.*.recurrent.*.cell", "blocks.*.residual")
    state_of: ClassVar = ChainState.of
    blocks: "Sequence[Block]"

    def __init__(self, config: Config) -> None:
        super().__init__()
        assert config.vocab_size is not None, "the vocabulary's size is known once there is a tokenizer"
        self.config = config
        self.d_output = config.d_model
        self.embedding = TokenEmbedding(nn.Parameter(torch.empty(config.vocab_size, config.d_model)))
        self.blocks = cast("Sequence[Block]", nn.ModuleList(Block(config) for _ in range(config.n_layers)))
        self.dropout = Dropout(config.dropout)
        nn.init.normal_(self.embedding.tokens, std=1 / math.sqrt(config.d_model))

    def forward(self, batch: TokenBatch) -> Output:
        """Hidden vectors `[B, T, D]`: the one at t has read the tokens up to t, and what the batch's state has read.

        The state is that after each row's last real token.
        """
        state = batch.state or self.start(len(batch.tokens))
        real = None if bool(batch.mask.all()) else batch.mask
        return Output(*self.step(batch.tokens, cast(ChainState, state), real))

    def start(self, rows: int) -> ChainState:
        """The state before the first token of so many sequences."""
        first = [block.recurrent.first(rows).layers[0] for block in self.blocks]
        attention = self.blocks[0].attention
        nothing = self.embedding.tokens.new_zeros(len(self.blocks), rows, attention.n_heads, 0, attention.d_head)
        return ChainState(RecurrentState(tuple(first)), Past(nothing, nothing))

    def step(self, tokens: Tensor, state: ChainState, mask: Tensor | None = None) -> tuple[Tensor, ChainState]:
        """Reads tokens `[B, n]` after those of the state; returns hidden `[B, n, D]` and the new state.

        mask: `[B, n]`, False at the padding of shorter rows, which stands on the right.
        """
        if tokens.shape[1] > _TOGETHER and not recording():
            return self._in_parts(tokens, state, mask)
        x = self.dropout(self.embedding(tokens))
        seen = state.past.mask(tokens.shape[1], self.config.max_length)
        recurrent, keys, values = [], [], []
        for layer, block in enumerate(self.blocks):
            x, after, key, value = block(x, mask, seen, state.recurrent.layers[layer], state.past, layer)
            recurrent.append(after)
            keys.append(key)
            values.append(value)
        past = state.past.after(keys, values, mask, self.config.max_length)
        x = record(self, "output", self.dropout(x), "B T D")
        return x, ChainState(RecurrentState(tuple(recurrent)), past)

    def _in_parts(self, tokens: Tensor, state: ChainState, mask: Tensor | None) -> tuple[Tensor, ChainState]:
        """The same part by part, since a token may attend to few of those before it where there are very many."""
        hidden = []
        for begin in range(0, tokens.shape[1], _TOGETHER):
            part = slice(begin, begin + _TOGETHER)
            shown, state = self.step(tokens[:, part], state, None if mask is None else mask[:, part])
            hidden.append(shown)
        return torch.cat(hidden, dim=1), state

    @property
    def output_embedding(self) -> nn.Parameter | None:
        """The matrix that the vocabulary head shares; None where embeddings are not tied."""
        return self.embedding.tokens if self.config.tie_embeddings else None

    @property
    def longest(self) -> None:
        """The most tokens that it can read: there is no bound."""


class Block(nn.Module):
    """The recurrent block, the attention to what it has shown, and their sum."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, cell = config.d_model, config.name.split("-")[0]
        start, kind = config.learned_start, config.nonlinearity
        self.recurrent = Recurrent(cell, width, width, 1, learned_start=start, nonlinearity=kind)
        self.attention = MultiHeadAttention(width, config.n_heads, config.d_head or width // config.n_heads)
        self.dropout = Dropout(config.dropout)
        for projection in (self.attention.query, self.attention.key, self.attention.value, self.attention.output):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)

    def forward(
        self, x: Tensor, real: Tensor | None, seen: Tensor | None, state: tuple[Tensor, ...], past: Past, layer: int
    ) -> tuple[Tensor, tuple[Tensor, ...], Tensor, Tensor]:
        """x and the result `[B, T, D]`; real `[B, T]`; seen `[B, 1, T, S]`: what each token may attend to.

        Also returns the recurrent state after x, and the keys and values `[B, H, S, A]` of past and present.
        """
        hidden, after = self.recurrent(x, real, RecurrentState((state,)))
        query, *new = self.attention.queries_keys_values(hidden)
        key, value = past.joined(layer, *new)
        attended = self.attention.attend(query, key, value, seen)
        x = record(self, "residual", hidden + self.dropout(attended), "B T D")
        return x, after.layers[0], key, value
