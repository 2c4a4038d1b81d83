"""What a model that reads was taught on goes with it: how much it reads together, and how its text was masked."""

from pathlib import Path
from typing import Any

import pytest

from keifu.errors import ConfigError, DataError
from keifu.session import train
from keifu.training.optimiser import freeze
from keifu.training.start import prepare
from tests.small_text import sentences

SMALL: dict[str, Any] = {"d_model": 16, "n_layers": 1, "n_heads": 2, "d_ff": 16}


def written(path: Path, text: str) -> str:
    path.write_text(text, "utf-8")
    return str(path)


def documents(count: int) -> str:
    lines = sentences(3 * count)
    return "\n".join(f"{a}\n{b}\n{c}\n" for a, b, c in zip(lines[::3], lines[1::3], lines[2::3], strict=True))


def test_a_classifier_is_measured_on_what_it_was_taught_to_read(tmp_path: Path) -> None:
    lines = "".join(f"{line} {line} {line}\t{'ab'[number % 2]}\n" for number, line in enumerate(sentences(40)))
    spec = written(tmp_path / "a.tsv", lines)
    overrides = {"model": SMALL, "data": {"max_tokens": 8}}
    run = train("classification", spec, "bert", valid=spec, out=tmp_path / "run", max_steps=2, overrides=overrides)
    report = run.model.evaluate(spec)
    assert report["cut"] > 20
    assert report["loss"] == pytest.approx(run.metrics["loss"], rel=1e-4)


def test_masks_are_those_of_training(tmp_path: Path) -> None:
    spec = written(tmp_path / "a.txt", documents(12))
    overrides = {"model": SMALL, "training": {"mask_share": 0.5, "next_sentence": False}}
    run = train("masked-lm", spec, "bert", valid=spec, out=tmp_path / "run", max_steps=2, overrides=overrides)
    report = run.model.evaluate(spec)
    assert report["masked_tokens"] == run.metrics["masked_tokens"]
    assert report["loss"] == pytest.approx(run.metrics["loss"], rel=1e-4)


def test_strangers_need_a_second_document_on_both_sides(tmp_path: Path) -> None:
    spec = written(tmp_path / "a.txt", documents(12))
    one = written(tmp_path / "one.txt", "".join(f"{line}\n" for line in sentences(9)) + "\n")
    overrides: dict[str, Any] = {"model": SMALL, "data": {"reading": "stream"}}
    run = prepare("masked-lm", spec, "bert", valid=one, out=tmp_path / "run", overrides=overrides)
    assert run.settings.training.next_sentence is False
    overrides["training"] = {"next_sentence": True}
    with pytest.raises(DataError, match=r"one\.txt: one document with several sentences"):
        prepare("masked-lm", spec, "bert", valid=one, out=tmp_path / "run", overrides=overrides)
    overrides = {"model": {**SMALL, "max_length": 4}}
    with pytest.raises(ConfigError, match=r"4 tokens together; expected 8"):
        prepare("masked-lm", spec, "bert", out=tmp_path / "run", overrides=overrides)


def test_attention_that_a_pre_trained_reader_lacks_is_not_frozen(corpus: str, tmp_path: Path) -> None:
    overrides = {"model": {**SMALL, "n_layers": 2}}
    run = prepare("translation", corpus, "bert-seq2seq", out=tmp_path / "run", max_steps=1, overrides=overrides)
    named = [(f"model.{name}", weight) for name, weight in run.learner.model.named_parameters()]
    freeze(named, 2, of=2)
    learned = {name for name, weight in named if weight.requires_grad}
    above = {f"model.{part}.{kind}" for part in ("transform", "norm") for kind in ("weight", "bias")}
    assert learned > above
    assert all("cross_attention" in name for name in learned - above)
