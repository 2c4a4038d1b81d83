"""Experts in keifu beside a dense layer of equal active work, and beside transformers' Mixtral, in one run.

    python benchmarks/experts.py [--experts 4 8 16 32] [--steps 8] [--rounds 3]

4 layers, 512 wide, 8 heads with 4 of keys, 1,000 tokens in the vocabulary; experts 1,792 wide, of which each token
takes 2, against one feed-forward network 3,584 wide. Forward and backward over 4 x 512 random tokens, without an
update. The figure is the median of all steps, in tokens a second, and its ratio to the best row of the peer as it
comes; below it stands what a step with 8 experts takes against the dense model's, of keifu and of the peer.

--experts: how a step's time goes as experts grow in number while routing is pinned to four of them, in milliseconds,
and how many experts are called in each layer.

Every row is a process of its own; rows take turns, a few times round. The rows and what they ran on are written to
benchmarks/results/experts.json. The peer: pip install --group peers.
"""

import argparse
import statistics
from typing import Any

from side_by_side import Row, compare, print_table, tell, write_results
from training import TUNED, Step, rates

ROWS = {
    "keifu, experts, bf16": Row("keifu", {"model": "moe", "precision": "bf16"}),
    "keifu, dense, bf16": Row("keifu", {"model": "llama", "precision": "bf16"}),
    "keifu, experts, fp32": Row("keifu", {"model": "moe", "precision": "fp32"}),
    "keifu, dense, fp32": Row("keifu", {"model": "llama", "precision": "fp32"}),
    "transformers, experts, bf16": Row("transformers", {"model": "mixtral", "precision": "bf16"}),
    "transformers, dense, bf16": Row("transformers", {"model": "mistral", "precision": "bf16"}),
    "transformers, experts, bf16, tuned allocator": Row(
        "transformers", {"model": "mixtral", "precision": "bf16"}, TUNED
    ),
}
COMPARED = {
    "keifu, bf16": ("keifu, experts, bf16", "keifu, dense, bf16"),
    "keifu, fp32": ("keifu, experts, fp32", "keifu, dense, fp32"),
    "transformers, bf16": ("transformers, experts, bf16", "transformers, dense, bf16"),
}
SIZES: dict[str, Any] = {"vocab_size": 1000, "d_model": 512, "n_layers": 4, "n_heads": 8, "n_kv_heads": 4}
EXPERT, EXPERTS, TAKEN, PINNED = 1792, 8, 2, 4
BATCH, LENGTH = 4, 512


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--experts", nargs="*", type=int, default=[4, 8, 16, 32])
    arguments.add_argument("--steps", type=int, default=8)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--row", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    rows = ROWS | {f"{count} experts": Row("keifu", {"pinned": count}) for count in options.experts}
    if options.row:
        row = rows[options.row]
        make = pinned_step if "pinned" in row.choices else {"keifu": keifu_step, "transformers": peer_step}[row.engine]
        tell(rates(make(**row.choices), options.steps))
        return
    given = ["--steps", str(options.steps), "--experts", *map(str, options.experts)]
    figures = compare(__file__, rows, given, options.rounds)
    free = {name: values for name, values in figures.items() if name in ROWS}
    print_table("forward and backward, tokens/s", free, ROWS)
    write_results("experts", figures, rows)
    for name, (experts, dense) in COMPARED.items():
        if {experts, dense} <= set(free):
            ratio = statistics.median(free[dense]) / statistics.median(free[experts])
            print(f"{name:20} a step with experts takes {ratio:.2f} times the dense one's")
    for count in options.experts:
        if values := figures.get(f"{count} experts"):
            took = 1000 * BATCH * LENGTH / statistics.median(values)
            print(f"{count:3} experts, routing pinned to {PINNED}: {took:8.1f} ms a step, {called(count)} called")


def model_of(name: str, **more: Any) -> tuple[Any, Any, Any]:
    """The task, a model and its head."""
    import torch

    from keifu.models import architecture
    from keifu.tasks.language_modeling import LanguageModeling
    from keifu.training.allocator import keep_freed_memory
    from keifu.training.network import make_model

    class Ids:
        pad_id, bos_id, vocab_size = 0, 0, SIZES["vocab_size"]

    keep_freed_memory()
    torch.manual_seed(0)
    task = LanguageModeling(Ids(), "stream")  # type: ignore[arg-type]
    network = make_model(architecture(name).Config(name=name, max_length=LENGTH, dropout=0.0, **SIZES, **more))
    return task, network, task.head(network)


def batch() -> Any:
    import torch

    from keifu.interface import TokenBatch
    from keifu.tasks.language_modeling import Batch

    tokens = torch.randint(SIZES["vocab_size"], (BATCH, LENGTH + 1), generator=torch.Generator().manual_seed(0))
    mask = torch.ones(BATCH, LENGTH, dtype=torch.bool)
    return Batch(TokenBatch(tokens[:, :-1].contiguous(), mask), tokens[:, 1:].contiguous())


def step_of(task: Any, network: Any, head: Any, precision: str) -> Step:
    import torch

    from keifu.training.precision import DTYPES, autocast

    given = batch()
    network.train()

    def step() -> int:
        with autocast(torch.device("cpu"), DTYPES[precision]):
            loss = task.loss(network, head, given)
        (loss.total / loss.tokens).backward()
        network.zero_grad(set_to_none=True)
        head.zero_grad(set_to_none=True)
        return BATCH * LENGTH

    return step


def keifu_step(model: str, precision: str) -> Step:
    if model == "moe":
        sizes = {"d_ff": EXPERT, "n_experts": EXPERTS, "experts_per_token": TAKEN}
    else:
        sizes = {"d_ff": TAKEN * EXPERT}
    return step_of(*model_of(model, **sizes), precision)


def pinned(count: int) -> tuple[Any, Any, Any]:
    """A model of so many experts whose routers choose among the first four alone."""
    import torch

    sizes = {"d_ff": EXPERT, "n_experts": count, "experts_per_token": TAKEN, "balance_step": 1e-9}
    task, network, head = model_of("moe", **sizes)
    with torch.no_grad():
        for block in network.blocks:
            block.feedforward.router.bias[PINNED:] = -1
    return task, network, head


def pinned_step(**choices: int) -> Step:
    return step_of(*pinned(choices["pinned"]), "bf16")


def called(count: int) -> str:
    """How many experts of each layer compute something, in words."""
    task, network, head = pinned(count)
    calls = [0] * len(network.blocks)
    for layer, block in enumerate(network.blocks):
        for expert in block.feedforward.experts:
            expert.register_forward_hook(lambda *_, layer=layer: calls.__setitem__(layer, calls[layer] + 1))
    task.loss(network, head, batch())
    return " ".join(map(str, calls))


def peer_step(model: str, precision: str) -> Step:
    """A step of transformers' Mixtral, or of its dense Mistral."""
    import torch
    from transformers import MistralConfig, MistralForCausalLM, MixtralConfig, MixtralForCausalLM

    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "vocab_size": SIZES["vocab_size"],
        "hidden_size": SIZES["d_model"],
        "num_hidden_layers": SIZES["n_layers"],
        "num_attention_heads": SIZES["n_heads"],
        "num_key_value_heads": SIZES["n_kv_heads"],
        "max_position_embeddings": LENGTH,
        "use_cache": False,
        "sliding_window": None,
    }
    network: Any
    if model == "mixtral":
        own = {"intermediate_size": EXPERT, "num_local_experts": EXPERTS, "num_experts_per_tok": TAKEN}
        network = MixtralForCausalLM(MixtralConfig(**sizes, **own))
    else:
        network = MistralForCausalLM(MistralConfig(**sizes, intermediate_size=TAKEN * EXPERT))
    network = network.to(torch.bfloat16 if precision == "bf16" else torch.float32).train()
    tokens = batch().inputs.tokens

    def step() -> int:
        network(input_ids=tokens, labels=tokens).loss.backward()
        network.zero_grad(set_to_none=True)
        return BATCH * LENGTH

    return step


if __name__ == "__main__":
    main()
