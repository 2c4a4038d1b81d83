"""What the demo is made of and the suite does not run whole: `make demo` does."""

import runpy
from pathlib import Path

import pytest

from keifu.training.loop import Planned, Step

DEMO = Path(__file__).parents[1] / "examples" / "demo.py"


def test_the_demo_shows_steps_of_a_run_whose_settings_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    show = runpy.run_path(str(DEMO))["printer"]()
    show(Step(1, 0, 2.5, 10, 1e-3, 1.0, 2.0))
    show(Planned(1, 400))
    first, planned = capsys.readouterr().out.splitlines()
    assert first.strip() == "step 1  epoch 1  loss 2.500  5 tokens/s"
    assert planned.strip() == "step 1  planned anew: 400 steps fit into the time"
