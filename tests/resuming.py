"""Runs that are stopped: where to stop one, all that the rest of it depends on, and whether it ended as another."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from keifu.checkpoint import MODEL, OPTIMIZER
from keifu.config import read_yaml
from keifu.training.loop import Step
from keifu.training.run import Run
from keifu.training.start import resume
from tests.tiny import digest, metric_lines, optimiser_state, weights

FILES = (MODEL, OPTIMIZER, "training.json", "tokenizer.json", "config.json")


class Stop(NamedTuple):
    """After a step: as soon as it is taken, which is within its evaluation where one is due; or once that is made."""

    step: int
    evaluated: bool = False

    def asked(self, run: Run) -> bool:
        learner = run.learner
        return learner.step == self.step and (learner.evaluated == self.step or not self.evaluated)


def stops(steps: int, every: int) -> list[Stop]:
    """After every step but the last, and both within and after evaluations."""
    return [
        Stop(step, evaluated)
        for step in range(1, steps)
        for evaluated in ([False, True] if step % every == 0 else [False])
    ]


def fingerprints(run: Run, stop: Stop | Callable[[], bool] | None = None) -> Iterator[tuple[int, dict[str, str]]]:
    """All that the rest of a run depends on, after every step."""
    asked = (lambda: stop.asked(run)) if isinstance(stop, Stop) else stop or (lambda: False)
    for event in run.events(should_stop=asked):
        if isinstance(event, Step):
            learner = run.learner
            following = learner.task.batch(learner.data, next(copy.copy(learner.sampler)))
            carried = [tensor for state in learner.carried for tensor in state.tensors().values()]
            yield (
                event.step,
                {
                    "weights": weights(run),
                    "optimiser": optimiser_state(run),
                    "mean": digest(learner.average.mean if learner.average else []),
                    "carried": digest(carried),
                    "position": json.dumps(learner.position()),
                    "random": digest([torch.get_rng_state()]),
                    "next batch": digest(tensors_of(following)),
                    "loss": event.loss.hex(),
                },
            )


def tensors_of(batch: object) -> Iterator[Tensor]:
    """Those of a batch and of its parts."""
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, tuple):
        for part in batch:
            yield from tensors_of(part)


def stopped_everywhere(run: Run, at: list[Stop]) -> dict[int, dict[str, str]]:
    """Stops a run at these places and goes on with it each time, to its end; what its steps came to."""
    found: dict[int, dict[str, str]] = {}
    for stop in at:
        found |= dict(fingerprints(run, stop))
        assert run.learner.step == stop.step
        assert (run.learner.evaluated == stop.step) == stop.evaluated
        run = resume(run.folder.path)
    return found | dict(fingerprints(run))


def assert_ends_equal(path: Path, unbroken: Path) -> None:
    """The last and the best checkpoint of a run and its metrics are those of the unbroken one, byte for byte."""
    for link in ("last", "best"):
        assert (path / link).resolve().name == (unbroken / link).resolve().name
        names = [name for name in FILES if name != "tokenizer.json" or (unbroken / link / name).exists()]
        for name in names:
            assert (path / link / name).read_bytes() == (unbroken / link / name).read_bytes(), (link, name)
    assert metric_lines(path) == metric_lines(unbroken)
    assert read_yaml(path / "config.yaml") == read_yaml(unbroken / "config.yaml")
    steps = [(line["step"], "valid" in line) for line in metric_lines(path)]
    assert len(steps) == len(set(steps))
