"""Settings come from the preset, the file over it and the arguments over both, with all mistakes at once."""

from pathlib import Path
from typing import Any

import pytest

from keifu.config import to_yaml
from keifu.errors import ConfigError
from keifu.training.settings import SCHEMAS, default_model, preset_for, read_settings, resolve_settings, section_schemas
from keifu.training.start import prepare
from tests.tiny import TINY, tiny_run


def file(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_arguments_stand_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    path = file(tmp_path, "model: {d_model: 64, n_layers: 5}\ntraining: {seed: 7, batch_tokens: 100}\n")
    overrides = {"training": {"batch_tokens": 50}, "model": {"n_layers": 1}}
    settings = resolve_settings("translation", None, "tiny", overrides, path)
    model, training = settings.model, settings.training
    assert (model.d_ff, model.d_model, model.n_layers) == (512, 64, 1)
    assert (training.seed, training.batch_tokens, training.clip_norm) == (7, 50, 1.0)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    settings = resolve_settings("translation", "transformer", "base", {"training": {"epochs": 2.5}})
    assert read_settings(file(tmp_path, to_yaml(settings.sections))) == settings


def test_all_mistakes_of_a_file_are_reported_with_their_lines(tmp_path: Path) -> None:
    path = file(
        tmp_path,
        "model:\n  d_model: wide\n  n_headz: 2\ntraining:\n  learning_rate: -1\n  betas: [0.9, 1.0]\n"
        "decoding:\n  beam: 0\ndatas:\n  train: x\n",
    )
    with pytest.raises(ConfigError) as caught:
        resolve_settings("translation", overrides={"training": {"seed": "x"}}, config=path)
    assert str(caught.value).replace(f"{path}:", "").splitlines() == [
        "2: model.d_model: expected an integer, found 'wide'",
        "3: model.n_headz: unknown key; did you mean n_heads?",
        "--set training.seed: expected an integer, found 'x'",
        "5: training.learning_rate: expected more than 0, found -1",
        "8: decoding.beam: expected at least 1, found 0",
        "9: datas: unknown section; did you mean data?",
    ]


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("training", {"betas": [0.9, 1.0]}, r"betas \[0.9, 1.0\]: expected two numbers from 0 up to"),
        ("training", {"max_time": "soon"}, "'soon' is no duration"),
        ("training", {"task": "tagging"}, "expected 'translation', found 'tagging'"),
        ("model", {"d_model": 10, "n_heads": 4}, "d_model 10 is not a multiple of n_heads 4"),
        ("model", {"name": "lstm"}, "model lstm cannot do translation; it does language-modeling"),
        ("model", {"name": "gtp"}, "model 'gtp' is not known; expected one of flat, rnn, lstm, gru, rnn-seq2seq, "),
        ("decoding", {"n_best": 6}, "n_best 6 needs a beam of 6 or more, found 5"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(section: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_settings("translation", overrides={section: values})


@pytest.mark.parametrize(
    ("task", "model", "preset", "message"),
    [
        ("translate", None, None, "task 'translate' is not known; expected one of translation"),
        ("translation", "gtp", None, "model 'gtp' is not known; expected one of flat, rnn, lstm, gru, rnn-seq2seq, "),
        ("translation", None, "huge", "preset 'huge' is not known; transformer has tiny, small, base"),
    ],
)
def test_unknown_names_are_refused(task: str, model: str | None, preset: str | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_settings(task, model, preset)


def test_a_damaged_file_of_a_run_is_named(tmp_path: Path) -> None:
    path = file(tmp_path, "model: {name: perceptron}\n")
    with pytest.raises(ConfigError, match=r"settings\.yaml: model\.name: 'perceptron' is not known"):
        read_settings(path)


@pytest.mark.parametrize(("pairs", "preset"), [(2, "tiny"), (19_999, "tiny"), (20_000, "small"), (1_000_000, "base")])
def test_the_preset_follows_the_datas_size(pairs: int, preset: str) -> None:
    assert preset_for(pairs) == preset


@pytest.mark.parametrize("task", SCHEMAS)
def test_every_setting_has_a_help_text(task: str) -> None:
    for schema in section_schemas(task, default_model(task)).values():
        for name, field in schema.model_fields.items():
            assert field.description, name


# ---- options, files and limits together --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (50, None)),
        ({"max_steps": 7}, (7, None)),
        ({"epochs": 2.0}, (None, 2.0)),
        ({"overrides": {"training": {"max_steps": 9}}}, (9, None)),
        ({"max_time": "60s", "overrides": {"training": {"max_steps": 9}}}, (9, None)),
    ],
)
def test_a_limit_that_is_asked_for_replaces_those_of_the_file(
    given: dict[str, Any], expected: tuple[int | None, float | None], corpus: str, tmp_path: Path
) -> None:
    path = file(tmp_path, "model: {d_model: 16, n_layers: 1, n_heads: 2, d_ff: 32}\ntraining: {max_steps: 50}\n")
    run = prepare("translation", corpus, out=tmp_path / "run", config=path, **given)
    steps, epochs = expected
    training = run.settings.training
    if epochs is None:
        assert training.max_steps == steps
    else:
        assert training.max_steps == round(epochs * run.learner.sampler.batches_per_epoch)


def test_device_precision_and_seed_of_a_file_hold_unless_others_are_asked_for(corpus: str, tmp_path: Path) -> None:
    path = file(tmp_path, "training: {device: cpu, precision: bf16, seed: 5, max_steps: 1}\n")
    one = prepare("translation", corpus, out=tmp_path / "run", config=path).settings.training
    assert (one.device, one.precision, one.seed) == ("cpu", "bf16", 5)
    asked = {"device": "auto", "precision": "fp32", "seed": 0}
    other = prepare("translation", corpus, out=tmp_path / "run", config=path, **asked).settings.training
    assert (other.device, other.precision, other.seed) == ("auto", "fp32", 0)


def test_with_no_limit_at_all_a_run_has_twenty_epochs_or_a_thousand_steps(corpus: str, tmp_path: Path) -> None:
    run = tiny_run(corpus, tmp_path / "run", {"batch_tokens": 20})
    assert run.learner.sampler.batches_per_epoch > 50
    assert run.settings.training.max_steps == 20 * run.learner.sampler.batches_per_epoch
    assert run.settings.training.evaluate_every == run.learner.sampler.batches_per_epoch
    run = tiny_run(corpus, tmp_path / "run", {"batch_tokens": 200})
    assert run.learner.sampler.batches_per_epoch < 50
    assert run.settings.training.max_steps == 1000


@pytest.mark.parametrize("name", ["channels", "height", "width"])
def test_a_model_of_texts_is_not_told_how_large_pictures_are(name: str, corpus: str) -> None:
    text = corpus.split(",")[0]
    with pytest.raises(ConfigError, match=rf"^model\.{name}: says how large pictures are"):
        prepare("language-modeling", text, "lstm", overrides={"model": {name: 2}})


def test_an_unknown_option_is_a_mistake(corpus: str) -> None:
    with pytest.raises(ConfigError, match=r"'max_step' is no option of train; expected .*max_steps"):
        prepare("translation", corpus, overrides=TINY, max_step=3)


def test_the_model_that_is_named_is_the_one_whatever_the_file_says(tmp_path: Path) -> None:
    path = file(tmp_path, "model: {name: lstm, d_model: 24}\n")
    settings = resolve_settings("language-modeling", "gru", config=path)
    assert (settings.model.name, settings.model.d_model) == ("gru", 24)
    assert resolve_settings("language-modeling", config=path).model.name == "lstm"


def test_paths_may_be_given_as_paths(corpus: str, tmp_path: Path) -> None:
    text = tmp_path / "a.tsv"
    text.write_text("a\tb\n" * 9, "utf-8")
    assert prepare("translation", text, valid=text, out=tmp_path / "run", max_steps=1).corpus.train.spec == str(text)
