"""A run on pictures that was stopped goes on exactly, moved pictures included."""

from pathlib import Path

import pytest
from PIL import Image

from keifu.errors import ConfigError, DataError
from keifu.training.start import resume
from tests.resuming import assert_ends_equal, fingerprints, stopped_everywhere, stops
from tests.small_pictures import picture_run, write_pictures

STEPS, EVERY = 11, 4
TRAINING = {"max_steps": STEPS, "evaluate_every": EVERY, "accumulate": 3}
MODELS = {
    "flat": {"d_model": 16, "dropout": 0.2},
    "vit": {"d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8, "dropout": 0.2},
    "gru": {"d_model": 8, "n_layers": 1, "dropout": 0.2},
}


@pytest.mark.parametrize("model", MODELS)
def test_a_run_may_be_stopped_at_every_step(model: str, tmp_path: Path) -> None:
    spec = write_pictures(tmp_path / "shapes", 12)
    whole = picture_run(spec, tmp_path / "whole", TRAINING, model, model=MODELS[model])
    expected = dict(fingerprints(whole))
    run = picture_run(spec, tmp_path / "run", TRAINING, model, model=MODELS[model])
    assert 2 < run.learner.sampler.batches_per_epoch < STEPS
    assert stopped_everywhere(run, stops(STEPS, EVERY)) == expected
    assert_ends_equal(tmp_path / "run", tmp_path / "whole")


def test_a_run_on_other_pictures_is_not_gone_on_with(tmp_path: Path) -> None:
    spec = write_pictures(tmp_path / "shapes", 12)
    list(picture_run(spec, tmp_path / "run", TRAINING).events())
    other = write_pictures(tmp_path / "others", 12, seed=1)
    (Path(spec) / "bar" / "0.png").write_bytes((Path(other) / "bar" / "0.png").read_bytes())
    with pytest.raises(DataError, match="not the text that the run began with"):
        resume(tmp_path / "run", {"max_steps": "+2"})
    for path in Path(spec).glob("*/*.png"):
        Image.open(path).resize((6, 6)).save(path)
    with pytest.raises(DataError, match="not the text that the run began with"):
        resume(tmp_path / "run", {"max_steps": "+2"})


@pytest.mark.parametrize(("name", "asked"), [("height", 24), ("channels", 3)])
def test_a_model_for_pictures_of_another_shape_is_refused(name: str, asked: int, tmp_path: Path) -> None:
    spec = write_pictures(tmp_path / "shapes", 12)
    found = {"height": 12, "channels": 1}[name]
    with pytest.raises(ConfigError, match=rf"model\.{name}: {asked}, but the pictures have {found}"):
        picture_run(spec, tmp_path / "run", TRAINING, model={name: asked})
    list(picture_run(spec, tmp_path / "first", TRAINING).events())
    with pytest.raises(ConfigError, match=rf"model\.{name}: {asked}, but the pictures have {found}"):
        picture_run(spec, tmp_path / "run", {"init": str(tmp_path / "first")}, model={name: asked})
    assert not (tmp_path / "run").exists()
    assert picture_run(spec, tmp_path / "run", TRAINING, model={name: found}).settings.model.d_model
