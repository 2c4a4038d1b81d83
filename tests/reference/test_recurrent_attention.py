"""Chains that attend to their own past against layers of torch.nn with the same weights."""

import math
import random

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from keifu.interface import TokenBatch
from keifu.models.recurrent_attention import Block, Config, RecurrentAttention
from keifu.tasks.language_modeling import LanguageModeling
from tests.properties.cases import CONFIGURATIONS, letters, scatter
from tests.torch_layers import PEERS, as_torch, candidate_gradients, recurrent_pairs

SEEDS = range(min(CONFIGURATIONS, 20))
_BOTH = ("weight", "bias")


def attention_as_torch(block: Block, width: int) -> nn.MultiheadAttention:
    ours = block.attention
    theirs = nn.MultiheadAttention(width, ours.n_heads, batch_first=True)
    with torch.no_grad():
        projections = (ours.query, ours.key, ours.value)
        theirs.in_proj_weight.copy_(torch.cat([projection.weight for projection in projections]))
        theirs.in_proj_bias.copy_(torch.cat([projection.bias for projection in projections]))
        theirs.out_proj.load_state_dict(ours.output.state_dict())
    return theirs


class Reference(nn.Module):
    """The same model as one would write it with torch.nn, for the weights of ours."""

    def __init__(self, ours: RecurrentAttention, head: Tensor) -> None:
        super().__init__()
        self.reach = ours.config.max_length
        self.embedding = nn.Embedding.from_pretrained(ours.embedding.tokens.detach().clone(), freeze=False)
        cell = ours.config.name.split("-")[0]
        self.recurrent = nn.ModuleList(as_torch(block.recurrent, cell) for block in ours.blocks)
        self.attention = nn.ModuleList(attention_as_torch(block, ours.d_output) for block in ours.blocks)
        self.output = nn.Linear(ours.d_output, len(head), bias=False)
        with torch.no_grad():
            self.output.weight.copy_(head)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens) * math.sqrt(self.embedding.embedding_dim)
        place = torch.arange(tokens.shape[1])
        behind = place[:, None] - place[None, :]
        hidden_from = (behind < 0) | (behind >= self.reach)
        for recurrent, attention in zip(self.recurrent, self.attention, strict=True):
            h = recurrent(x)[0]
            x = h + attention(h, h, h, attn_mask=hidden_from, need_weights=False)[0]
        logits: Tensor = self.output(x)
        return logits


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("cell", PEERS)
def test_scores_loss_and_gradients_are_those_of_torch(cell: str, seed: int) -> None:
    rng = random.Random(seed)
    n_heads = rng.randint(1, 3)
    config = Config(
        name=f"{cell}-attention",
        vocab_size=rng.randint(12, 40),
        max_length=rng.choice([5, 64]),
        d_model=n_heads * rng.randint(2, 6),
        n_layers=rng.randint(1, 3),
        n_heads=n_heads,
        tie_embeddings=False,
    )
    torch.manual_seed(seed)
    model = RecurrentAttention(config).eval()
    scatter(model, seed)
    head = LanguageModeling(letters(config.vocab_size or 0)).head(model)
    reference = Reference(model, head.weight)
    tokens = torch.randint(config.vocab_size or 0, (4, 20))
    hidden = model(TokenBatch(tokens[:, :-1], torch.ones(4, 19, dtype=torch.bool))).hidden
    logits = reference(tokens[:, :-1])
    torch.testing.assert_close(head(hidden), logits, rtol=0, atol=1e-5)
    targets = tokens[:, 1:].flatten()
    loss = head.cross_entropy(hidden.flatten(0, 1), targets, 0.0)[0] / len(targets)
    expected = F.cross_entropy(logits.flatten(0, 1), targets)
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-5)
    loss.backward()
    expected.backward()
    pairs = [(model.embedding.tokens, reference.embedding.weight), (head.weight, reference.output.weight)]
    for block, recurrent, attention in zip(model.blocks, reference.recurrent, reference.attention, strict=True):
        pairs += recurrent_pairs(block.recurrent, recurrent)
        pairs += [(getattr(block.attention.output, name), getattr(attention.out_proj, name)) for name in _BOTH]
        projections = (block.attention.query, block.attention.key, block.attention.value)
        for name in _BOTH:
            together = getattr(attention, f"in_proj_{name}").grad
            for ours, theirs in zip(projections, together.chunk(3), strict=True):
                torch.testing.assert_close(getattr(ours, name).grad, theirs, rtol=0, atol=1e-5)
    gradients = [(ours.grad, theirs.grad) for ours, theirs in pairs]
    for block, recurrent in zip(model.blocks, reference.recurrent, strict=True):
        gradients += candidate_gradients(block.recurrent, recurrent)
    for ours, theirs in gradients:
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("reach", [5, 64])
@pytest.mark.parametrize("cell", PEERS)
def test_a_long_text_is_read_part_by_part_to_the_same(cell: str, reach: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = RecurrentAttention(Config(name=f"{cell}-attention", vocab_size=20, max_length=reach, d_model=8)).eval()
    scatter(model, 0)
    lengths = torch.tensor([50, 13, 31, 1])
    tokens, mask = torch.randint(20, (4, 50)), torch.arange(50) < lengths[:, None]
    whole, after = model.step(tokens, model.start(4), mask)
    monkeypatch.setattr("keifu.models.recurrent_attention._TOGETHER", 7)
    parts, later = model.step(tokens, model.start(4), mask)
    torch.testing.assert_close(parts[mask], whole[mask], rtol=0, atol=1e-6)
    following = torch.randint(20, (4, 3))
    torch.testing.assert_close(model.step(following, later)[0], model.step(following, after)[0], rtol=0, atol=1e-6)
