"""A step's gradient is that of the mean over its tokens; the loop evaluates, saves and ends when it should."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from keifu.checkpoint import RunFolder, verify
from keifu.errors import DivergenceError
from keifu.session import load
from keifu.training import loop
from keifu.training.loop import (
    Checkpoint,
    Evaluation,
    Finished,
    Learner,
    Step,
    Stopped,
    accumulate_gradients,
    take_step,
    train,
)
from keifu.training.network import named_parameters
from keifu.training.run import Run
from keifu.training.settings import Training
from keifu.training.start import resume
from tests.counts import Record, repeats
from tests.tiny import optimiser_state, pairs, tiny_run, weights, write

ROWS = np.arange(16)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(tmp_path_factory.mktemp("data"), pairs(40))


def exact_learner(spec: str, smoothing: float, **model: Any) -> Learner:
    """A learner in float64 without dropout."""
    run = tiny_run(spec, Path("unused"), {"label_smoothing": smoothing}, model={"dropout": 0.0, **model})
    run.learner.network.double()
    return run.learner


def gradients(learner: Learner) -> dict[str, Tensor]:
    named = named_parameters(learner.model, learner.head)
    found = {name: parameter.grad.clone() for name, parameter in named if parameter.grad is not None}
    learner.network.zero_grad()
    assert len(found) == len(named)
    return found


def largest_difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)


# ---- the loss of a step ------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("draw", range(repeats(1, 20)))
def test_a_step_has_one_gradient_however_many_parts_it_is_computed_in(
    draw: int, smoothing: float, tied: bool, spec: str, record_property: Record
) -> None:
    learner = exact_learner(spec, smoothing, tie_embeddings=tied)
    rows = np.random.default_rng(draw).permutation(len(learner.data))[:16]
    lengths = learner.data.sizes[rows]
    assert len(np.unique(lengths[:, 1])) > 3
    loss, tokens = accumulate_gradients(learner, [rows], 1)
    whole = gradients(learner)
    assert tokens == lengths[:, 1].sum()
    differences = []
    for parts in (4, 16, 5, 40):  # 5: the last window is smaller; 40: more parts than rows
        assert accumulate_gradients(learner, [rows], parts) == (pytest.approx(loss, abs=1e-12), tokens)
        differences.append(largest_difference(gradients(learner), whole))
    assert max(differences) < 1e-12
    record_property("divisions of a step", len(differences))
    record_property("largest difference of a gradient", max(differences))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_the_loss_is_torchs_cross_entropy_averaged_over_the_tokens_of_the_step(smoothing: float, spec: str) -> None:
    learner = exact_learner(spec, smoothing)
    loss, _ = accumulate_gradients(learner, [ROWS], 4)
    ours = gradients(learner)

    batch = learner.task.batch(learner.data, ROWS)
    logits = learner.head(learner.model(batch.inputs).hidden)
    targets = batch.targets.masked_fill(~batch.inputs.target_mask, -100)
    scores = (logits.transpose(1, 2), targets)
    F.cross_entropy(*scores, label_smoothing=smoothing).backward()
    assert largest_difference(ours, gradients(learner)) < 1e-12
    assert loss == pytest.approx(F.cross_entropy(*scores).item(), abs=1e-12)


def test_the_mean_is_not_one_of_means_of_parts(spec: str) -> None:
    learner = exact_learner(spec, 0.0)
    by_length = np.argsort(learner.data.sizes[:, 1])
    short, long = by_length[:8], by_length[-8:]
    loss, _ = accumulate_gradients(learner, [np.concatenate([short, long])], 2)
    mean_of_means = (accumulate_gradients(learner, [short], 1)[0] + accumulate_gradients(learner, [long], 1)[0]) / 2
    assert abs(loss - mean_of_means) > 1e-4


def test_the_reported_loss_is_without_smoothing(spec: str) -> None:
    plain, smoothed = (accumulate_gradients(exact_learner(spec, smoothing), [ROWS], 2)[0] for smoothing in (0.0, 0.3))
    assert plain == pytest.approx(smoothed, abs=1e-12)


def test_a_penalty_of_the_model_weighs_as_much_as_a_token_each(spec: str) -> None:
    learner = exact_learner(spec, 0.0)
    accumulate_gradients(learner, [ROWS], 1)
    without = gradients(learner)
    weight = learner.model.source_embedding.tokens
    forward = learner.model.forward
    learner.model.forward = lambda batch: forward(batch)._replace(penalties=(weight.sum(),))
    for parts in (1, 4):
        accumulate_gradients(learner, [ROWS], parts)
        difference = gradients(learner)["model.source_embedding.tokens"] - without["model.source_embedding.tokens"]
        assert torch.allclose(difference, torch.ones_like(difference), atol=1e-12)


def test_gradients_are_clipped_as_a_whole_and_forgotten_after_the_step(spec: str, tmp_path: Path) -> None:
    run = tiny_run(spec, tmp_path, {"max_steps": 3, "clip_norm": 1e-3})
    seen: list[float] = []
    run.learner.optimizers[0].register_step_pre_hook(
        lambda *_: seen.append(math.sqrt(sum(float(p.grad.norm()) ** 2 for p in run.learner.network.parameters())))
    )
    step = take_step(run.learner, run.settings.training)
    assert step.norm > 0.1
    assert seen == [pytest.approx(1e-3, rel=1e-3)]
    assert all(parameter.grad is None for parameter in run.learner.network.parameters())


def test_a_steps_random_numbers_follow_from_the_seed_and_its_number_alone(spec: str, tmp_path: Path) -> None:
    def loss_of_second_step(seed: int, draw: bool) -> float:
        run = tiny_run(spec, tmp_path, {"max_steps": 5, "learning_rate": 1e-9, "seed": seed}, model={"dropout": 0.5})
        take_step(run.learner, run.settings.training)
        if draw:
            torch.rand(7)
        return take_step(run.learner, run.settings.training).loss

    assert loss_of_second_step(0, draw=False) == loss_of_second_step(0, draw=True)
    assert loss_of_second_step(0, draw=False) != loss_of_second_step(1, draw=False)


# ---- numbers that are not finite ---------------------------------------------------------------------------


class Poisoned:
    """A task whose losses in training are no numbers from the given call on."""

    def __init__(self, task: Any, call: int, poison: Callable[[Any], Any]) -> None:
        self._task, self._left, self._poison = task, call, poison

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def loss(self, *arguments: Any) -> Any:
        self._left -= 1
        found = self._task.loss(*arguments)
        return self._poison(found) if self._left < 0 else found


@pytest.mark.parametrize(
    "poison",
    [
        lambda loss: loss._replace(total=loss.total * math.nan, surprise=loss.surprise * math.nan),
        lambda loss: loss._replace(total=loss.total * math.nan),
        lambda loss: loss._replace(total=loss.total * math.inf),
        lambda loss: loss._replace(surprise=loss.surprise * math.inf),
    ],
    ids=["nan", "gradient nan", "infinite gradient", "infinite loss"],
)
@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("step", range(4, 4 + repeats(1, 5)))
def test_a_loss_that_is_no_number_stops_training_before_the_update(
    step: int, part: int, poison: Callable[[Any], Any], spec: str, tmp_path: Path, record_property: Record
) -> None:
    training = {"max_steps": 10, "evaluate_every": 2, "accumulate": 2}
    run = tiny_run(spec, tmp_path / "run", training)
    evaluations = (step - 1) // 2
    run.learner.task = Poisoned(run.learner.task, (step - 1) * 2 + part, poison)
    before: dict[int, tuple[str, str]] = {}
    steps = ((event.step, (weights(run), optimiser_state(run))) for event in run.events())
    with pytest.raises(
        DivergenceError,
        match=rf"^step {step}: the loss is .*; nothing was updated\. Checkpoints written before, if any, are good",
    ):
        before.update(steps)
    assert run.learner.step == step - 1
    assert (weights(run), optimiser_state(run)) == before[step - 1]
    assert RunFolder(run.folder.path).checkpoints()[0].name == f"step-{2 * evaluations}"
    assert verify(run.folder.path / "last") == []

    unbroken, again = tiny_run(spec, tmp_path / "unbroken", training), resume(run.folder.path)
    assert again.learner.step == 2 * evaluations
    assert list(again.events())[-1] == list(unbroken.events())[-1]
    assert (weights(again), optimiser_state(again)) == (weights(unbroken), optimiser_state(unbroken))
    record_property("losses and gradients that are no numbers", 1)


# ---- the order of events -----------------------------------------------------------------------------------


class Clock:
    """Time that passes only when something is done."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(loop, "time", clock)
    return clock


def events(
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    scores: Iterator[float] = iter(range(1000)),  # noqa: B008
    step_seconds: Callable[[int], float] = lambda step: 1.0,
    evaluation_seconds: float = 5.0,
    loss: float = 1.0,
    stopped_at: int | None = None,
    settings: Training = Training(max_steps=10, evaluate_every=4),  # noqa: B008
    **arguments: Any,
) -> list[Any]:
    """The events of a run in which nothing is computed but time passes."""
    learner: Any = SimpleNamespace(step=0, best=None, evaluated=0, waited=0, task=SimpleNamespace(selects_by="bleu"))

    def step(learner: Any, *_: Any) -> Step:
        learner.step += 1
        clock.now += step_seconds(learner.step)
        return Step(learner.step, 0, 1.0, 1, 1.0, 1.0, 1.0)

    def evaluate() -> Evaluation:
        if learner.step == stopped_at:
            raise Stopped
        clock.now += evaluation_seconds
        return Evaluation(learner.step, {"bleu": next(scores), "loss": loss}, [], evaluation_seconds)

    monkeypatch.setattr(loop, "take_step", step)
    return list(train(learner, settings, evaluate, lambda best: Path(f"step-{learner.step}"), **arguments))


def kinds(events: list[Any]) -> str:
    """Events in short: a number for a step, E, C (B for the best) and the reason for the end."""
    names = {Step: lambda e: str(e.step), Evaluation: lambda e: "E", Finished: lambda e: e.reason}
    return " ".join(names.get(type(e), lambda e: "B" if e.best else "C")(e) for e in events)


def test_it_evaluates_and_saves_every_few_steps_and_once_at_the_end(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kinds(events(clock, monkeypatch)) == "1 2 3 4 E B 5 6 7 8 E B 9 10 E B steps"
    even = Training(max_steps=8, evaluate_every=4)
    assert kinds(events(clock, monkeypatch, settings=even)) == "1 2 3 4 E B 5 6 7 8 E B steps"


def test_a_checkpoint_is_the_best_only_if_its_score_is_higher_than_all_before(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = Training(max_steps=6, evaluate_every=1)
    found = events(clock, monkeypatch, iter([0.0, 2.0, 2.0, 1.0, 3.0, 0.0]), settings=every)
    assert [event.best for event in found if isinstance(event, Checkpoint)] == [True, True, False, False, True, False]


@pytest.mark.parametrize("deadline", [10.0, 12.5, 17.0, 20.0, 24.9])
def test_it_is_done_by_the_deadline_with_the_last_evaluation(
    deadline: float, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slower = events(clock, monkeypatch, deadline=deadline, ending=5.0, step_seconds=lambda step: 0.5 + 0.1 * step)
    assert clock.now <= deadline
    assert kinds(slower).endswith(("E B time", "B time"))
    assert isinstance(slower[-2], Checkpoint)
    assert slower[-2].step == slower[-1].step


def test_the_time_that_an_evaluation_took_is_kept_for_the_last_one(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = events(clock, monkeypatch, deadline=16.0, ending=0.0)
    assert kinds(found) == "1 2 3 4 E B 5 6 E B time"  # 10 + 1.2 * 5 is not after the deadline, 11 + 1.2 * 5 is
    assert clock.now == 16.0


def test_a_stop_saves_without_an_evaluation(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def stops_after(steps: int) -> Callable[[], bool]:
        asked = iter(range(1000))
        return lambda: next(asked) == steps

    assert kinds(events(clock, monkeypatch, should_stop=stops_after(2))) == "1 2 C interrupted"
    assert kinds(events(clock, monkeypatch, should_stop=stops_after(4))) == "1 2 3 4 E B interrupted"
    assert kinds(events(clock, monkeypatch, should_stop=stops_after(0))) == "C interrupted"


def test_a_stop_in_an_evaluation_saves_without_its_scores(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kinds(events(clock, monkeypatch, stopped_at=8)) == "1 2 3 4 E B 5 6 7 8 C interrupted"
    assert kinds(events(clock, monkeypatch, stopped_at=10)) == "1 2 3 4 E B 5 6 7 8 E B 9 10 C interrupted"
    in_the_last_minute = events(clock, monkeypatch, deadline=clock.now + 16.0, stopped_at=6)
    assert kinds(in_the_last_minute) == "1 2 3 4 E B 5 6 C interrupted"


@pytest.mark.parametrize(("patience", "expected"), [(1, 3), (2, 7), (3, 8), (None, 8)])
def test_patience_ends_training_after_so_many_evaluations_without_a_better_score(
    patience: int | None, expected: int, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Training(max_steps=8, evaluate_every=1, patience=patience)
    found = events(clock, monkeypatch, iter([1.0, 2.0, 2.0, 3.0, 4.0, 1.0, 3.0, 3.9]), settings=settings)
    assert found[-1] == Finished(expected, "steps" if expected == 8 else "patience")
    assert [type(event) for event in found[-3:]] == [Evaluation, Checkpoint, Finished]


# ---- the real thing ----------------------------------------------------------------------------------------


def test_a_task_is_learned_and_the_best_checkpoint_is_kept(trained: Any) -> None:
    assert trained.metrics["loss"] < 0.8
    assert trained.metrics["bleu"] > 40
    assert load(trained.path, "cpu").path.name == f"step-{trained.metrics['step']}"


def test_an_epoch_ends_when_every_pair_was_seen(spec: str, tmp_path: Path) -> None:
    run: Run = tiny_run(spec, tmp_path / "run", {"epochs": 2, "evaluate_every": 1000})
    steps = [event for event in run.events() if isinstance(event, Step)]
    batches = run.learner.sampler.batches_per_epoch
    assert [event.epoch for event in steps] == [0] * batches + [1] * batches
    per_epoch = int(run.learner.data.sizes[:, 1].sum())
    assert sum(event.tokens for event in steps) == 2 * per_epoch


def test_a_loss_that_is_no_number_on_the_validation_data_saves_nothing(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DivergenceError, match="the loss on the validation data is nan; nothing was saved"):
        events(clock, monkeypatch, loss=float("nan"))
