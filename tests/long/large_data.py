"""Trains on aligned files of 2 GB within 2 GB of memory, and prints what it took.

    python tests/long/large_data.py [gigabytes]

The files are made of the built-in corpus, every pair numbered so that none repeats, in a temporary folder that is
removed afterwards. The training process is a `keifu train` like any other; its memory is what the kernel says was
resident at most. Ends with exit code 1 where that is over 2 GB.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import count, cycle
from pathlib import Path

from keifu.data import enja

LIMIT = 2_000_000_000
STEPS = 200


def write(folder: Path, size: int) -> int:
    """Writes big.en and big.ja of `size` bytes together; returns the number of lines."""
    written = 0
    with (folder / "big.en").open("wb") as left, (folder / "big.ja").open("wb") as right:
        for number, pair in zip(count(1), cycle(enja.generate("train")), strict=False):
            source, target = f"{pair.source} {number}\n".encode(), f"{pair.target}{number}\n".encode()
            left.write(source)
            right.write(target)
            written += len(source) + len(target)
            if written >= size:
                break
    return number


def main() -> int:
    size = int(float(sys.argv[1]) * 1e9) if len(sys.argv) > 1 else 2_000_000_000
    with tempfile.TemporaryDirectory(dir=os.environ.get("KEIFU_CACHE")) as name:
        folder = Path(name)
        lines = write(folder, size)
        print(f"{size / 1e9:.1f} GB in two files, {lines:,} lines each", flush=True)
        began = time.monotonic()
        command = [sys.executable, "-m", "keifu", "train", "translation", "--data", "big.en,big.ja", "--out", "run"]
        command += ["--preset", "small", "--max-steps", str(STEPS), "--json"]
        training = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        assert training.stdout
        first = None
        for line in training.stdout:
            if first is None and json.loads(line)["event"] == "step":
                first = time.monotonic() - began
        code = training.wait()
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        whole = time.monotonic() - began
        print(f"exit code {code}; first step after {first or 0:.0f} s, the end ({STEPS} steps) after {whole:.0f} s")
        print(f"peak memory {peak / 1e9:.2f} GB, limit {LIMIT / 1e9:.1f} GB")
        report = json.loads((folder / "run" / "data.json").read_text("utf-8")) if code == 0 else {}
        print(json.dumps(report))
    return int(code != 0 or peak > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
