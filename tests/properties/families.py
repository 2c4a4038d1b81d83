"""What the property tests know of each entry of the lineage: a later model is one more entry of FAMILIES."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from keifu.models import (
    bert,
    bert_seq2seq,
    gpt,
    llama,
    memory_network,
    moe,
    recurrent,
    recurrent_attention,
    seq2seq,
    seq2seq_attention,
    transformer,
)
from keifu.trace import Recorded
from keifu.training.network import make_model
from tests.properties.cases import Case, Declared, Family, scatter
from tests.properties.inputs import PairInputs, ReadInputs, StoryInputs, TokenInputs


def full(outputs: int, inputs: int) -> Tensor:
    return torch.ones(outputs, inputs, dtype=torch.bool)


def causal(outputs: int, inputs: int) -> Tensor:
    return torch.arange(inputs)[None, :] <= torch.arange(outputs)[:, None]


def _transformer_config(rng: random.Random) -> transformer.Config:
    n_heads = rng.choice([1, 2, 3, 4])
    d_head = rng.choice([None, 3, 5])
    d_model = n_heads * rng.choice([2, 4, 6]) if d_head is None else rng.randint(4, 17)
    return transformer.Config(
        vocab_size=rng.randint(12, 40),
        max_length=64,
        d_model=max(d_model, 4),
        n_layers=rng.randint(1, 3),
        n_heads=n_heads,
        d_head=d_head,
        d_ff=rng.randint(1, 24),
        position=rng.choice(["sinusoidal", "learned", "none"]),
        dropout=rng.choice([0.0, 0.3]),
        norm_eps=rng.choice([1e-6, 1e-5, 1e-3]),
        tie_embeddings=rng.random() < 0.5,
    )


def _transformer_sizes(config: transformer.Config) -> dict[str, int]:
    head = config.d_head or config.d_model // config.n_heads
    return {"D": config.d_model, "H": config.n_heads, "A": head, "F": config.d_ff, "V": config.vocab_size or 0}


def _transformer_wiring(model: Any, values: Mapping[str, Recorded]) -> Iterator[tuple[str, Tensor]]:
    """Figure 1 of the paper: every sublayer's residual sum and norm."""

    def value(name: str) -> Tensor:
        return values[name].value

    for side, part, sublayers in (
        ("source", "encoder", ("attention", "feedforward")),
        ("target", "decoder", ("self_attention", "cross_attention", "feedforward")),
    ):
        place = values.get(f"{side}_embedding.position")
        assert (place is None) == (model.config.position == "none")
        yield f"{side}_embedding.sum", value(f"{side}_embedding.token") + (place.value if place else 0)
        x = value(f"{side}_embedding.sum")
        for layer, block in enumerate(getattr(model, part)):
            at = f"{part}.{layer}"
            for sublayer in sublayers:
                yield f"{at}.{sublayer}_residual", x + value(f"{at}.{sublayer}.output")
                norm = getattr(block, f"{sublayer}_norm")
                yield f"{at}.{sublayer}_normalised", norm(value(f"{at}.{sublayer}_residual"))
                x = value(f"{at}.{sublayer}_normalised")
            feedforward = block.feedforward
            yield f"{at}.feedforward.output", feedforward.contract(value(f"{at}.feedforward.hidden"))


def _bert_config(rng: random.Random, module: Any = bert) -> Any:
    n_heads = rng.choice([1, 2, 3, 4])
    d_head = rng.choice([None, 3, 5])
    d_model = n_heads * rng.choice([2, 4, 6]) if d_head is None else rng.randint(4, 17)
    return module.Config(
        vocab_size=rng.randint(12, 40),
        max_length=64,
        d_model=max(d_model, 4),
        n_layers=rng.randint(1, 3),
        n_heads=n_heads,
        d_head=d_head,
        d_ff=rng.randint(1, 24),
        dropout=rng.choice([0.0, 0.3]),
        norm_eps=rng.choice([1e-12, 1e-5, 1e-3]),
        tie_embeddings=rng.random() < 0.5,
    )


def _bert_wiring(model: Any, values: Mapping[str, Recorded]) -> Iterator[tuple[str, Tensor]]:
    """Figure 2 of the paper, then the Transformer's block with GELU."""

    def value(name: str) -> Tensor:
        return values[name].value

    parts = [value(f"embedding.{part}") for part in ("token", "segment", "position")]
    yield "embedding.sum", sum(parts[1:], parts[0])
    yield "embedding.normalised", model.embedding.norm(value("embedding.sum"))
    yield "embedding.segment", model.embedding.segments[ReadInputs().segments(_tokens_of(model, values))]
    x = value("embedding.normalised")
    for layer, block in enumerate(model.blocks):
        at = f"blocks.{layer}"
        expanded = block.feedforward.expand(value(f"{at}.attention_normalised"))
        yield f"{at}.feedforward.hidden", expanded * 0.5 * (1 + torch.erf(expanded / 2**0.5))
        yield f"{at}.feedforward.output", block.feedforward.contract(value(f"{at}.feedforward.hidden"))
        for sublayer in ("attention", "feedforward"):
            yield f"{at}.{sublayer}_residual", x + value(f"{at}.{sublayer}.output")
            norm = getattr(block, f"{sublayer}_norm")
            yield f"{at}.{sublayer}_normalised", norm(value(f"{at}.{sublayer}_residual"))
            x = value(f"{at}.{sublayer}_normalised")


def _bert_seq2seq_wiring(model: Any, values: Mapping[str, Recorded]) -> Iterator[tuple[str, Tensor]]:
    """BERT, and beside it blocks with a second attention."""

    def value(name: str) -> Tensor:
        return values[name].value

    own = "encoder."
    encoder = {name.removeprefix(own): recorded for name, recorded in values.items() if name.startswith(own)}
    for name, expected in _bert_wiring(model.encoder, encoder):
        if name != "embedding.segment":  # here all of the source stands in the first
            yield f"{own}{name}", expected
    for path in ("encoder.embedding", "target_embedding"):
        first = model.get_submodule(path).segments[0]
        yield f"{path}.segment", first.expand_as(value(f"{path}.segment"))
    parts = [value(f"target_embedding.{part}") for part in ("token", "segment", "position")]
    yield "target_embedding.sum", sum(parts[1:], parts[0])
    yield "target_embedding.normalised", model.target_embedding.norm(value("target_embedding.sum"))
    x = value("target_embedding.normalised")
    for layer, block in enumerate(model.decoder):
        at = f"decoder.{layer}"
        expanded = block.feedforward.expand(value(f"{at}.cross_attention_normalised"))
        yield f"{at}.feedforward.hidden", expanded * 0.5 * (1 + torch.erf(expanded / 2**0.5))
        yield f"{at}.feedforward.output", block.feedforward.contract(value(f"{at}.feedforward.hidden"))
        for sublayer in ("self_attention", "cross_attention", "feedforward"):
            yield f"{at}.{sublayer}_residual", x + value(f"{at}.{sublayer}.output")
            norm = getattr(block, f"{sublayer}_norm")
            yield f"{at}.{sublayer}_normalised", norm(value(f"{at}.{sublayer}_residual"))
            x = value(f"{at}.{sublayer}_normalised")
    expanded = model.transform(x)
    yield "output", model.norm(expanded * 0.5 * (1 + torch.erf(expanded / 2**0.5)))


def _tokens_of(model: Any, values: Mapping[str, Recorded]) -> Tensor:
    """The token ids, told by their vectors, each of which is another."""
    vectors = values["embedding.token"].value
    return (vectors[:, :, None] == model.embedding.tokens).all(-1).long().argmax(-1)


def _recurrent(name: str) -> Family:
    """A language model of one kind of block."""

    def config(rng: random.Random) -> recurrent.Config:
        tied = rng.random() < 0.5
        return recurrent.Config(
            name=name,
            vocab_size=rng.randint(12, 40),
            d_model=rng.randint(3, 17),
            d_hidden=None if tied else rng.randint(3, 17),
            n_layers=rng.randint(1, 3),
            dropout=rng.choice([0.0, 0.3]),
            tie_embeddings=tied,
            learned_start=rng.random() < 0.5,
        )

    def sizes(config: recurrent.Config) -> dict[str, int]:
        return {"D": config.d_model, "N": config.d_hidden or config.d_model, "V": config.vocab_size or 0}

    return Family(
        config=config,
        inputs=TokenInputs(),
        dependencies=lambda config: {("text", "text"): causal},
        symmetric=(),
        attention={},
        sizes=sizes,
        wiring=_recurrent_wiring,
    )


def _recurrent_wiring(model: Any, values: Mapping[str, Recorded]) -> Iterator[tuple[str, Tensor]]:
    below = values["embedding.token"].value.transpose(0, 1)
    start = _learned_start(model.recurrent, below.shape[1])
    yield from _layers_wiring(model.recurrent, "recurrent", model.config.name, below, values, start)
    last = model.config.n_layers - 1
    yield "output", values[f"recurrent.layers.{last}.0.hidden"].value.transpose(0, 1)


def _learned_start(layers: Any, rows: int) -> tuple[Tensor, ...]:
    """What was learned of the state before the first token, `[L, B, N]` for each part; nothing where it is zero."""
    return () if layers.start is None else tuple(layers.start.expand(-1, -1, rows, -1).unbind(1))


def _layers_wiring(
    layers: Any, path: str, cell: str, below: Tensor, values: Mapping[str, Recorded], start: tuple[Tensor, ...] = ()
) -> Iterator[tuple[str, Tensor]]:
    """Every state from the one before it and the layer below `[T, B, D]`, and the equations of the gates. start: the
    hidden vectors before the first step `[L, B, N]`, and the cells'; zero where they are not given.
    """
    for number, (block,) in enumerate(layers.layers):
        at = f"{path}.layers.{number}.0"

        def value(name: str, at: str = at) -> Tensor:
            return values[f"{at}.{name}"].value

        hidden = value("hidden")
        first = [part[number : number + 1] for part in start] or [torch.zeros_like(hidden[:1])] * 2
        before = torch.cat([first[0], hidden[:-1]])
        projected, product = block.input(below), before @ block.recurrent.T
        match cell:
            case "rnn":
                yield f"{at}.hidden", (projected + product).tanh()
            case "lstm":
                i, f, g, o = (projected + product).chunk(4, dim=-1)
                for name, gate in (("input_gate", i), ("forget_gate", f), ("output_gate", o)):
                    yield f"{at}.{name}", gate.sigmoid()
                yield f"{at}.candidate", g.tanh()
                held = torch.cat([first[1], value("cell")[:-1]])
                yield f"{at}.cell", value("forget_gate") * held + value("input_gate") * value("candidate")
                yield f"{at}.hidden", value("output_gate") * value("cell").tanh()
            case "gru":
                r, z, n = projected.chunk(3, dim=-1)
                from_r, from_z, from_n = product.chunk(3, dim=-1)
                yield f"{at}.reset_gate", (r + from_r).sigmoid()
                yield f"{at}.update_gate", (z + from_z).sigmoid()
                yield f"{at}.candidate", (n + value("reset_gate") * (from_n + block.candidate_bias)).tanh()
                z = value("update_gate")
                yield f"{at}.hidden", z * before + (1 - z) * value("candidate")
        below = hidden


def _recurrent_attention(name: str) -> Family:
    """A chain of one kind of block that attends to its own past."""

    def config(rng: random.Random) -> recurrent_attention.Config:
        n_heads = rng.choice([1, 2, 3])
        d_head = rng.choice([None, 3, 5])
        return recurrent_attention.Config(
            name=name,
            vocab_size=rng.randint(12, 40),
            max_length=_REACH if rng.random() < 0.5 else 64,
            d_model=n_heads * rng.randint(2, 6) if d_head is None else rng.randint(3, 17),
            n_layers=rng.randint(1, 3),
            n_heads=n_heads,
            d_head=d_head,
            dropout=rng.choice([0.0, 0.3]),
            tie_embeddings=rng.random() < 0.5,
            learned_start=rng.random() < 0.5,
        )

    def sizes(config: recurrent_attention.Config) -> dict[str, int]:
        width, head = config.d_model, config.d_head or config.d_model // config.n_heads
        return {"D": width, "N": width, "H": config.n_heads, "A": head, "V": config.vocab_size or 0}

    def attends(config: recurrent_attention.Config, outputs: int, inputs: int) -> Tensor:
        return causal(outputs, inputs) & ~causal(outputs, inputs + config.max_length)[:, config.max_length :]

    return Family(
        config=config,
        inputs=TokenInputs(),
        dependencies=lambda config: {("text", "text"): causal},
        symmetric=(),
        attention={"blocks.*.attention": ("text", "text")},
        sizes=sizes,
        wiring=_recurrent_attention_wiring,
        attends=attends,
    )


_REACH = 4  # of an attention that does not see all of a short text


def _recurrent_attention_wiring(model: Any, values: Mapping[str, Recorded]) -> Iterator[tuple[str, Tensor]]:
    cell, below = model.config.name.split("-")[0], values["embedding.token"].value
    for layer, block in enumerate(model.blocks):
        at = f"blocks.{layer}"
        start = _learned_start(block.recurrent, below.shape[0])
        yield from _layers_wiring(block.recurrent, f"{at}.recurrent", cell, below.transpose(0, 1), values, start)
        hidden = values[f"{at}.recurrent.layers.0.0.hidden"].value.transpose(0, 1)
        yield f"{at}.residual", hidden + values[f"{at}.attention.output"].value
        below = values[f"{at}.residual"].value
    yield "output", below


def _seq2seq(name: str, module: Any) -> Family:
    """A translator made of one kind of block, with or without attention."""
    attends = name.endswith("-attention")

    def config(rng: random.Random) -> Any:
        own = {"attention": rng.choice(["dot", "general", "additive"]), "input_feeding": rng.random() < 0.4}
        return module.Config(
            name=name,
            vocab_size=rng.randint(12, 40),
            d_model=2 * rng.randint(2, 8),
            n_layers=rng.randint(1, 3),
            direction=rng.choice(["forward", "bidirectional", "alternating"]),
            dropout=rng.choice([0.0, 0.3]),
            tie_embeddings=rng.random() < 0.5,
            learned_start=rng.random() < 0.5,
            **(own if attends else {}),
        )

    def dependencies(config: Any) -> dict[tuple[str, str], Declared]:
        one_way = config.direction == "forward" or (config.direction == "alternating" and config.n_layers == 1)
        within = causal if one_way else full
        return {("source", "source"): within, ("target", "source"): full, ("target", "target"): causal}

    def sizes(config: Any) -> dict[str, int]:
        width = config.d_model
        heads = {"H": 1, "A": width} if attends else {}
        return {"D": width, "N": width, "L": config.n_layers, "V": config.vocab_size or 0, **heads}

    return Family(
        config=config,
        inputs=PairInputs(),
        dependencies=dependencies,
        symmetric=(),
        attention={"cross_attention": ("target", "source")} if attends else {},
        sizes=sizes,
        wiring=_seq2seq_wiring,
        apart="encoder.",
    )


def _seq2seq_wiring(model: Any, values: Mapping[str, Recorded]) -> Iterator[tuple[str, Tensor]]:
    """The decoder goes on from what the encoder handed over."""
    cell, last = model.config.name.split("-")[0], model.config.n_layers - 1
    start = tuple(value.value for name, value in values.items() if ".handed_over" in name)
    below = values["target_embedding.token"].value.transpose(0, 1)
    hidden = values[f"decoder.layers.{last}.0.hidden"].value.transpose(0, 1)
    if "cross_attention.output" not in values:
        yield "output", hidden
    else:
        yield "attentional", (values["cross_attention.output"].value + model.beside(hidden)).tanh()
        yield "output", values["attentional"].value
    if getattr(model.config, "input_feeding", False):
        outputs = values["output"].value.transpose(0, 1)
        below = torch.cat([below, torch.cat([torch.zeros_like(outputs[:1]), outputs[:-1]])], dim=-1)
    yield from _layers_wiring(model.decoder, "decoder", cell, below, values, start)


def _gpt_config(rng: random.Random) -> gpt.Config:
    n_heads = rng.choice([1, 2, 3, 4])
    return gpt.Config(
        vocab_size=rng.randint(12, 40),
        max_length=64,
        d_model=n_heads * rng.choice([4, 5, 6]),
        n_layers=rng.randint(1, 3),
        n_heads=n_heads,
        d_ff=rng.choice([None, rng.randint(1, 24)]),
        dropout=rng.choice([0.0, 0.3]),
        norm_eps=rng.choice([1e-6, 1e-5, 1e-3]),
        tie_embeddings=rng.random() < 0.5,
        gelu=rng.choice(["tanh", "exact"]),
    )


def _gpt_sizes(config: gpt.Config) -> dict[str, int]:
    inner = config.d_ff or 4 * config.d_model
    width, heads = config.d_model, config.n_heads
    return {"D": width, "H": heads, "A": width // heads, "F": inner, "V": config.vocab_size or 0}


def _llama_config(rng: random.Random) -> llama.Config:
    n_heads = rng.choice([1, 2, 3, 4])
    return llama.Config(
        vocab_size=rng.randint(12, 40),
        max_length=64,
        d_model=n_heads * rng.choice([4, 6]),
        n_layers=rng.randint(1, 3),
        n_heads=n_heads,
        n_kv_heads=rng.choice([None, 1, *([2] if n_heads == 4 else [])]),
        d_ff=rng.choice([None, rng.randint(1, 24)]),
        rotary_base=rng.choice([10.0, 10_000.0]),
        dropout=rng.choice([0.0, 0.3]),
        norm_eps=rng.choice([1e-6, 1e-5, 1e-3]),
        tie_embeddings=rng.random() < 0.5,
    )


def _llama_sizes(config: llama.Config) -> dict[str, int]:
    width, heads = config.d_model, config.n_heads
    shared = {"J": config.n_kv_heads or heads}
    return {"D": width, "H": heads, "A": width // heads, "F": config.d_inner, "V": config.vocab_size or 0, **shared}


def _moe_config(rng: random.Random) -> moe.Config:
    base = _llama_config(rng)
    n_experts = rng.randint(2, 5)
    switch = rng.random() < 0.3
    return moe.Config(
        **{key: value for key, value in base.model_dump().items() if key != "name"},
        n_experts=n_experts,
        experts_per_token=1 if switch else rng.randint(2, n_experts),
        routing="switch" if switch else "mixtral",
        balance_penalty=rng.choice([0.0, 0.01]),
        z_penalty=rng.choice([0.0, 0.001]),
        balance_step=rng.choice([0.0, 0.001]),
    )


def _decoder_wiring(model: Any, values: Mapping[str, Recorded]) -> Iterator[tuple[str, Tensor]]:
    """Pre-norm blocks: the sum goes on as it is, each sublayer reads it normalised."""

    def value(name: str) -> Tensor:
        return values[name].value

    x = value("embedding.token")
    if "embedding.sum" in values:
        yield "embedding.sum", x + value("embedding.position")
        x = value("embedding.sum")
    for layer, block in enumerate(model.blocks):
        at = f"blocks.{layer}"
        for sublayer in ("attention", "feedforward"):
            yield f"{at}.{sublayer}_normalised", getattr(block, f"{sublayer}_norm")(x)
            yield f"{at}.{sublayer}_residual", x + value(f"{at}.{sublayer}.output")
            x = value(f"{at}.{sublayer}_residual")
        read, feedforward = value(f"{at}.feedforward_normalised"), block.feedforward
        if f"{at}.feedforward.gates" in values:
            yield from _experts_wiring(feedforward, f"{at}.feedforward", read, values)
            continue
        if f"{at}.feedforward.gate" in values:
            yield f"{at}.feedforward.gate", F.silu(feedforward.gate(read))
            yield f"{at}.feedforward.hidden", value(f"{at}.feedforward.gate") * feedforward.expand(read)
        else:
            form = {"tanh": "tanh", "exact": "none"}[model.config.gelu]
            yield f"{at}.feedforward.hidden", F.gelu(feedforward.expand(read), approximate=form)
        yield f"{at}.feedforward.output", feedforward.contract(value(f"{at}.feedforward.hidden"))
    yield "output", model.norm(x)


def _experts_wiring(layer: Any, at: str, read: Tensor, values: Mapping[str, Recorded]) -> Iterator[tuple[str, Tensor]]:
    """Every expert on every token, weighted by the gates."""
    shares, gates, router = values[f"{at}.shares"].value, values[f"{at}.gates"].value, layer.router
    yield f"{at}.scores", read @ router.weight.T
    yield f"{at}.shares", values[f"{at}.scores"].value.softmax(-1)
    wanted = shares if router.bias is None else shares + router.bias
    least = wanted.topk(router.experts_per_token).values[..., -1:]
    chosen = shares * (wanted >= least)
    yield f"{at}.gates", chosen / chosen.sum(-1, keepdim=True) if router.renormalise else chosen
    results = [expert(read) for expert in layer.experts]
    for place, result in enumerate(results):
        taken = gates[..., place, None] != 0
        assert bool(taken.any()) == (f"{at}.experts.{place}.output" in values)
        if taken.any():
            yield f"{at}.experts.{place}.output", result * taken
    yield f"{at}.output", sum(gates[..., place, None] * result for place, result in enumerate(results))


def _decoder(config: Callable[[random.Random], Any], sizes: Callable[[Any], dict[str, int]]) -> Family:
    """A language model whose blocks read all earlier places."""
    return Family(
        config=config,
        inputs=TokenInputs(),
        dependencies=lambda config: {("text", "text"): causal},
        symmetric=(),
        attention={"blocks.*.attention": ("text", "text")},
        sizes=sizes,
        wiring=_decoder_wiring,
    )


def _memory_config(rng: random.Random) -> memory_network.Config:
    return memory_network.Config(
        vocab_size=rng.randint(12, 40),
        max_length=64,
        d_model=rng.randint(3, 17),
        n_hops=rng.randint(1, 3),
        tying=rng.choice(["adjacent", "layer-wise", "none"]),
        encoding=rng.choice(["position", "bag"]),
        d_ff=rng.choice([0, 5]),
        dropout=rng.choice([0.0, 0.3]),
    )


def _memory_wiring(model: Any, values: Mapping[str, Recorded]) -> Iterator[tuple[str, Tensor]]:
    """Section 2 of the paper: what each hop reads, and what the question comes to."""

    def value(name: str) -> Tensor:
        return values[name].value

    after = value("after" if model.config.d_ff else "state")
    before = torch.cat([value("question")[None], after[:-1]])
    yield "scores", before @ value("key").transpose(-1, -2)
    exponentials = value("scores").exp() * (value("weights") > 0)
    yield "weights", exponentials / exponentials.sum(-1, keepdim=True)
    yield "read", value("weights") @ value("value")
    yield "state", (before if model.carry is None else model.carry(before)) + value("read")
    if model.config.d_ff:
        outputs = [value(f"hidden.{hop}.output") for hop in range(model.config.n_hops)]
        yield "after", value("state") + torch.stack(outputs)
        for hop, hidden in enumerate(model.hidden):
            yield f"hidden.{hop}.output", hidden.contract(value(f"hidden.{hop}.hidden"))
    yield "output", after[-1]


FAMILIES: dict[str, Family] = {
    **{name: _recurrent(name) for name in ("rnn", "lstm", "gru")},
    **{name: _seq2seq(name, seq2seq) for name in ("rnn-seq2seq", "gru-seq2seq", "lstm-seq2seq")},
    **{
        name: _seq2seq(name, seq2seq_attention)
        for name in ("rnn-seq2seq-attention", "gru-seq2seq-attention", "lstm-seq2seq-attention")
    },
    "memory-network": Family(
        config=_memory_config,
        inputs=StoryInputs(),
        dependencies=lambda config: {("question", "question"): full, ("question", "story"): full},
        symmetric=("story",),
        attention={},
        sizes=lambda config: {"D": config.d_model, "F": config.d_ff, "I": config.n_hops, "T": 1},
        wiring=_memory_wiring,
        apart="question",
        shown="weights",
    ),
    **{name: _recurrent_attention(name) for name in ("rnn-attention", "gru-attention", "lstm-attention")},
    "transformer": Family(
        config=_transformer_config,
        inputs=PairInputs(),
        dependencies=lambda config: {
            ("source", "source"): full,
            ("target", "source"): full,
            ("target", "target"): causal,
        },
        symmetric=("source",),
        attention={
            "encoder.*.attention": ("source", "source"),
            "decoder.*.self_attention": ("target", "target"),
            "decoder.*.cross_attention": ("target", "source"),
        },
        sizes=_transformer_sizes,
        wiring=_transformer_wiring,
    ),
    "gpt": _decoder(_gpt_config, _gpt_sizes),
    "bert": Family(
        config=_bert_config,
        inputs=ReadInputs(),
        dependencies=lambda config: {("text", "text"): full},
        symmetric=("text",),
        attention={"blocks.*.attention": ("text", "text")},
        sizes=_transformer_sizes,
        wiring=_bert_wiring,
    ),
    "bert-seq2seq": Family(
        config=lambda rng: _bert_config(rng, bert_seq2seq),
        inputs=PairInputs("encoder.embedding", ["[BOS]"]),
        dependencies=lambda config: {
            ("source", "source"): full,
            ("target", "source"): full,
            ("target", "target"): causal,
        },
        symmetric=("source",),
        attention={
            "encoder.blocks.*.attention": ("source", "source"),
            "decoder.*.self_attention": ("target", "target"),
            "decoder.*.cross_attention": ("target", "source"),
        },
        sizes=_transformer_sizes,
        wiring=_bert_seq2seq_wiring,
    ),
    "llama": _decoder(_llama_config, _llama_sizes),
    "moe": replace(
        _decoder(_moe_config, lambda config: {**_llama_sizes(config), "E": config.n_experts}), regroups=True
    ),
}


def make_case(name: str, seed: int) -> Case:
    """The same seed gives the same settings, weights and inputs."""
    rng = random.Random(f"{name} {seed}")
    family = FAMILIES[name]
    config = family.config(rng)
    model = make_model(config).double().eval()
    scatter(model, rng.randrange(2**31))
    return Case(family, config, model, rng)
