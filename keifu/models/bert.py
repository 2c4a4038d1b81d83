"""BERT: the Transformer's encoder alone, which reads a text or a pair of texts in both directions at once.

Devlin, Chang, Lee and Toutanova 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language
Understanding", arXiv:1810.04805. A text is read as [CLS] a [SEP], a pair as [CLS] a [SEP] b [SEP]; every token's vector
is the sum of its token, its segment (a or b) and its learned position, normalised. A block is that of the Transformer
(post-norm) with GELU in place of ReLU. What a text as a whole is about is read off the vector of [CLS].

Which words were masked, or whether b follows a, is not the model's business: a task has heads for that, and the pooler,
a layer with tanh over the vector of [CLS], is the first part of those that judge a whole text (layers/heads.py).

Departure from the paper: dropout acts on embeddings and after each sublayer, not on the attention's weights. Weights
begin as there, normal with standard deviation 0.02, but for token and position vectors, which have D^-0.5: tokens say
something from the start, and attention finds the places beside a gap sooner (neko in rows of 16 tokens, 128 wide, 3
layers, loss after 900 steps: 5.80 with positions of 0.02, 5.23 so). How training departs stands in
training/settings.py and optimiser.py.

The walk of shapes

    tokens, segments [B, T] -> embedding [B, T, D] -> blocks -> hidden [B, T, D], whose first vector is that of [CLS]
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from keifu.config import Schema
from keifu.interface import Output, TokenBatch
from keifu.layers.attention import MultiHeadAttention, padding_mask
from keifu.layers.dropout import Dropout
from keifu.layers.embeddings import SegmentEmbedding
from keifu.layers.feedforward import FeedForward
from keifu.layers.packing import packing_of
from keifu.trace import record, recording


class Config(Schema):
    """Sizes and rates that the paper itself varies."""

    name: Literal["bert"] = "bert"
    """The architecture."""

    vocab_size: int | None = Field(None, ge=4, le=2_000_000)
    """Number of tokens. Empty: as many as the tokenizer has."""

    max_length: int = Field(512, ge=1, le=1_000_000)
    """Longest sequence in tokens, [CLS] and [SEP] included."""

    d_model: int = Field(256, ge=2, le=65_536)
    """Width of the vectors between the layers (768 in the paper)."""

    n_layers: int = Field(4, ge=1, le=1_000)
    """Blocks (12 in the paper)."""

    n_heads: int = Field(4, ge=1, le=1_000)
    """Attention heads (12 in the paper)."""

    d_head: int | None = Field(None, ge=1, le=65_536)
    """Width of one head's queries, keys and values. Empty: d_model / n_heads."""

    d_ff: int = Field(1024, ge=1, le=1_000_000)
    """Width of the feed-forward network's hidden layer (3072 in the paper)."""

    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of values set to zero after each sublayer and after the embeddings, while training."""

    norm_eps: float = Field(1e-12, gt=0)
    """Added to the variance inside LayerNorm."""

    tie_embeddings: bool = True
    """One matrix for the tokens and for the scores of what a masked token was."""

    @model_validator(mode="after")
    def _heads_fit(self) -> "Config":
        if self.d_head is None and self.d_model % self.n_heads:
            raise ValueError(
                f"d_model {self.d_model} is not a multiple of n_heads {self.n_heads}; change one of them or set d_head"
            )
        return self


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"d_model": 256, "n_layers": 4, "n_heads": 4, "d_ff": 1024},
    "small": {"d_model": 384, "n_layers": 6, "n_heads": 6, "d_ff": 1536},
    "base": {"d_model": 768, "n_layers": 12, "n_heads": 12, "d_ff": 3072},
}


class Bert(nn.Module):
    """The encoder. Every token's vector has read the whole text, or both texts of a pair."""

    takes = "tokens"
    block_outputs = ("blocks.*.feedforward_normalised",)
    packs = True
    """Whether texts of different lengths are read in common rows: on a CPU, where nothing is learned or recorded."""
    summary = "first"
    """Where the vector of a whole text stands: at [CLS]."""
    blocks: "Sequence[Block]"
    axis_sequences: ClassVar[dict[str, dict[str, str]]] = {"*": {"T": "text", "S": "text"}}

    def __init__(self, config: Config) -> None:
        super().__init__()
        assert config.vocab_size is not None, "the vocabulary's size is known once there is a tokenizer"
        self.config = config
        self.d_output = config.d_model
        tokens = nn.Parameter(torch.empty(config.vocab_size, config.d_model))
        self.embedding = SegmentEmbedding(tokens, config.max_length, config.norm_eps)
        self.dropout = Dropout(config.dropout)
        self.blocks = cast("Sequence[Block]", nn.ModuleList(Block(config) for _ in range(config.n_layers)))
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)
        for vectors in (tokens, self.embedding.position.weight):
            nn.init.normal_(vectors, std=config.d_model**-0.5)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, batch: TokenBatch) -> Output:
        """Hidden vectors `[B, T, D]`, each of which has read all real tokens of its row."""
        x: Tensor = self.dropout(self.embedding(batch.tokens, batch.segments))
        learning = self.training or torch.is_grad_enabled()
        packing = None if learning or recording() else packing_of(batch.mask)
        mask, x = (padding_mask(batch.mask), x) if packing is None else (packing.mask, packing.pack(x))
        for block in self.blocks:
            x = block(x, mask)
        return Output(x if packing is None else packing.unpack(x))

    @property
    def output_embedding(self) -> nn.Parameter | None:
        """The matrix that the vocabulary head shares; None where embeddings are not tied."""
        return self.embedding.tokens if self.config.tie_embeddings else None

    @property
    def longest(self) -> int:
        """The most tokens that it can read."""
        return self.config.max_length


class Block(nn.Module):
    """Attention, add, normalise, feed-forward, add, normalise."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, d_head = config.d_model, config.d_head or config.d_model // config.n_heads
        self.attention = MultiHeadAttention(width, config.n_heads, d_head)
        self.attention_norm = nn.LayerNorm(width, config.norm_eps)
        self.feedforward = FeedForward(width, config.d_ff, F.gelu)
        self.feedforward_norm = nn.LayerNorm(width, config.norm_eps)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x and the result `[B, T, D]`; mask `[B, 1, 1, T]`."""
        attended = self.attention.attend(*self.attention.queries_keys_values(x), mask)
        x = record(self, "attention_residual", x + self.dropout(attended), "B T D")
        x = record(self, "attention_normalised", self.attention_norm(x), "B T D")
        transformed = self.feedforward(x)
        x = record(self, "feedforward_residual", x + self.dropout(transformed), "B T D")
        return record(self, "feedforward_normalised", self.feedforward_norm(x), "B T D")
