"""BERT as a translator: its encoder, and a decoder of the same shape that reads what the encoder made of the source.

Rothe, Narayan and Severyn 2020, "Leveraging Pre-trained Checkpoints for Sequence Generation Tasks", arXiv:1907.12461,
where it is called BERT2BERT. The encoder is a `Bert`. The decoder's blocks are BERT's with two changes: their attention
sees no later token, and a second attention, to the source, stands behind it. Above them stands the layer with GELU and
the norm from which BERT scores masked tokens. `--init` begins both sides with a pre-trained BERT: of a decoder only the
second attention is then new (and what stands above it, where BERT was not taught masked tokens).

Departures from the paper: [BOS] and [EOS] stand where BERT has [CLS] and [SEP], and begin as these were learned; one
matrix holds the tokens of both sides and the output scores where embeddings are tied, and a head of its own begins
fresh where they are not; scores have no bias; the target stands in the first segment; dropout does not act on the
attention's weights.

The walk of shapes

    source [B, S]  -> Bert -> memory [B, S, D]
    target [B, T]  -> embedding [B, T, D] -> decoder blocks, which read the memory -> layer and norm -> hidden [B, T, D]
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from keifu.config import Schema
from keifu.interface import Output, PairBatch, TokenBatch
from keifu.layers.attention import causal_mask, for_steps, padding_mask
from keifu.layers.cache import KeyValueCache
from keifu.layers.dropout import Dropout
from keifu.layers.embeddings import SegmentEmbedding
from keifu.layers.linear import Linear
from keifu.models import bert
from keifu.models.transformer import DecoderBlock, TransformerState
from keifu.trace import record


class Config(Schema):
    """Sizes and rates, those of BERT; both sides have the same."""

    name: Literal["bert-seq2seq"] = "bert-seq2seq"
    """The architecture."""

    vocab_size: int | None = Field(None, ge=4, le=2_000_000)
    """Number of tokens, shared by source and target. Empty: as many as the tokenizer has."""

    max_length: int = Field(512, ge=1, le=1_000_000)
    """Longest sequence in tokens on a side."""

    d_model: int = Field(256, ge=2, le=65_536)
    """Width of the vectors between the layers."""

    n_layers: int = Field(4, ge=1, le=1_000)
    """Blocks in the encoder, and as many in the decoder."""

    n_heads: int = Field(4, ge=1, le=1_000)
    """Attention heads."""

    d_head: int | None = Field(None, ge=1, le=65_536)
    """Width of one head's queries, keys and values. Empty: d_model / n_heads."""

    d_ff: int = Field(1024, ge=1, le=1_000_000)
    """Width of the feed-forward network's hidden layer."""

    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of values set to zero after each sublayer and after the embeddings, while training."""

    norm_eps: float = Field(1e-12, gt=0)
    """Added to the variance inside LayerNorm."""

    tie_embeddings: bool = True
    """One matrix for source tokens, target tokens and the output scores."""

    @model_validator(mode="after")
    def _heads_fit(self) -> "Config":
        if self.d_head is None and self.d_model % self.n_heads:
            raise ValueError(
                f"d_model {self.d_model} is not a multiple of n_heads {self.n_heads}; change one of them or set d_head"
            )
        return self


PRESETS: dict[str, dict[str, Any]] = bert.PRESETS

_BEGIN_AND_END, _CLS_AND_SEP = [2, 3], [4, 5]  # ids of READING_TOKENS


class BertSeq2Seq(nn.Module):
    """Encoder and decoder. `forward` reads whole sequences; `start` and `step` write one token after another."""

    takes = "pair"
    block_outputs = ("encoder.blocks.*.feedforward_normalised", "decoder.*.feedforward_normalised")
    begins_with: ClassVar = ("bert",)
    """The models whose weights `inherited` can use."""
    begins_source: ClassVar[bool] = True
    """Whether [BOS] stands before a source, as [CLS] before all that BERT has read."""
    decoder: "Sequence[DecoderBlock]"
    axis_sequences: ClassVar[dict[str, dict[str, str]]] = {
        "encoder.*": {"T": "source", "S": "source"},
        "decoder.*.cross_attention.*": {"T": "target", "S": "source"},
        "decoder.*": {"T": "target", "S": "target"},
        "target_embedding.*": {"T": "target"},
        "output": {"T": "target"},
    }

    def __init__(self, config: Config) -> None:
        super().__init__()
        assert config.vocab_size is not None, "the vocabulary's size is known once there is a tokenizer"
        self.config = config
        self.encoder = bert.Bert(bert.Config(**{**config.model_dump(), "name": "bert"}))
        source = self.encoder.embedding.tokens
        target = source if config.tie_embeddings else nn.Parameter(torch.empty_like(source))
        self.target_embedding = SegmentEmbedding(target, config.max_length, config.norm_eps)
        self.dropout = Dropout(config.dropout)
        self.decoder = cast(
            "Sequence[DecoderBlock]", nn.ModuleList(DecoderBlock(config, F.gelu) for _ in range(config.n_layers))
        )
        self.transform = Linear(config.d_model, config.d_model)
        self.norm = nn.LayerNorm(config.d_model, config.norm_eps)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2 and not name.startswith("encoder."):
                nn.init.normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
        if not config.tie_embeddings:
            nn.init.normal_(target, std=config.d_model**-0.5)

    @staticmethod
    def inherited(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights of a BERT and of its head for masked tokens, by the names that they have here: both sides begin
        with those of the model.
        """
        found = {
            name.removeprefix("head.masked."): tensor
            for name, tensor in tensors.items()
            if name.startswith(("head.masked.transform.", "head.masked.norm."))
        }
        theirs = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
        for name, tensor in theirs.items():
            if name == "embedding.tokens":
                tensor = tensor.clone()
                tensor[_BEGIN_AND_END] = tensor[_CLS_AND_SEP]
            found[f"encoder.{name}"] = tensor
            beside = re.sub(r"^blocks\.(\d+)\.attention", r"decoder.\1.self_attention", name)
            beside = re.sub(r"^blocks\.", "decoder.", beside)
            found[re.sub(r"^embedding\.", "target_embedding.", beside)] = tensor
        return found

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
        return Output(self._to_be_scored(x))

    def encode(self, source: Tensor, source_mask: Tensor) -> Tensor:
        """The memory `[B, S, D]` of source tokens `[B, S]`; every token has read all real ones."""
        memory: Tensor = self.encoder(TokenBatch(source, source_mask)).hidden
        return memory

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
        return self._to_be_scored(x.view(shape)), replace(state, cache=cache)

    def _to_be_scored(self, x: Tensor) -> Tensor:
        """Of the last block's vectors `[B, T, D]` those that the head takes, as BERT's own head makes them."""
        return record(self, "output", self.norm(F.gelu(self.transform(x))), "B T D")

    @property
    def output_embedding(self) -> nn.Parameter | None:
        """The matrix that the vocabulary head shares; None where embeddings are not tied."""
        return self.target_embedding.tokens if self.config.tie_embeddings else None

    @property
    def longest(self) -> int:
        """The most tokens that it can read on a side."""
        return self.config.max_length
