"""The command line, run inside this process."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from keifu.cli import main
from tests.cli.processes import TRAINING
from tests.tiny import tiny_run


class Result(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def keifu(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `keifu` with arguments and standard input, to its end."""

    monkeypatch.setattr("keifu.training.start.ENOUGH", 0.0)  # three steps tell enough of tiny models

    def run(*arguments: object, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "argv", ["keifu", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Result(int(ended.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def unbroken(corpus: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that those of `tests.cli.processes` must equal in the end."""
    out = tmp_path_factory.mktemp("runs") / "unbroken"
    list(tiny_run(corpus, out, TRAINING).events())
    return out
