"""What a diagnosis is made from: a sample of pairs, the loss on it, and what the model writes for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from keifu.data.examples import Pair
from keifu.generation.translation import Decoding, translate
from keifu.views.measures import Sentence


@dataclass(frozen=True)
class Sample:
    """Some pairs of a data set, as the model reads them, with their rows there. too_long: how many were left out."""

    pairs: Sequence[Pair]
    rows: Sequence[int]
    too_long: int


def take_sample(
    pairs: Sequence[Pair], limit: int, task: Any, normalise: Callable[[str], str], max_tokens: int
) -> Sample:
    """At most `limit` pairs, evenly spread, without those of over `max_tokens` tokens on a side."""
    rows = np.unique(np.linspace(0, len(pairs) - 1, min(limit, len(pairs))).round().astype(np.int64)).tolist()
    chosen = [replace(pairs[row], source=normalise(pairs[row].source)) for row in rows]
    fits = task.encode(chosen).sizes.max(axis=1) <= max_tokens
    kept = np.flatnonzero(fits).tolist()
    return Sample([chosen[index] for index in kept], [rows[index] for index in kept], len(rows) - len(kept))


def read_sentences(
    model: Any, head: nn.Module, task: Any, sample: Sample, places: Any, decoding: Decoding
) -> list[Sentence]:
    """The sample's pairs with the model's translations. places: where each row of the data stands."""
    tokenizer, pairs = task.tokenizer, sample.pairs
    sources, references = [pair.source for pair in pairs], [pair.target for pair in pairs]
    outputs = [bests[0] for bests in translate(model, head, tokenizer, sources, decoding)]
    read = (tokenizer.encode_batch(sources), tokenizer.encode_batch(references))
    return [
        Sentence(
            row + 1,
            pair.source,
            pair.target,
            output.raw,
            source,
            reference,
            output.tokens,
            output.complete,
            places[row],
        )
        for row, pair, source, reference, output in zip(sample.rows, pairs, *read, outputs, strict=True)
    ]
