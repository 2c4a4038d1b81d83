"""A process that is killed loses nothing but its last steps: kill -9 at random moments, half of them inside a save."""

import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from keifu.checkpoint import RunFolder, load_training_state, verify
from keifu.session import load
from tests.cli.processes import (
    STEPS,
    Process,
    assert_equal_in_the_end,
    read_to_the_end,
    read_until,
    start_resume,
    start_train,
)
from tests.counts import Record, repeats

KILLS = repeats(2, 50)
SAVE = 0.02  # seconds that a save takes, about
START = 3.0  # seconds to the first step, about


def newest(path: Path) -> int:
    """The step of the newest checkpoint, 0 where there is none."""
    folder = RunFolder(path)
    found = folder.checkpoints() if folder.checkpoints_path.is_dir() else []
    return int(found[0].name.removeprefix("step-")) if found else 0


def begin_or_go_on(corpus: str, path: Path) -> Process:
    if newest(path):
        return start_resume(path)
    shutil.rmtree(path, ignore_errors=True)
    return start_train(corpus, path)


def await_random_moment(process: Process, step: int, draw: random.Random) -> list[dict[str, Any]]:
    """Waits to a moment after the start or after one of the next steps; returns the events until then."""
    if draw.random() < 0.15:
        time.sleep(draw.uniform(0, START))
        return []
    events = read_until(process, step + draw.randrange(1, 120))
    time.sleep(draw.uniform(0, SAVE))
    return events


def await_save(process: Process, path: Path, step: int, draw: random.Random) -> list[dict[str, Any]]:
    """Waits until one of the next saves has begun, and a part of the time that it takes."""
    events = read_until(process, step + draw.randrange(1, 120))
    while process.poll() is None and not list((path / "checkpoints").glob(".step-*.partial")):
        pass
    time.sleep(draw.uniform(0, SAVE))
    return events


def was_saving(path: Path) -> bool:
    """Whether a killed process was inside a save: something is half done, or `last` does not lead to the newest."""
    half_done = [*path.glob("checkpoints/.step-*"), *path.glob(".last.partial"), *path.glob(".best.partial")]
    return bool(half_done) or (newest(path) > 0 and (path / "last").resolve().name != f"step-{newest(path)}")


def assert_newest_loads(path: Path, reported: int) -> None:
    """What was reported as saved, or a newer one, is there; all that has the name of a checkpoint is whole."""
    assert newest(path) >= reported
    if newest(path):
        for checkpoint in RunFolder(path).checkpoints():
            assert verify(checkpoint) == []
            assert load_training_state(checkpoint).values["step"] == int(checkpoint.name.removeprefix("step-"))
        assert isinstance(load(path, "cpu").translate("I see cats."), str)


def is_done(process: Process, path: Path, err: str) -> bool:
    """Whether the run has ended: just now, or before a process that was killed could say so."""
    return process.returncode == 0 or (process.returncode == 2 and f"all {STEPS} steps are done" in err)


def test_a_run_that_is_killed_again_and_again_ends_like_one_that_never_was(
    corpus: str, unbroken: Path, tmp_path: Path, record_property: Record
) -> None:
    draw, path = random.Random(0), tmp_path / "run"
    kills = inside = runs = 0
    while not (kills >= KILLS and 2 * inside >= KILLS and runs):
        step = newest(path)
        process = begin_or_go_on(corpus, path)
        events: list[dict[str, Any]] = []
        if kills < KILLS or 2 * inside < KILLS:
            save_next = 2 * inside <= kills
            events = await_save(process, path, step, draw) if save_next else await_random_moment(process, step, draw)
            process.kill()
        more, err = read_to_the_end(process)
        if process.returncode == -signal.SIGKILL:
            kills += 1
            inside += was_saving(path)
            saved = [event["step"] for event in [*events, *more] if event["event"] == "checkpoint"]
            assert_newest_loads(path, max(saved, default=0))
        else:
            assert is_done(process, path, err), err
            assert_equal_in_the_end(path, unbroken)
            shutil.rmtree(path)
            runs += 1
            assert runs <= KILLS, "processes end before a save of theirs was seen"
    record_property("kills", kills)
    record_property("of them inside a save", inside)
    record_property("runs that ended equal", runs)
