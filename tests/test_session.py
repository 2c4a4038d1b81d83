"""The model that a user holds: it translates, scores, evaluates and shows what it computes."""

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sacrebleu
import torch
from safetensors.torch import load_file, save_file

import keifu
from keifu.cli.report import evaluation_report
from keifu.errors import CheckpointError, ConfigError, DataError
from keifu.generation.translation import Translated
from keifu.interface import PairBatch
from keifu.layers.quantised import multiplies_int8
from keifu.session import Model, TrainedRun, load
from keifu.tasks.translation_metrics import score_translations
from keifu.training.loop import Finished, Step
from tests.tiny import TINY, pairs, write

UNSEEN = pairs(30, seed=9)
TEXTS = [pair.source for pair in UNSEEN[:8]]


# ---- the public face ---------------------------------------------------------------------------------------


def test_importing_keifu_imports_no_torch() -> None:
    code = "import sys, keifu; assert not {'torch', 'numpy', 'tokenizers', 'pydantic'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_public_names_are_there_and_no_others() -> None:
    assert keifu.load is load
    with pytest.raises(AttributeError, match="module 'keifu' has no attribute 'lode'"):
        keifu.lode  # noqa: B018


def test_train_returns_the_run_its_scores_and_its_model(corpus: str, tmp_path: Path) -> None:
    seen: list[Any] = []
    run = keifu.train("translation", corpus, out=tmp_path / "run", max_steps=4, overrides=TINY, on_event=seen.append)
    assert run.path == tmp_path / "run"
    assert run.metrics["step"] in range(1, 5)
    assert {"loss", "perplexity", "bleu", "bleu_signature", "chrf", "exact_match"} <= set(run.metrics)
    assert isinstance(run.model.translate("I see cats."), str)
    assert run.model is run.model
    assert [event.step for event in seen if isinstance(event, Step)] == [1, 2, 3, 4]
    assert seen[-1] == Finished(4, "steps")


# ---- translating -------------------------------------------------------------------------------------------


def test_a_text_gives_a_text_and_a_list_a_list(model: Model) -> None:
    found = model.translate(TEXTS)
    assert isinstance(found, list)
    assert len(found) == len(TEXTS)
    assert [model.translate(text) for text in TEXTS] == found
    assert model.translate(tuple(TEXTS)) == found
    assert model.translate([]) == []
    assert model.translate([TEXTS[0]]) == [found[0]]


def test_the_model_has_learned_the_language(model: Model) -> None:
    outputs = model.translate([pair.source for pair in UNSEEN])
    assert score_translations(outputs, [pair.target for pair in UNSEEN])["bleu"] > 40


def test_several_translations_come_best_first(model: Model) -> None:
    found = model.translate(TEXTS[0], beam=4, n_best=3, details=True)
    assert len(found) == 3
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert len({one.text for one in found}) > 1
    many = model.translate(TEXTS, beam=4, n_best=3)
    assert many[0] == [one.text for one in found]
    assert model.translate(TEXTS, beam=4) == [texts[0] for texts in many]


def test_details_are_text_score_tokens_and_completeness(model: Model) -> None:
    one = model.translate(TEXTS[0], beam=1, details=True)
    assert isinstance(one, Translated)
    assert one.complete
    assert model.tokenizer.decode(one.tokens) == one.text
    source = torch.tensor([[*model.tokenizer.encode(TEXTS[0]), 3]])
    scores = model.logits(source, torch.tensor([[2, *one.tokens]])).log_softmax(-1)[0]
    ids = [*one.tokens, 3]
    log_probability = sum(scores[place, token].item() for place, token in enumerate(ids))
    assert one.score == pytest.approx(log_probability / len(ids), abs=1e-4)
    short = model.translate(TEXTS[0], beam=1, max_ratio=1e-6, details=True)
    assert len(short.tokens) <= 10


def test_texts_without_words_have_empty_translations(model: Model) -> None:
    assert model.translate(["", " ", "\t", "　"]) == [""] * 4
    assert model.translate(["", TEXTS[0], " "])[1] == model.translate(TEXTS[0])
    assert model.translate("", details=True) == Translated("", 0.0, [], True, "")


def test_a_text_far_longer_than_any_that_was_learned_is_translated(model: Model) -> None:
    assert isinstance(model.translate("I see " + "cats and " * 60 + "dogs.", beam=1, max_ratio=0.2), str)


def test_signs_that_were_never_seen_are_no_trouble(model: Model) -> None:
    assert isinstance(model.translate("🙂 Ω \x00\u2028"), str)
    with pytest.raises(DataError, match="not valid Unicode"):
        model.translate("\ud800")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam": 0}, "^decoding.beam: expected at least 1, found 0$"),
        ({"beam": 2, "n_best": 3}, "^decoding: n_best 3 needs a beam of 3 or more, found 2;"),
        ({"beam": 2.5}, "^decoding.beam: expected an integer, found 2.5$"),
        ({"beams": 2}, "^decoding.beams: unknown key; did you mean beam\\?$"),
        ({"length_penalty": -1}, "^decoding.length_penalty: expected at least 0"),
    ],
)
def test_wrong_decoding_options_are_named_as_they_were_given(
    options: dict[str, Any], message: str, model: Model
) -> None:
    with pytest.raises(ConfigError, match=message):
        model.translate("I see cats.", **options)


@pytest.mark.skipif(not multiplies_int8(), reason="this processor has no instructions for it")
def test_eight_bit_integers_translate_nearly_alike(trained: TrainedRun, model: Model) -> None:
    rounded = load(trained.path, "cpu", "int8")
    assert not any(isinstance(module, torch.nn.Linear) for module in rounded.network.modules())
    assert score_translations(rounded.translate(TEXTS), model.translate(TEXTS))["bleu"] > 70
    assert set(rounded.trace(TEXTS[0])) == set(model.trace(TEXTS[0]))
    assert rounded.to("cpu", "int8").translate(TEXTS[0]) == rounded.translate(TEXTS[0])
    with pytest.raises(ConfigError, match="precision int8: its weights are rounded"):
        rounded.to("cpu", "fp32")
    for gradients in (lambda: rounded.path_lengths(*TEXTS[:2]), lambda: rounded.influence(TEXTS[:1])):
        with pytest.raises(ConfigError, match="a model in int8 has none of; load it again in fp32"):
            gradients()


def test_eight_bit_integers_need_a_processor_that_multiplies_them(
    trained: TrainedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keifu.session.model.multiplies_int8", lambda: False)
    with pytest.raises(ConfigError, match=r"precision int8: needs a CPU .* found cpu; try bf16 or fp32"):
        load(trained.path, "cpu", "int8")


@pytest.mark.parametrize(("precision", "error"), [("bf16", 2.0**-8), ("int8", 2.0**-7)])
def test_scores_differ_from_those_of_float32_by_what_rounding_explains(
    precision: str, error: float, trained: TrainedRun, model: Model
) -> None:
    """A step of rounding, relative to the values' own size, in each of the dozen products on the way to a score."""
    if precision == "int8" and not multiplies_int8():
        pytest.skip("this processor has no instructions for it")
    rounded = load(trained.path, "cpu", precision)
    for pair in UNSEEN[:8]:
        source = torch.tensor([[*model.tokenizer.encode(pair.source), 3]])
        target = torch.tensor([[2, *model.tokenizer.encode(pair.target)]])
        exact = model.logits(source, target)
        found = rounded.logits(source, target).float()
        assert not torch.equal(found, exact)
        assert (found - exact).square().mean().sqrt() < 12 * error * exact.std()


def test_bfloat16_translates_nearly_alike_and_unknown_formats_are_refused(trained: TrainedRun, model: Model) -> None:
    half = load(trained.path, "cpu", "bf16")
    assert half.network.source_embedding.tokens.dtype == torch.bfloat16
    assert score_translations(half.translate(TEXTS), model.translate(TEXTS))["bleu"] > 70
    assert load(trained.path, "cpu", "auto").network.source_embedding.tokens.dtype == torch.float32
    with pytest.raises(ConfigError, match="precision 'fp16' is not known; expected auto, fp32, bf16, int8"):
        load(trained.path, "cpu", "fp16")
    with pytest.raises(ConfigError, match="device 'gpu' is not known"):
        load(trained.path, "gpu")


# ---- scores and traces -------------------------------------------------------------------------------------


def ids(model: Model, texts: list[str], last: int | None = None, first: int | None = None) -> list[list[int]]:
    lead, end = [] if first is None else [first], [] if last is None else [last]
    return [[*lead, *model.tokenizer.encode(text), *end] for text in texts]


def padded(rows: list[list[int]], left: bool) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, rows))
    fill = [[9] * (width - len(row)) for row in rows]
    tokens = [pad + row if left else row + pad for row, pad in zip(rows, fill, strict=True)]
    real = [[True] * len(row) for row in rows]
    unreal = [[False] * len(pad) for pad in fill]
    mask = [pad + row if left else row + pad for row, pad in zip(real, unreal, strict=True)]
    return torch.tensor(tokens), torch.tensor(mask)


@pytest.mark.parametrize("left", [False, True])
def test_logits_are_those_of_a_forward_pass_however_rows_are_padded(left: bool, model: Model) -> None:
    examples = UNSEEN[:5]
    sources = ids(model, [pair.source for pair in examples], last=3)
    targets = ids(model, [pair.target for pair in examples], first=2)
    source, source_mask = padded(sources, left)
    target, target_mask = padded(targets, left)
    assert not source_mask.all()
    found = model.logits(source, target, source_mask, target_mask)
    assert found.shape == (5, target.shape[1], model.tokenizer.vocab_size)
    for row in range(5):
        one, other = torch.tensor([sources[row]]), torch.tensor([targets[row]])
        everything = PairBatch(one, torch.ones_like(one).bool(), other, torch.ones_like(other).bool())
        with torch.no_grad():
            expected = model.head(model.network(everything).hidden)[0]
        assert torch.allclose(found[row][target_mask[row]], expected, atol=1e-5)
        assert torch.allclose(model.logits(one, other)[0], expected, atol=1e-5)


def test_a_trace_names_every_value_and_the_tokens_along_its_axes(model: Model) -> None:
    text = "I see cats."
    trace = model.trace(text)
    output = model.translate(text, beam=1)
    tokens = model.tokenizer
    assert trace.sequences == {
        "source": [*(tokens.token(id) for id in tokens.encode(text)), "[EOS]"],
        "target": ["[BOS]", *(tokens.token(id) for id in tokens.encode(output))],
        "predicted": [*(tokens.token(id) for id in tokens.encode(output)), "[EOS]"],
    }
    weights = trace["decoder.0.cross_attention.weights"]
    assert weights.letters == ["B", "H", "T", "S"]
    assert trace.labels(weights, "T") == trace.sequences["target"]
    assert trace.labels(weights, "S") == trace.sequences["source"]
    assert trace.labels(weights, "H") is None
    assert trace.labels(trace["decoder.0.self_attention.weights"], "S") == trace.sequences["target"]
    assert trace.labels(trace["encoder.0.attention.weights"], "T") == trace.sequences["source"]
    for recorded in trace.values():
        for letter, sequence in recorded.sequences.items():
            assert recorded.value.shape[recorded.letters.index(letter)] == len(trace.sequences[sequence]), recorded.name
    greedy = trace["logits"].value[0].argmax(-1)
    assert [tokens.token(id) for id in greedy.tolist()] == trace.sequences["predicted"]
    assert "decoder.0.cross_attention.weights" in trace.table()


def test_a_trace_reads_the_target_that_it_is_given(model: Model) -> None:
    trace = model.trace("I see cats.", "君は犬を見る。")
    assert "".join(trace.sequences["predicted"]) == "君は犬を見る。[EOS]"
    source = torch.tensor(ids(model, ["I see cats."], last=3))
    target = torch.tensor(ids(model, ["君は犬を見る。"], first=2))
    assert torch.allclose(trace["logits"].value, model.logits(source, target), atol=1e-5)


def test_a_trace_keeps_what_is_asked_for_and_edits_change_the_rest(model: Model) -> None:
    only = model.trace("I see cats.", "私は猫を見る。", names=["*.weights"])
    assert all(name.endswith(".weights") or name == "logits" for name in only)
    assert len(only.find("*.weights")) == 3
    plain = model.trace("I see cats.", "私は猫を見る。")
    pattern = "decoder.0.cross_attention.weights"
    edited = model.trace("I see cats.", "私は猫を見る。", edits={pattern: lambda weights: weights * 0})
    assert edited[pattern].value.abs().max() == 0
    assert not torch.equal(edited["logits"].value, plain["logits"].value)
    before = "encoder.0.attention.weights"
    assert torch.equal(edited[before].value, plain[before].value)
    again = model.trace("I see cats.", "私は猫を見る。")
    assert torch.equal(again["logits"].value, plain["logits"].value)  # nothing stays edited


def test_an_edit_of_what_is_not_there_is_refused(model: Model) -> None:
    with pytest.raises(ConfigError, match=r"computes no value of that name; close to it: decoder\.0"):
        model.trace("I see cats.", edits={"decoder.1.cross_attention.weights": lambda weights: weights})
    with pytest.raises(ConfigError, match=r"gave shape \(1,\), expected"):
        model.trace("I see cats.", edits={"*.cross_attention.weights": lambda weights: weights.new_zeros(1)})
    assert isinstance(model.translate("I see cats."), str)


# ---- evaluating --------------------------------------------------------------------------------------------


def test_an_evaluation_has_every_metric_with_its_signature(model: Model, tmp_path: Path) -> None:
    spec = write(tmp_path, UNSEEN, "test")
    report = model.evaluate(spec, beam=2)
    outputs = model.translate([pair.source for pair in UNSEEN], beam=2)
    references = [pair.target for pair in UNSEEN]
    assert report["bleu"] == sacrebleu.corpus_bleu(outputs, [references], tokenize="char").score
    assert report["chrf"] == sacrebleu.corpus_chrf(outputs, [references]).score
    assert (report["data"], report["sentences"], report["beam"]) == (spec, len(UNSEEN), 2)
    assert report["sentences_per_second"] > 0
    assert not {"alignment_error", "exact_match_by_construction"} & set(report)
    assert json.loads(json.dumps(report)) == report


def test_an_evaluation_says_whether_the_model_was_chosen_on_this_data(trained: TrainedRun, tmp_path: Path) -> None:
    valid = write(tmp_path, pairs(120)[-6:], "valid")
    other = write(tmp_path, pairs(120)[-7:], "other")
    for place in (trained.path, trained.path / "best", trained.path / "checkpoints" / "step-80", trained.path / "last"):
        assert load(place, "cpu").evaluate(valid, beam=1)["selected_on"] is True, place
        assert load(place, "cpu").evaluate(other, beam=1)["selected_on"] is False
    shutil.copytree(trained.path / "best", tmp_path / "a" / "b" / "model")  # data.json is not known there
    assert load(tmp_path / "a" / "b" / "model", "cpu").evaluate(valid, beam=1)["selected_on"] is False


def test_data_the_other_way_round_is_turned_and_without_languages_taken_as_it_is(model: Model, tmp_path: Path) -> None:
    spec = write(tmp_path, UNSEEN[:5], "test")
    bleu = model.evaluate(spec, beam=1)["bleu"]
    assert model.evaluate(",".join(reversed(spec.split(","))), beam=1)["bleu"] == bleu
    for ending in ("en", "ja"):
        shutil.copy(tmp_path / f"test.{ending}", tmp_path / f"{ending}.txt")
    assert model.evaluate(f"{tmp_path / 'en.txt'},{tmp_path / 'ja.txt'}", beam=1)["bleu"] == bleu
    assert model.evaluate(spec, source="ja", beam=1)["bleu"] != bleu
    with pytest.raises(ConfigError, match="its sides are en and ja, asked for --source fr"):
        model.evaluate(spec, source="fr")


# ---- loading -----------------------------------------------------------------------------------------------


def test_a_run_its_checkpoints_and_a_bare_model_folder_load(trained: TrainedRun, model: Model, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        shutil.copy(trained.path / "best" / name, bare)
    expected = model.translate(TEXTS)
    for place in (trained.path, str(trained.path), trained.path / "best", bare):
        assert load(place, "cpu").translate(TEXTS) == expected
    assert load(bare, "cpu").languages == ("en", "ja")


def test_loading_changes_no_random_state_of_translations(trained: TrainedRun) -> None:
    one, other = load(trained.path, "cpu"), load(trained.path, "cpu")
    assert not one.network.training
    assert one.translate(TEXTS) == other.translate(TEXTS)


def edit_json(name: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = json.loads((folder / name).read_text("utf-8"))
        change(content)
        (folder / name).write_text(json.dumps(content), "utf-8")

    return damage


def edit_tensors(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return damage


def delete(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def cut(name: str) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size // 2)


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no tokenizer": (delete("tokenizer.json"), "tokenizer.json is missing; copy it"),
    "no weights": (delete("model.safetensors"), "neither a run nor a model folder"),
    "no config": (delete("config.json"), "neither a run nor a model folder"),
    "cut weights": (cut("model.safetensors"), "model.safetensors: damaged, or no safetensors"),
    "cut config": (cut("config.json"), "config.json: damaged, or not JSON"),
    "cut tokenizer": (cut("tokenizer.json"), "tokenizer.json"),
    "a foreign config": (
        lambda folder: (folder / "config.json").write_text('{"model_type": "gpt2"}'),
        "config.json: model None is not known; expected one of flat, rnn, lstm, gru, rnn-seq2seq",
    ),
    "an unknown model": (edit_json("config.json", lambda c: c["model"].update(name="x")), "model 'x' is not known"),
    "a list for a name": (edit_json("config.json", lambda c: c["model"].update(name=[])), r"model \[\] is not known"),
    "no model": (edit_json("config.json", lambda c: c.update(model=3)), "model None is not known"),
    "an unknown key": (edit_json("config.json", lambda c: c["model"].update(d_modell=3)), "unknown key"),
    "a wrong width": (edit_json("config.json", lambda c: c["model"].update(d_model=16)), "do not fit its config.json"),
    "a model too large to be made": (
        edit_json("config.json", lambda c: c["model"].update(d_ff=900_000)),
        "do not fit its config.json, which speaks of a larger model",
    ),
    "another task": (
        edit_json("config.json", lambda c: c.update(task="language-modeling")),
        "task 'language-modeling' is not one of a transformer, which is for translation or classification",
    ),
    "a wrong depth": (edit_json("config.json", lambda c: c["model"].update(n_layers=2)), "is missing"),
    "another vocabulary": (
        edit_json("config.json", lambda c: c["model"].update(vocab_size=20)),
        r"model.vocab_size is 20, tokenizer.json has \d+ tokens",
    ),
    "no vocabulary": (edit_json("config.json", lambda c: c["model"].update(vocab_size=None)), "vocab_size is None"),
    "no languages": (edit_json("config.json", lambda c: c.update(languages=None)), "languages: expected two names"),
    "one language": (edit_json("config.json", lambda c: c.update(languages=["en"])), "languages: expected two names"),
    "wrong habits": (
        edit_json("config.json", lambda c: c.update(normalisation=3)),
        "normalisation: expected keys with values",
    ),
    "wrong decoding": (edit_json("config.json", lambda c: c["decoding"].update(beam=0)), "decoding.beam: expected"),
    "a weight too few": (edit_tensors(lambda t: t.pop(sorted(t)[0])), "is missing"),
    "a weight too many": (
        edit_tensors(lambda t: t.update(more=torch.zeros(1))),
        "more is not part of this model",
    ),
    "a weight of another shape": (
        edit_tensors(lambda t: t.update({sorted(t)[0]: torch.zeros(3)})),
        r"has shape \(3,\), expected",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_folder_that_is_damaged_or_foreign_is_refused_with_one_message(
    damage: str, trained: TrainedRun, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        shutil.copy(trained.path / "best" / name, folder)
    inflict, message = DAMAGES[damage]
    inflict(folder)
    with pytest.raises(CheckpointError, match=message) as caught:
        load(folder, "cpu")
    assert len(str(caught.value)) < 400


def test_a_checkpoint_of_a_run_is_checked_by_its_checksums(trained: TrainedRun, tmp_path: Path) -> None:
    shutil.copytree(trained.path, tmp_path / "run", symlinks=True)
    model = tmp_path / "run" / "best" / "model.safetensors"
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"damaged \(model.safetensors\); copy it again, or use another"):
        load(tmp_path / "run")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such folder; expected a run folder, one of its checkpoints"):
        load(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    with pytest.raises(CheckpointError, match="a file; expected a run folder"):
        load(tmp_path / "file")
    with pytest.raises(CheckpointError, match="neither a run nor a model folder"):
        load(tmp_path)


def test_an_evaluation_has_the_loss_of_the_references(model: Model, corpus: str, trained: TrainedRun) -> None:
    report = model.evaluate(f"{corpus}[-6:]", beam=1)
    assert report["loss"] == pytest.approx(trained.metrics["loss"], rel=1e-4)
    assert report["perplexity"] == pytest.approx(math.exp(report["loss"]))
    assert f"loss           {report['loss']:6.3f}   nats a token" in evaluation_report(report)


def test_one_text_is_no_list_of_letters(model: Model) -> None:
    text = UNSEEN[0].source
    torch.testing.assert_close(model.influence(text, 5), model.influence([text], 5), equal_nan=True)
    weights = "decoder.0.cross_attention.weights"
    assert weights in model.trace(text, names=weights)


def test_a_trace_holds_the_tokens_that_were_written(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    best = model.translate(UNSEEN[0].source, beam=1, n_best=1, details=True)
    unknown = replace(best, text="", raw="", tokens=[model.tokenizer.unk_id, *best.tokens])
    monkeypatch.setattr(type(model), "translate", lambda *_, **__: unknown)
    expected = [model.tokenizer.token(token) for token in unknown.tokens]
    assert model.trace(UNSEEN[0].source).sequences["predicted"] == [*expected, "[EOS]"]
