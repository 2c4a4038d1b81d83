"""A real process that is told to stop saves first, whatever it is doing, and its run goes on as if it never had."""

import os
import pty
import random
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
from keifu.training.loop import Evaluation
from keifu.training.start import resume
from tests.cli.conftest import Command
from tests.cli.processes import (
    STEPS,
    TRAINING,
    Process,
    assert_equal_in_the_end,
    read_to_the_end,
    read_until,
    start_train,
)
from tests.counts import Record, repeats
from tests.tiny import TINY, pairs, set_arguments, tiny_run, write

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def stop(process: Process, number: int) -> tuple[list[dict[str, Any]], float]:
    """The events after the signal, and the seconds to the end of the process."""
    asked = time.monotonic()
    process.send_signal(number)
    events, err = read_to_the_end(process)
    seconds = time.monotonic() - asked
    assert seconds < 5
    assert process.returncode == 130
    assert err.strip().startswith("stopping, saving first")
    assert "Traceback" not in err
    return events, seconds


def assert_saved(path: Path, events: list[dict[str, Any]]) -> int:
    """The process ended with a whole checkpoint; returns its step."""
    saved, end = events[-2:]
    assert [saved["event"], end["event"], end["reason"]] == ["checkpoint", "finished", "interrupted"]
    step = int(end["step"])
    assert saved["path"] == str(path / "checkpoints" / f"step-{step}")
    assert (path / "last").resolve().name == f"step-{step}"
    assert verify(path / "last") == []
    return step


@pytest.mark.parametrize("seed", range(repeats(2, 10)))
def test_a_signal_saves_and_ends_with_code_130_within_seconds(
    seed: int, corpus: str, unbroken: Path, tmp_path: Path, keifu: Command, record_property: Record
) -> None:
    draw = random.Random(seed)
    process = start_train(corpus, tmp_path / "run")
    moment = draw.randrange(1, STEPS - 50)  # far enough from the end for the signal to come before it
    before = read_until(process, moment)
    time.sleep(draw.uniform(0, 0.05))
    events, seconds = stop(process, SIGNALS[seed % 2])
    step = assert_saved(tmp_path / "run", [*before, *events])
    assert moment <= step < STEPS

    assert keifu("resume", tmp_path / "run", "--quiet").code == 0
    assert_equal_in_the_end(tmp_path / "run", unbroken)
    record_property("signals while training", 1)
    record_property("slowest end, seconds", seconds)


# ---- during an evaluation ----------------------------------------------------------------------------------

EVALUATED = repeats(30, 400)  # sentences, one at a time: in full, an evaluation takes longer than a process may
SLOW: dict[str, Any] = {
    "training": {"max_steps": 30, "evaluate_every": 15, "evaluate_on": EVALUATED},
    "decoding": {"batch_size": 1},
}


@pytest.fixture(scope="module")
def validation(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(tmp_path_factory.mktemp("validation"), pairs(EVALUATED, seed=1))


@pytest.fixture(scope="module")
def slow(corpus: str, validation: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """An unbroken run, and the seconds that its last evaluation took."""
    run = tiny_run(corpus, tmp_path_factory.mktemp("runs") / "slow", **merge(SLOW, {"data": {"valid": validation}}))
    return run.folder.path, [event.seconds for event in run.events() if isinstance(event, Evaluation)][-1]


@pytest.mark.parametrize("seed", range(repeats(1, 10)))
def test_a_signal_in_an_evaluation_saves_without_its_scores(
    seed: int,
    corpus: str,
    validation: str,
    slow: tuple[Path, float],
    tmp_path: Path,
    keifu: Command,
    record_property: Record,
) -> None:
    unbroken, length = slow
    draw = random.Random(seed)
    process = start_train(corpus, tmp_path / "run", "--valid", validation, settings=SLOW)
    step = draw.choice([15, 30])
    before = read_until(process, step)
    time.sleep(draw.uniform(0, 0.7 * length))
    events, seconds = stop(process, SIGNALS[seed % 2])
    assert assert_saved(tmp_path / "run", [*before, *events]) == step
    assert not any(event["event"] == "evaluation" for event in events)

    assert keifu("resume", tmp_path / "run", "--quiet").code == 0
    assert_equal_in_the_end(tmp_path / "run", unbroken)
    record_property("signals in an evaluation", 1)
    record_property("slowest end, seconds", seconds)
    record_property("an evaluation, seconds", length)


# ---- other ends --------------------------------------------------------------------------------------------


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
    assert result.err == "keifu: stopped while reading the data, before training\n"
    assert not (tmp_path / "run").exists()


def test_an_output_that_takes_no_more_saves_and_ends(corpus: str, tmp_path: Path, keifu: Command) -> None:
    settings = set_arguments(merge(TINY, {"training": TRAINING}))
    command = [sys.executable, "-m", "keifu", "train", "translation", "--data", corpus, *settings, "--json"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*command, "--out", tmp_path / "run"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120
        )
    assert done.returncode == 130, done.stderr
    assert done.stderr == "keifu: standard output: No space left on device; stopping, saving first\n"
    assert (tmp_path / "run" / "last").resolve().name == "step-1"
    assert keifu("resume", tmp_path / "run", "--max-steps", "+1", "--quiet").code == 0


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
