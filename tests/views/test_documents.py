"""Documents through a model: sentence by sentence, long ones in parts, markup by its own attention."""

import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch

from keifu.config import merge
from keifu.errors import ConfigError
from keifu.models import architecture
from keifu.session import Model, train
from keifu.text.documents import read_document
from keifu.views.documents import _alignment, _parts_that_fit, open_document, translate_segments
from tests.tiny import TINY

LETTER = "I see cats. You like dogs.\n\nWe draw birds.\r\n"


def test_a_document_is_its_sentences_translated(model: Model) -> None:
    cats, dogs, birds = model.translate(["I see cats.", "You like dogs.", "We draw birds."])
    assert model.translate_document(LETTER) == f"{cats}{dogs}\n\n{birds}\r\n"
    assert model.translate_document(f"# {LETTER}", "markdown") == f"# {cats}{dogs}\n\n{birds}\r\n"


def test_decoding_settings_reach_the_model_and_several_translations_are_refused(model: Model) -> None:
    segments = open_document(model, LETTER, "text").segments
    found = translate_segments(model, segments, beam=2, length_penalty=0.0)
    bests = model.translate([one.plain for one in segments], details=True, beam=2, length_penalty=0.0)
    assert [(one.text, one.score, one.complete) for one in found] == [
        (one.text, one.score, one.complete) for one in bests
    ]
    assert {one.parts for one in found} == {1}
    with pytest.raises(ConfigError, match="n_best above 1"):
        model.translate_document(LETTER, n_best=2)
    with pytest.raises(ConfigError, match="kind 'word' of document is not known; expected text, markdown or tmx"):
        model.translate_document(LETTER, "word")


def test_only_sentences_with_markup_inside_are_traced(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[str] = []
    trace = model.trace

    def counted(text: str, *arguments: Any, **more: Any) -> Any:
        traced.append(text)
        return trace(text, *arguments, **more)

    monkeypatch.setattr(model, "trace", counted)
    model.translate_document("I see cats.\n\n**You like dogs.**\n\n- *We draw birds*[^1]\n", "markdown")
    assert traced == []
    model.translate_document("I see *cats*.\n", "markdown")
    assert traced == ["I see cats."]


def test_markup_is_where_attention_puts_it(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Perturbed weights move the markup: it is not placed by any other rule."""
    content = "I see `cats` and **dogs**."
    result = model.translate_document(content, "markdown")
    assert result.count("`cats`") == 1
    target = model.translate("I see cats and dogs.")

    def onto(first: int, last: int) -> Any:
        def weights(model: Any, source: str, target: str, wrote: int, read: int) -> Any:
            made = torch.zeros(wrote, read)
            made[first:last, source.index("dogs") + 1] = 1.0
            return made

        return weights

    monkeypatch.setattr("keifu.views.documents._alignment", onto(0, 2))
    assert model.translate_document(content, "markdown") == f"**{target[:2]}**{target[2:]}`cats`"
    monkeypatch.setattr("keifu.views.documents._alignment", onto(1, 3))
    assert model.translate_document(content, "markdown") == f"{target[0]}**{target[1:3]}**{target[3:]}`cats`"


@pytest.mark.parametrize("name", ["gpt", "lstm-attention", "lstm-seq2seq", "bert-seq2seq"])
def test_every_translator_places_markup(name: str, corpus: str, tmp_path: Path) -> None:
    """By what the source's columns have in a stream of both sides; a model without attention does without."""
    sizes = {"d_model": 16, "n_layers": 1, "dropout": 0.0, "max_length": 64}
    config = architecture(name).Config.model_fields
    model_sizes = {key: value for key, value in sizes.items() if key in config}
    overrides = merge(TINY, {"training": {"max_steps": 3}}) | {"model": model_sizes}
    model = train("translation", corpus, name, out=tmp_path / "run", overrides=overrides).model
    assert model.translate_document("I see *cats*.\n", "markdown").endswith("\n")
    read, wrote = len(model.tokenizer.encode("I see cats.")), len(model.tokenizer.encode("私は猫"))
    weights = _alignment(model, "I see cats.", "私は猫", wrote, read)
    assert weights.shape == (wrote, read)
    assert _alignment(model, "I see cats.", "私は猫" * 40, 120, read).shape == (120, read)
    if name == "gpt":
        whole = model.trace("I see cats.", "私は猫", names=["*attention.weights"]).find("*")[0]
        assert torch.equal(weights[0], whole.value[0].mean(0)[read, :read])  # row of [BOS]
    if name == "bert-seq2seq":
        whole = model.trace("I see cats.", "私は猫", names=["*cross_attention.weights"]).find("*")[0]
        assert torch.equal(weights, whole.value[0].mean(0)[:wrote, 1:-1])  # between [BOS] and [EOS]


def test_a_sentence_too_long_for_the_model_is_translated_in_parts(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "model_config", model.model_config.model_copy(update={"max_length": 16}))
    content = "I see cats, You like **dogs**, `We` draw birds and see fish." + "x" * 40
    (segment,) = read_document(content, "markdown").segments
    (found,) = translate_segments(model, [segment])
    assert found.parts > 3
    assert found.text.count("`We`") == 1
    assert found.text.startswith(model.translate("I see cats,"))
    assert translate_segments(model, read_document(LETTER, "text").segments)[0].parts == 1
    (segment,) = read_document("I see `f(cats, dogs, birds)` today.", "markdown").segments
    parts = _parts_that_fit(model, segment)
    assert len(parts) > 1
    assert "".join(part.plain for part in parts).startswith("I see f(cats,")
    assert "".join(part.plain for part in parts).endswith(" today.")
    written = [span.written for part in parts for span in part.spans]
    assert written == ["`f(cats, dogs, birds)`"]
    assert not any("birds)" in part.plain for part in parts)


def test_parts_leave_room_for_what_stands_around_a_source(corpus: str, tmp_path: Path) -> None:
    sizes = {"d_model": 16, "n_layers": 1, "n_heads": 2, "d_ff": 16, "max_length": 48}
    overrides = merge(TINY, {"training": {"max_steps": 1}}) | {"model": sizes}
    model = train("translation", corpus, "bert-seq2seq", out=tmp_path / "run", overrides=overrides).model
    for tokens in (46, 47):  # without [BOS] and [EOS]
        (segment,) = read_document("I see cats, ".ljust(tokens, "d"), "text").segments
        assert len(model.tokenizer.encode(model.normalisation.source(segment.plain))) == tokens
        assert (len(_parts_that_fit(model, segment)) == 1) == (tokens == 46)
        translate_segments(model, [segment])


def test_front_matter_without_an_end_is_read_line_by_line(model: Model) -> None:
    content = "---\r\n" + "12\r\n" * 60  # a pattern that reads a line in two ways takes longer than anyone waits
    assert model.translate_document(content, "markdown") == content


def test_marks_in_thousands_of_others_are_signs(model: Model) -> None:
    content = "*" * 20_000 + "a" + "*" * 20_000
    tracemalloc.start()
    (segment,) = read_document(content, "markdown").segments
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(segment.spans) == 100
    assert peak < 100e6


def test_an_empty_document_stays_empty(model: Model) -> None:
    assert model.translate_document("") == ""
    assert model.translate_document("\n---\n12\n", "markdown") == "\n---\n12\n"
