"""What training takes on this machine, by real steps and a real evaluation; and how much of it fits into a time."""

import bisect
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from keifu.training.growth import batches_after
from keifu.training.loop import ENDING, Evaluation, Learner, accumulate_gradients, take_step, update
from keifu.training.memory import peak
from keifu.training.settings import Training

EVALUATIONS = 20
"""Most evaluations in a run, where the settings do not say how often."""

ENOUGH = 1.0
"""Seconds of real steps that tell how long training will take; up to four times as long where carried state grows."""

MEASURED_SHARE = 0.01
"""Of a time limit, spent on real steps to plan with."""

MOST_MEASURED = 60.0
"""Seconds of real steps to aim at, at most, however long the limit."""

_FEWEST_STEPS = 3
_LONGEST = 4  # of the usual time for measuring, where what is carried grows
_EVALUATED_SHARE = 0.1  # of the time left, at most, given to evaluations, where the settings do not say how often
_USED_SHARE = 0.98  # of the time left, given to steps and evaluations; the rest absorbs slower moments


@dataclass(frozen=True)
class Speed:
    """Seconds that a step of one batch and an evaluation take here, and the most bytes of memory in use meanwhile.

    update: of a step's seconds those that do not grow with its batches; measured where steps grow.
    """

    step: float
    evaluation: float
    memory: int
    update: float = 0.0

    def seconds(self, steps: int, batches: int) -> float:
        """What so many steps take that have so many batches together."""
        return steps * self.update + batches * (self.step - self.update)


@dataclass(frozen=True)
class Plan:
    """What fits into a time; no step where there is no time for one."""

    steps: int
    evaluate_every: int


def measure(
    trial: Learner, settings: Training, evaluate: Callable[[Learner], Evaluation], seconds: float = ENOUGH
) -> Speed:
    """Takes at least three real steps, for about so many seconds. `trial` is of no use afterwards.

    The batch with the most tokens goes first: it asks the system for all the memory, which is slow only once. Where
    what is carried from step to step grows, there are more steps, until it no longer does.
    """
    provisional = settings.model_copy(update={"max_steps": 10**6, "batch_growth": 1})
    began = time.monotonic()
    accumulate_gradients(trial, [trial.sampler.largest()], settings.accumulate)
    take_step(trial, provisional)
    times = [time.monotonic()]
    size, grows = _carried(trial), False
    while len(times) <= _FEWEST_STEPS or times[-1] - began < seconds * (_LONGEST if grows else 1):
        take_step(trial, provisional)
        times.append(time.monotonic())
        before, size = size, _carried(trial)
        grows = size > before
    half = min(len(times) // 2, len(times) - 1 - _FEWEST_STEPS)  # steps become faster for a while
    step = (times[-1] - times[half]) / (len(times) - 1 - half)
    updating = min(step, _update(trial, settings)) if settings.batch_growth > 1 else 0.0
    evaluation = evaluate(trial).seconds
    return Speed(step, evaluation, peak(trial.device), updating)


def _carried(trial: Learner) -> int:
    """How many values are carried to the next step."""
    return sum(tensor.numel() for state in trial.carried for tensor in state.tensors().values())


def _update(trial: Learner, settings: Training) -> float:
    """Seconds that an update takes after its gradients are there; the middle one of three, since one may be slow."""
    times = []
    for _ in range(3):
        accumulate_gradients(trial, [next(trial.sampler)], settings.accumulate)
        began = _now(trial.device)
        update(trial, trial.step + 1)
        times.append(_now(trial.device) - began)
    return statistics.median(times)


def _now(device: torch.device) -> float:
    """The clock, once all that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.monotonic()


def plan(seconds: float, speed: Speed, settings: Training, evaluations: int | None = None, done: int = 0) -> Plan:
    """The steps after those that are done that fit into `seconds`, with evaluations: so many at most, or as often as
    the settings say; never more than cost little, unless the settings say so.
    """
    left = seconds * _USED_SHARE - ENDING * speed.evaluation  # the last one is certain
    if evaluations is None and settings.evaluate_every is not None:
        every = settings.evaluate_every
        return Plan(_most_steps(left, speed, settings.batch_growth, done, speed.evaluation / every), every)
    most = max(1, min(EVALUATIONS, round(left * _EVALUATED_SHARE / speed.evaluation)))
    evaluations = most if evaluations is None else min(evaluations, most)
    steps = _most_steps(left - (evaluations - 1) * speed.evaluation, speed, settings.batch_growth, done)
    return Plan(steps, max(1, math.ceil(steps / evaluations)))


def _most_steps(seconds: float, speed: Speed, growth: int, done: int, more: float = 0.0) -> int:
    """The steps that fit after those that are done, where each takes so many more seconds."""

    def taken(steps: int) -> float:
        return speed.seconds(steps, batches_after(done, done + steps, growth)) + steps * more

    limit = max(0, int(seconds / (speed.step + more)))  # if all had one batch
    return limit if growth == 1 else max(0, bisect.bisect_right(range(limit + 1), seconds, key=taken) - 1)


def duration_of(steps: int, speed: Speed, settings: Training) -> float:
    """The seconds that so many steps take, evaluations included."""
    assert settings.evaluate_every is not None
    batches = batches_after(0, steps, settings.batch_growth)
    return speed.seconds(steps, batches) + math.ceil(steps / settings.evaluate_every) * speed.evaluation
