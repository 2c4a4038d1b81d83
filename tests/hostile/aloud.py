"""Prints what is said of every broken input, to be read aloud: python -m tests.hostile.aloud [words of the names]"""

import io
import os
import sys
import tempfile
from contextlib import chdir, redirect_stderr, redirect_stdout, suppress
from pathlib import Path

from keifu.cli import main
from tests.hostile import broken_data, broken_settings


def say(case: broken_data.Case | broken_settings.Case) -> str:
    """The message of a case, from a fresh folder."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        case.lay_out(Path())
        sys.argv = ["keifu", *case.command]
        err = io.StringIO()
        with redirect_stderr(err), redirect_stdout(io.StringIO()), suppress(SystemExit):
            main()
    return err.getvalue().rstrip("\n")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    words = sys.argv[1:]
    for name, case in (broken_data.CASES | broken_settings.CASES).items():
        if all(word in name for word in words):
            print(f"{name}\n    {say(case)}")
