"""What stands out in data before anything is learned from them: each finding with its places and a remedy."""

import re
from array import array
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keifu.data.examples import LabelledText, TaggedSentence
from keifu.data.labelled import LabelledData
from keifu.data.pairs import UNNAMED, PairData
from keifu.data.pictures import PictureData
from keifu.data.stories import StoryData
from keifu.data.tagged import TaggedData
from keifu.data.texts import TextData

MOST_EXAMINED = 2_000_000
"""Pairs that are looked at; of larger data only these first ones."""

_SORTED = "are they sorted by {}? mix them, or choose with --valid on some of all"
_SHOWN = 5  # places that a finding names
_FEW = 1_000
_LONG = 1_000  # characters
_SHORT = 50_000  # characters of a text
_FAR, _FAR_CHARACTERS = 6.0, 20  # how far from the usual ratio a pair's lengths must lie: robust deviations, characters
_USUALLY = 0.9
_UNEVEN = 10  # the largest class against the smallest
_STRANGE = re.compile(
    "\ufffd"  # what decoders put in place of bytes that they could not read
    "|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
    "|Ã[\x80-\xbf©¨ªª«§¢¤¶¼]|â€[™œ“”˜¦]|ã[\x81-\x83][\x80-\xbf]"  # UTF-8 that was read as Latin-1 or Windows-1252
    "|&(?:amp|lt|gt|quot|nbsp|#\\d+);|</?(?:br|p|b|i|a|div|span)\\b[^<>]*>"
)
_ASIAN = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True)
class Finding:
    """One thing that stands out. places: of the first ones, such as "train.en:17"."""

    kind: str
    count: int
    places: tuple[str, ...]
    text: str
    advice: str


@dataclass
class _Seen:
    """What one pass over a data set gathers: hashes and lengths of every pair, and the rows that stand out."""

    pairs: NDArray[np.int64]
    sources: NDArray[np.int64]
    lengths: NDArray[np.int64]
    rows: dict[str, list[int]]


def examine(train: PairData, held_out: Sequence[PairData] = ()) -> list[Finding]:
    """What stands out in the training pairs, and between them and data that are not learned from; what matters most
    first.
    """
    seen = _look(train)
    found = [*_left_out(train)]
    for data in held_out:
        found += [*_left_out(data), *_languages(train, data), *_overlap(train, seen, data, _look(data))]
    found += [*_strange(train, seen), *_lengths(train, seen), *_repeated(train, seen)]
    if len(train.pairs) < _FEW:
        text = f"only {_number(len(train.pairs), 'pair')} to learn from"
        found.append(Finding("few", len(train.pairs), (), text, "expect a model that repeats them; find more"))
    if len(train.pairs) > MOST_EXAMINED:
        text = f"only the first {MOST_EXAMINED:,} of {len(train.pairs):,} pairs were examined"
        found.append(
            Finding("not examined", len(train.pairs) - MOST_EXAMINED, (), text, "cut a later part out to see it")
        )
    return found


def examine_text(train: TextData, valid: TextData, reading: str) -> list[Finding]:
    """What stands out in text to learn from, and between it and the text that is held out."""
    found = []
    if reading == "documents":
        known = set(valid.documents).intersection(islice(train.documents, MOST_EXAMINED))
        both = [text for text in valid.documents if text in known]
        if both:
            share = f"{_number(len(both), 'document')} ({len(both) / len(valid.documents):.1%})"
            text = f"{share} of {valid.spec} also among those learned from"
            advice = "scores on them flatter the model: remove them on one side"
            found.append(Finding("overlap", len(both), (), text, advice))
    elif train.sha256 == valid.sha256:
        text = f"{valid.spec} is the text that is learned from"
        found.append(Finding("overlap", valid.characters, (), text, "scores on it flatter the model: name another one"))
    examined = islice(train.lines(), MOST_EXAMINED)
    lines = [number for number, line in enumerate(examined, 1) if _STRANGE.search(line)]
    if lines:
        places = tuple(f"line {number}" for number in lines[:_SHOWN])
        text = f"{_number(len(lines), 'line')} with signs of damage: wrongly decoded or control characters, HTML"
        found.append(Finding("strange characters", len(lines), places, text, "correct or remove these lines"))
    if train.characters < _SHORT:
        text = f"only {_number(train.characters, 'character')} to learn from"
        found.append(Finding("few", train.characters, (), text, "expect a model that repeats them; find more"))
    return found


def examine_examples(train: LabelledData | TaggedData, valid: LabelledData | TaggedData) -> list[Finding]:
    """What stands out in texts with classes, or sentences with tags, and between them and those held out."""
    found = []
    known = {_content(example) for example in train.examples}
    both = sum(_content(example) in known for example in valid.examples)
    if both:
        share = f"{_number(both, 'example')} ({both / len(valid.examples):.1%})"
        text = f"{share} of {valid.spec} also among those learned from"
        found.append(Finding("overlap", both, (), text, "scores on them flatter the model: remove them on one side"))
    for data in (train, valid):
        if blank := getattr(data, "blank", 0):
            text = f"left out: {_number(blank, 'line')} of {data.spec} without a text or without a class"
            found.append(Finding("blank", blank, (), text, "complete them, or remove them"))
    if isinstance(valid, LabelledData):
        found += _missing("class", "example", train.labels, valid.labels, _SORTED.format("class"))
    counts = sorted(train.labels.values())
    if isinstance(train, LabelledData) and counts[-1] > _UNEVEN * counts[0]:
        text = f"classes of very different sizes: {counts[0]:,} to {counts[-1]:,} examples"
        found.append(
            Finding("uneven classes", 1, (), text, "try --set training.class_weights=balanced; look at macro F1")
        )
    if len(train.examples) < _FEW:
        text = f"only {_number(len(train.examples), 'example')} to learn from"
        found.append(
            Finding("few", len(train.examples), (), text, "find more, or begin with a pre-trained model (--init)")
        )
    return found


def _missing(
    group: str, noun: str, learned: Iterable[str], chosen_on: Container[str], advice: str
) -> Iterator[Finding]:
    """What is learned, and not looked at where the best model is chosen."""
    missing = [each for each in learned if each not in chosen_on]
    if missing:
        names = ", ".join(missing[:_SHOWN]) + (" ..." if len(missing) > _SHOWN else "")
        text = f"no {noun} of the {group} {names} among those that the best model is chosen on"
        yield Finding(f"missing {group}", 1, (), text, advice)


def _content(example: LabelledText | TaggedSentence) -> tuple[str, ...]:
    return example.texts if isinstance(example, LabelledText) else example.words


def examine_stories(train: StoryData, valid: StoryData) -> list[Finding]:
    """What stands out in questions to learn from, and between them and those that are held out."""
    found = []
    known = {(one.facts, one.question) for one in train.questions}
    both = sum((one.facts, one.question) in known for one in valid.questions)
    if both:
        share = f"{_number(both, 'question')} ({both / len(valid.questions):.1%})"
        text = f"{share} of {valid.spec} also among those learned from, story and all"
        found.append(Finding("overlap", both, (), text, "scores on them flatter the model: remove them on one side"))
    answers = {one.answer for one in train.questions}
    unseen = sorted({one.answer for one in valid.questions} - answers)
    if unseen:
        count = sum(one.answer not in answers for one in valid.questions)
        text = f"{_number(count, 'question')} of {valid.spec} with an answer that no question to learn from has"
        found.append(
            Finding("unseen answers", count, tuple(unseen[:_SHOWN]), text, "the model can never give it: find examples")
        )
    if set(train.kinds) & set(valid.kinds):  # where nothing names them, they are called after their files
        found += _missing("kind", "question", train.kinds, valid.kinds, _SORTED.format("kind"))
    if len(train.questions) < _FEW:
        text = f"only {_number(len(train.questions), 'question')} to learn from"
        found.append(Finding("few", len(train.questions), (), text, "expect a model that repeats them; find more"))
    return found


def examine_pictures(train: PictureData, valid: PictureData) -> list[Finding]:
    """What stands out in pictures to learn from, and between them and those that are held out."""
    found = []
    known = {one.tobytes() for one in train.pixels}
    both = [place for place, one in zip(valid.places, valid.pixels, strict=True) if one.tobytes() in known]
    if both:
        share = f"{_number(len(both), 'picture')} ({len(both) / len(valid.labels):.1%})"
        text = f"{share} of {valid.spec} also among those learned from"
        advice = "scores on them flatter the model: remove them on one side"
        found.append(Finding("overlap", len(both), tuple(both[:_SHOWN]), text, advice))
    found += _missing("class", "picture", train.classes, valid.classes, "find more, or name others with --valid")
    counts = sorted(train.classes.values())
    if counts[-1] > _UNEVEN * counts[0]:
        text = f"classes of very different sizes: {counts[0]:,} to {counts[-1]:,} pictures"
        found.append(Finding("uneven", len(counts), (), text, "look at macro F1, and find more of the rare ones"))
    if len(train.labels) < _FEW:
        text = f"only {_number(len(train.labels), 'picture')} to learn from"
        found.append(Finding("few", len(train.labels), (), text, "expect a model that repeats them; find more"))
    return found


def _look(data: PairData) -> _Seen:
    pairs, sources, lengths = array("q"), array("q"), array("q")
    rows: dict[str, list[int]] = {"identical": [], "strange": [], "no source": [], "no target": [], "long": []}
    asian = [array("b"), array("b")]
    for row, pair in enumerate(islice(data.pairs, MOST_EXAMINED)):
        source, target = pair.source, pair.target
        pairs.append(hash((source, target)))
        sources.append(hash(source))
        lengths.extend((len(source), len(target)))
        if source == target:
            rows["identical"].append(row)
        if _STRANGE.search(source) or _STRANGE.search(target):
            rows["strange"].append(row)
        if max(len(source), len(target)) > _LONG:
            rows["long"].append(row)
        for side, text in zip(asian, (source, target), strict=True):
            side.append(1 if _ASIAN.search(text) else 0 if _LETTER.search(text) else -1)
    for side, name in zip(asian, ("no source", "no target"), strict=True):
        rows[name] = _of_other_script(np.frombuffer(side, np.int8))
    both = np.frombuffer(lengths, np.int64).reshape(-1, 2)
    return _Seen(np.frombuffer(pairs, np.int64), np.frombuffer(sources, np.int64), both, rows)


def _of_other_script(asian: NDArray[np.int8]) -> list[int]:
    """The rows of texts without a Chinese, Japanese or Korean sign where nearly all have one, or with one where
    hardly any has. Texts without letters are of no script.
    """
    written = asian >= 0
    if not written.any():
        return []
    share = float((asian[written] == 1).mean())
    if _USUALLY < share < 1:
        return np.flatnonzero(asian == 0).tolist()
    if 0 < share < 1 - _USUALLY:
        return np.flatnonzero(asian == 1).tolist()
    return []


def _finding(data: PairData, kind: str, rows: Sequence[int], what: str, advice: str) -> Iterator[Finding]:
    if rows:
        places = tuple(data.places[int(row)] for row in rows[:_SHOWN])
        yield Finding(kind, len(rows), places, f"{_of(rows, data, 'pair')} {what}", advice)


def _of(rows: Sequence[int] | NDArray[Any], data: PairData, noun: str) -> str:
    """Such as "3 pairs (0.01%)"."""
    share = len(rows) / len(data.pairs)
    return (
        f"{_number(len(rows), noun)} ({share:.1%})" if share >= 0.001 else f"{_number(len(rows), noun)} ({share:.2%})"
    )


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' if count > 1 else ''}"


def _left_out(data: PairData) -> Iterator[Finding]:
    both, one, places = data.blank
    if one:
        text = f"left out: {_number(one, 'pair')} of {data.spec} with one side empty"
        yield Finding("one side empty", one, places, text, "check that the sides still belong together after these")
    if both:
        text = f"left out: {_number(both, 'line')} of {data.spec}, empty on both sides"
        yield Finding("both sides empty", both, (), text, "nothing to do")


def _strange(data: PairData, seen: _Seen) -> Iterator[Finding]:
    rows = seen.rows
    what = "with signs of damage: wrongly decoded or control characters, HTML"
    yield from _finding(data, "strange characters", rows["strange"], what, "correct or remove these lines")
    yield from _finding(
        data, "identical sides", rows["identical"], "with the same text on both sides", "translate or remove them"
    )
    for name, side in (("no source", data.languages[0]), ("no target", data.languages[1])):
        what = f"in another script on the side {side} than nearly all others"
        yield from _finding(data, "other script", rows[name], what, "check that they are in the right language")


def _lengths(data: PairData, seen: _Seen) -> Iterator[Finding]:
    logs = np.log(seen.lengths + 1.0)
    ratio = logs[:, 1] - logs[:, 0]
    usual = float(np.median(ratio))
    spread = max(0.1, 1.4826 * float(np.median(np.abs(ratio - usual))))
    far = np.abs(ratio - usual) > _FAR * spread
    expected = (seen.lengths[:, 0] + 1) * np.exp(usual)
    rows = np.flatnonzero(far & (np.abs(seen.lengths[:, 1] - expected) > _FAR_CHARACTERS)).tolist()
    what = f"of odd lengths: a target is usually {np.exp(usual):.1f} times as long as its source"
    yield from _finding(data, "odd lengths", rows, what, "check that the sides belong together")
    what = f"longer than {_LONG:,} characters"
    yield from _finding(data, "long", seen.rows["long"], what, "split them into sentences")


def _repeated(data: PairData, seen: _Seen) -> Iterator[Finding]:
    rows, firsts = _repetitions(seen.pairs)
    if len(rows):
        places = tuple(
            f"{data.places[int(row)]} (first {data.places[int(first)]})"
            for row, first in zip(rows[:_SHOWN], firsts[:_SHOWN], strict=True)
        )
        text = f"{_of(rows, data, 'pair')} like an earlier one, word for word"
        yield Finding("duplicates", len(rows), places, text, "remove them, unless they are meant to weigh more")
    again, earlier = _repetitions(seen.sources)
    other = np.flatnonzero(seen.pairs[again] != seen.pairs[earlier])
    what = "with a source that stands earlier with another target"
    yield from _finding(data, "several targets", again[other].tolist(), what, "fine where both are right")


def _overlap(train: PairData, seen: _Seen, other: PairData, seen_other: _Seen) -> Iterator[Finding]:
    order = np.argsort(seen.sources, kind="stable")
    at = np.searchsorted(seen.sources[order], seen_other.sources)
    at = np.minimum(at, len(order) - 1)
    rows = np.flatnonzero(seen.sources[order][at] == seen_other.sources)
    if len(rows):
        pairs = int(np.isin(seen_other.pairs[rows], seen.pairs).sum())
        places = tuple(f"{other.places[int(row)]} is {train.places[int(order[at[row]])]}" for row in rows[:_SHOWN])
        text = f"{_of(rows, other, 'source')} of {other.spec} also among the sources learned from, {pairs:,} with "
        text += "the same target"
        yield Finding("overlap", len(rows), places, text, "scores on them flatter the model: remove them on one side")


def _languages(train: PairData, other: PairData) -> Iterator[Finding]:
    if UNNAMED not in (train.languages, other.languages) and train.languages != other.languages:
        names = [" to ".join(data.languages) for data in (train, other)]
        text = f"the training data go from {names[0]}, {other.spec} from {names[1]}"
        yield Finding("languages", len(other.pairs), (), text, "name validation data in the same languages")


def _repetitions(hashes: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The rows whose hash stood earlier, in order, and for each the row where it stood first."""
    _, first, group = np.unique(hashes, return_index=True, return_inverse=True)
    firsts = first[group]
    rows = np.flatnonzero(firsts != np.arange(len(hashes)))
    return rows, firsts[rows]
