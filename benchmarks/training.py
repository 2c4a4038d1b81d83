"""Translation training in keifu beside the same model of Hugging Face (Marian) in a plain loop, in one run.

    python benchmarks/training.py [--work random] [--work enja] [--device cpu] [--steps 8] [--rounds 3]

random: sentences of 6 to 18 random tokens, 8,000 in the vocabulary. enja: the data set of that name ($KEIFU_DATA), cut
by keifu's tokenizer for both. The model is keifu's `small` (3 + 3 layers, 256 wide) with dropout 0.1; a batch has
about 4,100 target tokens. The peer's batches are as its users make them: random sentences padded to the longest
(random), or sentences sorted by length in pools of 20,000 (enja); keifu's come from its own sampler.

Every row is a process of its own; rows take turns, a few times round. The figure is the median of all their steps, in
real target tokens a second, and its ratio to the best row of the peer as it comes. "tuned allocator": with glibc's
settings that keep freed memory, which keifu sets itself. The rows and what they ran on are written to
benchmarks/results/training-WORK.json, or training-WORK-cuda.json. The peer: pip install --group peers.
"""

import argparse
import random
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from side_by_side import Row, compare, print_table, tell, write_results

SYSTEM = {"KEIFU_ALLOCATOR": "system"}
TUNED = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "268435456",
    "THP_MEM_ALLOC_ENABLE": "1",
}
ROWS = {
    "keifu": Row("keifu", {"optimizer": "muon", "precision": "bf16"}),
    "keifu, AdamW alone": Row("keifu", {"optimizer": "adamw", "precision": "bf16"}),
    "keifu, AdamW alone, system allocator": Row("keifu", {"optimizer": "adamw", "precision": "bf16"}, SYSTEM),
    "keifu, AdamW alone, fp32": Row("keifu", {"optimizer": "adamw", "precision": "fp32"}),
    "Hugging Face, fp32": Row("Hugging Face", {"precision": "fp32"}),
    "Hugging Face, bf16 autocast": Row("Hugging Face", {"precision": "bf16"}),
    "Hugging Face, fp32, tuned allocator": Row("Hugging Face", {"precision": "fp32"}, TUNED),
    "Hugging Face, bf16 autocast, tuned allocator": Row("Hugging Face", {"precision": "bf16"}, TUNED),
}
ON_GPU = ("keifu", "keifu, AdamW alone", "Hugging Face, fp32", "Hugging Face, bf16 autocast")
VOCABULARY, TOKENS, POOL, SMOOTHING = 8000, 4096, 20_000, 0.1

Pair = tuple[list[int], list[int]]
Step = Callable[[], int]
"""Takes one training step; returns the number of real target tokens."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--work", action="append", choices=list(PAIRS))
    arguments.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments.add_argument("--steps", type=int, default=8)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--row", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    works, device = options.work or list(PAIRS), options.device
    rows = ROWS if device == "cpu" else {name: ROWS[name] for name in ON_GPU}
    if options.row:
        row = rows[options.row]
        make = {"keifu": keifu_step, "Hugging Face": marian_step}[row.engine]
        tell(rates(make(works[0], device, **row.choices), options.steps))
        return
    for work in works:
        given = ["--work", work, "--device", device, "--steps", str(options.steps)]
        figures = compare(__file__, rows, given, options.rounds)
        print_table(f"training on {work}, real target tokens/s", figures, rows)
        write_results(f"training-{work}", figures, rows, device=device)


def rates(step: Step, steps: int) -> list[float]:
    """Tokens a second of each step, after a warm-up."""
    found = []
    for number in range(-4, steps):
        began = time.perf_counter()
        tokens = step()
        if number >= 0:
            found.append(tokens / (time.perf_counter() - began))
    return found


def random_pairs() -> list[Pair]:
    """About sixteen batches of sentences."""
    draw = random.Random(0)

    def sentence(length: int) -> list[int]:
        return [draw.randrange(4, VOCABULARY) for _ in range(length)]

    lengths = [draw.randint(6, 18) for _ in range(16 * TOKENS // 12)]
    return [(sentence(max(4, length + draw.randint(-2, 2))), sentence(length)) for length in lengths]


def enja_pairs() -> list[Pair]:
    """The training part of enja, in tokens, with an end to each sentence."""
    from keifu.data.pairs import load_pairs

    pairs, tokenizer = load_pairs("enja:train").pairs, enja_tokenizer()
    texts = ([pair.source for pair in pairs], [pair.target for pair in pairs])
    source, target = ([[*ids, tokenizer.eos_id] for ids in tokenizer.encode_batch(side)] for side in texts)
    return list(zip(source, target, strict=True))


def enja_tokenizer() -> Any:
    """Pieces of both sides together, learned from the training part."""
    from keifu.data.pairs import load_pairs
    from keifu.text import Tokenizer

    pairs = load_pairs("enja:train").pairs
    return Tokenizer.train([text for pair in pairs for text in (pair.source, pair.target)], "bpe", VOCABULARY)


PAIRS = {"random": random_pairs, "enja": enja_pairs}


def keifu_step(work: str, on: str, optimizer: Any, precision: str) -> Step:
    """A step of the training loop that keifu train runs."""
    import torch

    from keifu.data.batches import Sampler, Sequences
    from keifu.models.transformer import PRESETS, Config
    from keifu.tasks.translation import PairSequences, Translation
    from keifu.training.allocator import keep_freed_memory
    from keifu.training.average import Average
    from keifu.training.loop import Learner, take_step
    from keifu.training.network import make_model, named_parameters
    from keifu.training.optimiser import make_optimizers
    from keifu.training.precision import DTYPES
    from keifu.training.settings import Training

    class Ids:
        pad_id, bos_id, vocab_size = 0, 2, VOCABULARY

    keep_freed_memory()
    torch.manual_seed(0)
    pairs = PAIRS[work]()
    data = PairSequences(Sequences([source for source, _ in pairs]), Sequences([target for _, target in pairs]))
    task = Translation(Ids(), SMOOTHING if work == "enja" else 0.0)  # type: ignore[arg-type]
    settings = Training(max_steps=10**6, learning_rate=3e-4, optimizer=optimizer)
    device = torch.device(on)
    model = make_model(Config(vocab_size=VOCABULARY, **PRESETS["small"])).to(device)
    head = task.head(model)
    named = named_parameters(model, head)
    dtype = DTYPES[precision]
    optimizers = make_optimizers(named, settings, 3e-4, dtype)
    average = Average((weight for _, weight in named), settings.average)
    sampler = Sampler(data.sizes, TOKENS + TOKENS // 8, seed=0)  # as many real tokens as the peer has
    learner = Learner(task, model, head, optimizers, 3e-4, sampler, data, device, dtype, average)
    return lambda: take_step(learner, settings).tokens


def marian_step(work: str, on: str, precision: str) -> Step:
    """A step of a plain loop around transformers' MarianMTModel."""
    return marian(work, precision, on)[2]


def marian(work: str, precision: str, on: str = "cpu") -> tuple[Any, Any, Step]:
    """transformers' MarianMTModel as large as `small`, its optimiser, and a step of a plain loop around them."""
    import torch
    from transformers import MarianConfig, MarianMTModel, logging

    from keifu.models.transformer import PRESETS

    logging.set_verbosity_error()
    size = PRESETS["small"]
    torch.manual_seed(0)
    one_side = {"layers": size["n_layers"], "attention_heads": size["n_heads"], "ffn_dim": size["d_ff"]}
    sides = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in one_side.items()}
    ids = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 2}
    ids["forced_eos_token_id"] = None
    config = MarianConfig(
        vocab_size=VOCABULARY, d_model=size["d_model"], **sides, **ids, dropout=0.1, scale_embedding=True,
        activation_function="relu", max_position_embeddings=512, use_cache=False,
    )  # fmt: skip
    model = MarianMTModel(config).to(on)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, betas=(0.9, 0.98))
    batches = (padded_batches if work == "random" else length_sorted_batches)(PAIRS[work]())

    def pad(sequences: list[list[int]]) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in sequences], batch_first=True).to(on)

    def step() -> int:
        batch = next(batches)
        source, target = pad([s for s, _ in batch]), pad([t for _, t in batch])
        inputs = torch.cat([torch.full_like(target[:, :1], 2), target[:, :-1]], 1)
        with torch.autocast(on, torch.bfloat16, enabled=precision == "bf16"):
            logits = model(input_ids=source, attention_mask=(source != 0).long(), decoder_input_ids=inputs).logits
        loss = torch.nn.functional.cross_entropy(
            logits.float().flatten(0, 1), target.flatten(), ignore_index=0,
            label_smoothing=SMOOTHING if work == "enja" else 0.0,
        )  # fmt: skip
        optimizer.zero_grad()
        loss.backward()
        if work == "enja":
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return int((target != 0).sum())  # which waits for the device

    return model, optimizer, step


def padded_batches(pairs: list[Pair]) -> Any:
    """Sentences as they come, until there are enough target tokens."""
    while True:
        batch: list[Pair] = []
        for pair in pairs:
            batch.append(pair)
            if sum(len(target) for _, target in batch) >= TOKENS:
                yield batch
                batch = []


def length_sorted_batches(pairs: list[Pair]) -> Any:
    """Sentences of similar length, at most so many padded target tokens, in random order."""
    draw = random.Random(0)
    while True:
        draw.shuffle(pairs)
        batches = []
        for begin in range(0, len(pairs), POOL):
            pool = sorted(pairs[begin : begin + POOL], key=lambda pair: (len(pair[1]), len(pair[0])))
            cuts = [0]
            for place, (_, target) in enumerate(pool):
                if len(target) * (place + 1 - cuts[-1]) > TOKENS:
                    cuts.append(place)
            batches += [pool[start:stop] for start, stop in pairwise([*cuts, len(pool)])]
        draw.shuffle(batches)
        yield from batches


if __name__ == "__main__":
    main()
