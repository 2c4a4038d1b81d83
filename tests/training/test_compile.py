"""Compiled steps are the steps: the same losses, and a run that is saved, evaluated and goes on as any other."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from keifu.training.loop import Step
from keifu.training.run import Run
from keifu.training.start import resume
from tests.small_text import language_run, running, write_text


@pytest.fixture(autouse=True)
def traced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """torch.compile traces as it does, but leaves the operations as they are; which models it was asked for."""
    asked: list[str] = []
    trace = partial(torch.compile, backend="eager")

    def compile(model: Any) -> Any:
        asked.append(type(model).__name__)
        return trace(model)

    monkeypatch.setattr(torch, "compile", compile)
    return asked


def losses(run: Run) -> list[float]:
    return [event.loss for event in run.events() if isinstance(event, Step)]


@pytest.mark.parametrize("name", ["gpt", "llama", "lstm"])
def test_compiled_steps_are_the_steps(name: str, tmp_path: Path, traced: list[str]) -> None:
    spec, sizes = write_text(tmp_path / "a.txt", running(40)), {"dropout": 0.0}
    training = {"max_steps": 6, "evaluate_every": 3}
    plain = losses(language_run(spec, tmp_path / "plain", training, name, model=sizes))
    assert not traced
    compiled = losses(language_run(spec, tmp_path / "compiled", training | {"compile": True}, name, model=sizes))
    assert traced
    assert compiled == pytest.approx(plain, rel=1e-5)
    again = resume(tmp_path / "compiled", {"max_steps": "8"})
    assert again.learner.compile
    assert len(losses(again)) == 2
