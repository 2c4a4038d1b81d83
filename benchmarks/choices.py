"""Which settings make the better translator of enja in a given time, judged by lines that are neither learned nor dev.

    python benchmarks/choices.py [--minutes 20] [--folder runs/choices] "SETTINGS" ["SETTINGS" ...]

SETTINGS are those of `keifu train --set`, with spaces between: "model.dropout=0.2 training.batch_tokens=2048"; "" is
what benchmarks/enja.py trains with. Each trains the `small` Transformer on all but the last 1,000 training pairs, in
turn. Of these 1,000 the ones whose English side is not learned (873) are translated with a beam of 5 by the best
checkpoint. Printed are BLEU over what stands between the spaces of the references and over characters, nats a token,
steps and epochs. What stands in the folder already is not trained again. A row of
benchmarks/results/choices.json is the latest of its settings, minutes, machine and commit.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from enja import CHOSEN_ON, COUNTED, LEARNED, SETTINGS, bleu
from side_by_side import RESULTS, asked_keifu, machine

SAME = ("settings", "minutes", "machine")
"""What two rows share of which the later one stands."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("settings", nargs="+")
    arguments.add_argument("--minutes", type=float, default=20)
    arguments.add_argument("--folder", type=Path, default=Path("runs/choices"))
    options = arguments.parse_args()
    results = RESULTS / "choices.json"
    for settings in options.settings:
        run = options.folder / f"{settings.replace(' ', ',') or 'as it comes'}-{options.minutes:g}"
        if not run.exists():
            train(settings.split(), options.minutes, run)
        row = {"settings": settings, "minutes": options.minutes, **figures(run), "machine": machine()}
        print(f"{settings or 'as it comes':60}", *(f"{row[name]:7.2f}" for name in (*COUNTED, "nats")), row["steps"])
        rows: list[Any] = json.loads(results.read_text("utf-8")) if results.exists() else []
        RESULTS.mkdir(exist_ok=True)
        others = [other for other in rows if any(other[name] != row[name] for name in SAME)]
        results.write_text(json.dumps([*others, row], indent=2) + "\n", "utf-8")


def train(settings: list[str], minutes: float, run: Path) -> None:
    chosen = [*(f"training.{name}={value}" for name, value in SETTINGS.items()), *settings]
    command = ["train", "translation", "--data", LEARNED, "--valid", CHOSEN_ON, "--preset", "small"]
    command += ["--max-time", f"{60 * minutes:.0f}s", "--out", str(run)]
    asked_keifu(*command, *(word for setting in chosen for word in ("--set", setting)))


def figures(run: Path) -> dict[str, Any]:
    import keifu
    from keifu.data.pairs import load_pairs

    learned = {pair.source for pair in load_pairs(LEARNED).pairs}
    pairs = [pair for pair in load_pairs(CHOSEN_ON).pairs if pair.source not in learned]
    model = keifu.load(run)
    outputs = model.translate([pair.source for pair in pairs], beam=5, raw=True)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    best = int((run / "best").resolve().name.removeprefix("step-"))
    found = {"steps": lines[-1]["step"], "best": best, "epochs": max(line.get("epoch", 0) for line in lines) + 1}
    found["nats"] = next(line["valid"]["loss"] for line in lines if "valid" in line and line["step"] == best)
    return {"lines": len(pairs), **bleu(outputs, [pair.target for pair in pairs]), **found}


if __name__ == "__main__":
    main()
