"""Scores of a classifier's decisions, each with the interval in which chance leaves it."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_NORMAL_95 = 1.959963984540054  # standard deviations that hold 95 % of a normal distribution
_DRAWS = 1_000
_MOST_SHOWN = 100  # labels of a confusion matrix


def share_interval(right: int, of: int) -> tuple[float, float]:
    """Where a share lies with 95 % confidence that was found to be right / of (Wilson 1927)."""
    if of == 0:
        return 0.0, 1.0
    share, z = right / of, _NORMAL_95
    middle = share + z * z / (2 * of)
    reach = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    low, high = ((middle + sign * reach) / (1 + z * z / of) for sign in (-1, 1))
    return max(0.0, low), min(1.0, high)


def classification_scores(expected: Sequence[int], predicted: Sequence[int], labels: Sequence[str]) -> dict[str, Any]:
    """Accuracy and macro F1 (0 to 1) with their 95 % intervals, the score of each label, and of at most 100 labels the
    confusion matrix: row i, column j counts examples of label i that were taken for label j. Classes are given by their
    place in labels.

    Macro F1 is the mean over the labels that occur, expected or predicted; its interval is that of drawing the
    examples anew (bootstrap, Efron 1979), always with the same dice.
    """
    cells = _cells(expected, predicted, len(labels))
    right, found, there = cells.sums()
    precision, recall, f1 = right / np.maximum(found, 1), right / np.maximum(there, 1), cells.f1()
    total, correct = int(there.sum()), int(right.sum())
    scores: dict[str, Any] = {
        "examples": total,
        "accuracy": correct / max(total, 1),
        "accuracy_interval": list(share_interval(correct, total)),
        "macro_f1": _mean(f1),
        "macro_f1_interval": _macro_interval(cells),
        "labels": {
            label: {
                "precision": float(precision[place]),
                "recall": float(recall[place]),
                "f1": float(np.nan_to_num(f1[place])),
                "examples": int(there[place]),
            }
            for place, label in enumerate(labels)
        },
    }
    return scores | ({"confusion": cells.matrix().tolist()} if len(labels) <= _MOST_SHOWN else {})


class _Cells(NamedTuple):
    """The cells of a confusion matrix that are not empty: with many labels few are not."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    counts: NDArray[np.int64]
    labels: int

    def sums(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Of each label how often it was told rightly, told, and there."""
        right = np.bincount(self.rows, self.counts * (self.rows == self.columns), self.labels)
        return (
            right,
            np.bincount(self.columns, self.counts, self.labels),
            np.bincount(self.rows, self.counts, self.labels),
        )

    def f1(self) -> NDArray[Any]:
        """F1 of each label; not a number where it neither is there nor was told."""
        right, found, there = self.sums()
        occurs = found + there > 0
        return np.where(occurs, 2 * right / np.maximum(found + there, 1), np.nan)

    def matrix(self) -> NDArray[np.int64]:
        """`[labels, labels]`."""
        matrix = np.zeros((self.labels, self.labels), np.int64)
        matrix[self.rows, self.columns] = self.counts
        return matrix


def _cells(expected: Sequence[int], predicted: Sequence[int], labels: int) -> _Cells:
    places = np.asarray(expected, np.int64) * labels + np.asarray(predicted, np.int64)
    cells, counts = np.unique(places, return_counts=True)
    return _Cells(cells // labels, cells % labels, counts, labels)


def _macro_interval(cells: _Cells) -> list[float]:
    total = int(cells.counts.sum())
    dice, shares = np.random.default_rng(0), cells.counts / max(total, 1)
    drawn = (cells._replace(counts=dice.multinomial(total, shares)) for _ in range(_DRAWS))
    means = np.sort([_mean(each.f1()) for each in drawn])
    return [float(means[int(share * _DRAWS)]) for share in (0.025, 0.975)]


def _mean(f1: NDArray[Any]) -> float:
    """Over the labels that occur."""
    occurs = ~np.isnan(f1)
    return float(f1[occurs].mean()) if occurs.any() else 0.0
