"""The data of a run: what is learned, and what the best checkpoint is chosen on."""

import math
from dataclasses import dataclass, replace

from keifu.data.download import Progress, ignore
from keifu.data.pairs import (
    NONE_BLANK,
    Form,
    PairData,
    directed,
    has_parts,
    load_pairs,
    other_part,
    same_way,
    tests_at_hand,
)
from keifu.errors import ConfigError, DataError
from keifu.training.settings import Data

_HELD_OUT_SHARE, _MOST_HELD_OUT = 0.05, 2_000


@dataclass(frozen=True)
class Corpus:
    """Training and validation pairs; `valid_is` says in words which the latter are. others: pairs that are for neither,
    but must not occur among those that are learned from.
    """

    train: PairData
    valid: PairData
    valid_is: str
    others: tuple[PairData, ...] = ()


def load_corpus(data: Data, on_progress: Progress = ignore) -> Corpus:
    """The pairs that the settings name. on_progress: is told of downloads. Raises DataError and ConfigError."""
    if not data.train:
        raise ConfigError("no data to train on; name it with --data, for example --data train.en,train.ja")
    form = Form(data.columns, data.encoding)
    train = load_pairs(data.train, "train", data.source, data.target, form, on_progress)
    named = data.valid or (has_parts(data.train) and other_part(data.train, "dev"))
    if named:
        valid = load_pairs(named, "dev", data.source, data.target, form, on_progress)
        if valid.languages == train.languages[::-1]:
            valid = directed(valid, *train.languages)
        others = (same_way(load_pairs(spec), train.languages) for spec in tests_at_hand(data.train))
        return Corpus(train, valid, named, tuple(others))
    pairs = len(train.pairs)
    if pairs < 2:
        raise DataError(
            f"{data.train}: only one pair; training needs at least 2, "
            "or other data to choose the best model on (--valid)"
        )
    kept = pairs - min(math.ceil(pairs * _HELD_OUT_SHARE), _MOST_HELD_OUT)
    held_out = f"the last {f'{pairs - kept:,} pairs' if pairs - kept > 1 else 'pair'} of {data.train}"
    valid = replace(train.cut(kept, pairs), blank=NONE_BLANK)  # those of the whole file are told with the rest
    return Corpus(train.cut(0, kept), valid, held_out)
