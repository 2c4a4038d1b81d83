"""What the last tenth of a text costs the models that learned the nine before it, character by character.

    python benchmarks/characters.py [--data shakespeare] [--models rnn gru lstm lstm-attention gpt llama]
                                    [--minutes 20] [--set SETTING ...] [--choose] [--folder DIR]

One after another they train with `keifu train`: the recurrent ones two layers 512 wide, `gpt` six and `llama` four
layers 256 wide; --set takes other settings for this once. Then `keifu evaluate` measures all of the last tenth, with
the state carried over the whole of it or in windows that overlap by half, and `keifu generate` writes. Nothing was
chosen on the last tenth: settings come from trainings on the first 85 %, measured on the twentieth after them, but for
the rates of the GRU and the RNN, which are lower ones that were not tuned; `lstm-attention` has what it comes with.
That twentieth is learned from here, and the checkpoint is the last one, since what is learned from can choose no other;
with --choose it is not learned from, and chooses the checkpoint. What the weights cost when they are rounded (bf16,
int8) stands beside it.

A model whose run stands in the folder already is not trained again. The rows, each with what it was taken on, are
written to benchmarks/results/characters-DATA.json.
"""

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

from side_by_side import RESULTS, asked_keifu, trained

ADAMW = ("training.optimizer=adamw", "model.dropout=0.3")
WIDTH = ("model.d_model=256", "model.n_heads=4", "model.dropout=0.2")
SETTINGS = {
    "rnn": (*ADAMW, "training.learning_rate=0.001"),
    "gru": (*ADAMW, "training.learning_rate=0.003"),
    "lstm": (*ADAMW, "training.learning_rate=0.004"),
    "lstm-attention": ("model.dropout=0.2",),
    "gpt": (*WIDTH, "model.n_layers=6"),
    "llama": (*WIDTH, "model.n_layers=4"),
}
"""Beside those of the preset `small`. Muon trains the last three, as it does by itself."""
WRITTEN = ["--max-tokens", "400", "--temperature", "0.8", "--seed", "1"]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", default="shakespeare", choices=["shakespeare", "neko"])
    arguments.add_argument("--models", nargs="+", default=[*SETTINGS], choices=[*SETTINGS])
    arguments.add_argument("--minutes", type=float, default=20)
    arguments.add_argument("--set", nargs="+", default=[], metavar="SETTING", help="such as model.dropout=0.3")
    arguments.add_argument("--choose", action="store_true", help="learn 85 %% alone, and choose the checkpoint")
    arguments.add_argument("--folder", type=Path, default=Path("runs/characters"))
    options = arguments.parse_args()
    results = RESULTS / f"characters-{options.data}.json"
    rows = json.loads(results.read_text("utf-8"))["rows"] if results.exists() else {}
    for model in options.models:
        name = ", ".join((model, f"{options.minutes:g} minutes", *options.set, *["chosen"] * options.choose))
        run = options.folder / f"{options.data}, {name}"
        # Where the dev part is learned, too, the evaluations on the way tell how much time they leave for steps.
        learned = f"{options.data}:train" + f"+{options.data}:dev" * (not options.choose)
        settings = (*SETTINGS[model], *options.set)
        here = trained(run, partial(train, model, settings, learned, f"{options.data}:dev", options.minutes, run))
        row = about(run / ("best" if options.choose else "last"), f"{options.data}:test")
        rows[name] = row | {"machine": here}
        print(f"{model:16}{row['loss']:8.3f} nats{row['bits']:8.3f} bits a character{row['steps']:8,} steps")
        print(row["sample"], end="\n\n", flush=True)
        RESULTS.mkdir(exist_ok=True)
        results.write_text(json.dumps({"rows": rows}, indent=2, ensure_ascii=False) + "\n", "utf-8")


def train(model: str, settings: tuple[str, ...], learned: str, valid: str, minutes: float, run: Path) -> None:
    """`keifu train` in a process of its own."""
    settings = ("data.tokenizer=character", *settings)
    chosen = [argument for setting in settings for argument in ("--set", setting)]
    command = ["train", "language-modeling", "--model", model, "--preset", "small", "--data", learned]
    asked_keifu(*command, "--valid", valid, *chosen, "--max-time", f"{60 * minutes:.0f}s", "--out", str(run))


def about(checkpoint: Path, data: str) -> dict[str, Any]:
    """What a checkpoint of a run comes to."""
    from keifu.layers.quantised import multiplies_int8

    found = {
        precision: json.loads(
            asked_keifu("evaluate", str(checkpoint), "--data", data, "--precision", precision, "--json")
        )
        for precision in ("fp32", "bf16", *["int8"] * multiplies_int8())
    }
    sample = asked_keifu("generate", str(checkpoint), "", *WRITTEN)
    measured = {"loss": round(found["fp32"]["loss"], 4), "bits": round(found["fp32"]["bits_per_character"], 4)}
    measured |= {f"loss in {name}": round(one["loss"], 4) for name, one in found.items() if name != "fp32"}
    return {**measured, "steps": int(checkpoint.resolve().name.removeprefix("step-")), "sample": sample}


if __name__ == "__main__":
    main()
