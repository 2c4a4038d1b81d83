"""scikit-learn's 1,797 digits, five-fold: mean accuracy of flat, lstm on rows and vit, and seconds of each fold.

    python tests/long/digits.py [--models flat,lstm,vit] [--folds 1,2,3,4,5] [--seed 0]

A model learns from four folds and is measured on the fifth. Nothing is chosen: the last weights (their running mean)
are used, evaluated once. Ends with exit code 1 where a mean is below 97 %, or none reaches 98 %.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from keifu.session import load, train

SETTINGS: dict[str, dict[str, Any]] = {
    "flat": {"model": {"d_model": 256, "n_layers": 2}, "training": {"max_steps": 1500, "learning_rate": 0.002}},
    "lstm": {
        "model": {"d_model": 64, "n_layers": 2, "direction": "bidirectional", "tie_embeddings": False},
        "training": {"max_steps": 1000, "learning_rate": 0.004},
    },
    "vit": {
        "model": {"d_model": 64, "n_layers": 4, "n_heads": 4, "d_ff": 128, "patch_size": 2, "dropout": 0.0},
        "training": {"max_steps": 1200, "learning_rate": 0.002},
    },
}
LEAST, BEST = 0.97, 0.98


def accuracy(model: str, fold: int, seed: int) -> tuple[float, float]:
    """On a fold, of a model that learned from the others; and the seconds that it learned."""
    others = "+".join(f"digits:fold-{other}" for other in range(1, 6) if other != fold)
    settings = SETTINGS[model]
    steps = settings["training"]["max_steps"]
    overrides = {**settings, "training": {**settings["training"], "evaluate_every": steps}}
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        # The data to choose on are of those learned from: there is one evaluation, so nothing is chosen.
        valid = f"digits:fold-{fold % 5 + 1}"
        options: dict[str, Any] = {"valid": valid, "seed": seed, "overrides": overrides}
        run = train("image-classification", others, model, out=Path(folder) / "run", **options)
        seconds = time.monotonic() - began
        found: float = load(run.path, "cpu").evaluate(f"digits:fold-{fold}")["accuracy"]
    return found, seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(SETTINGS))
    parser.add_argument("--folds", default="1,2,3,4,5")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    means = {}
    for model in given.models.split(","):
        found = []
        for fold in map(int, given.folds.split(",")):
            right, seconds = accuracy(model, fold, given.seed)
            found.append(right)
            print(f"{model:5} fold {fold}  {right:.2%}  {seconds:.0f} s", flush=True)
        means[model] = sum(found) / len(found)
        print(f"{model:5} mean    {means[model]:.2%}", flush=True)
    return int(min(means.values()) < LEAST or max(means.values()) < BEST)


if __name__ == "__main__":
    sys.exit(main())
