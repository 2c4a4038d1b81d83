"""The recurrent networks: one block is applied along the sequence, and what it remembers is handed on step by step.

    rnn    Elman 1990, "Finding Structure in Time", Cognitive Science 14
    lstm   Hochreiter and Schmidhuber 1997, "Long Short-Term Memory", Neural Computation 9, with the forget gate of
           Gers, Schmidhuber and Cummins 2000, "Learning to Forget", Neural Computation 12
    gru    Cho, van Merrienboer, Gulcehre, Bahdanau, Bougares, Schwenk and Bengio 2014, arXiv:1406.1078

With x the token's vector and h what the block shows of its memory:

    rnn    h' = tanh(W x + U h + b)
    lstm   i, f, o = sigmoid(W x + U h + b), one each     g = tanh(W x + U h + b)
           c' = f c + i g                                  h' = o tanh(c')
    gru    r, z = sigmoid(W x + U h + b), one each         n = tanh(W x + b + r (U h + b'))
           h' = z h + (1 - z) n

Several layers stand on top of each other: the h of one is the x of the next. As in Zaremba et al. 2014
(arXiv:1409.2329) dropout acts between layers and never on the way from step to step, and the scores over the vocabulary
may share the embedding (Press and Wolf 2017, arXiv:1608.05859).

Departures from the papers: token vectors are trained and multiplied by sqrt(D), so that their values are about 1 (Elman
fed patterns); Elman's units were logistic and his context began at 0.5, here they are tanh (or ReLU) and begin at 0; an
LSTM has one block a cell and no peepholes, squashes by tanh where Hochreiter and Schmidhuber scaled logistic functions,
and its gradient is that of all its paths, which theirs cut short; the GRU's reset gate is that of layers/recurrence.py.

The walk of shapes

    tokens [B, T], or the rows of pictures [B, Y, Z] -> embedding [B, T, D] -> layers, whose state is [B, R, N] each
    -> hidden [B, T, R N]; R is 2 where layers read both ways, else 1
"""

import math
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from keifu.config import Schema
from keifu.interface import ImageBatch, Output, TokenBatch
from keifu.layers.dropout import Dropout
from keifu.layers.embeddings import RowEmbedding, TokenEmbedding
from keifu.layers.recurrence import Recurrent, RecurrentState, refuse_nonlinearity
from keifu.trace import record


class Config(Schema):
    """Sizes, rates and choices that the papers themselves vary."""

    name: Literal["rnn", "lstm", "gru"] = "lstm"
    """The architecture, which is the kind of block."""

    vocab_size: int | None = Field(None, ge=4, le=2_000_000)
    """Number of tokens. Empty: as many as the tokenizer has."""

    d_model: int = Field(256, ge=1, le=65_536)
    """Width of the token vectors."""

    d_hidden: int | None = Field(None, ge=1, le=65_536)
    """Width of what a layer remembers. Empty: d_model."""

    n_layers: int = Field(2, ge=1, le=1_000)
    """Recurrent layers on top of each other."""

    direction: Literal["forward", "bidirectional", "alternating"] = "forward"
    """Which way the layers read: forward, both ways side by side, or forward and backward in turn. A language model can
    only read forward: what comes later is what it predicts.
    """

    channels: int | None = Field(None, ge=1, le=3)
    """Of pictures, which are read row by row: numbers of a pixel, 1 in grey, 3 in colour. Empty: tokens are read."""

    height: int | None = Field(None, ge=1, le=4096)
    """Of pictures: how many rows they have."""

    width: int | None = Field(None, ge=1, le=4096)
    """Of pictures: how many pixels a row has."""

    nonlinearity: Literal["tanh", "relu"] = "tanh"
    """Of rnn: what the sum in a step goes through."""

    learned_start: bool = False
    """Whether the state before the first token is learned; otherwise it is zero."""

    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of values set to zero before, between and after the layers, while training."""

    tie_embeddings: bool = True
    """One matrix for the tokens and the output scores."""

    @model_validator(mode="after")
    def _goes_together(self) -> "Config":
        refuse_nonlinearity(self.name, self.nonlinearity)
        if self.tie_embeddings and self.d_hidden not in (None, self.d_model):
            raise ValueError(
                f"d_hidden {self.d_hidden} differs from d_model {self.d_model}, so embeddings cannot be tied; make "
                "them equal, or set tie_embeddings to false"
            )
        return self


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"d_model": 256, "n_layers": 1},
    "small": {"d_model": 512, "n_layers": 2},
    "base": {"d_model": 1024, "n_layers": 2},
}


class RecurrentNetwork(nn.Module):
    """Token vectors and recurrent layers. `forward` reads whole sequences, `step` a few tokens at a time."""

    takes = "tokens"
    axis_sequences: ClassVar[dict[str, dict[str, str]]] = {"*": {"T": "text"}}
    block_outputs = ("recurrent.layers.*.hidden", "recurrent.layers.*.cell")
    state_of: ClassVar = RecurrentState.of
    drops_output: ClassVar[bool] = True
    """Its hidden vectors are those that dropout has left, so that a head drops nothing of a single one."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width = config.d_hidden or config.d_model
        self.embedding: TokenEmbedding | RowEmbedding
        if config.channels and config.width:
            self.embedding = RowEmbedding(config.channels * config.width, config.d_model)
        else:
            assert config.vocab_size is not None, "the vocabulary's size is known once there is a tokenizer"
            self.embedding = TokenEmbedding(nn.Parameter(torch.empty(config.vocab_size, config.d_model)))
            nn.init.normal_(self.embedding.tokens, std=1 / math.sqrt(config.d_model))
        self.recurrent = Recurrent(
            config.name,
            config.d_model,
            width,
            config.n_layers,
            config.direction,
            config.dropout,
            config.learned_start,
            config.nonlinearity,
        )
        self.dropout = Dropout(config.dropout)
        self.d_output = self.recurrent.d_output

    def forward(self, batch: TokenBatch | ImageBatch) -> Output:
        """Hidden vectors `[B, T, N]`, of both ways side by side where it reads both: reading forward, the one at t has
        read the tokens up to t, and what the batch's state has read.

        The state is that after each row's last real token.
        """
        if isinstance(batch, ImageBatch):  # its rows are read from the uppermost down
            hidden, state = self.recurrent(self.dropout(self.embedding(batch.pixels)))
        else:
            token = self.dropout(self.embedding(batch.tokens))
            hidden, state = self.recurrent(token, batch.mask, batch.state)
        hidden = self.dropout(hidden)
        ways = len(self.backward_parts)
        if ways == 1:
            return Output(record(self, "output", hidden, "B T N"), state)
        beside = record(self, "output", hidden.unflatten(-1, (ways, -1)), "B T R N")
        return Output(beside.flatten(-2), state)

    def start(self, rows: int) -> RecurrentState:
        """The state before the first token of so many sequences."""
        return self.recurrent.first(rows)

    def step(self, tokens: Tensor, state: RecurrentState, mask: Tensor | None = None) -> tuple[Tensor, RecurrentState]:
        """Reads tokens `[B, n]` after those of the state; returns hidden `[B, n, N]` and the new state.

        mask: `[B, n]`, False at the padding of shorter rows, which stands on the right.
        """
        mask = torch.ones_like(tokens, dtype=torch.bool) if mask is None else mask
        output = self(TokenBatch(tokens, mask, state))
        return output.hidden, output.state

    @property
    def backward_parts(self) -> tuple[bool, ...]:
        """Of the parts of a hidden vector, whether each was read backward."""
        return self.recurrent.backward_parts

    @property
    def output_embedding(self) -> nn.Parameter | None:
        """The matrix that the vocabulary head shares; None where embeddings are not tied."""
        if self.config.tie_embeddings and isinstance(self.embedding, TokenEmbedding):
            return self.embedding.tokens
        return None
