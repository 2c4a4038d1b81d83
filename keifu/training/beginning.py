"""Beginning with the weights and the tokenizer of a trained model instead of fresh ones (--init).

The model may have been trained for another task: then heads that fit are taken over, and others are new. It may also be
of another architecture that is a part of the new one, as BERT is of bert-seq2seq.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from keifu.checkpoint import load_model_files, resolve, verify
from keifu.errors import CheckpointError, ConfigError
from keifu.models import LINEAGE, architecture, model_class
from keifu.text import Tokenizer
from keifu.training.network import fill

_FREE = ("dropout", "gelu", "balance_penalty", "z_penalty", "time_noise", "linear_start")
"""Settings of a model that its weights do not depend on, or as good as not."""
_ONCE = {"linear_start": 0.0}
"""Settings for a first training alone, and what they are where another one has gone before."""
_OF_CLASSES = ("head.classes.", "head.own")  # before the names of weights that mean something only for the same classes


@dataclass(frozen=True)
class Beginning:
    """A trained model to begin with: where it lies, its architecture, its sizes, its weights, its tokenizer, and its
    classes where it has some. most_tokens: that it has read together, where that is known.
    """

    path: Path
    name: str
    sizes: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    tokenizer: Tokenizer | None
    labels: Any = None
    most_tokens: int | None = None


def read_beginning(path: str | Path, preset: str | None = None) -> Beginning:
    """The model in a run folder (its best), one of its checkpoints, or a model folder.

    Raises CheckpointError where there is none, and ConfigError where a preset asks for other sizes.
    """
    if preset is not None:
        raise ConfigError(f"--preset {preset} and --init {path} both say how large the model is; leave --preset away")
    folder = resolve(path)
    if damaged := verify(folder):
        raise CheckpointError(f"{folder}: damaged ({', '.join(damaged)}); copy it again, or begin with another")
    config, tensors, tokenizer = load_model_files(folder)
    model = config.get("model")
    sees = config.get("task") == "image-classification"
    if (tokenizer is None and not sees) or not isinstance(model, dict) or not isinstance(model.get("name"), str):
        raise CheckpointError(f"{folder}: not a model that keifu trained on text or pictures; begin with another")
    model = _defaults(model["name"]) | model  # what came to the settings later was as it is by default
    sizes = {key: _ONCE.get(key, value) for key, value in model.items() if key != "name"}
    known = Tokenizer.load(tokenizer) if tokenizer else None
    most = config.get("max_tokens")
    return Beginning(
        folder, model["name"], sizes, tensors, known, classes_of(config), most if type(most) is int else None
    )


def _defaults(name: str) -> dict[str, Any]:
    """The settings of an architecture as it comes; of one that is not known, none."""
    return architecture(name).Config().model_dump(mode="json") if name in LINEAGE else {}


def classes_of(config: Mapping[str, Any]) -> Any:
    """What the scores of a model's head stand for, of its config.json: classes, answers, or None."""
    return config.get("labels", config.get("answers"))


def check_begins(beginning: Beginning, name: str, special_tokens: tuple[str, ...], asked: Mapping[str, Any]) -> None:
    """Raises ConfigError where a model of this name cannot begin with it, where its tokenizer lacks these tokens, or
    where the data settings that are asked for speak of another tokenizer.
    """
    parents = (name, *getattr(model_class(name), "begins_with", ()))
    if beginning.name not in parents:
        raise ConfigError(
            f"{beginning.path}: is a {beginning.name}; a {name} can begin with a {' or a '.join(parents)}; choose "
            "another --model, or leave --init away"
        )
    tokenizer = beginning.tokenizer
    known = tokenizer.special if tokenizer else ()
    if missing := [token for token in special_tokens if token not in known]:
        raise ConfigError(
            f"{beginning.path}: its tokenizer has no {', '.join(missing)}, which this task needs; begin with a model "
            "that was trained for masked-lm, classification or tagging"
        )

    if tokenizer and asked.get("tokenizer") not in (None, tokenizer.kind):
        raise ConfigError(
            f"{beginning.path}: its data.tokenizer is {tokenizer.kind} and comes with it; leave data.tokenizer="
            f"{asked['tokenizer']} away, or --init"
        )


def begin_with(beginning: Beginning, named: list[tuple[str, nn.Parameter]], model: Any, labels: Any = None) -> str:
    """Copies the weights into a new model with the settings `model`, and those of its heads that fit; returns in words
    what was taken. labels: the classes that the new head is for. Raises ConfigError where settings differ.
    """
    settings = model.model_dump(mode="json")
    other = [
        f"{key} is {settings[key]} here and {value} there"
        for key, value in beginning.sizes.items()
        if key not in _FREE and settings.get(key) != value
    ]
    if other:
        size = " ".join(f"--set data.{side}={beginning.sizes.get(side)}" for side in ("height", "width"))
        pictures = any(difference.startswith(("height", "width")) for difference in other)
        advice = f"bring pictures to its size: {size}" if pictures else "leave these away"
        if other[0].startswith("channels"):
            colour = str(beginning.sizes["channels"] != 1).lower()
            advice = f"bring pictures to its colours: --set data.colour={colour}"
        raise ConfigError(f"{beginning.path}: cannot begin with it: model.{', model.'.join(other)}; {advice}")
    tensors = beginning.tensors
    own = [(name, parameter) for name, parameter in named if name.startswith("model.")]
    if beginning.name != model.name:
        inherited = model_class(model.name).inherited(tensors).items()
        tensors = {f"model.{name}": tensor for name, tensor in inherited}
        own = [(name, parameter) for name, parameter in own if name in tensors]
    if missing := [name for name, _ in own if name not in tensors]:  # a reader's decoder, say
        raise ConfigError(
            f"{beginning.path}: cannot begin with it: its own training left {_parts(missing)} away; begin with a "
            "model that this version of keifu trained for this task"
        )
    heads = [
        (name, parameter)
        for name, parameter in named
        if name.startswith("head.")
        and name in tensors
        and tensors[name].shape == parameter.shape
        and not (name.startswith(_OF_CLASSES) and (labels is None or labels != beginning.labels))
    ]
    taken = dict(own + heads)
    fill(list(taken.items()), {name: tensors[name] for name in taken if name in tensors}, beginning.path)
    new = [name for name, _ in named if name not in taken]
    count = sum(parameter.numel() for parameter in taken.values())
    return f"taken: {_parts(list(taken))} ({count:,} weights); new: {_parts(new) or 'nothing'}"


def places_to_teach(beginning: Beginning, model: Any, longest: int) -> str:
    """In words, for behind those of `begin_with`, that rows of up to `longest` tokens have places of which the model
    knows nothing; "" where they have none.
    """
    known = beginning.most_tokens
    assert known is not None
    if longest <= known or getattr(model, "longest", None) is None:
        return ""
    return f"; rows have up to {longest:,} tokens, and it has read {known:,} at most: later places are as fresh ones"


def _parts(names: list[str]) -> str:
    """The parts of a model that weights of these names belong to, without the numbers of layers."""
    parts = (re.sub(r"\.\d+(?=\.)", "", name).rpartition(".")[0] for name in names)
    return ", ".join(dict.fromkeys(".".join(part.split(".")[:2]) for part in parts))
