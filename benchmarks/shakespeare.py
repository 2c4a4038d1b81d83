"""nanoGPT's recipe for a CPU, in nanoGPT and in keifu, in one run: tinyshakespeare by characters, 4 layers, 128 wide,
12 windows of 64 a step, 2,000 steps, no dropout.

    NANOGPT=<a checkout of it> python benchmarks/shakespeare.py [--models gpt gpt-adamw llama] [--steps 2000]

Both learn the first nine tenths and are measured on all of the last tenth, which nothing was chosen on: nanoGPT on
windows side by side; keifu on the same, each from [BOS], so that its first character is told from nothing (nanoGPT
skips it), and, as `keifu evaluate` does it, on windows that overlap by half. keifu learns with what it does by itself:
Muon, a running mean of the weights, bf16 where that pays; `gpt-adamw` has AdamW alone in Muon's place. Seconds are
those of the whole command; nanoGPT's are with the evaluations that its readme asks for, every 250 steps on 20 batches.
The rows are written to benchmarks/results/shakespeare.json.
"""

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from side_by_side import RESULTS, asked_keifu, machine

SIZES = {"layers": 4, "heads": 4, "width": 128, "window": 64, "rows": 12}
MODELS = {"gpt": ("gpt", "muon"), "gpt-adamw": ("gpt", "adamw"), "llama": ("llama", "muon")}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--models", nargs="+", default=[*MODELS], choices=[*MODELS])
    arguments.add_argument("--steps", type=int, default=2000)
    options = arguments.parse_args()
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for model in options.models:
            rows[f"keifu, {model}"] = keifu(*MODELS[model], options.steps, Path(folder) / model)
            print(f"keifu, {model:14}", told(rows[f"keifu, {model}"]), flush=True)
        rows["nanoGPT"] = nanogpt(Path(os.environ["NANOGPT"]), options.steps, Path(folder) / "nanogpt")
        print(f"{'nanoGPT':21}", told(rows["nanoGPT"]))
    content = json.dumps({"steps": options.steps, "rows": rows, "machine": machine()}, indent=2)
    (RESULTS / "shakespeare.json").write_text(content + "\n", "utf-8")


def told(row: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.3f}" if value < 10 else f"{name} {value:.0f}" for name, value in row.items())


def keifu(model: str, optimizer: str, steps: int, run: Path) -> dict[str, float]:
    size = [f"model.max_length={SIZES['window']}", f"training.batch_tokens={SIZES['window'] * SIZES['rows']}"]
    size += [f"model.n_layers={SIZES['layers']}", f"model.d_model={SIZES['width']}", f"model.n_heads={SIZES['heads']}"]
    settings = [*size, "model.dropout=0", "data.tokenizer=character", f"training.evaluate_every={steps}"]
    settings += [f"training.optimizer={optimizer}"]
    chosen = [argument for setting in settings for argument in ("--set", setting)]
    # There is one evaluation, at the end, so nothing is chosen on these data.
    data = ("--data", "shakespeare:train+shakespeare:dev", "--valid", "shakespeare:test", "--max-steps", str(steps))
    began = time.monotonic()
    command = [sys.executable, "-m", "keifu", "train", "language-modeling", "--model", model, "--preset", "tiny"]
    subprocess.run([*command, *data, *chosen, "--out", str(run), "--quiet"], check=True)
    seconds = time.monotonic() - began
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    (side_by_side,) = [line["valid"]["loss"] for line in lines if "valid" in line]
    return {"side by side": side_by_side, "half overlapping": evaluated(run), "seconds": seconds}


def evaluated(run: Path) -> float:
    loss: float = json.loads(asked_keifu("evaluate", str(run), "--data", "shakespeare:test", "--json"))["loss"]
    return loss


def nanogpt(checkout: Path, steps: int, out: Path) -> dict[str, float]:
    data = checkout / "data" / "shakespeare_char"
    if not (data / "val.bin").exists():
        raise SystemExit(f"{data}: not prepared; run its prepare.py")
    size = {"n_layer": SIZES["layers"], "n_head": SIZES["heads"], "n_embd": SIZES["width"]}
    size |= {"block_size": SIZES["window"], "batch_size": SIZES["rows"]}
    recipe: dict[str, Any] = {"device": "cpu", "compile": False, "eval_iters": 20, "log_interval": 100, "dropout": 0.0}
    recipe |= {"max_iters": steps, "lr_decay_iters": steps, "always_save_checkpoint": True, "out_dir": str(out)}
    options = [f"--{name}={value}" for name, value in (size | recipe).items()]
    began = time.monotonic()
    command = [sys.executable, "train.py", "config/train_shakespeare_char.py", *options]
    subprocess.run(command, cwd=checkout, check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - began
    return {"side by side": nanogpt_loss(checkout, out), "seconds": seconds}


def nanogpt_loss(checkout: Path, out: Path) -> float:
    """Nats a character on all whole windows of the last tenth."""
    import numpy as np
    import torch

    sys.path.insert(0, str(checkout))
    from model import GPT, GPTConfig  # type: ignore[import-not-found]

    saved = torch.load(out / "ckpt.pt", weights_only=False)
    model = GPT(GPTConfig(**saved["model_args"]))
    model.load_state_dict(saved["model"])
    model.eval()
    data = checkout / "data" / "shakespeare_char"
    assert pickle.loads((data / "meta.pkl").read_bytes())["vocab_size"] == 65
    ids = torch.from_numpy(np.fromfile(data / "val.bin", np.uint16).astype(np.int64))
    window = SIZES["window"]
    count = (len(ids) - 1) // window
    inputs = ids[: count * window].view(count, window)
    targets = ids[1 : count * window + 1].view(count, window)
    with torch.no_grad():
        losses = [float(model(x, y)[1]) * len(x) for x, y in zip(inputs.split(64), targets.split(64), strict=True)]
    return sum(losses) / count


if __name__ == "__main__":
    main()
