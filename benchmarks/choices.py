"""Which settings make the better translator of enja, judged by lines that are neither learned nor dev.

    python benchmarks/choices.py [--minutes 20] [--device cpu] [--folder runs/choices] "SETTINGS" ["SETTINGS" ...]
    python benchmarks/choices.py --steps 2200 --device cuda [--at-once 8] "SETTINGS" ["SETTINGS" ...]

SETTINGS are those of `keifu train --set`, with spaces between: "model.dropout=0.2 training.batch_tokens=2048"; "" is
the `small` Transformer as it comes. Each learns all but the last 1,000 training pairs: one after another for so many
minutes, or several at once for so many steps (as many as a slower machine takes in its minutes). Of the 1,000 pairs the
ones whose English side is not learned (873) are translated with a beam of 5 by the best checkpoint. Printed are BLEU
over what stands between the spaces of the references and over characters, nats a token, steps and epochs. What stands
in the folder already is not trained again. A row of benchmarks/results/choices.json is the latest of its settings,
length and machine, versions and commit included.
"""

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from enja import CHOSEN_ON, COUNTED, LEARNED, bleu
from side_by_side import RESULTS, asked_keifu, trained

SAME = ("settings", "length", "machine")
"""What two rows share of which the later one stands."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("settings", nargs="+")
    length = arguments.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=20)
    length.add_argument("--steps", type=int)
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--at-once", type=int, default=1)
    arguments.add_argument("--folder", type=Path, default=Path("runs/choices"))
    options = arguments.parse_args()
    limit = ("--max-steps", str(options.steps)) if options.steps else ("--max-time", f"{60 * options.minutes:.0f}s")

    def row_of(settings: str) -> dict[str, Any]:
        run = options.folder / f"{settings.replace(' ', ',') or 'as it comes'}-{limit[1]}-{options.device}"
        others = [*limit, "--set", f"training.device={options.device}"]
        here = trained(run, partial(train, settings.split(), others, run))
        return {"settings": settings, "length": " ".join(limit), **figures(run, options.device), "machine": here}

    with ThreadPoolExecutor(options.at_once) as pool:
        for row in pool.map(row_of, options.settings):
            note(row)


def train(settings: list[str], others: list[str], run: Path) -> None:
    command = ["train", "translation", "--data", LEARNED, "--valid", CHOSEN_ON, "--preset", "small", *others]
    asked_keifu(*command, "--out", str(run), *(word for setting in settings for word in ("--set", setting)))


def figures(run: Path, device: str) -> dict[str, Any]:
    import keifu
    from keifu.data.pairs import load_pairs

    learned = {pair.source for pair in load_pairs(LEARNED).pairs}
    pairs = [pair for pair in load_pairs(CHOSEN_ON).pairs if pair.source not in learned]
    outputs = keifu.load(run, device).translate([pair.source for pair in pairs], beam=5, raw=True)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    best = int((run / "best").resolve().name.removeprefix("step-"))
    found = {"steps": lines[-1]["step"], "best": best, "epochs": max(line.get("epoch", 0) for line in lines) + 1}
    found["nats"] = next(line["valid"]["loss"] for line in lines if "valid" in line and line["step"] == best)
    return {"lines": len(pairs), **bleu(outputs, [pair.target for pair in pairs]), **found}


def note(row: dict[str, Any]) -> None:
    """Prints the row and puts it into the file of results."""
    print(f"{row['settings'] or 'as it comes':60}", *(f"{row[name]:7.2f}" for name in (*COUNTED, "nats")), row["steps"])
    file = RESULTS / "choices.json"
    rows: list[Any] = json.loads(file.read_text("utf-8")) if file.exists() else []
    others = [other for other in rows if any(other[name] != row[name] for name in SAME)]
    RESULTS.mkdir(exist_ok=True)
    file.write_text(json.dumps([*others, row], indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
