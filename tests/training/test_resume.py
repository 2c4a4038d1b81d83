"""A run that was stopped, anywhere and anyhow, goes on as if it had never been."""

import copy
import random
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from keifu.checkpoint import OPTIMIZER, RunFolder, load_training_state
from keifu.config import read_yaml
from keifu.errors import CheckpointError, ConfigError, DataError
from keifu.session import load
from keifu.training.budget import Speed
from keifu.training.corpus import Corpus, load_corpus
from keifu.training.data_settings import Data
from keifu.training.loop import Checkpoint, Evaluation, Finished, Step
from keifu.training.run import Run
from keifu.training.start import resume
from tests.counts import Record, repeats
from tests.faults import damage
from tests.resuming import Stop, assert_ends_equal, fingerprints, stopped_everywhere, stops
from tests.tiny import metric_lines, pairs, tiny_run, weights, write

STEPS, EVERY, PARTS = 16, 5, 3
TRAINING = {"max_steps": STEPS, "evaluate_every": EVERY, "accumulate": PARTS}
DROPOUT = {"model": {"dropout": 0.3}}


def new_run(spec: str, out: Path) -> Run:
    return tiny_run(spec, out, TRAINING, **DROPOUT)


class FailsOnce:
    """A task whose loss, the given time that training asks for it, is interrupted like by a second Ctrl-C."""

    def __init__(self, task: Any, call: int) -> None:
        self._task, self._left = task, call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def loss(self, *arguments: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt
        return self._task.loss(*arguments)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(tmp_path_factory.mktemp("data"), pairs(40))


@pytest.fixture(scope="module")
def unbroken(spec: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, dict[int, dict[str, str]]]:
    run = new_run(spec, tmp_path_factory.mktemp("runs") / "unbroken")
    return run, dict(fingerprints(run))


def moments(batches: int) -> dict[str, Stop]:
    """Where to stop. No step is the last, and the first two are not followed by an evaluation."""
    assert 3 % batches
    assert batches % EVERY
    assert max(3, batches, 2 * EVERY) < STEPS
    return {
        "mid-epoch": Stop(3),
        "end of an epoch": Stop(batches),
        "right after an evaluation": Stop(2 * EVERY, evaluated=True),
    }


@pytest.mark.parametrize("moment", ["mid-epoch", "end of an epoch", "right after an evaluation"])
def test_a_run_that_was_stopped_goes_on_exactly(
    moment: str,
    spec: str,
    unbroken: tuple[Run, dict[int, dict[str, str]]],
    tmp_path: Path,
    record_property: Record,
) -> None:
    record_property("stops", 1)
    whole, expected = unbroken
    first = new_run(spec, tmp_path / "run")
    stop = moments(first.learner.sampler.batches_per_epoch)[moment]
    before = dict(fingerprints(first, stop))
    assert list(before) == list(range(1, stop.step + 1))
    assert (first.learner.evaluated == stop.step) == stop.evaluated
    after = dict(fingerprints(resume(tmp_path / "run")))
    assert list(after) == list(range(stop.step + 1, STEPS + 1))
    assert before | after == expected
    assert_ends_equal(tmp_path / "run", whole.folder.path)


@pytest.mark.parametrize("part", [1, 2, 3])
def test_a_run_that_was_broken_off_mid_accumulation_goes_on_from_its_checkpoint(
    part: int,
    spec: str,
    unbroken: tuple[Run, dict[int, dict[str, str]]],
    tmp_path: Path,
    record_property: Record,
) -> None:
    record_property("stops", 1)
    whole, expected = unbroken
    first = new_run(spec, tmp_path / "run")
    first.learner.task = FailsOnce(first.learner.task, _loss_calls_before(first, step=EVERY + 3) + part)
    before: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        before += (step for step, _ in fingerprints(first))
    assert first.learner.step == EVERY + 2
    after = dict(fingerprints(resume(tmp_path / "run")))
    assert after == {step: found for step, found in expected.items() if step > EVERY}
    assert_ends_equal(tmp_path / "run", whole.folder.path)


def _loss_calls_before(run: Run, step: int) -> int:
    """How often training asks for a loss before a step; evaluations ask the task itself."""
    sampler = copy.copy(run.learner.sampler)
    return sum(min(PARTS, len(next(sampler))) for _ in range(step - 1))


@pytest.mark.parametrize("step", [EVERY, STEPS])
@pytest.mark.parametrize("batch", [0, 1])
def test_a_run_that_was_stopped_in_an_evaluation_makes_it_first_when_it_goes_on(
    step: int,
    batch: int,
    spec: str,
    unbroken: tuple[Run, dict[int, dict[str, str]]],
    tmp_path: Path,
    record_property: Record,
) -> None:
    record_property("stops", 1)
    run = new_run(spec, tmp_path / "run")
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += run.learner.step == step
        return asked > batch

    events = list(run.events(should_stop))
    assert [type(event) for event in events[-2:]] == [Checkpoint, Finished]
    assert not any(isinstance(event, Evaluation) and event.step == step for event in events)
    again = resume(tmp_path / "run")
    assert again.learner.step == step
    assert isinstance(next(again.events()), Evaluation)
    list(resume(tmp_path / "run").events())
    assert_ends_equal(tmp_path / "run", unbroken[0].folder.path)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("step", [1, 7])
def test_a_run_that_was_stopped_within_a_step_takes_it_anew(
    step: int,
    part: int,
    spec: str,
    unbroken: tuple[Run, dict[int, dict[str, str]]],
    tmp_path: Path,
    record_property: Record,
) -> None:
    record_property("stops", 1)
    run = new_run(spec, tmp_path / "run")
    asked = 0

    def should_stop() -> bool:  # once before the step, then in each of its parts
        nonlocal asked
        asked += run.learner.step == step - 1
        return asked > part + 1

    before = [event.step for event in run.events(should_stop) if isinstance(event, Step)]
    assert before == list(range(1, step))
    assert all(parameter.grad is None for parameter in run.learner.network.parameters())
    again = resume(tmp_path / "run")
    found = dict(fingerprints(again))
    assert found == {number: each for number, each in unbroken[1].items() if number >= step}
    assert_ends_equal(tmp_path / "run", unbroken[0].folder.path)


@pytest.mark.parametrize(
    "more", [{"max_steps": "-5"}, {"max_steps": "0"}, {"max_steps": "+-20"}, {"max_steps": "2"}, {"epochs": "0.0001"}]
)
def test_a_limit_below_what_is_done_is_refused_and_the_run_stays_as_it_was(
    more: dict[str, str], spec: str, tmp_path: Path
) -> None:
    run = new_run(spec, tmp_path / "run")
    list(run.events(should_stop=lambda: run.learner.step == 3))
    before = (tmp_path / "run" / "config.yaml").read_bytes()
    with pytest.raises(ConfigError, match=r"steps, 3 are done; give more, such as \+1000"):
        resume(tmp_path / "run", more)
    assert (tmp_path / "run" / "config.yaml").read_bytes() == before


def test_a_run_given_more_time_uses_it_though_it_was_evaluated_often(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(tiny_run(spec, tmp_path / "run", {"max_steps": 10, "evaluate_every": 5}).events())
    monkeypatch.setattr("keifu.training.start._measure", lambda *_: Speed(step=0.1, evaluation=5.0, memory=0))
    training = resume(tmp_path / "run", {"max_time": "1200s"}).settings.training
    steps, every = (training.max_steps or 0) - 10, training.evaluate_every or 0
    assert 0.8 * 1200 < steps * 0.1 + steps / every * 5.0 < 1200


def test_a_run_that_ended_early_goes_on_only_with_a_new_limit_and_waits_anew(spec: str, tmp_path: Path) -> None:
    hopeless = {"max_steps": 20, "evaluate_every": 2, "patience": 2, "learning_rate": 1e-9}
    events = list(tiny_run(spec, tmp_path / "run", hopeless).events())
    assert events[-1] == Finished(6, "patience")
    with pytest.raises(ConfigError, match=r"ended early at step 6 \(training\.patience\); to go on, add --max-steps"):
        resume(tmp_path / "run")
    again = list(resume(tmp_path / "run", {"max_steps": "+4"}).events())
    assert again[-1] == Finished(10, "patience")


def test_a_run_killed_before_it_could_say_that_it_ended_early_ends_there(spec: str, tmp_path: Path) -> None:
    hopeless = {"max_steps": 20, "evaluate_every": 2, "patience": 2, "learning_rate": 1e-9}
    for event in tiny_run(spec, tmp_path / "run", hopeless).events():
        if isinstance(event, Checkpoint) and event.step == 4:
            break
    assert list(resume(tmp_path / "run").events())[-1] == Finished(6, "patience")


def test_a_run_may_be_stopped_at_every_step(
    spec: str, unbroken: tuple[Run, dict[int, dict[str, str]]], tmp_path: Path, record_property: Record
) -> None:
    at = stops(STEPS, EVERY)
    record_property("stops", len(at))
    assert stopped_everywhere(new_run(spec, tmp_path / "run"), at) == unbroken[1]
    assert_ends_equal(tmp_path / "run", unbroken[0].folder.path)


def test_a_stopped_run_saves_once_and_says_that_it_was_interrupted(spec: str, tmp_path: Path) -> None:
    run = new_run(spec, tmp_path / "run")
    events = list(run.events(should_stop=lambda: run.learner.step == 3))
    assert [type(event) for event in events] == [Step, Step, Step, Checkpoint, Finished]
    assert events[-1] == Finished(3, "interrupted")
    again = resume(tmp_path / "run")
    events = list(again.events(should_stop=lambda: True))
    assert events == [Finished(3, "interrupted")]  # nothing was learned, so nothing is to be saved


@pytest.mark.parametrize("link", ["last", "best"])
def test_a_run_killed_between_saving_and_pointing_there_points_there_when_resumed(
    link: str,
    spec: str,
    unbroken: tuple[Run, dict[int, dict[str, str]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    point = RunFolder.point

    def killed(self: RunFolder, name: str, step: int) -> None:
        if name == link:
            raise KeyboardInterrupt
        point(self, name, step)

    first = new_run(spec, tmp_path / "run")
    monkeypatch.setattr(RunFolder, "point", killed)
    with pytest.raises(KeyboardInterrupt):
        list(first.events())
    monkeypatch.undo()
    assert not (tmp_path / "run" / link).exists()
    run = resume(tmp_path / "run")
    assert (tmp_path / "run" / "last").resolve().name == f"step-{EVERY}"
    assert (tmp_path / "run" / "best").resolve().name == f"step-{EVERY}"
    list(run.events())
    assert_ends_equal(tmp_path / "run", unbroken[0].folder.path)


def test_the_metrics_are_on_the_disk_when_their_checkpoint_is(spec: str, tmp_path: Path) -> None:
    run = new_run(spec, tmp_path / "run")
    for event in run.events():
        if isinstance(event, Evaluation):
            assert metric_lines(run.folder.path)[-1] == {"step": event.step, "valid": event.metrics}


def test_a_run_killed_between_an_evaluation_and_its_checkpoint_has_no_line_of_metrics_twice(
    spec: str, unbroken: tuple[Run, dict[int, dict[str, str]]], tmp_path: Path
) -> None:
    events = new_run(spec, tmp_path / "run").events()
    assert any(isinstance(event, Evaluation) and event.step == 2 * EVERY for event in events)
    events.close()
    assert [line["step"] for line in metric_lines(tmp_path / "run")] == [1, EVERY, 2 * EVERY, 2 * EVERY]
    again = resume(tmp_path / "run")
    assert again.learner.step == EVERY
    list(again.events())
    assert_ends_equal(tmp_path / "run", unbroken[0].folder.path)


def test_a_line_of_metrics_that_was_cut_short_is_dropped(spec: str, tmp_path: Path) -> None:
    run = new_run(spec, tmp_path / "run")
    list(run.events(should_stop=lambda: run.learner.step == EVERY))
    expected = metric_lines(tmp_path / "run")
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "valid": {"loss": 1.0}')
    resume(tmp_path / "run")
    assert metric_lines(tmp_path / "run") == expected


def test_a_damaged_checkpoint_is_passed_over_and_named(
    spec: str, unbroken: tuple[Run, dict[int, dict[str, str]]], tmp_path: Path
) -> None:
    run = new_run(spec, tmp_path / "run")
    list(run.events(should_stop=lambda: run.learner.step == EVERY + 2))
    file = tmp_path / "run" / "checkpoints" / f"step-{EVERY + 2}" / OPTIMIZER
    file.write_bytes(file.read_bytes()[:-1])
    again = resume(tmp_path / "run")
    assert again.history == f"goes on from step {EVERY}; damaged, so not used: step-{EVERY + 2}"
    list(again.events())
    assert again.history in (tmp_path / "run" / "train.log").read_text()
    assert_ends_equal(tmp_path / "run", unbroken[0].folder.path)


def test_every_damage_is_passed_over_and_named(
    spec: str, unbroken: tuple[Run, dict[int, dict[str, str]]], tmp_path: Path, record_property: Record
) -> None:
    run = new_run(spec, tmp_path / "run")
    list(run.events(should_stop=lambda: run.learner.step == EVERY + 2))
    whole = shutil.copytree(tmp_path / "run", tmp_path / "whole", symlinks=True)
    record_property("damages", damages := repeats(4, 500))
    for seed in range(damages):
        shutil.rmtree(tmp_path / "run")
        shutil.copytree(whole, tmp_path / "run", symlinks=True)
        how = damage(tmp_path / "run" / "checkpoints" / f"step-{EVERY + 2}", random.Random(seed))
        again = resume(tmp_path / "run")
        assert again.history == f"goes on from step {EVERY}; damaged, so not used: step-{EVERY + 2}", how
    list(again.events())
    assert_ends_equal(tmp_path / "run", unbroken[0].folder.path)


# ---- going further than was asked for ----------------------------------------------------------------------


@pytest.fixture
def finished(spec: str, tmp_path: Path) -> Run:
    run = tiny_run(spec, tmp_path / "run", {"max_steps": 4, "evaluate_every": 2})
    list(run.events())
    return run


def frozen_steps(path: Path) -> int:
    return int(read_yaml(path / "config.yaml")[0]["training"]["max_steps"])


def test_a_run_from_before_there_was_muon_goes_on_with_adamw_and_without_a_mean(spec: str, tmp_path: Path) -> None:
    older = {**TRAINING, "optimizer": "adamw", "average": 0}
    run = tiny_run(spec, tmp_path / "run", older)
    list(run.events(should_stop=lambda: run.learner.step == 7))
    settings = tmp_path / "run" / "config.yaml"
    lines = settings.read_text("utf-8").splitlines(keepends=True)
    settings.write_text("".join(line for line in lines if not line.strip().startswith(("optimizer:", "average:"))))
    again = resume(tmp_path / "run")
    assert again.settings.training.optimizer == "adamw"
    assert again.learner.average is None
    list(again.events())
    whole = tiny_run(spec, tmp_path / "whole", older)
    list(whole.events())
    assert weights(again) == weights(whole)


def test_a_finished_run_needs_to_be_told_how_far_to_go(finished: Run) -> None:
    with pytest.raises(ConfigError, match=r"all 4 steps are done; to go on, add --max-steps \+N"):
        resume(finished.folder.path)


@pytest.mark.parametrize(
    ("limit", "text", "epochs", "steps"),
    [
        ("max_steps", "+3", 0, 4 + 3),
        ("max_steps", "6", 0, 6),
        ("epochs", "+2", 2, 4),
        ("epochs", "+0.5", 0.5, 4),
        ("epochs", "3", 3, 0),
    ],
)
def test_a_plus_adds_to_what_was_asked_for_and_a_bare_number_is_a_new_total(
    limit: str, text: str, epochs: float, steps: int, finished: Run
) -> None:
    path = finished.folder.path
    run = resume(path, {limit: text})
    total = steps + round(epochs * run.learner.sampler.batches_per_epoch)
    assert frozen_steps(path) == total
    events = list(run.events())
    assert events[-1] == Finished(total, "steps")
    assert [event.step for event in events if isinstance(event, Step)] == list(range(5, total + 1))
    assert load_training_state(path / "last").values["step"] == total


def test_a_run_given_more_time_ends_by_then(finished: Run) -> None:
    path = finished.folder.path
    run = resume(path, {"max_time": "+2s"})
    steps = frozen_steps(path)
    assert steps > 4
    assert run.settings.training.max_steps == steps
    seconds = [event.seconds for event in run.events() if isinstance(event, Step | Evaluation)]
    assert sum(seconds) < 2.5
    assert load_training_state(path / "last").values["step"] <= frozen_steps(path)  # planned anew on the way


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"max_steps": "+many"}, r"--max-steps \+many: expected a number such as \+1000"),
        ({"max_steps": "1.5"}, "--max-steps 1.5: expected a number"),
        ({"epochs": "inf"}, "--epochs inf: expected a number"),
        ({"epochs": "+nan"}, r"--epochs \+nan: expected a number"),
        ({"max_steps": "3"}, "4 are done; give more"),
        ({"max_steps": "-3"}, "4 are done; give more"),
        ({"max_steps": "+0"}, "4 are done; give more"),
        ({"max_time": "soon"}, "'soon' is no duration"),
        ({"max_time": "0.001s"}, "the time is too short"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_and_leaves_the_run_as_it_was(
    more: dict[str, str], message: str, finished: Run
) -> None:
    path = finished.folder.path
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with pytest.raises(ConfigError, match=message):
        resume(path, more)
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before
    assert resume(path, {"max_steps": "+1"}).settings.training.max_steps == 5


def test_other_data_is_refused(tmp_path: Path) -> None:
    spec = write(tmp_path, pairs(20))
    run = tiny_run(spec, tmp_path / "run", {"max_steps": 2})
    list(run.events())
    write(tmp_path, pairs(20, seed=1))
    with pytest.raises(DataError, match="not the text that the run began with"):
        resume(tmp_path / "run", {"max_steps": "+2"})


def test_what_is_no_run_is_refused(spec: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such folder; expected a run folder"):
        resume(tmp_path / "nowhere")
    run = tiny_run(spec, tmp_path / "run", {"max_steps": 4})
    events = run.events()
    next(events)
    events.close()
    with pytest.raises(CheckpointError, match="no whole checkpoint to go on from"):
        resume(tmp_path / "run")


def test_a_missing_report_on_the_data_is_named(finished: Run) -> None:
    (finished.folder.path / "data.json").unlink()
    with pytest.raises(CheckpointError, match=r"data\.json: missing or damaged"):
        resume(finished.folder.path, {"max_steps": "+1"})


def test_a_run_that_is_going_on_is_not_resumed_a_second_time(spec: str, tmp_path: Path) -> None:
    run = tiny_run(spec, tmp_path / "run", {"max_steps": 4, "evaluate_every": 1})
    events = run.events()
    next(events)
    with pytest.raises(ConfigError, match="is writing to this run"):
        resume(tmp_path / "run")
    assert events.close() is None


def test_the_resumed_run_can_be_loaded_and_used(finished: Run) -> None:
    list(resume(finished.folder.path, {"max_steps": "+2"}).events())
    assert isinstance(load(finished.folder.path, "cpu").translate("I see cats."), str)


def test_a_resume_that_comes_too_late_changes_nothing(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(tiny_run(spec, tmp_path / "run", {"max_steps": 4}).events())
    files = [tmp_path / "run" / name for name in ("config.yaml", "metrics.jsonl")]
    before = [file.read_bytes() for file in files]
    with ExitStack() as other:

        def another_begins(data: Data, *_: object) -> Corpus:
            other.enter_context(RunFolder.open(tmp_path / "run").lock())
            return load_corpus(data)

        monkeypatch.setattr("keifu.training.start.load_corpus", another_begins)
        with pytest.raises(ConfigError, match="is writing to this run"):
            resume(tmp_path / "run", {"max_steps": "+100"})
    assert [file.read_bytes() for file in files] == before


def test_a_run_that_was_resumed_twice_goes_on_once(
    spec: str, unbroken: tuple[Run, dict[int, dict[str, str]]], tmp_path: Path
) -> None:
    run = new_run(spec, tmp_path / "run")
    list(run.events(should_stop=lambda: run.learner.step == 7))
    one, other = resume(tmp_path / "run"), resume(tmp_path / "run")
    list(one.events())
    with pytest.raises(ConfigError, match="another process has gone on with this run meanwhile; resume it again"):
        list(other.events())
    assert_ends_equal(tmp_path / "run", unbroken[0].folder.path)
