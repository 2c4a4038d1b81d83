"""Rows of a comparison, each a process of its own, that take turns on one machine in one run."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
OURS = "keifu"


@dataclass(frozen=True)
class Row:
    """Who computes, what is handed to it, and what its environment has beyond ours."""

    engine: str
    choices: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def as_it_comes(self) -> bool:
        return not self.environment


def compare(script: str, rows: Mapping[str, Row], arguments: list[str], rounds: int) -> dict[str, list[float]]:
    """All figures of each row: the script is called with --row NAME, so many times round. A row that fails is left out,
    with its last line.
    """
    figures: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, row in rows.items():
            command = [sys.executable, script, "--row", name, *arguments]
            done = subprocess.run(command, env=os.environ | row.environment, capture_output=True, text=True)
            if done.returncode:
                print(f"{name}: left out: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            else:
                figures[name] += json.loads(done.stdout.splitlines()[-1])
    return {name: values for name, values in figures.items() if values}


def asked_keifu(*command: str) -> str:
    """What the command prints."""
    done = subprocess.run([sys.executable, "-m", "keifu", *command], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def trained(run: Path, train: Callable[[], None]) -> dict[str, Any]:
    """Trains, unless that was done before; returns what it was done on."""
    note = run / "machine.json"
    if not note.exists():
        train()
        note.write_text(json.dumps(machine()), "utf-8")
    found: dict[str, Any] = json.loads(note.read_text("utf-8"))
    return found


def tell(figures: list[float]) -> None:
    """Hands a row's figures to the process that compares."""
    print(json.dumps(figures))


def best_peer(figures: Mapping[str, list[float]], rows: Mapping[str, Row]) -> float | None:
    """The best median of the others' rows as they come. None where there is none."""
    medians = [
        statistics.median(values)
        for name, values in figures.items()
        if rows[name].engine != OURS and rows[name].as_it_comes
    ]
    return max(medians, default=None)


def print_table(title: str, figures: Mapping[str, list[float]], rows: Mapping[str, Row]) -> None:
    peer = best_peer(figures, rows)
    print(f"{title}: median (min to max), ratio to the best peer as it comes")
    for name, values in figures.items():
        median = statistics.median(values)
        spread = f"({min(values):,.0f} to {max(values):,.0f})"
        ratio = f"{median / peer:8.2f}" if peer else "       -"
        print(f"{name:46}{median:10,.0f}  {spread:>20}{ratio}", flush=True)


def write_results(
    name: str,
    figures: Mapping[str, list[float]],
    rows: Mapping[str, Row],
    threads: int | None = None,
    device: str = "cpu",
) -> None:
    """Writes benchmarks/results/NAME.json, or NAME-DEVICE.json where that is no CPU: figures, machine, versions,
    commit. threads: where they are not as usual.
    """
    peer = best_peer(figures, rows)
    table = {
        row: {
            "median": statistics.median(values),
            "min": min(values),
            "max": max(values),
            "count": len(values),
            "ratio": statistics.median(values) / peer if peer else None,
        }
        for row, values in figures.items()
    }
    RESULTS.mkdir(exist_ok=True)
    content = json.dumps({"rows": table, "machine": machine(threads)}, indent=2)
    file = name if device == "cpu" else f"{name}-{device}"
    (RESULTS / f"{file}.json").write_text(content + "\n", "utf-8")


def machine(threads: int | None = None) -> dict[str, Any]:
    """What the figures were taken on and with."""
    import torch

    packages = {}
    for package in ("keifu", "torch", "transformers", "ctranslate2", "openvino"):
        try:
            packages[package] = version(package)
        except PackageNotFoundError:
            continue
    here = ["git", "-C", str(RESULTS.parent)]
    commit = subprocess.run([*here, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    threads = threads or torch.get_num_threads()
    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    return {"processor": processor(), **gpu, "threads": threads, "packages": packages, "commit": commit}


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown"
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    has = [flag for flag in ("amx_bf16", "avx512_bf16") if flag in facts.get("flags", "").split()]
    name, family, model = (facts.get(fact, "unknown") for fact in ("model name", "cpu family", "model"))
    # Hosts may hide the processor's name, and those of one name differ in what bfloat16 costs.
    return f"{name} (family {family} model {model}), {os.cpu_count()} cores, {' and '.join(has) or 'no bf16'}"
