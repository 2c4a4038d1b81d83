"""Holds what `keifu check` says that training will take against what the training that follows takes.

    python tests/long/estimates.py

Each line is a check and a training in processes of their own. Ends with exit code 1 where time or memory is off by more
than 30 %. Nothing else should run meanwhile. Sets that need $KEIFU_DATA are left out without it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WITHIN = 0.3
CASES = {  # data, further arguments
    "builtin:enja, tiny": ("builtin:enja:train[:15000]", ["--set", "training.max_steps=500"]),
    "enja, small": ("enja", ["--set", "training.max_steps=150", "--set", "training.evaluate_every=50"]),
    "enja, small, in four parts": ("enja", ["--set", "training.max_steps=100", "--set", "training.accumulate=4"]),
    "multi30k-en-de, small": ("multi30k-en-de", ["--set", "training.max_steps=150"]),
    "multi30k-en-de, base": (
        "multi30k-en-de:train[:8000]",
        ["--preset", "base", "--set", "training.max_steps=8", "--set", "training.evaluate_every=8"],
    ),
}


def keifu(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "keifu", *arguments]


def trained(spec: str, more: list[str], out: Path) -> tuple[float, int]:
    """Seconds from the beginning of the first step to the end, and the most bytes that the process held."""
    command = keifu("train", "translation", "--data", spec, "--out", str(out), "--json", *more)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    began = 0.0
    for line in process.stdout:
        if not began:
            began = time.monotonic() - json.loads(line)["seconds"]
    seconds = time.monotonic() - began
    _, code, used = os.wait4(process.pid, 0)
    assert code == 0
    return seconds, used.ru_maxrss * 1024


def main() -> int:
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for name, (spec, more) in CASES.items():
            if not spec.startswith("builtin") and "KEIFU_DATA" not in os.environ:
                continue
            checked = subprocess.run(keifu("check", spec, *more, "--json"), check=True, capture_output=True, text=True)
            foretold = json.loads(checked.stdout)["estimate"]
            seconds, memory = trained(spec, more, Path(folder) / "run" / name.replace(" ", "-"))
            ratios = foretold["seconds"] / seconds, foretold["memory"] / memory
            off = any(abs(ratio - 1) > WITHIN for ratio in ratios)
            failed |= off
            time_taken = f"time {foretold['seconds']:6.1f} s foretold, {seconds:6.1f} s taken ({ratios[0]:.2f})"
            held = f"memory {foretold['memory'] / 1e9:.2f} GB foretold, {memory / 1e9:.2f} GB held ({ratios[1]:.2f})"
            print(f"{name:27} {time_taken}; {held}{'  OFF' if off else ''}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
