"""A run of a task that reads goes on exactly where it was stopped: what is masked next is the same too."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from keifu.checkpoint import MODEL, OPTIMIZER
from keifu.training.loop import Step
from keifu.training.run import Run
from keifu.training.start import resume
from tests.small_reading import TEXTS, reading_run
from tests.small_text import write_text
from tests.tiny import digest, metric_lines, optimiser_state, weights

STEPS, EVERY = 9, 4
TRAINING = {"max_steps": STEPS, "evaluate_every": EVERY, "accumulate": 2}
DROPOUT = {"model": {"dropout": 0.3}}


def fingerprints(run: Run, stop: int | None = None) -> Iterator[tuple[int, dict[str, str]]]:
    """All that the rest of a run depends on, after every step."""
    for event in run.events(should_stop=lambda: run.learner.step == stop):
        if isinstance(event, Step):
            learner = run.learner
            following = learner.task.batch(learner.data, next(copy.copy(learner.sampler)))
            yield (
                event.step,
                {
                    "weights": weights(run),
                    "optimiser": optimiser_state(run),
                    "mean": digest(learner.average.mean if learner.average else []),
                    "position": json.dumps(learner.position()),
                    "random": digest([torch.get_rng_state()]),
                    "next batch": digest([following.inputs.tokens, following.inputs.mask, following.targets]),
                    "loss": event.loss.hex(),
                },
            )


CASES = [("masked-lm", "bert"), ("classification", "bert"), ("classification", "lstm"), ("tagging", "transformer")]


@pytest.mark.parametrize(("task", "model"), CASES)
def test_a_run_may_be_stopped_at_every_step(task: str, model: str, tmp_path: Path) -> None:
    spec = write_text(tmp_path / "a.txt", TEXTS[task](40 if task == "masked-lm" else 60))
    unbroken = reading_run(task, spec, tmp_path / "whole", TRAINING, model, **DROPOUT)
    expected = dict(fingerprints(unbroken))
    run = reading_run(task, spec, tmp_path / "run", TRAINING, model, **DROPOUT)
    assert 1 < run.learner.sampler.batches_per_epoch < STEPS  # stops in the middle and at the end of an epoch
    found: dict[int, dict[str, str]] = {}
    for stop in (1, 2, 3, 4, 5, 7, None):
        found |= dict(fingerprints(run, stop))
        if stop:
            run = resume(tmp_path / "run")
    assert found == expected
    for link in ("last", "best"):
        for name in (MODEL, OPTIMIZER, "training.json", "tokenizer.json", "config.json"):
            ours, theirs = ((tmp_path / folder / link / name).read_bytes() for folder in ("run", "whole"))
            assert ours == theirs, (link, name)
    assert metric_lines(tmp_path / "run") == metric_lines(tmp_path / "whole")


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
