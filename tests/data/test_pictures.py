"""Pictures from folders and from scikit-learn, all brought to one size; what is wrong with a file is named."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keifu.data.pictures import FOLDS, Shape, Wanted, load_pictures, read_picture
from keifu.errors import ConfigError, DataError
from tests.small_pictures import CLASSES, write_pictures


def test_a_folder_a_class(tmp_path: Path) -> None:
    spec = write_pictures(tmp_path / "shapes", 4)
    (tmp_path / "shapes" / "notes.txt").write_text("hello", "utf-8")
    (tmp_path / "shapes" / "bar" / "notes.txt").write_text("hello", "utf-8")
    (tmp_path / "shapes" / ".hidden").mkdir()
    data = load_pictures(spec)
    assert data.shape == Shape(1, 12, 12)
    assert data.classes == dict.fromkeys(CLASSES, 4)
    for place, label, pixels in zip(data.places, data.labels, data.pixels, strict=True):
        assert Path(place).parent.name == label
        assert np.array_equal(np.asarray(Image.open(place)), pixels[0])
    assert list(data.labels) != sorted(data.labels)  # mixed, so that a slice has all classes
    assert load_pictures(spec).sha256 == data.sha256
    assert load_pictures(f"{spec}[:7]").labels == data.labels[:7]
    both = load_pictures(f"{spec}[:7]+{spec}[7:]")
    assert both.sha256 == data.sha256


def test_sizes_and_colours_are_made_alike(tmp_path: Path) -> None:
    for kind, colours, size in (("a", (200, 200, 200), (10, 20)), ("b", (255, 0, 0), (40, 30))):
        (tmp_path / kind).mkdir()
        Image.new("RGB", size, colours).save(tmp_path / kind / "1.png")
    (tmp_path / "c").mkdir()
    Image.new("L", (5, 5), 90).save(tmp_path / "c" / "1.JPEG", format="JPEG")
    data = load_pictures(str(tmp_path))
    assert data.shape == Shape(3, 32, 32)
    [red] = data.pixels[[label == "b" for label in data.labels]]
    assert red[:, 5, 5].tolist() == [255, 0, 0]
    grey = load_pictures(str(tmp_path), wanted=Shape(1, 8, 6))
    assert grey.pixels.shape == (3, 1, 8, 6)
    assert set(grey.pixels[[label == "c" for label in grey.labels]].flatten().tolist()) == {90}
    assert read_picture(tmp_path / "b" / "1.png", Shape(3, 4, 4)).shape == (3, 4, 4)
    only_grey = load_pictures(str(tmp_path), wanted=Shape(1, 32, 32))
    assert only_grey.shape.channels == 1
    for kind in ("b", "c"):
        next((tmp_path / kind).iterdir()).unlink()
    assert load_pictures(str(tmp_path)).shape == Shape(1, 20, 10)  # its own size, and no colour in it


def test_large_pictures_are_made_small_unless_another_size_is_asked_for(tmp_path: Path) -> None:
    for kind in ("a", "b"):
        (tmp_path / kind).mkdir()
        Image.new("L", (129, 20), 90).save(tmp_path / kind / "1.png")
    assert load_pictures(str(tmp_path)).shape == Shape(1, 32, 32)
    assert load_pictures(str(tmp_path), wanted=Wanted((20, 129))).shape == Shape(1, 20, 129)


def test_a_class_whose_name_is_not_utf_8_is_named(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    Image.new("L", (5, 5)).save(os.fsdecode(folder) + "/1.png")
    with pytest.raises(DataError, match=r"caf\\udce9: a name that is not UTF-8; rename the folder"):
        load_pictures(str(tmp_path))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("loose.png", "loose.png: a picture without a class; move it into a folder of its class"),
        ("bar/more/1.jpg", "more: within the folder of a class; move its pictures up, or remove it"),
    ],
)
def test_pictures_that_belong_to_no_class_are_named(place: str, message: str, tmp_path: Path) -> None:
    spec = write_pictures(tmp_path / "shapes", 2)
    (tmp_path / "shapes" / "bar" / "notes").mkdir()
    load_pictures(spec)
    (tmp_path / "shapes" / place).parent.mkdir(exist_ok=True)
    Image.new("L", (12, 12)).save(tmp_path / "shapes" / place)
    with pytest.raises(DataError, match=message):
        load_pictures(spec)


def test_digits_in_parts_and_in_folds() -> None:
    parts = {part: load_pictures(f"digits:{part}") for part in ("train", "dev", "test", *FOLDS)}
    assert sum(len(parts[part].labels) for part in ("train", "dev", "test")) == 1797
    places = [place for part in ("train", "dev", "test") for place in parts[part].places]
    assert len(set(places)) == 1797
    folded = [place for part in FOLDS for place in parts[part].places]
    assert sorted(folded) == sorted(places)
    assert all(len(data.classes) == 10 for data in parts.values())
    assert parts["train"].shape == Shape(1, 8, 8)
    assert int(parts["train"].pixels.max()) == 255
    assert load_pictures("digits:test", wanted=Shape(3, 16, 12)).pixels.shape[1:] == (3, 16, 12)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "broken.png: not a PNG or JPEG picture, or a damaged one"),
        (b"hello", "broken.png: not a PNG or JPEG picture, or a damaged one"),
        (b"GIF89a\x01\x00\x01\x00\x00\x00\x00;", "not a PNG or JPEG picture"),
    ],
)
def test_a_damaged_picture_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    spec = write_pictures(tmp_path / "shapes", 1)
    (tmp_path / "shapes" / "bar" / "broken.png").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_pictures(spec)


def test_pictures_of_other_formats_are_not_passed_over(tmp_path: Path) -> None:
    spec = write_pictures(tmp_path / "shapes", 1)
    (tmp_path / "shapes" / "bar" / "x.WebP").write_bytes(b"RIFF")
    (tmp_path / "shapes" / "bar" / "notes.txt").write_text("not a picture", "utf-8")
    with pytest.raises(DataError, match=r"x\.WebP: expected PNG or JPEG; convert it, or remove it"):
        load_pictures(spec)


def test_damaged_facts_about_a_picture_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (8, 8)).save(path, exif=b"Exif\0\0II*\0")
    with pytest.raises(DataError, match=r"a\.png: not a PNG or JPEG picture, or a damaged one"):
        read_picture(path, Shape(1, 8, 8))


def test_a_picture_cut_short_anywhere_is_named(tmp_path: Path) -> None:
    write_pictures(tmp_path / "shapes", 1)
    whole = (tmp_path / "shapes" / "bar" / "0.png").read_bytes()
    broken = tmp_path / "broken.png"
    for length in range(len(whole) - 20):
        broken.write_bytes(whole[:length])
        with pytest.raises(DataError, match="damaged"):
            read_picture(broken, Shape(1, 12, 12))


def test_a_picture_too_large_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    with pytest.raises(DataError, match=r"huge.png: (20,000 by 20,000 pixels|not a PNG or JPEG)"):
        read_picture(tmp_path / "huge.png", Shape(1, 12, 12))


def test_a_spec_that_names_no_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.png").write_bytes(b"x")
    for spec, message in (
        (str(tmp_path / "none"), "no such folder; expected a folder with a folder of pictures for each class"),
        (str(tmp_path / "file.png"), "a file; expected a folder"),
        (str(tmp_path / "empty"), "no picture; expected folders, one a class"),
    ):
        with pytest.raises(DataError, match=message):
            load_pictures(spec)
    with pytest.raises(DataError, match="empty: cannot be read: Is a directory; expected a PNG or JPEG picture"):
        read_picture(tmp_path / "empty", Shape(1, 12, 12))
    with pytest.raises(DataError, match="no picture in this slice; there are 5"):
        load_pictures(f"{write_pictures(tmp_path / 'shapes', 1)}[9:]")
    for spec, message in (
        ("enja", "is for translation; expected a folder of pictures, or digits"),
        ("builtin:stories", "expected a folder of pictures"),
        ("digits:fold-6", "no part 'fold-6'; it has train, dev, test, fold-1"),
        (f"{tmp_path / 'shapes'},{tmp_path / 'empty'}", "two names; expected one folder"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_pictures(spec)


def test_pictures_are_read_as_they_are_seen(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    turned = Image.new("L", (4, 8))
    exif = turned.getexif()
    exif[0x0112] = 6  # lies on its side
    turned.save(folder / "turned.jpg", exif=exif)
    assert read_picture(folder / "turned.jpg", Shape(1, 4, 8)).shape == (1, 4, 8)
    assert load_pictures(f"{tmp_path}").shape == Shape(1, 4, 8)

    ramp = np.linspace(0, 65535, 16).astype(np.uint16).reshape(4, 4)
    Image.fromarray(ramp).save(folder / "deep.png")
    found = read_picture(folder / "deep.png", Shape(1, 4, 4))
    assert np.array_equal(found[0], (ramp // 257).astype(np.uint8))
    Image.fromarray(ramp).save(folder / "hole.png", transparency=int(ramp[0, 1]))
    found = read_picture(folder / "hole.png", Shape(1, 4, 4))
    assert found[0, 0, :3].tolist() == [0, 255, ramp[0, 2] // 257]

    drawing = np.zeros((4, 4, 4), np.uint8)
    drawing[0, 0, 3] = 255  # one black dot on nothing
    Image.fromarray(drawing, "RGBA").save(folder / "clear.png")
    shown = read_picture(folder / "clear.png", Shape(1, 4, 4))[0]
    assert shown[0, 0] == 0
    assert (shown.flatten()[1:] == 255).all()
