"""Pictures on the command line: a folder of files trains a model, which says what others show."""

import json
from pathlib import Path

import pytest
from PIL import Image

from keifu.config import read_yaml
from keifu.errors import ConfigError
from keifu.layers.quantised import multiplies_int8
from keifu.session import TrainedRun, load, train
from keifu.views.figures import path_figure
from tests.cli.conftest import Command
from tests.cli.test_commands import assert_one_message
from tests.small_pictures import CLASSES, SMALL_PICTURES, write_pictures
from tests.tiny import set_arguments


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> str:
    """200 small files in five classes."""
    return write_pictures(tmp_path_factory.mktemp("pictures") / "shapes", 40, endings=("png", "png", "jpg"))


@pytest.fixture(scope="module")
def run(shapes: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = {"out": tmp_path_factory.mktemp("runs") / "run", "max_steps": 150, "overrides": SMALL_PICTURES}
    return train("image-classification", shapes, "flat", **options).path  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["vit", "flat", "lstm"])
def test_a_folder_is_all_that_training_needs_and_resume_goes_on(
    model: str, shapes: str, tmp_path: Path, keifu: Command
) -> None:
    out, small = tmp_path / "run", set_arguments(SMALL_PICTURES)
    given = ("--data", shapes, "--max-steps", 4, "--out", out, *small, "--set", "model.d_model=16")
    result = keifu("train", "image-classification", *given, *([] if model == "vit" else ["--model", model]))
    assert result.code == 0, result.err
    told = " ".join(result.out.split())
    assert "190 pictures of 12 by 12 pixels, grey, of 5 classes: bar (3" in told
    assert "valid 10 pictures of" in told
    assert result.out.splitlines()[-1] == f"use it: keifu classify {out} picture.png"
    settings, _ = read_yaml(out / "config.yaml")
    assert [settings["model"][name] for name in ("name", "channels", "height", "width")] == [model, 1, 12, 12]
    report = json.loads((out / "data.json").read_text("utf-8"))
    assert report["size"] == {"channels": 1, "height": 12, "width": 12}
    assert sum(report["train"]["labels"].values()) == 190
    card = (out / "README.md").read_text("utf-8")
    assert "190 pictures" in card
    assert "nats a picture" in card
    assert not (out / "best" / "tokenizer.json").exists()
    resumed = keifu("resume", out, "--max-steps", "+3", "--json")
    assert json.loads(resumed.out.splitlines()[-1]) == {"event": "finished", "step": 7, "reason": "steps"}
    assert json.loads(keifu("classify", out, f"{shapes}/bar/0.png", "--json").out)["label"] in CLASSES


def test_pictures_are_classified_and_measured(run: Path, shapes: str, tmp_path: Path, keifu: Command) -> None:
    spec = write_pictures(tmp_path / "others", 10, seed=5)
    report = json.loads(keifu("evaluate", run, "--data", spec, "--json").out)
    assert report["accuracy"] >= 0.9
    assert [sum(row) for row in report["confusion"]] == [10] * 5
    assert (report["selected_on"], report["trained_on"]) == (False, False)
    own = load(run, "cpu").evaluate(shapes)
    assert (own["selected_on"], own["trained_on"]) == (True, True)
    told = keifu("evaluate", run, "--data", spec).out
    assert "50 pictures" in told
    assert "confusion: a row for each true class" in told
    assert "pictures/s" in told
    files = [f"{spec}/{kind}/{number}.png" for kind in CLASSES for number in range(10)]
    lines = [json.loads(line) for line in keifu("classify", run, *files, "--json", "--top", 5).out.splitlines()]
    right = sum(line["label"] == Path(line["text"]).parent.name for line in lines)
    assert right / 50 == report["accuracy"]
    assert sum(lines[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    plain = keifu("classify", run, stdin="\n".join(files).encode()).out.splitlines()
    assert [line.split("\t")[0] for line in plain] == [line["label"] for line in lines]
    one_by_one = keifu("classify", run, *files, "--batch-size", 1).out.splitlines()
    assert [line.split("\t")[0] for line in one_by_one] == [line["label"] for line in lines]


def test_a_picture_of_another_size_and_in_colour_is_brought_to_the_models(run: Path, tmp_path: Path) -> None:
    model = load(run, "cpu")
    whole = Image.open(f"{write_pictures(tmp_path / 'others', 1, seed=5)}/square/0.png")
    whole.resize((120, 120)).convert("RGB").save(tmp_path / "large.jpg")
    assert model.classify(tmp_path / "large.jpg") == "square"
    trace = model.trace(tmp_path / "large.jpg")
    assert trace["pixels"].value.shape == (1, 1, 12, 12)
    assert trace.sequences["classes"][int(trace["classes"].value.argmax())] == "square"
    assert trace["vector"].value.shape == (1, 144)


def test_a_picture_is_a_vector(run: Path, shapes: str, keifu: Command) -> None:
    files = [f"{shapes}/bar/0.png", f"{shapes}/dot/0.png", f"{shapes}/dot/1.png"]
    lines = [json.loads(line) for line in keifu("embed", run, *files, "--batch-size", 2).out.splitlines()]
    assert [line["text"] for line in lines] == files
    model = load(run, "cpu")
    output = model.trace(files[1])["output"].value[0, 0]
    assert lines[1]["vector"] == pytest.approx(output.tolist(), abs=1e-5)
    short = model.embed(files[1], normalise=True)
    assert short.tolist() == pytest.approx((output / output.norm()).tolist(), abs=1e-5)


@pytest.mark.parametrize("model", ["flat", "gru", "vit"])
def test_it_computes_in_other_formats(model: str, shapes: str, tmp_path: Path) -> None:
    sizes = {"model": {"d_model": 16}}
    options = {"out": tmp_path / "run", "max_steps": 3, "overrides": {**SMALL_PICTURES, **sizes}}
    path = train("image-classification", shapes, model, **options).path  # type: ignore[arg-type]
    exact = load(path, "cpu").classify(f"{shapes}/bar/0.png", details=True).probabilities
    for precision in ("bf16", "int8") if multiplies_int8() else ("bf16",):
        other = load(path, "cpu", precision)
        assert other.classify(f"{shapes}/bar/0.png", details=True).probabilities == pytest.approx(exact, abs=0.05)
        assert other.evaluate(shapes)["examples"] == 200
        assert other.trace(f"{shapes}/bar/0.png")["classes"].value.shape == (1, 5)


@pytest.mark.parametrize(("model", "parts"), [("flat", 144), ("gru", 12), ("vit", 16)])
def test_the_ways_from_a_picture_to_its_class_are_drawn(model: str, parts: int, shapes: str, tmp_path: Path) -> None:
    options = {"out": tmp_path / "run", "max_steps": 1, "overrides": {**SMALL_PICTURES, "model": {"d_model": 16}}}
    seen = load(train("image-classification", shapes, model, **options).path, "cpu")  # type: ignore[arg-type]
    lengths = seen.path_lengths(f"{shapes}/bar/0.png")
    [(name, found)] = lengths.outputs.items()
    assert found.shape[1] == len(lengths.tokens[name]) == parts
    path_figure(lengths, tmp_path / "paths.svg")
    with pytest.raises(ConfigError, match="a picture has no distance"):
        seen.influence(f"{shapes}/bar/0.png")


def test_a_dry_run_and_a_check_say_what_would_be_learned(shapes: str, keifu: Command) -> None:
    small = set_arguments(SMALL_PICTURES)
    dry = keifu("train", "image-classification", "--data", shapes, *small, "--max-steps", 4, "--dry-run")
    assert dry.code == 0, dry.err
    assert "patch_size: null" in dry.out
    checked = keifu(
        "check",
        shapes,
        "--task",
        "image-classification",
        "--model",
        "flat",
        "--valid",
        f"{shapes}[:20]",
        "--json",
        *small,
    )
    report = json.loads(checked.out)
    assert [finding["kind"] for finding in report["findings"]] == ["overlap", "few"]
    assert report["findings"][0]["count"] == 20


def test_training_may_begin_with_another_models_weights(run: Path, shapes: str, tmp_path: Path, keifu: Command) -> None:
    given = ("--data", shapes, "--init", run, "--max-steps", 1, "--out", tmp_path / "run")
    assert keifu("train", "image-classification", *given, *set_arguments(SMALL_PICTURES)).code == 0
    assert load(tmp_path / "run", "cpu").evaluate(shapes)["accuracy"] > 0.8


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("classify", "{run}", "none.png"), 3, "none.png: no such file; expected a PNG or JPEG picture"),
        (("classify", "{run}", "broken.png"), 3, "broken.png: not a PNG or JPEG picture, or a damaged one"),
        (("classify", "{run}", "broken.png", "--top", "0"), 3, "damaged"),
        (("classify", "{run}", "good.png", "--top", "0"), 2, "top 0: expected at least 1"),
        (("classify", "{run}", "good.png", "--head", "x"), 2, "a classifier has one head"),
        (
            ("translate", "{run}", "I see."),
            2,
            "a model for image-classification cannot translate; use one of: cla",
        ),
        (("classify", "{translator}", "good.png"), 2, "a model for translation cannot classify"),
        (("evaluate", "{run}", "--data", "digits"), 3, "the class '0' is not among those of the model, bar, cross"),
        (("evaluate", "{run}", "--data", "one", "--beam", "2"), 2, "beam does not go with a classifier of pictures"),
        (("train", "image-classification"), 2, "no data to train on; name it with --data, for example --data pictures"),
        (("train", "image-classification", "--data", "one"), 3, "one: only one class, 'cat'; expected a folder for"),
        (("train", "image-classification", "--data", "damaged"), 3, "damaged/dog/1.png: not a PNG or JPEG picture"),
        (("train", "image-classification", "--data", "good.png"), 3, "good.png: a file; expected a folder"),
        (("train", "image-classification", "--data", "digits", "--model", "gpt2"), 2, "model 'gpt2' is not known"),
        (("train", "image-classification", "--data", "digits", "--model", "transformer"), 2, "cannot do image-classif"),
        (
            ("train", "image-classification", "--data", "digits", "--set", "data.height=9"),
            2,
            "height and width go tog",
        ),
        (("train", "image-classification", "--data", "digits", "--set", "model.patch_size=3"), 2, "does not divide"),
        (
            ("train", "image-classification", "--data", "digits", "--init", "{run}"),
            2,
            "cannot begin with it: model.height is 8 here and 12 there, model.width is 8 here and 12 there; bring "
            "pictures to its size: --set data.height=12 --set data.width=12",
        ),
        (
            (
                "train",
                "image-classification",
                "--data",
                "digits",
                *set_arguments({"data": {"height": 97, "width": 89}}),
            ),
            2,
            "pictures of 97 by 89 make 8,633 patches of 1 by 1; choose multiples of 16",
        ),
        (("train", "translation", "--data", "digits"), 2, "digits: is for image-classification; translation needs"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_message(
    arguments: tuple[str, ...],
    code: int,
    message: str,
    run: Path,
    trained: TrainedRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keifu: Command,
) -> None:
    monkeypatch.chdir(tmp_path)
    picture = Image.new("L", (12, 12), 9)
    picture.save(tmp_path / "good.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "good.png").read_bytes()[:40])
    for folder, kinds in (("one", ["cat"]), ("damaged", ["cat", "dog"])):
        for kind in kinds:
            (tmp_path / folder / kind).mkdir(parents=True)
            picture.save(tmp_path / folder / kind / "1.png")
    (tmp_path / "damaged" / "dog" / "1.png").write_bytes(b"hello")
    before = sorted(path.name for path in tmp_path.iterdir())
    result = keifu(*(each.format(run=run, translator=trained.path) for each in arguments))
    assert_one_message(result, code, message)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_damaged_config_is_named(run: Path, tmp_path: Path, keifu: Command) -> None:
    (tmp_path / "model.safetensors").write_bytes((run / "best" / "model.safetensors").read_bytes())
    config = json.loads((run / "best" / "config.json").read_text("utf-8"))
    changes = (
        ({"labels": ["a"]}, "labels: expected a list of names"),
        ({"labels": [*CLASSES, "x"]}, "the weights do not fit its config.json"),
        ({"model": {**config["model"], "width": None}}, "expected channels, height and width of the pictures"),
        ({"model": {**config["model"], "width": 13}}, "the weights do not fit its config.json"),
    )
    for change, message in changes:
        (tmp_path / "config.json").write_text(json.dumps(config | change), "utf-8")
        assert_one_message(keifu("classify", tmp_path, "x.png"), 3, message)
