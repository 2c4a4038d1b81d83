"""How often a check is repeated: a few times in `make test`, in full by tests/long/reliability.py."""

import os
from collections.abc import Callable

Record = Callable[[str, object], None]
"""pytest's record_property: tests/long/reliability.py adds up whole numbers and shows the largest of others."""


def repeats(quick: int, full: int) -> int:
    return full if os.environ.get("KEIFU_FULL_COUNTS") else quick
