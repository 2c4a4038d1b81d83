"""Pairs too many for memory give the batches, and the runs, that the same pairs in memory give."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from keifu.data import stored
from keifu.data.examples import Pair
from keifu.data.stored import StoredPairs, store
from keifu.tasks.translation import Batch, PairSequences, StoredPairSequences, Translation
from keifu.text import Tokenizer
from keifu.training import corpus as corpora
from keifu.training.corpus import load_corpus
from keifu.training.data_settings import Data
from keifu.training.start import resume
from tests.tiny import pairs, tiny_run, weights, write

PAIRS = pairs(60)
TEXTS = [text for pair in PAIRS for text in (pair.source, pair.target)]
TASK = Translation(Tokenizer.train(TEXTS, "character", 100))


def both(examples: list[Pair], task: Translation = TASK) -> tuple[PairSequences, StoredPairSequences]:
    kept, left_in_a_file = task.encode(examples), task.encode(store(examples))
    assert isinstance(kept, PairSequences)
    assert isinstance(left_in_a_file, StoredPairSequences)
    return kept, left_in_a_file


def assert_equal(one: Batch, other: Batch) -> None:
    for mine, theirs in zip((*one.inputs, one.targets), (*other.inputs, other.targets), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("around", [{}, {"begins_source": True}, {"takes": "tokens"}], ids=["pair", "begins", "stream"])
def test_lengths_are_right_where_every_token_has_as_many_bytes(around: Any) -> None:
    kept, in_file = both(PAIRS, replace(TASK, **around))
    assert (in_file.estimated, kept.estimated) == (True, False)
    assert in_file.sizes.tolist() == kept.sizes.tolist()


def test_lengths_are_near_the_truth_where_tokens_differ() -> None:
    task = Translation(Tokenizer.train(TEXTS, "bpe", 300))
    in_file, kept = task.encode(store(PAIRS)), task.encode(PAIRS)
    assert in_file.sizes.sum(axis=0) == pytest.approx(kept.sizes.sum(axis=0), rel=0.1)


def test_batches_are_those_of_the_pairs_in_memory() -> None:
    kept, in_file = both(PAIRS)
    for rows in (np.array([3, 0, 3]), np.arange(60), np.array([59])):
        assert_equal(TASK.batch(in_file, rows), TASK.batch(kept, rows))


def test_pairs_that_seem_too_long_are_left_out_and_rows_follow() -> None:
    most = 25
    kept, in_file = (sequences.up_to(most) for sequences in both(PAIRS))
    assert 0 < len(in_file) == len(kept) < 60
    assert_equal(TASK.batch(in_file, np.arange(len(kept))), TASK.batch(kept, np.arange(len(kept))))


def test_a_pair_that_turns_out_longer_is_cut_and_still_ends() -> None:
    # A token of the other targets has three bytes, so the nine bytes of this one are taken for three tokens.
    odd = Pair("I see", "abcdefghi")
    in_file = TASK.encode(store([*PAIRS, odd])).up_to(8)
    assert in_file.sizes[-1].max() <= 8
    batch = TASK.batch(in_file, np.array([len(in_file) - 1]))
    assert batch.targets.shape == (1, 8)
    assert batch.targets[0, -1] == TASK.tokenizer.eos_id


def test_shares_of_tokens_are_those_of_the_texts() -> None:
    kept, in_file = both(PAIRS)
    wanted = frozenset(TASK.tokenizer.encode("a猫"))
    assert in_file.shares_of(wanted) == pytest.approx(kept.shares_of(wanted))


def test_a_run_on_stored_pairs_is_the_run_on_pairs_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEIFU_CACHE", str(tmp_path / "cache"))
    spec = write(tmp_path, PAIRS)
    training = {"max_steps": 8, "evaluate_every": 4}
    in_memory = tiny_run(spec, tmp_path / "memory", training)
    list(in_memory.events())
    monkeypatch.setattr(stored.collect, "__defaults__", (0,))  # bytes of text that are kept in memory
    run = tiny_run(spec, tmp_path / "stored", training)
    assert isinstance(run.corpus.train.pairs, StoredPairs)
    list(run.events(should_stop=lambda: run.learner.step == 5))
    again = resume(tmp_path / "stored")
    list(again.events())
    assert weights(again) == weights(in_memory)
    assert (tmp_path / "stored" / "data.json").read_text().count('"estimated": true') == 1
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_vocabulary_is_learned_from_evenly_spread_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "_TOKENIZER_TEXTS", 10)
    monkeypatch.setattr(stored.collect, "__defaults__", (0,))
    corpus = load_corpus(Data(train=write(tmp_path, PAIRS), valid=write(tmp_path, PAIRS[:5], "valid")))
    assert corpus.texts == [text for pair in PAIRS[::6] for text in (pair.source, pair.target)]
