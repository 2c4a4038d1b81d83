"""Watching a training run: a moving line on a terminal, plain lines elsewhere, and a stop that saves first."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from keifu.cli.introduction import expectation, introduction
from keifu.cli.options import json_line
from keifu.cli.progress import working
from keifu.training.journal import Journal
from keifu.training.loop import Event, Finished, Step
from keifu.training.model_card import best_evaluation, command_to_use, scores_in_words
from keifu.training.run import Run
from keifu.training.start import estimate

_INTERRUPTED = 130
_TERMINAL_INTERVAL, _PLAIN_INTERVAL = 0.5, 10.0  # seconds between two lines on the progress of steps


def watch(run: Run, quiet: bool, as_json: bool) -> int:
    """Trains to the end and returns the exit code. Ctrl-C and SIGTERM save a checkpoint and end the run."""
    say = _Output()
    begins = run.folder.path
    if not quiet and not as_json:
        say(f"run      {begins}")
        if run.history:
            say(f"resumed  {run.history}")
        say(introduction(run))
        if run.new:
            with working() as now:
                now("measuring how long training will take")
                estimated = estimate(run)
            say(expectation(estimated))
    terminal = sys.stdout.isatty()
    journal = Journal(run.settings.training, _TERMINAL_INTERVAL if terminal else _PLAIN_INTERVAL)
    reason = ""
    with stop_requests() as requests:
        for event in run.events(should_stop=lambda: bool(requests) or say.closed):
            reason = event.reason if isinstance(event, Finished) else reason
            if run.folder.path != begins and not quiet and not as_json:
                say(f"run      {run.folder.path}, since {begins} was taken meanwhile")
            begins = run.folder.path
            if as_json:
                say(_as_json(event))
            elif not quiet and (line := journal.line(event)):
                moving = terminal and isinstance(event, Step)
                # On a terminal the progress of steps overwrites itself; everything else stays.
                say(f"\r\x1b[K{line}" if terminal else line, "" if moving else "\n")
    if not as_json:
        say(_result(run))
    return _INTERRUPTED if reason == "interrupted" else 0


class _Output:
    """Standard output; once nothing can be written to it any more (a pipe that closed, a full disk, a terminal that is
    gone), `closed` is true and lines are dropped.
    """

    closed = False

    def __call__(self, text: str, end: str = "\n") -> None:
        if not self.closed:
            try:
                print(text, end=end, flush=True)
            except OSError as error:
                self.closed = True
                if not isinstance(error, BrokenPipeError):
                    with suppress(OSError):
                        print(f"keifu: standard output: {error.strerror}; stopping, saving first", file=sys.stderr)
                sys.stdout = open(os.devnull, "w")  # noqa: SIM115


@contextmanager
def stop_requests() -> Iterator[list[int]]:
    """A list that receives SIGINT and SIGTERM instead of the process; a second SIGINT ends it at once."""
    received: list[int] = []

    def note(number: int, frame: object) -> None:
        received.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with suppress(OSError):
            print("\nstopping, saving first (once more to stop at once) ...", file=sys.stderr, flush=True)

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _as_json(event: Event) -> str:
    values: dict[str, Any] = asdict(event)
    values = {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}
    return json_line({"event": type(event).__name__.lower(), **values})


def _result(run: Run) -> str:
    best = best_evaluation(run.folder.path, run.task.selects_by)
    if best is None:
        return f"{run.folder.path}: no evaluation yet"
    return (
        f"best at step {best['step']:,}: {scores_in_words(best['valid'])}, on {run.corpus.valid_is}, which it was "
        f"chosen on\nuse it: {command_to_use(run.folder.path, run.settings.training)}"
    )
