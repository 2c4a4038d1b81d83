"""How far back language models reach: where the end of a line asks for its beginning.

    python benchmarks/recall.py [--models rnn gru lstm rnn-attention lstm-attention gpt] [--figures DIR]

A line is a letter, 20 digits that do not matter, "=" and the letter again. Each model, one layer 64 wide, learns from
2,900 such lines for 1,000 steps. Printed are the share of 100 other lines whose last letter it writes, and the
influence (views/paths.py) of a line's letter on the output at "=", which asks for it: the norm of the derivative by the
letter's vector, relative to that by the vector of "=" itself. The rows are written to benchmarks/results/recall.json;
with --figures DIR curves of the influence by distance are drawn there, as influence.svg.
"""

import argparse
import json
import random
import tempfile
from pathlib import Path
from typing import Any

import torch
from side_by_side import RESULTS, machine
from torch import Tensor

import keifu
from keifu.views.figures import influence_figure
from keifu.views.paths import influence

MODELS = ["rnn", "gru", "lstm", "rnn-attention", "lstm-attention", "gpt"]
DIGITS, LINES, HELD_OUT, STEPS = 20, 3000, 100, 1000
DISTANCE = DIGITS + 1  # from "=" back to the letter
OVERRIDES: dict[str, Any] = {
    "model": {"d_model": 64, "n_layers": 1, "dropout": 0.0},
    "data": {"tokenizer": "character"},
    "training": {"batch_tokens": 1500, "learning_rate": 0.004, "evaluate_every": STEPS},
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--models", nargs="+", default=MODELS)
    arguments.add_argument("--figures", type=Path)
    options = arguments.parse_args()
    if options.figures:
        options.figures.mkdir(parents=True, exist_ok=True)
    draw = random.Random(0)
    lines = list(dict.fromkeys(line(draw) for _ in range(LINES)))
    held_out, learned = lines[:HELD_OUT], lines[HELD_OUT:]
    rows, curves = {}, {}
    for model in options.models:
        right, letter, curves[model] = reached(model, learned, held_out)
        rows[model] = {"recalled": right, "influence": round(letter, 5)}
        print(f"{model:16}{right:8.0%} recalled   influence {letter:.5f} at {DISTANCE} tokens", flush=True)
    RESULTS.mkdir(exist_ok=True)
    content = json.dumps({"rows": rows, "machine": machine()}, indent=2, ensure_ascii=False)
    (RESULTS / "recall.json").write_text(content + "\n", "utf-8")
    if options.figures:
        print(influence_figure(curves, options.figures / "influence.svg"))


def line(draw: random.Random) -> str:
    letter = draw.choice("abcdefgh")
    return f"{letter}{''.join(draw.choice('0123') for _ in range(DIGITS))}={letter}"


def reached(model: str, learned: list[str], held_out: list[str]) -> tuple[float, float, Tensor]:
    """The share of lines whose end is right, the letter's influence on it, and all influence by distance."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "lines.txt"
        data.write_text("".join(f"{line}\n" for line in learned), "utf-8")
        trained = keifu.train(
            "language-modeling", data, model, out=Path(folder) / "run", max_steps=STEPS, overrides=OVERRIDES
        ).model
        found = trained.generate([line[:-1] for line in held_out], temperature=0, max_tokens=2)
        right = sum(text.startswith(line) for text, line in zip(found, held_out, strict=True)) / len(held_out)
        looked_at = held_out[:30]
        return right, of_letter(trained, looked_at), trained.influence(looked_at, DISTANCE)


def of_letter(trained: Any, lines: list[str]) -> float:
    """The letter's influence on the output at "=", relative to that of "=": root mean squares over the lines."""
    letter, asks = 1, 1 + DISTANCE  # behind [BOS]
    squares = torch.zeros(2)
    for seed, text in enumerate(lines):
        (norms,) = influence(trained.network, trained.inputs(text), seed).values()
        squares += norms[asks, [letter, asks]].cpu() ** 2
    return float((squares[0] / squares[1]).sqrt())


if __name__ == "__main__":
    main()
