"""Language models on the command line: trained, gone on with, measured, used; and what they cannot do is refused."""

import json
import sys
from pathlib import Path

import pytest
import torch

from keifu.config import read_yaml
from keifu.errors import ConfigError
from keifu.session import TrainedRun, load, train
from tests.cli.conftest import Command
from tests.cli.test_commands import assert_one_message
from tests.small_text import SMALL, running, sentences, write_text
from tests.tiny import set_arguments

TEXT = running(80)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model of documents that has learned a little."""
    folder = tmp_path_factory.mktemp("language")
    spec = write_text(folder / "list.txt", "".join(f"{line}\n" for line in sentences(150)))
    more = {**SMALL, "model": {**SMALL["model"], "d_model": 32}}
    options = {"out": folder / "run", "max_steps": 150, "overrides": more}
    return train("language-modeling", spec, "gru", **options).path


@pytest.fixture
def book(tmp_path: Path) -> str:
    return write_text(tmp_path / "book.txt", TEXT)


def test_a_text_file_is_all_that_training_needs_and_resume_goes_on(book: str, tmp_path: Path, keifu: Command) -> None:
    out = tmp_path / "run"
    result = keifu("train", "language-modeling", "--data", book, "--max-steps", 4, "--out", out, *set_arguments(SMALL))
    assert result.code == 0, result.err
    assert "read as one long text, in 8 streams of windows of 10 tokens (data.reading)" in " ".join(result.out.split())
    assert "bits per character, perplexity" in result.out.splitlines()[-2]
    assert result.out.splitlines()[-1] == f'use it: keifu generate {out} "..."'
    settings, _ = read_yaml(out / "config.yaml")
    assert (settings["model"]["name"], settings["data"]["reading"]) == ("lstm", "stream")
    report = json.loads((out / "data.json").read_text("utf-8"))
    assert (report["train"]["characters"], report["streams"]) == (len(TEXT) - report["valid"]["characters"], 8)
    assert "bits per character" in (out / "README.md").read_text("utf-8")
    resumed = keifu("resume", out, "--max-steps", "+3", "--json")
    assert resumed.code == 0
    assert json.loads(resumed.out.splitlines()[-1]) == {"event": "finished", "step": 7, "reason": "steps"}
    assert (out / "samples" / "step-7.txt").read_text("utf-8").strip()


def test_a_dry_run_and_a_check_say_what_would_be_learned(book: str, keifu: Command) -> None:
    given = ("--data", book, *set_arguments(SMALL))
    dry = keifu("train", "language-modeling", *given, "--max-steps", 4, "--dry-run")
    assert dry.code == 0
    assert "reading: stream" in dry.out
    assert "label_smoothing" not in dry.out
    checked = keifu("check", book, "--task", "language-modeling", "--json", *set_arguments(SMALL))
    report = json.loads(checked.out)
    assert report["reading"] == "stream"
    assert [finding["kind"] for finding in report["findings"]] == ["few"]
    assert report["estimate"]["steps"] > 0


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru", "gpt", "llama", "moe"])
def test_a_configuration_is_printed_whole_and_taken_again(
    model: str, book: str, tmp_path: Path, keifu: Command
) -> None:
    printed = keifu("config", "language-modeling", model, "--preset", "tiny").out
    (tmp_path / "s.yaml").write_text(printed, "utf-8")
    taken = keifu("train", "language-modeling", "--data", book, "--config", tmp_path / "s.yaml", "--dry-run")
    assert taken.code == 0, taken.err
    assert f"name: {model}" in taken.out


def test_training_may_begin_with_another_models_weights(run: Path, book: str, tmp_path: Path, keifu: Command) -> None:
    small = set_arguments({"training": SMALL["training"], "data": {"window": 10}})
    given = ("--data", book, "--init", run, "--max-steps", 1, "--out", tmp_path / "run", *small)
    assert keifu("train", "language-modeling", *given).code == 0
    losses = []
    for name in (run, tmp_path / "run"):
        report = json.loads(keifu("evaluate", name, "--data", book, "--json").out)
        losses.append(report["loss"])
        assert load(name, "cpu").model_config.name == "gru"
    assert abs(losses[0] - losses[1]) < 2  # the one reads documents, the other a stream


def test_texts_go_on_from_arguments_and_from_lines(run: Path, keifu: Command) -> None:
    options = ("--temperature", 0, "--max-tokens", 8)
    one = keifu("generate", run, "the cat", *options)
    assert one.out.startswith("the cat")
    several = keifu("generate", run, *options, "--json", stdin=b"the cat\nthe dog\n")
    lines = [json.loads(line) for line in several.out.splitlines()]
    assert [line["prompt"] for line in lines] == ["the cat", "the dog"]
    assert one.out == lines[0]["prompt"] + lines[0]["text"] + "\n"
    assert set(lines[0]) == {"prompt", "text", "tokens", "complete", "logprobs"}
    model = load(run, "cpu")
    assert "".join(each["token"] for each in lines[0]["logprobs"]) == lines[0]["text"]
    ids = torch.tensor([[model.tokenizer.bos_id, *model.tokenizer.encode(lines[0]["prompt"] + lines[0]["text"])]])
    expected = model.logits(ids)[0].log_softmax(-1)[:-1].gather(1, ids[0, 1:, None])[-lines[0]["tokens"] :, 0]
    assert [each["logprob"] for each in lines[0]["logprobs"]] == pytest.approx(expected.tolist(), abs=1e-5)
    assert model.generate("the cat", temperature=0, max_tokens=8) == one.out.removesuffix("\n")


def test_a_single_text_appears_on_a_terminal_as_it_is_written(
    run: Path, keifu: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--temperature", 0, "--max-tokens", 8)
    expected = keifu("generate", run, "the cat", *options).out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    written: list[str] = []
    write = sys.stdout.write
    monkeypatch.setattr(sys.stdout, "write", lambda text: written.append(text) or write(text))
    assert keifu("generate", run, "the cat", *options).out == expected
    assert written[0] == "the cat"
    assert len(written) > 4


def test_the_seed_decides_and_samples_differ(run: Path, keifu: Command) -> None:
    def written(seed: int) -> list[str]:
        result = keifu("generate", run, "--samples", 5, "--seed", seed, "--temperature", 1.5, "--json")
        return [json.loads(line)["text"] for line in result.out.splitlines()]

    first = written(1)
    assert len(set(first)) > 1
    assert written(1) == first
    assert written(2) != first
    model = load(run, "cpu")
    assert model.generate("", samples=5, seed=1, temperature=1.5, max_tokens=10) == first
    assert model.generate(["", "a"], samples=2)[1][0].startswith("a")


def test_options_of_generate_have_their_effect(run: Path, keifu: Command) -> None:
    def written(*options: object) -> str:
        return keifu("generate", run, "the cat", "--max-tokens", 12, "--seed", 3, *options).out

    likeliest, free = (written("--temperature", value) for value in (0, 2))
    assert free != likeliest
    for option, value in (("--top-k", 1), ("--top-p", 1e-9), ("--min-p", 1)):
        assert written("--temperature", 2, option, value) == likeliest, option
    assert written("--temperature", 0, "--repetition-penalty", 100) != likeliest
    assert written("--temperature", 2, "--seed", 4) != free
    assert_one_message(keifu("generate", run, "--batch-size", 0), 2, "decoding.batch_size: expected at least 1")


def test_a_model_of_documents_ends_them_itself(run: Path) -> None:
    found = load(run, "cpu").generate([""] * 20, max_tokens=400, details=True)
    assert sum(one.complete for one in found) > 10


def test_vectors_are_those_after_the_last_token_or_their_mean(run: Path, trained: TrainedRun, keifu: Command) -> None:
    model = load(run, "cpu")
    result = keifu("embed", run, "the cat", "in")
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert [line["text"] for line in lines] == ["the cat", "in"]
    trace = model.trace("the cat")
    hidden = trace["output"].value[0]
    assert lines[0]["vector"] == pytest.approx(hidden[-1].tolist(), abs=1e-5)
    mean = json.loads(keifu("embed", run, "the cat", "--pool", "mean").out)["vector"]
    assert mean == pytest.approx(hidden.mean(0).tolist(), abs=1e-5)

    translator = load(trained.path, "cpu")
    encoded = translator.trace("I see cats.")["encoder.0.feedforward_normalised"].value[0]
    for pool, expected in (("last", encoded[-1]), ("mean", encoded.mean(0))):
        found = json.loads(keifu("embed", trained.path, "I see cats.", "--pool", pool).out)["vector"]
        assert found == pytest.approx(expected.tolist(), abs=1e-5)


def test_an_evaluation_says_what_it_measured(run: Path, tmp_path: Path, keifu: Command) -> None:
    spec = write_text(tmp_path / "test.txt", "".join(f"{line}\n" for line in sentences(30, seed=9)))
    told = keifu("evaluate", run, "--data", spec).out
    report = json.loads(keifu("evaluate", run, "--data", spec, "--json").out)
    assert f"bits per character {report['bits_per_character']:9.3f}" in told
    assert "read document by document" in told
    assert not report["selected_on"]
    assert not report["trained_on"]


PACKED = ("--set", "data.reading=stream", "--set", "data.packed=true")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("translate", "{run}", "I see."), "a model for language-modeling cannot translate; use one of: generate"),
        (("diagnose", "{run}"), "a model for language-modeling cannot diagnose"),
        (("generate", "{translator}", "I see."), "a model for translation cannot generate; use one of: translate"),
        (("generate", "{run}", "a", "--top-p", "0"), "decoding.top_p: expected more than 0, found 0"),
        (("generate", "{run}", "a", "--compile"), "a gru cannot be compiled, gpt and llama can; leave --compile away"),
        (("generate", "{run}", "a", "--samples", "0"), "samples 0: expected at least 1"),
        (("generate", "{run}", "a", "--temperature", "-1"), "decoding.temperature: expected at least 0"),
        (("embed", "{run}", "a", "--pool", "first"), "pool 'first' is not known; expected last or mean"),
        (("evaluate", "{run}", "--data", "x.txt", "--beam", "3"), "beam does not go with a language model"),
        (("train", "language-modeling", "--data", "x.txt", "--source", "en"), "--source does not go with language-mod"),
        (("train", "language-modeling", "--data", "x.txt", "--model", "transformer"), "cannot do language-modeling"),
        (("train", "translation", "--data", "x.txt", "--model", "rnn"), "model rnn cannot do translation"),
        (("train", "language-modeling", "--data", "x.txt", "--set", "model.direction=bidirectional"), "comes later"),
        (("train", "language-modeling", "--data", "x.txt", "--set", "model.d_hidden=9"), "cannot be tied"),
        (("train", "language-modeling", "--data", "x.txt", "--set", "decoding.beam=3"), "decoding.beam: unknown key"),
        (("train", "language-modeling", "--data", "x.txt", "--set", "data.reading=pages"), "'documents' or 'stream'"),
        (
            (
                "train",
                "language-modeling",
                "--data",
                "x.txt",
                "--set",
                "data.reading=stream",
                "--set",
                "data.packed=true",
            ),
            "data.packed: packs documents, and this is read as one text; add data.reading=documents",
        ),
        (("train", "language-modeling"), "no data to train on"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_message(
    arguments: tuple[str, ...],
    message: str,
    run: Path,
    trained: TrainedRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keifu: Command,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_text(tmp_path / "x.txt", TEXT)
    result = keifu(*(each.format(run=run, translator=trained.path) for each in arguments))
    assert_one_message(result, 2, message)
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n \n\n", "no text, only blank lines"),
        (b"one line\n", "too little text"),
        (b"caf\xe9 au lait\n" * 9, "x.txt:1: not UTF-8"),
        (b"a\0b\n" * 9, "x.txt:1: a NUL character"),
        (b"PK\x03\x04 and so on", "a zip archive"),
    ],
)
def test_data_that_are_no_text_are_refused_in_one_message(
    content: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keifu: Command
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.txt").write_bytes(content)
    result = keifu("train", "language-modeling", "--data", "x.txt", "--out", "run", *set_arguments(SMALL))
    assert_one_message(result, 3, message)
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("task", "taging", "task 'taging' is not known; expected one of translation, language-modeling"),
        ("task", ["x"], "is not known; expected one of"),
        ("reading", "pages", "reading 'pages'; expected documents or stream"),
        ("decoding", {"beam": 5}, "decoding.beam: unknown key"),
    ],
)
def test_a_damaged_config_is_named(
    key: str, value: object, message: str, run: Path, tmp_path: Path, keifu: Command
) -> None:
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes((run / "best" / name).read_bytes())
    config = json.loads((run / "best" / "config.json").read_text("utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config | {key: value}), "utf-8")
    assert_one_message(keifu("generate", tmp_path, "a"), 3, message)


@pytest.fixture(scope="module", params=["gpt", "llama", "moe"])
def windowed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that reads 12 tokens together, of one long text."""
    folder = tmp_path_factory.mktemp(request.param)
    more = {**SMALL, "model": {**SMALL["model"], "max_length": 12}, "data": {"tokenizer": "character"}}
    spec = write_text(folder / "book.txt", TEXT)
    options = {"out": folder / "run", "max_steps": 20, "overrides": more}
    return train("language-modeling", spec, request.param, **options).path


def test_a_model_that_reads_windows_takes_texts_of_any_length(windowed: Path, tmp_path: Path, keifu: Command) -> None:
    prompt = "the old bird sees the small green cat and the dog"
    lines = [json.loads(keifu("generate", windowed, prompt, "--max-tokens", n, "--json").out) for n in (3, 40)]
    assert [line["tokens"] for line in lines] == [3, 40]
    assert lines[1]["text"].startswith(lines[0]["text"])
    assert len(json.loads(keifu("embed", windowed, prompt).out)["vector"]) == 16
    told = keifu("evaluate", windowed, "--data", write_text(tmp_path / "x.txt", TEXT))
    assert told.code == 0
    assert "read as one text, each token from at least 6 before it" in told.out


def test_what_does_not_fit_a_window_is_refused(windowed: Path, book: str, keifu: Command) -> None:
    model = load(windowed, "cpu")
    with pytest.raises(ConfigError, match=r"13 tokens: this model reads 12 together \(model.max_length\)"):
        model.trace("the old bird")
    name = model.model_config.name
    result = keifu("train", "language-modeling", "--data", book, "--model", name, "--set", "data.window=9")
    message = "data.window 9: this model reads windows of model.max_length 128, so that it learns every place in them;"
    assert_one_message(result, 2, message)


def test_documents_teach_every_place_of_a_window(tmp_path: Path, keifu: Command) -> None:
    spec = write_text(tmp_path / "documents.txt", f"{'the old bird sees the cat ' * 40}\n" * 30)
    given = ("train", "language-modeling", "--data", spec, "--max-steps", 2, "--set", "data.tokenizer=character")
    for model, most in (("gpt", 128), ("lstm", 256)):
        out = tmp_path / model
        assert keifu(*given, "--model", model, "--preset", "tiny", "--out", out).code == 0
        settings, _ = read_yaml(out / "config.yaml")
        assert settings["data"]["max_tokens"] == most
        assert settings["model"].get("max_length", most) == most
    result = keifu(*given, "--model", "gpt", "--set", "data.max_tokens=9", "--out", tmp_path / "short")
    message = "data.max_tokens 9: this model reads up to model.max_length 128, and would not learn the places behind;"
    assert_one_message(result, 2, message)


def test_training_says_in_which_windows_a_text_is_read(book: str, keifu: Command) -> None:
    dry = keifu("train", "language-modeling", "--data", book, "--model", "gpt", "--max-steps", 2, "--dry-run")
    assert "read as one long text, in a random order, in windows of 128 tokens" in " ".join(
        dry.out.replace("#", "").split()
    )
