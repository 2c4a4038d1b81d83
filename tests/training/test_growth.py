"""Steps that grow: how many batches they have, what they learn from, and how a time or epochs come to steps."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from keifu.training import start
from keifu.training.budget import Speed, plan
from keifu.training.growth import batches_after, batches_in_step, steps_for
from keifu.training.journal import Journal, clock
from keifu.training.loop import Planned, Step, Stopped, accumulate_gradients, take_step
from keifu.training.run import Run
from keifu.training.settings import Training
from keifu.training.start import estimate, resume
from tests.tiny import pairs, tiny_run, weights, write


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(tmp_path_factory.mktemp("data"), pairs(40))


def steps_of(run: Run) -> list[Step]:
    return [event for event in run.events() if isinstance(event, Step)]


def place(run: Run) -> tuple[int, int]:
    return run.learner.sampler.epoch, run.learner.sampler.batch


# ---- how many ----------------------------------------------------------------------------------------------


@given(growth=st.integers(1, 64), each=st.integers(1, 20))
def test_a_step_has_one_batch_at_first_and_one_more_after_each_equal_share(growth: int, each: int) -> None:
    steps = growth * each
    counts = [batches_in_step(step, steps, growth) for step in range(1, steps + 1)]
    assert counts == [level for level in range(1, growth + 1) for _ in range(each)]


@given(steps=st.integers(1, 300), growth=st.integers(1, 64), after=st.integers(0, 300))
def test_the_batches_that_are_left_are_those_of_the_steps_one_by_one(steps: int, growth: int, after: int) -> None:
    left = [batches_in_step(step, steps, growth) for step in range(after + 1, steps + 1)]
    assert batches_after(after, steps, growth) == sum(left)


@given(batches=st.integers(1, 2000), growth=st.integers(1, 64), after=st.integers(0, 300))
def test_as_few_steps_as_have_so_many_batches(batches: int, growth: int, after: int) -> None:
    steps = steps_for(batches, growth, after)
    assert batches_after(after, steps, growth) >= batches > batches_after(after, steps - 1, growth)


def test_a_run_draws_so_many_batches(spec: str, tmp_path: Path) -> None:
    run = tiny_run(spec, tmp_path / "run", {"max_steps": 12, "evaluate_every": 100, "batch_growth": 3})
    drawn = []
    real = type(run.learner.sampler).__next__

    def counted(sampler: Any) -> Any:
        drawn.append(run.learner.step)
        return real(sampler)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(run.learner.sampler), "__next__", counted)
        steps = steps_of(run)
    counts = [1] * 4 + [2] * 4 + [3] * 4
    assert [drawn.count(step) for step in range(12)] == [step.batches for step in steps] == counts


# ---- what they learn from ----------------------------------------------------------------------------------


def test_the_gradient_is_that_of_all_batches_as_one(spec: str) -> None:
    learner = tiny_run(spec, Path("unused"), model={"dropout": 0.0}).learner
    learner.network.double()
    batches = [np.arange(5), np.arange(5, 16), np.arange(16, 18)]

    def gradients() -> torch.Tensor:
        found = torch.cat([weight.grad.flatten() for weight in learner.network.parameters() if weight.grad is not None])
        learner.network.zero_grad()
        return found

    for parts in (1, 3):
        loss, tokens = accumulate_gradients(learner, batches, parts)
        separate = gradients()
        whole = accumulate_gradients(learner, [np.concatenate(batches)], 1)
        assert whole == (pytest.approx(loss, abs=1e-12), tokens)
        assert float((separate - gradients()).abs().max()) < 1e-12


@pytest.mark.parametrize("part", range(3))
def test_a_step_that_is_stopped_leaves_no_trace_also_where_an_epoch_ends_in_it(part: int, spec: str) -> None:
    run = tiny_run(spec, Path("unused"), {"max_steps": 100, "batch_growth": 3})
    learner, training = run.learner, run.settings.training
    learner.step = 90
    learner.sampler.go_to(0, learner.sampler.batches_per_epoch - 1)
    before = (place(run), weights(run), learner.progress)
    following = [rows.tolist() for rows in itertools.islice(learner.sampler, 4)]
    learner.sampler.go_to(*before[0])
    asked = itertools.count()
    with pytest.raises(Stopped):
        take_step(learner, training, lambda: next(asked) == part)
    assert (place(run), weights(run), learner.progress) == before
    assert all(weight.grad is None for weight in learner.network.parameters())
    assert [rows.tolist() for rows in itertools.islice(learner.sampler, 4)] == following


# ---- how long ----------------------------------------------------------------------------------------------


def test_epochs_are_passes_over_the_data_however_steps_grow(spec: str, tmp_path: Path) -> None:
    training = {"epochs": 6, "evaluate_every": 1000, "batch_growth": 3, "batch_tokens": 30}
    run = tiny_run(spec, tmp_path / "run", training)
    batches, steps = run.learner.sampler.batches_per_epoch, run.settings.training.max_steps or 0
    assert 6 * batches <= batches_after(0, steps, 3) < 6 * batches + 3
    assert estimate(run)["epochs"] == batches_after(0, steps, 3) / batches
    list(run.events(should_stop=lambda: run.learner.step == steps // 2))
    for limit, total in (("9", 9), ("+3", 12)):  # of a run that was stopped half way
        longer = resume(tmp_path / "run", {"epochs": limit})
        step, most = longer.learner.step, longer.settings.training.max_steps or 0
        coming = longer.learner.drawn + batches_after(step, most, 3)
        assert coming / batches == pytest.approx(total, abs=6 / batches)  # a step is not cut
    list(longer.events())
    assert longer.learner.drawn == coming
    assert longer.learner.sampler.epoch + longer.learner.sampler.batch / batches == pytest.approx(total, abs=0.5)


def test_a_finished_run_may_have_more_epochs(spec: str, tmp_path: Path) -> None:
    run = tiny_run(spec, tmp_path / "run", {"epochs": 2, "evaluate_every": 1000, "batch_growth": 3, "batch_tokens": 30})
    list(run.events())
    longer = resume(tmp_path / "run", {"epochs": "3"})
    list(longer.events())
    assert longer.learner.drawn / run.learner.sampler.batches_per_epoch == pytest.approx(3, abs=0.2)


@given(
    seconds=st.floats(100, 1e5),
    growth=st.integers(1, 64),
    update=st.floats(0, 0.9),
    done=st.integers(0, 1000),
    every=st.none() | st.integers(1, 1000),
)
def test_the_time_is_filled_with_steps_of_the_length_that_they_will_have(
    seconds: float, growth: int, update: float, done: int, every: int | None
) -> None:
    speed, settings = Speed(1.0, 0.5, 0, update), Training(batch_growth=growth, evaluate_every=every)

    def taken(steps: int) -> float:
        evaluations = -(-steps // found.evaluate_every)
        return speed.seconds(steps, batches_after(done, done + steps, growth)) + 0.5 * evaluations

    found = plan(seconds, speed, settings, done=done)
    assert taken(found.steps) < seconds
    if every is None:
        assert taken(found.steps) > 0.8 * seconds - 2 * growth


def test_no_step_is_planned_where_there_is_time_for_none() -> None:
    assert plan(1.0, Speed(1.0, 5.0, 0), Training(batch_growth=4)).steps == 0


def test_a_run_that_was_told_a_time_counts_the_batches_to_come(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "_measure", lambda run, seconds: Speed(step=1.0, evaluation=0.01, memory=0, update=0.2))
    planned = {}
    for growth in (1, 4):
        training = {"max_time": "1000s", "batch_growth": growth}
        planned[growth] = tiny_run(spec, tmp_path / f"run-{growth}", training).settings.training.max_steps or 0
    assert planned[1] == pytest.approx((0.8 * 2.5 + 0.2) * planned[4], rel=0.02)
    estimated = estimate(tiny_run(spec, tmp_path / "other", {"max_steps": 8, "batch_growth": 4}))
    assert estimated["seconds_a_step"] == pytest.approx(0.8 * 2.5 + 0.2)


def test_nothing_is_planned_anew_where_batches_and_updates_take_what_was_measured(spec: str, tmp_path: Path) -> None:
    run = tiny_run(spec, tmp_path / "run", {"max_steps": 100, "evaluate_every": 10, "batch_growth": 5})
    run.planned, run.speed = True, Speed(1.0, 0.001, 0, update=0.4)
    clock = 0.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keifu.training.run.time.monotonic", lambda: clock)
        run.deadline = (run.speed.seconds(100, 300) + 10 * 0.001 + 0.1) / 0.98
        plan_again = run._planner()
        for step in range(1, 41):
            run.learner.step, run.learner.drawn = step, batches_after(0, 100, 5) - batches_after(step, 100, 5)
            clock += 0.4 + 0.6 * batches_in_step(step, 100, 5)
            if step % 10 == 0:
                clock += 0.001
                assert plan_again(0.001) is None, step


def test_what_is_left_is_told_by_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keifu.training.journal.time.monotonic", lambda: 0.0)
    journal = Journal(Training(max_steps=30, batch_growth=3), interval=0.0)
    assert (journal.line(Step(1, 0, 1.0, 10, 1e-3, 1.0, 2.0)) or "").endswith(f"left {clock(2.0 * 59)}")
    assert (journal.line(Step(30, 0, 1.0, 30, 1e-3, 1.0, 6.0, 3)) or "").endswith("left 0s")
    journal.line(Planned(30, 40))
    assert "step 30/40 " in (journal.line(Step(30, 0, 1.0, 30, 1e-3, 1.0, 6.0, 3)) or "")


def test_an_update_is_timed_apart_only_where_steps_grow(spec: str, tmp_path: Path) -> None:
    for growth in (1, 2):
        run = tiny_run(spec, tmp_path / f"run-{growth}", {"max_steps": 5, "batch_growth": growth})
        estimate(run)
        assert run.speed is not None
        assert 0 <= run.speed.update <= run.speed.step
        assert (run.speed.update > 0) == (growth > 1)
