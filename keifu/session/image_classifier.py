"""A loaded classifier of pictures: say what a picture shows."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from keifu.data.pictures import Shape, load_pictures, read_picture
from keifu.errors import CheckpointError, ConfigError
from keifu.interface import ImageBatch
from keifu.session.classifier import ranked
from keifu.session.model import Model, read_sections
from keifu.session.reading import read_labels, refuse_others, refuse_unknown
from keifu.tasks.classification_metrics import classification_scores
from keifu.tasks.image_classification import ImageClassification, Pictures, decide_pictures, place_of
from keifu.tasks.reading import Reading
from keifu.trace import Edit, Recorded, Recorder, Trace, bound

_UNSAID = ((), "utf-8")
"""What the command line hands on where nothing is said of columns and encoding."""


class ImageClassifier(Model):
    """A trained classifier of pictures, ready to use."""

    uses = ("classify", "embed", "evaluate")

    def __init__(self, path: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor], tokenizer: None) -> None:
        """config: the content of its config.json. Raises CheckpointError."""
        self.classes = read_labels(path, config)
        sections = read_sections(path, config, {"decoding": Reading})
        self.decoding: Reading = sections["decoding"]
        model = sections["model"]
        sides: list[Any] = [getattr(model, name, None) for name in ("channels", "height", "width")]
        if None in sides:
            raise CheckpointError(f"{path}/config.json: model: expected channels, height and width of the pictures")
        self.shape = Shape(*sides)
        super().__init__(path, model, tensors, tokenizer, ImageClassification(self.classes))

    def classify(
        self,
        picture: str | Path | Sequence[str | Path],
        *,
        top: int | None = None,
        head: str | None = None,
        details: bool = False,
        batch_size: int | None = None,
    ) -> Any:
        """The class of a picture, a PNG or JPEG file of any size; of a list of files, a list.

        details=True gives `Classified` objects, whose text is the file's name, with the probabilities of the `top`
        likeliest classes (default: all). Raises ConfigError and DataError.
        """
        if head is not None:
            raise ConfigError(f"head {head!r}: a classifier has one head; leave it away")
        files = [picture] if isinstance(picture, str | Path) else list(picture)
        pixels = np.stack([read_picture(one, self.shape) for one in files]) if files else np.zeros((0, *self.shape))
        data = Pictures(pixels.astype(np.uint8), np.zeros(len(files), np.int64))
        shares, _ = decide_pictures(self.task, self.network, self.head, data, self._together(batch_size))
        found = [ranked(str(one), self.classes, share.tolist(), top) for one, share in zip(files, shares, strict=True)]
        results: list[Any] = [one if details else one.label for one in found]
        return results[0] if isinstance(picture, str | Path) else results

    @torch.no_grad()
    def embed(
        self,
        picture: str | Path | Sequence[str | Path],
        pool: str | None = None,
        *,
        normalise: bool = False,
        batch_size: int | None = None,
    ) -> Any:
        """The vector `[D]` that the classes of a picture hang on; of a list of files, a list.

        pool: a picture has one vector, or the mean of those of its rows. normalise: to the length 1, so that inner
        products are cosines. Raises ConfigError and DataError.
        """
        if pool not in (None, "mean"):
            raise ConfigError(f"pool {pool!r} does not go with pictures; expected mean")
        files = [picture] if isinstance(picture, str | Path) else list(picture)
        vectors: list[Tensor] = []
        for begin in range(0, len(files), self._together(batch_size)):
            some = files[begin : begin + self._together(batch_size)]
            data = Pictures(np.stack([read_picture(one, self.shape) for one in some]), np.zeros(len(some), np.int64))
            inputs = self.task.batch(data, np.arange(len(some))).to(*place_of(self.network)).inputs
            found = self.network(inputs).hidden.float().mean(1)
            vectors += F.normalize(found, dim=-1) if normalise else found
        return vectors[0] if isinstance(picture, str | Path) else vectors

    def inputs(self, picture: str | Path, *more: Any) -> ImageBatch:
        if more:
            raise ConfigError("it sees one picture; leave the other away")
        data = Pictures(read_picture(picture, self.shape)[None], np.zeros(1, np.int64))
        batch: ImageBatch = self.task.batch(data, np.arange(1)).to(*place_of(self.network)).inputs
        return batch

    def read(self, inputs: ImageBatch) -> list[list[str]]:
        """The patches, the rows or the numbers of a picture."""
        match self.model_config.name:
            case "vit":
                return [self._patches()]
            case "flat":
                return [[f"number {number}" for number in range(1, inputs.pixels.numel() + 1)]]
        return [self._rows()]

    def influence(self, texts: Any, longest: int = 100) -> Tensor:
        """Raises ConfigError: what is read of a picture stands at no distance from what is said of it."""
        raise ConfigError("a picture has no distance along which influence could be measured; see path_lengths")

    def _patches(self) -> list[str]:
        side = self.network.patch_size
        count = (self.shape.height // side) * (self.shape.width // side)
        return [f"patch {number}" for number in range(1, count + 1)]

    def _rows(self) -> list[str]:
        return [f"row {number}" for number in range(1, self.shape.height + 1)]

    @torch.no_grad()
    def trace(
        self, picture: str | Path, names: Sequence[str] = ("*",), edits: Mapping[str, Edit] | None = None
    ) -> Trace:
        """What the model computes of a picture file, with its "pixels" and the scores of its "classes".

        names: patterns of the values to keep. edits: pattern -> function that replaces a value.
        """
        inputs = self.inputs(picture)
        with Recorder(self.network, names, edits) as recorder:
            scores = self.task.scores(self.network, self.head, inputs)
        values = {"pixels": Recorded("pixels", "B K Y X", inputs.pixels), **recorder.values()}
        values["classes"] = Recorded("classes", "B C", scores, {"C": "classes"})
        cut = self._patches() if hasattr(self.network, "patch_size") else []
        sequences = {"classes": list(self.classes), "text": self._rows(), "cut": cut, "patches": ["[first]", *cut]}
        return Trace(bound(values, self.network.axis_sequences), sequences)

    def evaluate(self, data: str, *, batch_size: int | None = None, **other: Any) -> dict[str, Any]:
        """Accuracy and macro F1 with their 95 % intervals, the scores of every class, and the confusion matrix.

        A set without a part is measured on `test`. Says in "selected_on" whether the best checkpoint was chosen on
        these very pictures, in "trained_on" whether the model was trained on them. Raises ConfigError and DataError.
        """
        refuse_others(
            "a classifier of pictures", {name: value for name, value in other.items() if value not in _UNSAID}
        )
        found = load_pictures(data, "test", self.shape)
        refuse_unknown(found.spec, list(found.classes), self.classes)
        began = time.perf_counter()
        encoded = self.task.encode(found.pixels, found.labels)
        shares, surprise = decide_pictures(self.task, self.network, self.head, encoded, self._together(batch_size))
        seconds = time.perf_counter() - began
        scores = classification_scores(encoded.targets.tolist(), shares.argmax(-1).tolist(), self.classes)
        report = {"data": found.spec, "loss": surprise / len(encoded), **scores, "unit": "picture"}
        return report | self.role_in_training(found.sha256) | {"pictures_per_second": len(encoded) / seconds}

    def _together(self, batch_size: int | None) -> int:
        if batch_size is not None and batch_size < 1:
            raise ConfigError(f"batch_size {batch_size}: expected at least 1")
        return batch_size or self.decoding.batch_size
