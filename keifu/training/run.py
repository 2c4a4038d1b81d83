"""A run: its folder, its settings, its data and its learner, and what it writes down while it trains."""

import json
import math
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

import torch

from keifu.checkpoint import RunFolder, TrainingState, write_atomically
from keifu.config import to_yaml
from keifu.data.pairs import SETS
from keifu.data.spec import absolute
from keifu.errors import ConfigError
from keifu.training.budget import Speed, plan
from keifu.training.journal import Journal
from keifu.training.lessons import Lesson
from keifu.training.loop import Evaluation, Event, Finished, Learner, Step, train
from keifu.training.memory import LESS_A_STEP, explained
from keifu.training.model_card import model_card
from keifu.training.network import named_parameters
from keifu.training.precision import NAMES
from keifu.training.probes import Probes, steps_to_keep
from keifu.training.settings import Settings, Training

_TOLERATED = 0.02  # of the steps left, that a run may be longer or shorter than its time before they are planned anew
_LOG_EVERY = 10  # steps between two lines of metrics.jsonl


@dataclass
class Run:
    """Everything that a training run consists of. Made by training/start.py; `events` makes the folder of a new one.

    speed: what a step and an evaluation take here, where it was measured.
    """

    folder: RunFolder
    settings: Settings
    lesson: Lesson
    learner: Learner
    deadline: float = math.inf
    speed: Speed | None = None
    planned: bool = False
    """Whether the steps were computed from a time, so that they are computed anew when they take longer or shorter."""
    evaluated_as_asked: bool = False
    """Whether the steps between two evaluations were asked for."""
    new: bool = True
    stem: str = ""
    """What the folder's name begins with where none was asked for: its number is chosen when the folder is made."""
    beginning: str = ""
    """What was taken of the model that a new run begins with, in words."""
    history: str = ""
    """Where a resumed run goes on, in words."""
    probes: Probes | None = None
    """What is looked at along training."""
    found: list[Path] = field(default_factory=list)
    """The checkpoints that there were when a resumed run's state was read."""

    def events(self, should_stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """Trains, writing every event into the run folder before it is yielded."""
        if self.new:
            self._create_folder()
        path = self.folder.path
        journal = Journal(self.settings.training)
        with (
            self.folder.lock(),
            explained("training", f"{LESS_A_STEP}. Checkpoints written before, if any, are good"),
            # A line at a time, so that a run that is killed has the lines up to its newest checkpoint.
            (path / "metrics.jsonl").open("a", encoding="utf-8", buffering=1) as metrics,
            (path / "train.log").open("a", encoding="utf-8", buffering=1) as log,
        ):
            self.refuse_overtaken()
            if self.history:
                log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {self.history}\n")
            evaluate = partial(self.evaluate, should_stop)
            limits = (self.deadline, self.speed.evaluation if self.speed else 0.0, self._planner())
            for event in train(self.learner, self.settings.training, evaluate, self.save, should_stop, *limits):
                self._write_down(event, metrics)
                if line := journal.line(event):
                    log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {line}\n")
                yield event

    def refuse_overtaken(self) -> None:
        """Raises ConfigError where another process wrote checkpoints since this one read its state; hold the lock."""
        if self.folder.checkpoints() != self.found:
            path = self.folder.path
            raise ConfigError(f"{path}: another process has gone on with this run meanwhile; resume it again")

    @property
    def task(self) -> Any:
        return self.lesson.task

    @property
    def corpus(self) -> Any:
        return self.lesson.corpus

    def evaluate(self, should_stop: Callable[[], bool] = lambda: False) -> Evaluation:
        with _explained():
            return self.lesson.evaluate(self.learner, self.settings, should_stop)

    def rehearse(self, trial: Learner) -> Evaluation:
        """An evaluation by a model that has learned nothing."""
        with _explained():
            return self.lesson.rehearse(trial, self.settings)

    def save(self, best: bool) -> Path:
        """Writes a checkpoint of the present state and points `best` to it if it is the best."""
        learner, keep = self.learner, self.settings.training.keep
        state = TrainingState(
            learner.memory(), learner.position() | {"is_best": best, "batches": batching(self.settings)}
        )
        named = named_parameters(learner.model, learner.head)
        with learner.used_weights():
            tensors = {name: parameter.detach() for name, parameter in named}
            tokenizer = self.task.tokenizer.to_json() if self.task.tokenizer else None
            path = self.folder.save(learner.step, self.model_config(), tensors, tokenizer, state, keep)
        if best:
            self.folder.point("best", learner.step)
            self.folder.prune(keep)
        return path

    def _planner(self) -> Callable[[float], Training | None]:
        """Told after a checkpoint how long evaluation and saving took, plans anew by the steps since the one before."""
        before = (time.monotonic(), self.learner.step, self.learner.drawn)

        def plan_again(ending: float) -> Training | None:
            nonlocal before
            now, step, drawn = time.monotonic(), self.learner.step, self.learner.drawn
            (began, first, drawn_first), before = before, (now, step, drawn)
            training = self.settings.training
            assert training.max_steps is not None
            assert training.evaluate_every is not None
            left = training.max_steps - step
            if not self.planned or left <= 0 or step == first:
                return None
            update = self.speed.update if self.speed else 0.0
            a_batch = max(0.0, (now - ending - began - (step - first) * update) / (drawn - drawn_first))
            speed = Speed(a_batch + update, ending, 0, update)
            evaluations = None if self.evaluated_as_asked else math.ceil(left / training.evaluate_every)
            within = plan(self.deadline - now, speed, training, evaluations, done=step)
            if within.steps == 0 or abs(within.steps - left) <= _TOLERATED * left:
                return None
            more: dict[str, Any] = {"max_steps": step + within.steps, "evaluate_every": within.evaluate_every}
            if step >= (warmup := training.warmup * training.max_steps):  # it is over, and stays so
                more["warmup"] = warmup / more["max_steps"]
            self.settings = self.settings.with_training(**more)
            self.write_settings()  # only now: a run that goes on from an older checkpoint does as this one did
            planned: Training = self.settings.training
            return planned

        return plan_again

    def model_config(self) -> dict[str, Any]:
        """config.json: enough to build the model again and to use it."""
        return {
            "keifu": version("keifu"),
            "task": self.settings.training.task,
            **self.lesson.model_facts,
            "model": self.settings.model.model_dump(mode="json"),
            "decoding": self.settings.decoding.model_dump(mode="json"),
        }

    @cached_property
    def data_report(self) -> dict[str, Any]:
        """data.json of a new run: what is learned from, with hashes, counts and findings."""
        whole = self.corpus.whole
        report = self.lesson.report(self.learner.sampler)
        return report | {"whole": {"sha256": whole.sha256}} if whole else report

    def environment(self) -> dict[str, Any]:
        """env.json: versions, the machine, and what this run computes on and in."""
        learner = self.learner
        return environment() | {"device": str(learner.device), "precision": NAMES[learner.dtype]}

    def write_settings(self) -> None:
        """config.yaml, as it now stands."""
        header = f"The settings of this run, complete. Go on with it by: keifu resume {self.folder.path}"
        data = self.settings.data
        # Whole paths, so that the run can be gone on with from any folder.
        specs = {
            key: absolute(spec, SETS) for key in ("train", "valid", "probes") if (spec := getattr(data, key, None))
        }
        sections = self.settings.with_data(**specs).sections
        write_atomically(self.folder.path / "config.yaml", to_yaml(sections, header=header))

    def _create_folder(self) -> None:
        path = self._claim_folder()
        try:
            self.write_settings()
            write_atomically(path / "data.json", json.dumps(self.data_report, ensure_ascii=False, indent=2) + "\n")
            write_atomically(path / "env.json", json.dumps(self.environment(), indent=2) + "\n")
            if self.probes:
                self.probes.begin(self.learner, path)
        except BaseException:  # half of a run can neither be gone on with nor begun again
            shutil.rmtree(path, ignore_errors=True)
            raise
        self.new = False

    def _claim_folder(self) -> Path:
        """Makes the folder; with the next number where another process takes the name at the same moment."""
        while True:
            if self.stem:
                self.folder = RunFolder(free_name(self.stem))
            try:
                return RunFolder.create(self.folder.path).path
            except ConfigError:
                if not self.stem or not self.folder.path.exists():
                    raise

    def _write_down(self, event: Event, metrics: TextIO) -> None:
        if isinstance(event, Step):
            if self.probes and event.step in steps_to_keep(self.settings.training.max_steps or 1):
                self.probes.keep(self.learner, self.folder.path)
            if event.step % _LOG_EVERY == 0 or event.step == 1:
                metrics.write(json.dumps(vars(event)) + "\n")
        elif isinstance(event, Evaluation):
            line = {"step": event.step, "valid": event.metrics, "seconds": event.seconds}
            metrics.write(json.dumps(line, ensure_ascii=False) + "\n")
            text = "\n\n".join("\n".join(sample) for sample in event.samples)
            write_atomically(self.folder.path / "samples" / f"step-{event.step}.txt", text + "\n")
        elif isinstance(event, Finished):
            if self.probes and event.step and event.reason in ("patience", "time"):  # before the last of the steps
                self.probes.keep(self.learner, self.folder.path)
            card = model_card(self.folder.path, self.settings, self.task.selects_by)
            write_atomically(self.folder.path / "README.md", card)


def _explained() -> AbstractContextManager[None]:
    return explained("evaluating", "lower decoding.batch_size. Checkpoints written before, if any, are good")


def free_name(stem: str) -> Path:
    """The stem with the first number that no file or folder has."""
    number = 1
    while (path := Path(f"{stem}-{number}")).exists():
        number += 1
    return path


def environment() -> dict[str, Any]:
    """Versions and the machine."""
    packages = {name: version(name) for name in ("keifu", "torch", "numpy", "tokenizers", "sacrebleu")}
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    machine = {"system": platform.platform(), "cores": os.cpu_count(), "threads": torch.get_num_threads(), "gpu": gpu}
    return {"python": platform.python_version(), "packages": packages, **machine}


def batching(settings: Settings) -> dict[str, Any]:
    """The settings that decide which rows make a batch. A run's place in the data is a number of such batches."""
    names = (
        ("training", ("batch_tokens", "batch_size", "accumulate", "seed")),
        ("data", ("max_tokens", "max_facts", "window", "packed")),
    )
    return {
        f"{section}.{name}": getattr(part, name)
        for section, each in names
        for name in each
        if hasattr(part := getattr(settings, section), name)
    }
