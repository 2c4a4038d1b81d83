"""Scores of answers: how many are right, with how much chance in it, of each kind of question, and which kinds fail."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keifu.tasks.classification_metrics import share_interval

FAILED = 0.05
"""A kind of question is failed where more answers than this share are wrong (Weston et al. 2015)."""


def score_answers(right: NDArray[np.bool_], kinds: Sequence[str]) -> dict[str, Any]:
    """accuracy (0 to 1), its 95 % interval, accuracy_by_kind, the mean error of the kinds, and which of them failed."""
    of_kind: dict[str, list[bool]] = {}
    for one, kind in zip(right.tolist(), kinds, strict=True):
        of_kind.setdefault(kind, []).append(one)
    by_kind = {kind: sum(each) / len(each) for kind, each in of_kind.items()}
    return {
        "accuracy": float(right.mean()),
        "accuracy_interval": list(share_interval(int(right.sum()), len(right))),
        "accuracy_by_kind": by_kind,
        "mean_error": 1 - sum(by_kind.values()) / len(by_kind),
        "failed": [kind for kind, each in of_kind.items() if len(each) - sum(each) > FAILED * len(each)],
    }


def supported(weights: Sequence[NDArray[np.floating[Any]]], supporting: Sequence[Sequence[int]]) -> list[float]:
    """The share of questions whose highest weight lies on a supporting fact, for each hop.

    weights: of each question, of which there is one at least, `[I, M]`; supporting: the facts that lead to its answer,
    by index.
    """
    hits = [[int(hop.argmax()) in known for hop in each] for each, known in zip(weights, supporting, strict=True)]
    shares: list[float] = np.array(hits, float).mean(0).tolist()
    return shares
