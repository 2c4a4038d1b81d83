"""Beginning with the weights and the tokenizer of a trained model instead of fresh ones (--init)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from keifu.checkpoint import load_model_files, resolve, verify
from keifu.errors import CheckpointError, ConfigError
from keifu.text import Tokenizer
from keifu.training.network import fill

_FREE = ("dropout", "balance_penalty", "z_penalty")  # settings of a model that its weights do not depend on


@dataclass(frozen=True)
class Beginning:
    """A trained model to begin with: where it lies, its architecture, its sizes, its weights and its tokenizer."""

    path: Path
    name: str
    sizes: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    tokenizer: Tokenizer


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
    if tokenizer is None or not isinstance(model, dict) or not isinstance(model.get("name"), str):
        raise CheckpointError(
            f"{folder}: not a model that keifu trained on text; begin with another, or without --init"
        )
    sizes = {key: value for key, value in model.items() if key != "name"}
    return Beginning(folder, model["name"], sizes, tensors, Tokenizer.load(tokenizer))


def begin_with(beginning: Beginning, named: list[tuple[str, nn.Parameter]], model: Any) -> None:
    """Copies the weights into a new model with the settings `model`. Raises ConfigError where these differ."""
    settings = model.model_dump(mode="json")
    other = [
        f"{key} is {settings[key]} here and {value} there"
        for key, value in beginning.sizes.items()
        if key not in _FREE and settings.get(key) != value
    ]
    if other:
        raise ConfigError(f"{beginning.path}: cannot begin with it: model.{', model.'.join(other)}; leave these away")
    fill(named, beginning.tensors, beginning.path)
