"""GPT: the Transformer's decoder alone, which reads a text and says at every place what comes next.

Radford, Wu, Child, Luan, Amodei and Sutskever 2019, "Language Models are Unsupervised Multitask Learners" (GPT-2),
after Radford, Narasimhan, Salimans and Sutskever 2018, "Improving Language Understanding by Generative Pre-Training".
Each sublayer is x + Dropout(Sublayer(LayerNorm(x))): the norm comes before the sublayer, so that the sum from the
embedding to the last norm is never normalised on its way. GELU (Hendrycks and Gimpel 2016, arXiv:1606.08415) is
x Phi(x), or the approximation of it with tanh that their code computes.

Matrices are drawn with standard deviation 0.02, those that write into the sum with 0.02 / sqrt(2 L), for GPT-2 scales
them by the square root of the number of sublayers; dropout acts on the embedded tokens and on what each sublayer adds,
as in the first GPT. Departures: no dropout on the attention's weights, which costs much for little; positions are drawn
like the rest (0.01 in their code), and a head that is not tied to the tokens with D^-0.5.

The walk of shapes

    tokens [B, T] -> embedding [B, T, D] -> blocks, each of which reads all earlier places -> norm -> hidden [B, T, D]
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from keifu.config import Schema
from keifu.interface import Output, TokenBatch
from keifu.layers.alone import block_runner
from keifu.layers.attention import MultiHeadAttention, causal_mask
from keifu.layers.cache import CachedState, KeyValueCache, LayerCache
from keifu.layers.dropout import Dropout
from keifu.layers.embeddings import Embedding, LearnedPosition
from keifu.layers.feedforward import FeedForward
from keifu.trace import record


class Config(Schema):
    """Sizes and rates."""

    name: Literal["gpt"] = "gpt"
    """The architecture."""

    vocab_size: int | None = Field(None, ge=4, le=2_000_000)
    """Number of tokens. Empty: as many as the tokenizer has."""

    max_length: int = Field(256, ge=2, le=1_000_000)
    """Tokens that are read together, and positions (1024 in the paper). Longer texts are read in windows."""

    d_model: int = Field(256, ge=2, le=65_536)
    """Width of the vectors between the layers (768 to 1600 in the paper)."""

    n_layers: int = Field(4, ge=1, le=1_000)
    """Blocks (12 to 48 in the paper)."""

    n_heads: int = Field(4, ge=1, le=1_000)
    """Attention heads (12 to 25 in the paper)."""

    d_ff: int | None = Field(None, ge=1, le=1_000_000)
    """Width of the feed-forward network's hidden layer. Empty: 4 d_model."""

    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of values set to zero after the embedding and after each sublayer, while training."""

    norm_eps: float = Field(1e-5, gt=0)
    """Added to the variance inside LayerNorm."""

    gelu: Literal["tanh", "exact"] = "tanh"
    """How GELU is computed: by GPT-2's approximation with tanh, or exactly, which differs by at most 0.0005 and makes a
    training step on a CPU a tenth shorter."""

    tie_embeddings: bool = True
    """One matrix for the tokens and the output scores."""

    @model_validator(mode="after")
    def _heads_fit(self) -> "Config":
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model {self.d_model} is not a multiple of n_heads {self.n_heads}; change one of them")
        return self


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"d_model": 128, "n_layers": 4, "n_heads": 4, "max_length": 128, "gelu": "exact"},
    "small": {"d_model": 384, "n_layers": 6, "n_heads": 6, "max_length": 256, "gelu": "exact"},
    "base": {"d_model": 768, "n_layers": 12, "n_heads": 12, "max_length": 1024, "gelu": "exact"},
}

GELU: dict[str, Callable[[Tensor], Tensor]] = {"tanh": partial(F.gelu, approximate="tanh"), "exact": F.gelu}


class GPT(nn.Module):
    """Embedding, blocks and a last norm. `forward` reads whole sequences, `step` a few tokens at a time."""

    takes = "tokens"
    axis_sequences: ClassVar[dict[str, dict[str, str]]] = {"*": {"T": "text", "S": "text"}}
    layers: ClassVar[str] = "blocks.*.feedforward_residual"
    """The recorded values that `norm` and a head can read, one of each layer."""
    block_outputs = (layers,)
    blocks: "Sequence[Block]"
    compiled_block: Callable[..., Tensor] | None = None
    """What runs a block on a token that comes alone, if it has been compiled (layers/alone.py)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        assert config.vocab_size is not None, "the vocabulary's size is known once there is a tokenizer"
        self.config = config
        tokens = nn.Parameter(torch.empty(config.vocab_size, config.d_model))
        self.embedding = Embedding(tokens, LearnedPosition(config.max_length, config.d_model), scaled=False)
        self.dropout = Dropout(config.dropout)
        self.blocks = cast("Sequence[Block]", nn.ModuleList(Block(config) for _ in range(config.n_layers)))
        self.norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.d_output = config.d_model
        self._initialise()

    def forward(self, batch: TokenBatch) -> Output:
        """Hidden vectors `[B, T, D]`: the one at t has read the tokens up to t, and what the batch's state has read."""
        if batch.state is not None:
            return Output(*self.step(batch.tokens, cast(CachedState, batch.state), batch.mask))
        length = batch.tokens.shape[1]
        # Padding stands on the right, so the causal mask already keeps real tokens from reading it.
        mask = causal_mask(length, length, batch.tokens.device)
        x: Tensor = self.dropout(self.embedding(batch.tokens))
        for block in self.blocks:
            x = block(x, mask)
        return Output(record(self, "output", self.norm(x), "B T D"))

    def start(self, rows: int, capacity: int = 64) -> CachedState:
        """The state before the first token of so many sequences. `capacity`: columns to allocate at first."""
        config, weight = self.config, self.embedding.tokens
        width = config.d_model // config.n_heads
        sizes = (config.n_layers, rows, config.n_heads, width, min(capacity, config.max_length))
        return CachedState(KeyValueCache.empty(*sizes, weight.dtype, weight.device))

    def step(self, tokens: Tensor, state: CachedState, mask: Tensor | None = None) -> tuple[Tensor, CachedState]:
        """Reads tokens `[B, n]` after those of the state; returns hidden `[B, n, D]` and the new state.

        mask: `[B, n]`, False at the padding of shorter rows, which stands on the right. Raises ConfigError beyond
        `max_length`.
        """
        cache = state.cache.grow(tokens.shape[1], mask)
        x: Tensor = self.dropout(self.embedding(tokens, first=state.cache.lengths))
        shape = x.shape
        # Rows of a group become further queries to the same keys.
        x = x.view(cache.groups, cache.group_size * shape[1], shape[2])
        attends = cache.mask(shape[1])
        run = block_runner(self, x, attends, cache.columns)
        for block, layer in zip(self.blocks, cache.layers(), strict=True):
            x = run(block, x, attends, layer)
        return record(self, "output", self.norm(x).view(shape), "B T D"), replace(state, cache=cache)

    @property
    def output_embedding(self) -> nn.Parameter | None:
        """The matrix that the vocabulary head shares; None where embeddings are not tied."""
        return self.embedding.tokens if self.config.tie_embeddings else None

    @property
    def longest(self) -> int:
        """The most tokens that it reads together."""
        return self.config.max_length

    def _initialise(self) -> None:
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                into_the_sum = name.endswith(("output.weight", "contract.weight"))
                nn.init.normal_(parameter, std=0.02 / (math.sqrt(2 * self.config.n_layers) if into_the_sum else 1))
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)


class Block(nn.Module):
    """Normalise, attention, add, normalise, feed-forward, add."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.attention = MultiHeadAttention(config.d_model, config.n_heads, config.d_model // config.n_heads)
        self.feedforward_norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.feedforward = FeedForward(config.d_model, config.d_ff or 4 * config.d_model, GELU[config.gelu])
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor | None, cache: LayerCache | None = None) -> Tensor:
        """x and the result `[B, T, D]`; cache: where earlier keys and values are."""
        normalised = record(self, "attention_normalised", self.attention_norm(x), "B T D")
        query, key, value = self.attention.queries_keys_values(normalised)
        if cache is not None:
            key, value = cache.write(key, value)
        attended = self.attention.attend(query, key, value, mask)
        x = record(self, "attention_residual", x + self.dropout(attended), "B T D")
        normalised = record(self, "feedforward_normalised", self.feedforward_norm(x), "B T D")
        transformed = self.feedforward(normalised)
        return record(self, "feedforward_residual", x + self.dropout(transformed), "B T D")
