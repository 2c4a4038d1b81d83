"""The vector with which reading ends, of models that read both ways: that of a state each way, not of one token."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from keifu.errors import ConfigError
from keifu.interface import TokenBatch
from keifu.session import Model, load
from keifu.training.start import prepare
from tests.small_reading import TEXTS, reading_run
from tests.small_stories import story_run, write_stories
from tests.tiny import pairs, write

SIZES = {"d_model": 12, "n_layers": 1, "direction": "bidirectional"}
TRAINING = {"max_steps": 2, "device": "cpu", "precision": "fp32"}


def translator(folder: Path) -> Model:
    overrides = {"model": SIZES, "data": {"tokenizer": "character"}, "training": TRAINING}
    run = prepare("translation", write(folder, pairs(20)), "gru-seq2seq", out=folder / "run", overrides=overrides)
    return ended(run)


def classifier(folder: Path) -> Model:
    (folder / "a.tsv").write_text(TEXTS["classification"](40), "utf-8")
    return ended(reading_run("classification", str(folder / "a.tsv"), folder / "run", TRAINING, "lstm", model=SIZES))


def answerer(folder: Path) -> Model:
    return ended(story_run(write_stories(folder, 30), folder / "run", TRAINING, "gru", model=SIZES))


def ended(run: Any) -> Model:
    list(run.events())
    return load(run.folder.path, "cpu")


def halves(model: Model, text: str) -> tuple[Tensor, Tensor]:
    return model.embed(text, pool="last").chunk(2)  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize(
    ("make", "texts"),
    [
        (translator, ("I see dogs.", "I see cats.", "We see dogs.")),
        (classifier, ("the boat", "the cow", "and the boat")),
        (answerer, ("Where is Mary", "Where is John", "the is Mary")),
    ],
)
def test_both_halves_know_the_whole_text(make: Any, texts: tuple[str, str, str], tmp_path: Path) -> None:
    model = make(tmp_path)
    whole, other_end, other_beginning = (halves(model, text) for text in texts)
    for changed in (other_end, other_beginning):
        for half, another in zip(whole, changed, strict=True):
            assert (half - another).abs().max() > 1e-4


def test_a_model_that_learned_nothing_of_cls_has_no_vector_of_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pool 'cls' is not known of lstm; expected mean or last"):
        classifier(tmp_path).embed("the boat", pool="cls")  # type: ignore[attr-defined]


def test_a_translators_vector_is_the_state_that_starts_its_writing(tmp_path: Path) -> None:
    model = translator(tmp_path)
    ids = torch.tensor([[*model.tokenizer.encode("I see dogs."), model.tokenizer.eos_id]])
    with torch.no_grad():
        state = model.network.start(ids, torch.ones_like(ids, dtype=torch.bool))
    torch.testing.assert_close(
        torch.cat(halves(model, "I see dogs.")), state.layers[-1][0].flatten(), atol=1e-6, rtol=0
    )


def test_the_first_vector_of_a_bert_that_answers_sums_a_text_up(tmp_path: Path) -> None:
    sizes = {"d_model": 12, "n_layers": 1, "n_heads": 2}
    model: Any = ended(story_run(write_stories(tmp_path, 30), tmp_path / "run", TRAINING, "bert", model=sizes))
    tokenizer = model.tokenizer
    tokens = torch.tensor([[tokenizer.cls_id, *tokenizer.encode("where is mary"), tokenizer.sep_id]])
    with torch.no_grad():
        hidden = model.network(TokenBatch(tokens, torch.ones_like(tokens, dtype=torch.bool))).hidden[0]
    for pool, expected in (("cls", hidden[0]), ("mean", hidden.mean(0)), ("last", hidden[-1])):
        torch.testing.assert_close(model.embed("Where is Mary?", pool=pool), expected)
    with pytest.raises(ConfigError, match=r"^pool 'first' is not known; expected cls, last or mean"):
        model.embed("Where is Mary?", pool="first")
