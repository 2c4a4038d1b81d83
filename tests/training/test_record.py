"""What a run wrote down is read back, whatever became of the lines since."""

import json
from pathlib import Path

from keifu.session import TrainedRun
from keifu.training.record import read_history, run_of


def test_a_checkpoint_knows_its_run_and_a_model_alone_has_none(trained: TrainedRun, tmp_path: Path) -> None:
    assert run_of(trained.path / "best") == trained.path.resolve()
    assert run_of(next((trained.path / "checkpoints").iterdir())) == trained.path.resolve()
    assert run_of(tmp_path) is None
    alone = tmp_path / "checkpoints" / "step-1"
    alone.mkdir(parents=True)
    assert run_of(alone) is None
    (tmp_path / "config.yaml").touch()
    exported = tmp_path / "exported" / "model"
    exported.mkdir(parents=True)
    assert (run_of(alone), run_of(exported)) == (tmp_path.resolve(), None)


def test_every_line_of_a_whole_record_is_read(trained: TrainedRun) -> None:
    lines = (trained.path / "metrics.jsonl").read_text("utf-8").splitlines()
    assert read_history(trained.path) == [json.loads(line) for line in lines]
    assert len(lines) > 10


def test_damaged_lines_are_left_out(tmp_path: Path) -> None:
    good = ['{"step": 1, "loss": 2.5}', '{"step": 2, "valid": {"loss": 2.0, "bleu": 1.5, "chrf": 3}}']
    bad = [
        '{"step": 3, "lo', "", "[]", "7", "null", '{"loss": 1}', '{"step": 4}', '{"step": 5, "loss": "low"}',
        '{"step": 6, "valid": {"loss": 1, "chrf": 3}}', '{"step": 7, "valid": 3}',
        '{"step": null, "loss": 1}', "[" * 100_000,
    ]  # fmt: skip
    (tmp_path / "metrics.jsonl").write_bytes("\n".join([*bad, *good, *bad]).encode() + b"\n\xff\n")
    assert read_history(tmp_path) == [json.loads(line) for line in good]
    (tmp_path / "metrics.jsonl").unlink()
    assert read_history(tmp_path) == []
