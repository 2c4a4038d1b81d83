"""A run of a task that reads goes on exactly where it was stopped: what is masked next is the same too."""

from pathlib import Path

import pytest

from keifu.training.loop import Step
from keifu.training.run import Run
from keifu.training.start import resume
from tests.resuming import assert_ends_equal, fingerprints, stopped_everywhere, stops
from tests.small_reading import TEXTS, reading_run
from tests.small_text import write_text

STEPS, EVERY, PARTS = 9, 4, 2
TRAINING = {"max_steps": STEPS, "evaluate_every": EVERY, "accumulate": PARTS}
DROPOUT = {"model": {"dropout": 0.3}}


CASES = [
    ("masked-lm", "bert"),
    ("classification", "bert"),
    ("classification", "lstm"),
    ("tagging", "bert"),
    ("tagging", "transformer"),
]
Whole = tuple[Run, dict[int, dict[str, str]], str]


@pytest.fixture(scope="module", params=CASES, ids=str)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A run that never stopped, its fingerprints and its data."""
    task, model = request.param
    folder = tmp_path_factory.mktemp("whole")
    spec = write_text(folder / "a.txt", TEXTS[task](40 if task == "masked-lm" else 60))
    run = reading_run(task, spec, folder / "run", TRAINING, model, **DROPOUT)
    return run, dict(fingerprints(run)), spec


def begun(whole: Whole, out: Path) -> Run:
    settings = whole[0].settings
    return reading_run(settings.training.task, whole[2], out, TRAINING, settings.model.name, **DROPOUT)


def test_a_run_may_be_stopped_at_every_step(whole: Whole, tmp_path: Path) -> None:
    run = begun(whole, tmp_path / "run")
    assert 1 < run.learner.sampler.batches_per_epoch < STEPS  # stops in the middle and at the end of an epoch
    assert stopped_everywhere(run, stops(STEPS, EVERY)) == whole[1]
    assert_ends_equal(tmp_path / "run", whole[0].folder.path)


@pytest.mark.parametrize("part", range(PARTS))
def test_a_run_that_was_stopped_within_a_step_takes_it_anew(part: int, whole: Whole, tmp_path: Path) -> None:
    run = begun(whole, tmp_path / "run")
    asked = 0

    def should_stop() -> bool:  # once before the step, then in each of its parts
        nonlocal asked
        asked += run.learner.step == 2
        return asked > part + 1

    before = dict(fingerprints(run, should_stop))
    assert list(before) == [1, 2]
    assert before | dict(fingerprints(resume(tmp_path / "run"))) == whole[1]
    assert_ends_equal(tmp_path / "run", whole[0].folder.path)


def test_the_parts_in_which_a_step_is_computed_change_neither_masks_nor_result(tmp_path: Path) -> None:
    spec = write_text(tmp_path / "a.txt", TEXTS["masked-lm"](60))
    found = []
    for parts in (1, 3):
        training = {"max_steps": 3, "evaluate_every": 3, "accumulate": parts}
        run = reading_run("masked-lm", spec, tmp_path / str(parts), training, model={"dropout": 0.0})
        assert run.settings.training.next_sentence
        found.append([(event.loss, event.tokens) for event in run.events() if isinstance(event, Step)])
    for (loss, tokens), (other, others) in zip(*found, strict=True):
        assert loss == pytest.approx(other, rel=1e-4)
        assert tokens == others
