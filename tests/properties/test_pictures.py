"""What models that see must hold to: each picture alone, every pixel counted, all of it to be looked at."""

import math
import random
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from keifu.interface import ImageBatch
from keifu.layers.heads import ClassHead
from keifu.models import flat, recurrent, vit
from keifu.tasks.image_classification import ImageClassification, moved
from keifu.trace import Recorder
from keifu.training.network import make_model
from keifu.views.paths import path_lengths
from tests.properties.cases import CONFIGURATIONS, scatter

EXACT = {"rtol": 0, "atol": 1e-12}
MODELS = ("flat", "vit", "rnn", "lstm", "gru")


def make(name: str, seed: int) -> Any:
    """A model with random settings and weights, in float64."""
    rng = random.Random(f"{name} {seed}")
    side = rng.randint(1, 3)
    shape = {
        "channels": rng.choice([1, 3]),
        "height": side * rng.randint(2, 3),
        "width": side * rng.randint(1, 3),
        "dropout": rng.choice([0.0, 0.3]),
    }
    config: Any
    if name == "flat":
        config = flat.Config(**shape, d_model=rng.randint(2, 9), n_layers=rng.randint(1, 3))
    elif name == "vit":
        heads = rng.randint(1, 3)
        sizes = {"d_model": heads * rng.randint(1, 4), "n_heads": heads, "n_layers": rng.randint(1, 3)}
        config = vit.Config(**shape, **sizes, d_ff=rng.randint(1, 9), patch_size=rng.choice([None, side]))
    else:
        ways = rng.choice(["forward", "bidirectional", "alternating"])
        config = recurrent.Config.model_validate(
            {"name": name, **shape, "d_model": rng.randint(2, 9), "direction": ways}
        )
    model = make_model(config).double().eval()
    scatter(model, seed)
    return model


def pictures(model: Any, count: int) -> Tensor:
    config = model.config
    return torch.randn(count, config.channels, config.height, config.width, dtype=torch.float64)


@pytest.fixture(params=[(name, seed) for name in MODELS for seed in range(CONFIGURATIONS)], ids=str)
def model(request: pytest.FixtureRequest) -> Any:
    return make(*request.param)


@pytest.mark.parametrize("strangers", [1, 8, 32])
def test_strangers_in_the_batch_change_nothing(model: Any, strangers: int) -> None:
    pixels = pictures(model, 1 + strangers)
    torch.testing.assert_close(model(ImageBatch(pixels)).hidden[:1], model(ImageBatch(pixels[:1])).hidden, **EXACT)


def test_every_pixel_counts_and_those_of_other_pictures_do_not(model: Any) -> None:
    pixels = pictures(model, 3).requires_grad_()
    probe = torch.randn(model.d_output, dtype=torch.float64)
    [gradient] = torch.autograd.grad((model(ImageBatch(pixels)).hidden[1].mean(0) @ probe), pixels)
    assert (gradient[[0, 2]] == 0).all()
    if model.config.name != "flat":  # behind which a ReLU may be shut
        assert (gradient[1] != 0).all()
    else:
        assert (gradient[1] != 0).any()


def test_derivative_of_the_loss_in_any_direction(model: Any) -> None:
    task = ImageClassification(("a", "b", "c"), augment=False)
    head = ClassHead(model.d_output, 3, 0.0, pooled=False).double()
    scatter(head, 1)
    pixels, targets = pictures(model, 4), torch.tensor([0, 2, 1, 1])
    parameters = list(nn.ModuleList([model, head]).parameters())

    def loss() -> Tensor:
        return nn.functional.cross_entropy(task.scores(model, head, ImageBatch(pixels)), targets)

    gradients = torch.autograd.grad(loss(), parameters)
    directions = [torch.randn_like(parameter) for parameter in parameters]
    expected = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True))
    slopes = []
    for size in (1e-7, -1e-7):
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter.add_(direction, alpha=size)
            slopes.append(loss())
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter.sub_(direction, alpha=size)
    scale = math.sqrt(sum(float(g.square().sum()) for g in gradients))
    assert abs((slopes[0] - slopes[1]) / 2e-7 - expected) < 1e-5 * scale


@torch.no_grad()
def test_looking_inside_changes_nothing_and_every_value_can_be_edited(model: Any) -> None:
    batch = ImageBatch(pictures(model, 2))
    plain = model(batch).hidden
    with Recorder(model) as recorder:
        torch.testing.assert_close(model(batch).hidden, plain, **EXACT)
    values = recorder.values()
    torch.testing.assert_close(list(values.values())[-1].value.view_as(plain), plain, **EXACT)
    for name in values:
        with Recorder(model, edits={name: lambda value: value + torch.rand_like(value)}):
            assert (model(batch).hidden - plain).abs().max() > 1e-12 or model.config.name == "flat", name


@pytest.mark.parametrize("seed", range(CONFIGURATIONS))
@torch.no_grad()
def test_the_vision_transformer_replays_from_what_was_recorded(seed: int) -> None:
    model = make("vit", seed)
    pixels = pictures(model, 2)
    with Recorder(model) as recorder:
        model(ImageBatch(pixels))
    values = {name: recorded.value for name, recorded in recorder.values().items()}
    side, columns = model.patch_size, model.config.width // model.patch_size
    for number in range(values["patches"].shape[1]):
        top, left = side * (number // columns), side * (number % columns)
        patch = pixels[:, :, top : top + side, left : left + side].flatten(1)
        torch.testing.assert_close(values["patches"][:, number], patch, **EXACT)
    x = torch.cat([model.first.expand(2, 1, -1), model.embedding(values["patches"])], dim=1)
    torch.testing.assert_close(values["sum"], x + model.position_embedding, **EXACT)
    x = values["sum"]
    for number, block in enumerate(model.blocks):
        at = f"blocks.{number}"
        weights = values[f"{at}.attention.scores"].softmax(-1)
        torch.testing.assert_close(values[f"{at}.attention.weights"], weights, **EXACT)
        torch.testing.assert_close(values[f"{at}.attention.heads"], weights @ values[f"{at}.attention.value"], **EXACT)
        torch.testing.assert_close(values[f"{at}.attention_normalised"], block.attention_norm(x), **EXACT)
        x = x + values[f"{at}.attention.output"]
        torch.testing.assert_close(values[f"{at}.attention_residual"], x, **EXACT)
        torch.testing.assert_close(values[f"{at}.feedforward_normalised"], block.feedforward_norm(x), **EXACT)
        x = x + values[f"{at}.feedforward.output"]
        torch.testing.assert_close(values[f"{at}.feedforward_residual"], x, **EXACT)
    torch.testing.assert_close(values["output"], model.norm(x[:, 0]), **EXACT)


@torch.no_grad()
def test_without_positions_the_patches_may_stand_in_any_order() -> None:
    config = vit.Config(channels=1, height=4, width=6, patch_size=2, d_model=6, n_heads=2, n_layers=2, d_ff=8)
    model: Any = make_model(config).double().eval()
    scatter(model, 0)
    pixels = pictures(model, 1)
    patches = pixels.reshape(1, 1, 2, 2, 3, 2)
    turned = patches.flip(2).roll(1, 4).reshape(1, 1, 4, 6)
    assert (model(ImageBatch(pixels)).hidden - model(ImageBatch(turned)).hidden).abs().max() > 1e-6
    model.position_embedding[1:] = 0
    torch.testing.assert_close(model(ImageBatch(pixels)).hidden, model(ImageBatch(turned)).hidden, **EXACT)


@torch.no_grad()
def test_recurrent_models_read_the_rows_from_above() -> None:
    model = make("lstm", 0)
    pixels = pictures(model, 2)
    rows = torch.stack([pixels[:, :, row].flatten(1) for row in range(model.config.height)], dim=1)
    expected, _ = model.recurrent(model.embedding.rows(rows))
    torch.testing.assert_close(model(ImageBatch(pixels)).hidden, expected, **EXACT)


def test_pictures_move_a_little_and_the_seed_decides() -> None:
    pixels = torch.zeros(64, 1, 16, 16)
    pixels[:, :, 6:10, 6:10] = 1
    torch.manual_seed(3)
    first = moved(pixels)
    torch.manual_seed(3)
    assert torch.equal(first, moved(pixels))
    assert first.shape == pixels.shape
    assert len({picture.numpy().tobytes() for picture in first}) == 64
    centres = (first * torch.arange(16.0)).sum((1, 2, 3)) / first.sum((1, 2, 3))
    assert 0.5 < (centres - 7.5).abs().max() < 2.5  # a tenth of 16 to either side
    assert (first.sum((1, 2, 3)) / 16 - 1).abs().max() < 0.35


def test_pictures_are_moved_only_while_training() -> None:
    model = make("flat", 0)
    seen: list[Tensor] = []
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].pixels))
    head = ClassHead(model.d_output, 2, 0.0, pooled=False).double()
    batch: Any = type("Batch", (), {"inputs": ImageBatch(pictures(model, 2)), "targets": torch.tensor([0, 1])})
    for augment, training, same in ((True, True, False), (True, False, True), (False, True, True)):
        model.train(training)
        ImageClassification(("a", "b"), augment).loss(model, head, batch)
        assert torch.equal(seen[-1], batch.inputs.pixels) == same


def test_the_patch_that_is_chosen_divides_the_picture() -> None:
    assert [vit.patch_for(*size) for size in ((8, 8), (32, 32), (28, 28), (7, 7), (224, 224), (3, 9))] == [
        2, 8, 7, 1, 16, 1,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="patch_size 3 does not divide pictures of 8 by 8"):
        vit.Config(channels=1, height=8, width=8, patch_size=3)


@torch.no_grad()
def test_every_axis_has_the_size_that_its_letter_means(model: Any) -> None:
    config, read = model.config, model.d_output
    sizes = {"B": 2, "K": config.channels, "Y": config.height, "X": config.width, "D": config.d_model}
    sizes |= {"L": config.n_layers, "F": getattr(config, "d_ff", 0), "R": 2, "G": 4}
    match config.name:
        case "flat":
            sizes |= {"Z": config.channels * config.height * config.width, "T": 1}
        case "vit":
            patches = (config.height // model.patch_size) * (config.width // model.patch_size)
            sizes |= {"P": patches, "T": 1 + patches, "S": 1 + patches, "Z": config.channels * model.patch_size**2}
            sizes |= {"H": config.n_heads, "A": config.d_model // config.n_heads}
        case _:
            sizes |= {"T": config.height, "N": config.d_model}
    with Recorder(model) as recorder:
        model(ImageBatch(pictures(model, 2)))
    for name, recorded in recorder.values().items():
        found = dict(zip(recorded.letters, recorded.value.shape, strict=True))
        assert found == {letter: sizes[letter] for letter in found}, name
    output = recorder.values()["output"]
    assert read == math.prod(sizes[letter] for letter in output.letters if letter not in "BT")


def test_a_path_goes_from_every_part_of_a_picture_to_what_is_said_of_it(model: Any) -> None:
    config = model.config
    lengths = path_lengths(model, ImageBatch(pictures(model, 1).float()))
    [found] = lengths.outputs.values()
    assert found.isfinite().any()
    if config.name in ("flat", "vit"):
        assert (found[found.isfinite()] == config.n_layers).all()
    elif config.direction == "forward":
        steps = torch.arange(config.height)[:, None] - torch.arange(config.height)
        assert torch.equal(found, torch.where(steps < 0, torch.inf, config.n_layers + steps).float())


@pytest.mark.parametrize("shape", [(16, 64), (64, 16), (20, 20)])
def test_a_turn_keeps_lengths_and_angles(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keifu.tasks.image_classification._STRETCH", 0.0)
    monkeypatch.setattr("keifu.tasks.image_classification._SHIFT", 0.0)
    rows, columns = torch.meshgrid(*(torch.arange(size, dtype=torch.float64) for size in shape), indexing="ij")
    places = torch.stack([rows - rows.mean(), columns - columns.mean()])[None]
    for seed in range(5):
        torch.manual_seed(seed)
        turned = moved(places)[0]
        inside = turned[:, 7:-7, 7:-7] if min(shape) > 16 else turned[:, 7:9, 7:9]  # no border is repeated there
        down, right = inside[:, 1:, :-1] - inside[:, :-1, :-1], inside[:, :-1, 1:] - inside[:, :-1, :-1]
        for step in (down, right):
            torch.testing.assert_close(step.norm(dim=0), torch.ones_like(step[0]), atol=1e-6, rtol=0)
        assert (down * right).sum(0).abs().max() < 1e-6


def test_what_is_dropped_before_the_scores_is_up_to_the_model() -> None:
    head = ImageClassification(("a", "b")).head(SimpleNamespace(d_output=4, config=SimpleNamespace(dropout=0.9)))
    vector = torch.randn(3, 4)
    assert torch.equal(head.train()(vector), head.eval()(vector))
