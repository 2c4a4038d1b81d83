"""Writing with a GPT of GPT-2's size in keifu beside transformers, CTranslate2 and llama.cpp: the same weights, in one
run.

    pip install --group peers          (and llama-cpp-python with gguf, where it installs)
    python benchmarks/generation.py [--device cpu] [--threads 2] [--batches 1 8] [--contexts 32] [--new 128]
                                    [--rounds 3] [--after-prompt]

12 layers, 768 wide, 50,257 tokens, random weights. Every engine reads a prompt of so many random tokens a text, and
writes 128 more, the likeliest each time; [EOS] is suppressed, so that all do equal work. "int8": products in eight-bit
integers (keifu: weights and vectors; CTranslate2: the same; llama.cpp: q8_0); "compiled": as `--compile` does it, for
one text at a time. Beside the speed keifu's rows say what rounding costs: the mean surprise (nats a token) of 256
tokens that the exact model wrote at temperature 1.

--contexts 32 512 2048 8192 --after-prompt measures what a token costs with so many before it: the time of reading the
prompt, that is of a run that writes a single token, is taken off. Only keifu's rows go beyond 1,024, with `llama`,
whose rotary positions have no end.

Every row is a process of its own; rows take turns, several times round; the figure is the median of all its timed runs,
in new tokens a second, with its ratio to the best row of a peer. The figures are written to
benchmarks/results/generation-BATCH-CONTEXT.json (with --after-prompt generation-BATCH-after-CONTEXT.json; with --device
cuda, where keifu and transformers write, -cuda behind it). A peer that is not installed is left out.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from side_by_side import Row, compare, print_table, tell, write_results

ROWS = {
    "keifu, fp32": Row("keifu", {"precision": "fp32"}),
    "keifu, bf16": Row("keifu", {"precision": "bf16"}),
    "keifu, bf16 compiled": Row("keifu", {"precision": "bf16 compiled"}),
    "keifu, int8": Row("keifu", {"precision": "int8"}),
    "keifu, int8 compiled": Row("keifu", {"precision": "int8 compiled"}),
    "transformers, fp32": Row("transformers", {"precision": "fp32"}),
    "transformers, bf16": Row("transformers", {"precision": "bf16"}),
    "CTranslate2, fp32": Row("ctranslate2", {"precision": "float32"}),
    "CTranslate2, int8": Row("ctranslate2", {"precision": "int8"}),
    "llama.cpp, q8_0": Row("llama.cpp", {"precision": "q8_0"}),
}
ON_GPU = ("keifu, fp32", "keifu, bf16", "transformers, fp32", "transformers, bf16")
VOCABULARY, LAYERS, WIDTH, HEADS = 50257, 12, 768, 12
EOS = 3
SECONDS, FEWEST = 2.0, 3  # that a process times for, and runs at least
WRITTEN = 256  # tokens by which rounding is judged

Run = Callable[[int], None]
"""Writes so many tokens after the prompt."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    arguments.add_argument("--contexts", nargs="+", type=int, default=[32])
    arguments.add_argument("--new", type=int, default=128, help="tokens written in a run")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--after-prompt", action="store_true", help="without the time of reading the prompt")
    arguments.add_argument("--only", default="", metavar="TEXT", help="rows whose name contains it; writes no file")
    arguments.add_argument("--row", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.row:
        batch, context = options.batches[0], options.contexts[0]
        run = made(ROWS[options.row], options.device, batch, context, options.new, options.threads)
        tell(timed(run, batch, options.new, options.after_prompt))
        return
    for batch in options.batches:
        for context in options.contexts:
            rows = {
                name: row
                for name, row in ROWS.items()
                if options.only in name
                and (options.device == "cpu" or name in ON_GPU)
                and (context + options.new <= 1024 or row.engine == "keifu")
                and (batch == 1 or "compiled" not in name)
            }
            handed = ["--batches", str(batch), "--contexts", str(context), "--new", str(options.new)]
            handed += ["--device", options.device, "--threads", str(options.threads)]
            handed += ["--after-prompt"] * options.after_prompt
            figures = compare(__file__, rows, handed, options.rounds)
            print_table(f"batch {batch}, {context} tokens before, new tokens/s", figures, rows)
            if not options.only:
                name = f"generation-{batch}-{'after-' * options.after_prompt}{context}"
                write_results(name, figures, rows, options.threads, options.device)
    if options.device == "cpu" and ("keifu" in options.only or not options.only):
        print_losses(options.threads)


def made(row: Row, on: str, batch: int, context: int, new: int, threads: int) -> Run:
    """What writes up to `new` tokens."""
    make = {"keifu": keifu_run, "transformers": gpt2_run, "ctranslate2": ctranslate_run, "llama.cpp": llama_run}
    run: Run = make[row.engine](row.choices["precision"], on, batch, context, new, threads)
    return run


def timed(run: Run, batch: int, new: int, after_prompt: bool) -> list[float]:
    """New tokens a second of each run, after a warm-up; of those behind the first, or of all and the prompt."""
    run(new)
    prompt = statistics.median(seconds(run, 1) for _ in range(FEWEST)) if after_prompt else 0.0
    count = batch * (new - after_prompt)
    found: list[float] = []
    began = time.perf_counter()
    while len(found) < FEWEST or time.perf_counter() - began < SECONDS:
        found.append(count / (seconds(run, new) - prompt))
    return found


def seconds(run: Run, new: int) -> float:
    began = time.perf_counter()
    run(new)
    return time.perf_counter() - began


def keifu_model(precision: str, context: int, on: str = "cpu") -> Any:
    """The model as a user holds it, with random weights."""
    import torch

    from keifu.generation.sampling import Sampling
    from keifu.layers.alone import compile_for_one
    from keifu.models import architecture
    from keifu.session.model import Model
    from keifu.tasks.language_modeling import LanguageModeling
    from keifu.training.allocator import keep_freed_memory
    from keifu.training.network import make_model, named_parameters

    class Written(Model):
        """Without a tokenizer, so that it reads ids alone."""

        def inputs(self, text: Any, *more: Any) -> Any:
            raise NotImplementedError

    class Ids:
        pad_id, unk_id, bos_id, eos_id = range(4)
        vocab_size = VOCABULARY

    keep_freed_memory()
    torch.manual_seed(0)
    name = "gpt" if context <= 1024 else "llama"
    sizes = {"max_length": max(1024, context), "d_model": WIDTH, "n_layers": LAYERS, "n_heads": HEADS}
    config = architecture(name).Config(name=name, vocab_size=VOCABULARY, **sizes)
    task = LanguageModeling(Ids())  # type: ignore[arg-type]
    network = make_model(config)
    head = task.head(network)
    tensors = {key: weight.detach() for key, weight in named_parameters(network, head)}
    precision, _, compiled = precision.partition(" ")
    model = Written(Path("benchmark"), config, tensors, Ids(), task).to(on, precision)  # type: ignore[arg-type]
    if compiled:
        model.head = compile_for_one(model.network, model.head)
    model.decoding = Sampling()  # type: ignore[attr-defined]
    return model


def written(model: Any, prompt: Any, new: int, temperature: float = 0.0) -> list[list[int]]:
    """Tokens that keifu writes after prompts `[B, n]`."""
    import numpy as np
    import torch

    from keifu.generation.sampling import Sampling, sample

    settings = Sampling(max_tokens=new, temperature=temperature)
    dice = [np.random.default_rng(row) for row in range(len(prompt))]
    mask = torch.ones_like(prompt, dtype=torch.bool)
    state = model.network.start(len(prompt))
    steps = sample(model.network.step, model.head, state, prompt, mask, settings, dice, EOS, (EOS,))
    rows = [[drawn.token for drawn in step if drawn is not None] for step in steps]
    return [list(row) for row in zip(*rows, strict=True)]


def keifu_run(precision: str, on: str, batch: int, context: int, new: int, threads: int) -> Run:
    import torch

    torch.set_num_threads(threads)
    model = keifu_model(precision, context + new, on)
    prompt = torch.randint(4, VOCABULARY, (batch, context), device=on)

    def run(new: int) -> None:
        assert all(len(row) == new for row in written(model, prompt, new))

    return run


def print_losses(threads: int) -> None:
    """The surprise of what the exact model writes, in each number format."""
    import torch

    torch.set_num_threads(threads)
    exact = keifu_model("fp32", 1024)
    prompt = torch.randint(4, VOCABULARY, (1, 1), generator=torch.Generator().manual_seed(0))
    text = torch.tensor([prompt[0].tolist() + written(exact, prompt, WRITTEN, temperature=1.0)[0]])
    for precision in ("fp32", "bf16", "int8"):
        model = keifu_model(precision, 1024)
        with torch.no_grad():
            hidden, _ = model.network.step(text[:, :-1], model.network.start(1))
            scores = model.head(hidden)[0].float()
        loss = torch.nn.functional.cross_entropy(scores, text[0, 1:])
        print(f"keifu, {precision:6} surprise of {WRITTEN} tokens {float(loss):8.4f} nats a token", flush=True)


def gpt2() -> Any:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    sizes = {"n_layer": LAYERS, "n_embd": WIDTH, "n_head": HEADS}
    return GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, bos_token_id=2, eos_token_id=EOS, **sizes)).eval()


def gpt2_run(precision: str, on: str, batch: int, context: int, new: int, threads: int) -> Run:
    import torch

    torch.set_num_threads(threads)
    model = gpt2().to(on, torch.bfloat16 if precision == "bf16" else torch.float32)
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = None, 0
    prompt = torch.randint(4, VOCABULARY, (batch, context), device=on)

    @torch.inference_mode()
    def run(new: int) -> None:
        found = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=new, do_sample=False)
        assert found.shape == (batch, context + new)

    return run


def ctranslate_run(precision: str, on: str, batch: int, context: int, new: int, threads: int) -> Run:
    import random

    import ctranslate2
    from ctranslate2.converters.transformers import GPT2Loader

    class Names:
        unk_token, bos_token, eos_token = "<unk>", "t2", f"t{EOS}"

        def get_vocab(self) -> dict[str, int]:
            return {f"t{index}": index for index in range(VOCABULARY)}

    spec = GPT2Loader()(gpt2(), Names())
    spec.validate()
    spec.optimize()
    folder = tempfile.mkdtemp()
    spec.save(folder)
    generator = ctranslate2.Generator(folder, device="cpu", compute_type=precision, intra_threads=threads)
    draw = random.Random(0)
    prompts = [[f"t{draw.randrange(4, VOCABULARY)}" for _ in range(context)] for _ in range(batch)]

    def run(new: int) -> None:
        options = {"sampling_topk": 1, "beam_size": 1, "include_prompt_in_result": False, "end_token": [f"t{EOS}"]}
        found = generator.generate_batch(prompts, max_length=new, min_length=new, **options)
        assert all(len(one.sequences[0]) == new for one in found)

    return run


def llama_run(precision: str, on: str, batch: int, context: int, new: int, threads: int) -> Run:
    """llama.cpp's own loop by its Python binding's low-level functions, greedy by numpy."""
    import ctypes

    import gguf
    import llama_cpp as api
    import numpy as np

    path = f"{tempfile.mkdtemp()}/gpt2.gguf"
    weights = {name: value.detach().numpy() for name, value in gpt2().transformer.named_parameters()}
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_block_count(LAYERS)
    writer.add_context_length(1024)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(4 * WIDTH)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([f"t{index}" for index in range(VOCABULARY)])
    writer.add_token_merges(["a b"])
    writer.add_token_types([1] * VOCABULARY)
    form = {"q8_0": gguf.GGMLQuantizationType.Q8_0}[precision]

    def add(name: str, value: Any, turned: bool = False, rounded: bool = True) -> None:
        value = np.ascontiguousarray(value.T if turned else value, dtype=np.float32)
        if rounded:
            writer.add_tensor(name, gguf.quants.quantize(value, form), raw_dtype=form)
        else:
            writer.add_tensor(name, value)

    add("token_embd.weight", weights["wte.weight"])
    add("output.weight", weights["wte.weight"])
    add("position_embd.weight", weights["wpe.weight"], rounded=False)
    for ours, theirs in (("output_norm", "ln_f"),):
        for part in ("weight", "bias"):
            add(f"{ours}.{part}", weights[f"{theirs}.{part}"], rounded=False)
    parts = (
        ("attn_norm", "ln_1", False),
        ("attn_qkv", "attn.c_attn", True),
        ("attn_output", "attn.c_proj", True),
        ("ffn_norm", "ln_2", False),
        ("ffn_up", "mlp.c_fc", True),
        ("ffn_down", "mlp.c_proj", True),
    )
    for layer in range(LAYERS):
        for ours, theirs, matrix in parts:
            add(f"blk.{layer}.{ours}.weight", weights[f"h.{layer}.{theirs}.weight"], matrix, matrix)
            add(f"blk.{layer}.{ours}.bias", weights[f"h.{layer}.{theirs}.bias"], rounded=False)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    silent = api.llama_log_callback(lambda *_: None)
    api.llama_log_set(silent, ctypes.c_void_p(0))
    api.llama_backend_init()
    model = api.llama_model_load_from_file(path.encode(), api.llama_model_default_params())
    settings = api.llama_context_default_params()
    settings.n_ctx, settings.n_batch = 2 * (context + new) * batch, context * batch
    settings.n_ubatch = max(context * batch, 256)
    settings.n_threads = settings.n_threads_batch = threads
    settings.n_seq_max = batch
    room = api.llama_init_from_model(model, settings)
    given = api.llama_batch_init(context * batch, 0, batch)
    prompts = np.random.default_rng(0).integers(4, VOCABULARY, (batch, context))

    def put(rows: list[tuple[int, int, int, bool]]) -> None:
        given.n_tokens = len(rows)
        for place, (token, position, text, asks) in enumerate(rows):
            given.token[place], given.pos[place] = int(token), position
            given.n_seq_id[place], given.seq_id[place][0], given.logits[place] = 1, text, asks
        assert api.llama_decode(room, given) == 0

    def best(place: int) -> int:
        scores = api.llama_get_logits_ith(room, place)
        return int(np.ctypeslib.as_array(scores, shape=(VOCABULARY,)).argmax())

    def run(new: int, kept: Any = silent) -> None:
        api.llama_memory_clear(api.llama_get_memory(room), True)
        ends = [(text + 1) * context - 1 for text in range(batch)]
        put([(prompts[text, at], at, text, at == context - 1) for text in range(batch) for at in range(context)])
        tokens = [best(end) for end in ends]
        for step in range(new - 1):
            put([(tokens[text], context + step, text, True) for text in range(batch)])
            tokens = [best(text) for text in range(batch)]

    return run


if __name__ == "__main__":
    main()
