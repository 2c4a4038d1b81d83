"""One run folder has one writer: a second one is refused and changes nothing."""

import re
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.cli.processes import (
    STEPS,
    TRAINING,
    assert_equal_in_the_end,
    read_to_the_end,
    read_until,
    start_resume,
    start_train,
)
from tests.counts import Record, repeats
from tests.tiny import tiny_run


def test_a_run_that_is_being_written_is_neither_trained_into_nor_resumed(
    corpus: str, unbroken: Path, tmp_path: Path, keifu: Command, record_property: Record
) -> None:
    process = start_train(corpus, tmp_path / "run")
    read_until(process, 50)
    process.send_signal(signal.SIGSTOP)  # so that it cannot end before the others come
    into = keifu("train", "translation", "--data", corpus, "--out", tmp_path / "run")
    on = keifu("resume", tmp_path / "run")
    longer = keifu("resume", tmp_path / "run", "--max-steps", "+100")
    process.send_signal(signal.SIGCONT)
    assert [result.code for result in (into, on, longer)] == [2, 2, 2]
    assert "the folder is not empty; name another one with --out, or continue its run" in into.err
    for result in (on, longer):
        assert f"process {process.pid} is writing to this run; wait for its end" in result.err
        assert len(result.err.splitlines()) == 1
    read_to_the_end(process)
    assert process.returncode == 0
    assert_equal_in_the_end(tmp_path / "run", unbroken)
    record_property("second writers", 3)


@pytest.mark.parametrize("moment", [STEPS - 37 * number for number in range(1, 1 + repeats(1, 10))])
def test_of_two_resumes_at_once_one_goes_on(
    moment: int, corpus: str, unbroken: Path, tmp_path: Path, record_property: Record
) -> None:
    run = tiny_run(corpus, tmp_path / "run", TRAINING)
    list(run.events(should_stop=lambda: run.learner.step == moment))
    both = [start_resume(tmp_path / "run") for _ in range(2)]
    said = [read_to_the_end(process)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2], said
    (refused,) = [err for process, err in zip(both, said, strict=True) if process.returncode == 2]
    late = f"is writing to this run|has gone on with this run meanwhile|all {STEPS} steps are done"
    assert re.search(late, refused)
    assert len(refused.splitlines()) == 1
    assert_equal_in_the_end(tmp_path / "run", unbroken)
    record_property("pairs of resumes at once", 1)
