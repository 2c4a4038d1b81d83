"""A time becomes a number of steps that fits into it, evaluations included."""

import math
import resource
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from keifu.config import read_yaml
from keifu.errors import ConfigError
from keifu.training import budget, start
from keifu.training.budget import MEASURED_SHARE, Plan, Speed, duration_of, measure, plan
from keifu.training.loop import Evaluation, Finished, Planned
from keifu.training.settings import Training
from keifu.training.start import resume
from tests.small_text import language_run, running, write_text
from tests.tiny import tiny_run, weights


def planned(seconds: float, per_step: float, per_evaluation: float, every: int | None = None) -> tuple[Plan, float]:
    """The plan on a machine with these speeds, and the time that measuring them took there."""
    clock = SimpleNamespace(now=0.0)

    def take_step(*_: Any) -> None:
        clock.now += per_step

    def evaluate(_: Any) -> Evaluation:
        clock.now += per_evaluation
        return Evaluation(0, {}, [], per_evaluation)

    sampler = SimpleNamespace(largest=lambda: None)
    trial: Any = SimpleNamespace(sampler=sampler, device=torch.device("cpu"), carried=[])
    settings = Training(evaluate_every=every)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget, "time", SimpleNamespace(monotonic=lambda: clock.now))
        patch.setattr(budget, "take_step", take_step)
        patch.setattr(budget, "accumulate_gradients", take_step)
        speed = measure(trial, settings, evaluate, MEASURED_SHARE * seconds)
    assert speed.step == pytest.approx(per_step)
    assert speed.evaluation == per_evaluation
    return plan(seconds - clock.now, speed, settings), clock.now


@given(
    seconds=st.floats(1, 1e4),
    per_step=st.floats(1e-2, 10),
    per_evaluation=st.floats(1e-3, 100),
    every=st.none() | st.integers(1, 10_000),
)
def test_what_is_planned_fits_into_the_time_with_every_evaluation(
    seconds: float, per_step: float, per_evaluation: float, every: int | None
) -> None:
    found, spent = planned(seconds, per_step, per_evaluation, every)
    evaluations = math.ceil(found.steps / found.evaluate_every)
    if found.steps:
        assert spent + found.steps * per_step + evaluations * per_evaluation <= seconds
        assert evaluations <= (20 if every is None else found.steps)
    if every is not None:
        assert found.evaluate_every == every


def test_nearly_all_of_the_time_is_used_for_steps_where_evaluations_are_quick() -> None:
    found, _ = planned(600, per_step=0.1, per_evaluation=1.0)
    assert found.steps * 0.1 > 0.88 * 600
    assert math.ceil(found.steps / found.evaluate_every) == 20


def test_where_evaluations_are_slow_there_are_fewer_and_most_of_the_time_is_for_steps() -> None:
    found, _ = planned(600, per_step=0.1, per_evaluation=10.0)
    evaluations = math.ceil(found.steps / found.evaluate_every)
    assert 1 < evaluations < 20
    assert found.steps * 0.1 > 0.8 * 600


def test_the_time_of_a_number_of_steps_counts_every_evaluation() -> None:
    speed = Speed(step=0.5, evaluation=3.0, memory=0)
    assert duration_of(20, speed, Training(evaluate_every=10)) == 20 * 0.5 + 2 * 3.0
    assert duration_of(21, speed, Training(evaluate_every=10)) == 21 * 0.5 + 3 * 3.0


def test_measuring_takes_three_steps_after_the_largest_batch_and_changes_nothing_of_the_run(
    corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny_run(corpus, tmp_path / "run", {"max_steps": 4})
    before, steps = weights(run), []
    real = budget.take_step
    monkeypatch.setattr(budget, "take_step", lambda *given: steps.append(real(*given)))
    monkeypatch.setattr(start, "ENOUGH", 0.0)
    found = start.estimate(run)
    assert len(steps) == 4
    assert weights(run) == before
    assert (run.learner.step, run.learner.sampler.batch) == (0, 0)
    assert found["steps"] == 4
    assert found["seconds"] >= 4 * found["seconds_a_step"] > 0
    assert found["memory_free"] > 0
    assert found["memory"] == pytest.approx(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, rel=0.1)


def test_a_step_is_measured_with_all_that_it_looks_back_on(tmp_path: Path) -> None:
    spec = write_text(tmp_path / "a.txt", running(200))
    sizes = {"model": {"max_length": 20, "d_model": 8}, "data": {"window": 5}}
    run = language_run(spec, tmp_path / "run", {"max_steps": 50, "batch_tokens": 20}, "rnn-attention", **sizes)
    taken: list[int] = []
    real = budget.take_step

    def seen(trial: Any, settings: Training) -> Any:
        step = real(trial, settings)
        taken.append(trial.carried[0].past.keys.shape[3])
        return step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget, "take_step", seen)
        patch.setattr(budget, "_LONGEST", 10_000)
        measure(start._fresh_learner(run.settings, run.lesson), run.settings.training, run.rehearse, seconds=0.001)
    assert taken == [5, 10, 15, 19, 19]


def test_no_step_is_planned_where_there_is_time_for_none() -> None:
    assert planned(5, per_step=0.1, per_evaluation=5.0)[0].steps == 0


def test_a_run_ends_by_its_time_and_the_steps_are_frozen(corpus: str, tmp_path: Path) -> None:
    began = time.monotonic()
    run = tiny_run(corpus, tmp_path / "run", {"max_time": "3s"})
    events = list(run.events())
    assert time.monotonic() - began < 3.5  # half a second for other processes of the machine
    frozen = read_yaml(tmp_path / "run" / "config.yaml")[0]["training"]
    assert frozen["max_steps"] == run.settings.training.max_steps
    assert 1 <= sum(isinstance(event, Evaluation) for event in events) <= 20
    assert events[-1].step <= frozen["max_steps"]
    assert events[-1].step > 1
    assert (tmp_path / "run" / "best" / "model.safetensors").exists()


def test_an_unfinished_run_with_a_time_limit_goes_on_to_the_frozen_steps(corpus: str, tmp_path: Path) -> None:
    run = tiny_run(corpus, tmp_path / "run", {"max_time": "3s", "evaluate_every": 10})
    steps = run.settings.training.max_steps or 0
    list(run.events(should_stop=lambda: run.learner.step == 5))
    again = resume(tmp_path / "run")
    assert again.settings.training.max_steps == steps
    assert again.deadline == math.inf


def test_a_time_that_is_too_short_for_one_step_is_refused_before_anything_is_written(
    corpus: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="the time is too short for one step and one evaluation"):
        tiny_run(corpus, tmp_path / "run", {"max_time": "0.001s"})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("wrong", [8.0, 0.125])  # more than a busy machine is wrong by
def test_a_run_whose_steps_take_longer_or_shorter_than_measured_is_planned_anew_and_ends_its_schedule(
    wrong: float, corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = start._measure

    def measured_wrongly(*given: Any) -> Speed:
        speed = real(*given)
        return Speed(speed.step * wrong, speed.evaluation, speed.memory)

    monkeypatch.setattr(start, "_measure", measured_wrongly)
    began = time.monotonic()
    run = tiny_run(corpus, tmp_path / "run", {"max_time": "5s"})
    first = run.settings.training.max_steps or 0
    events = list(run.events())
    assert time.monotonic() - began < 5.5
    planned = [event.max_steps for event in events if isinstance(event, Planned)]
    assert planned
    assert (planned[-1] > 1.5 * first) if wrong > 1 else (planned[-1] < 0.75 * first)
    frozen = read_yaml(tmp_path / "run" / "config.yaml")[0]["training"]
    assert frozen["max_steps"] == planned[-1] == run.settings.training.max_steps
    assert frozen["warmup"] * frozen["max_steps"] == pytest.approx(0.05 * first)  # over by then, so it stays as it was
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.step > 0.7 * planned[-1]  # all of them, unless the machine has become busier since the last plan
    assert sum(isinstance(event, Evaluation) for event in events) <= 21


def test_planned_anew_evaluations_that_turn_out_slow_become_fewer_rather_than_steps() -> None:
    settings = Training(max_steps=5000, evaluate_every=250)
    found = plan(500, Speed(step=0.1, evaluation=25.0, memory=0), settings, evaluations=19)
    assert found.steps * 0.1 > 0.8 * 500
    assert math.ceil(found.steps / found.evaluate_every) == 2
    assert plan(500, Speed(0.1, 0.1, 0), settings, evaluations=7).evaluate_every == pytest.approx(
        500 / 0.1 / 7, rel=0.05
    )


def test_a_run_with_a_number_of_steps_is_not_planned_anew(corpus: str, tmp_path: Path) -> None:
    run = tiny_run(corpus, tmp_path / "run", {"max_time": "60s", "max_steps": 7, "evaluate_every": 2})
    events = list(run.events())
    assert not any(isinstance(event, Planned) for event in events)
    assert events[-1] == Finished(7, "steps")


def test_evaluations_that_were_asked_for_stay_where_steps_are_planned_anew(corpus: str, tmp_path: Path) -> None:
    run = tiny_run(corpus, tmp_path / "run", {"max_time": "3s", "evaluate_every": 10})
    steps = [event.step for event in run.events() if isinstance(event, Evaluation)]
    assert steps[:-1] == list(range(10, 10 * len(steps), 10))
    assert run.settings.training.evaluate_every == 10
