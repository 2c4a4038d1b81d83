"""Translation in keifu beside transformers and CTranslate2: the same model, the same sentences, in one run.

    pip install --group peers
    python benchmarks/translation.py [--threads 2] [--sizes small base] [--beams 1 4] [--rounds 3]

64 sentences of 10 to 20 tokens go in as one batch, unsorted, and 20 tokens come out of each, greedily (beam 1) and
with a beam; random weights, 8,000 tokens in the vocabulary. "small" has 3 + 3 layers 256 wide, "base" 6 + 6 layers 512
wide. [EOS] is suppressed, so that all engines do equal work. Every row is a process of its own; rows take turns,
several times round; the figure is the median of all its timed batches, in sentences a second, with its ratio to the
best row of a peer. The figures are written to benchmarks/results/translation-SIZE-BEAM.json. A peer that is not
installed is left out.
"""

import argparse
import importlib.util
import random
import tempfile
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
    "CTranslate2, fp32": Row("ctranslate2", {"precision": "float32"}),
    "CTranslate2, int8": Row("ctranslate2", {"precision": "int8"}),
}
SENTENCES, NEW, VOCABULARY = 64, 20, 8000
EOS, PAD = 0, VOCABULARY - 1  # as CTranslate2 expects of Marian models, which begin their outputs with PAD
SECONDS, FEWEST = 2.0, 5  # that a process times for, and batches at least


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--sizes", nargs="+", default=["small", "base"], choices=["small", "base"])
    arguments.add_argument("--beams", nargs="+", type=int, default=[1, 4])
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--only", default="", metavar="TEXT", help="rows whose name contains it; writes no file")
    arguments.add_argument("--row", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.row:
        tell(run_row(options.row, options.sizes[0], options.beams[0], options.threads))
        return
    rows = {name: row for name, row in installed_rows().items() if options.only in name}
    for size in options.sizes:
        for beam in options.beams:
            handed = ["--sizes", size, "--beams", str(beam), "--threads", str(options.threads)]
            figures = compare(__file__, rows, handed, options.rounds)
            print_table(f"{size}, beam {beam}, {options.threads} threads, sentences/s", figures, rows)
            if not options.only:
                write_results(f"translation-{size}-{beam}", figures, rows, options.threads)


def installed_rows() -> dict[str, Row]:
    """The rows that can run here; says which engines are missing."""
    missing = {row.engine for row in ROWS.values() if importlib.util.find_spec(row.engine) is None}
    if "transformers" in missing:
        missing.add("ctranslate2")  # reads a model of transformers
    for engine in sorted(missing):
        print(f"left out: {engine} is missing; install it and transformers with `pip install --group peers`")
    return {name: row for name, row in ROWS.items() if row.engine not in missing}


def run_row(name: str, size: str, beam: int, threads: int) -> list[float]:
    """Sentences a second of each timed batch, after a warm-up."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    row = ROWS[name]
    make = {"keifu": keifu_run, "transformers": transformers_run, "ctranslate2": ctranslate2_run}[row.engine]
    run = make(size, row.choices["precision"], beam, threads)
    run()
    run()
    rates: list[float] = []
    began = time.perf_counter()
    while len(rates) < FEWEST or time.perf_counter() - began < SECONDS:
        start = time.perf_counter()
        lengths = run()
        rates.append(SENTENCES / (time.perf_counter() - start))
        assert lengths == [NEW] * SENTENCES, lengths
    return rates


def sentences() -> list[list[int]]:
    draw = random.Random(0)
    return [[draw.randrange(2, PAD) for _ in range(draw.randint(10, 20) - 1)] + [EOS] for _ in range(SENTENCES)]


def padded() -> Any:
    """Tokens `[B, S]`, padded on the right."""
    import torch

    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in sentences()], True, PAD)


def keifu_run(size: str, precision: str, beam: int, threads: int) -> Callable[[], list[int]]:
    import torch

    from keifu.generation.search import beam_search, greedy
    from keifu.layers.heads import VocabularyHead
    from keifu.layers.quantised import QuantisedHead, quantise
    from keifu.models.transformer import PRESETS, Config, Transformer
    from keifu.training.allocator import keep_freed_memory
    from keifu.training.precision import DTYPES

    keep_freed_memory()
    model = Transformer(Config(vocab_size=VOCABULARY, **PRESETS[size])).eval()
    head: Any = VocabularyHead(model.target_embedding.tokens)
    if precision == "int8":
        quantise(model)
        head = QuantisedHead(head)
    else:
        model.to(DTYPES[precision])
    source = padded()

    def suppressed(hidden: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = head(hidden)
        scores[..., EOS] = -1e4
        return scores

    @torch.inference_mode()
    def run() -> list[int]:
        state = model.start(source, source != PAD)
        prompt, limits = torch.full((SENTENCES, 1), PAD), torch.full((SENTENCES,), NEW)
        search = (model.step, suppressed, state, prompt, EOS, limits)
        found = greedy(*search) if beam == 1 else [bests[0] for bests in beam_search(*search, beam)]
        return [len(one.tokens) for one in found]

    return run


def marian(size: str) -> Any:
    """The same architecture in transformers, with random weights."""
    from transformers import MarianConfig, MarianMTModel

    from keifu.models.transformer import PRESETS

    sizes = PRESETS[size]
    one_side = {"layers": sizes["n_layers"], "attention_heads": sizes["n_heads"], "ffn_dim": sizes["d_ff"]}
    sides = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in one_side.items()}
    ids = {"pad_token_id": PAD, "bos_token_id": EOS, "eos_token_id": EOS, "decoder_start_token_id": PAD}
    config = MarianConfig(
        vocab_size=VOCABULARY, d_model=sizes["d_model"], **sides, **ids, forced_eos_token_id=None, scale_embedding=True,
        activation_function="relu", max_position_embeddings=512,
    )  # fmt: skip
    return MarianMTModel(config).eval()


def transformers_run(size: str, precision: str, beam: int, threads: int) -> Callable[[], list[int]]:
    import torch

    model = marian(size).to(torch.bfloat16 if precision == "bf16" else torch.float32)
    source = padded()
    options = {"num_beams": beam, "do_sample": False, "min_new_tokens": NEW, "max_new_tokens": NEW}

    @torch.inference_mode()
    def run() -> list[int]:
        outputs = model.generate(source, attention_mask=(source != PAD).long(), **options)
        return [len(row) - 1 for row in outputs]

    return run


def ctranslate2_run(size: str, precision: str, beam: int, threads: int) -> Callable[[], list[int]]:
    import ctranslate2
    from ctranslate2.converters.transformers import MarianMTLoader

    words = [f"t{token}" for token in range(VOCABULARY)]
    words[EOS], words[1], words[PAD] = "</s>", "<unk>", "<pad>"

    class Tokenizer:
        eos_token, unk_token = "</s>", "<unk>"

        def get_vocab(self) -> dict[str, int]:
            return {word: token for token, word in enumerate(words)}

    model = marian(size)
    model.config.tie_word_embeddings = True
    spec = MarianMTLoader()(model, Tokenizer())
    spec.validate()
    spec.optimize()
    with tempfile.TemporaryDirectory() as folder:
        spec.save(folder)
        translator = ctranslate2.Translator(
            folder, device="cpu", compute_type=precision, inter_threads=1, intra_threads=threads
        )
    source = [[words[token] for token in row] for row in sentences()]
    limits = {"min_decoding_length": NEW, "max_decoding_length": NEW, "max_batch_size": SENTENCES}

    def run() -> list[int]:
        found = translator.translate_batch(source, beam_size=beam, return_end_token=False, **limits)
        return [len(one.hypotheses[0]) for one in found]

    return run


if __name__ == "__main__":
    main()
