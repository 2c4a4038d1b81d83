"""Users' texts are written the way the training texts are."""

import os
from pathlib import Path

import pytest

from keifu.text.normalisation import Normalisation, infer

LIKE_ENJA = Normalisation(lower_case=True, split_punctuation=True)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("I like cats.", "i like cats ."),
        ("I'm sorry, I can't swim.", "i 'm sorry , i can 't swim ."),
        ("It's 3:30 p.m. now!", "it 's 3:30 p.m. now !"),
        ("It cost 3,000 yen, I think.", "it cost 3,000 yen , i think ."),
        ('He said, "Why?"', 'he said , " why ? "'),
        ("Wait...", "wait ..."),
        ("", ""),
    ],
)
def test_text_with_capitals_and_full_stops_becomes_a_training_line(typed: str, expected: str) -> None:
    assert LIKE_ENJA(typed) == expected
    assert LIKE_ENJA(expected) == expected


def test_ordinary_text_is_left_alone() -> None:
    habits = infer(["I like cats.", "He isn't here."])
    assert habits == Normalisation()
    assert habits("I'm here.") == "I'm here."
    assert habits.describe() == ""


def test_one_odd_line_in_a_thousand_does_not_change_the_habits() -> None:
    lines = ["i like cats ."] * 999
    assert infer([*lines, "I like cats."]) == LIKE_ENJA
    assert infer([*lines[:500], *["I like cats."] * 500]) == Normalisation()


@pytest.mark.skipif("KEIFU_DATA" not in os.environ, reason="KEIFU_DATA does not name the folder of real data")
def test_lines_of_enja_are_what_they_are_normalised_to() -> None:
    lines = (Path(os.environ["KEIFU_DATA"]) / "enja" / "train.en").read_text("utf-8").splitlines()
    habits = infer(lines)
    assert habits == LIKE_ENJA
    changed = [line for line in lines if habits(line) != line]
    assert len(changed) < len(lines) / 500, changed[:20]
