"""A full disk ends a run with one message and leaves what was saved; with room again, the run goes on."""

import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from keifu.checkpoint import RunFolder, verify
from keifu.config import merge
from tests.cli.conftest import Command, Result
from tests.cli.processes import assert_equal_in_the_end
from tests.counts import Record, repeats
from tests.faults import at_call, disk_full
from tests.tiny import TINY, set_arguments, tiny_run

TRAINING = {"max_steps": 6, "evaluate_every": 2}
SETTINGS = set_arguments(merge(TINY, {"training": TRAINING}))


@pytest.fixture(scope="module")
def whole(corpus: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    list(tiny_run(corpus, out, TRAINING).events())
    return out


def train(keifu: Command, corpus: str, path: Path) -> Result:
    return keifu("train", "translation", "--data", corpus, "--out", path, "--quiet", *SETTINGS)


def checkpoints(path: Path) -> list[Path]:
    return RunFolder(path).checkpoints() if (path / "checkpoints").is_dir() else []


def assert_nothing_half_done(path: Path) -> None:
    if path.exists():
        assert [file.name for file in path.rglob(".*")] in ([], [".lock"])
        assert all(verify(checkpoint) == [] for checkpoint in checkpoints(path))
        assert (path / "data.json").exists() or not list(path.iterdir())


def go_on(keifu: Command, corpus: str, path: Path) -> Result:
    """Resumes a run that has a checkpoint; begins one that has none, or is not there, again."""
    if checkpoints(path):
        return keifu("resume", path, "--quiet")
    shutil.rmtree(path, ignore_errors=True)
    return train(keifu, corpus, path)


def test_wherever_a_write_fails_the_run_ends_with_one_message_and_goes_on(
    corpus: str, whole: Path, tmp_path: Path, keifu: Command, record_property: Record
) -> None:
    with at_call(0, disk_full) as seen:
        assert train(keifu, corpus, tmp_path / "run-0").code == 0
    points = len(seen)
    chosen = random.Random(0).sample(range(1, points + 1), repeats(5, points))
    for number in chosen:
        path = tmp_path / f"run-{number}"
        with at_call(number, disk_full):
            result = train(keifu, corpus, path)
        where = f"failing write {number} of {points}: {result.err}"
        assert re.fullmatch(r"keifu: .*(the disk is full|No space left on device).*\n", result.err), where
        assert result.code == (2 if "cannot make a folder here" in result.err else 3), where
        assert_nothing_half_done(path)
        again = go_on(keifu, corpus, path)
        assert again.code == 0 or "all 6 steps are done" in again.err, where
        assert_equal_in_the_end(path, whole)
        shutil.rmtree(path)
    record_property("failing writes", len(chosen))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of its own, which `resize` makes smaller and larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"a file system cannot be mounted here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def resize(disk: Path, kibibytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kibibytes}k", disk], check=True)


@pytest.mark.skipif(repeats(0, 1) == 0 or os.getuid() != 0, reason="mounts a file system: full counts and root only")
@pytest.mark.parametrize("kibibytes", range(20, 420, 20))
def test_a_disk_that_is_really_full_leaves_what_was_saved(
    kibibytes: int, corpus: str, whole: Path, small_disk: Path, keifu: Command, record_property: Record
) -> None:
    resize(small_disk, kibibytes)
    path = small_disk / "run"
    result = train(keifu, corpus, path)
    record_property("sizes of a disk", 1)
    if result.code == 0:
        return
    record_property("disks that were full", 1)
    assert result.code == (2 if "cannot make a folder here" in result.err else 3), result.err
    assert re.fullmatch(r"keifu: .*(the disk is full|No space left on device).*\n", result.err), result.err
    assert_nothing_half_done(path)
    assert len(checkpoints(path)) == 0 or "what was there before is whole" in result.err
    resize(small_disk, 2000)
    again = go_on(keifu, corpus, path)
    assert again.code == 0 or "all 6 steps are done" in again.err, again.err
    assert_equal_in_the_end(path, whole)
