"""A run: from settings to a folder that holds everything, and on from there exactly where it stopped."""

import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path
from typing import Any, TextIO

import torch

from keifu.checkpoint import RunFolder, TrainingState, load_model_files, load_training_state, write_atomically
from keifu.config import duration, to_yaml
from keifu.data.batches import Sampler
from keifu.data.sources import short_name
from keifu.errors import CheckpointError, ConfigError, DataError
from keifu.tasks.translation import PairSequences, Translation
from keifu.text import Tokenizer
from keifu.text.normalisation import Normalisation, infer
from keifu.training.allocator import keep_freed_memory
from keifu.training.budget import EVALUATIONS, Plan, plan
from keifu.training.corpus import Corpus, load_corpus
from keifu.training.evaluation import evaluate_translation
from keifu.training.journal import Journal
from keifu.training.loop import Evaluation, Event, Finished, Learner, Step, train
from keifu.training.model_card import model_card
from keifu.training.network import fill, make_model, named_parameters
from keifu.training.optimiser import make_optimizer, peak_learning_rate, restore_state, state_tensors
from keifu.training.precision import choose_device, choose_precision
from keifu.training.settings import Settings, read_settings

_DEFAULT_EPOCHS = 20
_LOG_EVERY = 10  # steps between two lines of metrics.jsonl


@dataclass
class Run:
    """Everything that a training run consists of. Made by `start` and `resume`; the folder of a new one by `events`."""

    folder: RunFolder
    settings: Settings
    corpus: Corpus
    task: Translation
    learner: Learner
    encoded_valid: Any
    left_out: int
    normalisation: Normalisation
    deadline: float = math.inf
    ending: float = 0.0
    new: bool = True
    history: str = ""
    """Where a resumed run goes on, in words."""

    def events(self, should_stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """Trains, writing every event into the run folder before it is yielded."""
        training, path = self.settings.training, self.folder.path
        if self.new:
            self._create_folder()
        journal = Journal(training.max_steps or 0)
        with (
            self.folder.lock(),
            # A line at a time, so that a run that is killed has the lines up to its newest checkpoint.
            (path / "metrics.jsonl").open("a", encoding="utf-8", buffering=1) as metrics,
            (path / "train.log").open("a", encoding="utf-8", buffering=1) as log,
        ):
            if self.history:
                log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {self.history}\n")
            limits = (self.deadline, self.ending)
            for event in train(self.learner, training, self.evaluate, self.save, should_stop, *limits):
                self._write_down(event, metrics)
                if line := journal.line(event):
                    log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {line}\n")
                yield event

    def evaluate(self, learner: Learner | None = None) -> Evaluation:
        greedy = self.settings.decoding.model_copy(update={"beam": 1, "n_best": 1})
        pairs, first = self.corpus.valid.pairs, self.settings.training.evaluate_on
        return evaluate_translation(learner or self.learner, pairs, self.encoded_valid, greedy, first)

    def save(self, best: bool) -> Path:
        """Writes a checkpoint of the present state and points `best` to it if it is the best."""
        learner, keep = self.learner, self.settings.training.keep
        named = named_parameters(learner.model, learner.head)
        path = self.folder.save(
            learner.step,
            self.model_config(),
            {name: parameter.detach() for name, parameter in named},
            self.task.tokenizer.to_json(),
            TrainingState(state_tensors(learner.optimizer, named), learner.position() | {"is_best": best}),
            keep,
        )
        if best:
            self.folder.point("best", learner.step)
            self.folder.prune(keep)
        return path

    def model_config(self) -> dict[str, Any]:
        """config.json: enough to build the model again and to use it."""
        return {
            "keifu": version("keifu"),
            "task": self.settings.training.task,
            "languages": list(self.corpus.train.languages),
            "normalisation": self.normalisation._asdict(),
            "model": self.settings.model.model_dump(mode="json"),
            "decoding": self.settings.decoding.model_dump(mode="json"),
        }

    def data_report(self) -> dict[str, Any]:
        """data.json: what was learned from, with hashes and counts."""
        train_data, valid = self.corpus.train, self.corpus.valid
        sizes = self.learner.data.sizes
        return {
            "train": {"spec": train_data.spec, "pairs": len(sizes), "sha256": train_data.sha256},
            "left_out_as_too_long": self.left_out,
            "valid": {"spec": self.corpus.valid_is, "pairs": len(valid.pairs), "sha256": valid.sha256},
            "languages": list(train_data.languages),
            "tokens": {"source": int(sizes[:, 0].sum()), "target": int(sizes[:, 1].sum())},
        }

    def write_settings(self) -> None:
        """config.yaml, as it now stands."""
        header = f"The settings of this run, complete. Go on with it by: keifu resume {self.folder.path}"
        write_atomically(self.folder.path / "config.yaml", to_yaml(self.settings.sections, header=header))

    def _create_folder(self) -> None:
        path = RunFolder.create(self.folder.path).path
        self.write_settings()
        write_atomically(path / "data.json", json.dumps(self.data_report(), ensure_ascii=False, indent=2) + "\n")
        write_atomically(path / "env.json", json.dumps(environment(), indent=2) + "\n")
        self.new = False

    def _write_down(self, event: Event, metrics: TextIO) -> None:
        if isinstance(event, Step):
            if event.step % _LOG_EVERY == 0 or event.step == 1:
                metrics.write(json.dumps(vars(event)) + "\n")
        elif isinstance(event, Evaluation):
            line = {"step": event.step, "valid": event.metrics, "seconds": event.seconds}
            metrics.write(json.dumps(line, ensure_ascii=False) + "\n")
            text = "\n\n".join("\n".join(sample) for sample in event.samples)
            write_atomically(self.folder.path / "samples" / f"step-{event.step}.txt", text + "\n")
        elif isinstance(event, Finished):
            card = model_card(self.folder.path, self.settings, self.data_report())
            write_atomically(self.folder.path / "README.md", card)


def start(settings: Settings, corpus: Corpus, out: str | Path | None = None, began: float | None = None) -> Run:
    """A new run for the folder `out`, ready to train; nothing is written yet. Raises ConfigError and DataError.

    began: on the clock of time.monotonic, from when `training.max_time` counts (default now).
    """
    began = time.monotonic() if began is None else began
    keep_freed_memory()
    path = Path(out) if out else _free_name(settings)
    RunFolder.refuse_used(path)
    data = settings.data
    texts = [text for pair in corpus.train.pairs for text in (pair.source, pair.target)]
    tokenizer = Tokenizer.train(texts, data.tokenizer, data.vocab_size)
    settings = settings.with_model(vocab_size=tokenizer.vocab_size)
    run = _assemble(RunFolder(path), settings, corpus, tokenizer)
    _set_limits(run, began)
    return run


def resume(path: str | Path, more: dict[str, str] | None = None, began: float | None = None) -> Run:
    """The run in a folder, ready to go on from its newest whole checkpoint.

    more: at most one of max_steps, max_time and epochs, "+N" to add to what was asked for before and "N" for a new
    total (a time always counts from now, or from `began` on the clock of time.monotonic). Raises CheckpointError,
    ConfigError and DataError.
    """
    began = time.monotonic() if began is None else began
    keep_freed_memory()
    folder = RunFolder.open(path)
    settings = read_settings(folder.path / "config.yaml")
    with folder.lock():  # first repairs what a killed writer left
        checkpoint = folder.newest_valid()
        if checkpoint is None:
            raise CheckpointError(
                f"{path}: the run has no whole checkpoint to go on from; start it again with keifu train"
            )
        state = load_training_state(checkpoint)
        if state.values.get("is_best"):  # a killed writer may not have come to point there
            folder.point("best", state.values["step"])
    _, tensors, tokenizer_path = load_model_files(checkpoint)
    if tokenizer_path is None:
        raise CheckpointError(f"{checkpoint}: tokenizer.json is missing; copy it from another checkpoint of the run")
    corpus = load_corpus(settings.data)
    run = _assemble(folder, settings, corpus, Tokenizer.load(tokenizer_path))
    run.new = False
    _refuse_other_data(run)
    learner = run.learner
    named = named_parameters(learner.model, learner.head)
    fill(named, tensors, checkpoint)
    restore_state(learner.optimizer, named, state.tensors)
    learner.restore(state.values)
    if more:
        _extend(run, more, began)
    if learner.step >= (run.settings.training.max_steps or 0):
        raise ConfigError(
            f"{path}: all {learner.step:,} steps are done; to go on, add --max-steps +N or --max-time +20m"
        )
    if more:
        run.write_settings()
    run.history = f"goes on from step {learner.step:,}"
    if damaged := [path.name for path in takewhile(lambda path: path != checkpoint, folder.checkpoints())]:
        run.history += f"; damaged, so not used: {', '.join(damaged)}"
    _forget_after(folder.path / "metrics.jsonl", learner.step)
    return run


def environment() -> dict[str, Any]:
    """env.json: versions and the machine."""
    packages = {name: version(name) for name in ("keifu", "torch", "numpy", "tokenizers", "sacrebleu")}
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    machine = {"system": platform.platform(), "cores": os.cpu_count(), "threads": torch.get_num_threads(), "gpu": gpu}
    return {"python": platform.python_version(), "packages": packages, **machine}


def _assemble(folder: RunFolder, settings: Settings, corpus: Corpus, tokenizer: Tokenizer) -> Run:
    data = settings.data
    task = Translation(tokenizer, settings.training.label_smoothing)
    everything = task.encode(corpus.train.pairs)
    most = min(data.max_tokens, settings.model.max_length)
    encoded = everything.up_to(most)
    if len(encoded) == 0:
        raise DataError(f"{data.train}: every pair has over {most} tokens; raise data.max_tokens and model.max_length")
    learner = _fresh_learner(settings, task, encoded)
    encoded_valid = task.encode(corpus.valid.pairs)
    normalisation = infer(pair.source for pair in corpus.train.pairs)
    left_out = len(everything) - len(encoded)
    return Run(folder, settings, corpus, task, learner, encoded_valid, left_out, normalisation)


def _fresh_learner(settings: Settings, task: Translation, data: PairSequences) -> Learner:
    """A learner before its first step; the same settings give the same weights."""
    training, width = settings.training, settings.model.d_model
    device = choose_device(training.device)
    torch.manual_seed(training.seed)
    model = make_model(settings.model).to(device)
    head = task.head(model).to(device)
    peak = peak_learning_rate(training, width)
    optimizer = make_optimizer(named_parameters(model, head), training, peak)
    sampler = Sampler(data.sizes, training.batch_tokens, training.seed)
    dtype = choose_precision(training.precision, device, width)
    return Learner(task, model, head, optimizer, peak, sampler, data, device, dtype)


def _set_limits(run: Run, began: float) -> None:
    """Fills in the number of steps and of evaluations that the limits of a new run come to."""
    training = run.settings.training
    steps, every = training.max_steps, training.evaluate_every
    if training.max_time is not None:
        run.deadline = began + duration(training.max_time)
        if steps is None:
            within = _plan(run)
            steps, every = within.steps, within.evaluate_every
    if steps is None:
        steps = max(1, round((training.epochs or _DEFAULT_EPOCHS) * run.learner.sampler.batches_per_epoch))
    every = every or max(1, math.ceil(steps / EVALUATIONS))
    run.settings = run.settings.with_training(max_steps=steps, evaluate_every=every)


def _extend(run: Run, more: dict[str, str], began: float) -> None:
    """Moves the end of a resumed run."""
    ((limit, text),) = more.items()
    amount = text.removeprefix("+")
    if limit == "max_time":
        run.deadline = began + duration(amount)
        steps = run.learner.step + _plan(run).steps
    else:
        batches = run.learner.sampler.batches_per_epoch
        try:
            steps = int(amount) if limit == "max_steps" else round(float(amount) * batches)
        except (ValueError, OverflowError):
            raise ConfigError(f"--{limit.replace('_', '-')} {text}: expected a number such as +1000") from None
        if text.startswith("+"):
            steps += run.settings.training.max_steps or 0
    run.settings = run.settings.with_training(max_steps=steps)


def _plan(run: Run) -> Plan:
    """What fits between now and the deadline. Raises ConfigError where there is no time for one step."""
    trial = _fresh_learner(run.settings, run.task, run.learner.data)
    within = plan(run.deadline - time.monotonic(), trial, run.settings.training, run.evaluate)
    if within.steps == 0:
        raise ConfigError(
            f"the time is too short for one step and one evaluation, which takes {within.evaluation:.1f} s here; "
            "give more with --max-time, or less to evaluate with --set training.evaluate_on=N"
        )
    run.ending = within.evaluation
    return within


def _refuse_other_data(run: Run) -> None:
    path = run.folder.path / "data.json"
    try:
        recorded = json.loads(path.read_text("utf-8"))["train"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        raise CheckpointError(f"{path}: missing or damaged; expected the report that keifu train wrote") from None
    if recorded != run.corpus.train.sha256:
        raise DataError(
            f"{run.settings.data.train}: not the text that the run began with (its SHA-256 differs); "
            "put the old files back, or start a new run"
        )


def _forget_after(path: Path, step: int) -> None:
    """Drops the lines of metrics.jsonl that were written after the checkpoint the run goes on from."""
    if path.exists():
        lines = path.read_text("utf-8").splitlines()
        write_atomically(path, "".join(f"{line}\n" for line in lines if 0 < _step_of(line) <= step))


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # cut short
        return 0


def _free_name(settings: Settings) -> Path:
    stem = f"{short_name(settings.data.train)}-{settings.model.name}"
    number = 1
    while (path := Path("runs") / f"{stem}-{number}").exists():
        number += 1
    return path
