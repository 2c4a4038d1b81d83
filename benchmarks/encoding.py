"""Encoding with BERT in keifu beside transformers and OpenVINO: the same sizes, the same sentences, in one run.

    pip install --group peers
    python benchmarks/encoding.py [--threads 2] [--sizes mini base] [--data full mixed] [--rounds 3]

"full" is 32 sentences of 128 tokens; "mixed" is 64 sentences of 5 to 60 tokens, which keifu packs
into common rows, as `keifu embed` does, and the others all of them padded to the longest. Random weights, 30,522 tokens
in the vocabulary. "mini" has 6 layers 384 wide, "base" 12 layers 768 wide. Every row is a process of its own; rows take
turns, several times round; the figure is the median of all its timed passes, in sentences a second, with its ratio to
the best row of a peer. The figures are written to benchmarks/results/encoding-SIZE-DATA.json. A peer that is not
installed is left out.
"""

import argparse
import importlib.util
import random
import time
from collections.abc import Callable
from typing import Any

from side_by_side import Row, compare, print_table, tell, write_results

ROWS = {
    "keifu, fp32": Row("keifu", {"precision": "fp32"}),
    "keifu, bf16": Row("keifu", {"precision": "bf16"}),
    "keifu, int8": Row("keifu", {"precision": "int8"}),
    "transformers, fp32": Row("transformers", {"precision": "fp32"}),
    "transformers, bf16": Row("transformers", {"precision": "bf16"}),
    "OpenVINO, fp32": Row("openvino", {"precision": "f32"}),
    "OpenVINO, bf16": Row("openvino", {"precision": "bf16"}),
}
SIZES = {
    "mini": {"d_model": 384, "n_layers": 6, "n_heads": 12, "d_ff": 1536},
    "base": {"d_model": 768, "n_layers": 12, "n_heads": 12, "d_ff": 3072},
}
VOCABULARY, BATCH = 30_522, 64
SECONDS, FEWEST = 2.0, 5  # that a process times for, and passes at least


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--sizes", nargs="+", default=["mini", "base"], choices=list(SIZES))
    arguments.add_argument("--data", nargs="+", default=["full", "mixed"], choices=["full", "mixed"])
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--only", default="", metavar="TEXT", help="rows whose name contains it; writes no file")
    arguments.add_argument("--row", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.row:
        tell(run_row(options.row, options.sizes[0], options.data[0], options.threads))
        return
    rows = {name: row for name, row in installed_rows().items() if options.only in name}
    for size in options.sizes:
        for data in options.data:
            handed = ["--sizes", size, "--data", data, "--threads", str(options.threads)]
            figures = compare(__file__, rows, handed, options.rounds)
            print_table(f"{size}, {data}, {options.threads} threads, sentences/s", figures, rows)
            if not options.only:
                write_results(f"encoding-{size}-{data}", figures, rows, options.threads)


def installed_rows() -> dict[str, Row]:
    """The rows that can run here; says which engines are missing."""
    missing = {row.engine for row in ROWS.values() if importlib.util.find_spec(row.engine) is None}
    if "transformers" in missing:
        missing.add("openvino")  # converts a model of transformers
    for engine in sorted(missing):
        print(f"left out: {engine} is missing; install it and transformers with `pip install --group peers`")
    return {name: row for name, row in ROWS.items() if row.engine not in missing}


def run_row(name: str, size: str, data: str, threads: int) -> list[float]:
    """Sentences a second of each timed pass, after a warm-up."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    row = ROWS[name]
    make = {"keifu": keifu_run, "transformers": transformers_run, "openvino": openvino_run}[row.engine]
    texts = sentences(data)
    run = make(size, row.choices["precision"], texts, threads)
    run()
    run()
    rates: list[float] = []
    began = time.perf_counter()
    while len(rates) < FEWEST or time.perf_counter() - began < SECONDS:
        start = time.perf_counter()
        found = run()
        rates.append(len(texts) / (time.perf_counter() - start))
        assert found == len(texts), found
    return rates


def sentences(data: str) -> list[list[int]]:
    draw = random.Random(0)
    lengths = [128] * 32 if data == "full" else [draw.randint(5, 60) for _ in range(64)]
    return [[draw.randrange(1000, VOCABULARY) for _ in range(length)] for length in lengths]


def padded(texts: list[list[int]]) -> tuple[Any, Any]:
    """Tokens and mask `[B, T]`, padded on the right."""
    import torch

    tokens = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in texts], True, 0)
    return tokens, torch.arange(tokens.shape[1]) < torch.tensor(list(map(len, texts)))[:, None]


def keifu_run(size: str, precision: str, texts: list[list[int]], threads: int) -> Callable[[], int]:
    import torch

    from keifu.data.batches import Sequences, length_mask
    from keifu.interface import TokenBatch
    from keifu.layers.quantised import quantise
    from keifu.models.bert import Bert, Config
    from keifu.tasks.reading import by_length
    from keifu.training.allocator import keep_freed_memory
    from keifu.training.precision import DTYPES

    keep_freed_memory()
    model = Bert(Config(vocab_size=VOCABULARY, **SIZES[size])).eval()
    if precision == "int8":
        quantise(model)
    else:
        model.to(DTYPES[precision])
    tokens = Sequences(texts)

    @torch.inference_mode()
    def run() -> int:
        count = 0
        for rows in by_length(tokens.lengths, BATCH, model):
            inputs = TokenBatch(tokens.padded(rows, 0), length_mask(tokens.lengths[rows]))
            count += len(model(inputs).hidden)
        return count

    return run


def reference(size: str) -> Any:
    """The same architecture in transformers, with random weights."""
    from transformers import BertConfig, BertModel

    sizes = SIZES[size]
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=sizes["d_model"], num_hidden_layers=sizes["n_layers"],
        num_attention_heads=sizes["n_heads"], intermediate_size=sizes["d_ff"],
    )  # fmt: skip
    return BertModel(config, add_pooling_layer=False).eval()


def transformers_run(size: str, precision: str, texts: list[list[int]], threads: int) -> Callable[[], int]:
    import torch

    model = reference(size).to(torch.bfloat16 if precision == "bf16" else torch.float32)
    tokens, mask = padded(texts)

    @torch.inference_mode()
    def run() -> int:
        return len(model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state)

    return run


def openvino_run(size: str, precision: str, texts: list[list[int]], threads: int) -> Callable[[], int]:
    import openvino
    import torch

    class Hidden(torch.nn.Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            hidden: torch.Tensor = self.model(input_ids=tokens, attention_mask=mask).last_hidden_state
            return hidden

    tokens, mask = padded(texts)
    inputs = tokens, mask.long()
    with torch.no_grad():
        converted = openvino.convert_model(Hidden(reference(size)), example_input=tuple(part[:2] for part in inputs))
    hints = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(converted, "CPU", {**hints, "INFERENCE_PRECISION_HINT": precision})
    request, arrays = compiled.create_infer_request(), [part.numpy() for part in inputs]

    def run() -> int:
        return len(request.infer(arrays)[compiled.output(0)])

    return run


if __name__ == "__main__":
    main()
