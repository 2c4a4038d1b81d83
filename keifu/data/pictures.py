"""From a SPEC to pictures with their classes: folders (a folder a class), and scikit-learn's digits.

    pictures/cat/1.png  pictures/cat/2.jpg  pictures/dog/a.png        pictures is the SPEC

All pictures of a model have one size. Where none is asked for, that of the data is taken if all have the same, with no
side over 128, else 32 by 32; grey where all are grey, else red, green and blue.
"""

import hashlib
import os
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from keifu.data.catalogue import ALIASES, CATALOGUE
from keifu.data.pairs import SETS
from keifu.data.spec import Term, parse
from keifu.errors import ConfigError, DataError, printable

Pixels = NDArray[np.uint8]

_ENDINGS = (".png", ".jpg", ".jpeg")
_OTHERS = (".webp", ".gif", ".bmp", ".tif", ".tiff", ".jfif", ".avif", ".heic", ".jxl")  # which are not read
_PICTURES = (*_ENDINGS, *_OTHERS)
_DAMAGED = (struct.error, IndexError, KeyError, TypeError, AttributeError)  # of Pillow, beside the usual
_USUAL = 32  # pixels of a side, where pictures differ in size or are large
_KEPT = 128  # pixels of the longest side of pictures that stay as large as they are
_LARGEST = 50_000_000  # pixels of a picture that is read
_DIGITS = {"train": range(0, 7), "dev": range(7, 8), "test": range(8, 10)}
"""Of every ten digits, in the order in which they come, those of each part. Beside these there are fold-1 to fold-5,
every fifth digit from the first, the second and so on.
"""
FOLDS = tuple(f"fold-{number}" for number in range(1, 6))


class Shape(NamedTuple):
    """Size of a picture: channels (1: grey, 3: red, green, blue), height and width."""

    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class PictureData:
    """Pictures `[N, K, Y, X]` from 0 (black) to 255, the class of each, and where each stands."""

    spec: str
    pixels: Pixels
    labels: tuple[str, ...]
    places: tuple[str, ...]

    @property
    def shape(self) -> Shape:
        return Shape(*self.pixels.shape[1:])

    @cached_property
    def classes(self) -> dict[str, int]:
        """Every class, by name, and how many pictures it has."""
        return dict(sorted(Counter(self.labels).items()))

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the pixels and the classes."""
        digest = hashlib.sha256(self.pixels.tobytes())
        digest.update("\n".join(self.labels).encode())
        return digest.hexdigest()

    def cut(self, rows: slice) -> "PictureData":
        """Some of the pictures."""
        return replace(self, pixels=self.pixels[rows], labels=self.labels[rows], places=self.places[rows])


class Wanted(NamedTuple):
    """What is asked for: the height and the width, and whether in colour; None: as the data have it."""

    size: tuple[int, int] | None = None
    colour: bool | None = None


def load_pictures(spec: str, part: str | None = None, wanted: Wanted | Shape | None = None) -> PictureData:
    """The pictures that a SPEC names; several terms one after another. A slice counts pictures.

    part: which part of a set, where the SPEC itself does not say. Raises DataError and ConfigError.
    """
    if wanted is None:
        wanted = Wanted()
    elif isinstance(wanted, Shape):
        wanted = Wanted((wanted.height, wanted.width), wanted.channels == 3)
    loaded: list[PictureData] = []
    for term in parse(spec, SETS):
        data = _digits(term, part, wanted) if term.name else _folder(term, wanted)
        if term.rows != slice(None):
            count = len(data.labels)
            data = data.cut(term.rows)
            if not data.labels:
                raise DataError(f"{term.text}: no picture in this slice; there are {count:,}")
        loaded.append(replace(data, spec=data.spec + term.slice_text))
        wanted = Wanted((data.shape.height, data.shape.width), data.shape.channels == 3)
    pixels = np.concatenate([data.pixels for data in loaded])
    labels, places = (sum((getattr(data, name) for data in loaded), ()) for name in ("labels", "places"))
    return PictureData("+".join(data.spec for data in loaded), pixels, labels, places)


def read_picture(path: str | Path, shape: Shape) -> Pixels:
    """A picture file as `[K, Y, X]`. Raises DataError and ConfigError."""
    return _as_array(_open(Path(path)), Wanted((shape.height, shape.width), shape.channels == 3))


def _digits(term: Term, part: str | None, wanted: Wanted) -> PictureData:
    if term.name != "digits":
        task = CATALOGUE[term.name].task if term.name in CATALOGUE else "other tasks"
        raise ConfigError(f"{term.text}: is for {task}; expected a folder of pictures, or digits")
    chosen = ALIASES.get(term.part or "", term.part) or part or "train"
    if chosen not in (*_DIGITS, *FOLDS):
        raise ConfigError(f"{term.text}: no part {chosen!r}; it has {', '.join((*_DIGITS, *FOLDS))}")
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ConfigError("digits come with scikit-learn; install it with: pip install 'keifu[data]'") from None
    found = load_digits()
    numbers = np.arange(len(found.target))
    if chosen in FOLDS:
        rows = numbers[numbers % len(FOLDS) == FOLDS.index(chosen)]
    else:
        rows = numbers[np.isin(numbers % 10, list(_DIGITS[chosen]))]
    pixels = np.round(found.images[rows] * (255 / 16)).astype(np.uint8)
    if wanted.size not in (None, (8, 8)) or wanted.colour:
        pixels = np.stack([_as_array(_image_of(one), wanted) for one in pixels])
    else:
        pixels = pixels[:, None]
    labels = tuple(str(number) for number in found.target[rows])
    return PictureData(f"digits:{chosen}", pixels, labels, tuple(f"digits[{row}]" for row in rows))


def _folder(term: Term, wanted: Wanted) -> PictureData:
    if len(term.files) > 1:
        raise ConfigError(f"{term.text}: two names; expected one folder, with a folder for each class in it")
    folder = Path(term.files[0])
    name = printable(str(folder))
    if not os.path.isdir(folder):
        found = "a file" if os.path.exists(folder) else "no such folder"
        raise DataError(f"{name}: {found}; expected a folder with a folder of pictures for each class in it")
    files = sorted(_pictures_in(folder), key=lambda file: (zlib.crc32(os.fsencode(file.relative_to(folder))), file))
    if not files:
        raise DataError(f"{name}: no picture; expected folders, one a class, with files such as cat/1.png or cat/2.jpg")
    wanted = _common(map(_open, files), wanted)
    assert wanted.size is not None
    pixels = np.empty((len(files), 3 if wanted.colour else 1, *wanted.size), np.uint8)
    for place, file in enumerate(files):  # never all of them in full size
        pixels[place] = _as_array(_open(file), wanted)
    places = tuple(printable(str(file)) for file in files)
    return PictureData(term.text.partition("[")[0], pixels, tuple(file.parent.name for file in files), places)


def _pictures_in(folder: Path) -> Iterator[Path]:
    """The picture files of every class; files that are no pictures are passed over. Raises DataError for pictures in
    another format, and for those that stand elsewhere.
    """
    for each in _unhidden(folder):
        if each.is_dir():
            if any("\ud800" <= sign <= "\udfff" for sign in each.name):
                raise DataError(f"{printable(str(each))}: a name that is not UTF-8; rename the folder")
            yield from _pictures_of_a_class(each)
        elif each.suffix.lower() in _PICTURES:
            raise DataError(f"{printable(str(each))}: a picture without a class; move it into a folder of its class")


def _pictures_of_a_class(folder: Path) -> Iterator[Path]:
    for file in _unhidden(folder):
        if file.suffix.lower() in _OTHERS:
            raise DataError(f"{printable(str(file))}: expected PNG or JPEG; convert it, or remove it")
        if file.suffix.lower() in _ENDINGS:
            yield file
        elif file.is_dir() and any(inner.suffix.lower() in _PICTURES for inner in file.rglob("*")):
            raise DataError(f"{printable(str(file))}: within the folder of a class; move its pictures up, or remove it")


def _unhidden(folder: Path) -> Iterator[Path]:
    return (each for each in folder.iterdir() if not each.name.startswith("."))


def _open(path: Path) -> Any:
    """The picture, decoded. Raises DataError and ConfigError."""
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise ConfigError("pictures need pillow; install it with: pip install 'keifu[data]'") from None
    name = printable(str(path))
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            width, height = image.size
            if width * height > _LARGEST:
                raise DataError(f"{name}: {width:,} by {height:,} pixels; expected at most {_LARGEST:,} in all")
            return _plain(ImageOps.exif_transpose(image))
    except FileNotFoundError:
        raise DataError(f"{name}: no such file; expected a PNG or JPEG picture") from None
    except (IsADirectoryError, PermissionError) as error:
        raise DataError(f"{name}: cannot be read: {error.strerror}; expected a PNG or JPEG picture") from None
    except (OSError, SyntaxError, ValueError, *_DAMAGED, Image.DecompressionBombError):
        raise DataError(f"{name}: not a PNG or JPEG picture, or a damaged one; fetch it again, or remove it") from None


def _plain(image: Any) -> Any:
    """The picture in eight bits a colour, grey or not, on white where it is transparent."""
    from PIL import Image

    if image.mode.startswith("I"):  # sixteen bits
        values = np.asarray(image)
        white = values == image.info.get("transparency", -1)
        image = Image.fromarray(np.where(white, 255, values // 257).astype(np.uint8))
    grey = image.mode in ("1", "L", "LA")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if grey else "RGB")


def _image_of(grey: Pixels) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise ConfigError("other sizes need pillow; install it with: pip install 'keifu[data]'") from None
    return Image.fromarray(grey)


def _common(images: Iterable[Any], wanted: Wanted) -> Wanted:
    """What is wanted, with what the pictures themselves decide filled in."""
    sizes, colour = set(), False
    for image in images:
        sizes.add(image.size)
        colour = colour or (image.mode == "RGB" and not _is_grey(image))
    size = next(iter(sizes)) if len(sizes) == 1 else (_USUAL, _USUAL)
    width, height = size if max(size) <= _KEPT else (_USUAL, _USUAL)
    return Wanted(wanted.size or (height, width), colour if wanted.colour is None else wanted.colour)


def _is_grey(image: Any) -> bool:
    values = np.asarray(image)
    return bool((values[..., 0] == values[..., 1]).all() and (values[..., 1] == values[..., 2]).all())


def _as_array(image: Any, wanted: Wanted) -> Pixels:
    """`[K, Y, X]`, with the size and the colours that are wanted."""
    image = image.convert("RGB" if wanted.colour else "L")
    if wanted.size is not None and image.size != wanted.size[::-1]:
        image = image.resize(wanted.size[::-1])
    values = np.asarray(image, np.uint8)
    return np.ascontiguousarray(np.moveaxis(values, -1, 0)) if wanted.colour else values[None]
