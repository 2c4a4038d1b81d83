"""How figures of a benchmark are gathered and compared; what they are is no test's business."""

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def side_by_side(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("side_by_side", FOLDER / "side_by_side.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "side_by_side", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    return module


@pytest.fixture
def rows(side_by_side: ModuleType) -> dict[str, Any]:
    row = side_by_side.Row
    return {"ours": row("keifu"), "theirs": row("peer"), "theirs, tuned": row("peer", {}, {"SPEED": "9"})}


def test_ratios_are_to_the_best_median_of_a_peer_as_it_comes(
    side_by_side: ModuleType, rows: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    figures = {"ours": [8.0, 9.0, 30.0], "theirs": [3.0, 1.0, 4.0], "theirs, tuned": [6.0]}
    assert side_by_side.best_peer(figures, rows) == 3
    side_by_side.print_table("work", figures, rows)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["ours", "9", "(8", "to", "30)", "3.00"]
    side_by_side.write_results("work", figures, rows, threads=1)
    written = json.loads((side_by_side.RESULTS / "work.json").read_text("utf-8"))
    assert written["rows"]["theirs, tuned"] == {"median": 6.0, "min": 6.0, "max": 6.0, "count": 1, "ratio": 2.0}
    assert written["machine"]["threads"] == 1
    assert written["machine"]["packages"]["torch"]


def test_rows_take_turns_each_in_a_process_with_its_environment_and_one_that_fails_is_left_out(
    side_by_side: ModuleType, rows: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\n"
        "if sys.argv[2] == 'theirs': sys.exit('no such peer')\n"
        f"open({str(tmp_path / 'turns')!r}, 'a').write(sys.argv[2] + '|')\n"
        "print('noise')\n"
        "print([float(os.environ.get('SPEED', 1)), len(sys.argv)])\n"
    )
    found = side_by_side.compare(str(script), rows, ["--size", "small"], rounds=2)
    assert found == {"ours": [1.0, 5, 1.0, 5], "theirs, tuned": [9.0, 5, 9.0, 5]}
    assert (tmp_path / "turns").read_text() == "ours|theirs, tuned|" * 2
    assert "theirs: left out: no such peer" in capsys.readouterr().err


BENCHMARKS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "side_by_side")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_says_what_it_measures(name: str) -> None:
    text = (FOLDER / f"{name}.py").read_text("utf-8")
    assert f"python benchmarks/{name}.py" in text.split('"""')[1]


def test_the_model_whose_writing_is_timed_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    generation = importlib.import_module("generation")
    for name, value in {"VOCABULARY": 50, "LAYERS": 1, "WIDTH": 8, "HEADS": 2}.items():
        monkeypatch.setattr(generation, name, value)
    for precision in ("fp32", "bf16"):
        model = generation.keifu_model(precision, 16)
        rows = generation.written(model, torch.tensor([[5, 6, 7], [8, 9, 4]]), 6)
        assert [len(row) for row in rows] == [6, 6]
