"""The vision Transformer: a picture cut into patches, which a Transformer's encoder reads as if they were words.

Dosovitskiy, Beyer, Kolesnikov, Weissenborn, Zhai, Unterthiner, Dehghani, Minderer, Heigold, Gelly, Uszkoreit and
Houlsby 2021, "An Image is Worth 16x16 Words", arXiv:2010.11929. A patch's numbers become a vector by one matrix; a
trained vector stands before all patches, and what the last block makes of it speaks for the picture; trained positions
are added. Each sublayer is x + Sublayer(LayerNorm(x)): the norm comes before (equations 2 and 3), and once more at the
end.

What it leaves open: matrices are drawn with standard deviation 0.02, as in its authors' code for the positions.
Departure: dropout acts on the embedded patches and after each sublayer, not inside the feed-forward network too.

The walk of shapes

    pixels [B, K, Y, X] -> patches [B, P, Z] -> vectors [B, P, D] -> with the first [B, 1 + P, D]
    -> blocks -> hidden [B, 1, D], the vector of the first
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from keifu.config import Schema
from keifu.interface import ImageBatch, Output
from keifu.layers.attention import MultiHeadAttention
from keifu.layers.dropout import Dropout
from keifu.layers.feedforward import FeedForward
from keifu.layers.linear import Linear
from keifu.trace import record

_MOST_PATCHES = 1_024  # where nobody asked for more


class Config(Schema):
    """Sizes, rates and choices that the paper itself varies."""

    name: Literal["vit"] = "vit"
    """The architecture."""

    channels: int | None = Field(None, ge=1, le=3)
    """Numbers of a pixel: 1 in grey, 3 in colour. Empty: as the pictures are."""

    height: int | None = Field(None, ge=1, le=4096)
    """Height of the pictures in pixels. Empty: as they are."""

    width: int | None = Field(None, ge=1, le=4096)
    """Width of the pictures in pixels. Empty: as they are."""

    patch_size: int | None = Field(None, ge=1, le=4096)
    """Side of a patch in pixels; the sides of the pictures are multiples of it. Empty: the largest that makes at least
    4 patches a side, up to 16.
    """

    d_model: int = Field(64, ge=1, le=65_536)
    """Width of the vectors between the layers (768 in the paper's base)."""

    n_layers: int = Field(4, ge=1, le=1_000)
    """Blocks (12 in the paper's base)."""

    n_heads: int = Field(4, ge=1, le=1_000)
    """Attention heads (12 in the paper's base)."""

    d_ff: int = Field(256, ge=1, le=1_000_000)
    """Width of the feed-forward network's hidden layer (3072 in the paper's base)."""

    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of values set to zero after each sublayer and after the embedding, while training."""

    norm_eps: float = Field(1e-6, gt=0)
    """Added to the variance inside LayerNorm."""

    @model_validator(mode="after")
    def _fits(self) -> "Config":
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model {self.d_model} is not a multiple of n_heads {self.n_heads}; change one of them")
        for side in (self.height, self.width):
            if self.patch_size is not None and side is not None and side % self.patch_size:
                raise ValueError(
                    f"patch_size {self.patch_size} does not divide pictures of {self.height} by {self.width}; choose "
                    "another, or another data.height and data.width"
                )
        if self.patch_size is None and self.height is not None and self.width is not None:
            side = patch_for(self.height, self.width)
            if (count := self.height * self.width // side**2) > _MOST_PATCHES:
                raise ValueError(
                    f"pictures of {self.height} by {self.width} make {count:,} patches of {side} by {side}; choose "
                    "multiples of 16 for data.height and data.width, or set patch_size"
                )
        return self


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"d_model": 64, "n_layers": 4, "n_heads": 4, "d_ff": 256},
    "small": {"d_model": 192, "n_layers": 6, "n_heads": 6, "d_ff": 768},
    "base": {"d_model": 384, "n_layers": 12, "n_heads": 6, "d_ff": 1536},
}


def patch_for(height: int, width: int) -> int:
    """The side of a patch where none is asked for."""
    sides = [side for side in range(1, 17) if height % side == width % side == 0]
    return max((side for side in sides if min(height, width) // side >= 4), default=1)


class VisionTransformer(nn.Module):
    """Patches as vectors, and blocks over them."""

    takes = "image"
    entries = ("embedded",)
    block_outputs = ("blocks.*.feedforward_residual",)
    blocks: "Sequence[Block]"
    axis_sequences: ClassVar[dict[str, dict[str, str]]] = {"*": {"T": "patches", "S": "patches", "P": "cut"}}

    def __init__(self, config: Config) -> None:
        super().__init__()
        channels, height, width = config.channels, config.height, config.width
        assert channels is not None, "the size is known once there are pictures"
        assert height is not None
        assert width is not None
        self.config = config
        self.d_output = config.d_model
        self.patch_size = config.patch_size or patch_for(height, width)
        count = (height // self.patch_size) * (width // self.patch_size)
        self.embedding = Linear(channels * self.patch_size**2, config.d_model)
        self.first = nn.Parameter(torch.empty(config.d_model))
        self.position_embedding = nn.Parameter(torch.empty(1 + count, config.d_model))
        self.dropout = Dropout(config.dropout)
        self.blocks = cast("Sequence[Block]", nn.ModuleList(Block(config) for _ in range(config.n_layers)))
        self.norm = nn.LayerNorm(config.d_model, config.norm_eps)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2 or name == "first":
                nn.init.normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, batch: ImageBatch) -> Output:
        """Hidden vectors `[B, 1, D]`, one a picture: the first one, which has read all patches."""
        patches = record(self, "patches", self.patches(batch.pixels), "B P Z")
        vectors = record(self, "embedded", self.embedding(patches), "B P D")
        x = torch.cat([self.first.expand(len(vectors), 1, -1), vectors], dim=1)
        x = self.dropout(record(self, "sum", x + self.position_embedding, "B T D"))
        for block in self.blocks:
            x = block(x)
        return Output(record(self, "output", self.norm(x[:, 0]), "B D")[:, None])

    def patches(self, pixels: Tensor) -> Tensor:
        """The numbers of every patch `[B, P, Z]`, row by row, of pixels `[B, K, Y, X]`."""
        side = self.patch_size
        batch, channels, height, width = pixels.shape
        cut = pixels.reshape(batch, channels, height // side, side, width // side, side)
        return cut.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


class Block(nn.Module):
    """Normalise, attention, add, normalise, feed-forward, add."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.d_model
        self.attention_norm = nn.LayerNorm(width, config.norm_eps)
        self.attention = MultiHeadAttention(width, config.n_heads, width // config.n_heads)
        self.feedforward_norm = nn.LayerNorm(width, config.norm_eps)
        self.feedforward = FeedForward(width, config.d_ff, F.gelu)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x and the result `[B, T, D]`."""
        normalised = record(self, "attention_normalised", self.attention_norm(x), "B T D")
        attended = self.attention.attend(*self.attention.queries_keys_values(normalised), None)
        x = record(self, "attention_residual", x + self.dropout(attended), "B T D")
        normalised = record(self, "feedforward_normalised", self.feedforward_norm(x), "B T D")
        transformed = self.feedforward(normalised)
        return record(self, "feedforward_residual", x + self.dropout(transformed), "B T D")
