"""The data of a run: what is learned, and what the best checkpoint is chosen on."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from keifu.data.download import Progress, ignore
from keifu.data.examples import Pair, Question
from keifu.data.labelled import load_labelled
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
from keifu.data.pictures import PictureData, Wanted, load_pictures
from keifu.data.stored import StoredPairs
from keifu.data.stories import StoryData, load_stories
from keifu.data.tagged import load_tagged
from keifu.data.texts import TextData, load_text
from keifu.errors import ConfigError, DataError
from keifu.tasks.question_answering import plain
from keifu.training import data_settings as sections

_HELD_OUT_SHARE, _MOST_HELD_OUT, _MOST_CHARACTERS = 0.05, 2_000, 100_000
_MOST_PROBES = 64
_TOKENIZER_TEXTS = 300_000  # pairs of data too large for memory on which the tokenizer is trained
_TOKENIZER_CHARACTERS = 30_000_000  # of a text too large for memory
_CHARACTERS_A_PAIR = 50


@dataclass(frozen=True)
class Corpus:
    """Training and validation pairs; `valid_is` says in words which the latter are. others: pairs that are for neither,
    but must not occur among those that are learned from. probes: pairs to look at along training. whole: what both
    were cut from, where it was one; in the corpora below likewise.
    """

    train: PairData
    valid: PairData
    valid_is: str
    others: tuple[PairData, ...] = ()
    probes: Sequence[Pair] = ()
    whole: PairData | None = None

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

    reading: "documents" or "stream", as in the sections. probes: texts to look at along training.
    """

    train: TextData
    valid: TextData
    valid_is: str
    reading: str
    probes: Sequence[str] = ()
    whole: TextData | None = None

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


class PassageCorpus(TextCorpus):
    """The same, read as documents made of sentences."""

    @property
    def texts(self) -> list[str]:
        return [sentence for passage in self.train.passages(self.reading) for sentence in passage]


@dataclass(frozen=True)
class ExampleCorpus:
    """Examples with classes or tags to learn from and to choose the best checkpoint on, as data/labelled.py or
    data/tagged.py has them; `valid_is` says in words which the latter are.
    """

    train: Any
    valid: Any
    valid_is: str
    whole: Any = None

    @property
    def pairs(self) -> int:
        """How many there are to learn from."""
        return len(self.train.examples)

    @property
    def texts(self) -> list[str]:
        """What the tokenizer learns from."""
        texts: list[str] = self.train.texts
        return texts


@dataclass(frozen=True)
class StoryCorpus:
    """Questions to learn from and to choose the best checkpoint on; `valid_is` says in words which the latter are."""

    train: StoryData
    valid: StoryData
    valid_is: str
    whole: StoryData | None = None

    @property
    def pairs(self) -> int:
        """How many questions there are to learn from."""
        return len(self.train.questions)

    @property
    def texts(self) -> list[str]:
        """What the tokenizer learns from: every different fact and question once."""
        facts = (fact for one in self.train.questions for fact in (*one.facts, one.question))
        return [plain(text) for text in dict.fromkeys(facts)]


@dataclass(frozen=True)
class PictureCorpus:
    """Pictures to learn from and to choose the best checkpoint on; `valid_is` says in words which the latter are."""

    train: PictureData
    valid: PictureData
    valid_is: str
    whole: PictureData | None = None
    texts = None

    @property
    def pairs(self) -> int:
        """How many pictures there are to learn from."""
        return len(self.train.labels)


def load_corpus(data: Any, on_progress: Progress = ignore) -> Any:
    """What the data section of the settings names: a Corpus of pairs or of text. on_progress: is told of downloads.

    Raises DataError and ConfigError.
    """
    corpus = _LOADERS[type(data)](data, on_progress)
    if getattr(data, "probes", None):
        corpus = replace(corpus, probes=_PROBES[type(data)](data, corpus, on_progress))
    return corpus


def _load_pairs(data: sections.Data, on_progress: Progress) -> Corpus:
    if not data.train:
        raise ConfigError("no data to train on; name it with --data, for example --data train.en,train.ja")
    form = Form(data.columns, data.encoding)
    train = load_pairs(data.train, "train", data.source, data.target, form, on_progress)
    named = _named_to_choose_on(data)
    if named:
        valid = load_pairs(named, "dev", data.source, data.target, form, on_progress)
        if valid.languages == train.languages[::-1]:
            valid = directed(valid, *train.languages)
        others = (same_way(load_pairs(spec), train.languages) for spec in tests_at_hand(data.train))
        return Corpus(train, valid, named, tuple(others))
    pairs = len(train.pairs)
    kept = _learned_from(pairs, data.train, "pair")
    held_out = _last_ones(pairs - kept, data.train, "pair")
    valid = replace(train.cut(kept, pairs), blank=NONE_BLANK)  # those of the whole file are told with the rest
    return Corpus(train.cut(0, kept), valid, held_out, whole=train)


def _load_text(data: sections.TextData | sections.PassageData, on_progress: Progress) -> TextCorpus:
    if not data.train:
        raise ConfigError("no data to train on; name it with --data, for example --data book.txt")
    form = Form(data.columns, data.encoding)
    train = load_text(data.train, "train", form, on_progress)
    reading = data.reading or ("documents" if train.is_a_list else "stream")
    named = _named_to_choose_on(data)
    if named:
        return TextCorpus(train, load_text(named, "dev", form, on_progress), named, reading)
    kept, held_out = _documents_cut(train) if reading == "documents" else _stream_cut(train)
    if not (train.cut(0, kept).documents and train.cut(kept, train.characters).documents):
        raise DataError(
            f"{data.train}: too little text; some of it must be kept to choose the best model on: find more, or name "
            "other data with --valid"
        )
    held_out = f"{held_out} of {data.train}"
    learned, chosen_on = train.cut(0, kept), train.cut(kept, train.characters)
    return TextCorpus(learned, chosen_on, held_out, reading, whole=train)


def _load_passages(data: sections.PassageData, on_progress: Progress) -> PassageCorpus:
    corpus = _load_text(data, on_progress)
    return PassageCorpus(corpus.train, corpus.valid, corpus.valid_is, corpus.reading, whole=corpus.whole)


def _load_examples(data: sections.LabelledData | sections.TaggedData, on_progress: Progress) -> ExampleCorpus:
    labelled = isinstance(data, sections.LabelledData)
    if not data.train:
        example = "reviews.tsv" if labelled else "words.conllu"
        raise ConfigError(f"no data to train on; name it with --data, for example --data {example}")
    load: Callable[..., Any] = load_labelled if labelled else load_tagged
    form = Form(getattr(data, "columns", ()), data.encoding)
    train = load(data.train, "train", form, on_progress)
    named = _named_to_choose_on(data)
    if named:
        valid = load(named, "dev", form, on_progress)
        if labelled and valid.kind != train.kind:
            raise DataError(f"{named}: {valid.kind}, and {train.kind} to learn from; expected the same of both")
        return _agreeing(ExampleCorpus(train, valid, named))
    count = len(train.examples)
    kept = _learned_from(count, data.train, "example" if labelled else "sentence (a blank line ends each)")
    held_out = _last_ones(count - kept, data.train, "example")
    return _agreeing(ExampleCorpus(train.cut(0, kept), train.cut(kept, count), held_out, train))


def _agreeing(corpus: ExampleCorpus) -> ExampleCorpus:
    """The corpus, whose classes are all learned. Raises DataError where they are not, or where there is only one."""
    known = corpus.train.labels
    if len(known) < 2:
        raise DataError(f"{corpus.train.spec}: all examples are of the class {next(iter(known))!r}; expected several")
    if other := [label for label in corpus.valid.labels if label not in known]:
        raise DataError(
            f"{corpus.valid_is}: the class {other[0]!r} does not occur among the examples to learn from, which have "
            f"{', '.join(list(known)[:5])}{' ...' if len(known) > 5 else ''}; correct it, or mix the lines anew"
        )
    return corpus


def _load_stories(data: sections.StoryData, on_progress: Progress) -> StoryCorpus:
    if not data.train:
        raise ConfigError("no data to train on; name it with --data, for example --data babi-1 or builtin:stories")
    train = load_stories(data.train, "train", data.encoding, on_progress)
    named = _named_to_choose_on(data)
    if named:
        return StoryCorpus(train, load_stories(named, "dev", data.encoding, on_progress), named)
    count = len(train.questions)
    kept = _where_a_story_begins(train.questions, _learned_from(count, data.train, "question"))
    held_out = _last_ones(count - kept, data.train, "question")
    return StoryCorpus(train.cut(0, kept), train.cut(kept, count), held_out, train)


def _where_a_story_begins(questions: Sequence[Question], place: int) -> int:
    """The nearest such place, so that no story is both learned from and held out; the place itself where none is so
    near that what is behind it would be at most twice as much.
    """
    for away in range(len(questions) - place):
        for near in (place - away, place + away):
            before = questions[near - 1].facts
            if near > 0 and questions[near].facts[: len(before)] != before:
                return near
    return place


def _load_pictures(data: sections.PictureData, on_progress: Progress) -> PictureCorpus:
    if not data.train:
        raise ConfigError("no data to train on; name it with --data, for example --data pictures or digits")
    size = (data.height, data.width) if data.height is not None and data.width is not None else None
    train = load_pictures(data.train, "train", Wanted(size, data.colour))
    if len(train.classes) < 2:
        raise DataError(
            f"{train.spec}: only one class, {next(iter(train.classes))!r}; expected a folder for each of several"
        )
    named = _named_to_choose_on(data)
    if named:
        valid = load_pictures(named, "dev", train.shape)
        if other := [label for label in valid.classes if label not in train.classes]:
            raise DataError(f"{named}: the class {other[0]!r} has no picture to learn from; add some, or leave it away")
        return PictureCorpus(train, valid, named)
    count = len(train.labels)
    kept = count - min(math.ceil(count * _HELD_OUT_SHARE), _MOST_HELD_OUT)
    learned = train.cut(slice(0, kept))
    if missing := [label for label in train.classes if label not in learned.classes]:
        raise DataError(f"{train.spec}: too few pictures of {missing[0]!r}; find more, or name other data with --valid")
    held_out = f"{count - kept:,} pictures of {data.train}"
    return PictureCorpus(learned, train.cut(slice(kept, count)), held_out, train)


def _named_to_choose_on(data: Any) -> Any:
    """The data that choose the best checkpoint, where the settings or the set itself name some."""
    return data.valid or (has_parts(data.train) and other_part(data.train, "dev"))


def _learned_from(count: int, spec: str, unit: str) -> int:
    """How many of so many are learned from, where the last ones are held out. Raises DataError."""
    if count < 2:
        raise DataError(
            f"{spec}: only one {unit}; training needs at least 2, or other data to choose the best model on (--valid)"
        )
    return count - min(math.ceil(count * _HELD_OUT_SHARE), _MOST_HELD_OUT)


def _last_ones(count: int, spec: str, unit: str) -> str:
    """What so many, which are held out, are called."""
    return f"the last {f'{count:,} {unit}s' if count > 1 else unit} of {spec}"


def _documents_cut(data: TextData) -> tuple[int, str]:
    """Where the documents that are held out begin, and how to call them."""
    count = len(data.documents)
    held_out = min(math.ceil(count * _HELD_OUT_SHARE), _MOST_HELD_OUT)
    kept, left = 0, count - held_out
    for piece in data.pieces():
        if left == 0:
            break
        kept, left = kept + len(piece), left - bool(piece.strip())
    return kept, f"the last {f'{held_out:,} documents' if held_out > 1 else 'document'}"


def _stream_cut(data: TextData) -> tuple[int, str]:
    """Where the text that is held out begins, and how to call it."""
    held_out = min(math.ceil(data.characters * _HELD_OUT_SHARE), _MOST_CHARACTERS)
    return data.characters - held_out, f"the last {held_out:,} characters"


def _probe_pairs(data: sections.Data, corpus: Corpus, on_progress: Progress) -> Sequence[Pair]:
    assert data.probes is not None
    form = Form(data.columns, data.encoding)
    return same_way(
        load_pairs(data.probes, "dev", data.source, data.target, form, on_progress), corpus.train.languages
    ).pairs


def _probe_texts(data: sections.TextData, corpus: TextCorpus, on_progress: Progress) -> Sequence[str]:
    assert data.probes is not None
    documents = load_text(data.probes, "dev", Form(data.columns, data.encoding), on_progress).documents
    return list(islice(documents, _MOST_PROBES))


_LOADERS: dict[type, Callable[[Any, Progress], Any]] = {
    sections.Data: _load_pairs,
    sections.TextData: _load_text,
    sections.PassageData: _load_passages,
    sections.LabelledData: _load_examples,
    sections.TaggedData: _load_examples,
    sections.StoryData: _load_stories,
    sections.PictureData: _load_pictures,
}
_PROBES: dict[type, Callable[[Any, Any, Progress], Any]] = {
    sections.Data: _probe_pairs,
    sections.TextData: _probe_texts,
}
