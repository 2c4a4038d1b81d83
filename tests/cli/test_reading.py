"""Models that read, on the command line: trained, resumed, measured, used; and what they cannot do is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from keifu.config import read_yaml
from keifu.errors import ConfigError
from keifu.session import load, train
from tests.cli.conftest import Command
from tests.cli.test_commands import assert_one_message
from tests.small_reading import SMALL, TEXTS, documents, labelled, tagged
from tests.small_text import write_text
from tests.tiny import set_arguments

SIZES = {"d_model": 32, "n_layers": 1, "n_heads": 2, "d_ff": 64, "dropout": 0.0}
OPTIONS = {"model": SIZES, "training": {**SMALL["training"], "learning_rate": 0.01}}
TASKS = tuple(TEXTS)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each task a BERT that has learned a little."""
    folder = tmp_path_factory.mktemp("reading")
    found = {}
    for task, make in TEXTS.items():
        spec = write_text(folder / f"{task}.txt", make(150))
        found[task] = train(task, spec, out=folder / task, max_steps=60, overrides=OPTIONS).path
    return found


@pytest.mark.parametrize("task", TASKS)
def test_a_file_is_all_that_training_needs_and_resume_goes_on(task: str, tmp_path: Path, keifu: Command) -> None:
    out, spec = tmp_path / "run", write_text(tmp_path / "a.txt", TEXTS[task](60))
    result = keifu("train", task, "--data", spec, "--max-steps", 4, "--out", out, *set_arguments(OPTIONS))
    assert result.code == 0, result.err
    use = {"masked-lm": "fill", "classification": "classify", "tagging": "tag"}[task]
    assert result.out.splitlines()[-1].startswith(f"use it: keifu {use} {out}")
    settings, _ = read_yaml(out / "config.yaml")
    assert settings["model"]["name"] == "bert"
    card = (out / "README.md").read_text("utf-8")
    assert ("of masked tokens" if task == "masked-lm" else "accuracy") in card
    resumed = keifu("resume", out, "--max-steps", "+3", "--json")
    assert resumed.code == 0, resumed.err
    assert json.loads(resumed.out.splitlines()[-1]) == {"event": "finished", "step": 7, "reason": "steps"}


@pytest.mark.parametrize("task", TASKS)
def test_a_check_says_what_would_be_learned(task: str, tmp_path: Path, keifu: Command) -> None:
    spec = write_text(tmp_path / "a.txt", TEXTS[task](60))
    checked = keifu("check", spec, "--task", task, "--json", *set_arguments(OPTIONS))
    report = json.loads(checked.out)
    assert [finding["kind"] for finding in report["findings"]][-1] == "few"
    assert report["estimate"]["steps"] > 0
    told = keifu("check", spec, "--task", task, *set_arguments(OPTIONS)).out
    marks = {"masked-lm": "whether one text follows another", "classification": "farm (", "tagging": "NOUN ("}
    assert marks[task] in " ".join(told.split())


@pytest.mark.parametrize(
    ("task", "model"),
    [
        ("masked-lm", "bert"),
        *((task, model) for task in TASKS[1:] for model in ("bert", "transformer", "rnn", "lstm", "gru")),
        ("translation", "bert-seq2seq"),
    ],
)
def test_a_configuration_is_printed_whole_and_taken_again(
    task: str, model: str, tmp_path: Path, keifu: Command
) -> None:
    printed = keifu("config", task, model, "--preset", "tiny").out
    (tmp_path / "s.yaml").write_text(printed, "utf-8")
    data = TEXTS[task](30) if task in TEXTS else "I see.\t私は見る。\n" * 30
    given = ("--data", write_text(tmp_path / "a.tsv", data), "--config", tmp_path / "s.yaml", "--dry-run")
    taken = keifu("train", task, *given, *set_arguments({"model": {"d_model": 16}}))
    assert taken.code == 0, taken.err
    assert f"name: {model}" in taken.out


@pytest.mark.parametrize("direction", ["bidirectional", "alternating"])
def test_a_recurrent_network_that_only_reads_may_look_ahead(direction: str, tmp_path: Path, keifu: Command) -> None:
    spec, out = write_text(tmp_path / "a.txt", tagged(40)), tmp_path / "run"
    given = ("--model", "gru", "--set", f"model.direction={direction}", "--max-steps", 2, "--out", out)
    result = keifu("train", "tagging", "--data", spec, *given, *set_arguments(SMALL))
    assert result.code == 0, result.err
    assert load(out, "cpu").network.d_output == (64 if direction == "bidirectional" else 32)


def test_gaps_are_filled_from_arguments_and_from_lines(runs: dict[str, Path], keifu: Command) -> None:
    told = keifu("fill", runs["masked-lm"], "the boat and the [MASK].", "--top", 3).out.splitlines()
    assert len(told) == 3
    token, _, text = told[0].split("\t")
    assert text == f"the boat and the {token}."
    result = keifu("fill", runs["masked-lm"], "--json", stdin=b"the [MASK] and the [MASK].\nthe [MASK].\n")
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert [line["place"] for line in lines] == [0] * 5 + [1] * 5 + [0] * 5
    assert set(lines[0]) == {"masked", "text", "token", "probability", "place", "cut"}
    assert lines[0]["text"].endswith("and the [MASK].")
    model = load(runs["masked-lm"], "cpu")
    found = model.fill(["the boat and the [MASK].", "the [MASK]."], top=3)
    assert [f"{each.token}\t{each.probability:.4f}\t{each.text}" for each in found[0]] == told
    alone = model.fill("the [MASK].", top=3)
    assert [each.token for each in found[1]] == [each.token for each in alone]


@torch.no_grad()
def test_what_fills_a_gap_are_the_scores_there(runs: dict[str, Path]) -> None:
    model = load(runs["masked-lm"], "cpu")
    trace = model.trace("the [MASK] and the boat.")
    place = trace.sequences["text"].index("[MASK]")
    scores = trace["logits"].value[0, place].clone()
    scores[: len(model.tokenizer.special)] = -torch.inf
    best = model.fill("the [MASK] and the boat.", top=1)[0]
    assert best.token == model.tokenizer.token(int(scores.argmax())).strip()
    assert best.probability == pytest.approx(float(scores.softmax(-1).max()), rel=1e-5)


def test_a_pre_trained_model_says_what_follows(runs: dict[str, Path], keifu: Command) -> None:
    pair = "the boat.\tthe wave and the sail."
    result = keifu("classify", runs["masked-lm"], pair, "--head", "next-sentence", "--top", 2, "--json")
    line = json.loads(result.out)
    assert set(line) == {"text", "label", "probabilities", "cut"}
    assert set(line["probabilities"]) == {"next", "random"}
    assert sum(line["probabilities"].values()) == pytest.approx(1)
    trace = load(runs["masked-lm"], "cpu").trace(pair)
    assert trace["follows"].value.softmax(-1)[0, 1] == pytest.approx(line["probabilities"]["next"], abs=1e-5)
    meeting = "and the fish " * 60 + "and the wave.\tthe boat."
    told = [
        keifu("classify", runs["masked-lm"], text, "--head", "next-sentence")
        for text in (meeting, meeting.replace("and the wave.", "and the crow."), f"the hay and the hay {meeting}")
    ]
    assert told[0].err == (
        "note: 1 of 1 texts are longer than those of training, and only what stands where the two of a pair meet was "
        "read\n"
    )
    assert told[0].out != told[1].out
    assert told[0].out == told[2].out


def test_texts_are_classified_from_arguments_and_from_lines(runs: dict[str, Path], keifu: Command) -> None:
    told = keifu("classify", runs["classification"], "the boat and the wave.", "the cow.").out.splitlines()
    assert [line.split("\t")[0] for line in told] == ["sea", "farm"]
    result = keifu(
        "classify", runs["classification"], "--json", "--top", 2, stdin=b"the boat and the wave.\nthe cow.\n"
    )
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert [line["label"] for line in lines] == ["sea", "farm"]
    assert list(lines[0]["probabilities"]) == ["sea", "farm"]
    model = load(runs["classification"], "cpu")
    assert model.classify(["the boat and the wave.", "the cow."]) == ["sea", "farm"]
    assert model.classify("the cow.") == "farm"


def test_pairs_are_classified(tmp_path: Path, keifu: Command) -> None:
    spec, out = write_text(tmp_path / "a.tsv", labelled(80, pairs=True)), tmp_path / "run"
    train("classification", spec, out=out, max_steps=3, overrides=OPTIONS)
    one, other = (keifu("classify", out, pair, "--json") for pair in ("the boat.\tthe cow.", "the cow.\tthe boat."))
    assert json.loads(one.out)["text"] == "the boat.\tthe cow."
    assert json.loads(one.out)["probabilities"] != json.loads(other.out)["probabilities"]
    assert_one_message(keifu("classify", out, "the boat."), 2, "trained on pairs of texts with a TAB between")
    single = write_text(tmp_path / "b.tsv", "the boat.\tsame\n")
    assert_one_message(keifu("evaluate", out, "--data", single), 3, "single texts; this model was trained on pairs")
    assert_one_message(
        keifu("train", "classification", "--data", spec, "--valid", single, "--out", tmp_path / "other"),
        3,
        "single texts, and pairs of texts to learn from",
    )


def test_words_are_tagged(runs: dict[str, Path], keifu: Command) -> None:
    assert keifu("tag", runs["tagging"], "the cow sees a boat").out == "the/DET cow/NOUN sees/VERB a/DET boat/NOUN\n"
    line = json.loads(keifu("tag", runs["tagging"], "--json", stdin=b"the cow\n\n").out.splitlines()[0])
    assert [word["tag"] for word in line["words"]] == ["DET", "NOUN"]
    model = load(runs["tagging"], "cpu")
    assert model.tag(["a boat", ""]) == [[("a", "DET"), ("boat", "NOUN")], []]


def test_vectors_are_those_of_cls_or_the_mean_and_may_have_the_length_1(runs: dict[str, Path], keifu: Command) -> None:
    texts = ("the boat and the wave and the fish.", "the cow.", "the cow and the boat.")
    for task in TASKS:
        model = load(runs[task], "cpu")
        for text, mean in zip(texts, model.embed(list(texts)), strict=True):
            hidden = model.trace(text)["blocks.0.feedforward_normalised"].value[0]
            torch.testing.assert_close(mean, hidden.mean(0), rtol=1e-4, atol=1e-5)
            first = torch.tensor(json.loads(keifu("embed", runs[task], text, "--pool", "cls").out)["vector"])
            torch.testing.assert_close(first, hidden[0], rtol=1e-4, atol=1e-5)
    model, gap = load(runs["masked-lm"], "cpu"), "the [MASK] and the boat."
    hidden = model.trace(gap)["blocks.0.feedforward_normalised"].value[0]
    torch.testing.assert_close(model.embed(gap), hidden.mean(0), rtol=1e-4, atol=1e-5)
    vector = json.loads(keifu("embed", runs["masked-lm"], "the cow.", "--normalise").out)["vector"]
    assert sum(value * value for value in vector) == pytest.approx(1, rel=1e-5)
    plain = load(runs["masked-lm"], "cpu").embed("the cow.")
    torch.testing.assert_close(torch.tensor(vector), plain / plain.norm(), rtol=1e-4, atol=1e-6)


def test_a_long_text_is_read_as_in_training_or_refused(tmp_path: Path, keifu: Command) -> None:
    """Places beyond the longest text of training have vectors that nothing was learned about."""
    short = {**OPTIONS, "data": {"max_tokens": 12}}
    found = {}
    for task, make in TEXTS.items():
        spec = write_text(tmp_path / f"{task}.txt", make(60))
        found[task] = train(task, spec, out=tmp_path / task, max_steps=3, overrides=short).path
    long = "the boat and the wave" + " and the fish" * 9
    classified = keifu("classify", found["classification"], "the cow.", long, "--json")
    assert (
        classified.err == "note: 1 of 2 texts are longer than those of training, and only their beginnings were read\n"
    )
    assert [json.loads(line)["cut"] for line in classified.out.splitlines()] == [False, True]
    classifier = load(found["classification"], "cpu")
    assert classifier.most_tokens == 12
    one, other = classifier.classify([long, long + " and the cow"], details=True)
    assert one.probabilities == pytest.approx(other.probabilities)
    assert_one_message(keifu("tag", found["tagging"], "the cow", long), 2, "text 2, 'the boat and the wave")
    words = write_text(tmp_path / "long.txt", "cow\tNOUN\n" * 30 + "\nthe\tDET\n")
    report = json.loads(keifu("evaluate", found["tagging"], "--data", words, "--json").out)
    read = int(report["examples"])
    assert 1 < read < 12
    assert report["unread"] == 31 - read
    shown = keifu("evaluate", found["tagging"], "--data", words).out
    assert f"note: words that were cut off with them, and are not in the scores: {31 - read}" in shown
    model = load(found["masked-lm"], "cpu")
    gap = f"{long} and the [MASK] and the wave{' and the sail' * 9}"
    assert any(each.text.startswith(f"{long} and the ") for each in model.fill(gap))  # a full stop has no space
    filled = keifu("fill", model.path, "the [MASK].", gap, "--top", 1, "--json")
    assert filled.err == (
        "note: 1 of 2 texts are longer than those of training, and only what stands around their gaps was read\n"
    )
    assert [json.loads(line)["cut"] for line in filled.out.splitlines()] == [False, True]
    near = model.fill(gap.replace("the boat and the wave", "the cow and the hay"), top=2)
    assert [each.probability for each in near] == pytest.approx([each.probability for each in model.fill(gap, top=2)])
    assert_one_message(keifu("fill", model.path, f"[MASK]{long}[MASK]"), 2, "tokens apart; this model reads 10 at once")
    with pytest.raises(ConfigError, match="at most 12 are read; split it"):
        model.trace(long)
    parts = model.tokenizer.encode(long)
    texts = [model.tokenizer.decode(parts[begin : begin + 10]) for begin in range(0, len(parts), 10)]
    assert [model.tokenizer.encode(text) for text in texts] == [parts[at : at + 10] for at in range(0, len(parts), 10)]
    apart = [model.trace(text)["blocks.0.feedforward_normalised"].value[0] for text in texts]
    for pool, vector in (("mean", torch.cat(apart).mean(0)), ("cls", apart[0][0]), ("last", apart[-1][-1])):
        torch.testing.assert_close(model.embed(long, pool), vector, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("use", ["classify", "embed"])
def test_a_text_with_nothing_in_it_is_told_of(use: str, runs: dict[str, Path], keifu: Command) -> None:
    result = keifu(use, runs["classification"], stdin=b"the cow.\n \nthe boat.\n")
    assert result.err == "note: 1 of 3 texts are empty; what is said of them says nothing\n"
    assert len(result.out.splitlines()) == 3
    assert keifu(use, runs["classification"], "the cow.").err == ""


def test_one_document_has_no_strangers_to_measure_pairs_with(
    runs: dict[str, Path], tmp_path: Path, keifu: Command
) -> None:
    spec = write_text(tmp_path / "one.txt", "the boat.\nthe wave.\n\nthe fish.\n")
    result = keifu("evaluate", runs["masked-lm"], "--data", spec)
    assert_one_message(result, 3, "documents with several sentences: 1; expected two or more")


def test_an_encoder_alone_has_paths_to_its_own_outputs(tmp_path: Path) -> None:
    spec, sizes = write_text(tmp_path / "a.txt", labelled(40)), {**OPTIONS["model"], "d_ff": 64}
    more = {"overrides": {**OPTIONS, "model": sizes}, "max_steps": 2}
    model = train("classification", spec, model="transformer", out=tmp_path / "run", **more).model
    [found] = model.path_lengths("the boat.").outputs.values()
    assert (found == sizes["n_layers"]).all()
    assert model.influence(["the boat."], 3)[0] > 0
    with pytest.raises(ConfigError, match="it reads one text"):
        model.path_lengths("the boat.", "the cow.")


def test_another_tokenizer_than_that_of_the_beginning_is_refused(
    runs: dict[str, Path], tmp_path: Path, keifu: Command
) -> None:
    spec = write_text(tmp_path / "a.txt", labelled(40))
    given = ("--data", spec, "--init", runs["masked-lm"], "--out", tmp_path / "run", "--set", "data.tokenizer=word")
    assert_one_message(keifu("train", "classification", *given), 2, "its data.tokenizer is wordpiece and comes with it")


@pytest.mark.parametrize("task", TASKS)
def test_an_evaluation_says_what_it_measured(task: str, runs: dict[str, Path], tmp_path: Path, keifu: Command) -> None:
    spec = write_text(tmp_path / "test.txt", TEXTS[task](40, seed=9))
    told = keifu("evaluate", runs[task], "--data", spec).out
    report = json.loads(keifu("evaluate", runs[task], "--data", spec, "--json").out)
    assert not report["selected_on"]
    name = "masked_accuracy" if task == "masked-lm" else "accuracy"
    low, high = report[f"{name}_interval"]
    assert f"{100 * report[name]:.1f} % ({100 * low:.1f} to {100 * high:.1f})" in told
    if task != "masked-lm":
        assert report["accuracy"] > 0.9
        assert "confusion: a row for each true class" in told


def test_an_evaluation_while_training_is_that_of_the_saved_model(tmp_path: Path) -> None:
    for task, make in TEXTS.items():
        train_spec, valid = write_text(tmp_path / "a.txt", make(60)), write_text(tmp_path / "b.txt", make(30, seed=3))
        run = train(task, train_spec, valid=valid, out=tmp_path / task, max_steps=4, overrides=OPTIONS)
        report = run.model.evaluate(valid)
        assert report["loss"] == pytest.approx(run.metrics["loss"], rel=1e-4)
        assert report["selected_on"]
        assert not report["trained_on"]


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_rounded_models_say_nearly_the_same(precision: str, runs: dict[str, Path]) -> None:
    from keifu.layers.quantised import multiplies_int8

    if precision == "int8" and not multiplies_int8():
        pytest.skip("this processor has no instructions for it")
    texts = ["the boat and the wave.", "the cow."]
    exact, rounded = (load(runs["classification"], "cpu", form) for form in ("fp32", precision))
    shares = [[one.probabilities["sea"] for one in each.classify(texts, details=True)] for each in (exact, rounded)]
    assert shares[1] == pytest.approx(shares[0], abs=0.05)
    assert load(runs["masked-lm"], "cpu", precision).fill("the [MASK].")


REFUSED: list[tuple[tuple[str, ...], str]] = [
    (("fill", "{masked-lm}", "the boat."), r"no \[MASK\] in it; write one where a word is to be told"),
    (("fill", "{masked-lm}", "[MASK]", "--top", "0"), "top 0: expected at least 1"),
    (("fill", "{classification}", "[MASK]"), "a model for classification cannot fill; use one of: classify, embed"),
    (("classify", "{masked-lm}", "the boat."), "one text; expected two with a TAB between"),
    (("classify", "{masked-lm}", "a\tb", "--head", "x"), "head 'x' is not known; expected next-sentence"),
    (("classify", "{classification}", "a", "--head", "next-sentence"), "a classifier has one head; leave it away"),
    (("classify", "{classification}", "a\tb\tc"), "3 texts with TABs between; expected one or two"),
    (("classify", "{classification}", "a", "--top", "0"), "top 0: expected at least 1"),
    (("classify", "{classification}", "a", "--batch-size", "0"), "batch_size 0: expected at least 1"),
    (("fill", "{masked-lm}", "the [MASK].", "the boat."), r"text 2, 'the boat\.': no \[MASK\] in it"),
    (("classify", "{masked-lm}", "a\tb", "the boat."), r"text 2, 'the boat\.': one text; expected two with a TAB"),
    (("classify", "{classification}", "a", "a\tb"), r"text 2, 'a\\tb': pairs of texts; this model was trained on"),
    (("tag", "{masked-lm}", "a"), "a model for masked-lm cannot tag; use one of: fill, classify"),
    (("embed", "{tagging}", "a", "--pool", "max"), "pool 'max' is not known of bert; expected cls, mean or last"),
    (("evaluate", "{tagging}", "--data", "t.txt", "--beam", "3"), "beam does not go with a tagger"),
    (("train", "masked-lm", "--data", "x.txt", "--model", "lstm"), "model lstm cannot do masked-lm"),
    (("train", "tagging", "--data", "t.txt", "--columns", "a,b"), "--columns does not go with tagging"),
    (("train", "masked-lm"), "no data to train on"),
    (("train", "tagging", "--data", "t.txt", "--encoding", "utf-9"), "encoding 'utf-9' is not known"),
    (("train", "tagging"), "no data to train on; name it with --data, for example --data words.conllu"),
    (
        ("train", "masked-lm", "--data", "x.txt", "--set", "training.masked=false",
         "--set", "training.next_sentence=false"),
        "masked and next_sentence are both false",
    ),
    (("train", "masked-lm", "--data", "l.txt", "--set", "training.masked=false"), "nothing is left to learn"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_what_cannot_be_done_is_refused_in_one_message(
    arguments: tuple[str, ...],
    message: str,
    runs: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keifu: Command,
) -> None:
    monkeypatch.chdir(tmp_path)
    files = {"x.txt": documents(20), "t.txt": tagged(20), "l.txt": "one line\nanother line\n" * 20}
    for name, content in files.items():
        write_text(tmp_path / name, content)
    named: Any = {task: str(path) for task, path in runs.items()}
    given = [named[each[1:-1]] if each.startswith("{") else each for each in arguments]
    assert_one_message(keifu(*given), 2, message)
    assert {path.name for path in tmp_path.iterdir()} == set(files)


@pytest.mark.parametrize(
    ("task", "content", "message"),
    [
        ("masked-lm", "one line\nanother line\n" * 20, "no document has two sentences"),
        ("masked-lm", "\n".join(["A b c."] * 9), "one document with several sentences, so no pair of two"),
        ("classification", "a\tx\nb\tx\n" * 9, "all examples are of the class 'x'; expected several"),
        ("classification", "a\tx\nb\ty\n" * 19 + "c\tz\n", "the class 'z' does not occur among the examples to learn"),
        ("classification", "a\tx\n", "only one example; training needs at least 2"),
        ("classification", "only text\n" * 9, "one text a line, without a class"),
        ("tagging", "a b c\n" * 9, "3 columns"),
        (
            "tagging",
            "I like it\tgood\n" * 9,
            r"only one sentence \(a blank line ends each\); training needs at",
        ),
        ("tagging", "", "the file is empty"),
    ],
)
def test_data_that_hold_nothing_to_learn_are_refused_in_one_message(
    task: str, content: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keifu: Command
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.txt").write_text(content, "utf-8")
    reading = "stream" if "A" in content else "documents"
    more = ("--set", "training.next_sentence=true", "--set", f"data.reading={reading}")
    given = ("--data", "x.txt", "--out", "run", *(more if task == "masked-lm" else ()), *set_arguments(OPTIONS))
    assert_one_message(keifu("train", task, *given), 3, message)
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


@pytest.mark.parametrize(
    ("task", "key", "value", "message"),
    [
        ("classification", "labels", ["x"], "labels: expected a list of names"),
        ("tagging", "labels", None, "labels: expected a list of names"),
        ("classification", "labels", ["x", "y", "z"], "do not fit its config.json"),
        ("masked-lm", "masked", 1, "masked and next_sentence: expected true or false"),
        ("masked-lm", "max_tokens", "x", "max_tokens: expected a whole number"),
        ("masked-lm", "next_sentence", False, "do not fit its config.json"),
    ],
)
def test_a_damaged_config_is_named(
    task: str, key: str, value: object, message: str, runs: dict[str, Path], tmp_path: Path, keifu: Command
) -> None:
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes((runs[task] / "best" / name).read_bytes())
    config = json.loads((runs[task] / "best" / "config.json").read_text("utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config | {key: value}), "utf-8")
    assert_one_message(keifu("embed", tmp_path, "a"), 3, message)
