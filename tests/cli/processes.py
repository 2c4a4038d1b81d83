"""Real `keifu` processes on the tiny corpus, and what a run of theirs must come to."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from keifu.config import merge
from tests.tiny import TINY, metric_lines, set_arguments

STEPS = 400
TRAINING = {"max_steps": STEPS, "evaluate_every": 20}
FILES = ("model.safetensors", "optimizer.safetensors", "training.json", "config.json", "tokenizer.json")

Process = subprocess.Popen[str]


def start_train(corpus: str, out: Path, *more: str, settings: dict[str, Any] | None = None) -> Process:
    overrides = set_arguments(merge(TINY, settings or {"training": TRAINING}))
    return start("train", "translation", "--data", corpus, "--out", str(out), *more, *overrides)


def start_resume(path: Path) -> Process:
    return start("resume", str(path))


def start(*arguments: str) -> Process:
    command = [sys.executable, "-m", "keifu", *arguments, "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_until(process: Process, step: int) -> list[dict[str, Any]]:
    """The events up to one of this step; fewer where the process ends before."""
    assert process.stdout is not None
    events: list[dict[str, Any]] = []
    for line in process.stdout:
        events.append(json.loads(line))
        if events[-1]["step"] >= step:
            break
    return events


def read_to_the_end(process: Process) -> tuple[list[dict[str, Any]], str]:
    """The events that are left, whole lines only, and what was said on standard error."""
    out, err = process.communicate(timeout=120)
    return [json.loads(line) for line in out.splitlines(keepends=True) if line.endswith("\n")], err


def assert_equal_in_the_end(path: Path, unbroken: Path) -> None:
    for link in ("last", "best"):
        assert (path / link).resolve().name == (unbroken / link).resolve().name
        for name in FILES:
            assert (path / link / name).read_bytes() == (unbroken / link / name).read_bytes(), (link, name)
    assert metric_lines(path) == metric_lines(unbroken)
