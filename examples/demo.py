"""From nothing to a translator: trains a Transformer on the built-in corpus, tests it, and looks at its attention.

Run by `make demo`. The same can be done with the commands that it prints.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import keifu
from keifu.training.journal import Journal
from keifu.training.loop import Event
from keifu.views.figures import attention_figure

SENTENCES = [
    "I like cats.",
    "I have a cat.",
    "The old man is reading a book in the library.",
    "The cat sleeps all day.",
    "Where is the station?",
]
# The corpus never repeats a sentence, so nothing can be learned by heart and no dropout is needed.
SETTINGS = {
    "data": {"vocab_size": 3000},
    "model": {"dropout": 0.0},
    "training": {"batch_tokens": 2048},
}
PARTS = ("test", "combination", "length")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, help="folder of the run (default: runs/demo, runs/demo-2, ...)")
    arguments.add_argument("--max-time", default="4m15s", help="time for training")
    options = arguments.parse_args()
    out = options.out or free_folder()

    keys = [f"--set {section}.{key}={value}" for section, keys in SETTINGS.items() for key, value in keys.items()]
    print(
        "$ keifu train translation --data builtin:enja --preset tiny",
        *keys,
        f"--max-time {options.max_time} --out {out}",
    )
    began = time.monotonic()
    run = keifu.train(
        "translation",
        data="builtin:enja",
        preset="tiny",
        overrides=SETTINGS,
        max_time=options.max_time,
        out=out,
        on_event=printer(),
    )
    print(f"\ntrained in {time.monotonic() - began:.0f} s; the best checkpoint is that of step {run.metrics['step']:,}")

    print(f"\n$ keifu translate {out} ...")
    for sentence in SENTENCES:
        print(f"  {sentence:50} {run.model.translate(sentence)}")

    reports = {part: run.model.evaluate(f"builtin:enja:{part}") for part in PARTS}
    print(f"\n$ keifu evaluate {out} --data builtin:enja:PART")
    print(table(reports))

    layer = reports["test"]["alignment_layer"]
    trace = run.model.trace(SENTENCES[2])
    picture = attention_figure(trace, f"decoder.{layer}.cross_attention.weights", out / "attention.svg")
    print(f"\nattention of {SENTENCES[2]!r}: {picture} (open it in a browser)")


def free_folder() -> Path:
    out, number = Path("runs/demo"), 1
    while out.exists():
        number += 1
        out = Path(f"runs/demo-{number}")
    return out


def printer() -> Callable[[Event], None]:
    journal = Journal(interval=10)

    def show(event: Event) -> None:
        if line := journal.line(event):
            print(f"  {line}", flush=True)

    return show


def table(reports: dict[str, dict]) -> str:
    """Exact match by part and construction, and the alignment error."""
    names = sorted({name for report in reports.values() for name in report["exact_match_by_construction"]})
    lines = [f"{'':24}" + "".join(f"{part:>14}" for part in reports)]
    lines += [row("sentences", [f"{report['sentences']:,}" for report in reports.values()])]
    lines += [row("exact match", [f"{report['exact_match']:.1%}" for report in reports.values()])]
    for name in names:
        shares = [report["exact_match_by_construction"].get(name) for report in reports.values()]
        lines += [row(f"  {name}", ["-" if share is None else f"{share:.1%}" for share in shares])]
    lines += [row("word alignment error", [f"{report['alignment_error']:.1%}" for report in reports.values()])]
    layer = reports["test"]["alignment_layer"]
    return "\n".join([*lines, f"(alignment by decoder layer {layer}, chosen on builtin:enja:dev)"])


def row(name: str, cells: list[str]) -> str:
    return f"{name:24}" + "".join(f"{cell:>14}" for cell in cells)


if __name__ == "__main__":
    main()
