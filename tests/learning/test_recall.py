"""What gates are for: where the end of a text asks for its beginning, an LSTM reaches further back than an RNN."""

import random
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from keifu.session import train
from tests.small_text import write_text

DIGITS = 20
DISTANCE = DIGITS + 1  # from "=" back to the letter
OVERRIDES: dict[str, Any] = {
    "model": {"d_model": 64, "n_layers": 1, "dropout": 0.0},
    "data": {"tokenizer": "character"},
    "training": {"batch_tokens": 1500, "learning_rate": 0.004, "evaluate_every": 1000},
}


def _line(rng: random.Random) -> str:
    """A letter, digits that do not matter, and the letter again."""
    letter = rng.choice("abcdefgh")
    return f"{letter}{''.join(rng.choice('0123') for _ in range(DIGITS))}={letter}"


def _recalled_and_influence(model: str, lines: list[str], held_out: list[str], folder: Path) -> tuple[float, Tensor]:
    """The share of lines whose end is right, and the influence by distance, relative to the nearest."""
    spec = write_text(folder / "lines.txt", "".join(f"{line}\n" for line in lines))
    trained = train("language-modeling", spec, model, out=folder / model, max_steps=1000, overrides=OVERRIDES).model
    found = trained.generate([line[:-1] for line in held_out], temperature=0, max_tokens=2)
    right = sum(text.startswith(line) for text, line in zip(found, held_out, strict=True)) / len(held_out)
    influence = trained.influence(held_out[:30], DISTANCE)
    return right, influence / influence[0]


def test_an_lstm_reaches_further_back_than_an_rnn(tmp_path: Path) -> None:
    rng = random.Random(0)
    lines = list(dict.fromkeys(_line(rng) for _ in range(3000)))
    held_out, lines = lines[:100], lines[100:]
    plain, plain_influence = _recalled_and_influence("rnn", lines, held_out, tmp_path)
    gated, gated_influence = _recalled_and_influence("lstm", lines, held_out, tmp_path)
    assert gated == 1
    assert plain < 0.3  # one letter of eight is guessed right
    assert gated_influence[DISTANCE] > 10 * plain_influence[DISTANCE]
    # On the way back the RNN's influence fades, step by step; the LSTM's hardly does.
    assert gated_influence[DISTANCE // 2] < 10 * gated_influence[DISTANCE]
    assert plain_influence[DISTANCE // 2] > 100 * plain_influence[DISTANCE]
    assert torch.isfinite(gated_influence).all()
