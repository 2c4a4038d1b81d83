"""The flat network: a picture becomes numbers, the numbers one vector, and layers make of it what a class hangs on.

Rumelhart, Hinton and Williams 1986, "Learning representations by back-propagating errors", Nature 323. Where a pixel
lies and what lies beside it is nothing to it: the rows of a picture are put one behind the other.

Departures from the paper: ReLU in place of the logistic function, and dropout (Srivastava et al. 2014).

The walk of shapes

    pixels [B, K, Y, X] -> vector [B, Z] -> layers [B, D] -> hidden [B, 1, D]
"""

from itertools import pairwise
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from keifu.config import Schema
from keifu.interface import ImageBatch, Output
from keifu.layers.dropout import Dropout
from keifu.layers.linear import Linear
from keifu.trace import record


class Config(Schema):
    """Sizes and rates."""

    name: Literal["flat"] = "flat"
    """The architecture."""

    channels: int | None = Field(None, ge=1, le=3)
    """Numbers of a pixel: 1 in grey, 3 in colour. Empty: as the pictures are."""

    height: int | None = Field(None, ge=1, le=4096)
    """Height of the pictures in pixels. Empty: as they are."""

    width: int | None = Field(None, ge=1, le=4096)
    """Width of the pictures in pixels. Empty: as they are."""

    d_model: int = Field(256, ge=1, le=65_536)
    """Width of the layers."""

    n_layers: int = Field(2, ge=1, le=1_000)
    """Layers on top of each other."""

    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of values set to zero after each layer, while training."""


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"d_model": 256, "n_layers": 2},
    "small": {"d_model": 512, "n_layers": 3},
    "base": {"d_model": 1024, "n_layers": 4},
}


class FlatNetwork(nn.Module):
    """Layers over all of a picture's numbers at once."""

    takes = "image"
    entries = ("vector",)
    block_outputs = ("hidden",)
    axis_sequences: ClassVar[dict[str, dict[str, str]]] = {}

    def __init__(self, config: Config) -> None:
        super().__init__()
        channels, height, width = config.channels, config.height, config.width
        assert channels is not None, "the size is known once there are pictures"
        assert height is not None
        assert width is not None
        self.config = config
        self.d_output = config.d_model
        widths = [channels * height * width, *[config.d_model] * config.n_layers]
        self.layers = nn.ModuleList(Linear(*pair) for pair in pairwise(widths))
        self.dropout = Dropout(config.dropout)
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, batch: ImageBatch) -> Output:
        """Hidden vectors `[B, 1, D]`, one a picture."""
        x: Tensor = record(self, "vector", batch.pixels.flatten(1), "B Z")
        for layer in self.layers:
            x = record(self, "hidden", self.dropout(layer(x).relu()), "B D", along="L")
        return Output(record(self, "output", x[:, None], "B T D"))
