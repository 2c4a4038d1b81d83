"""Whether pre-training pays (figure 41-1), on real data, with several seeds.

    python tests/long/pretraining.py --out DIR [--seeds 0 1 2] [--parts translation tagging sentiment] [--minutes 20]
                                     [--set KEY=VALUE] [--fine-tuning KEY=VALUE]

translation   a BERT of the preset tiny learns from all sentences of enja, of both sides and without saying which belong
              together (20 minutes). It begins a translator that learns from the first 5,000 pairs (10 minutes), against
              the same model without it (10 minutes), and without it for as long as both take together (30 minutes):
              BLEU on enja:dev
tagging       a BERT learns from the texts at hand, Japanese without spaces and English with capitals: enja, neko,
              shakespeare and the words of both treebanks' training parts (20 minutes). It begins taggers of ud-en and
              ud-ja (2 minutes), against the same model without it: accuracy on their test parts
sentiment     without any pre-training sst2 is learned by `bert`, `lstm` and a bag of embeddings (5 minutes each):
              accuracy on sst2:dev

All times are shares of --minutes, the time of a pre-training. Checkpoints are chosen on the last 1,000 training pairs
of enja, the dev parts of the treebanks, and the last 700 sentences of sst2's training part. Every score stands in a
file of DIR/seed-N once it is known, and is not computed again; three seeds take five and a half hours, in as many
sittings as you like. --set: settings of everything that is fine-tuned or learns without a BERT; --fine-tuning: of what
begins with one alone. Needs $KEIFU_DATA or a network. Ends with exit code 1 where pre-training does not pay in the mean
over the seeds.
"""

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from keifu.data.batches import Sampler
from keifu.data.labelled import load_labelled
from keifu.data.pairs import load_pairs
from keifu.data.tagged import load_tagged
from keifu.data.texts import load_text
from keifu.interface import Output, TokenBatch
from keifu.tasks.classification import Classification
from keifu.tasks.reading import decide
from keifu.text import READING_TOKENS, Tokenizer

PARTS = ("translation", "tagging", "sentiment")
PAIRS, CHOSEN_ON = "enja:train[:5000]", "enja:train[-1000:]"
TRANSLATION, WHOLE, TAGGING, SENTIMENT = 0.5, 1.5, 0.1, 0.25  # times, as shares of that of a pre-training
FEW_PAIRS = ["model.dropout=0.2", "training.batch_tokens=2048"]
"""Settings of all translators: 5,000 pairs are soon known by heart."""
GENTLY = ["training.layer_decay=0.65"]
"""Settings of the translator that begins with a BERT, chosen on enja:train[-1000:]."""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    arguments.add_argument("--minutes", type=float, default=20)
    arguments.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments.add_argument("--fine-tuning", action="append", default=[], metavar="KEY=VALUE")
    options = arguments.parse_args()
    more, fine = (settings(given) for given in (options.set, options.fine_tuning))
    rows: dict[str, list[float]] = {}
    for seed in options.seeds:
        folder = options.out / f"seed-{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        for part in options.parts:
            for name, score in SCORES[part](folder, seed, 60 * options.minutes, more, fine):
                rows.setdefault(name, []).append(score)
                print(f"seed {seed}  {name:40} {score:7.2f}", flush=True)
    print()
    means = {name: statistics.mean(found) for name, found in rows.items()}
    for name, found in rows.items():
        print(f"{name:40} {means[name]:7.2f}  ({', '.join(f'{score:.2f}' for score in found)})")
    return int(not all(means[name] > means[other] for name in means for other in rivals(name, means)))


def rivals(name: str, names: Any) -> list[str]:
    """The rows that a pre-trained one must beat: the same without pre-training, for whatever time."""
    before, pre_trained, measure = name.partition("pre-trained")
    return [other for other in names if pre_trained and other.startswith(f"{before}fresh") and other.endswith(measure)]


def translation(
    folder: Path, seed: int, seconds: float, more: list[str], fine: list[str]
) -> Iterator[tuple[str, float]]:
    def sentences() -> list[str]:
        pairs = load_pairs("enja:train[:-1000]").pairs
        return [side for pair in pairs for side in (pair.source, pair.target)]

    bert = pre_trained(folder / "bert-pairs", sentences, seed, seconds, "wordpiece", "--preset", "tiny")
    for name, share, init in (
        ("pre-trained", TRANSLATION, True),
        ("fresh", TRANSLATION, False),
        ("fresh as long as both", WHOLE, False),
    ):
        if init:
            begin = ["--init", str(bert), *settings(GENTLY), *fine]
        else:
            begin = ["--model", "bert-seq2seq", *sizes_of(bert)]
        run = folder / f"translation-{name.replace(' ', '-')}"
        given = ("translation", PAIRS, share * seconds, "enja:dev", "--valid", CHOSEN_ON)
        report = trained(run, seed, *given, *settings(FEW_PAIRS), *more, *begin)
        yield f"translation, {name}: BLEU", report.get("bleu_as_given", report["bleu"])


def tagging(folder: Path, seed: int, seconds: float, more: list[str], fine: list[str]) -> Iterator[tuple[str, float]]:
    def lines() -> list[str]:
        pairs = load_pairs("enja:train").pairs
        texts = [line for name in ("neko:train", "shakespeare:train") for line in load_text(name).lines()]
        english = [" ".join(one.words) for one in load_tagged("ud-en:train").examples]
        japanese = ["".join(one.words) for one in load_tagged("ud-ja:train").examples]
        own = [side for pair in pairs for side in (pair.source, pair.target.replace(" ", ""))]
        found = [line for line in (*own, *texts, *english, *japanese) if line.strip()]
        random.Random(seed).shuffle(found)  # the last ones are held out
        return found

    bert = pre_trained(folder / "bert-texts", lines, seed, seconds, "bpe")  # which spells what it does not know
    for data in ("ud-en", "ud-ja"):
        for name, begin in (("pre-trained", ["--init", str(bert), *fine]), ("fresh", sizes_of(bert))):
            given = ("tagging", f"{data}:train", TAGGING * seconds, f"{data}:test", "--valid", f"{data}:dev")
            report = trained(folder / f"{data}-{name}", seed, *given, *more, *begin)
            yield f"tagging {data}, {name}: %", 100 * report["accuracy"]


def sentiment(folder: Path, seed: int, seconds: float, more: list[str], fine: list[str]) -> Iterator[tuple[str, float]]:
    for model, own in (("bert", []), ("lstm", ["--set", "model.direction=bidirectional"])):
        given = ("classification", "sst2:train[:-700]", SENTIMENT * seconds, "sst2:dev", "--valid", "sst2:train[-700:]")
        same = ("--set", f"model.dropout={DROPOUT}")
        report = trained(folder / f"sst2-{model}", seed, *given, "--model", model, *own, *same, *more)
        yield f"sst2, {model}: %", 100 * report["accuracy"]
    kept = folder / "sst2-bag.json"
    if not kept.exists():
        kept.write_text(json.dumps({"accuracy": bag_of_embeddings(seed, SENTIMENT * seconds)}), "utf-8")
    yield "sst2, bag of embeddings: %", 100 * json.loads(kept.read_text("utf-8"))["accuracy"]


SCORES = {"translation": translation, "tagging": tagging, "sentiment": sentiment}
"""Of every part, the names of its rows and their scores, as they come."""


def pre_trained(run: Path, lines: Any, seed: int, seconds: float, tokenizer: str, *more: str) -> Path:
    """A BERT that has learned from the lines."""
    done = run.with_suffix(".json")
    if not done.exists():
        shutil.rmtree(run, ignore_errors=True)
        text = run.with_suffix(".txt")
        text.write_text("".join(f"{line}\n" for line in lines()), "utf-8")
        kind = ("--set", "data.reading=documents", "--set", f"data.tokenizer={tokenizer}")
        train("masked-lm", str(text), run, seed, seconds, *kind, *more)
        done.write_text("{}\n", "utf-8")
    return run


def trained(
    run: Path, seed: int, task: str, data: str, seconds: float, measured_on: str, *options: str
) -> dict[str, Any]:
    """What `keifu evaluate` says of the run; it is trained where its report does not stand beside it."""
    kept = run.with_suffix(".json")
    if not kept.exists():
        shutil.rmtree(run, ignore_errors=True)
        train(task, data, run, seed, seconds, *options)
        kept.write_text(keifu("evaluate", str(run), "--data", measured_on, "--json"), "utf-8")
    report: dict[str, Any] = json.loads(kept.read_text("utf-8"))
    return report


def train(task: str, data: str, out: Path, seed: int, seconds: float, *more: str) -> None:
    time_taken = ("--max-time", f"{seconds:.0f}s", "--seed", str(seed), "--quiet")
    keifu("train", task, "--data", data, "--out", str(out), *time_taken, *more)


def keifu(*arguments: str) -> str:
    command = [sys.executable, "-m", "keifu", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def sizes_of(bert: Path) -> list[str]:
    """Settings that make a fresh model as large, with a tokenizer of the same kind."""
    model = json.loads((bert / "best" / "config.json").read_text("utf-8"))["model"]
    kind = Tokenizer.load(bert / "best" / "tokenizer.json").kind
    names = ("d_model", "n_layers", "n_heads", "d_ff")
    chosen = [f"model.{name}={model[name]}" for name in names] + [f"data.tokenizer={kind}"]
    return settings(chosen)


def settings(chosen: list[str]) -> list[str]:
    return [argument for setting in chosen for argument in ("--set", setting)]


DROPOUT = 0.3
"""Of all that learn sst2, whose training part is small."""


class Bag(nn.Module):
    """Nothing but a vector for each token, of which the task takes the mean."""

    takes = "tokens"

    def __init__(self, vocab_size: int, width: int = 300) -> None:
        super().__init__()
        self.config = argparse.Namespace(dropout=DROPOUT, d_model=width)
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
        chosen_by, measured = (right(task, model, head, part) for part in parts[1:])
        best = max(best, (chosen_by, measured), key=lambda one: one[0])
    return best[1]


def right(task: Classification, model: nn.Module, head: nn.Module, encoded: Any) -> float:
    found, _ = decide(task, model, head, encoded, 64)
    hits = [shares[0].argmax() == target[0] for shares, target in zip(found, encoded.targets, strict=True)]
    return float(np.mean(hits))


if __name__ == "__main__":
    sys.exit(main())
