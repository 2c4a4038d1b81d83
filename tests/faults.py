"""What can go wrong with a disk and with a process, made to happen."""

import errno
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from keifu import checkpoint

WRITES: list[tuple[Any, str]] = [
    *[(os, name) for name in ("mkdir", "fsync", "rename", "replace", "symlink")],
    (checkpoint, "save_file"),
    (Path, "open"),
]


@contextmanager
def at_call(number: int, act: Callable[[], None]) -> Iterator[list[str]]:
    """Calls `act` instead of the `number`-th call that writes; yields the names of the calls so far."""
    seen: list[str] = []

    def watched(original: Any, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name != "open" or args[1:] == ("wb",):
                seen.append(name)
                if len(seen) == number:
                    act()
            return original(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for module, name in WRITES:
            patch.setattr(module, name, watched(getattr(module, name), name))
        yield seen


def disk_full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def in_child(act: Callable[[], None]) -> int:
    """Runs `act` in a forked process and returns its wait status."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            act()
            os._exit(0)
        os._exit(1)
    return os.waitpid(child, 0)[1]


def damage(folder: Path, draw: random.Random) -> str:
    """Damages one file of a checkpoint in a random way, and says how."""
    path = draw.choice(sorted(folder.iterdir()))
    content = path.read_bytes()
    other = draw.choice([file for file in sorted(folder.iterdir()) if file != path])
    elsewhere = [file for file in sorted(folder.parent.glob(f"*/{path.name}")) if file.read_bytes() != content]
    kinds = ["truncate", "flip", "delete", "swap", "grow", "folder", *(["exchange"] if elsewhere else [])]
    kind = draw.choice(kinds)
    if kind == "truncate":
        path.write_bytes(content[: draw.randrange(len(content))])
    elif kind == "flip":
        at = draw.randrange(len(content))
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :])
    elif kind == "delete":
        path.unlink()
    elif kind == "swap":
        path.write_bytes(other.read_bytes())
        other.write_bytes(content)
    elif kind == "exchange":  # a sound file, but of another checkpoint
        path.write_bytes(draw.choice(elsewhere).read_bytes())
    elif kind == "grow":
        path.write_bytes(content + b"\n")
    else:
        path.unlink()
        path.mkdir()
    return f"{kind} {path.name}"
