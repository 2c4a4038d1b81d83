"""Training a recurrent language model in keifu beside a plain loop around torch.nn's own layers, in one run.

    python benchmarks/recurrent.py [--cell lstm] [--cell gru] [--cell rnn] [--steps 8] [--rounds 3]

2 layers, 512 wide, 65 characters in the vocabulary, 32 streams in windows of 128: random text, so that nothing but
the speed is learned. keifu's rows take whole steps of its training loop, with clipping and the state carried on; the
peer's take them as its users write them, with the state begun anew.

Every row is a process of its own; rows take turns, a few times round. The figure is the median of all their steps, in
tokens a second, and its ratio to the best row of the peer as it comes. "tuned allocator": with glibc's settings that
keep freed memory, which keifu sets itself. The rows and what they ran on are written to
benchmarks/results/recurrent-CELL.json.
"""

import argparse
from typing import Any

from side_by_side import Row, compare, print_table, tell, write_results
from training import TUNED, Step, rates

ROWS = {
    "keifu": Row("keifu", {"optimizer": "muon", "precision": "bf16"}),
    "keifu, AdamW alone": Row("keifu", {"optimizer": "adamw", "precision": "bf16"}),
    "keifu, AdamW alone, fp32": Row("keifu", {"optimizer": "adamw", "precision": "fp32"}),
    "torch.nn, fp32": Row("torch.nn", {"precision": "fp32"}),
    "torch.nn, fp32, tuned allocator": Row("torch.nn", {"precision": "fp32"}, TUNED),
    "torch.nn, bf16 autocast, tuned allocator": Row("torch.nn", {"precision": "bf16"}, TUNED),
}
CELLS = ("lstm", "gru", "rnn")
VOCABULARY, WIDTH, LAYERS, STREAMS, WINDOW = 65, 512, 2, 32, 128
WINDOWS = 50


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--cell", action="append", choices=CELLS)
    arguments.add_argument("--steps", type=int, default=8)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--row", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    cells = options.cell or list(CELLS)
    if options.row:
        row = ROWS[options.row]
        make = {"keifu": keifu_step, "torch.nn": torch_step}[row.engine]
        tell(rates(make(cells[0], **row.choices), options.steps))
        return
    for cell in cells:
        figures = compare(__file__, ROWS, ["--cell", cell, "--steps", str(options.steps)], options.rounds)
        print_table(f"training {cell}, tokens/s", figures, ROWS)
        write_results(f"recurrent-{cell}", figures, ROWS)


def keifu_step(cell: Any, optimizer: Any, precision: str) -> Step:
    """A step of the training loop that keifu train runs."""
    import numpy as np
    import torch

    from keifu.data.windows import InOrder, side_by_side, whole
    from keifu.models.recurrent import Config
    from keifu.tasks.language_modeling import LanguageModeling
    from keifu.training.allocator import keep_freed_memory
    from keifu.training.average import Average
    from keifu.training.loop import Learner, take_step
    from keifu.training.network import make_model, named_parameters
    from keifu.training.optimiser import make_optimizers
    from keifu.training.precision import DTYPES
    from keifu.training.settings import Training

    class Ids:
        pad_id, bos_id, vocab_size = 0, 0, VOCABULARY

    keep_freed_memory()
    torch.manual_seed(0)
    text = np.random.default_rng(0).integers(VOCABULARY, size=(STREAMS, WINDOWS * WINDOW + 1))
    windows = side_by_side(whole(text), WINDOW)
    task = LanguageModeling(Ids(), "stream")  # type: ignore[arg-type]
    settings = Training(task="language-modeling", max_steps=10**6, learning_rate=1e-3, optimizer=optimizer)
    model = make_model(Config(name=cell, vocab_size=VOCABULARY, d_model=WIDTH, n_layers=LAYERS, dropout=0.0))
    head = task.head(model)
    named = named_parameters(model, head)
    dtype = DTYPES[precision]
    optimizers = make_optimizers(named, settings, 1e-3, dtype)
    average = Average((weight for _, weight in named), settings.average)
    sampler = InOrder(windows)
    learner = Learner(task, model, head, optimizers, 1e-3, sampler, windows, torch.device("cpu"), dtype, average)
    return lambda: take_step(learner, settings).tokens


def torch_step(cell: str, precision: str) -> Step:
    """A step of a plain loop around torch.nn.LSTM, GRU or RNN."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell](WIDTH, WIDTH, LAYERS, batch_first=True)
    parts = nn.ModuleList([nn.Embedding(VOCABULARY, WIDTH), layers, nn.Linear(WIDTH, VOCABULARY)])
    embedding, recurrent, output = parts
    optimizer = torch.optim.AdamW(parts.parameters(), lr=1e-3)
    text = torch.randint(VOCABULARY, (STREAMS, WINDOW + 1))

    def step() -> int:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            scores = output(recurrent(embedding(text[:, :-1]))[0]).float()
        nn.functional.cross_entropy(scores.flatten(0, 1), text[:, 1:].flatten()).backward()
        nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return STREAMS * WINDOW

    return step


if __name__ == "__main__":
    main()
