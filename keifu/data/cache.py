"""Where downloaded and temporary data are kept."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """$KEIFU_CACHE, else $XDG_CACHE_HOME/keifu, else ~/.cache/keifu. It need not exist yet."""
    if named := os.environ.get("KEIFU_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "keifu"
