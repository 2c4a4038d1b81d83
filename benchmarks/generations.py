"""Three generations of translators on equal terms: the same data, the same time, about as many weights.

    python benchmarks/generations.py [--data multi30k-en-de] [--models NAME ...] [--minutes 15] [--folder DIR]

Trains lstm-seq2seq, lstm-seq2seq-attention and transformer, or the models that are named, one after another, with
`keifu train` and the settings that come with it; then each translates the test part with a beam of 5. Printed are BLEU
(13a, cased; by characters where the target is Japanese) on all sentences and on the quarters by length of the source,
each with what the generation adds to the one before it and a paired bootstrap (Koehn 2004; 1,000 samples) of the
difference. Where the words' alignment is known (builtin:enja), the alignment error along training is kept too, and
drawn.

A model whose run stands in the folder already is not trained again. The figures and what they were taken on are written
to benchmarks/results/generations-DATA.json; of models that were named, under their names too.
"""

import argparse
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from side_by_side import RESULTS, machine

MODELS = ("lstm-seq2seq", "lstm-seq2seq-attention", "transformer")
QUARTERS, SAMPLES = 4, 1000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", default="multi30k-en-de")
    arguments.add_argument("--models", nargs="+", default=[*MODELS])
    arguments.add_argument("--minutes", type=float, default=15)
    arguments.add_argument("--folder", type=Path, default=Path("runs/generations"))
    options = arguments.parse_args()
    name = options.data.replace("builtin:", "")
    runs = {model: options.folder / f"{name}-{model}" for model in options.models}
    for model, run in runs.items():
        if not run.exists():
            train(model, options.data, options.minutes, run)
    from keifu.data.pairs import load_pairs

    pairs = load_pairs(options.data, "test").pairs
    outputs = {model: translated(run, [pair.source for pair in pairs]) for model, run in runs.items()}
    references = [pair.target for pair in pairs]
    lengths = np.array([len(pair.source.split()) for pair in pairs])
    table = {where: scores(outputs, references, rows) for where, rows in parts(lengths).items()}
    print_table(table)
    content = {"scores": table, "runs": {model: about(run) for model, run in runs.items()}, "machine": machine()}
    RESULTS.mkdir(exist_ok=True)
    named = "" if tuple(options.models) == MODELS else f"-{'-'.join(options.models)}"
    (RESULTS / f"generations-{name}{named}.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    draw_alignment(runs, options.folder)


def train(model: str, data: str, minutes: float, run: Path) -> None:
    """`keifu train` in a process of its own."""
    command = [sys.executable, "-m", "keifu", "train", "translation", "--data", data, "--model", model]
    command += ["--preset", "small", "--max-time", f"{minutes}m", "--out", str(run)]
    if data.startswith("builtin:") and model != "lstm-seq2seq":
        command += ["--set", f"data.probes={data}:dev"]
    subprocess.run(command, check=True)


def translated(run: Path, sources: list[str]) -> list[str]:
    """What the best checkpoint makes of the sources."""
    import keifu

    kept = run / "test-outputs.json"
    if not kept.exists():
        kept.write_text(json.dumps(keifu.load(run).translate(sources, beam=5, raw=True), ensure_ascii=False), "utf-8")
    outputs: list[str] = json.loads(kept.read_text("utf-8"))
    return outputs


def parts(lengths: Any) -> dict[str, Any]:
    """All sentences, and their quarters by the number of the source's words, each as row numbers."""
    edges = np.quantile(lengths, np.linspace(0, 1, QUARTERS + 1)).astype(int)
    named = {"all": np.arange(len(lengths))}
    for low, high in pairwise(edges):
        first = low if low == edges[0] else low + 1
        named[f"{first} to {high} words"] = np.flatnonzero((lengths >= first) & (lengths <= high))
    return named


def scores(outputs: dict[str, list[str]], references: list[str], rows: Any) -> dict[str, Any]:
    """Of some sentences: how many, BLEU of every model, and what each adds to the one before with its p-value."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.significance import PairedTest

    from keifu.tasks.translation_metrics import score_translations

    wanted = [references[row] for row in rows]
    chosen = [(model, [texts[row] for row in rows]) for model, texts in outputs.items()]
    character = "tok:char" in score_translations(chosen[0][1], wanted)["bleu_signature"]
    metric = BLEU(tokenize="char" if character else "13a")
    found: dict[str, Any] = {"sentences": len(rows)}
    before = None
    for model, texts in chosen:
        bleu = metric.corpus_score(texts, [wanted]).score
        found[model] = {"bleu": round(bleu, 2)}
        if before is not None:
            test = PairedTest([before, (model, texts)], {"BLEU": metric}, [wanted], "bs", SAMPLES)
            result = test()[1]["BLEU"][1]
            found[model] |= {"more": round(bleu - found[before[0]]["bleu"], 2), "p": round(result.p_value, 4)}
        before = (model, texts)
    return found


def print_table(table: dict[str, dict[str, Any]]) -> None:
    models = [name for name in table["all"] if name != "sentences"]
    print(f"{'':18}{'sentences':>10}" + "".join(f"{model:>28}" for model in models))
    for where, found in table.items():
        cells = []
        for model in models:
            score = found[model]
            more = f"  ({score['more']:+.2f}, p {score['p']:.3f})" if "more" in score else ""
            cells.append(f"{score['bleu']:6.2f}{more}".rjust(28))
        print(f"{where:18}{found['sentences']:10,}" + "".join(cells))


def about(run: Path) -> dict[str, Any]:
    """How large the model is and how long it learned."""
    from safetensors import safe_open

    from keifu.training.record import read_history

    with safe_open(run / "best" / "model.safetensors", "pt") as file:
        weights = sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118
    return {"weights": weights, "steps": max(line["step"] for line in read_history(run))}


def draw_alignment(runs: dict[str, Path], folder: Path) -> None:
    from keifu.errors import ConfigError
    from keifu.views.figures import learning_figure
    from keifu.views.learning import errors_along, read_moments

    for model, run in runs.items():
        try:
            steps, errors = errors_along(read_moments(run))
        except ConfigError:  # it kept none
            continue
        if errors:
            print(f"{model}: {learning_figure(steps, errors, folder / f'{run.name}-alignment.svg')}")
            for name, along in errors.items():
                print(f"  {name}: {along[0]:.1%} after step {steps[0]}, {along[-1]:.1%} after step {steps[-1]:,}")


if __name__ == "__main__":
    main()
