"""How well keifu translates enja after 20 minutes, beside Hugging Face's Marian after 45, in one run on one machine.

    python benchmarks/enja.py [--minutes 20] [--peer-minutes 45] [--folder runs/enja] [--reach 27.1 30.9]

The peer is as large as keifu's `small` and learns all of enja's training part in a plain loop: AdamW, a warm-up of 5 %,
a straight way down, label smoothing, clipping, glibc's allocator tuned; its last weights translate. keifu is the
command `keifu train` with that preset; the last 1,000 training pairs choose its checkpoint, and chose its settings
(benchmarks/choices.py). Both translate the 500 dev lines with a beam of 5. Printed are BLEU over what stands between
the spaces of the references and over characters, on all lines and without those whose English side occurs in the
training part, and a paired bootstrap (Koehn 2004; 1,000 samples) of the difference. Then every checkpoint of keifu's
run translates, which says after how many minutes it had both scores of --reach, as given and by characters (those of
the peer after 20 minutes, elsewhere).

What stands in the folder already is not made again. The figures and what they were taken on are written to
benchmarks/results/enja.json. The peer: pip install --group peers.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from side_by_side import RESULTS, trained
from training import TUNED, enja_tokenizer, marian

PEER, OURS = "Hugging Face", "keifu"
PEAK, WARMUP, LOWEST = 1e-3, 0.05, 0.02
SETTINGS = {"learning_rate": 7e-4, "schedule": "cosine", "weight_decay": 0.1, "average": 0.1}
CHOSEN_ON, LEARNED = "enja:train[-1000:]", "enja:train[:-1000]"
COUNTED = {"as given": "none", "characters": "char"}
SAMPLES, TOGETHER = 1000, 50


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=20)
    arguments.add_argument("--peer-minutes", type=float, default=45)
    arguments.add_argument("--folder", type=Path, default=Path("runs/enja"))
    arguments.add_argument("--reach", nargs=2, type=float, default=[27.1, 30.9])
    arguments.add_argument("--peer", type=Path, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.peer:
        options.peer.write_text(json.dumps(peer(60 * options.peer_minutes), ensure_ascii=False), "utf-8")
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    theirs = options.folder / f"peer-{options.peer_minutes:g}.json"
    ours = options.folder / "-".join(map(str, ("keifu", f"{options.minutes:g}", *SETTINGS.values())))
    if not theirs.exists():
        command = [sys.executable, __file__, "--peer", str(theirs), "--peer-minutes", str(options.peer_minutes)]
        subprocess.run(command, env=os.environ | TUNED, check=True)
    began = options.folder / f"{ours.name}.began"

    def train() -> None:
        began.write_text(str(time.time()), "utf-8")
        command = [sys.executable, "-m", "keifu", "train", "translation", "--data", LEARNED, "--valid", CHOSEN_ON]
        command += ["--preset", "small", "--max-time", f"{60 * options.minutes:.0f}s", "--set", "training.keep=20"]
        command += [word for name, value in SETTINGS.items() for word in ("--set", f"training.{name}={value}")]
        subprocess.run([*command, "--out", str(ours)], check=True)

    here = trained(ours, train)
    found = json.loads(theirs.read_text("utf-8"))
    outputs = {PEER: found.pop("outputs"), OURS: translated(ours)}
    table = {where: scores(outputs, rows) for where, rows in lines().items()}
    print_table(table)
    content = {"scores": table, "minutes": {PEER: options.peer_minutes, OURS: options.minutes}, PEER: found}
    if began.exists():
        content["along"] = steps = along(ours, float(began.read_text("utf-8")))
        there = [
            row for row in steps if all(row[name] >= score for name, score in zip(COUNTED, options.reach, strict=True))
        ]
        first = f"step {there[0]['step']:,}, {there[0]['minutes']:.1f} minutes" if there else "no checkpoint"
        print(f"{options.reach[0]} as given and {options.reach[1]} by characters: reached at {first}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "enja.json").write_text(json.dumps(content | {"machine": here}, indent=2) + "\n", "utf-8")


def peer(seconds: float) -> dict[str, Any]:
    """What the peer makes of the dev lines after so much training, and how much that was."""
    model, optimizer, step = marian("enja", "fp32")
    began, steps, tokens = time.monotonic(), 0, 0
    while (done := (time.monotonic() - began) / seconds) < 1:
        rate = PEAK * min(done / WARMUP, 1) * max(LOWEST, 1 - done if done > WARMUP else 1)
        for group in optimizer.param_groups:
            group["lr"] = max(rate, 1e-6)
        tokens += step()
        steps += 1
    return {"steps": steps, "tokens a second": tokens / seconds, "outputs": generated(model)}


def generated(model: Any) -> list[str]:
    import torch

    tokenizer = enja_tokenizer()
    model.eval()
    model.config.use_cache = True
    sources = [[*ids, tokenizer.eos_id] for ids in tokenizer.encode_batch(dev("source"))]
    outputs = [""] * len(sources)
    order = sorted(range(len(sources)), key=lambda row: len(sources[row]))
    for begin in range(0, len(order), TOGETHER):
        rows = order[begin : begin + TOGETHER]
        padded = [torch.tensor(sources[row]) for row in rows]
        inputs = torch.nn.utils.rnn.pad_sequence(padded, batch_first=True)
        mask = (inputs != 0).long()
        with torch.no_grad():
            written = model.generate(
                input_ids=inputs, attention_mask=mask, num_beams=5, max_new_tokens=64, use_cache=True
            )
        for row, ids in zip(rows, written.tolist(), strict=True):
            outputs[row] = tokenizer.decode([index for index in ids if index > tokenizer.eos_id])
    return outputs


def translated(run: Path) -> list[str]:
    import keifu

    outputs: list[str] = keifu.load(run).translate(dev("source"), beam=5, raw=True)
    return outputs


def along(run: Path, began: float) -> list[dict[str, Any]]:
    """Of every checkpoint the minutes since the command was given, and both scores on the dev lines."""
    found = []
    for path in sorted((run / "checkpoints").glob("step-*"), key=lambda path: int(path.name[5:])):
        minutes = ((path / "model.safetensors").stat().st_mtime - began) / 60
        row: dict[str, Any] = {"step": int(path.name[5:]), "minutes": round(minutes, 2)}
        found.append(row | bleu(translated(path), dev("target")))
    return found


def bleu(outputs: list[str], references: list[str]) -> dict[str, float]:
    """BLEU in each way of counting."""
    from sacrebleu.metrics.bleu import BLEU

    found = {}
    for name in COUNTED:
        texts, wanted = counted(name, outputs), counted(name, references)
        found[name] = round(BLEU(tokenize=COUNTED[name], force=True).corpus_score(texts, [wanted]).score, 2)
    return found


def counted(name: str, texts: list[str]) -> list[str]:
    """The texts as a way of counting reads them."""
    return [text.replace(" ", "") for text in texts] if COUNTED[name] == "char" else texts


def dev(side: str) -> list[str]:
    from keifu.data.pairs import load_pairs

    return [getattr(pair, side) for pair in load_pairs("enja:dev").pairs]


def lines() -> dict[str, list[int]]:
    """The dev lines that are scored, by row."""
    from keifu.data.pairs import load_pairs

    known = {pair.source for pair in load_pairs("enja:train").pairs}
    sources = dev("source")
    return {
        "all lines": list(range(len(sources))),
        "not in training": [row for row, text in enumerate(sources) if text not in known],
    }


def scores(outputs: dict[str, list[str]], rows: list[int]) -> dict[str, Any]:
    """Of some lines: how many, and by each way of counting both scores and the p-value of their difference."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.significance import PairedTest

    references = dev("target")
    found: dict[str, Any] = {"lines": len(rows)}
    for name, kind in COUNTED.items():
        texts = {who: counted(name, [each[row] for row in rows]) for who, each in outputs.items()}
        wanted = counted(name, [references[row] for row in rows])
        metric = BLEU(tokenize=kind, force=True)
        result = PairedTest(list(texts.items()), {"BLEU": metric}, [wanted], "bs", SAMPLES)()[1]["BLEU"]
        both = {who: round(each.score, 2) for who, each in zip(texts, result, strict=True)}
        found[name] = both | {"p": round(result[1].p_value, 4)}
    return found


def print_table(table: dict[str, dict[str, Any]]) -> None:
    for where, found in table.items():
        for name in COUNTED:
            told = "  ".join(f"{who} {found[name][who]:6.2f}" for who in (PEER, OURS))
            print(f"{where:18}{found['lines']:5}  {name:12}{told}  p {found[name]['p']:.4f}")


if __name__ == "__main__":
    main()
