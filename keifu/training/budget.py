"""From a time limit to a number of steps, by real steps and a real evaluation on this machine."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from keifu.training.loop import ENDING, Evaluation, Learner, take_step
from keifu.training.settings import Training

EVALUATIONS = 20
"""Most evaluations in a run, where the settings do not say how often."""

_MEASURED_SHARE = 0.03  # of the time limit, spent on measuring
_FEWEST_STEPS = 4
_EVALUATED_SHARE = 0.1  # of the time left, at most, given to evaluations, where the settings do not say how often
_USED_SHARE = 0.96  # of the time left, given to steps and evaluations; the rest absorbs slower moments


@dataclass(frozen=True)
class Plan:
    """What fits into a time; no step where there is no time for one. evaluation: the seconds that one takes."""

    steps: int
    evaluate_every: int
    evaluation: float


def plan(seconds: float, trial: Learner, settings: Training, evaluate: Callable[[Learner], Evaluation]) -> Plan:
    """The steps that fit into `seconds` from now, with evaluations. Trains `trial`, which is of no use afterwards."""
    began = time.monotonic()
    provisional = settings.model_copy(update={"max_steps": 10**6})
    times = [time.monotonic()]
    while len(times) <= 2 * _FEWEST_STEPS or times[-1] - began < _MEASURED_SHARE * seconds:
        take_step(trial, provisional)
        times.append(time.monotonic())
    half = len(times) // 2  # the first steps ask the system for memory, and are slower
    per_step = (times[-1] - times[half]) / (len(times) - 1 - half)
    per_evaluation = evaluate(trial).seconds
    left = (seconds - (time.monotonic() - began)) * _USED_SHARE - ENDING * per_evaluation  # the last one is certain
    if settings.evaluate_every is not None:
        every = settings.evaluate_every
        steps = int(left / (per_step + per_evaluation / every))
    else:
        evaluations = max(1, min(EVALUATIONS, int(left * _EVALUATED_SHARE / per_evaluation)))
        steps = int((left - (evaluations - 1) * per_evaluation) / per_step)
        every = max(1, math.ceil(steps / evaluations))
    return Plan(max(0, steps), every, per_evaluation)
