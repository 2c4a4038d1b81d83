"""How well keifu translates Multi30k from English to German after an hour: BLEU on the test of 2016.

    python benchmarks/multi30k.py [--minutes 60] [--folder runs/multi30k]

The `small` Transformer learns the 29,000 training pairs with `keifu train` and the settings that the guide gives for
long training on little data, which were chosen on the dev part; so is the best checkpoint. It translates the 1,000 test
sentences with a beam of 5. A run that stands in the folder already is not trained again. The figures and what they were
taken on are written to benchmarks/results/multi30k.json.
"""

import argparse
import json
from functools import partial
from pathlib import Path

from side_by_side import RESULTS, asked_keifu, trained

SETTINGS = ("model.dropout=0.3", "data.vocab_size=10000", "training.learning_rate=0.0005")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=60)
    arguments.add_argument("--folder", type=Path, default=Path("runs/multi30k"))
    options = arguments.parse_args()
    run = options.folder / f"small-{options.minutes:g}"
    here = trained(run, partial(train, options.minutes, run))
    report = json.loads(asked_keifu("evaluate", str(run), "--data", "multi30k-en-de:test", "--beam", "5", "--json"))
    steps = {name: int((run / name).resolve().name.removeprefix("step-")) for name in ("last", "best")}
    figures = {"minutes": options.minutes, "steps": steps, **{name: report[name] for name in ("bleu", "chrf")}}
    print(f"BLEU {figures['bleu']:.2f}  chrF {figures['chrf']:.2f}  {steps['last']:,} steps, best at {steps['best']:,}")
    content = figures | {"signature": report["bleu_signature"], "settings": SETTINGS, "machine": here}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "multi30k.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def train(minutes: float, run: Path) -> None:
    chosen = [argument for setting in SETTINGS for argument in ("--set", setting)]
    data = ("--data", "multi30k-en-de:train", "--valid", "multi30k-en-de:dev", "--preset", "small")
    asked_keifu("train", "translation", *data, *chosen, "--max-time", f"{60 * minutes:.0f}s", "--out", str(run))


if __name__ == "__main__":
    main()
