"""The Transformer: an encoder and a decoder made of attention and small feed-forward networks, with no recurrence.

Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin 2017, "Attention Is All You Need",
arXiv:1706.03762. Each sublayer is LayerNorm(x + Dropout(Sublayer(x))) (section 5.4): the norm comes after the
addition.

Departure from the paper: projections have biases (as in its authors' later code and every public re-implementation).
What it leaves open: embeddings and learned positions are drawn with standard deviation D^-0.5, other matrices by
Glorot's uniform rule; LayerNorm adds 1e-5 to the variance. How training departs stands in training/optimiser.py, how
search does in generation/search.py.

The walk of shapes

    source [B, S]  -> embedding [B, S, D] -> encoder blocks -> memory [B, S, D]
    target [B, T]  -> embedding [B, T, D] -> decoder blocks, which read the memory -> hidden [B, T, D]
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from keifu.config import Schema
from keifu.interface import Output, PairBatch
from keifu.layers.attention import MultiHeadAttention, causal_mask, for_steps, padding_mask
from keifu.layers.cache import KeyValueCache, LayerCache, groups_to_keep
from keifu.layers.dropout import Dropout
from keifu.layers.embeddings import Embedding, LearnedPosition, SinusoidalPosition
from keifu.layers.feedforward import FeedForward
from keifu.trace import record


class Config(Schema):
    """Sizes, rates and choices that the paper itself varies."""

    name: Literal["transformer"] = "transformer"
    """The architecture."""

    vocab_size: int | None = Field(None, ge=4, le=2_000_000)
    """Number of tokens, shared by source and target. Empty: as many as the tokenizer has."""

    max_length: int = Field(512, ge=1, le=1_000_000)
    """Longest sequence in tokens to learn from. Learned positions cannot go further."""

    d_model: int = Field(256, ge=2, le=65_536)
    """Width of the vectors between the layers (512 in the paper)."""

    n_layers: int = Field(3, ge=1, le=1_000)
    """Blocks in the encoder, and as many in the decoder (6 in the paper)."""

    n_heads: int = Field(4, ge=1, le=1_000)
    """Attention heads (8 in the paper)."""

    d_head: int | None = Field(None, ge=1, le=65_536)
    """Width of one head's queries, keys and values. Empty: d_model / n_heads."""

    d_ff: int = Field(1024, ge=1, le=1_000_000)
    """Width of the feed-forward network's hidden layer (2048 in the paper)."""

    position: Literal["sinusoidal", "learned", "none"] = "sinusoidal"
    """How a token's place is told: fixed waves, a trained vector for each place, or not at all."""

    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of values set to zero after each sublayer and after the embeddings, while training."""

    norm_eps: float = Field(1e-5, gt=0)
    """Added to the variance inside LayerNorm."""

    tie_embeddings: bool = True
    """One matrix for source tokens, target tokens and the output scores (section 3.4)."""

    @model_validator(mode="after")
    def _heads_fit(self) -> "Config":
        if self.d_head is None and self.d_model % self.n_heads:
            raise ValueError(
                f"d_model {self.d_model} is not a multiple of n_heads {self.n_heads}; change one of them or set d_head"
            )
        return self


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"d_model": 128, "n_layers": 2, "n_heads": 4, "d_ff": 512},
    "small": {"d_model": 256, "n_layers": 3, "n_heads": 8, "d_ff": 1024},
    "base": {"d_model": 512, "n_layers": 6, "n_heads": 8, "d_ff": 2048},
}


@dataclass(frozen=True)
class TransformerState:
    """A decoder in the middle of its output. Rows are outputs; several rows (a beam) may read one source sentence: they
    stand together, as many for every sentence.

    cache: keys and values of the target so far. memory: for each layer, keys and values of the source `[U, H, S, A]`,
    once a sentence. memory_mask: `[U, 1, 1, S]`.
    """

    cache: KeyValueCache
    memory: list[tuple[Tensor, Tensor]]
    memory_mask: Tensor

    def select(self, rows: Tensor) -> "TransformerState":
        kept = groups_to_keep(rows, self.cache.group_size, self.cache.groups)
        if kept is None:
            return replace(self, cache=self.cache.select(rows, None))
        memory = [(key[kept], value[kept]) for key, value in self.memory]
        return TransformerState(self.cache.select(rows, kept), memory, self.memory_mask[kept])


class Transformer(nn.Module):
    """Encoder and decoder. `forward` reads whole sequences; `start` and `step` write one token after another."""

    takes = "pair"
    block_outputs = ("encoder.*.feedforward_normalised", "decoder.*.feedforward_normalised")
    encoder: "Sequence[EncoderBlock]"
    decoder: "Sequence[DecoderBlock]"
    axis_sequences: ClassVar[dict[str, dict[str, str]]] = {
        "encoder.*": {"T": "source", "S": "source"},
        "source_embedding.*": {"T": "source"},
        "decoder.*.cross_attention.*": {"T": "target", "S": "source"},
        "decoder.*": {"T": "target", "S": "target"},
        "target_embedding.*": {"T": "target"},
    }

    def __init__(self, config: Config) -> None:
        super().__init__()
        assert config.vocab_size is not None, "the vocabulary's size is known once there is a tokenizer"
        self.config = config
        self.d_output = config.d_model
        source = nn.Parameter(torch.empty(config.vocab_size, config.d_model))
        target = source if config.tie_embeddings else nn.Parameter(torch.empty_like(source))
        self.source_embedding = Embedding(source, self._position())
        self.target_embedding = Embedding(target, self._position())
        self.dropout = Dropout(config.dropout)
        self.encoder = cast(
            "Sequence[EncoderBlock]", nn.ModuleList(EncoderBlock(config) for _ in range(config.n_layers))
        )
        self.decoder = cast(
            "Sequence[DecoderBlock]", nn.ModuleList(DecoderBlock(config) for _ in range(config.n_layers))
        )
        self._initialise()

    def forward(self, batch: PairBatch) -> Output:
        """Hidden vectors `[B, T, D]`: the one at t has read target tokens up to t and all of the source."""
        memory = self.encode(batch.source, batch.source_mask)
        memory_mask = padding_mask(batch.source_mask)
        length = batch.target.shape[1]
        # Padding stands on the right, so the causal mask already keeps real tokens from reading it.
        mask = causal_mask(length, length, batch.target.device)
        x = self.dropout(self.target_embedding(batch.target))
        for block in self.decoder:
            x = block(x, mask, *block.cross_attention.keys_values(memory), memory_mask)
        return Output(x)

    def encode(self, source: Tensor, source_mask: Tensor) -> Tensor:
        """The memory `[B, S, D]` of source tokens `[B, S]`; every token has read all real ones."""
        mask = padding_mask(source_mask)
        x: Tensor = self.dropout(self.source_embedding(source))
        for block in self.encoder:
            x = block(x, mask)
        return x

    def start(self, source: Tensor, source_mask: Tensor, capacity: int = 64) -> TransformerState:
        """The state before the first target token. `capacity`: columns to allocate at first; it grows when needed."""
        memory = self.encode(source, source_mask)
        keys_values = [block.cross_attention.keys_values(memory) for block in self.decoder]
        rows, heads, _, width = keys_values[0][0].shape
        cache = KeyValueCache.empty(len(self.decoder), rows, heads, width, capacity, memory.dtype, source.device)
        kept = [(for_steps(key), for_steps(value)) for key, value in keys_values]
        return TransformerState(cache, kept, padding_mask(source_mask))

    def step(
        self, tokens: Tensor, state: TransformerState, mask: Tensor | None = None
    ) -> tuple[Tensor, TransformerState]:
        """Reads target tokens `[B, n]` after those of the state; returns hidden `[B, n, D]` and the new state.

        mask: `[B, n]`, False at the padding of shorter rows, which stands on the right.
        """
        cache = state.cache.grow(tokens.shape[1], mask)
        self_mask = cache.mask(tokens.shape[1])
        x = self.dropout(self.target_embedding(tokens, first=state.cache.lengths))
        shape = x.shape
        # The rows of a sentence become further queries to the same keys.
        x = x.view(cache.groups, cache.group_size * shape[1], shape[2])
        for block, memory, layer in zip(self.decoder, state.memory, cache.layers(), strict=True):
            x = block(x, self_mask, *memory, state.memory_mask, layer)
        return x.view(shape), replace(state, cache=cache)

    def keep_encoder(self) -> None:
        """Leaves the decoder away, for tasks that only read."""
        self.decoder = cast("Sequence[DecoderBlock]", nn.ModuleList())
        del self.target_embedding

    @property
    def output_embedding(self) -> nn.Parameter | None:
        """The matrix that the vocabulary head shares; None where embeddings are not tied."""
        return self.target_embedding.tokens if self.config.tie_embeddings else None

    @property
    def longest(self) -> int | None:
        """The most tokens that it can read on a side; None where there is no bound."""
        return self.config.max_length if self.config.position == "learned" else None

    def _position(self) -> SinusoidalPosition | LearnedPosition | None:
        match self.config.position:
            case "sinusoidal":
                return SinusoidalPosition(self.config.d_model)
            case "learned":
                return LearnedPosition(self.config.max_length, self.config.d_model)
            case "none":
                return None

    def _initialise(self) -> None:
        for name, parameter in self.named_parameters():
            if "embedding" in name:
                nn.init.normal_(parameter, std=1 / math.sqrt(self.config.d_model))
            elif parameter.dim() == 2:
                nn.init.xavier_uniform_(parameter)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)


class EncoderBlock(nn.Module):
    """Attention, add, normalise, feed-forward, add, normalise: the left half of the paper's figure 1."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention = _attention(config)
        self.attention_norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.feedforward = FeedForward(config.d_model, config.d_ff)
        self.feedforward_norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x and the result `[B, S, D]`; mask `[B, 1, 1, S]`."""
        attended = self.attention.attend(*self.attention.queries_keys_values(x), mask)
        x = record(self, "attention_residual", x + self.dropout(attended), "B T D")
        x = record(self, "attention_normalised", self.attention_norm(x), "B T D")
        transformed = self.feedforward(x)
        x = record(self, "feedforward_residual", x + self.dropout(transformed), "B T D")
        return record(self, "feedforward_normalised", self.feedforward_norm(x), "B T D")


class DecoderBlock(nn.Module):
    """As the encoder's block, with a second attention that reads the source: the right half of the paper's figure 1.

    config: of this model, or of another with the same names of sizes. activation: of the feed-forward network.
    """

    def __init__(self, config: Any, activation: Callable[[Tensor], Tensor] = torch.relu_) -> None:
        super().__init__()
        self.self_attention = _attention(config)
        self.self_attention_norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.cross_attention = _attention(config)
        self.cross_attention_norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.feedforward = FeedForward(config.d_model, config.d_ff, activation)
        self.feedforward_norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        self_mask: Tensor | None,
        memory_key: Tensor,
        memory_value: Tensor,
        memory_mask: Tensor,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """x and the result `[B, T, D]`; memory_key and memory_value `[B, H, S, A]`; cache: where earlier keys and
        values are.
        """
        query, key, value = self.self_attention.queries_keys_values(x)
        if cache is not None:
            key, value = cache.write(key, value)
        attended = self.self_attention.attend(query, key, value, self_mask)
        x = record(self, "self_attention_residual", x + self.dropout(attended), "B T D")
        x = record(self, "self_attention_normalised", self.self_attention_norm(x), "B T D")
        attended = self.cross_attention(x, memory_key, memory_value, memory_mask)
        x = record(self, "cross_attention_residual", x + self.dropout(attended), "B T D")
        x = record(self, "cross_attention_normalised", self.cross_attention_norm(x), "B T D")
        transformed = self.feedforward(x)
        x = record(self, "feedforward_residual", x + self.dropout(transformed), "B T D")
        return record(self, "feedforward_normalised", self.feedforward_norm(x), "B T D")


def _attention(config: Any) -> MultiHeadAttention:
    return MultiHeadAttention(config.d_model, config.n_heads, config.d_head or config.d_model // config.n_heads)
