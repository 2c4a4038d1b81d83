"""From text to windows to a loss, and bits per character against a computation of their own."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from keifu.session import LanguageModel, load
from keifu.tasks.language_modeling import LanguageModeling
from keifu.text import READING_TOKENS, Tokenizer
from tests.small_text import language_run, running, sentences, write_text

PAD, UNK, BOS, EOS = range(4)
TOKENIZER = Tokenizer.train([running(30)], "character", 100)


def trained(reading: str, folder: Path) -> tuple[LanguageModel, str]:
    """A model after a few steps, and text that it has not seen."""
    text = running(60) if reading == "stream" else "".join(f"{line}\n" for line in sentences(60))
    words = {"tokenizer": "word"}  # so that tokens are not characters
    limits = {"max_steps": 30, "evaluate_every": 30}
    run = language_run(write_text(folder / "a.txt", text), folder / "run", limits, data=words)
    list(run.events())
    return load(folder / "run", "cpu"), running(20, seed=5)


def test_documents_end_and_streams_do_not() -> None:
    ids = TOKENIZER.encode("the cat")
    documents = LanguageModeling(TOKENIZER, "documents").encode(["the cat", "in"])
    assert documents.tokens.tolist() == [BOS, *ids, EOS, BOS, *TOKENIZER.encode("in"), EOS]
    assert documents.lengths.tolist() == [8, 3]
    stream = LanguageModeling(TOKENIZER, "stream")
    assert stream.encode(["the cat"]).tokens.tolist() == [BOS, *ids]
    assert stream.pieces("the cat", 2).tokens.tolist() == [BOS, *ids[:4], BOS, *ids[4:]]
    assert len(stream.pieces("in", 5)) == 2  # no piece is empty


def test_many_texts_are_encoded_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    task, texts = LanguageModeling(TOKENIZER, "documents"), ["the cat", "", "in", "the", "cat in the"]
    whole, blocks = task.encode(texts), []
    monkeypatch.setattr("keifu.data.token_file._DOCUMENTS", 9)
    encode_batch = TOKENIZER.encode_batch
    monkeypatch.setattr(TOKENIZER, "encode_batch", lambda some: blocks.append(list(some)) or encode_batch(some))
    found = task.encode(texts)
    assert blocks == [["the cat", "", "in"], ["the", "cat in the"]]
    assert found.tokens.tolist() == whole.tokens.tolist()
    assert found.lengths.tolist() == whole.lengths.tolist()
    assert task.encode([]).tokens.tolist() == []


def test_marks_of_a_reading_tokenizer_are_never_written() -> None:
    reading = Tokenizer.train([running(30)], "character", 100, READING_TOKENS)
    marks = {reading.cls_id, reading.sep_id, reading.mask_id}
    assert set(LanguageModeling(reading, "documents").never_written) == {PAD, UNK, BOS} | marks
    assert set(LanguageModeling(TOKENIZER, "documents").never_written) == {PAD, UNK, BOS}


def test_inputs_are_the_targets_moved_by_one_and_padding_is_masked() -> None:
    task = LanguageModeling(TOKENIZER, "documents")
    data = task.encode(["the cat", "in"])
    batch = task.batch(data, np.array([1, 0]))
    ids, short = TOKENIZER.encode("the cat"), TOKENIZER.encode("in")
    assert batch.inputs.tokens.tolist() == [[BOS, *short, *[PAD] * 5], [BOS, *ids]]
    assert batch.targets.tolist() == [[*short, EOS, *[PAD] * 5], [*ids, EOS]]
    assert batch.inputs.mask.tolist() == [[True] * 3 + [False] * 5, [True] * 8]
    assert task.scored(batch) == 11
    assert batch.begins
    assert not batch.goes_on


@torch.no_grad()
def token_by_token(model: LanguageModel, text: str, end: list[int]) -> tuple[float, int]:
    """-log p of a text's tokens, and how many they are."""
    surprise, before, state = 0.0, BOS, model.network.start(1)
    ids = [*model.tokenizer.encode(text), *end]
    for token in ids:
        hidden, state = model.network.step(torch.tensor([[before]]), state)
        surprise -= float(torch.log_softmax(hidden[0, 0] @ model.head.weight.T, -1)[token])
        before = token
    return surprise, len(ids)


@pytest.mark.parametrize("reading", ["stream", "documents"])
def test_bits_per_character_are_those_of_reading_the_text_token_by_token(reading: str, tmp_path: Path) -> None:
    model, text = trained(reading, tmp_path)
    (tmp_path / "held.txt").write_text(text, "utf-8")
    report = model.evaluate(str(tmp_path / "held.txt"))

    texts = [text] if reading == "stream" else [line for line in text.split("\n") if line]
    counted = [token_by_token(model, one, [EOS] if reading == "documents" else []) for one in texts]
    surprise, tokens = (sum(each) for each in zip(*counted, strict=True))
    characters = len(text.replace("\n\n", "\n")) if reading == "documents" else len(text)
    assert (report["tokens"], report["characters"]) == (tokens, characters)
    assert report["loss"] == pytest.approx(surprise / tokens, rel=1e-5)
    assert report["perplexity"] == pytest.approx(math.exp(surprise / tokens), rel=1e-5)
    assert report["bits_per_character"] == pytest.approx(surprise / math.log(2) / characters, rel=1e-5)


@pytest.mark.parametrize("together", [1, 3, 64])
def test_the_surprise_of_texts_is_the_same_however_many_are_read_together(
    together: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, text = trained("documents", tmp_path)
    texts = model.task.encode([*text.split("\n")[:9], text])
    expected = model.task.surprise(model.network, model.head, texts)
    monkeypatch.setattr("keifu.tasks.language_modeling._POSITIONS", 32)  # windows of few tokens
    assert model.task.surprise(model.network, model.head, texts, together=together) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("reading", ["stream", "documents"])
def test_an_evaluation_while_training_is_that_of_the_saved_model(reading: str, tmp_path: Path) -> None:
    spec = write_text(tmp_path / "a.txt", running(60))
    run = language_run(spec, tmp_path / "run", {"max_steps": 4}, data={"reading": reading})
    events = list(run.events())
    held_out = tmp_path / "held.txt"
    held_out.write_text(run.corpus.valid.text, "utf-8")
    report = load(tmp_path / "run" / "last", "cpu").evaluate(str(held_out))
    metrics = next(event.metrics for event in events[::-1] if hasattr(event, "metrics"))
    assert report["bits_per_character"] == pytest.approx(metrics["bits_per_character"], rel=1e-5)
    assert report["selected_on"]
    assert not report["trained_on"]
    whole = load(tmp_path / "run" / "last", "cpu").evaluate(spec)
    assert whole["selected_on"]
    assert whole["trained_on"]
