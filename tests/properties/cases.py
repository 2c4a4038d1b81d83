"""What the property tests know of a model, and the model itself with random settings, weights and inputs."""

import os
import random
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_letters
from typing import Any

import torch
from torch import Tensor, nn

from keifu.text import READING_TOKENS, SPECIAL_TOKENS, Tokenizer
from keifu.trace import Recorded
from keifu.training.network import named_parameters
from tests.properties.inputs import Inputs, ReadInputs

CONFIGURATIONS = int(os.environ.get("KEIFU_CONFIGURATIONS", "3"))
"""Random configurations a model; tests/long/models.py asks for the full count."""

Example = dict[str, list[int]]  # token ids for each side that a model reads
Declared = Callable[[int, int], Tensor]  # [T, S], True where output t may depend on input s


@dataclass(frozen=True)
class Family:
    """config: a small random Config. dependencies: for (side of the output, side of the input) which positions may
    matter with a Config; a pair that is not named must not. symmetric: sides whose order cannot matter once positions
    are zero. attention: patterns of attention modules -> (side that asks, side that answers). sizes: what the axis
    letters other than B, T and S stand for. wiring: recorded values recomputed from others, as (name, expected); names
    that begin with `apart` have other tests. regroups: a token's neighbours decide with which rows it is multiplied.
    attends: which positions attend to which, where that is less than may matter.
    shown: a pattern of recorded values, where the usual ones have other names.
    """

    config: Callable[[random.Random], Any]
    inputs: Inputs
    dependencies: Callable[[Any], Mapping[tuple[str, str], Declared]]
    symmetric: tuple[str, ...]
    attention: Mapping[str, tuple[str, str]]
    sizes: Callable[[Any], dict[str, int]]
    wiring: Callable[[Any, Mapping[str, Recorded]], Iterator[tuple[str, Tensor]]]
    apart: str = "-"
    regroups: bool = False
    attends: Callable[[Any, int, int], Tensor] | None = None

    shown: str = ""

    @property
    def pattern(self) -> str:
        """Of values that stand for the rest: what is attended to, or the states."""
        return self.shown or ("*.weights" if self.attention else "*.hidden")

    def may_attend(self, config: Any, asks: str, answers: str, outputs: int, inputs: int) -> Tensor:
        """Which positions of one side attend to which of another: those that may matter to it, unless declared."""
        if self.attends is not None:
            return self.attends(config, outputs, inputs)
        return self.dependencies(config)[asks, answers](outputs, inputs)


@dataclass
class Case:
    """A family's model with random settings and weights, in float64, and what makes inputs for it."""

    family: Family
    config: Any
    model: Any
    random: random.Random

    @property
    def dependencies(self) -> Mapping[tuple[str, str], Declared]:
        return self.family.dependencies(self.config)

    def sizes(self, name: str = "") -> dict[str, int]:
        """What the axis letters other than B, T and S stand for, in the recorded value of this name."""
        sizes = self.family.sizes(self.config)
        if name.startswith("encoder.") and getattr(self.config, "direction", "") == "bidirectional":
            sizes["N"] //= 2
        return sizes

    @property
    def inputs(self) -> Inputs:
        return self.family.inputs

    def to(self, dtype: torch.dtype) -> "Case":
        return replace(self, model=deepcopy(self.model).to(dtype))

    def tokens(self, length: int) -> list[int]:
        return [self.random.randrange(self.config.vocab_size) for _ in range(length)]

    def examples(self, count: int, longest: int = 9) -> list[Example]:
        """Random sequences of random lengths from 1."""
        sides = self.inputs.sides
        return [{side: self.tokens(self.random.randint(1, longest)) for side in sides} for _ in range(count)]

    def padded(self, examples: list[Example], extra: int = 0) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Tokens and masks `[B, T]` of every side, padded on the right with random tokens and `extra` columns."""
        tokens, masks = {}, {}
        for side in self.inputs.sides:
            longest = max(len(example[side]) for example in examples) + extra
            rows = [example[side] + self.tokens(longest - len(example[side])) for example in examples]
            tokens[side] = torch.tensor(rows)
            masks[side] = torch.tensor([[t < len(example[side]) for t in range(longest)] for example in examples])
        return tokens, masks

    def outputs(self, examples: list[Example], extra: int = 0) -> list[dict[str, Tensor]]:
        """For each example and side the hidden vectors `[T, D]` at its real tokens, computed in one batch."""
        tokens, masks = self.padded(examples, extra)
        with torch.no_grad():
            found = self.inputs.outputs(self.model, self.inputs.batch(tokens, masks))
        return [{side: found[side][row][masks[side][row]] for side in found} for row in range(len(examples))]

    def whole(self, examples: list[Example]) -> list[Tensor]:
        """Hidden vectors `[T, D]` of the written side of each example, read at once."""
        return [output[self.inputs.written] for output in self.outputs(examples)]

    def start(self, examples: list[Example], capacity: int = 64) -> Any:
        with torch.no_grad():
            return self.inputs.start(self.model, *self.padded(examples), capacity)

    def step(self, rows: list[list[int]], state: Any, mask: Tensor | None = None) -> tuple[Tensor, Any]:
        with torch.no_grad():
            hidden, state = self.model.step(torch.tensor(rows), state, mask)
        return hidden, state

    def session(self) -> Any:
        """The model as a user holds it, in the same precision, with a tokenizer of one character a token."""
        special = READING_TOKENS if isinstance(self.inputs, ReadInputs) else SPECIAL_TOKENS
        tokenizer = letters(self.config.vocab_size, special)
        head = self.inputs.task(tokenizer).head(self.model)
        tensors = {name: parameter.detach() for name, parameter in named_parameters(self.model, head)}
        config = {"model": self.config.model_dump(), **self.inputs.config}
        model = self.inputs.session(Path("test"), config, tensors, tokenizer)
        dtype = next(self.model.parameters()).dtype
        model.network.to(dtype)
        model.head.to(dtype)
        for name, parameter in named_parameters(model.network, model.head):
            parameter.data.copy_(tensors[name])
        return model


def letters(vocab_size: int, special: tuple[str, ...] = SPECIAL_TOKENS) -> Tokenizer:
    """A tokenizer of this many tokens: the special ones and letters."""
    return Tokenizer.train([ascii_letters[: vocab_size - len(special)]], "character", vocab_size, special)


def scatter(model: nn.Module, seed: int) -> None:
    """Moves every weight, so that none is as simple as a fresh bias (0) or gain (1)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
