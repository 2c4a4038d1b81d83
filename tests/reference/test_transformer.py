"""The Transformer against MarianMTModel of transformers, an independent implementation, with the same weights."""

import random
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GenerationConfig, MarianConfig, MarianMTModel

from keifu.data.batches import Sequences
from keifu.generation.search import Hypothesis, beam_search, greedy
from keifu.layers.embeddings import sinusoidal
from keifu.layers.heads import VocabularyHead
from keifu.models.transformer import Config, Transformer
from keifu.tasks.translation import Batch, PairSequences, Translation
from tests.properties.cases import CONFIGURATIONS, letters, scatter

SEEDS = range(min(CONFIGURATIONS, 20))
TOLERANCE = 1e-5


class Twins:
    """One random configuration, twice: ours, and the reference with our weights copied into it."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.rng = rng
        n_heads = rng.choice([1, 2, 3, 4])
        self.config = Config(
            vocab_size=rng.randint(12, 40),
            max_length=64,
            d_model=n_heads * rng.choice([4, 6, 8]),
            n_layers=rng.randint(1, 3),
            n_heads=n_heads,
            d_ff=rng.randint(4, 40),
            position=rng.choice(["sinusoidal", "learned"]),
            dropout=0.0,
            tie_embeddings=rng.random() < 0.6,
        )
        torch.manual_seed(seed)
        self.model = Transformer(self.config)
        scatter(self.model, seed)
        self.tokenizer = letters(self.config.vocab_size or 0)
        self.head = Translation(self.tokenizer).head(self.model)
        self.reference = _reference(self.config, self.tokenizer)
        theirs = dict(self.reference.named_parameters())
        self.pairs: list[tuple[str, nn.Parameter, nn.Parameter]] = []
        for name, ours in [*self.model.named_parameters(), ("head", self.head.weight)]:
            other = theirs.get(_renamed(name, self.config.tie_embeddings))
            if other is not None and not any(ours is known for _, known, _ in self.pairs):
                self.pairs.append((name, ours, other))
        positions = {"source": "encoder", "target": "decoder"}
        with torch.no_grad():
            for _, ours, other in self.pairs:
                other.copy_(ours)
            for side, part in positions.items():
                table = sinusoidal(torch.arange(64), self.config.d_model)
                if self.config.position == "learned":
                    table = getattr(self.model, f"{side}_embedding").position.weight
                getattr(self.reference.model, part).embed_positions.weight.copy_(table)

    def batch(self, count: int = 5) -> Batch:
        def side() -> Sequences:
            eos, size = self.tokenizer.eos_id, self.config.vocab_size or 0
            rows = [[self.rng.randrange(4, size) for _ in range(self.rng.randint(0, 8))] for _ in range(count)]
            return Sequences([*row, eos] for row in rows)

        return Translation(self.tokenizer).batch(PairSequences(side(), side()), np.arange(count))

    def reference_logits(self, batch: Batch) -> Tensor:
        inputs = batch.inputs
        logits: Tensor = self.reference(
            input_ids=inputs.source,
            attention_mask=inputs.source_mask.long(),
            decoder_input_ids=inputs.target,
            decoder_attention_mask=inputs.target_mask.long(),
        ).logits
        return logits


def _reference(config: Config, tokenizer: Any) -> Any:
    settings = MarianConfig(
        vocab_size=config.vocab_size,
        max_position_embeddings=64,
        encoder_layers=config.n_layers,
        decoder_layers=config.n_layers,
        encoder_attention_heads=config.n_heads,
        decoder_attention_heads=config.n_heads,
        encoder_ffn_dim=config.d_ff,
        decoder_ffn_dim=config.d_ff,
        activation_function="relu",
        d_model=config.d_model,
        dropout=0.0,
        scale_embedding=True,
        pad_token_id=tokenizer.pad_id,
        eos_token_id=tokenizer.eos_id,
        decoder_start_token_id=tokenizer.bos_id,
        forced_eos_token_id=None,
        share_encoder_decoder_embeddings=config.tie_embeddings,
        tie_word_embeddings=config.tie_embeddings,
    )
    return MarianMTModel(settings).eval()


def _renamed(name: str, tied: bool) -> str:
    """Our parameter's name in the reference."""
    tokens = {
        "source_embedding.tokens": "model.shared.weight" if tied else "model.encoder.embed_tokens.weight",
        "target_embedding.tokens": "model.shared.weight" if tied else "model.decoder.embed_tokens.weight",
        "head": "model.shared.weight" if tied else "lm_head.weight",
    }
    if name in tokens:
        return tokens[name]
    own = "self_attention" if name.startswith("decoder") else "attention"
    for ours, theirs in (
        (f".{own}_norm.", ".self_attn_layer_norm."),
        (f".{own}.output.", ".self_attn.out_proj."),
        (f".{own}.", ".self_attn."),
        (".cross_attention_norm.", ".encoder_attn_layer_norm."),
        (".cross_attention.output.", ".encoder_attn.out_proj."),
        (".cross_attention.", ".encoder_attn."),
        (".feedforward_norm.", ".final_layer_norm."),
        (".feedforward.expand.", ".fc1."),
        (".feedforward.contract.", ".fc2."),
    ):
        name = name.replace(ours, theirs)
    for projection in ("query", "key", "value"):
        name = name.replace(f"_attn.{projection}.", f"_attn.{projection[0]}_proj.")
    for part in ("encoder", "decoder"):
        name = name.replace(f"{part}.", f"model.{part}.layers.", 1) if name.startswith(part) else name
    return name


@pytest.mark.parametrize("seed", SEEDS)
def test_every_weight_has_a_counterpart(seed: int) -> None:
    twins = Twins(seed)
    ours = {id(parameter) for parameter in [*twins.model.parameters(), twins.head.weight]}
    positions = {
        id(parameter) for name, parameter in twins.model.named_parameters() if name.endswith(".position.weight")
    }
    assert {id(parameter) for _, parameter, _ in twins.pairs} == ours - positions
    theirs = [parameter for name, parameter in twins.reference.named_parameters() if "embed_positions" not in name]
    assert {id(parameter) for *_, parameter in twins.pairs} == {id(parameter) for parameter in theirs}


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("seed", SEEDS)
def test_logits_loss_and_gradients_equal_the_reference(seed: int, smoothing: float) -> None:
    twins = Twins(seed)
    batch = twins.batch()
    mask = batch.inputs.target_mask
    expected_logits = twins.reference_logits(batch)
    logits = twins.head(twins.model(batch.inputs).hidden)
    torch.testing.assert_close(logits[mask], expected_logits[mask], rtol=TOLERANCE, atol=TOLERANCE)

    loss = Translation(twins.tokenizer, smoothing).loss(twins.model, twins.head, batch)
    assert loss.tokens == int(mask.sum()) == Translation.scored(batch)
    expected = F.cross_entropy(expected_logits[mask], batch.targets[mask], label_smoothing=smoothing)
    surprise = F.cross_entropy(expected_logits[mask], batch.targets[mask])
    torch.testing.assert_close(loss.total / loss.tokens, expected, rtol=TOLERANCE, atol=TOLERANCE)
    torch.testing.assert_close(loss.surprise / loss.tokens, surprise, rtol=TOLERANCE, atol=TOLERANCE)

    (loss.total / loss.tokens).backward()
    expected.backward()
    for name, ours, theirs in twins.pairs:
        assert ours.grad is not None, name
        assert theirs.grad is not None, name
        torch.testing.assert_close(
            ours.grad, theirs.grad, rtol=TOLERANCE, atol=TOLERANCE, msg=lambda text, name=name: f"{name}: {text}"
        )


def _decoded(twins: Twins, batch: Batch, limit: int, beam: int, penalty: float) -> list[list[Hypothesis]]:
    with torch.no_grad():
        state = twins.model.start(batch.inputs.source, batch.inputs.source_mask)
        count = len(batch.inputs.source)
        prompt = torch.full((count, 1), twins.tokenizer.bos_id)
        limits = torch.full((count,), limit)
        search = (twins.model.step, twins.head, state, prompt, twins.tokenizer.eos_id, limits)
        if beam == 1:
            return [[best] for best in greedy(*search, penalty)]
        return beam_search(*search, beam, beam, penalty)


def _favour_the_end(twins: Twins) -> None:
    """Lengthens [EOS]'s vector, so that outputs end of themselves at various lengths."""
    with torch.no_grad():
        for head in (twins.head.weight, twins.reference.get_output_embeddings().weight):
            head.mul_(0.5)
            head[twins.tokenizer.eos_id] *= 2.5


@pytest.mark.parametrize("limit", [3, 12])
@pytest.mark.parametrize(("beam", "penalty"), [(1, 1.0), (2, 1.0), (5, 1.0), (5, 0.0), (4, 2.0), (8, 0.6)])
@pytest.mark.parametrize("seed", SEEDS)
def test_greedy_and_beam_search_find_what_the_reference_finds(seed: int, beam: int, penalty: float, limit: int) -> None:
    """Scores and stopping follow the same convention: log-probability / length^penalty, [EOS] counted."""
    twins = Twins(seed)
    _favour_the_end(twins)
    batch = twins.batch()
    found = _decoded(twins, batch, limit, beam, penalty)
    options: dict[str, Any] = {"max_new_tokens": limit, "num_beams": beam, "do_sample": False}
    if beam > 1:
        options |= {"length_penalty": penalty, "num_return_sequences": beam, "early_stopping": False}
    generated = twins.reference.generate(
        batch.inputs.source,
        attention_mask=batch.inputs.source_mask.long(),
        generation_config=GenerationConfig(
            pad_token_id=twins.tokenizer.pad_id,
            eos_token_id=twins.tokenizer.eos_id,
            decoder_start_token_id=twins.tokenizer.bos_id,
            return_dict_in_generate=True,
            output_scores=True,
            **options,
        ),
    )
    rows = generated.sequences[:, 1:].view(len(found), beam, -1).tolist()
    assert [[hypothesis.tokens for hypothesis in bests] for bests in found] == [
        [_until_the_end(row, twins.tokenizer.eos_id, limit) for row in bests] for bests in rows
    ]
    if beam > 1:
        scores = torch.tensor([[hypothesis.score for hypothesis in bests] for bests in found])
        torch.testing.assert_close(scores.flatten(), generated.sequences_scores, rtol=1e-4, atol=1e-4)


def _until_the_end(row: list[int], eos_id: int, limit: int) -> list[int]:
    return row[: row.index(eos_id)] if eos_id in row else row[:limit]


def test_the_outputs_compared_are_of_various_lengths() -> None:
    """Else the comparison above would say little."""
    lengths = set()
    for seed in SEEDS:
        twins = Twins(seed)
        _favour_the_end(twins)
        found = _decoded(twins, twins.batch(), 12, 5, 1.0)
        lengths |= {(len(best.tokens), best.complete) for bests in found for best in bests}
    assert len(lengths) > 6
    assert {complete for _, complete in lengths} == {True, False}


def test_the_head_has_the_weights_that_it_is_given() -> None:
    twins = Twins(0)
    assert isinstance(twins.head, VocabularyHead)
    assert (twins.head.weight is twins.model.target_embedding.tokens) == twins.config.tie_embeddings
