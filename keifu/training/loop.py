"""The training loop, as a generator of events. It knows no architecture and no task.

A task turns rows of its data into batches and batches into sums of losses; a model turns batches into hidden vectors.
Where a batch goes on from the one before (windows of a long text), the state between them is carried, and saved.
The loss of a step is a mean over all of its tokens, however many parts it is computed in. The random numbers of a
step follow from the seed and the step's number alone, so a run that is resumed draws the same ones.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from keifu.data.batches import Indices, Sampler
from keifu.errors import DivergenceError
from keifu.interface import CarriedState
from keifu.training.average import Average
from keifu.training.growth import batches_in_step
from keifu.training.optimiser import learning_rate, restore_state, set_learning_rate, state_tensors
from keifu.training.precision import autocast
from keifu.training.settings import Training


@dataclass(frozen=True)
class Step:
    """One update. loss: nats a token before smoothing; tokens: scored ones; norm: of the gradient before clipping;
    batches: those that it was made from.
    """

    step: int
    epoch: int
    loss: float
    tokens: int
    learning_rate: float
    norm: float
    seconds: float
    batches: int = 1


@dataclass(frozen=True)
class Evaluation:
    """Scores on the validation data, and a few samples to read: (source, reference, output), or a text of its own."""

    step: int
    metrics: dict[str, Any]
    samples: Sequence[tuple[str, ...]]
    seconds: float


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint was written; `best` if it has the best score so far."""

    step: int
    path: Path
    best: bool


@dataclass(frozen=True)
class Planned:
    """The run will have `max_steps` steps: more or fewer than before fit into its time."""

    step: int
    max_steps: int


@dataclass(frozen=True)
class Finished:
    """The end: "steps" when all were done, "patience" when the score no longer rose, "time" at the deadline,
    "interrupted" when asked to stop.
    """

    step: int
    reason: str


class Stopped(Exception):
    """Raised by a step or an evaluation that was asked to stop before its end."""


ENDING = 1.2
"""Time kept for the last evaluation and checkpoint, as a multiple of what they are known to take."""

_TINY = 1e-6  # beside the norm of a gradient that is shortened, as in torch.nn.utils.clip_grad_norm_
_LATEST = "latest."  # before the names of weights that are not those in use
_CARRIED = "carried."  # before the names of the states that the next step goes on from

Event = Step | Evaluation | Checkpoint | Planned | Finished


@dataclass
class Learner:
    """All that changes while training: weights, optimisers, place in the data, step and best score.

    average: the running mean of the weights, where one is kept: it is evaluated and saved in their place. evaluated:
    the step of the latest evaluation; waited: evaluations since the one with the best score. progress: the share of the
    steps that is done, which stays where it is when a run is made longer. drawn: batches so far. carried: of each part
    of the latest batch the state that the next one goes on from, where there are any.
    """

    task: Any
    model: Any
    head: Any
    optimizers: list[torch.optim.Optimizer]
    peak: float
    sampler: Sampler
    data: Any
    device: torch.device
    dtype: torch.dtype
    average: Average | None = None
    step: int = 0
    best: float | None = None
    evaluated: int = 0
    waited: int = 0
    progress: float = 0.0
    drawn: int = 0
    carried: list[CarriedState] = field(default_factory=list)
    network: nn.ModuleDict = field(init=False)

    def __post_init__(self) -> None:
        self.network = nn.ModuleDict({"model": self.model, "head": self.head})

    def used_weights(self) -> AbstractContextManager[None]:
        """Puts the weights that are evaluated and saved in place inside the block."""
        return self.average.in_place() if self.average else nullcontext()

    def position(self) -> dict[str, Any]:
        """Plain values that, beside weights and optimiser, say where training stands."""
        return {
            "step": self.step,
            "epoch": self.sampler.epoch,
            "batch": self.sampler.batch,
            "best": self.best,
            "evaluated": self.evaluated,
            "waited": self.waited,
            "progress": self.progress,
            "drawn": self.drawn,
        }

    def memory(self) -> dict[str, Tensor]:
        """Tensors that training needs beside the weights in use: the optimisers', the weights of the latest step where
        their mean is used, and carried states.
        """
        named = list(self.network.named_parameters())
        latest = {f"{_LATEST}{name}": weight.detach() for name, weight in named} if self.average else {}
        carried = {
            f"{_CARRIED}{part}.{name}": tensor
            for part, state in enumerate(self.carried)
            for name, tensor in state.tensors().items()
        }
        return state_tensors(self.optimizers, named) | latest | carried

    def recall(self, memory: dict[str, Tensor]) -> None:
        """Puts back what `memory` gave, into a learner whose weights are those in use."""
        named = list(self.network.named_parameters())
        restore_state(self.optimizers, named, memory)
        if self.average:
            self.average.begin()
        with torch.no_grad():
            for name, weight in named:
                weight.copy_(memory.get(f"{_LATEST}{name}", weight))
        carried: dict[int, dict[str, Tensor]] = {}
        for name, tensor in memory.items():
            if name.startswith(_CARRIED):
                part, _, inner = name.removeprefix(_CARRIED).partition(".")
                carried.setdefault(int(part), {})[inner] = tensor.to(self.device)
        self.carried = [self.model.state_of(carried[part]) for part in sorted(carried)]

    def restore(self, position: dict[str, Any]) -> None:
        """Goes to a place that `position` gave."""
        self.step, self.best = position["step"], position["best"]
        self.evaluated, self.waited = position.get("evaluated", self.step), position.get("waited", 0)
        self.progress, self.drawn = position.get("progress", 0.0), position.get("drawn", self.step)
        self.sampler.go_to(position["epoch"], position["batch"])


def train(
    learner: Learner,
    settings: Training,
    evaluate: Callable[[], Evaluation],
    save: Callable[[bool], Path],
    should_stop: Callable[[], bool] = lambda: False,
    deadline: float = math.inf,
    ending: float = 0.0,
    plan_again: Callable[[float], Training | None] = lambda ending: None,
) -> Iterator[Event]:
    """Trains until `settings.max_steps`; evaluates and saves every `settings.evaluate_every` steps and at the end.

    should_stop: asked before each step and within it; when true, the run saves what the steps before came to and ends.
    evaluate may ask too, and raise Stopped; the evaluation is then made first when the run goes on. deadline: on the
    clock of time.monotonic, by which the last evaluation and checkpoint are done too, judged by how long the latest
    took; ending: how long the first may take. A step of several batches is not begun where it would end later than one
    of a single batch might. plan_again: told after each checkpoint how long evaluation and saving took; the settings to
    go on with, where others fit better. Raises DivergenceError before an update with a loss or gradient that is not a
    finite number.
    """
    assert settings.max_steps is not None
    saved = learner.step or -1  # a run that is stopped before its first step can be resumed too
    reason, longer = "", 0.0
    try:
        while not reason:
            if _is_due(learner, settings):
                began = time.monotonic()
                yield from _evaluate_and_save(learner, evaluate, save)
                saved, ending = learner.step, time.monotonic() - began
                if (planned := plan_again(ending)) is not None and planned.max_steps is not None:
                    settings = planned
                    yield Planned(learner.step, planned.max_steps)
            reason = _why_to_end(learner, settings, should_stop, deadline - ENDING * ending - longer)
            if not reason:
                step = take_step(learner, settings, should_stop)
                longer = step.seconds * (1 - 1 / step.batches)
                yield step
        if reason == "time" and saved != learner.step:
            yield from _evaluate_and_save(learner, evaluate, save)
            saved = learner.step
    except Stopped:
        reason = "interrupted"
    if saved != learner.step:
        yield Checkpoint(learner.step, save(False), best=False)
    yield Finished(learner.step, reason)


def _is_due(learner: Learner, settings: Training) -> bool:
    """Whether an evaluation belongs here that has not been made."""
    assert settings.evaluate_every is not None
    since = learner.step - learner.evaluated
    return since >= settings.evaluate_every or (since > 0 and learner.step == settings.max_steps)


def _why_to_end(learner: Learner, settings: Training, should_stop: Callable[[], bool], latest: float) -> str:
    """The reason not to take another step, or ""."""
    assert settings.max_steps is not None
    if learner.step >= settings.max_steps:
        return "steps"
    if should_stop():
        return "interrupted"
    if settings.patience is not None and learner.waited >= settings.patience:
        return "patience"
    return "time" if time.monotonic() > latest else ""


def _evaluate_and_save(
    learner: Learner, evaluate: Callable[[], Evaluation], save: Callable[[bool], Path]
) -> Iterator[Event]:
    evaluation = evaluate()
    if not math.isfinite(evaluation.metrics["loss"]):
        raise DivergenceError(
            f"step {learner.step}: the loss on the validation data is {evaluation.metrics['loss']}; nothing was saved. "
            "Checkpoints written before, if any, are good: try a lower training.learning_rate, or "
            "training.precision=fp32"
        )
    yield evaluation
    score = score_of(evaluation.metrics, learner.task.selects_by)
    best = learner.best is None or score > learner.best
    if best:
        learner.best = score
    learner.evaluated, learner.waited = learner.step, 0 if best else learner.waited + 1
    yield Checkpoint(learner.step, save(best), best)


def score_of(metrics: Mapping[str, Any], selects_by: str) -> float:
    """What the best checkpoint has most of. selects_by: the name of a metric; with a minus, of one to have least of."""
    value = float(metrics[selects_by.removeprefix("-")])
    return -value if selects_by.startswith("-") else value


def take_step(learner: Learner, settings: Training, should_stop: Callable[[], bool] = lambda: False) -> Step:
    """One update from the sampler's next batches, as many as a step has by now. Raises Stopped, with the learner as it
    was, when asked to stop before the update.
    """
    assert settings.max_steps is not None
    began = time.perf_counter()
    step = learner.step + 1
    torch.manual_seed((settings.seed << 32) + step)
    rate = learning_rate(step, settings, learner.peak)
    set_learning_rate(learner.optimizers, rate)
    learner.network.train()
    before = (learner.sampler.epoch, learner.sampler.batch), learner.carried, learner.progress
    learner.progress = max(learner.progress, (step - 1) / settings.max_steps)
    if hasattr(learner.model, "before_step"):  # a model may change on the way
        learner.model.before_step(learner.progress)
    drawn = [next(learner.sampler) for _ in range(batches_in_step(step, settings.max_steps, settings.batch_growth))]
    try:
        loss, tokens = accumulate_gradients(learner, drawn, settings.accumulate, should_stop)
    except Stopped:
        learner.network.zero_grad(set_to_none=True)
        place, learner.carried, learner.progress = before
        learner.sampler.go_to(*place)
        if forget_step := getattr(learner.model, "forget_step", None):
            forget_step()
        raise
    gradients = [weight.grad for weight in learner.network.parameters() if weight.grad is not None]
    norm = float(nn.utils.get_total_norm(gradients))
    if not (math.isfinite(norm) and math.isfinite(loss)):
        raise DivergenceError(
            f"step {step}: the loss is {loss}, the gradient's norm {norm}; nothing was updated. "
            "Checkpoints written before, if any, are good: try a lower training.learning_rate, or "
            "training.precision=fp32"
        )
    if norm > settings.clip_norm:
        torch._foreach_mul_(gradients, settings.clip_norm / (norm + _TINY))
    update(learner, step)
    learner.step, learner.drawn = step, learner.drawn + len(drawn)
    seconds = time.perf_counter() - began
    return Step(step, learner.sampler.epoch, loss, tokens, rate, norm, seconds, len(drawn))


def update(learner: Learner, step: int) -> None:
    """Moves the weights by their gradients, which are then forgotten."""
    for optimizer in learner.optimizers:
        optimizer.step()
    learner.network.zero_grad(set_to_none=True)
    if after_step := getattr(learner.model, "after_step", None):
        after_step()
    if learner.average:
        learner.average.update(step)


def accumulate_gradients(
    learner: Learner, drawn: Sequence[Indices], parts: int, should_stop: Callable[[], bool] = lambda: False
) -> tuple[float, int]:
    """Adds the gradient of the mean loss over the tokens of all rows; returns that mean (nats) and the count. Carried
    states are then those after these rows.

    drawn: the rows of each batch, each computed in so many parts. should_stop: asked before each backward pass. Raises
    Stopped when it says so.
    """
    batches = [[learner.task.batch(learner.data, part) for part in _split(rows, parts)] for rows in drawn]
    tokens = sum(learner.task.scored(part) for batch in batches for part in batch)
    surprise = 0.0
    for batch in batches:
        carried: list[CarriedState] = []
        for place, part in enumerate(batch):
            part = part.to(learner.device)
            if place < len(learner.carried):
                part = part.after(learner.carried[place])
            with autocast(learner.device, learner.dtype):
                loss = learner.task.loss(learner.model, learner.head, part)
            if should_stop():
                raise Stopped
            (loss.total / tokens).backward()
            surprise += float(loss.surprise)
            if loss.state is not None:
                carried.append(loss.state.detach())
        learner.carried = carried
    return surprise / tokens, tokens


def _split(rows: Indices, parts: int) -> list[Indices]:
    return np.array_split(rows, min(parts, len(rows)))
