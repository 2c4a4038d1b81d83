"""The settings of a training run: what its config.yaml says, and how it comes about."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from keifu.config import Schema, duration, merge, read_yaml, validate
from keifu.errors import ConfigError
from keifu.generation.sampling import Sampling
from keifu.generation.translation import Decoding
from keifu.models import LINEAGE, architecture, model_class
from keifu.tasks.language_modeling import refuse_looking_ahead
from keifu.tasks.reading import Reading
from keifu.text import READING_TOKENS
from keifu.training.data_settings import (
    Data,
    LabelledData,
    PassageData,
    PictureData,
    StoryData,
    TaggedData,
    TextData,
)

MOST_STEPS = 10**12

_BEFORE = {"training": {"optimizer": "adamw", "average": 0}}
"""What a run did whose config.yaml was written before these settings existed."""


class Answering(Schema):
    """How questions are answered."""

    batch_size: int = Field(256, ge=1)
    """Questions computed together."""


class Training(Schema):
    """How a model is trained, whatever it learns."""

    task: str = ""
    """What is learned."""

    max_steps: int | None = Field(None, ge=1, le=MOST_STEPS)
    """Steps to train for. Computed from max_time or epochs where these are given, and then frozen."""

    max_time: str | None = None
    """Time to train for (20m, 1.5h), evaluation included. Turned into max_steps at the start."""

    epochs: float | None = Field(None, gt=0, le=1e6)
    """Passes over the training data. With no limit given at all: 20, or 1,000 batches if these are more."""

    init: str | None = None
    """A run, or one of its checkpoints, whose weights and tokenizer training begins with. Empty: fresh ones."""

    batch_tokens: int = Field(4096, ge=1)
    """Tokens in a batch, padding included, on the longer side. A step is one batch, or more with batch_growth."""

    batch_growth: int = Field(1, ge=1, le=64)
    """Batches in the last steps. The first have one, and one more comes after each equal share of the steps. 1: all
    have one.
    """

    accumulate: int = Field(1, ge=1)
    """Parts in which each batch is computed: more need less memory and give the same result, but for what is drawn by
    chance (dropout) and for the balance penalty of `moe`, and the z penalty of one that translates, which each part has
    for itself.
    """

    optimizer: Literal["muon", "adamw"] = "muon"
    """What turns gradients into steps: Muon for the matrices of hidden layers and AdamW for the rest, or AdamW for all.
    """

    learning_rate: float | None = Field(None, gt=0)
    """Peak learning rate. Empty: 0.256 / d_model, and at most 0.002."""

    layer_decay: float = Field(1.0, gt=0, le=1)
    """Share of a layer's learning rate at which the layer below it learns; embeddings learn slowest, the blocks of a
    decoder that reads another side at the whole rate. 1: all alike. For going on with a pre-trained model (--init),
    whose lower layers need to change less.
    """

    frozen_layers: int = Field(0, ge=0)
    """Lowest layers that stay as they are, of a translator on both sides but for the attention from one to the other,
    and with them the embeddings. For going on with a pre-trained model.
    """

    warmup: float = Field(0.05, ge=0, lt=1)
    """Share of the steps over which the learning rate rises from zero."""

    schedule: Literal["linear", "cosine", "inverse-sqrt", "constant"] = "linear"
    """How the learning rate goes down after the warm-up."""

    weight_decay: float = Field(0.01, ge=0)
    """Decay of the matrices, as in AdamW. Biases, norms and embeddings are left alone."""

    betas: tuple[float, float] = (0.9, 0.98)
    """AdamW's rates of forgetting for the mean and the square of the gradients."""

    clip_norm: float = Field(1.0, gt=0)
    """Gradients longer than this are shortened to it."""

    average: float = Field(0.05, ge=0, le=0.5)
    """The weights that are evaluated and saved are a mean over the latest steps, on average this share of all steps
    old. 0: those of the last step.
    """

    evaluate_every: int | None = Field(None, ge=1)
    """Steps between two evaluations, each followed by a checkpoint. Empty: as many as make at most 20 evaluations."""

    patience: int | None = Field(None, ge=1)
    """Evaluations without a better score after which training ends early. Empty: it goes on to the last step."""

    keep: int = Field(2, ge=1)
    """Newest checkpoints to keep, beside the best."""

    device: str = "auto"
    """auto, cpu, cuda, cuda:1."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Number format of the matrix products; auto follows the rule in keifu/training/precision.py."""

    seed: int = Field(0, ge=0, lt=2**31)
    """All that is random follows from it: first weights, order of the data, dropout."""

    @field_validator("max_time", mode="before")
    @classmethod
    def _seconds_without_quotes(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @field_validator("max_time")
    @classmethod
    def _is_a_duration(cls, text: str | None) -> str | None:
        try:
            if text is not None:
                duration(text)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return text

    @model_validator(mode="after")
    def _betas_are_rates(self) -> "Training":
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas {list(self.betas)}: expected two numbers from 0 up to, but not including, 1")
        return self


class TranslationTraining(Training):
    """How a translator is trained."""

    task: Literal["translation"] = "translation"
    """What is learned."""

    label_smoothing: float = Field(0.1, ge=0, lt=1)
    """Share of the target probability that is spread over all tokens."""

    evaluate_on: int = Field(500, ge=1)
    """Sentences of the validation data that are translated (greedily) at each evaluation."""


class LanguageTraining(Training):
    """How a language model is trained."""

    task: Literal["language-modeling"] = "language-modeling"
    """What is learned."""


class MaskedTraining(Training):
    """How a model is pre-trained."""

    task: Literal["masked-lm"] = "masked-lm"
    """What is learned."""

    batch_tokens: int = Field(1024, ge=1)
    """Tokens in a batch, padding included. Before attention has found the places beside a gap, steps count, not tokens;
    a large corpus may take 4096 or more.
    """

    optimizer: Literal["muon", "adamw"] = "adamw"
    """AdamW, or Muon for the matrices of hidden layers and AdamW for the rest. (Masked tokens of neko told right
    in rows of 32 after 150 seconds on two cores: 19.8 % with AdamW, 17.0 % with Muon at half its usual rate.)
    """

    masked: bool = True
    """Whether masked tokens are to be told."""

    mask_share: float = Field(0.15, gt=0, lt=1)
    """Share of the tokens that are to be told: 80 % of them are masked, 10 % are replaced, 10 % stay."""

    whole_words: bool = False
    """Whether all tokens of a word are masked together. Words of Japanese are found by an analyser (keifu[ja])."""

    next_sentence: bool | None = None
    """Whether to tell pairs of which one text follows the other from those made by chance. Empty: where documents have
    several sentences.
    """

    @model_validator(mode="after")
    def _something_is_learned(self) -> "MaskedTraining":
        if not self.masked and self.next_sentence is False:
            raise ValueError("masked and next_sentence are both false; expected at least one of them to be true")
        return self


class DecisionTraining(Training):
    """How a model is trained that chooses among classes."""

    class_weights: Literal["none", "balanced"] = "none"
    """What an example counts: the same whatever its class, or more where its class is rare."""


class ClassificationTraining(DecisionTraining):
    """How a classifier is trained."""

    task: Literal["classification"] = "classification"
    """What is learned."""


class TaggingTraining(DecisionTraining):
    """How a tagger is trained."""

    task: Literal["tagging"] = "tagging"
    """What is learned."""


class StoryTraining(Training):
    """How a model that answers questions on stories is trained. Sukhbaatar et al. 2015 clip the gradient of a batch's
    sum at 40 and anneal the rate of plain gradient descent. Here gradients are of the mean, so that 40 only keeps off
    what is far out, and AdamW's rate goes down in a straight line.
    """

    task: Literal["question-answering"] = "question-answering"
    """What is learned."""

    batch_size: int = Field(32, ge=1)
    """Questions in a batch of a memory network. Other models, which read word by word, take batch_tokens."""

    optimizer: Literal["muon", "adamw"] = "adamw"
    """What turns gradients into steps: Muon for the matrices of hidden layers and AdamW for the rest, or AdamW for all.
    """

    clip_norm: float = Field(40.0, gt=0)
    """Gradients longer than this are shortened to it."""


class ImageTraining(Training):
    """How a classifier of pictures is trained."""

    task: Literal["image-classification"] = "image-classification"
    """What is learned."""

    batch_size: int = Field(64, ge=1)
    """Pictures in a batch (batch_tokens does not count here)."""

    augment: bool = True
    """Whether pictures are turned, stretched and moved a little by chance, each time anew."""

    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of the target probability that is spread over all classes."""


SCHEMAS: dict[str, dict[str, type[Schema]]] = {
    "translation": {"data": Data, "training": TranslationTraining, "decoding": Decoding},
    "language-modeling": {"data": TextData, "training": LanguageTraining, "decoding": Sampling},
    "masked-lm": {"data": PassageData, "training": MaskedTraining, "decoding": Reading},
    "classification": {"data": LabelledData, "training": ClassificationTraining, "decoding": Reading},
    "question-answering": {"data": StoryData, "training": StoryTraining, "decoding": Answering},
    "image-classification": {"data": PictureData, "training": ImageTraining, "decoding": Reading},
    "tagging": {"data": TaggedData, "training": TaggingTraining, "decoding": Reading},
}
"""Of every task, the sections of config.yaml beside the model's."""

_DEFAULT_MODELS = {
    "translation": "transformer",
    "language-modeling": "lstm",
    "masked-lm": "bert",
    "classification": "bert",
    "tagging": "bert",
    "question-answering": "memory-network",
    "image-classification": "vit",
}


@dataclass(frozen=True)
class Settings:
    """The four sections of config.yaml; `model` is the schema of its architecture, the others are those of the task."""

    model: Any
    data: Any
    training: Any
    decoding: Any

    @property
    def sections(self) -> dict[str, Schema]:
        return {"model": self.model, "data": self.data, "training": self.training, "decoding": self.decoding}

    def with_model(self, **values: Any) -> "Settings":
        return replace(self, model=self.model.model_copy(update=values))

    def with_data(self, **values: Any) -> "Settings":
        return replace(self, data=self.data.model_copy(update=values))

    def with_training(self, **values: Any) -> "Settings":
        return replace(self, training=self.training.model_copy(update=values))


def special_tokens(task: str, model: str) -> tuple[str, ...]:
    """Those that the tokenizer needs. A model that has a vector for a text as a whole reads [CLS] there."""
    special: tuple[str, ...] = SCHEMAS[task]["data"].special_tokens  # type: ignore[attr-defined]
    return READING_TOKENS if hasattr(model_class(model), "summary") else special


def section_schemas(task: str, model: str) -> dict[str, type[Schema]]:
    """The schema of each section, for a task and a model of the lineage."""
    return {"model": architecture(model).Config, **SCHEMAS[task]}


def resolve_settings(
    task: str,
    model: str | None = None,
    preset: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    config: str | Path | None = None,
    sizes: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings from the model's preset, or its `sizes` given one by one, a YAML file over it, and `overrides` over
    both.

    Raises ConfigError with all mistakes of the file and the overrides together.
    """
    data, lines = read_yaml(config) if config else ({}, {})
    name = model or _model_name(overrides or {}) or _model_name(data) or default_model(task)
    check_fits(task, name)
    presets = architecture(name).PRESETS
    if preset is not None and preset not in presets:
        raise ConfigError(f"preset {preset!r} is not known; {name} has {', '.join(presets)}")
    sizes = sizes or (presets[preset] if preset else {})
    base = {"model": {**sizes, "name": name}, "training": {"task": task}}
    if _model_name(data):  # it may be of another one that has the same settings
        data = merge(data, {"model": {"name": name}})
    settings = Settings(**validate(section_schemas(task, name), merge(base, data), lines, config or "", overrides))
    if task == "language-modeling":
        refuse_looking_ahead(settings.model)
    if task != "image-classification":
        _refuse_picture_sizes(settings.model)
    return settings


def _refuse_picture_sizes(model: Schema) -> None:
    """Raises ConfigError for a model of texts that was told how large pictures are."""
    for name in ("channels", "height", "width"):
        if getattr(model, name, None) is not None:
            raise ConfigError(f"model.{name}: says how large pictures are, and here texts are read; leave it away")


def read_settings(path: Path) -> Settings:
    """The settings of a run's config.yaml. Raises ConfigError."""
    data, lines = read_yaml(path)
    name = _model_name(data) or ""
    if name not in LINEAGE:
        raise ConfigError(f"{path}: model.name: {name!r} is not known; expected one of {', '.join(LINEAGE)}")
    section = data.get("training")
    task = section.get("task", "translation") if isinstance(section, Mapping) else "translation"
    if task not in [*SCHEMAS]:  # which may be no text at all
        raise ConfigError(f"{path}: training.task: {task!r} is not known; expected one of {', '.join(SCHEMAS)}")
    return Settings(**validate(section_schemas(task, name), merge(_BEFORE, data), lines, path))


def default_model(task: str) -> str:
    """The model that a task takes when none is named. Raises ConfigError for a task that does not exist."""
    if task not in _DEFAULT_MODELS:
        raise ConfigError(f"task {task!r} is not known; expected one of {', '.join(_DEFAULT_MODELS)}")
    return _DEFAULT_MODELS[task]


def check_fits(task: str, model: str) -> None:
    """Raises ConfigError for a model that does not exist or cannot do the task."""
    default_model(task)
    if model not in LINEAGE:
        raise ConfigError(f"model {model!r} is not known; expected one of {', '.join(LINEAGE)} (see keifu models)")
    if task not in LINEAGE[model].tasks:
        raise ConfigError(f"model {model} cannot do {task}; it does {', '.join(LINEAGE[model].tasks)}")


def preset_for(pairs: int) -> str:
    """The size of model that this much data can fill."""
    return "tiny" if pairs < 20_000 else "small" if pairs < 1_000_000 else "base"


def _model_name(data: Mapping[str, Any]) -> str | None:
    section = data.get("model")
    name = section.get("name") if isinstance(section, Mapping) else None
    return name if isinstance(name, str) else None
