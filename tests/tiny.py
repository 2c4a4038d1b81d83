"""A language small enough to be learned in a second: aligned files, settings and runs made of it."""

import hashlib
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from keifu.config import merge
from keifu.data.examples import Pair
from keifu.training.network import named_parameters
from keifu.training.run import Run
from keifu.training.start import prepare

JAPANESE = {
    "I": "私",
    "You": "君",
    "We": "我々",
    "They": "彼ら",
    "cats": "猫",
    "dogs": "犬",
    "birds": "鳥",
    "fish": "魚",
    "see": "見る",
    "like": "好む",
    "draw": "描く",
}
SUBJECTS, NOUNS, VERBS = list(JAPANESE)[:4], list(JAPANESE)[4:8], list(JAPANESE)[8:]

TINY: dict[str, Any] = {
    "model": {"d_model": 16, "n_layers": 1, "n_heads": 2, "d_ff": 32, "dropout": 0.1},
    "data": {"tokenizer": "character", "vocab_size": 100},
    "training": {"batch_tokens": 200, "learning_rate": 0.003, "evaluate_on": 4, "device": "cpu", "precision": "fp32"},
}
"""Overrides that make training take milliseconds a step."""


def pairs(count: int, seed: int = 0) -> list[Pair]:
    """Sentences of one to four nouns, so of ragged length; the first ones differ from each other."""
    draw = random.Random(seed)
    made: dict[str, Pair] = {}
    while len(made) < count:
        subject, verb = draw.choice(SUBJECTS), draw.choice(VERBS)
        nouns = draw.choices(NOUNS, k=draw.randint(1, 4))
        english = f"{subject} {verb} {' and '.join(nouns)}."
        objects = "と".join(JAPANESE[noun] for noun in nouns)
        made[english] = Pair(english, f"{JAPANESE[subject]}は{objects}を{JAPANESE[verb]}。")
    return list(made.values())


def write(folder: Path, examples: Iterable[Pair], name: str = "text") -> str:
    """Writes aligned files and returns the SPEC that names them."""
    examples = list(examples)
    sides = {"en": [pair.source for pair in examples], "ja": [pair.target for pair in examples]}
    for ending, lines in sides.items():
        (folder / f"{name}.{ending}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return f"{folder / name}.en,{folder / name}.ja"


def tiny_run(spec: str, out: Path, training: dict[str, Any] | None = None, **more: Any) -> Run:
    """A run with tiny settings, ready to train."""
    return prepare("translation", spec, out=out, overrides=merge(TINY, {"training": training or {}, **more}))


def set_arguments(settings: dict[str, Any] = TINY) -> list[str]:
    """The settings as arguments of `keifu train`."""
    return [
        argument
        for section, values in settings.items()
        for key, value in values.items()
        for argument in ("--set", f"{section}.{key}={value}")
    ]


def digest(tensors: Iterable[torch.Tensor]) -> str:
    total = hashlib.sha256()
    for tensor in tensors:
        total.update(tensor.detach().contiguous().numpy().tobytes())
    return total.hexdigest()


def weights(run: Run) -> str:
    """SHA-256 of all weights."""
    return digest(value for _, value in named_parameters(run.learner.model, run.learner.head))


def optimiser_state(run: Run) -> str:
    """SHA-256 of all that the optimiser remembers."""
    return digest(run.learner.memory().values())


def metric_lines(path: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without what differs from one run to the next: the clock."""
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]
