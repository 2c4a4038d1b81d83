"""A text small enough to be learned in seconds, and runs of language models on it."""

import random
from pathlib import Path
from typing import Any

from keifu.config import merge
from keifu.training.run import Run
from keifu.training.start import prepare

SMALL: dict[str, Any] = {
    "model": {"d_model": 16, "n_layers": 1, "dropout": 0.1},
    "data": {"tokenizer": "character", "vocab_size": 100, "window": 10},
    "training": {"batch_tokens": 80, "learning_rate": 0.01, "device": "cpu", "precision": "fp32"},
    "decoding": {"max_tokens": 10},
}
"""Overrides that make training take milliseconds a step."""

WORDS = ["the", "cat", "dog", "bird", "sees", "likes", "hears", "old", "small", "green", "and", "in"]


def sentences(count: int, seed: int = 0) -> list[str]:
    """Sentences of ragged length; the first ones differ from each other."""
    draw = random.Random(seed)
    made: dict[str, None] = {}
    while len(made) < count:
        made[" ".join(draw.choices(WORDS, k=draw.randint(1, 6))) + "."] = None
    return list(made)


def running(count: int, seed: int = 0) -> str:
    """A running text: sentences a line, with a blank line after every third."""
    return "".join(f"{line}\n" + "\n" * (number % 3 == 2) for number, line in enumerate(sentences(count, seed)))


def write_text(path: Path, text: str) -> str:
    """Writes the text and returns the SPEC that names it."""
    path.write_text(text, encoding="utf-8")
    return str(path)


def language_run(
    spec: str, out: Path, training: dict[str, Any] | None = None, architecture: str = "lstm", **more: Any
) -> Run:
    """A run with small settings, ready to train."""
    reads_windows = architecture not in ("rnn", "lstm", "gru")
    own = {"model": {"max_length": SMALL["data"]["window"]}} if reads_windows else {}
    overrides = merge(merge(SMALL, own), {"training": training or {}, **more})
    return prepare("language-modeling", spec, architecture, out=out, overrides=overrides)
