"""GPT and its descendants against GPT-2, Llama and Mixtral of transformers, independent implementations, with the same
weights.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
)
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

from keifu.data.windows import whole
from keifu.generation.sampling import Sampling, sample
from keifu.layers.experts import Experts
from keifu.layers.norms import RMSNorm
from keifu.models import gpt, llama, moe
from keifu.tasks.language_modeling import Batch, LanguageModeling
from keifu.training.network import make_model
from tests.properties.cases import CONFIGURATIONS, letters, scatter

SEEDS = range(min(CONFIGURATIONS, 20))
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Kind:
    """config: small random settings of ours. reference: theirs for the same. names: what ours are called there."""

    config: Callable[[random.Random], Any]
    reference: Callable[[Any], Any]
    names: tuple[tuple[str, str], ...]


def _gpt_config(rng: random.Random) -> gpt.Config:
    n_heads = rng.choice([1, 2, 3, 4])
    return gpt.Config(
        vocab_size=rng.randint(12, 40),
        max_length=64,
        d_model=n_heads * rng.choice([4, 5, 8]),
        n_layers=rng.randint(1, 3),
        n_heads=n_heads,
        d_ff=rng.choice([None, rng.randint(4, 40)]),
        dropout=0.0,
        tie_embeddings=rng.random() < 0.6,
        gelu=rng.choice(["tanh", "exact"]),
    )


def _gpt2(config: gpt.Config) -> Any:
    settings = GPT2Config(
        vocab_size=config.vocab_size,
        n_positions=config.max_length,
        n_embd=config.d_model,
        n_layer=config.n_layers,
        n_head=config.n_heads,
        n_inner=config.d_ff,
        layer_norm_epsilon=config.norm_eps,
        tie_word_embeddings=config.tie_embeddings,
        activation_function={"tanh": "gelu_new", "exact": "gelu"}[config.gelu],
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0),
    )
    return GPT2LMHeadModel(settings)


_GPT2_NAMES = (
    ("embedding.tokens", "transformer.wte.weight"),
    ("embedding.position.weight", "transformer.wpe.weight"),
    ("blocks.", "transformer.h."),
    (".attention_norm.", ".ln_1."),
    (".feedforward_norm.", ".ln_2."),
    (".attention.output.", ".attn.c_proj."),
    (".feedforward.expand.", ".mlp.c_fc."),
    (".feedforward.contract.", ".mlp.c_proj."),
    ("norm.", "transformer.ln_f."),
    ("head", "lm_head.weight"),
)


def _llama_config(rng: random.Random) -> llama.Config:
    n_heads = rng.choice([1, 2, 3, 4])
    return llama.Config(
        vocab_size=rng.randint(12, 40),
        max_length=64,
        d_model=n_heads * rng.choice([4, 6, 8]),
        n_layers=rng.randint(1, 3),
        n_heads=n_heads,
        n_kv_heads=rng.choice([None, 1, *([2] if n_heads == 4 else [])]),
        d_ff=rng.randint(4, 40),
        rotary_base=rng.choice([100.0, 10_000.0]),
        dropout=0.0,
        tie_embeddings=rng.random() < 0.6,
    )


def _llama_settings(config: Any) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_inner,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads or config.n_heads,
        "max_position_embeddings": config.max_length,
        "rms_norm_eps": config.norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rotary_base},
        "tie_word_embeddings": config.tie_embeddings,
    }


_LLAMA_NAMES = (
    ("embedding.tokens", "model.embed_tokens.weight"),
    ("blocks.", "model.layers."),
    (".attention_norm.", ".input_layernorm."),
    (".feedforward_norm.", ".post_attention_layernorm."),
    *((f".attention.{name}.", f".self_attn.{name[0]}_proj.") for name in ("query", "key", "value", "output")),
    (".feedforward.gate.", ".mlp.gate_proj."),
    (".feedforward.expand.", ".mlp.up_proj."),
    (".feedforward.contract.", ".mlp.down_proj."),
    ("norm.", "model.norm."),
    ("head", "lm_head.weight"),
)


def _moe_config(rng: random.Random) -> moe.Config:
    base = _llama_config(rng)
    n_experts = rng.randint(2, 6)
    return moe.Config(
        **{key: value for key, value in base.model_dump().items() if key != "name"},
        n_experts=n_experts,
        experts_per_token=rng.randint(2, n_experts),
        balance_penalty=0.0,
        z_penalty=0.0,
    )


def _mixtral(config: moe.Config) -> Any:
    own = {"num_local_experts": config.n_experts, "num_experts_per_tok": config.experts_per_token}
    settings = MixtralConfig(**_llama_settings(config), **own, sliding_window=None)
    settings._experts_implementation = "eager"  # the other one asks for widths that are multiples of 8
    return MixtralForCausalLM(settings)


_MIXTRAL_NAMES = (*_LLAMA_NAMES, (".feedforward.router.", ".mlp.gate."))

KINDS = {
    "gpt": Kind(_gpt_config, _gpt2, _GPT2_NAMES),
    "llama": Kind(_llama_config, lambda config: LlamaForCausalLM(LlamaConfig(**_llama_settings(config))), _LLAMA_NAMES),
    "moe": Kind(_moe_config, _mixtral, _MIXTRAL_NAMES),
}


class Twins:
    """One random configuration, twice: ours, and the reference with our weights copied into it."""

    def __init__(self, kind: str, seed: int) -> None:
        self.rng = random.Random(f"{kind} {seed}")
        self.names = KINDS[kind].names
        self.config = KINDS[kind].config(self.rng)
        torch.manual_seed(seed)
        self.model: Any = make_model(self.config).eval()
        scatter(self.model, seed)
        self.task = LanguageModeling(letters(self.config.vocab_size))
        self.head = self.task.head(self.model)
        self.reference = KINDS[kind].reference(self.config).eval()
        named = [*self.model.named_parameters(), ("head", self.head.weight)]
        self.ours = {self._renamed(name): weight for name, weight in named if not self._is_shared(name)}
        # GPT-2 keeps queries, keys and values in one matrix, and all matrices turned.
        given = dict(self.reference.named_parameters())
        with torch.no_grad():
            for name, theirs in given.items():
                theirs.copy_(self._as_theirs(name, {key: weight.detach() for key, weight in self.ours.items()}))

    def _is_shared(self, name: str) -> bool:
        return name == "head" and self.config.tie_embeddings

    def _renamed(self, name: str) -> str:
        for ours, theirs in self.names:
            if name.startswith(ours) or ours.startswith("."):
                name = name.replace(ours, theirs, 1)
        return name

    def _as_theirs(self, name: str, values: dict[str, Tensor]) -> Tensor:
        """Values by our parameters' renamed names, as the reference keeps them under `name`."""
        if ".c_attn." in name:
            parts = [values[name.replace(".attn.c_attn.", f".attention.{part}.")] for part in ("query", "key", "value")]
            return torch.cat(parts).T if parts[0].dim() == 2 else torch.cat(parts)
        if ".mlp.experts." in name:  # Mixtral keeps all experts in two tensors
            at = name.rpartition(".mlp.")[0]
            experts = [f"{at}.feedforward.experts.{place}" for place in range(self.config.n_experts)]
            gates, expands, contracts = (
                [values[f"{expert}.{part}.weight"] for expert in experts] for part in ("gate", "expand", "contract")
            )
            both = [torch.cat(pair) for pair in zip(gates, expands, strict=True)]
            return torch.stack(both if name.endswith("gate_up_proj") else contracts)
        return values[name].T if ".c_" in name and values[name].dim() == 2 else values[name]

    def batch(self, count: int = 5) -> Batch:
        size = self.config.vocab_size
        rows = [[self.rng.randrange(size) for _ in range(self.rng.randint(2, 12))] for _ in range(count)]
        return self.task.batch(whole(rows), np.arange(count))

    def reference_logits(self, batch: Batch) -> Tensor:
        logits: Tensor = self.reference(input_ids=batch.inputs.tokens, attention_mask=batch.inputs.mask.long()).logits
        return logits


@pytest.fixture(params=[(kind, seed) for kind in KINDS for seed in SEEDS], ids=str)
def twins(request: pytest.FixtureRequest) -> Twins:
    return Twins(*request.param)


def test_every_weight_has_a_counterpart(twins: Twins) -> None:
    ours = sum(weight.numel() for weight in nn.ModuleList([twins.model, twins.head]).parameters())
    assert ours == sum(weight.numel() for weight in twins.reference.parameters())


def test_logits_loss_and_gradients_equal_the_reference(twins: Twins) -> None:
    batch = twins.batch()
    mask = batch.inputs.mask
    expected_logits = twins.reference_logits(batch)
    logits = twins.head(twins.model(batch.inputs).hidden)
    torch.testing.assert_close(logits[mask], expected_logits[mask], rtol=TOLERANCE, atol=TOLERANCE)

    loss = twins.task.loss(twins.model, twins.head, batch)
    expected = F.cross_entropy(expected_logits[mask], batch.targets[mask])
    torch.testing.assert_close(loss.surprise / loss.tokens, expected, rtol=TOLERANCE, atol=TOLERANCE)

    (loss.total / loss.tokens).backward()
    expected.backward()
    # An expert that got no token has no gradient here, and zeros there.
    gradients = {n: torch.zeros_like(each) if each.grad is None else each.grad for n, each in twins.ours.items()}
    for name, theirs in twins.reference.named_parameters():
        assert theirs.grad is not None, name
        ours = twins._as_theirs(name, gradients)
        torch.testing.assert_close(
            ours, theirs.grad, rtol=TOLERANCE, atol=TOLERANCE, msg=lambda text, n=name: f"{n}: {text}"
        )


def test_greedy_generation_writes_what_the_reference_writes(twins: Twins) -> None:
    """From prompts of different lengths, step by step with caches on both sides."""
    size, eos = twins.config.vocab_size, twins.task.tokenizer.eos_id
    written: set[int] = set()
    for length in (1, 4, 9):
        prompt = torch.tensor([[twins.rng.randrange(4, size) for _ in range(length)]])
        settings, dice = Sampling(max_tokens=20, temperature=0), [np.random.default_rng(0)]
        state, everything = twins.model.start(1), torch.ones_like(prompt, dtype=torch.bool)
        steps = sample(twins.model.step, twins.head, state, prompt, everything, settings, dice, eos)
        ours = [tokens[0] for tokens in steps]
        theirs = twins.reference.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=20,
            do_sample=False,
            eos_token_id=eos,
            pad_token_id=0,
        )[0, length:].tolist()
        assert [eos if drawn is None else drawn.token for drawn in ours] == theirs
        written.update(theirs)
    assert len(written) > 1


@pytest.mark.parametrize("seed", SEEDS)
def test_the_balance_penalty_is_mixtrals(seed: int) -> None:
    """There the shares of a token's choices add up to their number, here to 1."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    n_experts = rng.randint(2, 8)
    experts_per_token = rng.randint(1, n_experts)
    experts = Experts(6, 5, n_experts, experts_per_token, renormalise=experts_per_token > 1, step=0.0)
    for weight in experts.parameters():
        nn.init.normal_(weight)
    x, real = torch.randn(3, 7, 6, requires_grad=True), torch.arange(7) < torch.tensor([7, 4, 1])[:, None]
    routed = experts(x, real)
    scores = experts.router(x.flatten(0, 1))
    expected = load_balancing_loss_func((scores,), n_experts, experts_per_token, real.long()) / experts_per_token
    torch.testing.assert_close(routed.balance(), expected, rtol=TOLERANCE, atol=0)
    ours, theirs = (
        torch.autograd.grad(each, (x, experts.router.weight), retain_graph=True)
        for each in (routed.balance(), expected)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=TOLERANCE)


@torch.no_grad()
def test_rms_norm_of_bfloat16_is_llamas() -> None:
    torch.manual_seed(0)
    ours, theirs = RMSNorm(48, 1e-5), LlamaRMSNorm(48, 1e-5)
    nn.init.normal_(ours.weight)
    theirs.weight.copy_(ours.weight)
    x = 30 * torch.randn(5, 48)
    for dtype in (torch.float32, torch.bfloat16):
        found, expected = ours.to(dtype)(x.to(dtype)), theirs.to(dtype)(x.to(dtype))
        assert found.dtype == dtype
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
