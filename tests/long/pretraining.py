"""Whether pre-training pays (figure 41-1), on real data, with several seeds.

    python tests/long/pretraining.py [--seeds 3] [--parts translation tagging sentiment] [--minutes 20] [--out DIR]

A BERT learns from all sentences of enja, of both sides and without saying which belong together (20 minutes). It then
begins

    translation   from the first 5,000 pairs of enja (10 minutes), against the same model without it (10 minutes) and
                  without it for as long as both take together (30 minutes): BLEU on enja:dev
    tagging       of ud-en and ud-ja (2 minutes), against the same model without it: accuracy on their test parts

and, without any pre-training, sst2 is learned by `bert`, `lstm` and a bag of embeddings (5 minutes each): accuracy on
sst2:dev. All times are shares of --minutes, the time of the pre-training. Checkpoints are chosen on the last 1,000
training pairs of enja, the dev parts of the treebanks, and the last 700 sentences of sst2's training part. Needs
$KEIFU_DATA or a network; takes about four hours with three seeds. Ends with exit code 1 where pre-training does not pay
in the mean over the seeds.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from keifu.data.batches import Sampler
from keifu.data.labelled import load_labelled
from keifu.data.pairs import load_pairs
from keifu.interface import Output, TokenBatch
from keifu.tasks.classification import Classification
from keifu.tasks.reading import decide
from keifu.text import READING_TOKENS, Tokenizer

PAIRS, CHOSEN_ON = "enja:train[:5000]", "enja:train[-1000:]"
TRANSLATION, WHOLE, TAGGING, SENTIMENT = 0.5, 1.5, 0.1, 0.25  # times, as shares of that of the pre-training


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", type=int, default=3)
    parts = ["translation", "tagging", "sentiment"]
    arguments.add_argument("--parts", nargs="+", default=parts, choices=parts)
    arguments.add_argument("--minutes", type=float, default=20)
    arguments.add_argument("--out", type=Path, help="where the runs stay [default: nowhere]")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = options.out or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        rows: dict[str, list[float]] = {}
        for seed in range(options.seeds):
            for name, score in scores(out / f"seed-{seed}", seed, 60 * options.minutes, options.parts):
                rows.setdefault(name, []).append(score)
                print(f"seed {seed}  {name:34} {score:7.2f}", flush=True)
    print()
    for name, found in rows.items():
        print(f"{name:34} {statistics.mean(found):7.2f}  ({', '.join(f'{score:.2f}' for score in found)})")
    means = {name: statistics.mean(found) for name, found in rows.items()}
    pays = [
        score > means[name.replace("pre-trained", "fresh")] for name, score in means.items() if "pre-trained" in name
    ]
    return int(not all(pays))


def scores(folder: Path, seed: int, seconds: float, parts: list[str]) -> Any:
    """The names of the comparisons' rows and their scores, as they come."""
    folder.mkdir()
    bert = folder / "bert"
    if {"translation", "tagging"} & set(parts):
        text = folder / "sentences.txt"
        pairs = load_pairs("enja:train[:-1000]").pairs
        lines = [pair.source for pair in pairs] + [pair.target for pair in pairs]
        text.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        train("masked-lm", str(text), bert, seed, seconds, "--set", "data.reading=documents")
    if "translation" in parts:
        for name, time_taken, init in (
            ("pre-trained", TRANSLATION, True),
            ("fresh", TRANSLATION, False),
            ("fresh, as long as both", WHOLE, False),
        ):
            run = folder / name.replace(", ", "-").replace(" ", "-")
            begin = ["--init", str(bert)] if init else ["--model", "bert-seq2seq", *sizes_of(bert)]
            train("translation", PAIRS, run, seed, time_taken * seconds, "--valid", CHOSEN_ON, *begin)
            report = evaluate(run, "enja:dev")
            yield f"translation, {name}: BLEU", report.get("bleu_as_given", report["bleu"])
    if "tagging" in parts:
        for data in ("ud-en", "ud-ja"):
            for name, begin in (("pre-trained", ["--init", str(bert)]), ("fresh", sizes_of(bert))):
                run = folder / f"{data}-{name}"
                train("tagging", data, run, seed, TAGGING * seconds, *begin)
                yield f"tagging {data}, {name}: %", 100 * evaluate(run, f"{data}:test")["accuracy"]
    if "sentiment" in parts:
        for model, more in (("bert", []), ("lstm", ["--set", "model.direction=bidirectional"])):
            run = folder / f"sst2-{model}"
            given = ("--valid", "sst2:train[-700:]", "--model", model, *more)
            train("classification", "sst2:train[:-700]", run, seed, SENTIMENT * seconds, *given)
            yield f"sst2, {model}: %", 100 * evaluate(run, "sst2:dev")["accuracy"]
        yield "sst2, bag of embeddings: %", 100 * bag_of_embeddings(seed, SENTIMENT * seconds)


def train(task: str, data: str, out: Path, seed: int, seconds: float, *more: str) -> None:
    time_taken = ("--max-time", f"{seconds:.0f}s", "--seed", str(seed), "--quiet")
    keifu("train", task, "--data", data, "--out", str(out), *time_taken, *more)


def evaluate(run: Path, data: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(keifu("evaluate", str(run), "--data", data, "--json"))
    return report


def keifu(*arguments: str) -> str:
    command = [sys.executable, "-m", "keifu", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def sizes_of(bert: Path) -> list[str]:
    """Settings that make a fresh model as large, with a tokenizer of the same kind."""
    model = json.loads((bert / "best" / "config.json").read_text("utf-8"))["model"]
    names = ("d_model", "n_layers", "n_heads", "d_ff")
    kind = [f"model.{name}={model[name]}" for name in names] + ["data.tokenizer=wordpiece"]
    return [argument for setting in kind for argument in ("--set", setting)]


class Bag(nn.Module):
    """Nothing but a vector for each token, of which the task takes the mean."""

    takes = "tokens"

    def __init__(self, vocab_size: int, width: int = 300) -> None:
        super().__init__()
        self.config = argparse.Namespace(dropout=0.3, d_model=width)
        self.embedding = nn.Embedding(vocab_size, width)

    def forward(self, batch: TokenBatch) -> Output:
        return Output(self.embedding(batch.tokens))


def bag_of_embeddings(seed: int, seconds: float) -> float:
    """Accuracy on sst2:dev; the last 700 sentences of the training data choose after which epoch."""
    torch.manual_seed(seed)
    data, dev = load_labelled("sst2:train"), load_labelled("sst2:dev")
    tokenizer = Tokenizer.train(data.texts, "word", 20_000, READING_TOKENS)
    task = Classification(tokenizer, tuple(data.labels))
    model = Bag(tokenizer.vocab_size)
    head = task.head(model)
    parts = [task.encode(examples) for examples in (data.examples[:-700], data.examples[-700:], dev.examples)]
    optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=1e-3)
    sampler, began, best = Sampler(parts[0].sizes, 2048, seed), time.monotonic(), (0.0, 0.0)
    while time.monotonic() - began < seconds and sampler.epoch < 30:
        head.train()
        for _ in range(sampler.batches_per_epoch):
            batch = task.batch(parts[0], next(sampler))
            (task.loss(model, head, batch).total / task.scored(batch)).backward()
            optimizer.step()
            optimizer.zero_grad()
        head.eval()
        best = max(best, (right(task, model, head, parts[1]), right(task, model, head, parts[2])))
    return best[1]


def right(task: Classification, model: nn.Module, head: nn.Module, encoded: Any) -> float:
    found, _ = decide(task, model, head, encoded, 64)
    hits = [shares[0].argmax() == target[0] for shares, target in zip(found, encoded.targets, strict=True)]
    return float(np.mean(hits))


if __name__ == "__main__":
    sys.exit(main())
