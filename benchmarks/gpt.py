"""Training a GPT in keifu beside nanoGPT and transformers' GPT-2, of the same size, in one run.

    python benchmarks/gpt.py [--size a] [--size b] [--size c] [--size d] [--model gpt] [--device cpu] [--steps 8]
                             [--rounds 3]

Sizes: (a) 4 layers, 128 wide, 12 windows of 64, 65 in the vocabulary; (b) 6 layers, 384 wide, 16 windows of 256, 65;
(c) GPT-2's 124M: 12 layers, 768 wide, 2 windows of 512, 50,304; (d) the same with 16 windows of 1,024, for GPUs; left
out unless it is named. Random tokens, no dropout. keifu's rows take whole
steps of its training loop: windows of one text, clipping, the running mean of the weights. The peers' take them as in
nanoGPT's bench.py: forward, backward, AdamW; no clipping. nanoGPT's rows are left out unless $NANOGPT names a checkout
of it.

Every row is a process of its own; rows take turns, a few times round. The figure is the median of all their steps, in
tokens a second, and its ratio to the best row of a peer as it comes. "tuned allocator": with glibc's settings that keep
freed memory, which keifu sets itself. "compiled": torch.compile, its first step not counted. The rows and what they ran
on are written to benchmarks/results/gpt-SIZE.json, or gpt-SIZE-cuda.json. With --device cuda also printed is the share
of the bfloat16 peak, that of a product of two matrices 8,192 wide: a token takes 6 operations a weight and 12 for each
layer, place of the window and dimension (Chowdhery et al. 2022, "PaLM", appendix B). The peer transformers: pip install
--group peers.
"""

import argparse
import os
import statistics
import sys
import time
from typing import Any

from side_by_side import Row, compare, print_table, tell, write_results
from training import TUNED, Step, rates

ROWS = {
    "keifu": Row("keifu", {"optimizer": "muon", "precision": "auto"}),
    "keifu, AdamW alone, bf16": Row("keifu", {"optimizer": "adamw", "precision": "bf16"}),
    "keifu, AdamW alone, fp32": Row("keifu", {"optimizer": "adamw", "precision": "fp32"}),
    "nanoGPT, fp32": Row("nanoGPT", {"precision": "fp32", "compiled": False}),
    "nanoGPT, bf16 autocast": Row("nanoGPT", {"precision": "bf16", "compiled": False}),
    "nanoGPT, fp32, compiled": Row("nanoGPT", {"precision": "fp32", "compiled": True}),
    "nanoGPT, bf16 autocast, tuned allocator": Row("nanoGPT", {"precision": "bf16", "compiled": False}, TUNED),
    "Hugging Face, fp32": Row("Hugging Face", {"precision": "fp32"}),
    "Hugging Face, bf16 autocast": Row("Hugging Face", {"precision": "bf16"}),
}
GPU_ROWS = {
    "keifu": Row("keifu", {"optimizer": "muon", "precision": "auto"}),
    "keifu, AdamW alone, bf16": Row("keifu", {"optimizer": "adamw", "precision": "bf16"}),
    "nanoGPT, bf16 autocast, compiled": Row("nanoGPT", {"precision": "bf16", "compiled": True}),
    "Hugging Face, bf16 autocast": Row("Hugging Face", {"precision": "bf16"}),
    "Hugging Face, bf16 autocast, compiled": Row("Hugging Face", {"precision": "bf16", "compiled": True}),
}
SIZES: dict[str, dict[str, int]] = {
    "a": {"layers": 4, "heads": 4, "width": 128, "window": 64, "rows": 12, "vocabulary": 65},
    "b": {"layers": 6, "heads": 6, "width": 384, "window": 256, "rows": 16, "vocabulary": 65},
    "c": {"layers": 12, "heads": 12, "width": 768, "window": 512, "rows": 2, "vocabulary": 50304},
    "d": {"layers": 12, "heads": 12, "width": 768, "window": 1024, "rows": 16, "vocabulary": 50304},
}
WINDOWS = 400  # in the text


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--size", action="append", choices=list(SIZES))
    arguments.add_argument("--model", choices=("gpt", "llama", "moe"), default="gpt", help="that keifu trains")
    arguments.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments.add_argument("--steps", type=int, default=8)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--row", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    sizes, rows = options.size or [*"abc"], GPU_ROWS if options.device == "cuda" else ROWS
    if options.row:
        row, size = rows[options.row], SIZES[sizes[0]]
        make = {"keifu": keifu_step, "nanoGPT": nano_step, "Hugging Face": gpt2_step}[row.engine]
        named = {"model": options.model} if row.engine == "keifu" else {}
        tell(rates(make(size, options.device, **row.choices, **named), options.steps))
        return
    for size in sizes:
        given = ["--size", size, "--model", options.model, "--device", options.device, "--steps", str(options.steps)]
        figures = compare(__file__, rows, given, options.rounds)
        print_table(f"training at size ({size}), tokens/s", figures, rows)
        if options.device == "cuda":
            print_shares(figures, SIZES[size])
        write_results(f"gpt-{size}", figures, rows, device=options.device)


def print_shares(figures: dict[str, list[float]], size: dict[str, int]) -> None:
    """Of the operations a second that the device reaches in one large product, the share that each row reaches."""
    import torch

    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    torch.cuda.synchronize()
    seconds = []
    for _ in range(20):
        began = time.perf_counter()
        a @ a
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    peak = 2 * 8192**3 / statistics.median(seconds)
    weights = 12 * size["layers"] * size["width"] ** 2 + size["vocabulary"] * size["width"]
    operations = 6 * weights + 12 * size["layers"] * size["width"] * size["window"]
    print(f"{torch.cuda.get_device_name()}: {peak / 1e12:.0f} TFLOP/s in one large product; share of it")
    for name, values in figures.items():
        print(f"{name:46}{statistics.median(values) * operations / peak:10.1%}", flush=True)


def keifu_step(size: dict[str, int], on: str, optimizer: Any, precision: str, model: str = "gpt") -> Step:
    """A step of the training loop that keifu train runs."""
    import numpy as np
    import torch

    from keifu.data.windows import Shuffled, Stretches
    from keifu.models import architecture
    from keifu.tasks.language_modeling import LanguageModeling
    from keifu.training.allocator import keep_freed_memory
    from keifu.training.average import Average
    from keifu.training.loop import Learner, take_step
    from keifu.training.network import make_model, named_parameters
    from keifu.training.optimiser import make_optimizers
    from keifu.training.precision import choose_precision
    from keifu.training.settings import Training

    class Ids:
        pad_id, bos_id, vocab_size = 0, 0, size["vocabulary"]

    keep_freed_memory()
    torch.manual_seed(0)
    text = np.random.default_rng(0).integers(size["vocabulary"], size=WINDOWS * size["window"], dtype=np.int32)
    windows = Stretches(text, size["window"])
    task = LanguageModeling(Ids(), "stream")  # type: ignore[arg-type]
    settings = Training(task="language-modeling", max_steps=10**6, learning_rate=1e-3, optimizer=optimizer)
    config = architecture(model).Config(
        name=model,
        vocab_size=size["vocabulary"],
        max_length=size["window"],
        d_model=size["width"],
        n_layers=size["layers"],
        n_heads=size["heads"],
        dropout=0.0,
        **({"gelu": "exact"} if model == "gpt" else {}),
    )
    device = torch.device(on)
    network = make_model(config).to(device)
    head = task.head(network)
    named = named_parameters(network, head)
    dtype = choose_precision(precision, device, size["width"])
    optimizers = make_optimizers(named, settings, 1e-3, dtype)
    average = Average((weight for _, weight in named), settings.average)
    sampler = Shuffled(windows, size["rows"], 0)
    learner = Learner(task, network, head, optimizers, 1e-3, sampler, windows, device, dtype, average)
    return lambda: take_step(learner, settings).tokens


def nano_step(size: dict[str, int], on: str, precision: str, compiled: bool) -> Step:
    """A step as nanoGPT's train.py takes it."""
    import torch

    if "NANOGPT" not in os.environ:
        sys.exit("$NANOGPT names no checkout of nanoGPT")
    sys.path.insert(0, os.environ["NANOGPT"])
    from model import GPT, GPTConfig

    torch.manual_seed(0)
    settings = GPTConfig(
        block_size=size["window"],
        vocab_size=size["vocabulary"],
        n_layer=size["layers"],
        n_head=size["heads"],
        n_embd=size["width"],
        dropout=0.0,
        bias=False,
    )
    model = GPT(settings).to(on)
    optimizer = model.configure_optimizers(0.1, 1e-3, (0.9, 0.99), on)
    forward = torch.compile(model) if compiled else model
    return _plain_step(size, on, precision, optimizer, lambda read, target: forward(read, target)[1])


def gpt2_step(size: dict[str, int], on: str, precision: str, compiled: bool = False) -> Step:
    """A step of a plain loop around transformers' GPT-2."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    settings = GPT2Config(
        vocab_size=size["vocabulary"],
        n_positions=size["window"],
        n_embd=size["width"],
        n_layer=size["layers"],
        n_head=size["heads"],
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        use_cache=False,
    )
    model = GPT2LMHeadModel(settings).train().to(on)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1)
    forward = torch.compile(model) if compiled else model
    return _plain_step(size, on, precision, optimizer, lambda read, target: forward(input_ids=read, labels=read).loss)


def _plain_step(size: dict[str, int], on: str, precision: str, optimizer: Any, loss_of: Any) -> Step:
    import torch

    text = torch.randint(size["vocabulary"], (8, size["rows"], size["window"] + 1), device=on)
    turn = 0

    def step() -> int:
        nonlocal turn
        turn += 1
        batch = text[turn % len(text)]
        with torch.autocast(on, torch.bfloat16, enabled=precision == "bf16"):
            loss = loss_of(batch[:, :-1].contiguous(), batch[:, 1:].contiguous())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if on == "cuda":
            torch.cuda.synchronize()
        return size["rows"] * size["window"]

    return step


if __name__ == "__main__":
    main()
