"""Pictures and their classes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from keifu.config import validate
from keifu.data.batches import Sampler
from keifu.data.pictures import Shape
from keifu.errors import ConfigError
from keifu.tasks.image_classification import ImageClassification
from keifu.training.corpus import PictureCorpus
from keifu.training.evaluation import evaluate_pictures
from keifu.training.loop import Evaluation, Learner
from keifu.training.report import picture_report
from keifu.training.settings import Settings


class PictureLesson:
    """Pictures with their classes, all of one size."""

    def __init__(self, settings: Settings, corpus: PictureCorpus, tokenizer: None) -> None:
        shape, training = corpus.train.shape, settings.training
        asked = settings.model.model_dump() | shape._asdict()
        model = validate({"model": type(settings.model)}, {"model": asked})["model"]  # a patch may not fit the size
        self.settings, self.corpus = replace(settings, model=model), corpus
        labels = tuple(corpus.train.classes)
        self.task = ImageClassification(labels, training.augment, training.label_smoothing)
        self.data, self.valid = (self.task.encode(part.pixels, part.labels) for part in (corpus.train, corpus.valid))
        self.model_facts = {"labels": list(labels)}

    def sampler(self) -> Sampler:
        training = self.settings.training
        return Sampler(self.data.sizes, training.batch_size, training.seed)

    def evaluate(self, learner: Learner, settings: Settings, should_stop: Callable[[], bool]) -> Evaluation:
        return evaluate_pictures(learner, self.corpus.valid.places, self.valid, settings.decoding, should_stop)

    def rehearse(self, trial: Learner, settings: Settings) -> Evaluation:
        return self.evaluate(trial, settings, lambda: False)

    def report(self, sampler: Sampler) -> dict[str, Any]:
        return picture_report(self.corpus)


def check_shape(model: Any, shape: Shape) -> None:
    """Raises ConfigError where a model is asked for that reads pictures of another shape."""
    for name, found in shape._asdict().items():
        if (asked := getattr(model, name)) not in (None, found):
            advice = "data.colour chooses colours" if name == "channels" else f"data.{name} brings them to another size"
            raise ConfigError(f"model.{name}: {asked}, but the pictures have {found}; leave it away ({advice})")
