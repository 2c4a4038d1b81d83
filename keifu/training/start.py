"""Beginning a run and going on with one: from what was asked for to a run that is ready to train."""

import json
import math
import time
from collections.abc import Callable, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any, cast

import torch

from keifu.checkpoint import RunFolder, TrainingState, load_model_files, load_training_state, write_atomically
from keifu.config import duration, merge
from keifu.data.spec import short_name
from keifu.errors import CheckpointError, ConfigError, DataError
from keifu.models import heir
from keifu.text import Tokenizer
from keifu.training.allocator import keep_freed_memory
from keifu.training.average import Average
from keifu.training.beginning import Beginning, begin_with, check_begins, classes_of, places_to_teach, read_beginning
from keifu.training.budget import (
    ENOUGH,
    EVALUATIONS,
    MEASURED_SHARE,
    MOST_MEASURED,
    Plan,
    Speed,
    duration_of,
    measure,
    plan,
)
from keifu.training.corpus import PictureCorpus, load_corpus
from keifu.training.growth import batches_after, steps_for
from keifu.training.lessons import LESSONS, Lesson
from keifu.training.lessons.pictures import check_shape
from keifu.training.loop import Learner
from keifu.training.memory import available, explained, refuse_too_large_a_batch, refuse_too_large_a_model
from keifu.training.network import fill, make_model, named_parameters
from keifu.training.optimiser import freeze, make_optimizers, peak_learning_rate
from keifu.training.precision import NAMES, choose_device, choose_precision
from keifu.training.probes import Probes
from keifu.training.run import Run, batching, free_name
from keifu.training.settings import (
    MOST_STEPS,
    SCHEMAS,
    Settings,
    Training,
    check_fits,
    default_model,
    preset_for,
    read_settings,
    resolve_settings,
    special_tokens,
)

_DEFAULT_EPOCHS, _FEWEST_BATCHES = 20, 1_000  # without a limit: whichever is more
_SPARE = 0.5  # seconds of a time limit for the end of the process itself
_LIMITS = ("max_time", "max_steps", "epochs")
_DATA_OPTIONS = ("valid", "source", "target", "columns", "encoding")
_TRAINING_OPTIONS = (*_LIMITS, "init", "device", "precision", "seed")

Say = Callable[[str], None]


def silent(text: str) -> None:
    """Says nothing."""


def prepare(
    task: str,
    data: str | Path | None = None,
    model: str | None = None,
    *,
    out: str | Path | None = None,
    preset: str | None = None,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    began: float | None = None,
    say: Say = silent,
    **options: Any,
) -> Run:
    """A run that is ready to train, with options as for `keifu.train`; began: on the clock of time.monotonic, from
    when max_time counts (default now). say: is told what takes time meanwhile. Raises ConfigError and DataError.
    """
    began = time.monotonic() if began is None else began
    sections = {"data": _DATA_OPTIONS, "training": _TRAINING_OPTIONS}
    known = [name for names in sections.values() for name in names]
    if unknown := [name for name in options if name not in known]:
        raise ConfigError(f"{unknown[0]!r} is no option of train; expected {', '.join(known)}, or a key in overrides")
    given: dict[str, Any] = {
        section: {name: _as_written(options[name]) for name in names if options.get(name) is not None}
        for section, names in sections.items()
    }
    default_model(task)  # refuses a task that does not exist
    if other := [name for name in given["data"] if name not in SCHEMAS[task]["data"].model_fields]:
        raise ConfigError(f"--{other[0]} does not go with {task}; leave it away")
    if data is not None:
        given["data"]["train"] = _as_written(data)
    if any(limit in given["training"] for limit in _LIMITS):  # a limit in the configuration file gives way
        given["training"] = dict.fromkeys(_LIMITS) | (overrides or {}).get("training", {}) | given["training"]
    asked = merge(overrides or {}, given)
    settings = resolve_settings(task, model, preset, asked, config)
    RunFolder.refuse_used(out or free_name(_stem(settings)))  # before data are read for minutes
    begun, asked_for = None, settings.model
    if settings.training.init is not None:
        begun = read_beginning(settings.training.init, preset)
        name = model or heir(begun.name, task)
        check_fits(task, name)
        check_begins(begun, name, special_tokens(task, name), asked.get("data", {}))
        settings = resolve_settings(task, name, None, asked, config, begun.sizes)
    corpus = _read(settings.data, say)
    if isinstance(corpus, PictureCorpus):
        check_shape(asked_for, corpus.train.shape)
    if preset is None and begun is None:
        preset = preset_for(corpus.pairs)
        settings = resolve_settings(task, model, preset, asked, config)
    return start(settings, corpus, out, began, begun, say)


def start(
    settings: Settings,
    corpus: Any,
    out: str | Path | None = None,
    began: float | None = None,
    begun: Beginning | None = None,
    say: Say = silent,
) -> Run:
    """A new run for the folder `out`, ready to train; nothing is written yet. Raises ConfigError and DataError.

    began: on the clock of time.monotonic, from when `training.max_time` counts (default now). begun: the weights and
    the tokenizer to begin with, instead of fresh ones.
    """
    began = time.monotonic() if began is None else began
    keep_freed_memory()
    stem = "" if out else _stem(settings)
    path = Path(out) if out else free_name(stem)
    RunFolder.refuse_used(path)
    data = settings.data
    tokenizer = begun.tokenizer if begun else None
    if tokenizer is None and corpus.texts is not None:  # pictures have none
        say("learning a vocabulary and cutting the text into tokens")
        special = special_tokens(settings.training.task, settings.model.name)
        tokenizer = Tokenizer.train(corpus.texts, data.tokenizer, data.vocab_size, special)
    if tokenizer is not None:
        settings = settings.with_model(vocab_size=tokenizer.vocab_size).with_data(tokenizer=tokenizer.kind)
    run = _assemble(RunFolder(path), settings, corpus, tokenizer)
    run.stem = stem
    if begun:
        named = named_parameters(run.learner.model, run.learner.head)
        run.beginning = begin_with(begun, named, run.settings.model, classes_of(run.lesson.model_facts))
        if begun.most_tokens is not None:  # not of pictures
            run.beginning += places_to_teach(begun, run.learner.model, int(run.lesson.data.sizes.max()))
        if run.learner.average:
            run.learner.average.begin()
    say("measuring how fast training is here")
    _set_limits(run, began)
    return run


def _stem(settings: Settings) -> str:
    return f"runs/{short_name(settings.data.train)}-{settings.model.name}"


def _as_written(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _read(data: Any, say: Say) -> Any:
    def fetching(address: str, done: int, total: int) -> None:
        say(f"fetching {address}: {done / 1e6:.1f} MB" + (f" of {total / 1e6:.1f}" if total else ""))

    say("reading the data")
    return load_corpus(data, fetching)


def resume(path: str | Path, more: dict[str, str] | None = None, began: float | None = None, say: Say = silent) -> Run:
    """The run in a folder, ready to go on from its newest whole checkpoint.

    more: at most one of max_steps, max_time and epochs, "+N" to add to what was asked for before and "N" for a new
    total (a time always counts from now, or from `began` on the clock of time.monotonic). Raises CheckpointError,
    ConfigError and DataError.
    """
    began = time.monotonic() if began is None else began
    keep_freed_memory()
    folder = RunFolder.open(path)
    settings = read_settings(folder.path / "config.yaml")
    checkpoint, state, found = _newest_checkpoint(folder)
    _, tensors, tokenizer_path = load_model_files(checkpoint)
    if tokenizer_path is None and settings.training.task != "image-classification":
        raise CheckpointError(f"{checkpoint}: tokenizer.json is missing; copy it from another checkpoint of the run")
    corpus = _read(settings.data, say)
    run = _assemble(folder, settings, corpus, Tokenizer.load(tokenizer_path) if tokenizer_path else None)
    run.new, run.found = False, found
    _refuse_other_data(run)
    _refuse_other_batches(run, state.values.get("batches", {}))
    learner = run.learner
    named = named_parameters(learner.model, learner.head)
    fill(named, tensors, checkpoint)
    learner.recall(state.tensors)
    learner.restore(state.values)
    if more:
        say("measuring how fast training is here")
        _extend(run, more, began)
    _refuse_ended(run)
    run.history = f"goes on from step {learner.step:,}"
    if damaged := [path.name for path in takewhile(lambda path: path != checkpoint, found)]:
        run.history += f"; damaged, so not used: {', '.join(damaged)}"
    with folder.lock():  # another process may have begun to write since the checkpoint was read
        run.refuse_overtaken()
        if more:
            run.write_settings()
        _forget_after(folder.path / "metrics.jsonl", learner)
        if run.probes:
            run.probes.go_on(learner, folder.path)
    return run


def _refuse_ended(run: Run) -> None:
    learner, training = run.learner, run.settings.training
    remedy = "to go on, add --max-steps +N or --max-time +20m"
    if learner.step >= (training.max_steps or 0) and learner.evaluated == learner.step:
        raise ConfigError(f"{run.folder.path}: all {learner.step:,} steps are done; {remedy}")
    if training.patience is not None and learner.waited >= training.patience:
        raise ConfigError(f"{run.folder.path}: ended early at step {learner.step:,} (training.patience); {remedy}")


def _newest_checkpoint(folder: RunFolder) -> tuple[Path, TrainingState, list[Path]]:
    """The newest whole checkpoint and its training state. Raises CheckpointError where there is none."""
    with folder.lock():  # first repairs what a killed writer left
        checkpoint = folder.newest_valid()
        if checkpoint is None:
            raise CheckpointError(f"{folder.path}: no whole checkpoint to go on from; start again with keifu train")
        state = load_training_state(checkpoint)
        # A killed writer may not have come to point there.
        for link in ("last", "best") if state.values.get("is_best") else ("last",):
            folder.point(link, state.values["step"])
        found = folder.checkpoints()
    return checkpoint, state, found


def _assemble(folder: RunFolder, settings: Settings, corpus: Any, tokenizer: Tokenizer | None) -> Run:
    lesson = LESSONS[settings.training.task](settings, corpus, tokenizer)
    settings = lesson.settings
    refuse_too_large_a_model(settings.model, choose_device(settings.training.device))
    learner = _fresh_learner(settings, lesson)
    refuse_too_large_a_batch(learner, settings.training.accumulate)
    # Frozen, so that a run that goes on elsewhere computes in the same format.
    settings = settings.with_training(precision=NAMES[learner.dtype])
    probes: Probes | None = cast(Any, lesson).probes() if getattr(settings.data, "probes", None) else None
    if probes:
        probes.refuse_without_attention(learner)
    return Run(folder, settings, lesson, learner, probes=probes)


def _fresh_learner(settings: Settings, lesson: Lesson) -> Learner:
    """A learner before its first step; the same settings give the same weights."""
    training, width = settings.training, settings.model.d_model
    device = choose_device(training.device)
    torch.manual_seed(training.seed)
    model = make_model(settings.model).to(device)
    head = lesson.task.head(model).to(device)
    dtype = choose_precision(training.precision, device, width)
    peak = peak_learning_rate(training, width)
    named = named_parameters(model, head)
    freeze(named, training.frozen_layers, getattr(settings.model, "n_layers", 0))
    if not any(weight.requires_grad for _, weight in named):
        raise ConfigError(f"training.frozen_layers: {training.frozen_layers} leave nothing to learn; give fewer")
    optimizers = make_optimizers(named, training, peak, dtype)
    average = Average((weight for _, weight in named), training.average) if training.average else None
    return Learner(lesson.task, model, head, optimizers, peak, lesson.sampler(), lesson.data, device, dtype, average)


def _set_limits(run: Run, began: float) -> None:
    """Fills in the number of steps and of evaluations that the limits of a new run come to."""
    training = run.settings.training
    steps, every = training.max_steps, training.evaluate_every
    if training.max_time is not None:
        run.deadline = began + duration(training.max_time) - _SPARE
        if steps is None:
            within = _plan(run, training)
            steps, run.evaluated_as_asked, every = within.steps, every is not None, within.evaluate_every
            run.planned = True
        else:  # time is kept for the last evaluation
            run.speed = _measure(run, ENOUGH)
    if steps is None:
        fewest = 1 if training.epochs else _FEWEST_BATCHES
        batches = round((training.epochs or _DEFAULT_EPOCHS) * run.learner.sampler.batches_per_epoch)
        steps = steps_for(max(fewest, batches), training.batch_growth)
    every = every or max(1, math.ceil(steps / EVALUATIONS))
    run.settings = run.settings.with_training(max_steps=steps, evaluate_every=every)


def _extend(run: Run, more: dict[str, str], began: float) -> None:
    """Moves the end of a resumed run, which waits for a better score anew."""
    run.learner.waited = 0
    ((limit, text),) = more.items()
    amount = text.removeprefix("+")
    if limit == "max_time":
        run.deadline = began + duration(amount) - _SPARE
        _extend_by_time(run)
        return
    option = f"--{limit.replace('_', '-')} {text}"
    try:
        steps = int(amount) if limit == "max_steps" else _steps_for(run, float(amount), text.startswith("+"))
    except (ValueError, OverflowError):
        raise ConfigError(f"{option}: expected a number such as +1000") from None
    if text.startswith("+") and limit == "max_steps":
        steps += run.settings.training.max_steps or 0
    if steps > MOST_STEPS:
        raise ConfigError(f"{option}: comes to over {MOST_STEPS:,} steps; give less")
    if steps <= run.learner.step:
        raise ConfigError(
            f"{option}: comes to {steps:,} steps, {run.learner.step:,} are done; give more, such as +1000"
        )
    # A longer run is not evaluated more often than a new one would be.
    every = max(run.settings.training.evaluate_every or 1, math.ceil((steps - run.learner.step) / EVALUATIONS))
    run.settings = run.settings.with_training(max_steps=steps, evaluate_every=every)


def _steps_for(run: Run, epochs: float, more: bool) -> int:
    """The steps of a resumed run that come to so many epochs, or to so many more than it was to have."""
    learner, training = run.learner, run.settings.training
    batches = min(round(epochs * learner.sampler.batches_per_epoch), MOST_STEPS + 1)
    if more:
        batches += batches_after(learner.step, training.max_steps or 0, training.batch_growth)
    else:
        batches -= learner.drawn
    return steps_for(batches, training.batch_growth, learner.step) if batches > 0 else learner.step + batches


def _extend_by_time(run: Run) -> None:
    """As many steps as fit until the deadline, evaluated as often as a new run would be, but not more often than so
    far.
    """
    training, done = run.settings.training, run.learner.step
    within = _plan(run, training.model_copy(update={"evaluate_every": None}))
    if training.evaluate_every is not None and training.evaluate_every > within.evaluate_every:
        within = _plan(run, training)
        run.evaluated_as_asked = True
    run.settings = run.settings.with_training(max_steps=done + within.steps, evaluate_every=within.evaluate_every)
    run.planned = True


def _plan(run: Run, training: Training) -> Plan:
    """What fits between now and the deadline. Raises ConfigError where there is no time for one step."""
    if run.speed is None:
        run.speed = _measure(run, min(MOST_MEASURED, MEASURED_SHARE * (run.deadline - time.monotonic())))
    within = plan(run.deadline - time.monotonic(), run.speed, training, done=run.learner.step)
    if within.steps == 0:
        raise ConfigError(
            f"the time is too short for one step and one evaluation, which takes {run.speed.evaluation:.1f} s here; "
            "give more with --max-time, or less to evaluate with --set training.evaluate_on=N"
        )
    return within


def _measure(run: Run, seconds: float) -> Speed:
    trial = _fresh_learner(run.settings, run.lesson)
    with explained("a training step"):
        return measure(trial, run.settings.training, run.rehearse, seconds)


def estimate(run: Run) -> dict[str, Any]:
    """What a new run will take on this machine, from real steps: seconds, and bytes of memory at most."""
    free = available(run.learner.device)  # before a trial takes its part
    run.speed = run.speed or _measure(run, ENOUGH)
    training = run.settings.training
    assert training.max_steps is not None
    batches = batches_after(0, training.max_steps, training.batch_growth)
    return {
        "steps": training.max_steps,
        "epochs": batches / run.learner.sampler.batches_per_epoch,
        "seconds_a_step": run.speed.seconds(training.max_steps, batches) / training.max_steps,
        "seconds_an_evaluation": run.speed.evaluation,
        "seconds": duration_of(training.max_steps, run.speed, training),
        "memory": run.speed.memory,
        "memory_free": free,
    }


def _refuse_other_data(run: Run) -> None:
    path = run.folder.path / "data.json"
    try:
        report = json.loads(path.read_text("utf-8"))
        recorded = [report[part]["sha256"] for part in ("train", "valid")]
    except (OSError, ValueError, KeyError, TypeError):
        raise CheckpointError(f"{path}: missing or damaged; expected the report that keifu train wrote") from None
    for data, before in zip((run.corpus.train, run.corpus.valid), recorded, strict=True):
        if data.sha256 != before:
            raise DataError(
                f"{data.spec}: not the text that the run began with (its SHA-256 differs); "
                "put the old files back, or start a new run"
            )


def _refuse_other_batches(run: Run, begun: dict[str, Any]) -> None:
    """begun: the settings of the checkpoint; none of one that an earlier keifu wrote."""
    for name, value in batching(run.settings).items():
        if name in begun and begun[name] != value:
            raise ConfigError(
                f"{run.folder.path}/config.yaml: {name} is {value}, and was {begun[name]} when the run stopped, whose "
                f"place in the data is counted in such batches; put it back, or begin another run with its weights: "
                f"keifu train ... --init {run.folder.path}"
            )


def _forget_after(path: Path, learner: Learner) -> None:
    """Drops the lines of metrics.jsonl that were written after the checkpoint the run goes on from."""

    def stays(line: str) -> bool:
        try:
            values = json.loads(line)
            return 0 < int(values["step"]) <= (learner.evaluated if "valid" in values else learner.step)
        except (ValueError, KeyError, TypeError, OverflowError):  # cut short
            return False

    if path.exists():
        lines = path.read_text("utf-8", "replace").splitlines()
        write_atomically(path, "".join(f"{line}\n" for line in lines if stays(line)))
