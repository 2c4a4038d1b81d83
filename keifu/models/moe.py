"""A mixture of experts: Llama with several feed-forward networks in each block, of which every token takes a few.

Jiang et al. 2024, "Mixtral of Experts", arXiv:2401.04088; after Shazeer et al. 2017, "Outrageously Large Neural
Networks", arXiv:1701.06538, and Fedus, Zoph and Shazeer 2022, "Switch Transformers", arXiv:2101.03961. The model has
the weights of all experts and the cost of those that are chosen. How tokens are given to experts, and what keeps these
evenly at work, stands in layers/experts.py.

Departures: as in `llama`; the router keeps Mixtral's softmax over all experts, then takes the k largest shares. The
penalties are the mean over the blocks, where Switch adds up those of each: their weights do not hang on the depth.

The walk of shapes

    tokens [B, T] -> embedding [B, T, D] -> blocks, each of which reads all earlier places -> norm -> hidden [B, T, D]
    inside a block the router's gates [B, T, E], zero but for the experts that a token takes
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from keifu.config import Schema
from keifu.interface import Output, TokenBatch
from keifu.layers.attention import MultiHeadAttention, causal_mask
from keifu.layers.cache import CachedState, KeyValueCache, LayerCache
from keifu.layers.dropout import Dropout
from keifu.layers.embeddings import TokenEmbedding
from keifu.layers.experts import Experts, Routed
from keifu.layers.norms import RMSNorm
from keifu.layers.rotary import RotaryPosition, Rotation
from keifu.trace import record


class Config(Schema):
    """Sizes and rates."""

    name: Literal["moe"] = "moe"
    """The architecture."""

    vocab_size: int | None = Field(None, ge=4, le=2_000_000)
    """Number of tokens. Empty: as many as the tokenizer has."""

    max_length: int = Field(256, ge=2, le=1_000_000)
    """Tokens that are read together (32768 in the paper). Longer texts are read in windows."""

    d_model: int = Field(256, ge=2, le=65_536)
    """Width of the vectors between the layers (4096 in the paper)."""

    n_layers: int = Field(4, ge=1, le=1_000)
    """Blocks (32 in the paper)."""

    n_heads: int = Field(4, ge=1, le=1_000)
    """Attention heads (32 in the paper)."""

    n_kv_heads: int | None = Field(None, ge=1, le=1_000)
    """Heads of keys and values, each for n_heads / n_kv_heads queries (8 in the paper; 1: multi-query). Empty: as
    many as n_heads.
    """

    d_ff: int | None = Field(None, ge=1, le=1_000_000)
    """Width of one expert's hidden layer. Empty: 4/3 d_model, up to a multiple of 32, so that two are as wide as the
    one feed-forward network of `llama`.
    """

    n_experts: int = Field(8, ge=1, le=10_000)
    """Experts in each block (8 in the paper)."""

    experts_per_token: int = Field(2, ge=1, le=10_000)
    """Experts that a token takes (2 in the paper, 1 in Switch)."""

    routing: Literal["mixtral", "switch"] = "mixtral"
    """How the chosen are weighted: so that the weights sum to one, or, of a single one, by its own share."""

    balance_penalty: float = Field(0.01, ge=0)
    """Weight in the loss of the penalty for uneven work, which is 1 where all experts get as much."""

    z_penalty: float = Field(0.001, ge=0)
    """Weight in the loss of the penalty for large scores of the router."""

    balance_step: float = Field(0.0, ge=0, le=1)
    """Loss-free balancing: by this much an expert is chosen more easily after a step in which it had too little (0.001
    in Wang et al. 2024, who leave the balance penalty away). 0: none.
    """

    rotary_base: float = Field(10_000.0, gt=1)
    """Longest wave of the rotary positions, over 2 pi, about."""

    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of values set to zero after the embedding and after each sublayer, while training."""

    norm_eps: float = Field(1e-5, gt=0)
    """Added to the mean square inside RMSNorm."""

    tie_embeddings: bool = True
    """One matrix for the tokens and the output scores."""

    @model_validator(mode="after")
    def _heads_fit(self) -> "Config":
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model {self.d_model} is not a multiple of n_heads {self.n_heads}; change one of them")
        if self.d_head % 2:
            raise ValueError(f"d_model / n_heads is {self.d_head}; rotary positions turn pairs, so it must be even")
        if self.n_heads % (self.n_kv_heads or 1):
            raise ValueError(f"n_heads {self.n_heads} is not a multiple of n_kv_heads {self.n_kv_heads}; change one")
        if self.experts_per_token > self.n_experts:
            raise ValueError(f"experts_per_token {self.experts_per_token}: there are only {self.n_experts} (n_experts)")
        if self.routing == "switch" and self.experts_per_token > 1:
            raise ValueError("routing switch takes one expert a token; set experts_per_token to 1")
        if self.routing == "mixtral" and self.experts_per_token == 1 < self.n_experts:
            raise ValueError(
                "one expert's weight is always 1 with routing mixtral, and teaches the router nothing; set "
                "routing to switch, or experts_per_token to 2"
            )
        return self

    @property
    def d_head(self) -> int:
        """Width of one head."""
        return self.d_model // self.n_heads

    @property
    def d_inner(self) -> int:
        """Width of an expert, whether given or not."""
        return self.d_ff or 32 * math.ceil(4 * self.d_model / 96)


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"d_model": 128, "n_layers": 4, "n_heads": 4, "n_kv_heads": 2, "max_length": 128},
    "small": {"d_model": 384, "n_layers": 6, "n_heads": 6, "n_kv_heads": 2, "max_length": 256},
    "base": {"d_model": 768, "n_layers": 12, "n_heads": 12, "n_kv_heads": 4, "max_length": 1024},
}


class MixtureOfExperts(nn.Module):
    """Embedding, blocks and a last norm. `forward` reads whole sequences, `step` a few tokens at a time."""

    takes = "tokens"
    axis_sequences: ClassVar[dict[str, dict[str, str]]] = {"*": {"T": "text", "S": "text"}}
    layers: ClassVar[str] = "blocks.*.feedforward_residual"
    """The recorded values that `norm` and a head can read, one of each layer."""
    block_outputs = (layers,)
    gates: ClassVar[str] = "blocks.*.feedforward.gates"
    """The recorded weights of experts, one of each layer."""
    blocks: "Sequence[Block]"

    def __init__(self, config: Config) -> None:
        super().__init__()
        assert config.vocab_size is not None, "the vocabulary's size is known once there is a tokenizer"
        self.config = config
        tokens = nn.Parameter(torch.empty(config.vocab_size, config.d_model))
        self.embedding = TokenEmbedding(tokens, scaled=False)
        self.position = RotaryPosition(config.d_head, config.rotary_base)
        self.dropout = Dropout(config.dropout)
        self.blocks = cast("Sequence[Block]", nn.ModuleList(Block(config) for _ in range(config.n_layers)))
        self.norm = RMSNorm(config.d_model, config.norm_eps)
        self.d_output = config.d_model
        self._initialise()

    def forward(self, batch: TokenBatch) -> Output:
        """Hidden vectors `[B, T, D]`: the one at t has read the tokens up to t, and what the batch's state has read.

        The penalties are those of the routers.
        """
        if batch.state is not None:
            return Output(*self.step(batch.tokens, cast(CachedState, batch.state), batch.mask))
        length = batch.tokens.shape[1]
        # Padding stands on the right, so the causal mask already keeps real tokens from reading it.
        mask = causal_mask(length, length, batch.tokens.device)
        x: Tensor = self.dropout(self.embedding(batch.tokens))
        rotation = self.position(length)
        real = None if batch.mask.all() else batch.mask
        penalties: list[Tensor] = []
        for block in self.blocks:
            x, routed = block(x, mask, real, rotation)
            penalties += self._penalties(routed)
        return Output(record(self, "output", self.norm(x), "B T D"), None, tuple(penalties))

    def start(self, rows: int, capacity: int = 64) -> CachedState:
        """The state before the first token of so many sequences. `capacity`: columns to allocate at first."""
        config, weight = self.config, self.embedding.tokens
        heads = config.n_kv_heads or config.n_heads
        sizes = (config.n_layers, rows, heads, config.d_head, min(capacity, config.max_length))
        return CachedState(KeyValueCache.empty(*sizes, weight.dtype, weight.device))

    def step(self, tokens: Tensor, state: CachedState, mask: Tensor | None = None) -> tuple[Tensor, CachedState]:
        """Reads tokens `[B, n]` after those of the state; returns hidden `[B, n, D]` and the new state.

        mask: `[B, n]`, False at the padding of shorter rows, which stands on the right.
        """
        cache = state.cache.grow(tokens.shape[1], mask)
        x: Tensor = self.dropout(self.embedding(tokens))
        shape = x.shape
        rotation = self.position(shape[1], state.cache.lengths, cache.groups)
        # Rows of a group become further queries to the same keys.
        x = x.view(cache.groups, cache.group_size * shape[1], shape[2])
        attends = cache.mask(shape[1])
        real = None if mask is None or mask.all() else mask.view(x.shape[:2])
        for block, layer in zip(self.blocks, cache.layers(), strict=True):
            x, _ = block(x, attends, real, rotation, layer)
        return record(self, "output", self.norm(x).view(shape), "B T D"), replace(state, cache=cache)

    def after_step(self) -> None:
        """Called by the training loop after each update: makes idle experts easier to choose."""
        for block in self.blocks:
            block.feedforward.router.after_step()

    def forget_step(self) -> None:
        """Called by the training loop where a step is given up: its choices do not count."""
        for block in self.blocks:
            block.feedforward.router.forget_step()

    @property
    def output_embedding(self) -> nn.Parameter | None:
        """The matrix that the vocabulary head shares; None where embeddings are not tied."""
        return self.embedding.tokens if self.config.tie_embeddings else None

    @property
    def longest(self) -> int:
        """The most tokens that it reads together."""
        return self.config.max_length

    def _penalties(self, routed: Routed) -> list[Tensor]:
        """What a block's router asks to be added to the loss, a mean over the blocks."""
        config = self.config
        weights = (config.balance_penalty / config.n_layers, config.z_penalty / config.n_layers)
        of = (routed.balance, routed.spread)
        return [weight * penalty() for weight, penalty in zip(weights, of, strict=True) if weight]

    def _initialise(self) -> None:
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                into_the_sum = name.endswith(("output.weight", "contract.weight"))
                nn.init.normal_(parameter, std=0.02 / (math.sqrt(2 * self.config.n_layers) if into_the_sum else 1))


class Block(nn.Module):
    """Normalise, attention, add, normalise, experts, add."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.d_model, config.norm_eps)
        self.attention = MultiHeadAttention(
            config.d_model, config.n_heads, config.d_head, config.n_kv_heads or config.n_heads, bias=False
        )
        self.feedforward_norm = RMSNorm(config.d_model, config.norm_eps)
        self.feedforward = Experts(
            config.d_model,
            config.d_inner,
            config.n_experts,
            config.experts_per_token,
            renormalise=config.routing == "mixtral",
            step=config.balance_step,
        )
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None,
        real: Tensor | None,
        rotation: Rotation,
        cache: LayerCache | None = None,
    ) -> tuple[Tensor, Routed]:
        """x and the result `[B, T, D]`, and how its router decided; real `[B, T]`: tokens that experts are for, None:
        all; rotation: by which queries and keys are turned; cache: where earlier keys and values are.
        """
        normalised = record(self, "attention_normalised", self.attention_norm(x), "B T D")
        query, key, value = self.attention.queries_keys_values(normalised, rotation)
        if cache is not None:
            key, value = cache.write(key, value)
        attended = self.attention.attend(query, key, value, mask)
        x = record(self, "attention_residual", x + self.dropout(attended), "B T D")
        normalised = record(self, "feedforward_normalised", self.feedforward_norm(x), "B T D")
        routed: Routed = self.feedforward(normalised, real)
        return record(self, "feedforward_residual", x + self.dropout(routed.output), "B T D"), routed
