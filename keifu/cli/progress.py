"""What a command is doing while it prints nothing yet: on a terminal one line on standard error, elsewhere nothing."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_CLEAR = "\r\x1b[K"


@contextmanager
def working() -> Iterator[Callable[[str], None]]:
    """A function that shows what is being done now; its line is gone after the block. Ctrl-C tells what it stopped."""
    terminal, doing = sys.stderr.isatty(), ""

    def say(text: str) -> None:
        nonlocal doing
        doing = text
        if terminal:
            print(f"{_CLEAR}{text} ...", end="", file=sys.stderr, flush=True)

    try:
        yield say
    except KeyboardInterrupt:
        during = f" while {doing}" if doing else ""
        print(f"{_CLEAR if terminal else ''}keifu: stopped{during}, before training", file=sys.stderr)
        raise
    finally:
        if terminal:
            print(_CLEAR, end="", file=sys.stderr, flush=True)
