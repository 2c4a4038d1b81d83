"""The vision Transformer against transformers' ViT: the same weights give the same vectors and gradients."""

import random
from typing import Any

import pytest
import torch
from transformers import ViTConfig, ViTModel

from keifu.interface import ImageBatch
from keifu.models import vit
from keifu.training.network import make_model
from tests.properties.cases import CONFIGURATIONS, scatter

COUNT = 20 if CONFIGURATIONS > 3 else 3


def theirs(model: Any) -> ViTModel:
    """Their model with our weights."""
    config = model.config
    settings = ViTConfig(
        hidden_size=config.d_model,
        num_hidden_layers=config.n_layers,
        num_attention_heads=config.n_heads,
        intermediate_size=config.d_ff,
        image_size=(config.height, config.width),
        patch_size=model.patch_size,
        num_channels=config.channels,
        layer_norm_eps=config.norm_eps,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        attn_implementation="eager",
    )
    other = ViTModel(settings, add_pooling_layer=False).double().eval()
    weights = other.state_dict()
    side, width = model.patch_size, config.d_model
    ours = dict(model.named_parameters())
    found = {
        "embeddings.cls_token": ours["first"].view(1, 1, width),
        "embeddings.position_embeddings": ours["position_embedding"][None],
        "embeddings.patch_embeddings.projection.weight": ours["embedding.weight"].view(
            width, config.channels, side, side
        ),
        "embeddings.patch_embeddings.projection.bias": ours["embedding.bias"],
        "layernorm.weight": ours["norm.weight"],
        "layernorm.bias": ours["norm.bias"],
    }
    names = {
        "attention.query": ("attention.attention.query", "attention.q_proj"),
        "attention.key": ("attention.attention.key", "attention.k_proj"),
        "attention.value": ("attention.attention.value", "attention.v_proj"),
        "attention.output": ("attention.output.dense", "attention.o_proj"),
        "attention_norm": ("layernorm_before",),
        "feedforward_norm": ("layernorm_after",),
        "feedforward.expand": ("intermediate.dense", "mlp.fc1"),
        "feedforward.contract": ("output.dense", "mlp.fc2"),
    }
    for layer in range(config.n_layers):
        for mine, others in names.items():
            for kind in ("weight", "bias"):
                places = [
                    f"{prefix}.{layer}.{name}.{kind}" for prefix in ("encoder.layer", "layers") for name in others
                ]
                [place] = [place for place in places if place in weights]
                found[place] = ours[f"blocks.{layer}.{mine}.{kind}"]
    assert found.keys() == weights.keys()
    other.load_state_dict({name: tensor.detach() for name, tensor in found.items()})
    return other


@pytest.mark.parametrize("seed", range(COUNT))
def test_vectors_and_gradients_are_those_of_transformers(seed: int) -> None:
    rng = random.Random(seed)
    heads, side = rng.randint(1, 3), rng.randint(1, 3)
    config = vit.Config(
        channels=rng.choice([1, 3]),
        height=side * rng.randint(1, 4),
        width=side * rng.randint(1, 4),
        patch_size=side,
        d_model=heads * rng.randint(2, 5),
        n_heads=heads,
        n_layers=rng.randint(1, 3),
        d_ff=rng.randint(1, 16),
        norm_eps=rng.choice([1e-6, 1e-3]),
    )
    model: Any = make_model(config).double().eval()
    scatter(model, seed)
    other = theirs(model)
    torch.manual_seed(seed)
    pixels = torch.randn(3, config.channels or 1, config.height or 1, config.width or 1, dtype=torch.float64)
    probe = torch.randn(config.d_model, dtype=torch.float64)
    gradients, outputs = [], []
    for run in (lambda x: model(ImageBatch(x)).hidden[:, 0], lambda x: other(pixel_values=x).last_hidden_state[:, 0]):
        leaf = pixels.clone().requires_grad_()
        outputs.append(run(leaf))
        gradients.append(torch.autograd.grad((outputs[-1] @ probe).sum(), leaf)[0])
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-6)  # theirs has a softmax in float32
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-6)  # theirs has a softmax in float32
