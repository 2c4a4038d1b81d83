"""bert-seq2seq against two BertModels of transformers, of which one reads the other's output and ends with the layer
before BERT's scores, with the same weights.
"""

import random

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import BertConfig, BertModel
from transformers.models.bert.modeling_bert import BertPredictionHeadTransform

from keifu.interface import PairBatch
from keifu.models.bert_seq2seq import BertSeq2Seq, Config
from keifu.tasks.translation import Batch, Translation
from keifu.text import READING_TOKENS
from tests.properties.cases import CONFIGURATIONS, letters, scatter

SEEDS = range(min(CONFIGURATIONS, 20))
TOLERANCE = 1e-5


def _settings(config: Config, decoder: bool) -> BertConfig:
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
        is_decoder=decoder,
        add_cross_attention=decoder,
    )


def _renamed(name: str) -> str:
    """Our parameter's name in the reference, whose sides are called encoder and decoder."""
    if name == "head.weight":
        return "scores.weight"
    name = name.removeprefix("model.")
    for ours, theirs in (
        ("encoder.embedding.", "encoder.embeddings."),
        ("target_embedding.", "decoder.embeddings."),
        ("embeddings.tokens", "embeddings.word_embeddings.weight"),
        ("embeddings.segments", "embeddings.token_type_embeddings.weight"),
        ("embeddings.position.", "embeddings.position_embeddings."),
        ("embeddings.norm.", "embeddings.LayerNorm."),
        ("encoder.blocks.", "encoder.encoder.layer."),
        (".self_attention", ".attention"),
        (".cross_attention", ".crossattention"),
        ("attention_norm.", "attention.output.LayerNorm."),
        ("attention.output.weight", "attention.output.dense.weight"),
        ("attention.output.bias", "attention.output.dense.bias"),
        ("attention.query.", "attention.self.query."),
        ("attention.key.", "attention.self.key."),
        ("attention.value.", "attention.self.value."),
        (".feedforward.expand.", ".intermediate.dense."),
        (".feedforward.contract.", ".output.dense."),
        (".feedforward_norm.", ".output.LayerNorm."),
    ):
        name = name.replace(ours, theirs)
    if name.startswith(("transform.", "norm.")):
        return name.replace("transform.", "last.dense.").replace("norm.", "last.LayerNorm.")
    first, _, rest = name.partition(".")
    return f"decoder.encoder.layer.{rest}" if first == "decoder" and rest[0].isdigit() else name


@pytest.mark.parametrize("seed", SEEDS)
def test_scores_loss_and_gradients_equal_the_reference(seed: int) -> None:
    rng = random.Random(seed)
    n_heads = rng.choice([1, 2, 3])
    config = Config(
        vocab_size=rng.randint(16, 40), max_length=32, d_model=n_heads * rng.choice([4, 6, 8]), dropout=0.0,
        n_layers=rng.randint(1, 3), n_heads=n_heads, d_ff=rng.randint(4, 40), tie_embeddings=rng.random() < 0.6,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = BertSeq2Seq(config)
    task = Translation.for_model(model, letters(config.vocab_size or 0, READING_TOKENS))
    ours = nn.ModuleDict({"model": model, "head": task.head(model)})
    scatter(ours, seed)
    sides = nn.ModuleDict(
        {
            "encoder": BertModel(_settings(config, False), add_pooling_layer=False),
            "decoder": BertModel(_settings(config, True), add_pooling_layer=False),
            "last": BertPredictionHeadTransform(_settings(config, True)),
            "scores": nn.Linear(config.d_model, config.vocab_size or 0, bias=False),
        }
    ).eval()
    if config.tie_embeddings:
        shared = sides["encoder"].embeddings.word_embeddings
        sides["decoder"].embeddings.word_embeddings, sides["scores"].weight = shared, shared.weight
    theirs = dict(sides.named_parameters())
    pairs = [(name, weight, theirs.pop(_renamed(name))) for name, weight in ours.named_parameters()]
    assert not theirs
    with torch.no_grad():
        for _, weight, other in pairs:
            other.copy_(weight)

    # Not 0, whose vector the reference takes for padding and does not train.
    source, target, following = (torch.randint(1, config.vocab_size or 0, (4, length)) for length in (7, 5, 5))
    source_mask = torch.arange(7) < torch.tensor([7, 3, 1, 5])[:, None]
    target_mask = torch.arange(5) < torch.tensor([2, 5, 4, 1])[:, None]
    batch = Batch(PairBatch(source, source_mask, target, target_mask), following, target_mask)
    scores = ours["head"](model(batch.inputs).hidden[target_mask])
    memory = sides["encoder"](input_ids=source, attention_mask=source_mask.long()).last_hidden_state
    read = sides["decoder"](
        input_ids=target,
        attention_mask=target_mask.long(),
        encoder_hidden_states=memory,
        encoder_attention_mask=source_mask.long(),
    ).last_hidden_state
    expected = sides["scores"](sides["last"](read)[target_mask])
    torch.testing.assert_close(scores, expected, rtol=TOLERANCE, atol=TOLERANCE)
    loss = task.loss(model, ours["head"], batch)
    wanted = F.cross_entropy(expected, following[target_mask])
    torch.testing.assert_close(loss.total / loss.tokens, wanted, rtol=TOLERANCE, atol=TOLERANCE)
    (loss.total / loss.tokens).backward()
    wanted.backward()
    for name, weight, other in pairs:
        assert weight.grad is not None, name
        assert other.grad is not None, name
        torch.testing.assert_close(
            weight.grad, other.grad, rtol=TOLERANCE, atol=TOLERANCE, msg=lambda text, name=name: f"{name}: {text}"
        )
