"""From a time limit to a number of steps, by real steps and a real evaluation on this machine."""

import time
from collections.abc import Callable

from keifu.training.loop import Evaluation, Learner, take_step
from keifu.training.settings import Training

EVALUATIONS = 20
"""Evaluations in a run, where the settings do not say how often."""

_MEASURED_SHARE = 0.02  # of the time limit, spent on measuring
_FEWEST_STEPS = 4
_USED_SHARE = 0.96  # of the time left, given to steps and evaluations; the rest absorbs slower moments


def steps_within(seconds: float, trial: Learner, settings: Training, evaluate: Callable[[Learner], Evaluation]) -> int:
    """How many steps fit into `seconds` from now, with evaluations. Trains `trial`, which is of no use afterwards."""
    began = time.monotonic()
    provisional = settings.model_copy(update={"max_steps": 10**6})
    take_step(trial, provisional)  # the first step allocates and is no measure
    count, started = 0, time.monotonic()
    while count < _FEWEST_STEPS or time.monotonic() - began < _MEASURED_SHARE * seconds:
        take_step(trial, provisional)
        count += 1
    per_step = (time.monotonic() - started) / count
    # The trial model knows no [EOS] yet, so this is the longest that an evaluation can take.
    per_evaluation = evaluate(trial).seconds
    left = (seconds - (time.monotonic() - began)) * _USED_SHARE
    if settings.evaluate_every is not None:
        return max(1, int(left / (per_step + per_evaluation / settings.evaluate_every)))
    return max(1, int((left - min(EVALUATIONS * per_evaluation, left / 2)) / per_step))
