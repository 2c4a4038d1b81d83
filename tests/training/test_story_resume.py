"""A run on stories that was stopped goes on exactly: its noise, its linear start and its answers go on with it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from keifu.errors import ConfigError
from keifu.training.loop import Step
from keifu.training.run import Run
from keifu.training.start import prepare, resume
from tests.resuming import assert_ends_equal, fingerprints, stopped_everywhere, stops
from tests.small_stories import story_run, write_stories

STEPS, EVERY = 14, 5
TRAINING = {"max_steps": STEPS, "evaluate_every": EVERY, "accumulate": 3}
MODELS = {
    "memory-network": {"linear_start": 0.4, "time_noise": 0.3, "d_ff": 8, "tie_answers": True, "nonlinearity": "relu"},
    "lstm": {"n_layers": 1, "direction": "bidirectional"},
    "transformer": {"n_layers": 1, "n_heads": 2, "d_ff": 16},
    "bert": {"n_layers": 1, "n_heads": 2, "d_ff": 16},
}


def begun(spec: str, out: Path, model: str) -> Run:
    return story_run(spec, out, TRAINING, model, model=MODELS[model])


@pytest.mark.parametrize("model", MODELS)
def test_a_run_may_be_stopped_at_every_step(model: str, tmp_path: Path) -> None:
    spec = write_stories(tmp_path, 60)
    whole = begun(spec, tmp_path / "whole", model)
    expected = dict(fingerprints(whole))
    run = begun(spec, tmp_path / "run", model)
    assert 2 < run.learner.sampler.batches_per_epoch < STEPS  # stops in the middle and at the end of an epoch
    assert stopped_everywhere(run, stops(STEPS, EVERY)) == expected
    assert_ends_equal(tmp_path / "run", tmp_path / "whole")


def test_the_model_is_told_how_far_training_is(tmp_path: Path) -> None:
    spec = write_stories(tmp_path, 60)
    run = story_run(spec, tmp_path / "run", {"max_steps": 8}, model={"linear_start": 0.25})
    linear = [run.learner.model.linear for event in run.events() if isinstance(event, Step)]
    assert linear == [True, True, False, False, False, False, False, False]


def test_a_run_that_is_made_longer_does_not_begin_anew(tmp_path: Path) -> None:
    spec = write_stories(tmp_path, 60)
    list(story_run(spec, tmp_path / "run", {"max_steps": 4}, model={"linear_start": 0.5}).events())
    run = resume(tmp_path / "run", {"max_steps": "+16"})  # step 5 of 20 is within half of the steps
    assert not any(run.learner.model.linear for event in run.events() if isinstance(event, Step))


def test_a_run_that_begins_with_a_trained_network_has_its_softmax_from_the_start(tmp_path: Path) -> None:
    spec = write_stories(tmp_path, 60)
    first = story_run(spec, tmp_path / "first", {"max_steps": 2}, model={"linear_start": 0.5})
    list(first.events())
    for out, model, expected in (("run", {}, 0.0), ("again", {"linear_start": 0.2, "time_noise": 0.0}, 0.2)):
        overrides = {"training": {"max_steps": 4}, "model": model}
        run = prepare("question-answering", spec, out=tmp_path / out, init=str(tmp_path / "first"), overrides=overrides)
        assert run.settings.model.linear_start == expected
        linear = [run.learner.model.linear for event in run.events() if isinstance(event, Step)]
        assert any(linear) == bool(expected)


def test_a_setting_that_an_older_model_does_not_know_is_as_it_comes(tmp_path: Path) -> None:
    spec = write_stories(tmp_path, 60)
    list(story_run(spec, tmp_path / "first", {"max_steps": 2}).events())
    older = tmp_path / "older"
    left_out = shutil.ignore_patterns("checksums.json", "training.json")
    shutil.copytree(tmp_path / "first" / "best", older, ignore=left_out)
    config = json.loads((older / "config.json").read_text("utf-8"))
    del config["model"]["tie_answers"], config["model"]["linear_start"]
    (older / "config.json").write_text(json.dumps(config), "utf-8")
    overrides: dict[str, Any] = {"training": {"max_steps": 4}}
    run = prepare("question-answering", spec, out=tmp_path / "run", init=str(older), overrides=overrides)
    assert (run.settings.model.tie_answers, run.settings.model.linear_start) == (False, 0.0)
    overrides["model"] = {"tie_answers": True}
    with pytest.raises(ConfigError, match=r"model\.tie_answers is True here and False there"):
        prepare("question-answering", spec, out=tmp_path / "run", init=str(older), overrides=overrides)


def test_a_run_goes_on_with_the_batches_that_it_began_with(tmp_path: Path) -> None:
    spec = write_stories(tmp_path, 60)
    run = begun(spec, tmp_path / "run", "memory-network")
    list(run.events(should_stop=lambda: run.learner.step == 3))
    path = tmp_path / "run" / "config.yaml"
    path.write_text(path.read_text("utf-8").replace("  batch_size: 8\n", "  batch_size: 30\n"), "utf-8")
    with pytest.raises(ConfigError, match=r"training\.batch_size is 30, and was 8 when the run stopped"):
        resume(tmp_path / "run")


def test_a_run_on_other_stories_is_not_gone_on_with(tmp_path: Path) -> None:
    spec = write_stories(tmp_path, 60)
    list(begun(spec, tmp_path / "run", "memory-network").events(lambda: False))
    write_stories(tmp_path, 60, seed=1)
    with pytest.raises(Exception, match="not the text that the run began with"):
        resume(tmp_path / "run", {"max_steps": "+2"})
