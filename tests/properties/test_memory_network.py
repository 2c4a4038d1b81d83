"""The memory network against the paper's equations in loops of its own, and what only it has."""

import math

import pytest
import torch
from torch import Tensor

from keifu.interface import StoryBatch
from keifu.models.memory_network import Config, MemoryNetwork
from tests.properties.cases import scatter

TYINGS = ["adjacent", "layer-wise", "none"]


def network(**config: object) -> MemoryNetwork:
    model = MemoryNetwork(Config.model_validate({"vocab_size": 9, "d_model": 6, "max_length": 8, "d_ff": 0, **config}))
    model = model.double().eval()
    scatter(model, 0)
    return model


def batch(stories: list[list[list[int]]], questions: list[list[int]]) -> StoryBatch:
    """Stories of facts of token ids; padded with tokens and facts that are there but do not count."""
    facts = [fact for story in stories for fact in story]
    words, longest, asked = (max(map(len, rows)) for rows in (facts, stories, questions))
    places, number = [], 0
    for story in stories:
        places.append([number + place for place in range(len(story))] + [0] * (longest - len(story)))
        number += len(story)

    def padded(rows: list[list[int]], length: int) -> tuple[Tensor, Tensor]:
        mask = torch.tensor([[place < len(row) for place in range(length)] for row in rows])
        return torch.tensor([row + [7] * (length - len(row)) for row in rows]), mask

    mask = torch.tensor([[place < len(story) for place in range(longest)] for story in stories])
    return StoryBatch(*padded(facts, words), torch.tensor(places), mask, *padded(questions, asked))


STORIES = [[[1, 2, 3], [4, 5], [1, 6, 3, 2]], [[8]]]
QUESTIONS = [[1, 5, 4], [8, 2]]


@pytest.mark.parametrize("tying", TYINGS)
@pytest.mark.parametrize("encoding", ["position", "bag"])
@pytest.mark.parametrize("temporal", [True, False])
@pytest.mark.parametrize("nonlinearity", ["none", "relu"])
def test_it_computes_the_papers_equations(tying: str, encoding: str, temporal: bool, nonlinearity: str) -> None:
    model = network(n_hops=3, tying=tying, encoding=encoding, temporal=temporal, nonlinearity=nonlinearity)
    tables = {name: value.tolist() for name, value in model.named_parameters()}

    def sentence(words: list[int], table: list[list[float]]) -> list[float]:
        total = [0.0] * 6
        for j, word in enumerate(words, 1):
            for k in range(1, 7):
                weight = (1 - j / len(words)) - (k / 6) * (1 - 2 * j / len(words)) if encoding == "position" else 1.0
                total[k - 1] += weight * table[word][k - 1]
        return total

    def encoded(story: list[list[int]], number: int) -> list[list[float]]:
        vectors = []
        for place, fact in enumerate(story):
            vector = sentence(fact, tables[f"embeddings.{number}.tokens"])
            if temporal:
                time = tables[f"embeddings.{number}.position.weight"][len(story) - 1 - place]
                vector = [one + other for one, other in zip(vector, time, strict=True)]
            vectors.append(vector)
        return vectors

    found = model(batch(STORIES, QUESTIONS)).hidden
    for row, (story, question) in enumerate(zip(STORIES, QUESTIONS, strict=True)):
        words = tables["embeddings.0.tokens" if tying == "adjacent" else "question_embedding.tokens"]
        u = sentence(question, words)
        for hop in range(3):
            key, value = {"adjacent": (hop, hop + 1), "layer-wise": (0, 1), "none": (2 * hop, 2 * hop + 1)}[tying]
            scores = [sum(a * b for a, b in zip(u, m, strict=True)) for m in encoded(story, key)]
            total = sum(map(math.exp, scores))
            weights = [math.exp(score) / total for score in scores]
            read = [sum(w * c[k] for w, c in zip(weights, encoded(story, value), strict=True)) for k in range(6)]
            if tying == "layer-wise":
                u = [sum(h * x for h, x in zip(line, u, strict=True)) for line in tables["carry.weight"]]
            u = [a + b for a, b in zip(u, read, strict=True)]
            u = [max(0.0, x) for x in u] if nonlinearity == "relu" else u
        torch.testing.assert_close(found[row, 0], torch.tensor(u, dtype=torch.float64), rtol=0, atol=1e-12)


def test_the_matrices_that_are_shared_are_one() -> None:
    sizes = {tying: len(list(network(n_hops=3, tying=tying).parameters())) for tying in TYINGS}
    # Words and times: of four encoders; of two, the question's words and H; of six, and the question's words.
    assert sizes == {"adjacent": 8, "layer-wise": 6, "none": 13}


@pytest.mark.parametrize("tying", TYINGS)
def test_without_time_the_facts_may_stand_in_any_order(tying: str) -> None:
    turned = [[story[place] for place in order] for story, order in zip(STORIES, ([2, 0, 1], [0]), strict=True)]
    for temporal in (False, True):
        model = network(tying=tying, temporal=temporal)
        before, after = model(batch(STORIES, QUESTIONS)).hidden, model(batch(turned, QUESTIONS)).hidden
        assert (before - after).abs().max() < 1e-12 or temporal
        assert (before[0] - after[0]).abs().max() > 1e-6 or not temporal


def test_facts_from_before_the_oldest_time_are_all_as_old() -> None:
    model, longer = network(max_length=2), network(max_length=4)
    weights = model.state_dict()
    for name, table in longer.named_parameters():  # whose older times are the oldest of the other
        with torch.no_grad():
            table.copy_(weights[name][[0, 1, 1, 1]] if name.endswith("position.weight") else weights[name])
    long = batch([[[1]], [[3], [2], [1]], [[3], [3], [2], [1]]], [[1]] * 3)
    torch.testing.assert_close(model(long).hidden, longer(long).hidden)


def test_a_story_without_facts_leaves_the_question_as_it_is() -> None:
    model = network()
    inputs = batch([[[1, 2]]], [[3]])._replace(story_mask=torch.tensor([[False]]))
    torch.testing.assert_close(
        model(inputs).hidden[:, 0], model.question_embedding(inputs.question, model._word_weights(inputs.question_mask))
    )


def test_time_has_gaps_only_while_training() -> None:
    model = network(time_noise=0.5)
    real = torch.tensor([[True] * 6 + [False] * 2] * 400)
    exact = torch.tensor([5, 4, 3, 2, 1, 0])
    assert torch.equal(model._ages(real)[0, :6], exact)
    model.train()
    torch.manual_seed(0)
    ages = model._ages(real)[:, :6]
    assert (ages[:, :-1] - ages[:, 1:]).amin() >= 0
    assert (ages >= exact).all()
    assert int(ages.max()) == 7  # the oldest that there is
    assert (ages[:, 5] == 0).all()
    gaps = (ages[:, 4] == 2).double().mean()
    assert abs(gaps - 0.5) < 0.08
    assert torch.equal(network(time_noise=0.0).train()._ages(real)[0, :6], exact)


def test_the_softmax_is_left_out_at_the_start_of_training_alone() -> None:
    model = network(linear_start=0.25, time_noise=0.0, n_hops=1, tying="adjacent", temporal=False)
    inputs = batch(STORIES, QUESTIONS)
    usual = model(inputs).hidden
    model.train()
    model.before_step(0.24)
    linear = model(inputs).hidden
    assert (linear - usual).abs().max() > 1e-3
    key, value = (
        each(inputs.facts, model._word_weights(inputs.facts_mask), inputs.story, inputs.story * 0)
        for each in model.embeddings
    )
    u = model.question_embedding(inputs.question, model._word_weights(inputs.question_mask))
    for row, count in enumerate((3, 1)):
        expected = u[row] + (key[row, :count] @ u[row]) @ value[row, :count]
        torch.testing.assert_close(linear[row, 0], expected, rtol=0, atol=1e-12)
    assert torch.equal(model.eval()(inputs).hidden, usual)
    model.train()
    model.before_step(0.25)
    assert torch.equal(model(inputs).hidden, usual)
