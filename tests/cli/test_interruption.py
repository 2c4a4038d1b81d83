"""A real process that is told to stop saves first; one that is killed has lost nothing but its last steps."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from keifu.checkpoint import verify
from keifu.cli.watch import stop_requests
from keifu.config import merge
from keifu.session import load
from keifu.training.start import resume
from tests.cli.conftest import Command
from tests.tiny import TINY, metric_lines, set_arguments, tiny_run

STEPS = 400
TRAINING = {"max_steps": STEPS, "evaluate_every": 50}
FILES = ("model.safetensors", "optimizer.safetensors", "training.json", "config.json", "tokenizer.json")


@pytest.fixture(scope="module")
def unbroken(corpus: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "unbroken"
    list(tiny_run(corpus, out, TRAINING).events())
    return out


def start(corpus: str, out: Path, *more: str) -> "subprocess.Popen[str]":
    arguments = ["train", "translation", "--data", corpus, "--out", str(out), "--json", *more]
    settings = set_arguments(merge(TINY, {"training": TRAINING}))
    command = [sys.executable, "-m", "keifu", *arguments, *settings]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_until(process: "subprocess.Popen[str]", step: int) -> list[dict[str, Any]]:
    assert process.stdout is not None
    events = []
    for line in process.stdout:
        events.append(json.loads(line))
        if events[-1]["step"] >= step:
            return events
    raise AssertionError(f"the process ended before step {step}")


def assert_equal_in_the_end(path: Path, unbroken: Path) -> None:
    for link in ("last", "best"):
        for name in FILES:
            assert (path / link / name).read_bytes() == (unbroken / link / name).read_bytes(), (link, name)
    assert metric_lines(path) == metric_lines(unbroken)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends_with_code_130_within_seconds(
    number: signal.Signals, corpus: str, unbroken: Path, tmp_path: Path, keifu: Command
) -> None:
    process = start(corpus, tmp_path / "run")
    read_until(process, 7)
    asked = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - asked < 5
    assert process.returncode == 130
    assert err.strip().startswith("stopping after this step, saving first")
    last = [json.loads(line) for line in out.splitlines()][-2:]
    assert [event["event"] for event in last] == ["checkpoint", "finished"]
    assert last[1]["reason"] == "interrupted"
    step = last[1]["step"]
    assert 7 <= step < STEPS
    checkpoint = tmp_path / "run" / "checkpoints" / f"step-{step}"
    assert last[0]["path"] == str(checkpoint)
    assert verify(checkpoint) == []

    result = keifu("resume", tmp_path / "run", "--quiet")
    assert result.code == 0
    assert_equal_in_the_end(tmp_path / "run", unbroken)


def test_a_killed_process_goes_on_from_its_newest_checkpoint(corpus: str, unbroken: Path, tmp_path: Path) -> None:
    process = start(corpus, tmp_path / "run")
    read_until(process, 117)
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert verify(load(tmp_path / "run", "cpu").path) == []
    command = [sys.executable, "-m", "keifu", "resume", str(tmp_path / "run"), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    first = next(json.loads(line) for line in done.stdout.splitlines())
    assert first["step"] in {begin + 1 for begin in range(100, STEPS, 50)}
    assert_equal_in_the_end(tmp_path / "run", unbroken)


def test_a_second_ctrl_c_ends_at_once_and_the_last_checkpoint_is_good(
    corpus: str, unbroken: Path, tmp_path: Path
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    run = tiny_run(corpus, tmp_path / "run", TRAINING)
    with stop_requests() as requests:
        for event in run.events():  # asks nobody whether to stop, like a step that takes for ever
            if event.step == 120:
                break
        os.kill(os.getpid(), signal.SIGINT)
        assert requests == [signal.SIGINT]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is handler
    run = resume(tmp_path / "run")
    assert run.learner.step == 100
    list(run.events())
    assert_equal_in_the_end(tmp_path / "run", unbroken)


def test_ctrl_c_before_training_leaves_no_folder_and_no_traceback(
    corpus: str, tmp_path: Path, keifu: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("keifu.training.start.load_corpus", interrupted)
    result = keifu("train", "translation", "--data", corpus, "--out", tmp_path / "run")
    assert result.code == 130
    assert result.out == ""
    assert len(result.err.splitlines()) <= 2
    assert not (tmp_path / "run").exists()


def test_progress_moves_on_a_terminal(corpus: str, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    arguments = ["train", "translation", "--data", corpus, "--out", str(tmp_path / "run"), "--max-steps", "30"]
    settings = set_arguments(merge(TINY, {"training": {"evaluate_every": 30}}))
    command = [sys.executable, "-m", "keifu", *arguments, *settings]
    process = subprocess.Popen(command, stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    while chunk := _read(master):
        shown += chunk
    os.close(master)
    assert process.wait(60) == 0
    text = shown.decode()
    assert re.search(r"\r\x1b\[Kstep 1/30  epoch 1  loss [\d.]+  [\d,]+ tokens/s  left \d+s", text)
    moving = [line for line in text.split("\n") if "tokens/s" in line]
    assert all("\r\x1b[K" in line for line in moving)
    assert text.rstrip().splitlines()[-1].startswith("use it: keifu translate")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other side is closed
        return b""
