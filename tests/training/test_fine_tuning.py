"""Beginning a task with a model that was pre-trained for another: what is taken, what is new, what stays as it is."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from keifu.checkpoint import load_model_files
from keifu.config import merge
from keifu.errors import ConfigError
from keifu.session import load
from keifu.training.network import named_parameters
from keifu.training.optimiser import make_optimizers, set_learning_rate
from keifu.training.run import Run
from keifu.training.settings import Training
from keifu.training.start import prepare, resume
from tests.small_reading import SMALL, TEXTS, reading_run
from tests.small_text import language_run, running, write_text
from tests.tiny import pairs, weights, write

LAYERS = {"n_layers": 3}


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT that has learned a little from text without classes, in whose vocabulary all of the other texts are."""
    folder = tmp_path_factory.mktemp("pretrained")
    text = TEXTS["masked-lm"](40) + "".join(f"\n{pair.source}\n{pair.target}\n" for pair in pairs(40))
    spec = write_text(folder / "a.txt", text)
    run = reading_run("masked-lm", spec, folder / "run", {"max_steps": 3, "evaluate_every": 3}, model=LAYERS)
    list(run.events())
    return folder / "run"


def begun(task: str, spec: str, init: Path, out: Path, model: str | None = None, **training: Any) -> Run:
    training = {"max_steps": 4, "evaluate_every": 2, "batch_tokens": 300, "device": "cpu", **training}
    return prepare(task, spec, model, out=out, init=str(init), overrides={"training": training})


def tensors_of(run: Run) -> dict[str, Tensor]:
    return {
        name: parameter.detach().clone() for name, parameter in named_parameters(run.learner.model, run.learner.head)
    }


@pytest.mark.parametrize("task", ["classification", "tagging"])
def test_the_encoder_its_tokenizer_and_heads_that_fit_are_taken(task: str, pretrained: Path, tmp_path: Path) -> None:
    spec = write_text(tmp_path / "a.txt", TEXTS[task](40))
    run = begun(task, spec, pretrained, tmp_path / "run")
    _, theirs, _ = load_model_files(pretrained / "best")
    for name, tensor in tensors_of(run).items():
        taken = name.startswith("model.") or name.startswith("head.pooler.")
        assert taken == (name in theirs and torch.equal(theirs[name], tensor)), name
    assert run.task.tokenizer.to_json() == load(pretrained, "cpu").tokenizer.to_json()
    assert run.settings.model.n_layers == 3
    assert run.beginning.startswith("taken: model.embedding, model.blocks")
    assert run.beginning.endswith("; new: head.classes")
    assert ("head.pooler" in run.beginning) == (task == "classification")


def test_both_sides_of_a_translator_begin_with_bert(
    pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun("translation", write(tmp_path, pairs(40)), pretrained, tmp_path / "run", evaluate_on=4)
    assert run.settings.model.name == "bert-seq2seq"
    _, theirs, _ = load_model_files(pretrained / "best")
    ours = tensors_of(run)
    for layer in range(3):
        for part in ("query.weight", "output.bias"):
            expected = theirs[f"model.blocks.{layer}.attention.{part}"]
            assert torch.equal(ours[f"model.encoder.blocks.{layer}.attention.{part}"], expected)
            assert torch.equal(ours[f"model.decoder.{layer}.self_attention.{part}"], expected)
        for part in ("attention_norm.weight", "feedforward.expand.weight", "feedforward_norm.bias"):
            expected = theirs[f"model.blocks.{layer}.{part}"]
            assert torch.equal(ours[f"model.encoder.blocks.{layer}.{part}"], expected)
            ours_is_called = part.replace("attention_norm", "self_attention_norm")
            assert torch.equal(ours[f"model.decoder.{layer}.{ours_is_called}"], expected)
    for name in ("transform.weight", "transform.bias", "norm.weight", "norm.bias"):
        assert torch.equal(ours[f"model.{name}"], theirs[f"head.masked.{name}"])
    for name in ("position.weight", "segments", "norm.weight"):
        assert torch.equal(ours[f"model.target_embedding.{name}"], theirs[f"model.embedding.{name}"])
    words, learned = ours["model.encoder.embedding.tokens"], theirs["model.embedding.tokens"]
    assert torch.equal(words[[2, 3]], learned[[4, 5]])  # a text begins and ends
    assert torch.equal(words[4:], learned[4:])
    assert run.settings.data.tokenizer == "wordpiece"
    assert run.beginning.endswith("; new: model.decoder")
    list(run.events())
    model = load(tmp_path / "run", "cpu")
    assert isinstance(model.translate("I see cats.", beam=2), str)
    read, start = [], model.network.start
    monkeypatch.setattr(model.network, "start", lambda source, *more: read.append(source[0]) or start(source, *more))
    model.translate("I see cats.")
    assert [model.tokenizer.token(int(index)) for index in read[0]] == model.trace("I see cats.").sequences["source"]
    assert (read[0][0], read[0][-1]) == (model.tokenizer.bos_id, model.tokenizer.eos_id)


def test_what_stands_above_a_decoder_is_new_where_bert_was_not_taught_masked_tokens(tmp_path: Path) -> None:
    spec = write_text(tmp_path / "a.txt", TEXTS["masked-lm"](40))
    bert = reading_run("masked-lm", spec, tmp_path / "bert", {"max_steps": 1, "masked": False})
    list(bert.events())
    run = begun("translation", write(tmp_path, pairs(40)), tmp_path / "bert", tmp_path / "run", evaluate_on=4)
    assert run.beginning.endswith("; new: model.decoder, model.transform, model.norm")


def test_a_classifier_begins_with_another_ones_classes_only_where_they_are_the_same(
    pretrained: Path, tmp_path: Path
) -> None:
    spec = write_text(tmp_path / "a.txt", TEXTS["classification"](40))
    first = begun("classification", spec, pretrained, tmp_path / "first")
    list(first.events())
    again = begun("classification", spec, tmp_path / "first", tmp_path / "again")
    assert again.beginning.endswith("new: nothing")
    other = write_text(tmp_path / "b.txt", TEXTS["classification"](40).replace("\tsea", "\tocean"))
    assert begun("classification", other, tmp_path / "first", tmp_path / "b").beginning.endswith("new: head.classes")


def test_frozen_layers_stay_and_the_others_learn(pretrained: Path, tmp_path: Path) -> None:
    spec = write_text(tmp_path / "a.txt", TEXTS["classification"](40))
    run = begun("classification", spec, pretrained, tmp_path / "run", frozen_layers=2)
    before = tensors_of(run)
    list(run.events())
    for name, tensor in tensors_of(run).items():
        stays = "embedding" in name or name.startswith(("model.blocks.0.", "model.blocks.1."))
        assert torch.equal(tensor, before[name]) == stays, name
    with pytest.raises(ConfigError, match="frozen_layers: 4, but the model has 3 layers; give 3 at most"):
        begun("classification", spec, pretrained, tmp_path / "more", frozen_layers=4)


def test_places_that_the_pre_training_did_not_reach_are_named(tmp_path: Path) -> None:
    text = write_text(tmp_path / "book.txt", TEXTS["masked-lm"](40))
    bert = prepare("masked-lm", text, out=tmp_path / "bert", overrides=merge(SMALL, {"data": {"max_tokens": 10}}))
    list(bert.events(should_stop=lambda: bert.learner.step == 1))
    note = "rows have up to 60 tokens, and it has read 10 at most"
    for words, expected in ((58, True), (4, False)):
        lines = f"{' '.join(['boat'] * words)}\tsea\n{' '.join(['cow'] * 4)}\tfarm\n" * 20
        spec = write_text(tmp_path / f"{words}.tsv", lines)
        run = begun("classification", spec, tmp_path / "bert", tmp_path / str(words))
        assert (note in run.beginning) == expected, run.beginning


def test_a_model_of_which_all_is_frozen_is_refused(tmp_path: Path) -> None:
    """The head of a language model may be its embedding, which is frozen with the lowest layer."""
    spec = write_text(tmp_path / "a.txt", "I see cats.\n" * 60)
    list(language_run(spec, tmp_path / "first", {"max_steps": 2}).events())
    with pytest.raises(ConfigError, match=r"^training\.frozen_layers: 1 leave nothing to learn; give fewer$"):
        begun("language-modeling", spec, tmp_path / "first", tmp_path / "run", frozen_layers=1)


def test_a_fine_tuning_with_frozen_and_slower_layers_goes_on_exactly(pretrained: Path, tmp_path: Path) -> None:
    spec = write_text(tmp_path / "a.txt", TEXTS["tagging"](40))
    options = {"frozen_layers": 1, "layer_decay": 0.7}
    whole = begun("tagging", spec, pretrained, tmp_path / "whole", **options)
    list(whole.events())
    run = begun("tagging", spec, pretrained, tmp_path / "run", **options)
    list(run.events(should_stop=lambda: run.learner.step == 3))
    again = resume(tmp_path / "run")
    list(again.events())
    assert weights(again) == weights(whole)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_every_layer_learns_at_a_share_of_the_rate_of_the_one_above(
    optimizer: Any, pretrained: Path, tmp_path: Path
) -> None:
    spec = write_text(tmp_path / "a.txt", TEXTS["classification"](40))
    learner = begun("classification", spec, pretrained, tmp_path / "run").learner
    named = named_parameters(learner.model, learner.head)
    rates = {}
    for decay in (1.0, 0.5):
        optimizers = make_optimizers(named, Training(optimizer=optimizer, layer_decay=decay), 1.0, torch.float32)
        set_learning_rate(optimizers, 1.0)
        of = {id(p): group["lr"] for each in optimizers for group in each.param_groups for p in group["params"]}
        rates[decay] = {name: of[id(parameter)] for name, parameter in named}
    for name, rate in rates[1.0].items():
        depth = 0 if "embedding" in name else 4 if name.startswith("head") else int(name.split(".")[2]) + 1
        assert rates[0.5][name] == pytest.approx(rate * 0.5 ** (4 - depth)), name


def test_a_decoder_learns_at_the_whole_rate(pretrained: Path, tmp_path: Path) -> None:
    learner = begun("translation", write(tmp_path, pairs(40)), pretrained, tmp_path / "run", evaluate_on=4).learner
    named = named_parameters(learner.model, learner.head)
    [optimizer] = make_optimizers(named, Training(optimizer="adamw", layer_decay=0.5), 1.0, torch.float32)
    set_learning_rate([optimizer], 1.0)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in named:
        encoder = name.startswith("model.encoder.blocks.")
        depth = 0 if "embedding" in name else int(name.split(".")[3]) + 1 if encoder else 4
        assert rates[id(parameter)] == pytest.approx(0.5 ** (4 - depth)), name


def test_what_cannot_begin_is_refused(pretrained: Path, tmp_path: Path) -> None:
    spec = write_text(tmp_path / "a.txt", TEXTS["classification"](40))
    with pytest.raises(ConfigError, match="is a bert; a lstm can begin with a lstm; choose another --model"):
        begun("classification", spec, pretrained, tmp_path / "run", "lstm")
    with pytest.raises(ConfigError, match="model bert cannot do language-modeling"):
        begun("language-modeling", spec, pretrained, tmp_path / "run")
    language = language_run(write_text(tmp_path / "b.txt", running(40)), tmp_path / "lm", {"max_steps": 1})
    list(language.events())
    with pytest.raises(ConfigError, match=r"its tokenizer has no \[CLS\], \[SEP\], \[MASK\], which this task needs"):
        begun("classification", spec, tmp_path / "lm", tmp_path / "run")
