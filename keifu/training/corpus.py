"""The data of a run: what is learned, and what the best checkpoint is chosen on."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from keifu.data.download import Progress, ignore
from keifu.data.examples import Pair
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
from keifu.data.stored import StoredPairs
from keifu.data.texts import TextData, load_text
from keifu.errors import ConfigError, DataError
from keifu.training import settings

_HELD_OUT_SHARE, _MOST_HELD_OUT, _MOST_CHARACTERS = 0.05, 2_000, 100_000
_MOST_PROBES = 64
_TOKENIZER_TEXTS = 300_000  # pairs of data too large for memory on which the tokenizer is trained
_TOKENIZER_CHARACTERS = 30_000_000  # of a text too large for memory
_CHARACTERS_A_PAIR = 50


@dataclass(frozen=True)
class Corpus:
    """Training and validation pairs; `valid_is` says in words which the latter are. others: pairs that are for neither,
    but must not occur among those that are learned from. probes: pairs to look at along training.
    """

    train: PairData
    valid: PairData
    valid_is: str
    others: tuple[PairData, ...] = ()
    probes: Sequence[Pair] = ()

    @property
    def pairs(self) -> int:
        """How many there are to learn from."""
        return len(self.train.pairs)

    @property
    def texts(self) -> list[str]:
        """What the tokenizer learns from: both sides of all pairs, or of some evenly spaced ones."""
        pairs = self.train.pairs
        if isinstance(pairs, StoredPairs):
            step = math.ceil(len(pairs) / _TOKENIZER_TEXTS)
            pairs = [pairs[row] for row in range(0, len(pairs), step)]
        return [text for pair in pairs for text in (pair.source, pair.target)]


@dataclass(frozen=True)
class TextCorpus:
    """Text to learn from and to choose the best checkpoint on; `valid_is` says in words which the latter is.

    reading: "documents" or "stream", as in the settings. probes: texts to look at along training.
    """

    train: TextData
    valid: TextData
    valid_is: str
    reading: str
    probes: Sequence[str] = ()

    @property
    def pairs(self) -> int:
        """As how many sentence pairs the text to learn from is, about."""
        return self.train.characters // _CHARACTERS_A_PAIR

    @property
    def texts(self) -> Collection[str]:
        """What the tokenizer learns from; of a text too large for memory some blocks, evenly spread."""
        if not self.train.is_stored:
            return self.train.documents if self.reading == "documents" else [self.train.text]
        every = math.ceil(self.train.characters / _TOKENIZER_CHARACTERS)
        blocks = list(islice(self.train.blocks(), 0, None, every))
        if self.reading == "documents":  # each block may begin and end inside one
            return [line for block in blocks for line in block.split("\n")[1:-1] if line.strip()] or blocks
        return blocks


def load_corpus(data: Any, on_progress: Progress = ignore) -> Any:
    """What the data section of the settings names: a Corpus of pairs or of text. on_progress: is told of downloads.

    Raises DataError and ConfigError.
    """
    load, load_probes = _LOADERS[type(data)]
    corpus = load(data, on_progress)
    return replace(corpus, probes=load_probes(data, corpus, on_progress)) if data.probes else corpus


def _load_pairs(data: settings.Data, on_progress: Progress) -> Corpus:
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


def _load_text(data: settings.TextData, on_progress: Progress) -> TextCorpus:
    if not data.train:
        raise ConfigError("no data to train on; name it with --data, for example --data book.txt")
    form = Form(data.columns, data.encoding)
    train = load_text(data.train, "train", form, on_progress)
    reading = data.reading or ("documents" if train.is_a_list else "stream")
    named = data.valid or (has_parts(data.train) and other_part(data.train, "dev"))
    if named:
        return TextCorpus(train, load_text(named, "dev", form, on_progress), named, reading)
    kept, held_out = _documents_cut(train) if reading == "documents" else _stream_cut(train)
    if not (train.cut(0, kept).documents and train.cut(kept, train.characters).documents):
        raise DataError(
            f"{data.train}: too little text; some of it must be kept to choose the best model on: find more, or name "
            "other data with --valid"
        )
    held_out = f"{held_out} of {data.train}"
    return TextCorpus(train.cut(0, kept), train.cut(kept, train.characters), held_out, reading)


def _documents_cut(data: TextData) -> tuple[int, str]:
    """Where the documents that are held out begin, and how to call them."""
    count = len(data.documents)
    held_out = min(math.ceil(count * _HELD_OUT_SHARE), _MOST_HELD_OUT)
    kept, left = 0, count - held_out
    for line in data.lines():
        if left == 0:
            break
        kept, left = kept + len(line) + 1, left - bool(line.strip())
    return kept, f"the last {f'{held_out:,} documents' if held_out > 1 else 'document'}"


def _stream_cut(data: TextData) -> tuple[int, str]:
    """Where the text that is held out begins, and how to call it."""
    held_out = min(math.ceil(data.characters * _HELD_OUT_SHARE), _MOST_CHARACTERS)
    return data.characters - held_out, f"the last {held_out:,} characters"


def _probe_pairs(data: settings.Data, corpus: Corpus, on_progress: Progress) -> Sequence[Pair]:
    assert data.probes is not None
    form = Form(data.columns, data.encoding)
    return same_way(
        load_pairs(data.probes, "dev", data.source, data.target, form, on_progress), corpus.train.languages
    ).pairs


def _probe_texts(data: settings.TextData, corpus: TextCorpus, on_progress: Progress) -> Sequence[str]:
    assert data.probes is not None
    documents = load_text(data.probes, "dev", Form(data.columns, data.encoding), on_progress).documents
    return list(islice(documents, _MOST_PROBES))


_LOADERS: dict[type, tuple[Callable[[Any, Progress], Any], Callable[[Any, Any, Progress], Any]]] = {
    settings.Data: (_load_pairs, _probe_pairs),
    settings.TextData: (_load_text, _probe_texts),
}
