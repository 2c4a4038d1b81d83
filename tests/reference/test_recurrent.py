"""The recurrent language models against torch.nn's RNN, LSTM and GRU, with the same weights."""

import math
import random

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from keifu.interface import TokenBatch
from keifu.models.recurrent import Config, RecurrentNetwork
from keifu.tasks.language_modeling import LanguageModeling
from tests.properties.cases import CONFIGURATIONS, letters, scatter
from tests.torch_layers import PEERS, as_torch, candidate_gradients, recurrent_pairs

SEEDS = range(min(CONFIGURATIONS, 20))


class Reference(nn.Module):
    """Zaremba et al. 2014 as one would write it with torch.nn, for the weights of ours."""

    def __init__(self, ours: RecurrentNetwork, head: Tensor) -> None:
        super().__init__()
        config, width = ours.config, ours.d_output
        self.embedding = nn.Embedding.from_pretrained(ours.embedding.tokens.detach().clone(), freeze=False)
        self.recurrent = as_torch(ours.recurrent, config.name)
        self.output = nn.Linear(width, len(head), bias=False)
        with torch.no_grad():
            self.output.weight.copy_(head)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens) * math.sqrt(self.embedding.embedding_dim)
        logits: Tensor = self.output(self.recurrent(x)[0])
        return logits


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", PEERS)
def test_scores_loss_and_gradients_are_those_of_torch(name: str, seed: int) -> None:
    rng = random.Random(seed)
    width = rng.randint(3, 20)
    config = Config(
        name=name,
        vocab_size=rng.randint(12, 40),
        d_model=rng.randint(3, 20),
        d_hidden=width,
        n_layers=rng.randint(1, 3),
        tie_embeddings=False,
    )
    torch.manual_seed(seed)
    model = RecurrentNetwork(config).eval()
    scatter(model, seed)
    head = LanguageModeling(letters(config.vocab_size or 0)).head(model)
    reference = Reference(model, head.weight)
    tokens = torch.randint(config.vocab_size or 0, (4, 30))
    mask = torch.ones_like(tokens, dtype=torch.bool)
    hidden = model(TokenBatch(tokens[:, :-1], mask[:, 1:])).hidden
    logits = reference(tokens[:, :-1])
    torch.testing.assert_close(head(hidden), logits, rtol=0, atol=1e-5)
    targets = tokens[:, 1:].flatten()
    loss = head.cross_entropy(hidden.flatten(0, 1), targets, 0.0)[0] / len(targets)
    expected = F.cross_entropy(logits.flatten(0, 1), targets)
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-5)
    loss.backward()
    expected.backward()
    pairs = [(model.embedding.tokens, reference.embedding.weight), (head.weight, reference.output.weight)]
    pairs += recurrent_pairs(model.recurrent, reference.recurrent)
    gradients = [(ours.grad, theirs.grad) for ours, theirs in pairs]
    for ours, theirs in gradients + candidate_gradients(model.recurrent, reference.recurrent):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
