"""Image classification: pictures to batches, one vector a picture to its class."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from keifu.data.batches import Indices
from keifu.data.pictures import Pixels
from keifu.interface import ImageBatch, Loss
from keifu.layers.heads import ClassHead, exact

_TURN, _STRETCH, _SHIFT = 10.0, 0.1, 0.1
"""While training a picture is turned by so many degrees, made so much larger or smaller, and moved by such a share of
its sides, at most.
"""


class Batch(NamedTuple):
    """What the model reads, and the class of each picture `[B]`."""

    inputs: ImageBatch
    targets: Tensor

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> "Batch":
        return Batch(ImageBatch(self.inputs.pixels.to(device, dtype)), self.targets.to(device))


class Pictures:
    """Pictures `[N, K, Y, X]` and the numbers of their classes."""

    def __init__(self, pixels: Pixels, targets: NDArray[np.int64]) -> None:
        self.pixels, self.targets = pixels, targets

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def sizes(self) -> Indices:
        """`[N, 1]`: each picture is as large as another."""
        return np.ones((len(self), 1), np.int64)


@dataclass(frozen=True)
class ImageClassification:
    """labels: the classes. augment: whether pictures are moved a little each time, while training."""

    name = "image-classification"
    selects_by = "accuracy"
    tokenizer = None
    labels: tuple[str, ...]
    augment: bool = True
    label_smoothing: float = 0.0

    def head(self, model: Any) -> ClassHead:
        """A score for every class. What is dropped, the model drops."""
        return ClassHead(model.d_output, len(self.labels), 0.0, pooled=False)

    def encode(self, pixels: Pixels, labels: Sequence[str]) -> Pictures:
        """The pictures, and the numbers of their classes."""
        number = {label: place for place, label in enumerate(self.labels)}
        return Pictures(pixels, np.array([number[label] for label in labels], np.int64))

    def batch(self, data: Pictures, rows: Indices) -> Batch:
        """The pictures of these rows, their pixels from -1 (black) to 1."""
        pixels = torch.from_numpy(data.pixels[rows]).float() / 127.5 - 1
        return Batch(ImageBatch(pixels), torch.from_numpy(data.targets[rows]))

    def scores(self, model: nn.Module, head: nn.Module, inputs: ImageBatch) -> Tensor:
        """Scores of the classes `[B, C]`, by the picture's vector, or the mean of those of its rows."""
        scores: Tensor = head(model(inputs).hidden.mean(1))
        return exact(scores)

    def loss(self, model: nn.Module, head: nn.Module, batch: Batch) -> Loss:
        """Cross-entropy of the right classes."""
        inputs = batch.inputs
        if self.augment and model.training:
            inputs = ImageBatch(moved(inputs.pixels))
        scores = self.scores(model, head, inputs)
        plain = F.cross_entropy(scores, batch.targets, reduction="sum")
        total = F.cross_entropy(scores, batch.targets, reduction="sum", label_smoothing=self.label_smoothing)
        return Loss(total, plain.detach(), len(batch.targets))

    @staticmethod
    def scored(batch: Batch) -> int:
        """The number of pictures that the loss sums over."""
        return len(batch.targets)


def moved(pixels: Tensor) -> Tensor:
    """The pictures `[B, K, Y, X]`, each turned, stretched and shifted by chance; what comes in from outside repeats the
    border.
    """
    chance = 2 * torch.rand(4, len(pixels), device=pixels.device) - 1
    angle, scale = chance[0] * math.radians(_TURN), 1 + chance[1] * _STRETCH
    cosine, sine = angle.cos() * scale, angle.sin() * scale
    right, down = 2 * _SHIFT * chance[2], 2 * _SHIFT * chance[3]
    high = pixels.shape[2] / pixels.shape[3]  # places are counted from -1 to 1 along both sides
    rows = [cosine, -sine * high, right], [sine / high, cosine, down]
    places = torch.stack([torch.stack(row, -1) for row in rows], 1)
    grid = F.affine_grid(places.to(pixels.dtype), list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def place_of(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Where a model computes, and in which number format; one whose weights are all rounded to integers has none."""
    weight = next(model.parameters(), torch.zeros(()))
    return weight.device, weight.dtype


@torch.no_grad()
def decide_pictures(
    task: ImageClassification,
    model: nn.Module,
    head: nn.Module,
    data: Pictures,
    batch_size: int,
    before_batch: Callable[[], None] = lambda: None,
) -> tuple[NDArray[np.float32], float]:
    """The probabilities of the classes `[N, C]`, and the surprise at those that are right, in nats.

    before_batch: called before each batch; it may raise.
    """
    where = place_of(model)
    found, surprise = [np.zeros((0, len(task.labels)), np.float32)], 0.0
    for begin in range(0, len(data), batch_size):
        before_batch()
        batch = task.batch(data, np.arange(begin, min(begin + batch_size, len(data)))).to(*where)
        scores = task.scores(model, head, batch.inputs)
        surprise += float(F.cross_entropy(scores, batch.targets, reduction="sum"))
        found.append(scores.softmax(-1).float().cpu().numpy())
    return np.concatenate(found), surprise
