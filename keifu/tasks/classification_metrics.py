"""Scores of a classifier's decisions, each with the interval in which chance leaves it."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NORMAL_95 = 1.959963984540054  # standard deviations that hold 95 % of a normal distribution
_DRAWS = 1_000


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
    """Accuracy and macro F1 (0 to 1) with their 95 % intervals, the score of each label, and the confusion matrix:
    row i, column j counts examples of label i that were taken for label j. Classes are given by their place in labels.

    Macro F1 is the mean over the labels that occur, expected or predicted; its interval is that of drawing the
    examples anew (bootstrap, Efron 1979), always with the same dice.
    """
    count = len(labels)
    places = np.asarray(expected, np.int64) * count + np.asarray(predicted, np.int64)
    confusion = np.bincount(places, minlength=count * count).reshape(count, count)
    total, right = int(confusion.sum()), int(np.trace(confusion))
    precision, recall, f1 = _rates(confusion)
    drawn = np.random.default_rng(0).multinomial(total, confusion.flatten() / max(total, 1), _DRAWS)
    means = np.sort([_macro(each.reshape(count, count)) for each in drawn])
    return {
        "examples": total,
        "accuracy": right / max(total, 1),
        "accuracy_interval": list(share_interval(right, total)),
        "macro_f1": _macro(confusion),
        "macro_f1_interval": [float(means[int(share * _DRAWS)]) for share in (0.025, 0.975)],
        "labels": {
            label: {
                "precision": float(precision[place]),
                "recall": float(recall[place]),
                "f1": float(f1[place]),
                "examples": int(confusion[place].sum()),
            }
            for place, label in enumerate(labels)
        },
        "confusion": confusion.tolist(),
    }


def _rates(confusion: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Precision, recall and F1 of every label; 0 where nothing was to be found or was found."""
    right = np.diag(confusion)
    found, there = confusion.sum(0), confusion.sum(1)
    return right / np.maximum(found, 1), right / np.maximum(there, 1), 2 * right / np.maximum(found + there, 1)


def _macro(confusion: NDArray[Any]) -> float:
    occurs = (confusion.sum(0) + confusion.sum(1)) > 0
    return float(_rates(confusion)[2][occurs].mean()) if occurs.any() else 0.0
