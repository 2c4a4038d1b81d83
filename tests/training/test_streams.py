"""Streams of any length are learned from one epoch after another, in as many parts as are asked for."""

from pathlib import Path

import pytest

from keifu.training.loop import Step
from tests.small_text import language_run, running, write_text


@pytest.mark.parametrize("cell", ["lstm", "gru-attention"])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_windows_that_end_with_the_shorter_streams(cell: str, accumulate: int, tmp_path: Path) -> None:
    text = running(40)
    valid = write_text(tmp_path / "valid.txt", text[:100])
    for length in range(160, 168):  # one of them is cut into streams of 41, 41, 40 and 40 characters
        spec = write_text(tmp_path / f"{length}.txt", text[:length])
        data = {"window": 8, "reading": "stream", "valid": valid}
        training = {"max_steps": 12, "evaluate_every": 12, "batch_tokens": 32, "accumulate": accumulate}
        run = language_run(spec, tmp_path / f"run-{length}", training, cell, data=data)
        assert sum(isinstance(event, Step) for event in run.events()) == 12
