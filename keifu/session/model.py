"""What every loaded model has: its network and head, where and how it computes, and its role in its own run."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from keifu.config import Schema, validate
from keifu.errors import CheckpointError, ConfigError
from keifu.interface import PairBatch
from keifu.layers.heads import VocabularyHead
from keifu.layers.quantised import QuantisedHead, multiplies_int8, quantise
from keifu.models import LINEAGE, architecture
from keifu.tasks.reading import last_of
from keifu.text import Tokenizer
from keifu.training.memory import parameter_count
from keifu.training.network import fill, make_model, named_parameters
from keifu.training.precision import DTYPES, choose_device
from keifu.views.paths import PathLengths, influence_by_distance, path_lengths

_WHOLE = 4  # times the weights in a file at most: that of a reader holds an encoder alone
_PRECISIONS = ("auto", *DTYPES, "int8")


class Model(ABC):
    """A trained model with its head, tokenizer and settings, ready to use. Made by `load`, of the class of its task."""

    uses: ClassVar[tuple[str, ...]]
    """What can be done with it, as the commands are called."""

    def __init__(self, path: Path, config: Any, tensors: Mapping[str, Tensor], tokenizer: Any, task: Any) -> None:
        """config: the model's settings; tensors: its weights and the head's. Raises CheckpointError."""
        self.path, self.task, self.model_config = path, task, config
        self.tokenizer: Tokenizer = tokenizer  # of a model that sees pictures None, which it never asks for
        if tokenizer is not None and config.vocab_size != tokenizer.vocab_size:  # who sees has none
            raise CheckpointError(
                f"{path}/config.json: model.vocab_size is {config.vocab_size}, tokenizer.json has "
                f"{tokenizer.vocab_size} tokens; copy the whole folder again"
            )
        given = sum(tensor.numel() for tensor in tensors.values())
        if parameter_count(config) > _WHOLE * given:  # before memory is taken for it
            raise CheckpointError(f"{path}: the weights do not fit its config.json, which speaks of a larger model")
        self.network: Any = make_model(config)
        self.head: Any = task.head(self.network)
        self._quantised = False
        fill(named_parameters(self.network, self.head), tensors, path)
        self.network.eval()
        self.head.eval()

    def to(self, device: str | torch.device = "auto", precision: str = "fp32") -> "Model":
        """Moves the model to a device, its weights to "fp32" or "bf16" ("auto" is fp32), or to "int8", which is for
        CPUs: there products are computed in eight-bit integers, the rest in float32. Returns it. Raises ConfigError.
        """
        if precision not in _PRECISIONS:
            raise ConfigError(f"precision {precision!r} is not known; expected {', '.join(_PRECISIONS)}")
        target = choose_device(str(device))
        if self._quantised and (precision != "int8" or target.type != "cpu"):
            raise ConfigError("precision int8: its weights are rounded and stay on the CPU; load the model again")
        if precision == "int8" and not self._quantised:
            self._quantise(target)
        dtype = DTYPES.get(precision, torch.float32)
        self.network.to(device=target, dtype=dtype)
        self.head.to(device=target, dtype=dtype)
        return self

    def _quantise(self, device: torch.device) -> None:
        if device.type != "cpu" or not multiplies_int8():
            raise ConfigError(
                "precision int8: needs a CPU that multiplies eight-bit integers (avx512_vnni, avx_vnni or amx_int8), "
                f"found {device}; try {'bf16 or fp32' if device.type == 'cpu' else '--device cpu'}"
            )
        self.network.cpu()
        self.head.cpu()
        quantise(self.network)
        if isinstance(self.head, VocabularyHead):
            self.head = QuantisedHead(self.head)
        else:
            quantise(self.head)
        self._quantised = True

    @property
    def device(self) -> torch.device:
        device: torch.device = next(self.network.parameters()).device
        return device

    def role_in_training(self, sha256: str) -> dict[str, bool]:
        """Whether the checkpoint belongs to a run whose data.json names the data with this SHA-256, or the data that
        it was cut off.
        """
        try:
            report = json.loads((self.path.resolve().parent.parent / "data.json").read_text("utf-8"))
            whole = report.get("whole", {}).get("sha256")
            roles = {"selected_on": report["valid"]["sha256"], "trained_on": report["train"]["sha256"]}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            whole, roles = None, {"selected_on": "", "trained_on": ""}
        return {role: sha256 in (digest, whole) for role, digest in roles.items()}

    @abstractmethod
    def inputs(self, text: Any, *more: Any) -> Any:
        """What the network reads, as a batch of one row: of a text, or a picture file; of a translator with a target as
        well, of a model that answers questions with a story. Raises ConfigError.
        """

    def read(self, inputs: Any) -> list[list[str]]:
        """What such a batch consists of, to read: the tokens of each side."""
        sides = [inputs.source, inputs.target] if isinstance(inputs, PairBatch) else [inputs.tokens]
        return [self.labels(ids[0]) for ids in sides]

    def path_lengths(self, text: Any, *more: Any) -> PathLengths:
        """The fewest blocks that stand between each token and each output while the model reads what `inputs` makes of
        the arguments.

        Raises ConfigError for a model in int8, which has no gradients.
        """
        self._refuse_quantised()
        inputs = self.inputs(text, *more)
        lengths = path_lengths(self.network, inputs)
        return replace(lengths, tokens=dict(zip(lengths.outputs, self.read(inputs), strict=True)))

    def influence(self, texts: str | Sequence[str], longest: int = 100) -> Tensor:
        """How much a token changes an output that stands behind it, by the distance in tokens `[longest + 1]`.

        The root mean square over the texts of the derivative's norm (see views/paths.py); not a number at distances
        that no text has. The work grows with the square of a text's length. Raises ConfigError as `path_lengths` does.
        """
        self._refuse_quantised()
        texts = [texts] if isinstance(texts, str) else texts
        return influence_by_distance(self.network, map(self.inputs, texts), longest)

    def _refuse_quantised(self) -> None:
        if self._quantised:
            raise ConfigError("this needs gradients, which a model in int8 has none of; load it again in fp32")

    def labels(self, ids: Tensor) -> list[str]:
        """Tokens to read, of ids `[T]`."""
        return [self.tokenizer.token(index) for index in ids.tolist()]


def read_sections(path: Path, config: Mapping[str, Any], schemas: Mapping[str, type[Schema]]) -> dict[str, Any]:
    """The model's settings in a config.json, and other sections. Raises CheckpointError."""
    model = config.get("model")
    name = model.get("name") if isinstance(model, dict) else None
    if not isinstance(name, str) or name not in LINEAGE:
        raise CheckpointError(f"{path}/config.json: model {name!r} is not known; expected one of {', '.join(LINEAGE)}")
    schemas = {"model": architecture(name).Config, **schemas}
    try:
        return validate(schemas, {key: config.get(key, {}) for key in schemas}, file=path / "config.json")
    except ConfigError as error:
        raise CheckpointError(str(error)) from None


def one_by_one(text: str | Sequence[str], make: Callable[[str], Any]) -> Any:
    """What `make` makes of a text; of a list of texts, a list. None hangs on the others."""
    return make(text) if isinstance(text, str) else [make(one) for one in text]


def pooled(
    hidden: Tensor,
    pool: str,
    normalise: bool = False,
    backward_parts: Sequence[bool] = (False,),
    summed_up: bool = False,
) -> Tensor:
    """One vector `[N]` of those of each token `[T, N]`: their "mean", or the "last", with which reading ends (see
    `last_of`); where the first sums the text up, also that, "cls". Raises ConfigError.
    """
    if pool not in ("last", "mean", *(["cls"] if summed_up else [])):
        raise ConfigError(f"pool {pool!r} is not known; expected {'cls, ' if summed_up else ''}last or mean")
    length = torch.tensor([len(hidden)], device=hidden.device)
    match pool:
        case "last":
            vector = last_of(hidden[None], length, backward_parts)[0]
        case "mean":
            vector = hidden.mean(0)
        case _:
            vector = hidden[0]
    return F.normalize(vector, dim=-1) if normalise else vector
