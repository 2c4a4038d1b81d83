"""The data of a run: what is learned, and what the best checkpoint is chosen on."""

import math
from dataclasses import dataclass, replace

from keifu.data.sources import PairData, directed, has_parts, load_pairs
from keifu.errors import ConfigError, DataError
from keifu.training.settings import Data

_HELD_OUT_SHARE, _MOST_HELD_OUT = 0.05, 2_000


@dataclass(frozen=True)
class Corpus:
    """Training and validation pairs; `valid_is` says in words which the latter are."""

    train: PairData
    valid: PairData
    valid_is: str


def load_corpus(data: Data) -> Corpus:
    """The pairs that the settings name. Raises DataError and ConfigError."""
    if not data.train:
        raise ConfigError("no data to train on; name it with --data, for example --data train.en,train.ja")
    train = load_pairs(data.train, "train", data.source, data.target)
    if data.valid:
        valid = load_pairs(data.valid, "dev", data.source, data.target)
        if valid.languages == train.languages[::-1]:
            valid = directed(valid, *train.languages)
        return Corpus(train, valid, data.valid)
    if has_parts(data.train):
        return Corpus(train, load_pairs(data.train, "dev", data.source, data.target), f"{data.train}:dev")
    count = min(math.ceil(len(train.pairs) * _HELD_OUT_SHARE), _MOST_HELD_OUT)
    if len(train.pairs) < 2:
        raise DataError(
            f"{data.train}: only one pair; training needs at least 2, one of them to choose the best model on"
        )
    kept, held_out = train.pairs[:-count], train.pairs[-count:]
    return Corpus(
        replace(train, pairs=kept), replace(train, pairs=held_out), f"the last {count:,} pairs of {data.train}"
    )
