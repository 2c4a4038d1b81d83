"""BERT against BertForPreTraining of transformers, an independent implementation, with the same weights."""

import random
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import BertConfig, BertForPreTraining, BertForSequenceClassification, BertForTokenClassification

from keifu.data.examples import LabelledText, TaggedSentence
from keifu.models.bert import Bert, Config
from keifu.tasks.classification import Classification
from keifu.tasks.masked_lm import ALONE, Batch, MaskedLanguageModeling
from keifu.tasks.tagging import Tagging
from keifu.text import READING_TOKENS
from tests.properties.cases import CONFIGURATIONS, letters, scatter

SEEDS = range(min(CONFIGURATIONS, 20))
TOLERANCE = 1e-5


class Twins:
    """One random configuration, twice: ours, and the reference with our weights copied into it."""

    def __init__(self, seed: int) -> None:
        self.config = _config(seed)
        torch.manual_seed(seed)
        self.model = Bert(self.config)
        tokenizer = letters(self.config.vocab_size or 0, READING_TOKENS)
        self.task = MaskedLanguageModeling(tokenizer, next_sentence=True, pair_weight=3.0)
        self.head = self.task.head(self.model)
        ours = nn.ModuleDict({"model": self.model, "head": self.head})
        scatter(ours, seed)
        self.reference = BertForPreTraining(_settings(self.config)).eval()
        self.pairs = _copied(ours, self.reference, self.config.tie_embeddings)

    def batch(self, count: int = 6) -> Batch:
        texts = [["abc", "bcdefa", "d"], ["efg", "ghi", "bb"], ["agfedcba", "c"]]
        data = self.task.encode([[*each, *each] for each in texts], 20)
        return self.task.batch(data, np.arange(count), seed=1)

    def theirs(self, batch: Batch) -> Any:
        inputs = batch.inputs
        return self.reference(
            input_ids=inputs.tokens, attention_mask=inputs.mask.long(), token_type_ids=inputs.segments
        )


def _config(seed: int) -> Config:
    rng = random.Random(seed)
    n_heads = rng.choice([1, 2, 3, 4])
    return Config(
        vocab_size=rng.randint(16, 40),
        max_length=64,
        d_model=n_heads * rng.choice([4, 6, 8]),
        n_layers=rng.randint(1, 3),
        n_heads=n_heads,
        d_ff=rng.randint(4, 40),
        dropout=0.0,
        tie_embeddings=rng.random() < 0.6,
    )


def _settings(config: Config, **more: Any) -> BertConfig:
    return BertConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.d_model,
        num_hidden_layers=config.n_layers,
        num_attention_heads=config.n_heads,
        intermediate_size=config.d_ff,
        max_position_embeddings=config.max_length,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        layer_norm_eps=config.norm_eps,
        tie_word_embeddings=config.tie_embeddings,
        **more,
    )


def _copied(ours: nn.Module, reference: nn.Module, tied: bool) -> list[tuple[str, Tensor, Tensor]]:
    """Every weight of ours by its name, and the reference's, which now has its values."""
    theirs = dict(reference.named_parameters())
    pairs = [(name, weight, theirs[_renamed(name, tied)]) for name, weight in ours.named_parameters()]
    with torch.no_grad():
        for _, weight, other in pairs:
            assert weight.shape == other.shape
            other.copy_(weight)
    return pairs


def _renamed(name: str, tied: bool) -> str:
    """Our parameter's name in the reference."""
    bias = "bias" if tied else "decoder.bias"
    for ours, theirs in (
        ("model.embedding.tokens", "bert.embeddings.word_embeddings.weight"),
        ("model.embedding.segments", "bert.embeddings.token_type_embeddings.weight"),
        ("model.embedding.position.weight", "bert.embeddings.position_embeddings.weight"),
        ("model.embedding.norm", "bert.embeddings.LayerNorm"),
        ("model.blocks.", "bert.encoder.layer."),
        (".attention.output.", ".attention.output.dense."),
        (".attention.query.", ".attention.self.query."),
        (".attention.key.", ".attention.self.key."),
        (".attention.value.", ".attention.self.value."),
        (".attention_norm.", ".attention.output.LayerNorm."),
        (".feedforward.expand.", ".intermediate.dense."),
        (".feedforward.contract.", ".output.dense."),
        (".feedforward_norm.", ".output.LayerNorm."),
        ("head.masked.transform.", "cls.predictions.transform.dense."),
        ("head.masked.norm.", "cls.predictions.transform.LayerNorm."),
        ("head.masked.weight", "cls.predictions.decoder.weight"),  # where it is not tied
        ("head.masked.bias", f"cls.predictions.{bias}"),
        ("head.pooler.transform.", "bert.pooler.dense."),
        ("head.next_sentence.", "cls.seq_relationship."),
        ("head.classes.", "classifier."),
    ):
        name = name.replace(ours, theirs)
    return name


@pytest.mark.parametrize("seed", SEEDS)
def test_every_weight_has_a_counterpart(seed: int) -> None:
    twins = Twins(seed)
    unused = () if twins.config.tie_embeddings else ("cls.predictions.bias",)  # the decoder has its own
    theirs = {id(parameter) for name, parameter in twins.reference.named_parameters() if name not in unused}
    assert {id(parameter) for *_, parameter in twins.pairs} == theirs


def close(found: Tensor, expected: Tensor, name: str = "") -> None:
    torch.testing.assert_close(found, expected, rtol=TOLERANCE, atol=TOLERANCE, msg=lambda text: f"{name}: {text}")


@pytest.mark.parametrize("seed", SEEDS)
def test_hidden_vectors_scores_losses_and_gradients_equal_the_reference(seed: int) -> None:
    twins = Twins(seed)
    batch = twins.batch()
    real, pairs = batch.inputs.mask, batch.follows != ALONE
    theirs = twins.theirs(batch)
    hidden = twins.model(batch.inputs).hidden
    outside = twins.reference.bert(
        input_ids=batch.inputs.tokens, attention_mask=real.long(), token_type_ids=batch.inputs.segments
    )
    close(hidden[real], outside.last_hidden_state[real])
    close(twins.head.pooler(hidden[:, 0]), outside.pooler_output)  # type: ignore[misc]
    close(twins.head(hidden)[real], theirs.prediction_logits[real])
    # There 0 means that the second text follows, here 1.
    close(twins.head.follows(hidden[:, 0]), theirs.seq_relationship_logits)

    loss = twins.task.loss(twins.model, twins.head, batch)
    masked = F.cross_entropy(theirs.prediction_logits[batch.masked], batch.targets, reduction="sum")
    of_pairs = F.cross_entropy(theirs.seq_relationship_logits[pairs], batch.follows[pairs], reduction="sum")
    assert loss.tokens == len(batch.targets) == int(batch.masked.sum()) > 0
    assert int(pairs.sum()) > 0
    close(loss.surprise, masked)
    close(loss.total, masked + 3 * of_pairs)
    (loss.total / loss.tokens).backward()
    ((masked + 3 * of_pairs) / loss.tokens).backward()
    for name, ours, other in twins.pairs:
        assert ours.grad is not None, name
        assert other.grad is not None, name
        close(ours.grad, other.grad, name)


LABELS = ("x", "y", "z")
PAIRS = [LabelledText(("abc", "de"), "x"), LabelledText(("d", "efghab"), "y"), LabelledText(("bcbcbc", "a"), "z")]
WORDS = [TaggedSentence(("abc", "d", "ef"), ("x", "y", "z")), TaggedSentence(("g", "hab"), ("z", "x"))]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["classification", "tagging"])
def test_fine_tuned_heads_losses_and_gradients_equal_the_reference(name: str, seed: int) -> None:
    config = _config(seed)
    torch.manual_seed(seed)
    tokenizer = letters(config.vocab_size or 0, READING_TOKENS)
    task: Any = {"classification": Classification, "tagging": Tagging}[name](tokenizer, LABELS)
    kind = {"classification": BertForSequenceClassification, "tagging": BertForTokenClassification}[name]
    model = Bert(config)
    head = task.head(model)
    ours = nn.ModuleDict({"model": model, "head": head})
    scatter(ours, seed)
    reference: Any = kind(_settings(config, num_labels=len(LABELS), classifier_dropout=0.0)).eval()
    pairs = _copied(ours, reference, tied=True)
    assert {id(other) for *_, other in pairs} == {id(other) for other in reference.parameters()}

    examples: Any = {"classification": PAIRS, "tagging": WORDS}[name]
    batch = task.batch(task.encode(examples), np.arange(len(examples)))
    inputs = batch.inputs
    expected = reference(
        input_ids=inputs.tokens, attention_mask=inputs.mask.long(), token_type_ids=inputs.segments
    ).logits
    if batch.places is not None:
        expected = expected[batch.places[0], batch.places[1]]
    close(task.scores(model, head, batch), expected)
    loss, wanted = task.loss(model, head, batch), F.cross_entropy(expected, batch.targets)
    close(loss.total / loss.tokens, wanted)
    (loss.total / loss.tokens).backward()
    wanted.backward()
    for key, weight, other in pairs:
        assert weight.grad is not None, key
        assert other.grad is not None, key
        close(weight.grad, other.grad, key)
