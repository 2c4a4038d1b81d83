"""Pictures small enough to be learned in seconds: bars, crosses, frames, squares and dots, as PNG files."""

import random
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from keifu.config import merge
from keifu.training.run import Run
from keifu.training.start import prepare

CLASSES = ("bar", "cross", "dot", "frame", "square")
SMALL_PICTURES: dict[str, Any] = {
    "training": {"batch_size": 16, "device": "cpu", "precision": "fp32", "learning_rate": 0.004},
}


def drawn(kind: str, draw: random.Random, side: int = 12) -> NDArray[np.uint8]:
    """A picture `[side, side]` of a class: a bright figure at some place on a dark ground."""
    pixels = np.full((side, side), draw.randint(0, 60), np.uint8)
    ink, top, left = draw.randint(180, 255), draw.randint(0, 4), draw.randint(0, 4)
    area = pixels[top : top + 7, left : left + 7]
    match kind:
        case "bar":
            area[:, 3] = ink
        case "cross":
            area[3], area[:, 3] = ink, ink
        case "dot":
            area[3:5, 3:5] = ink
        case "frame":
            area[[0, -1]], area[:, [0, -1]] = ink, ink
        case "square":
            area[:] = ink
    return pixels


def write_pictures(folder: Path, count: int, seed: int = 0, endings: tuple[str, ...] = ("png",)) -> str:
    """Writes so many files of each class and returns the SPEC that names them."""
    draw = random.Random(seed)
    for kind in CLASSES:
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            image = Image.fromarray(drawn(kind, draw))
            image.save(folder / kind / f"{number}.{endings[number % len(endings)]}")
    return str(folder)


def picture_run(
    spec: str, out: Path, training: dict[str, Any] | None = None, architecture: str = "flat", **more: Any
) -> Run:
    """A run with small settings, ready to train."""
    overrides = merge(SMALL_PICTURES, {"training": training or {}, **more})
    return prepare("image-classification", spec, architecture, out=out, overrides=overrides)
