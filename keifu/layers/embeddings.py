"""Token ids to vectors, and where a token stands in its sequence.

Sources: Vaswani et al. 2017, sections 3.4 (embeddings scaled by sqrt(D)) and 3.5 (sinusoidal and learned positions).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from keifu.errors import ConfigError
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
        return self.weight[positions]


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


class Embedding(TokenEmbedding):
    """Token vector times sqrt(D), or as it is, plus position vector."""

    def __init__(
        self, tokens: nn.Parameter, position: SinusoidalPosition | LearnedPosition, scaled: bool = True
    ) -> None:
        super().__init__(tokens, scaled)
        self.position = position

    def forward(self, tokens: Tensor, first: Tensor | None = None) -> Tensor:
        """Vectors `[B, T, D]` of token ids `[B, T]`; `first` `[B]` is each row's first position (default 0)."""
        token = super().forward(tokens)
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        longest = tokens.shape[1]
        if first is not None:
            positions = positions + first[:, None]
            longest += int(first.max()) if len(first) else 0
        position = self.position(positions, longest).expand_as(token)
        position = record(self, "position", position, "B T D")
        return record(self, "sum", token + position, "B T D")
