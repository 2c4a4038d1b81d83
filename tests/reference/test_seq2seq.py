"""Sequence to sequence against the same written with torch.nn, with the same weights."""

import math
import random

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from keifu.interface import PairBatch
from keifu.models import seq2seq, seq2seq_attention
from keifu.tasks.translation import Translation
from keifu.training.network import make_model
from tests.properties.cases import CONFIGURATIONS, letters, scatter
from tests.torch_layers import PEERS, as_torch, candidate_gradients, recurrent_pairs

SEEDS = range(min(CONFIGURATIONS, 20))


class Reference(nn.Module):
    """Sutskever et al. 2014 and Luong et al. 2015, equations 5 to 8, or Bahdanau's likeness."""

    def __init__(self, ours: nn.Module, head: Tensor) -> None:
        super().__init__()
        self.config, self.cell = ours.config, ours.config.name.split("-")[0]
        both = self.config.direction == "bidirectional"
        self.encoder = as_torch(ours.encoder.recurrent, self.cell, both)
        self.decoder = as_torch(ours.decoder, self.cell)
        self.source = nn.Parameter(ours.source_embedding.tokens.detach().clone())
        self.target = nn.Parameter(ours.target_embedding.tokens.detach().clone())
        self.head = nn.Parameter(head.detach().clone())
        attention = getattr(ours, "cross_attention", None)
        self.attention = {name: _copy(weight) for name, weight in attention.named_parameters()} if attention else {}
        if attention:
            self.beside = [_copy(weight) for weight in (ours.beside.weight, ours.beside.bias)]

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        scale = math.sqrt(self.config.d_model)
        memory, last = self.encoder(F.embedding(source, self.source) * scale)
        parts = [_side_by_side(part, self.config.n_layers) for part in (last if self.cell == "lstm" else (last,))]
        x = F.embedding(target, self.target) * scale
        fed = torch.zeros(len(source), self.config.d_model)
        steps = []
        for t in range(target.shape[1]):
            given = torch.cat([x[:, t], fed], -1) if getattr(self.config, "input_feeding", False) else x[:, t]
            hidden, after = self.decoder(given[:, None], tuple(parts) if self.cell == "lstm" else parts[0])
            parts = list(after) if self.cell == "lstm" else [after]
            fed = self.attend(hidden[:, 0], memory) if self.attention else hidden[:, 0]
            steps.append(fed)
        return torch.stack(steps, 1) @ self.head.T

    def attend(self, h: Tensor, memory: Tensor) -> Tensor:
        w = self.attention
        if "likeness" in w:
            asked = F.linear(h, w["query.weight"], w["query.bias"])
            scores = torch.einsum("bsd,d->bs", (asked[:, None] + memory @ w["key.weight"].T).tanh(), w["likeness"])
        else:
            keys = memory @ w["key.weight"].T if "key.weight" in w else memory
            scores = torch.einsum("bd,bsd->bs", h, keys) / math.sqrt(h.shape[-1])
        context = torch.einsum("bs,bsd->bd", scores.softmax(-1), memory)
        return (context @ w["output.weight"].T + F.linear(h, *self.beside)).tanh()


def _copy(weight: Tensor) -> Tensor:
    return weight.detach().clone().requires_grad_()


def _side_by_side(last: Tensor, layers: int) -> Tensor:
    """torch's `[L R, B, N]` as `[L, B, R N]`."""
    return last.unflatten(0, (layers, -1)).transpose(1, 2).flatten(2).contiguous()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("cell", PEERS)
@pytest.mark.parametrize("attends", [False, True], ids=["plain", "attention"])
def test_scores_loss_and_gradients_are_those_of_torch(cell: str, attends: bool, seed: int) -> None:
    rng = random.Random(f"{cell} {attends} {seed}")
    module = seq2seq_attention if attends else seq2seq
    name = f"{cell}-seq2seq{'-attention' if attends else ''}"
    own = {"attention": rng.choice(["dot", "general", "additive"]), "input_feeding": rng.random() < 0.5}
    config = module.Config(
        name=name,
        vocab_size=rng.randint(12, 40),
        d_model=2 * rng.randint(2, 9),
        n_layers=rng.randint(1, 3),
        direction=rng.choice(["forward", "bidirectional"]),
        tie_embeddings=False,
        **(own if attends else {}),
    )
    torch.manual_seed(seed)
    model = make_model(config).eval()
    scatter(model, seed)
    head = Translation(letters(config.vocab_size or 0)).head(model)
    reference = Reference(model, head.weight)
    source, tokens = (torch.randint(config.vocab_size or 0, (3, length)) for length in (7, 6))
    masks = [torch.ones_like(each, dtype=torch.bool) for each in (source, tokens[:, 1:])]
    hidden = model(PairBatch(source, masks[0], tokens[:, :-1], masks[1])).hidden
    logits = reference(source, tokens[:, :-1])
    torch.testing.assert_close(head(hidden), logits, rtol=0, atol=1e-5)
    targets = tokens[:, 1:].flatten()
    loss = head.cross_entropy(hidden.flatten(0, 1), targets, 0.0)[0] / len(targets)
    expected = F.cross_entropy(logits.flatten(0, 1), targets)
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-5)
    loss.backward()
    expected.backward()
    pairs = [
        (model.source_embedding.tokens, reference.source),
        (model.target_embedding.tokens, reference.target),
        (head.weight, reference.head),
    ]
    sides = [(model.encoder.recurrent, reference.encoder), (model.decoder, reference.decoder)]
    for ours, theirs in sides:
        pairs += recurrent_pairs(ours, theirs)
    if attends:
        pairs += [(weight, reference.attention[name]) for name, weight in model.cross_attention.named_parameters()]
        pairs += zip((model.beside.weight, model.beside.bias), reference.beside, strict=True)
    gradients = [(ours.grad, theirs.grad) for ours, theirs in pairs]
    for ours, theirs in sides:
        gradients += candidate_gradients(ours, theirs)
    for ours, theirs in gradients:
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
