"""Small texts with documents, classes and tags in which there is something to learn, and runs made of them."""

import random
from pathlib import Path
from typing import Any

from keifu.config import merge
from keifu.training.run import Run
from keifu.training.start import prepare

TOPICS = {"sea": ["boat", "wave", "fish", "sail"], "farm": ["cow", "hay", "barn", "plough"]}
TAGS = {"DET": ["the", "a"], "NOUN": ["boat", "wave", "cow", "barn"], "VERB": ["sees", "likes"]}
ORDER = ("DET", "NOUN", "VERB", "DET", "NOUN")

SMALL: dict[str, Any] = {
    "model": {"d_model": 32, "n_layers": 1},
    "training": {"batch_tokens": 300, "learning_rate": 0.003, "device": "cpu", "precision": "fp32"},
}
"""Overrides that make training take milliseconds a step."""


def sentence(draw: random.Random, topic: str) -> str:
    return f"the {' and the '.join(draw.choices(TOPICS[topic], k=draw.randint(1, 3)))}."


def documents(count: int, seed: int = 0) -> str:
    """Documents of two to four sentences on one topic each, with blank lines between."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        topic = draw.choice(list(TOPICS))
        made.append("".join(f"{sentence(draw, topic)}\n" for _ in range(draw.randint(2, 4))))
    return "\n".join(made)


def labelled(count: int, seed: int = 0, pairs: bool = False) -> str:
    """A text and its topic a line; or two texts, and whether they are on the same."""
    draw = random.Random(seed)
    lines = []
    for _ in range(count):
        topic, other = draw.choice(list(TOPICS)), draw.choice(list(TOPICS))
        if pairs:
            lines.append(f"{sentence(draw, topic)}\t{sentence(draw, other)}\t{'same' if topic == other else 'other'}\n")
        else:
            lines.append(f"{sentence(draw, topic)}\t{topic}\n")
    return "".join(lines)


def tagged(count: int, seed: int = 0) -> str:
    """A word, a TAB and its tag a line, and a blank line behind each sentence."""
    draw = random.Random(seed)
    rows = [[(draw.choice(TAGS[tag]), tag) for tag in ORDER[: draw.choice([3, 5])]] for _ in range(count)]
    return "\n".join("".join(f"{word}\t{tag}\n" for word, tag in row) for row in rows)


TEXTS = {"masked-lm": documents, "classification": labelled, "tagging": tagged}


def reading_run(
    task: str, spec: str, out: Path, training: dict[str, Any] | None = None, architecture: str = "bert", **more: Any
) -> Run:
    """A run with small settings, ready to train."""
    sizes = {"n_heads": 2, "d_ff": 64} if architecture in ("bert", "transformer") else {}
    overrides = merge(SMALL, {"training": training or {}, "model": sizes})
    return prepare(task, spec, architecture, out=out, overrides=merge(overrides, more))
