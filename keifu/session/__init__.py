"""The model that a user holds: loaded, or just trained."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from keifu.checkpoint import load_model_files, resolve, verify
from keifu.errors import CheckpointError
from keifu.models import LINEAGE
from keifu.session.answering import Answerer
from keifu.session.classifier import Classifier
from keifu.session.image_classifier import ImageClassifier
from keifu.session.language import LanguageModel
from keifu.session.masked import MaskedModel
from keifu.session.model import Model
from keifu.session.tagger import Tagger
from keifu.session.translation import Translator
from keifu.text import Tokenizer
from keifu.training.allocator import keep_freed_memory
from keifu.training.loop import Event
from keifu.training.model_card import best_evaluation
from keifu.training.start import prepare

__all__ = [
    "Answerer",
    "Classifier",
    "ImageClassifier",
    "LanguageModel",
    "MaskedModel",
    "Model",
    "Tagger",
    "TrainedRun",
    "Translator",
    "load",
    "train",
]

MODELS: dict[str, Callable[..., Any]] = {
    "translation": Translator,
    "language-modeling": LanguageModel,
    "masked-lm": MaskedModel,
    "classification": Classifier,
    "tagging": Tagger,
    "question-answering": Answerer,
    "image-classification": ImageClassifier,
}
"""Of every task, what its models can do."""


@dataclass(frozen=True)
class TrainedRun:
    """What `train` returns: the run's folder, the scores of its best checkpoint, and that model, loaded when first
    asked for.
    """

    path: Path
    metrics: dict[str, Any]

    @cached_property
    def model(self) -> Any:
        return load(self.path)


def load(path: str | Path, device: str = "auto", precision: str = "auto") -> Any:
    """The model in a run folder (its best checkpoint), in one of its checkpoints, or in any folder that holds a
    model: of the class of its task (`MODELS`).

    Raises CheckpointError where it is missing, damaged or of another kind.
    """
    keep_freed_memory()
    folder = resolve(path)
    if damaged := verify(folder):
        raise CheckpointError(f"{folder}: damaged ({', '.join(damaged)}); copy it again, or use another checkpoint")
    config, tensors, tokenizer = load_model_files(folder)
    task = config.get("task", "translation")
    if tokenizer is None and task != "image-classification":
        raise CheckpointError(f"{folder}: tokenizer.json is missing; copy it from where the model was trained")
    if task not in [*MODELS]:  # which may be no text at all
        raise CheckpointError(f"{folder}/config.json: task {task!r} is not known; expected one of {', '.join(MODELS)}")
    name = config["model"].get("name") if isinstance(config.get("model"), dict) else None
    if name in [*LINEAGE] and task not in LINEAGE[name].tasks:
        tasks = " or ".join(LINEAGE[name].tasks)
        raise CheckpointError(f"{folder}/config.json: task {task!r} is not one of a {name}, which is for {tasks}")
    known = Tokenizer.load(tokenizer) if tokenizer and task != "image-classification" else None
    return MODELS[task](folder, config, tensors, known).to(device, precision)


def train(
    task: str,
    data: str | Path | None = None,
    model: str | None = None,
    *,
    out: str | Path | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    **options: Any,
) -> TrainedRun:
    """Trains a model and returns the finished run.

    task: as the first argument of `keifu train`; data: as its `--data`; model: a name of the lineage. options, as on
    the command line: valid, source, target, columns, max_time ("20m"), max_steps, epochs, preset, config (a YAML file),
    init, device, precision, seed; `overrides` is a nested dict for any other key, as {"model": {"d_model": 128}}.
    on_event: called with every event of the training loop.
    """
    run = prepare(task, data, model, out=out, **options)
    for event in run.events():
        on_event(event)
    best = best_evaluation(run.folder.path, run.task.selects_by) or {}
    return TrainedRun(run.folder.path, {"step": best.get("step"), **best.get("valid", {})})
