"""Scores of decisions against formulas written out by hand, and against drawing by chance."""

import tracemalloc

import numpy as np
import pytest

from keifu.tasks.classification_metrics import classification_scores, share_interval


def test_an_interval_is_wilsons() -> None:
    low, high = share_interval(81, 263)  # Newcombe 1998, table I, method 3
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    low, high = share_interval(0, 20)
    assert low == 0
    assert round(high, 4) == 0.1611
    assert share_interval(0, 0) == (0, 1)


def test_an_interval_holds_the_share_95_times_in_100() -> None:
    draw = np.random.default_rng(0)
    for share in (0.5, 0.8, 0.97):
        held = [low <= share <= high for low, high in (share_interval(n, 200) for n in draw.binomial(200, share, 2000))]
        assert 0.93 < np.mean(held) < 0.975


def test_scores_are_those_counted_by_hand() -> None:
    expected, predicted = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 1]
    scores = classification_scores(expected, predicted, ["a", "b", "c", "never"])
    assert scores["confusion"] == [[2, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert scores["accuracy"] == 0.5
    assert scores["labels"]["a"] == pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "examples": 3})
    assert scores["labels"]["b"] == pytest.approx({"precision": 1 / 3, "recall": 1 / 2, "f1": 2 / 5, "examples": 2})
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 2 / 5 + 0) / 3)  # of the three labels that occur
    assert scores["examples"] == 6


def test_the_interval_of_f1_is_repeatable_and_narrows_with_more_examples() -> None:
    expected, predicted = [0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 0]
    few = classification_scores(expected, predicted, ["a", "b"])
    many = classification_scores(expected * 50, predicted * 50, ["a", "b"])
    assert few == classification_scores(expected, predicted, ["a", "b"])
    assert many["macro_f1"] == few["macro_f1"] == pytest.approx(2 / 3)
    widths = [high - low for low, high in (few["macro_f1_interval"], many["macro_f1_interval"])]
    assert widths[0] > 3 * widths[1] > 0
    low, high = many["macro_f1_interval"]
    assert low < 2 / 3 < high


def test_ten_thousand_labels_need_little_memory() -> None:
    labels = [str(number) for number in range(10_000)]  # whose matrix alone would take 0.8 GB
    expected = list(range(0, 10_000, 50))
    tracemalloc.start()
    scores = classification_scores(expected, [max(0, number - 50 * (number % 100 == 0)) for number in expected], labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert scores["accuracy"] == 0.505  # the first, and every second of the others
    assert "confusion" not in scores
    assert peak < 20e6
