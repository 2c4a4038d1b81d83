"""Whether a BERT that has read one Japanese novel knows what it is about, and more than its neighbours tell of a word.

    python tests/long/filling.py [--minutes 20] [--variants whole held-out] [--out DIR] [--set KEY=VALUE ...]

`masked-lm` learns the train part of neko, masked tokens and pairs, twice: as it is, and without the lines that contain
吾輩は猫である. Told are, for each: the first five tokens for 「吾輩は[MASK]である。」; of the masked tokens of the last
tenth the share that is told right, beside that of a count of neighbours, which is given the true tokens on the left and
on the right (the model may find them masked); and the share of pairs that is told right. Shares with 95 % intervals.
Needs $KEIFU_DATA or a network. Ends with exit code 1 where 猫 is not among the five, the count is better, or pairs may
be told by chance.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from keifu.data.texts import TextData, load_text
from keifu.session import load
from keifu.tasks.classification_metrics import share_interval
from keifu.tasks.masked_lm import MaskedLanguageModeling, Passages

PHRASE, WORD = "吾輩は猫である", "猫"
GAP = "吾輩は[MASK]である。"
SMOOTHING = (0.01, 0.1, 1.0, 10.0)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=20)
    arguments.add_argument("--variants", nargs="+", default=["whole", "held-out"], choices=["whole", "held-out"])
    arguments.add_argument("--out", type=Path, help="where the runs stay [default: nowhere]")
    arguments.add_argument(
        "--set", action="append", default=["data.vocab_size=4000"], metavar="KEY=VALUE", help="of keifu train"
    )
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = options.out or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        passed = [passes(variant, out, options.minutes, options.set) for variant in options.variants]
    return int(not all(passed))


def passes(variant: str, out: Path, minutes: float, settings: list[str]) -> bool:
    text = load_text("neko:train").text
    if variant == "held-out":
        text = "".join(f"{line}\n" for line in text.split("\n") if PHRASE not in line)
    data = out / f"{variant}.txt"
    data.write_text(text, "utf-8")
    chosen = [argument for setting in settings for argument in ("--set", setting)]
    command = ["train", "masked-lm", "--data", str(data), "--valid", "neko:dev", "--max-time", f"{60 * minutes:.0f}s"]
    subprocess.run([sys.executable, "-m", "keifu", *command, "--out", str(out / variant), *chosen], check=True)
    model = load(out / variant)
    filled = [one.token for one in model.fill(GAP)]
    report = model.evaluate("neko:test")
    count, interval = count_of_neighbours(model, text, load_text("neko:test").text)
    low, high = report["next_sentence_accuracy_interval"]
    print(f"\n{variant}: {GAP} {' '.join(filled)}; alone, {WORD} is {alone(model)}")
    print(f"masked tokens {shown(report['masked_accuracy'], report['masked_accuracy_interval'])}", end="; ")
    print(f"count of neighbours {shown(count, interval)}; pairs {shown(report['next_sentence_accuracy'], (low, high))}")
    return WORD in filled and report["masked_accuracy"] > count and low > 0.5


def alone(model: Any) -> str:
    """Whether the word is one token."""
    pieces = [model.tokenizer.token(index) for index in model.tokenizer.encode(WORD)]
    return "one token" if len(pieces) == 1 else f"in pieces: {' '.join(pieces)}"


def shown(share: float, interval: Any) -> str:
    return f"{100 * share:.1f} % ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"


def count_of_neighbours(model: Any, text: str, test: str) -> tuple[float, Any]:
    """The share of the test's masked tokens that is likeliest between its two neighbours, by how often each stood
    beside them in `text`; how far counts are evened out is chosen on the last twentieth of that.
    """
    task, vocabulary = model.task, model.tokenizer.vocab_size
    cut = len(text) * 19 // 20
    counts = pairs_of(task, passages(model, text[:cut]), vocabulary)
    chosen = max(SMOOTHING, key=lambda smoothing: right(counts, smoothing, gaps(task, passages(model, text[cut:])))[0])
    counts = pairs_of(task, passages(model, text), vocabulary)
    hits, of = right(counts, chosen, gaps(task, passages(model, test)))
    return hits / of, share_interval(hits, of)


def passages(model: Any, text: str) -> Passages:
    found: Passages = model.task.encode(TextData("", text).passages("stream"), model.most_tokens)
    return found


def gaps(task: MaskedLanguageModeling, data: Passages) -> NDArray[np.int64]:
    """Of each masked token, as the model is measured, the true one on its left, itself, and the one on its right."""
    found = []
    for row in data.rows():
        batch = task.batch(data, np.array([row]), seed=0)
        ids = batch.inputs.tokens[0].clone()
        ids[batch.masked[0]] = batch.targets
        places = batch.masked[0].nonzero()[:, 0]
        found.append(torch.stack([ids[places - 1], ids[places], ids[places + 1]], dim=1))
    return torch.cat(found).numpy()


def pairs_of(task: MaskedLanguageModeling, data: Passages, vocabulary: int) -> NDArray[np.float32]:
    """How often each token stood on the left of each."""
    counts = np.zeros((vocabulary, vocabulary), np.float32)
    ends = np.searchsorted(data.documents, np.unique(data.documents), side="right")
    first = 0
    for end in ends:
        tokens = data.sentences.tokens[int(data.before[first]) : int(data.before[end])]
        ids = np.concatenate([[task.tokenizer.cls_id], tokens, [task.tokenizer.sep_id]]).astype(np.int64)
        np.add.at(counts, (ids[:-1], ids[1:]), 1)
        first = int(end)
    return counts


def right(counts: NDArray[np.float32], smoothing: float, gaps: NDArray[np.int64]) -> tuple[int, int]:
    """How many gaps are told right, and how many there are. A token's score is log p(token after left) + log p(right
    after token).
    """
    often = counts.sum(0) + 1e-3
    share = often / often.sum()
    follows = np.log(counts + smoothing * share) - np.log(counts.sum(1, keepdims=True) + smoothing)
    hits = 0
    for some in np.array_split(gaps, max(1, len(gaps) // 256)):
        scores = follows[some[:, 0]] + follows[:, some[:, 2]].T
        hits += int((scores.argmax(1) == some[:, 1]).sum())
    return hits, len(gaps)


if __name__ == "__main__":
    sys.exit(main())
