"""What is promised about stopping, killing, damage and full disks, at full counts and for one process.

    python tests/long/reliability.py [words of a check's name ...]

They are the same tests as in `make test`, repeated more often. One line a check: what was done, how often, how long it
took. Ends with exit code 1 where one fails. The real file system of a fixed size needs root and is left out without.
"""

import io
import os
import sys
import time
from collections import Counter
from contextlib import redirect_stdout
from pathlib import Path

import pytest

CHECKPOINT, RESUME, LOOP = (
    "tests/test_checkpoint.py::",
    "tests/training/test_resume.py::",
    "tests/training/test_loop.py::",
)

CHECKS = {
    "a stopped run goes on exactly": [
        RESUME + "test_a_run_that_was_stopped_goes_on_exactly",
        RESUME + "test_a_run_that_was_broken_off_mid_accumulation_goes_on_from_its_checkpoint",
        RESUME + "test_a_run_that_was_stopped_in_an_evaluation_makes_it_first_when_it_goes_on",
        RESUME + "test_a_run_that_was_stopped_within_a_step_takes_it_anew",
        RESUME + "test_a_run_may_be_stopped_at_every_step",
    ],
    "kill -9 at random moments": [
        "tests/cli/test_kill.py",
        CHECKPOINT + "test_killed_at_any_call_the_newest_finished_checkpoint_loads",
        CHECKPOINT + "test_killed_at_random_moments_what_was_reported_as_saved_loads",
        RESUME + "test_a_run_killed_between_saving_and_pointing_there_points_there_when_resumed",
        RESUME + "test_a_run_killed_between_an_evaluation_and_its_checkpoint_has_no_line_of_metrics_twice",
    ],
    "written, on the disk, renamed, and only then deleted": [
        CHECKPOINT + "test_a_save_writes_syncs_renames_syncs_and_only_then_deletes",
        CHECKPOINT + "test_a_step_saved_again_replaces_the_old_one_only_when_it_is_on_the_disk",
        CHECKPOINT + "test_a_file_is_synced_before_it_gets_its_name",
    ],
    "a failing write and a full disk": [
        CHECKPOINT + "test_a_folder_that_cannot_be_made_whole_is_not_there",
        CHECKPOINT + "test_a_write_that_fails_anywhere_in_a_save_changes_nothing",
        CHECKPOINT + "test_a_link_or_a_file_that_cannot_be_written_leaves_the_old_one",
        CHECKPOINT + "test_the_systems_own_refusal_to_write_more_is_reported_too",
        "tests/cli/test_full_disk.py",
    ],
    "damage is found and passed over": [
        CHECKPOINT + "test_every_damage_is_found_and_the_checkpoint_before_serves",
        CHECKPOINT + "test_verify_names_the_damaged_files",
        RESUME + "test_a_damaged_checkpoint_is_passed_over_and_named",
        RESUME + "test_every_damage_is_passed_over_and_named",
    ],
    "numbers that are not finite": [
        LOOP + "test_a_loss_that_is_no_number_stops_training_before_the_update",
        LOOP + "test_a_loss_that_is_no_number_on_the_validation_data_saves_nothing",
    ],
    "a step in parts has the gradient of the whole": [
        LOOP + "test_a_step_has_one_gradient_however_many_parts_it_is_computed_in",
        LOOP + "test_the_loss_is_torchs_cross_entropy_averaged_over_the_tokens_of_the_step",
        LOOP + "test_the_mean_is_not_one_of_means_of_parts",
    ],
    "one writer": [
        "tests/cli/test_second_writer.py",
        CHECKPOINT + "test_a_second_writer_is_refused_with_the_number_of_the_first",
        CHECKPOINT + "test_a_worker_that_outlives_its_parent_does_not_hold_the_lock",
        RESUME + "test_a_run_that_was_resumed_twice_goes_on_once",
        RESUME + "test_a_resume_that_comes_too_late_changes_nothing",
    ],
    "SIGTERM and Ctrl-C save and end": ["tests/cli/test_interruption.py"],
}


class Tally:
    """Counts outcomes, adds up the whole numbers that tests record, and keeps the largest of the others."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.largest: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            return
        self.outcomes[report.outcome] += 1
        for name, value in report.user_properties:
            if isinstance(value, int):
                self.counts[name] += value
            elif isinstance(value, float):
                self.largest[name] = max(value, self.largest.get(name, 0.0))

    def __str__(self) -> str:
        tests = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        counts = [f"{name} {count}" for name, count in self.counts.items()]
        largest = [f"{name} {value:.3g}" for name, value in self.largest.items()]
        return "; ".join([f"tests {tests}", *counts, *largest])


def passes(name: str, tests: list[str]) -> bool:
    tally, said, began = Tally(), io.StringIO(), time.monotonic()
    with redirect_stdout(said):
        code = pytest.main(["--tb=short", *tests], plugins=[tally])
    ok = code == 0
    print(f"{'ok    ' if ok else 'FAILED'} {name}: {tally}; {time.monotonic() - began:.0f} s", flush=True)
    if not ok:
        print(said.getvalue())
    return ok


def main() -> int:
    os.environ["KEIFU_FULL_COUNTS"] = "1"
    root = Path(__file__).parents[2]
    os.chdir(root)
    sys.path.insert(0, str(root))
    chosen = [name for name in CHECKS if all(word in name for word in sys.argv[1:])]
    results = [passes(name, CHECKS[name]) for name in chosen]
    return int(not results or not all(results))


if __name__ == "__main__":
    sys.exit(main())
