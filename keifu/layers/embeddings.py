"""Token ids to vectors, and where a token stands in its sequence.

Sources: Vaswani et al. 2017, sections 3.4 (embeddings scaled by sqrt(D)) and 3.5 (sinusoidal and learned positions);
Devlin et al. 2019, figure 2 (segments).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from keifu.errors import ConfigError
from keifu.layers.linear import Linear
from keifu.trace import record


def sinusoidal(positions: Tensor, d_model: int) -> Tensor:
    """Position vectors `[..., D]` for whole-number positions `[...]`: dimension 2i holds sin(p / 10000^(2i/D)), 2i+1
    its cosine.
    """
    frequency = torch.exp(
        torch.arange(0, d_model, 2, device=positions.device, dtype=torch.float64) * (-math.log(10000.0) / d_model)
    )
    angle = positions[..., None] * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)[..., :d_model]


def places(tokens: Tensor, first: Tensor | None) -> tuple[Tensor, int]:
    """The positions of tokens `[B, T]`, from 0 on or from each row's `first` `[B]`, and a number that all are below."""
    positions, longest = torch.arange(tokens.shape[1], device=tokens.device), tokens.shape[1]
    if first is None:
        return positions, longest
    return positions + first[:, None], longest + (int(first.max()) if len(first) else 0)


class SinusoidalPosition(nn.Module):
    """Fixed waves of many lengths. No weights, and no longest sequence."""

    table: Tensor

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.d_model = d_model
        self.register_buffer("table", torch.zeros(0, d_model), persistent=False)

    def forward(self, positions: Tensor, longest: int) -> Tensor:
        """Vectors `[B, T, D]` for positions `[B, T]`, all of them below `longest`."""
        if self.table.shape[0] < longest:
            rows = torch.arange(max(longest, 2 * self.table.shape[0]))
            self.table = sinusoidal(rows, self.d_model).to(self.table)
        return self.table[positions]


class LearnedPosition(nn.Module):
    """A trained vector for each position up to `max_length`."""

    def __init__(self, max_length: int, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(max_length, d_model))

    def forward(self, positions: Tensor, longest: int) -> Tensor:
        """Vectors `[B, T, D]` for positions `[B, T]`, all of them below `longest`."""
        if longest > self.weight.shape[0]:
            raise ConfigError(
                f"a sequence of {longest} tokens: learned positions reach {self.weight.shape[0]} (model.max_length); "
                "shorten the text or train with a larger model.max_length"
            )
        return F.embedding(positions, self.weight)  # whose gradient is several times faster than an index's


class TokenEmbedding(nn.Module):
    """Token vector times sqrt(D), or as it is. The table `[V, D]` may be shared with other layers."""

    def __init__(self, tokens: nn.Parameter, scaled: bool = True) -> None:
        super().__init__()
        self.tokens = tokens
        self.scale = math.sqrt(tokens.shape[1]) if scaled else 1.0

    def forward(self, tokens: Tensor) -> Tensor:
        """Vectors `[B, T, D]` of token ids `[B, T]`."""
        vectors = F.embedding(tokens, self.tokens)
        return record(self, "token", vectors if self.scale == 1.0 else vectors * self.scale, "B T D")


class RowEmbedding(nn.Module):
    """The rows of a picture as vectors, one a row: `[B, K, Y, X]` to `[B, Y, D]`."""

    def __init__(self, numbers: int, d_model: int) -> None:
        super().__init__()
        self.rows = Linear(numbers, d_model)

    def forward(self, pixels: Tensor) -> Tensor:
        """The numbers of a row, of all its colours, times a matrix."""
        return record(self, "token", self.rows(pixels.transpose(1, 2).flatten(2)), "B T D")


class Embedding(TokenEmbedding):
    """Token vector times sqrt(D), or as it is, plus position vector, where there is one."""

    def __init__(
        self, tokens: nn.Parameter, position: SinusoidalPosition | LearnedPosition | None, scaled: bool = True
    ) -> None:
        super().__init__(tokens, scaled)
        self.position = position

    def forward(self, tokens: Tensor, first: Tensor | None = None) -> Tensor:
        """Vectors `[B, T, D]` of token ids `[B, T]`; `first` `[B]` is each row's first position (default 0)."""
        token = super().forward(tokens)
        if self.position is None:
            return record(self, "sum", token, "B T D")
        positions, longest = places(tokens, first)
        position = self.position(positions, longest).expand_as(token)
        position = record(self, "position", position, "B T D")
        return record(self, "sum", token + position, "B T D")


class SegmentEmbedding(nn.Module):
    """Token vector plus segment vector plus learned position vector, normalised (Devlin et al. 2019, figure 2).

    The tokens' table `[V, D]` may be shared with other layers; nothing is scaled.
    """

    def __init__(self, tokens: nn.Parameter, max_length: int, norm_eps: float) -> None:
        super().__init__()
        width = tokens.shape[1]
        self.tokens = tokens
        self.segments = nn.Parameter(torch.empty(2, width))
        self.position = LearnedPosition(max_length, width)
        self.norm = nn.LayerNorm(width, norm_eps)

    def forward(self, tokens: Tensor, segments: Tensor | None = None, first: Tensor | None = None) -> Tensor:
        """Vectors `[B, T, D]` of token ids `[B, T]` in segments `[B, T]` (None: all in the first); `first` `[B]` is
        each row's first position (default 0).
        """
        token = record(self, "token", F.embedding(tokens, self.tokens), "B T D")
        which = torch.zeros_like(tokens) if segments is None else segments
        segment = record(self, "segment", F.embedding(which, self.segments), "B T D")
        positions, longest = places(tokens, first)
        position = record(self, "position", self.position(positions, longest).expand_as(token), "B T D")
        total = record(self, "sum", token + segment + position, "B T D")
        return record(self, "normalised", self.norm(total), "B T D")
