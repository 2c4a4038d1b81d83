"""Translation in keifu beside transformers and CTranslate2: the same model, the same sentences, in one run.

    pip install --group peers
    python benchmarks/translation.py [--threads 2] [--sizes small base] [--beams 1 4] [--rounds 3]

64 sentences of 10 to 20 tokens go in as one batch, unsorted, and 20 tokens come out of each, greedily (beam 1) and
with a beam; random weights, 8,000 tokens in the vocabulary. "small" has 3 + 3 layers 256 wide, "base" 6 + 6 layers 512
wide. [EOS] is suppressed, so that all engines do equal work. Every row is a process of its own; rows take turns,
several times round; the figure is the median of all its timed batches, in sentences a second, with its ratio to the
best row of a peer. The figures go into benchmarks/results/translation.json as well. A peer that is not installed is
left out.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROWS = {
    "keifu, fp32": ("keifu", "fp32"),
    "keifu, bf16": ("keifu", "bf16"),
    "keifu, int8": ("keifu", "int8"),
    "transformers, fp32": ("transformers", "fp32"),
    "transformers, bf16": ("transformers", "bf16"),
    "CTranslate2, fp32": ("ctranslate2", "float32"),
    "CTranslate2, int8": ("ctranslate2", "int8"),
}
SENTENCES, NEW, VOCABULARY = 64, 20, 8000
EOS, PAD = 0, VOCABULARY - 1  # as CTranslate2 expects of Marian models, which begin their outputs with PAD
SECONDS, FEWEST = 2.0, 5  # that a process times for, and batches at least
RESULTS = Path(__file__).parent / "results" / "translation.json"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--sizes", nargs="+", default=["small", "base"], choices=["small", "base"])
    arguments.add_argument("--beams", nargs="+", type=int, default=[1, 4])
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument(
        "--rows", default="", metavar="TEXT", help="only rows whose name contains it; writes no file"
    )
    arguments.add_argument("--row", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.row:
        print(json.dumps(run_row(options.row, options.sizes[0], options.beams[0], options.threads)))
        return
    rows = [name for name in installed_rows() if options.rows in name]
    found = [compare(rows, size, beam, options) for size in options.sizes for beam in options.beams]
    if not options.rows:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps({**circumstances(options.threads), "figures": found}, indent=1) + "\n", "utf-8")


def installed_rows() -> list[str]:
    """The rows that can run here; says which engines are missing."""
    missing = {engine for engine, _ in ROWS.values() if importlib.util.find_spec(engine) is None}
    if "transformers" in missing:
        missing.add("ctranslate2")  # reads a model of transformers
    for engine in sorted(missing):
        print(f"left out: {engine} is missing; install it and transformers with `pip install --group peers`")
    return [name for name, (engine, _) in ROWS.items() if engine not in missing]


def compare(rows: list[str], size: str, beam: int, options: argparse.Namespace) -> dict[str, Any]:
    """Runs the rows in turn, prints their table and returns it."""
    rates: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(options.rounds):
        for name in rows:
            command = [sys.executable, __file__, "--row", name, "--sizes", size, "--beams", str(beam)]
            command += ["--threads", str(options.threads)]
            environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
            output = subprocess.check_output(command, env=environment, stderr=subprocess.DEVNULL)
            rates[name] += json.loads(output.splitlines()[-1])
    medians = {name: statistics.median(values) for name, values in rates.items()}
    best_peer = max((value for name, value in medians.items() if not name.startswith("keifu")), default=None)
    print(f"\n{size}, beam {beam}, {options.threads} threads, sentences/s: median (min to max), ratio to the best peer")
    table = {}
    for name, values in rates.items():
        ratio = None if best_peer is None else round(medians[name] / best_peer, 3)
        table[name] = {"median": medians[name], "min": min(values), "max": max(values), "ratio": ratio}
        spread = f"({min(values):,.1f} to {max(values):,.1f})"
        print(f"{name:24}{medians[name]:10,.1f}  {spread:>22}{'' if ratio is None else f'{ratio:8.2f}'}", flush=True)
    return {"size": size, "beam": beam, "sentences_per_second": table}


def circumstances(threads: int) -> dict[str, Any]:
    """What the figures depend on: machine, versions, commit."""
    here = Path(__file__).parent
    git = ["git", "-C", str(here)]
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD"], capture_output=True, check=False).returncode != 0
    cpuinfo = Path("/proc/cpuinfo").read_text("utf-8") if Path("/proc/cpuinfo").exists() else ""
    facts = dict(
        line.split("\t: ") for line in cpuinfo.split("\n\n")[0].replace("\t\t", "\t").splitlines() if "\t: " in line
    )
    wanted = ("avx512_bf16", "amx_bf16", "avx512_vnni", "amx_int8")
    packages = ("torch", "transformers", "ctranslate2")
    return {
        "processor": facts.get("model name", platform.processor()),
        "instructions": [flag for flag in wanted if flag in facts.get("flags", "").split()],
        "cores": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in packages if importlib.util.find_spec(name)},
        "commit": commit + (" with changes" if changed else ""),
    }


def run_row(name: str, size: str, beam: int, threads: int) -> list[float]:
    """Sentences a second of each timed batch, after a warm-up."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    engine, precision = ROWS[name]
    make = {"keifu": keifu_run, "transformers": transformers_run, "ctranslate2": ctranslate2_run}[engine]
    run = make(size, precision, beam, threads)
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
