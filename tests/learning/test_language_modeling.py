"""What a small language model must be able to learn, it learns to the ceiling: to remember, and to end."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from keifu.models import LINEAGE
from keifu.session import train
from tests.small_text import write_text

MODELS = [name for name, ancestor in LINEAGE.items() if "language-modeling" in ancestor.tasks]
WITHOUT_GATES = ("rnn",)
GENTLY = ("rnn", "gru", "moe")  # routers that move fast keep changing their minds
LETTERS = "abcdefghijklmn"


def copied(rng: random.Random) -> str:
    """A word, and the same again."""
    word = "".join(rng.choice(LETTERS) for _ in range(3))
    return f"{word}={word}"


def remembered(rng: random.Random) -> str:
    """The first letter, asked for after others that do not matter."""
    first, *others = (rng.choice(LETTERS[:8]) for _ in range(rng.randint(2, 4)))
    return f"{first}{''.join(others)}={first}"


SOON = [("gpt", copied), ("gpt", remembered), ("llama", copied), ("moe", copied)]


@pytest.mark.parametrize(
    ("model", "task"),
    [
        (model, task)
        for model in MODELS
        for task in (copied, remembered)
        # Gates keep the first letter from the others. Each expert sees a part of the examples, too few in these steps.
        if task is copied or model not in (*WITHOUT_GATES, "moe")
    ],
)
def test_a_small_model_learns(model: str, task: Callable[[random.Random], str], tmp_path: Path) -> None:
    steps, rate = 400 if (model, task) in SOON else 1000, 0.002 if model in GENTLY else 0.004
    rng = random.Random(0)
    lines = list(dict.fromkeys(task(rng) for _ in range(4000)))
    held_out, lines = lines[:200], lines[200:]
    overrides = {
        "model": {"d_model": 64, "n_layers": 1, "dropout": 0.0},
        "data": {"tokenizer": "character"},
        "training": {"batch_tokens": 1000, "learning_rate": rate, "evaluate_every": steps},
    }
    spec = write_text(tmp_path / "a.txt", "".join(f"{line}\n" for line in lines))
    run = train("language-modeling", spec, model, out=tmp_path / "run", max_steps=steps, overrides=overrides)
    prompts = [f"{line.split('=')[0]}=" for line in held_out]
    found = run.model.generate(prompts, temperature=0, max_tokens=20, batch_size=200, details=True)
    right = sum(one.whole == line and one.complete for one, line in zip(found, held_out, strict=True))
    assert right >= 0.98 * len(held_out), f"{right} of {len(held_out)} right"
