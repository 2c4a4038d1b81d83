"""From pairs to batches to a loss: what the model reads, what it should say, and what is not counted."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from keifu.data.examples import Pair
from keifu.tasks.translation import Translation
from keifu.text import Tokenizer
from keifu.training.network import named_parameters
from tests.tiny import pairs, tiny_run

TEXTS = [text for pair in pairs(20) for text in (pair.source, pair.target)]
TASK = Translation(Tokenizer.train(TEXTS, "character", 100))
PAD, _, BOS, EOS = range(4)


def ids(text: str) -> list[int]:
    return TASK.tokenizer.encode(text)


def test_both_sides_end_with_eos_and_the_targets_are_the_inputs_moved_by_one() -> None:
    short, long = Pair("I see", "私"), Pair("You", "君は見る")
    encoded = TASK.encode([short, long])
    assert encoded.sizes.tolist() == [[6, 2], [4, 5]]
    batch = TASK.batch(encoded, encoded.rows())
    assert batch.inputs.source.tolist() == [[*ids("I see"), EOS], [*ids("You"), EOS, PAD, PAD]]
    assert batch.inputs.target.tolist() == [[BOS, *ids("私"), EOS, PAD, PAD], [BOS, *ids("君は見る")]]
    assert batch.targets.tolist() == [[*ids("私"), EOS, PAD, PAD, PAD], [*ids("君は見る"), EOS]]
    assert batch.inputs.source_mask.tolist() == [[True] * 6, [True] * 4 + [False] * 2]
    assert batch.inputs.target_mask.tolist() == [[True] * 2 + [False] * 3, [True] * 5]
    assert TASK.scored(batch) == 7


def test_a_source_begins_with_bos_where_the_model_wants_it() -> None:
    task = Translation(TASK.tokenizer, begins_source=True)
    encoded = task.encode([Pair("You", "君")])
    assert encoded.sizes.tolist() == [[5, 2]]
    inputs = task.batch(encoded, encoded.rows()).inputs
    assert inputs.source.tolist() == [[BOS, *ids("You"), EOS]]
    assert inputs.target.tolist() == [[BOS, *ids("君")]]


def test_rows_are_chosen_and_repeated_by_index() -> None:
    encoded = TASK.encode(pairs(5))
    batch = TASK.batch(encoded, np.array([3, 0, 3]))
    assert torch.equal(batch.targets[0], batch.targets[2])
    assert [row.tolist() for row in batch.targets] == [
        [*ids(pairs(5)[row].target), EOS, *[PAD] * (batch.targets.shape[1] - len(pairs(5)[row].target) - 1)]
        for row in (3, 0, 3)
    ]


def test_pairs_up_to_a_length_are_kept_whole() -> None:
    encoded = TASK.encode(pairs(20))
    limit = int(np.median(encoded.sizes.max(axis=1)))
    kept = encoded.up_to(limit)
    expected = [pair for pair in pairs(20) if max(len(pair.source), len(pair.target)) + 1 <= limit]
    assert 0 < len(kept) == len(expected) < 20
    assert [kept.targets[row].tolist() for row in range(len(kept))] == [[*ids(pair.target), EOS] for pair in expected]
    assert encoded.up_to(1000) is encoded
    assert len(encoded.up_to(1)) == 0


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_sums_over_real_tokens_alone(smoothing: float, corpus: str) -> None:
    run = tiny_run(corpus, Path("unused"), {"label_smoothing": smoothing}, model={"dropout": 0.0})
    learner = run.learner
    learner.network.double()
    batch = run.task.batch(learner.data, np.arange(12))
    mask = batch.inputs.target_mask
    assert not mask.all()
    loss = run.task.loss(learner.model, learner.head, batch)
    logits = learner.head(learner.model(batch.inputs).hidden)[mask]
    expected = F.cross_entropy(logits, batch.targets[mask], reduction="sum", label_smoothing=smoothing)
    assert loss.total.item() == pytest.approx(expected.item(), rel=1e-12)
    assert loss.surprise.item() == pytest.approx(F.cross_entropy(logits, batch.targets[mask], reduction="sum").item())
    assert loss.tokens == int(mask.sum()) == run.task.scored(batch)

    garbage = batch.inputs._replace(
        source=batch.inputs.source.masked_fill(~batch.inputs.source_mask, 7),
        target=batch.inputs.target.masked_fill(~mask, 8),
    )
    changed = batch._replace(inputs=garbage, targets=batch.targets.masked_fill(~mask, 9))
    assert run.task.loss(learner.model, learner.head, changed).total.item() == loss.total.item()


def test_the_head_shares_the_models_embedding_where_the_model_ties_them(corpus: str) -> None:
    for tied in (True, False):
        learner = tiny_run(corpus, Path("unused"), model={"tie_embeddings": tied}).learner
        assert (learner.head.weight is learner.model.target_embedding.tokens) == tied
        names = [name for name, _ in named_parameters(learner.model, learner.head)]
        assert ("head.weight" in names) != tied
        assert len(names) == len(set(names))
