"""Every command does what its help says, prints lines or JSON, and ends with the code of the contract."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sacrebleu

from keifu.cli.commands import app
from keifu.config import read_yaml
from keifu.session import Model, TrainedRun, Translator, load
from keifu.tasks.translation import Translation
from keifu.text import Tokenizer
from keifu.training.run import Run
from keifu.training.settings import SCHEMAS, default_model, resolve_settings
from tests.cli.conftest import Command
from tests.tiny import pairs, set_arguments, write

COMMANDS = {
    "train": "data model valid source target columns encoding out init max-time max-steps epochs preset config set "
    "device precision seed dry-run quiet json",
    "check": "valid task model source target columns encoding preset config set device precision seed json",
    "resume": "max-time max-steps epochs quiet json",
    "evaluate": "data beam length-penalty source target columns encoding device precision batch-size seed json",
    "translate": "file out beam n-best length-penalty raw device precision batch-size seed json",
    "diagnose": "data limit beam length-penalty source target columns encoding device precision batch-size seed json",
    "generate": "max-tokens temperature top-k top-p min-p repetition-penalty samples device precision compile "
    "batch-size seed json",
    "fill": "top device precision batch-size seed json",
    "classify": "head top device precision batch-size seed json",
    "tag": "device precision batch-size seed json",
    "answer": "story encoding device precision batch-size seed json",
    "embed": "pool normalise device precision batch-size seed json",
    "models": "json",
    "datasets": "json",
    "download": "json",
    "config": "preset",
    "env": "json",
}


def assert_one_message(result: Any, code: int, message: str) -> None:
    """The command failed with a short message on standard error and nothing else."""
    assert result.code == code
    assert re.search(message, result.err), result.err
    assert result.err.startswith("keifu: ")
    assert "Traceback" not in result.err
    assert len(result.err) < 500
    assert result.out == ""


# ---- help --------------------------------------------------------------------------------------------------


def test_help_lists_every_command_without_importing_torch() -> None:
    code = (
        "import sys; from keifu.cli import main; sys.argv = ['keifu', *sys.argv[1:]]\n"
        "try: main()\n"
        "finally: sys.stderr.write(' '.join(sorted({'torch', 'numpy', 'tokenizers'} & set(sys.modules))))"
    )
    for arguments in (["--help"], ["train", "--help"]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
        assert done.stderr == ""
        assert "Usage: keifu" in done.stdout
        if len(arguments) == 1:
            assert set(re.findall(r"^  ([a-z]+)  ", done.stdout, re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_names_every_option(command: str, keifu: Command) -> None:
    result = keifu(command, "--help")
    assert result.code == 0
    assert set(re.findall(r"^  --([a-z-]+)", result.out, re.MULTILINE)) == {*COMMANDS[command].split(), "help"}
    assert max(map(len, result.out.splitlines())) <= 80


def test_every_command_is_tested_here() -> None:
    names = {info.name or info.callback.__name__ for info in app.registered_commands if info.callback}
    assert names == set(COMMANDS)


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["train"], ["--fast"], ["train", "translation", "--fast"], ["evaluate", "run"],
                  ["translate"], ["check"], ["config", "translation"], ["translate", "run", "--beam", "wide"]]
)  # fmt: skip
def test_wrong_usage_ends_with_code_2(arguments: list[str], keifu: Command) -> None:
    result = keifu(*arguments)
    assert result.code == 2
    assert "Usage: keifu" in result.out + result.err
    assert "Traceback" not in result.err


# ---- train -------------------------------------------------------------------------------------------------


def train(keifu: Command, spec: str, out: Path, *more: object) -> Any:
    return keifu("train", "translation", "--data", spec, "--out", out, *set_arguments(), *more)


def test_training_prints_plain_lines_where_there_is_no_terminal(corpus: str, tmp_path: Path, keifu: Command) -> None:
    result = train(keifu, corpus, tmp_path / "run", "--max-steps", 4, "--set", "training.evaluate_every=2")
    assert (result.code, result.err) == (0, "")
    assert "\x1b" not in result.out
    assert "\r" not in result.out
    lines = result.out.splitlines()
    assert lines[0].split() == ["run", str(tmp_path / "run")]
    shown = {line.split()[0]: line for line in lines if not line.startswith(" ")}
    assert "114 pairs, en to ja" in " ".join(result.out.split())
    assert "d_model 16" in shown["model"]
    assert "4 steps, evaluated every 2; cpu, float32" in shown["training"]
    assert "only 114 pairs to learn from" in shown["note"]
    assert re.match(r"estimate about \d+s for 4 steps \(.* epochs\)", shown["estimate"])
    assert [line for line in lines if line.startswith("step 2  saved")]
    assert "step 4  done" in lines
    assert lines[-1] == f'use it: keifu translate {tmp_path / "run"} "..."'
    assert re.match(r"best at step [24]: BLEU [\d.]+ \(.*tok:char.*, greedy\), chrF", lines[-2])


def test_quiet_training_prints_only_the_result(corpus: str, tmp_path: Path, keifu: Command) -> None:
    result = train(keifu, corpus, tmp_path / "run", "--max-steps", 2, "--quiet")
    assert (result.code, result.err) == (0, "")
    assert [line.split()[0] for line in result.out.splitlines()] == ["best", "use"]


def test_json_training_prints_an_event_a_line(corpus: str, tmp_path: Path, keifu: Command) -> None:
    result = train(keifu, corpus, tmp_path / "run", "--max-steps", 3, "--set", "training.evaluate_every=2", "--json")
    events = [json.loads(line) for line in result.out.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds == ["step", "step", "evaluation", "checkpoint", "step", "evaluation", "checkpoint", "finished"]
    assert events[-1] == {"event": "finished", "step": 3, "reason": "steps"}
    assert events[3]["path"] == str(tmp_path / "run" / "checkpoints" / "step-2")
    assert {"loss", "tokens", "learning_rate", "norm", "seconds"} <= set(events[0])


def test_options_of_training_reach_the_settings(corpus: str, tmp_path: Path, keifu: Command) -> None:
    valid = write(tmp_path, pairs(9, seed=4), "valid")
    result = train(
        keifu, corpus, tmp_path / "run", "--valid", valid, "--source", "ja", "--target", "en", "--epochs", 0.5,
        "--seed", 7, "--precision", "bf16", "--device", "cpu", "--preset", "small", "--model", "transformer", "--quiet",
    )  # fmt: skip
    assert result.code == 0
    settings = read_yaml(tmp_path / "run" / "config.yaml")[0]
    training, data = settings["training"], settings["data"]
    assert (data["train"], data["valid"], data["source"], data["target"]) == (corpus, valid, "ja", "en")
    assert (training["seed"], training["precision"], training["device"], training["epochs"]) == (7, "bf16", "cpu", 0.5)
    report = json.loads((tmp_path / "run" / "data.json").read_text())
    assert report["languages"] == ["ja", "en"]
    assert report["valid"]["spec"] == valid
    assert "tok:13a" in result.out


def test_without_a_name_a_run_goes_to_runs(
    corpus: str, tmp_path: Path, keifu: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("train", "translation", "--data", corpus, *set_arguments(), "--max-steps", 1, "--quiet")
    assert [keifu(*arguments).code for _ in range(2)] == [0, 0]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["text-transformer-1", "text-transformer-2"]


def test_a_dry_run_prints_the_settings_and_writes_nothing(corpus: str, tmp_path: Path, keifu: Command) -> None:
    result = train(keifu, corpus, tmp_path / "run", "--dry-run", "--max-steps", 5)
    assert result.code == 0
    assert list(tmp_path.iterdir()) == []
    printed = tmp_path / "printed.yaml"
    printed.write_text(result.out)
    settings = read_yaml(printed)[0]
    assert settings["training"]["max_steps"] == 5
    assert settings["model"]["vocab_size"] > 20
    again = keifu("train", "translation", "--config", printed, "--out", tmp_path / "run", "--quiet")
    assert again.code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-steps", 1, "--max-time", "1m"], "--max-time and --max-steps were given together; choose one"),
        (["--max-steps", "many"], "--max-steps many: expected a number"),
        (["--max-steps", 0], r"training\.max_steps: expected at least 1, found 0"),
        (["--max-steps", 1.5], "--max-steps 1.5: expected a number"),
        (["--epochs", "nan"], r"training\.epochs: expected a finite number"),
        (["--max-time", "soon"], "'soon' is no duration; write for example 90s, 20m"),
        (["--max-time", "0.001s"], "the time is too short"),
        (["--seed", -1], r"training\.seed: expected at least 0"),
        (["--preset", "huge"], "preset 'huge' is not known; transformer has tiny, small, base"),
        (["--model", "gtp"], "model 'gtp' is not known"),
        (["--device", "gpu"], "device 'gpu' is not known; expected auto, cpu"),
        (["--precision", "fp16"], r"training\.precision: expected 'auto', 'fp32' or 'bf16', found 'fp16'"),
        (["--source", "fr"], "its sides are en and ja, asked for --source fr"),
        (["--set", "model.d_modell=3"], r"--set model\.d_modell: unknown key; did you mean d_model\?"),
        (["--set", "d_model=3"], "expected section.key=value"),
        (["--config", "nothing.yaml"], "nothing.yaml: no such file; expected a YAML file"),
        (["--valid", "a.en,b.ja,c.de"], "expected two aligned files"),
    ],
)
def test_a_mistake_in_the_settings_of_training_ends_with_code_2_and_leaves_no_folder(
    arguments: list[object], message: str, corpus: str, tmp_path: Path, keifu: Command
) -> None:
    assert_one_message(train(keifu, corpus, tmp_path / "run", *arguments), 2, message)
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_in_the_data_ends_with_code_3_and_leaves_no_folder(tmp_path: Path, keifu: Command) -> None:
    (tmp_path / "a.en").write_bytes(b"one\n\xff\n")
    (tmp_path / "a.ja").write_bytes(b"1\n2\n")
    result = train(keifu, f"{tmp_path}/a.en,{tmp_path}/a.ja", tmp_path / "run")
    assert_one_message(
        result, 3, r"a\.en:2: not UTF-8; this looks like cp1252: add --encoding cp1252, or save it as UTF-8"
    )
    result = train(keifu, f"{tmp_path}/a.ja,{tmp_path}/none.ja", tmp_path / "run")
    assert_one_message(result, 3, r"none\.ja: no such file")
    assert not (tmp_path / "run").exists()


def test_all_mistakes_of_a_configuration_are_told_with_their_lines(corpus: str, tmp_path: Path, keifu: Command) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("model:\n  d_modell: 3\n  n_layers: 0\ntraining:\n  schedule: up\n  seed: x\n")
    result = train(keifu, corpus, tmp_path / "run", "--config", file)
    assert result.code == 2
    assert result.err.replace(f"{file}:", "").splitlines() == [
        "keifu: 2: model.d_modell: unknown key; did you mean d_model?",
        "5: training.schedule: expected 'linear', 'cosine', 'inverse-sqrt' or 'constant', found 'up'",
        "6: training.seed: expected an integer, found 'x'",
    ]
    assert not (tmp_path / "run").exists()


def test_a_file_says_device_precision_and_seed_unless_the_command_line_does(
    corpus: str, tmp_path: Path, keifu: Command
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("training: {device: cpu, precision: bf16, seed: 3}\n")

    def settings(*more: object) -> tuple[str, str, int]:
        base = ("train", "translation", "--data", corpus, "--config", file, "--dry-run", "--max-steps", 1)
        (tmp_path / "out.yaml").write_text(keifu(*base, *more).out)
        training = read_yaml(tmp_path / "out.yaml")[0]["training"]
        return training["device"], training["precision"], training["seed"]

    assert settings() == ("cpu", "bf16", 3)
    assert settings("--device", "auto", "--precision", "fp32", "--seed", 0) == ("auto", "fp32", 0)


def test_a_folder_in_use_is_refused(corpus: str, trained: TrainedRun, keifu: Command) -> None:
    assert_one_message(train(keifu, corpus, trained.path), 2, "the folder is not empty; name another one with --out")


def test_a_loss_that_is_no_number_ends_with_code_3_and_the_last_checkpoint_is_good(
    corpus: str, tmp_path: Path, keifu: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(1000))  # two to learn what a step needs, two steps, an evaluation, a step
    loss = Translation.loss

    def poisoned(self: Translation, *arguments: Any) -> Any:
        found = loss(self, *arguments)
        return found if next(calls) < 6 else found._replace(total=found.total * float("nan"))

    monkeypatch.setattr(Translation, "loss", poisoned)
    limits = ("--max-steps", 9, "--set", "training.evaluate_every=2", "--quiet")
    result = train(keifu, corpus, tmp_path / "run", *limits)
    assert_one_message(result, 3, r"step 4: the loss is .* the gradient's norm nan; nothing was updated")
    assert load(tmp_path / "run", "cpu").path.name == "step-2"


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (MemoryError(), 4, "out of memory; try a smaller training.batch_tokens"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ..."), 4, "out of memory"),
        (OSError(errno.ENOSPC, "No space left on device", "train.log"), 3, "train.log: No space left on device"),
    ],
)
def test_what_the_machine_lacks_is_said_without_a_traceback(
    error: Exception, code: int, message: str, corpus: str, tmp_path: Path, keifu: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def fails(self: Run, **_: object) -> None:
        raise error

    monkeypatch.setattr(Run, "events", fails)
    assert_one_message(train(keifu, corpus, tmp_path / "run", "--max-steps", 1, "--quiet"), code, message)


def test_a_programmers_mistake_keeps_its_traceback(
    corpus: str, tmp_path: Path, keifu: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Run, **_: object) -> None:
        raise RuntimeError("size mismatch")

    monkeypatch.setattr(Run, "events", fails)
    with pytest.raises(RuntimeError, match="size mismatch"):
        train(keifu, corpus, tmp_path / "run", "--max-steps", 1, "--quiet")


def test_two_pairs_can_be_trained_on(tmp_path: Path, keifu: Command) -> None:
    spec = write(tmp_path, pairs(2))
    result = keifu("train", "translation", "--data", spec, "--out", tmp_path / "run", "--max-steps", 2,
                   "--set", "model.d_model=16", "--set", "model.d_ff=16")  # fmt: skip
    assert result.code == 0
    assert ": 1 pair, " in result.out


# ---- resume ------------------------------------------------------------------------------------------------


def test_resume_goes_on_with_a_run(corpus: str, tmp_path: Path, keifu: Command) -> None:
    run = tmp_path / "run"
    assert train(keifu, corpus, run, "--max-steps", 2, "--quiet").code == 0
    assert_one_message(keifu("resume", run), 2, r"all 2 steps are done; to go on, add --max-steps \+N")
    result = keifu("resume", run, "--max-steps", "+2")
    assert result.code == 0
    assert "resumed  goes on from step 2" in result.out
    assert "step 4  done" in result.out
    events = [json.loads(line) for line in keifu("resume", run, "--max-steps", "5", "--json").out.splitlines()]
    assert [event["step"] for event in events if event["event"] == "step"] == [5]
    assert "best" in keifu("resume", run, "--epochs", "+1", "--quiet").out
    together = keifu("resume", run, "--epochs", "+1", "--max-steps", "+1")
    assert_one_message(together, 2, "--max-steps and --epochs were given together; choose one")


def test_resume_wants_a_run(tmp_path: Path, trained: TrainedRun, keifu: Command) -> None:
    assert_one_message(keifu("resume", tmp_path / "none"), 3, "no such folder; expected a run folder")
    assert_one_message(keifu("resume", trained.path / "best"), 3, "expected a run folder, as keifu train makes it")


# ---- evaluate ----------------------------------------------------------------------------------------------


def test_evaluate_prints_every_score_with_its_signature(trained: TrainedRun, tmp_path: Path, keifu: Command) -> None:
    examples = pairs(12, seed=8)
    spec = write(tmp_path, examples)
    found = load(trained.path, "cpu").translate([pair.source for pair in examples], beam=2)
    bleu = sacrebleu.corpus_bleu(found, [[pair.target for pair in examples]], tokenize="char").score
    result = keifu("evaluate", trained.path, "--data", spec, "--beam", 2, "--device", "cpu", "--batch-size", 5)
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == f"{spec}: 12 sentences, beam 2"
    assert lines[1].split()[:2] == ["BLEU", f"{bleu:.2f}"]
    assert "tok:char" in lines[1]
    assert "counted by characters" in lines[2]
    assert [line.split()[0] for line in lines[3:]] == ["chrF", "exact", "loss", "perplexity", "speed"]
    report = json.loads(keifu("evaluate", trained.path, "--data", spec, "--beam", 2, "--json").out)
    assert report["bleu"] == bleu
    assert report["selected_on"] is False
    longer = json.loads(keifu("evaluate", trained.path, "--data", spec, "--length-penalty", 3.5, "--json").out)
    assert (report["beam"], longer["beam"]) == (2, 5)


def test_pairs_that_a_model_of_a_single_stream_cannot_read_are_left_out_of_its_scores(
    corpus: str, tmp_path: Path, keifu: Command
) -> None:
    run, examples = tmp_path / "run", pairs(30, seed=8)
    trained = train(keifu, corpus, run, "--model", "gpt", "--set", "model.max_length=70", "--max-steps", 2)
    assert "with more than 35 tokens (half of model.max_length)" in " ".join(trained.out.split())
    short = [pair for pair in examples if len(pair.source) <= 35]
    long = [pair for pair in examples if len(pair.source) > 35]
    specs = [write(tmp_path, some, name) for some, name in ((examples, "all"), (short, "short"), (long, "long"))]
    report, of_short = (json.loads(keifu("evaluate", run, "--data", spec, "--json").out) for spec in specs[:2])
    assert (report["sentences"], report["left_out_as_too_long"]) == (len(short), len(long))
    assert all(report[name] == of_short[name] for name in ("bleu", "chrf", "loss"))
    assert "left_out_as_too_long" not in of_short
    note = f"note: {len(long)} pairs were left out: the model does not read sources that long"
    assert note in keifu("evaluate", run, "--data", specs[0]).out
    message = r"every source has over 35 tokens \(half of model.max_length\); name other data"
    assert_one_message(keifu("evaluate", run, "--data", specs[2]), 3, message)


def test_evaluate_says_when_the_model_was_chosen_on_the_data(
    trained: TrainedRun, tmp_path: Path, keifu: Command
) -> None:
    spec = write(tmp_path, pairs(120)[-6:])
    result = keifu("evaluate", trained.path, "--data", spec)
    assert "note: the best checkpoint was chosen on this very data" in result.out


def test_evaluate_refuses_what_it_cannot_read(trained: TrainedRun, corpus: str, tmp_path: Path, keifu: Command) -> None:
    assert_one_message(keifu("evaluate", tmp_path / "none", "--data", corpus), 3, "no such folder")
    assert_one_message(keifu("evaluate", trained.path, "--data", "x.en,x.ja"), 3, "x.en: no such file")
    assert_one_message(keifu("evaluate", trained.path, "--data", "x.en"), 3, "x.en: no such file")
    fr = keifu("evaluate", trained.path, "--data", corpus, "--target", "fr")
    assert_one_message(fr, 2, "its sides are en and ja, asked for --target fr")


def test_evaluating_on_data_in_other_languages_is_remarked_upon(
    trained: TrainedRun, corpus: str, tmp_path: Path, keifu: Command
) -> None:
    note = "note: the data go from en to de, the model from en to ja"
    assert note not in keifu("evaluate", trained.path, "--data", corpus).out
    left, right = corpus.split(",")
    shutil.copy(right, tmp_path / "text.de")
    assert note in keifu("evaluate", trained.path, "--data", f"{left},{tmp_path}/text.de").out


# ---- translate ---------------------------------------------------------------------------------------------


def test_translate_prints_a_line_for_each_text(trained: TrainedRun, model: Model, keifu: Command) -> None:
    texts = ["I see cats.", "", "They draw fish.", "   "]
    result = keifu("translate", trained.path, *texts)
    assert (result.code, result.err) == (0, "")
    assert result.out.split("\n") == [*model.translate(texts), ""]


@pytest.mark.parametrize(
    "stdin",
    [
        b"I see cats.\n\nThey draw fish.\n  \n",
        b"I see cats.\r\n\r\nThey draw fish.\r\n  \r\n",
        b"\xef\xbb\xbfI see cats.\n\nThey draw fish.\n  ",
    ],
    ids=["LF", "CRLF", "BOM, no last LF"],
)
def test_translate_reads_standard_input_line_by_line(
    stdin: bytes, trained: TrainedRun, model: Model, keifu: Command
) -> None:
    result = keifu("translate", trained.path, stdin=stdin)
    assert result.out.split("\n") == [*model.translate(["I see cats.", "", "They draw fish.", ""]), ""]


def test_translate_gives_as_many_lines_as_it_gets(trained: TrainedRun, keifu: Command) -> None:
    for lines in ([], [""], ["I\u2028see", "You\x0bdraw\x85"], ["I see cats.\rYou draw fish.", "x"]):
        result = keifu("translate", trained.path, stdin="".join(f"{line}\n" for line in lines).encode())
        assert result.code == 0
        assert result.out.count("\n") == len(lines)
    assert keifu("translate", trained.path, "two\nlines", "one").out.count("\n") == 2


def test_an_output_with_line_feeds_stays_one_line(
    trained: TrainedRun, keifu: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(self: Model, texts: list[str], **_: object) -> list[Any]:
        return [type("Found", (), {"text": "one\ntwo\r\nthree\r", "score": 0.0, "complete": True})() for _ in texts]

    monkeypatch.setattr(Translator, "translate", found)
    assert keifu("translate", trained.path, "x", "y").out == "one two three\n" * 2


def test_translate_prints_json_with_scores(trained: TrainedRun, model: Model, keifu: Command) -> None:
    result = keifu("translate", trained.path, "--json", "--beam", 3, "--n-best", 2, "I see cats.", "")
    lines = [json.loads(line) for line in result.out.splitlines()]
    best = model.translate("I see cats.", beam=3, n_best=2, details=True)
    assert lines[:2] == [
        {
            "source": "I see cats.",
            "translation": one.text,
            "raw": one.raw,
            "score": pytest.approx(one.score),
            "complete": one.complete,
        }
        for one in best
    ]
    assert all(line["source"] == "" and line["translation"] == "" for line in lines[2:])
    assert "\\u" not in result.out


def test_translate_prints_ordinary_writing_or_what_the_model_wrote(
    trained: TrainedRun, tmp_path: Path, keifu: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        shutil.copy(trained.path / "best" / name, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    config |= {"normalisation": {"target": {"split_punctuation": True}}}
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    monkeypatch.setattr(Tokenizer, "decode_batch", lambda self, rows: ["i see ."] * len(rows))
    for options, expected in (((), "i see."), (("--raw",), "i see .")):
        assert keifu("translate", tmp_path, "x", *options).out == expected + "\n"
        line = json.loads(keifu("translate", tmp_path, "x", "--json", *options).out)
        assert (line["translation"], line["raw"]) == (expected, "i see .")


def test_options_of_translate_reach_the_search(trained: TrainedRun, model: Model, keifu: Command) -> None:
    text = pairs(3, seed=5)[2].source
    for options in ({"beam": 1}, {"beam": 4, "length_penalty": 0.0}, {"beam": 2, "batch_size": 1}):
        arguments = [part for key, value in options.items() for part in (f"--{key.replace('_', '-')}", value)]
        assert keifu("translate", trained.path, text, *arguments).out == model.translate(text, **options) + "\n"
    base = ("translate", trained.path, text, "--device", "cpu", "--seed", 3, "--precision")
    assert [keifu(*base, precision).code for precision in ("auto", "fp32", "bf16")] == [0, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--beam", 0], 2, r"decoding\.beam: expected at least 1, found 0"),
        (["--beam", 1000], 2, r"decoding\.beam: expected at most 100, found 1000"),
        (["--n-best", 9], 2, "n_best 9 needs a beam of 9 or more, found 5"),
        (["--length-penalty", "nan"], 2, r"decoding\.length_penalty: expected a finite number"),
        (["--batch-size", 0], 2, r"decoding\.batch_size: expected at least 1"),
        (["--precision", "int4"], 2, "precision 'int4' is not known"),
        (["--device", "cuda:99"], 2, "device 'cuda:99' cannot be used here"),
        (["\udcff"], 3, "not valid Unicode"),
    ],
)
def test_a_mistake_in_translating_is_one_message(
    arguments: list[object], code: int, message: str, trained: TrainedRun, keifu: Command
) -> None:
    assert_one_message(keifu("translate", trained.path, "I see cats.", *arguments), code, message)


def test_standard_input_in_another_encoding_is_refused_with_its_line(trained: TrainedRun, keifu: Command) -> None:
    result = keifu("translate", trained.path, stdin=b"I see cats.\n" + "猫".encode("shift_jis"))
    assert_one_message(result, 3, "standard input:2: not UTF-8")


# ---- models, config, env -----------------------------------------------------------------------------------


def test_models_lists_the_family(keifu: Command) -> None:
    plain, lines = keifu("models").out, keifu("models", "--json").out.splitlines()
    found = [json.loads(line) for line in lines]
    assert [entry["year"] for entry in found] == sorted(entry["year"] for entry in found)
    for entry in found:
        assert all(text in plain for text in (entry["name"], str(entry["year"]), entry["paper"], entry["added"]))
        assert set(entry["tasks"]) <= set(SCHEMAS)


@pytest.mark.parametrize("preset", [None, "tiny", "small", "base"])
def test_config_prints_what_train_accepts_unchanged(
    preset: str | None, corpus: str, tmp_path: Path, keifu: Command
) -> None:
    result = keifu("config", "translation", "transformer", *(["--preset", preset] if preset else []))
    assert result.code == 0
    file = tmp_path / "printed.yaml"
    file.write_text(result.out, "utf-8")
    settings = resolve_settings("translation", config=file)
    assert settings == resolve_settings("translation", "transformer", preset or "small")
    if preset == "tiny":
        dry = keifu("train", "translation", "--data", corpus, "--config", file, "--dry-run", "--max-steps", 1)
        assert dry.code == 0


@pytest.mark.parametrize("task", SCHEMAS)
def test_config_documents_every_field(task: str, keifu: Command) -> None:
    model = default_model(task)
    lines = keifu("config", task, model).out.splitlines()
    settings = resolve_settings(task, model)
    assert {type(section) for section in settings.sections.values()} >= set(SCHEMAS[task].values())
    for section in settings.sections.values():
        for name in type(section).model_fields:
            places = [number for number, line in enumerate(lines) if line.startswith(f"  {name}:")]
            assert places
            assert all(lines[place - 1].startswith("  # ") for place in places), name


def test_config_refuses_unknown_names(keifu: Command) -> None:
    assert_one_message(keifu("config", "taging", "transformer"), 2, "task 'taging' is not known")
    assert_one_message(keifu("config", "translation", "gtp"), 2, "model 'gtp' is not known")
    assert_one_message(keifu("config", "translation", "transformer", "--preset", "x"), 2, "preset 'x' is not known")


def test_env_prints_versions_and_the_machine(keifu: Command) -> None:
    facts = json.loads(keifu("env", "--json").out)
    assert {"keifu", "torch", "numpy", "tokenizers", "sacrebleu"} <= set(facts["packages"])
    assert facts["device"] in ("cpu", "cuda")
    assert facts["precision"] in ("float32", "bfloat16")
    plain = keifu("env").out
    assert f"torch        {facts['packages']['torch']}" in plain
    assert f"python       {facts['python']}" in plain


def test_a_reader_that_leaves_early_causes_no_traceback() -> None:
    command = [sys.executable, "-m", "keifu", "config", "translation", "transformer"]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stderr is not None
    writer.stdout.close()
    assert b"Traceback" not in writer.stderr.read()
    writer.stderr.close()
    writer.wait(30)


def test_json_is_json_wherever_it_is_printed() -> None:
    command = [sys.executable, "-m", "keifu", "models", "--json"]
    encoded = [
        subprocess.run(command, capture_output=True, check=True, env=os.environ | {"PYTHONIOENCODING": name}).stdout
        for name in ("utf-8", "ascii")
    ]
    plain, escaped = ([json.loads(line) for line in each.decode().splitlines()] for each in encoded)
    assert plain == escaped
    line = [sys.executable, "-c", "from keifu.cli.options import json_line; print(json_line('é😀'))"]
    told = subprocess.run(line, capture_output=True, check=True, env=os.environ | {"PYTHONIOENCODING": "latin-1"})
    assert json.loads(told.stdout) == "é😀"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is not there")
def test_a_full_disk_behind_standard_output_is_told_of() -> None:
    with open("/dev/full", "w") as full:
        told = subprocess.run(
            [sys.executable, "-m", "keifu", "models"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert told.returncode == 3
    assert told.stderr.decode().endswith(": No space left on device\n")
