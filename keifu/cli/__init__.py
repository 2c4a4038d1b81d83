"""The command line: one short function a command, and one place where errors become messages."""

import io
import os
import sys

from keifu.errors import KeifuError, is_out_of_memory, printable


def main() -> None:
    """Runs the command that the arguments name and ends with the exit code of the contract."""
    from keifu.cli.commands import app

    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed from the start
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a character shows its code instead
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            app(prog_name="keifu")
        finally:
            _flush()
    except KeifuError as error:
        print("keifu:", printable(str(error), keep="\n"), file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:  # such as a disk that is full
        print(f"keifu: {printable(str(error.filename or 'a file'))}: {error.strerror or error}", file=sys.stderr)
        sys.exit(3)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        print("keifu: out of memory; try a smaller training.batch_tokens or --batch-size", file=sys.stderr)
        sys.exit(4)


def _flush() -> None:
    """Writes out what is left for standard output, while an error can still be told of."""
    try:
        sys.stdout.flush()
    except OSError as error:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        if not isinstance(error, BrokenPipeError):  # whoever reads has had enough
            raise OSError(error.errno, error.strerror, "standard output") from None
