"""Stories small enough to be learned in seconds, and runs of models on them."""

import random
from pathlib import Path
from typing import Any

from keifu.config import merge
from keifu.training.run import Run
from keifu.training.start import prepare

SMALL_STORIES: dict[str, Any] = {
    "model": {"d_model": 16, "dropout": 0.1},
    "training": {"batch_size": 8, "batch_tokens": 300, "device": "cpu", "precision": "fp32"},
}
"""Overrides that make training take milliseconds a step."""

PEOPLE = ("Mary", "John", "Daniel")
ROOMS = ("kitchen", "garden", "hallway", "office")


def stories(count: int, seed: int = 0, longest: int = 5) -> str:
    """bAbI's text of so many stories with a question each: where is somebody, who may have been elsewhere before."""
    draw = random.Random(seed)
    lines = []
    for _ in range(count):
        told = [(draw.choice(PEOPLE), draw.choice(ROOMS)) for _ in range(draw.randint(1, longest))]
        lines += [f"{number} {person} went to the {room}." for number, (person, room) in enumerate(told, 1)]
        person = draw.choice([person for person, _ in told])
        number, room = max((number, room) for number, (who, room) in enumerate(told, 1) if who == person)
        lines.append(f"{len(told) + 1} Where is {person}? \t{room}\t{number}")
    return "".join(f"{line}\n" for line in lines)


def write_stories(folder: Path, count: int, seed: int = 0, name: str = "rooms.txt", longest: int = 5) -> str:
    """Writes stories and returns the SPEC that names them."""
    (folder / name).write_text(stories(count, seed, longest), "utf-8")
    return str(folder / name)


def story_run(
    spec: str, out: Path, training: dict[str, Any] | None = None, architecture: str = "memory-network", **more: Any
) -> Run:
    """A run with small settings, ready to train."""
    overrides = merge(SMALL_STORIES, {"training": training or {}, **more})
    return prepare("question-answering", spec, architecture, out=out, overrides=overrides)
