"""Experts against a dense model of equal active work, at equal steps: tinyshakespeare by characters, three seeds each.

    KEIFU_DATA=... python tests/long/experts.py [--steps 2000] [--seeds 3]

`llama` and `moe` with 8 experts of half its feed-forward width, of which a token takes two: 4 layers, 128 wide, 12
windows of 64 a step, no dropout. Both learn the first nine tenths and are measured on all of the last tenth, in windows
that overlap by half. There is one evaluation, so nothing is chosen. Ends with exit code 1 unless the mean of the
experts' losses is lower.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from keifu.session import load, train

ALIKE = {"max_length": 64, "d_model": 128, "n_layers": 4, "n_heads": 4, "n_kv_heads": 2, "dropout": 0.0}
SIZES: dict[str, dict[str, Any]] = {
    "llama": ALIKE | {"d_ff": 352},
    "moe": ALIKE | {"d_ff": 176, "n_experts": 8, "experts_per_token": 2},
}
LEARNED, MEASURED = "shakespeare:train+shakespeare:dev", "shakespeare:test"


def loss(model: str, steps: int, seed: int) -> float:
    """Nats a character."""
    overrides = {
        "data": {"tokenizer": "character"},
        "model": SIZES[model],
        "training": {"max_steps": steps, "evaluate_every": steps, "batch_tokens": 12 * 64},
    }
    options: dict[str, Any] = {"valid": MEASURED, "seed": seed, "overrides": overrides}
    with tempfile.TemporaryDirectory() as folder:
        run = train("language-modeling", LEARNED, model, out=Path(folder) / "run", **options)
        found: float = load(run.path, "cpu").evaluate(MEASURED)["loss"]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    means = {}
    for model in SIZES:
        losses = []
        for seed in range(given.seeds):
            losses.append(loss(model, given.steps, seed))
            print(f"{model:6} seed {seed}  {losses[-1]:.4f} nats", flush=True)
        means[model] = sum(losses) / len(losses)
        print(f"{model:6} mean    {means[model]:.4f} nats", flush=True)
    return int(means["moe"] >= means["llama"])


if __name__ == "__main__":
    sys.exit(main())
