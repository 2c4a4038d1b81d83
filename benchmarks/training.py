"""Translation training in keifu beside the same model of Hugging Face (Marian) in a plain loop, in one run.

    python benchmarks/training.py [--preset small] [--steps 8]

Random sentences of 6 to 18 tokens, about 4,100 real target tokens a step, 8,000 tokens in the vocabulary, dropout
0.1, AdamW. Every row is a process of its own; rows take turns, three times round; the figure is the median of all
their steps, in real target tokens a second, and its ratio to the best row of the peer. Rows of keifu show what each
choice brings.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise

ROWS = {
    "keifu, bf16": ("keifu", "bf16", "keep"),
    "keifu, bf16, system allocator": ("keifu", "bf16", "system"),
    "keifu, fp32": ("keifu", "fp32", "keep"),
    "keifu, fp32, system allocator": ("keifu", "fp32", "system"),
    "Hugging Face Marian, fp32": ("marian", "fp32", "system"),
    "Hugging Face Marian, bf16 autocast": ("marian", "bf16", "system"),
}
ROUNDS = 3
VOCABULARY, TOKENS = 8000, 4096


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--preset", default="small", choices=["tiny", "small", "base"])
    arguments.add_argument("--steps", type=int, default=8)
    arguments.add_argument("--row", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.row:
        engine, precision, _ = ROWS[options.row]
        step = {"keifu": keifu_step, "marian": marian_step}[engine](options.preset, precision)
        print(json.dumps(measure(step, options.steps)))
        return
    rates: dict[str, list[float]] = {name: [] for name in ROWS}
    for _ in range(ROUNDS):
        for name, (_, _, allocator) in ROWS.items():
            command = [sys.executable, __file__, "--row", name]
            command += ["--preset", options.preset, "--steps", str(options.steps)]
            environment = {**os.environ, "KEIFU_ALLOCATOR": allocator}
            rates[name] += json.loads(subprocess.check_output(command, env=environment).splitlines()[-1])
    medians = {name: statistics.median(values) for name, values in rates.items()}
    best_peer = max(value for name, value in medians.items() if "Hugging" in name)
    print(f"preset {options.preset}, real target tokens/s: median (min to max), ratio to the best peer")
    for name, values in rates.items():
        spread = f"({min(values):,.0f} to {max(values):,.0f})"
        print(f"{name:36}{medians[name]:10,.0f}  {spread:>20}{medians[name] / best_peer:8.2f}")


def measure(step: Callable[[int], int], steps: int) -> list[float]:
    """Tokens a second of each step, after a warm-up."""
    rates = []
    for number in range(-4, steps):
        began = time.perf_counter()
        tokens = step(number % 4)
        if number >= 0:
            rates.append(tokens / (time.perf_counter() - began))
    return rates


def sentences() -> list[list[tuple[list[int], list[int]]]]:
    """Four batches of (source, target)."""
    draw = random.Random(0)
    batches = []
    for _ in range(4):
        batch: list[tuple[list[int], list[int]]] = []
        while sum(len(target) for _, target in batch) < TOKENS:
            length = draw.randint(6, 18)
            source = [draw.randrange(4, VOCABULARY) for _ in range(max(4, length + draw.randint(-2, 2)))]
            batch.append((source, [draw.randrange(4, VOCABULARY) for _ in range(length)]))
        batches.append(batch)
    return batches


def keifu_step(preset: str, precision: str) -> Callable[[int], int]:
    import numpy as np
    import torch

    from keifu.data.batches import Sequences
    from keifu.models.transformer import PRESETS, Config
    from keifu.tasks.translation import PairSequences, Translation
    from keifu.training.allocator import keep_freed_memory
    from keifu.training.loop import Learner, take_step
    from keifu.training.network import make_model, named_parameters
    from keifu.training.optimiser import make_optimizer
    from keifu.training.settings import Training

    class Fixed:
        """The four batches in turn, in place of the sampler."""

        epoch = 0
        chosen = 0

        def __next__(self) -> np.ndarray:
            return rows[self.chosen]

    class Ids:
        pad_id, bos_id, vocab_size = 0, 2, VOCABULARY

    keep_freed_memory()
    torch.manual_seed(0)
    batches = sentences()
    bounds = np.cumsum([0, *(len(batch) for batch in batches)])
    rows = [np.arange(begin, end) for begin, end in pairwise(bounds)]
    pairs = [pair for batch in batches for pair in batch]
    data = PairSequences(Sequences([s for s, _ in pairs]), Sequences([t for _, t in pairs]))
    task = Translation(Ids(), 0.0)  # type: ignore[arg-type]
    settings = Training(max_steps=10**6, learning_rate=3e-4)
    model = make_model(Config(vocab_size=VOCABULARY, **PRESETS[preset]))
    head = task.head(model)
    optimizer = make_optimizer(named_parameters(model, head), settings, 3e-4)
    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[precision]
    sampler = Fixed()
    learner = Learner(task, model, head, optimizer, 3e-4, sampler, data, torch.device("cpu"), dtype)  # type: ignore[arg-type]

    def step(number: int) -> int:
        sampler.chosen = number
        return take_step(learner, settings).tokens

    return step


def marian_step(preset: str, precision: str) -> Callable[[int], int]:
    import torch
    from transformers import MarianConfig, MarianMTModel

    from keifu.models.transformer import PRESETS

    size = PRESETS[preset]
    torch.manual_seed(0)
    one_side = {"layers": size["n_layers"], "attention_heads": size["n_heads"], "ffn_dim": size["d_ff"]}
    sides = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in one_side.items()}
    ids = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 2}
    ids["forced_eos_token_id"] = None
    config = MarianConfig(
        vocab_size=VOCABULARY, d_model=size["d_model"], **sides, **ids, dropout=0.1, scale_embedding=True,
        activation_function="relu", max_position_embeddings=256, use_cache=False,
    )  # fmt: skip
    model = MarianMTModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)

    def pad(sequences: list[list[int]]) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in sequences], batch_first=True)

    batches = [(pad([s for s, _ in batch]), pad([t for _, t in batch])) for batch in sentences()]

    def step(number: int) -> int:
        source, target = batches[number]
        inputs = torch.cat([torch.full_like(target[:, :1], 2), target[:, :-1]], 1)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = model(input_ids=source, attention_mask=(source != 0).long(), decoder_input_ids=inputs).logits
        loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), target.flatten(), ignore_index=0)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return int((target != 0).sum())

    return step


if __name__ == "__main__":
    main()
