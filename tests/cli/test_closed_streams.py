"""Standard input, output and error may be closed from the start, as some services start their programs."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import pairs, tiny_run, write

KEIFU = f"{sys.executable} -m keifu"


def shell(command: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """What a shell comes to that replaces itself by the command, in which "$@" are the arguments."""
    return subprocess.run(["sh", "-c", f"exec {command}", "sh", *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    list(tiny_run(write(folder, pairs(20)), folder / "run", {"max_steps": 1}).events())
    return folder / "run"


def test_closed_input_is_an_empty_one(run: Path) -> None:
    done = shell(f'{KEIFU} translate "$@" <&-', run)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_written_to_a_closed_output_is_lost_and_nothing_else(run: Path) -> None:
    done = shell(f'{KEIFU} translate "$@" >&-', run, "I like cats.")
    assert (done.returncode, done.stderr) == (0, "")
    done = shell(f'{KEIFU} resume "$@" >&- 2>&-', run, "--max-steps", "+2")
    assert done.returncode == 0
    assert (run / "last").resolve().name == "step-3"


def test_with_all_three_closed_the_exit_code_tells(run: Path) -> None:
    assert shell(f'{KEIFU} translate "$@" <&- >&- 2>&-', run.parent / "none").returncode == 3
