"""Documents translated sentence by sentence: their frame stays, and their markup goes where the words go."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from keifu.errors import ConfigError
from keifu.text.documents import KINDS, read_document
from keifu.text.segments import Document, Segment
from keifu.text.sentences import cut_to_fit, space_between
from keifu.text.translation_memory import read_translation_memory
from keifu.views.markup import Range, carry, project, render


class SegmentTranslation(NamedTuple):
    """What takes a segment's place. score: its worst part's; parts: 1, or how many it was cut into to fit the model."""

    text: str
    score: float
    complete: bool
    parts: int


def open_document(model: Any, content: str, kind: str) -> Document:
    """A document to translate with `model`: kind "text", "markdown" or "tmx". Raises ConfigError and DataError."""
    if kind == "tmx":
        return read_translation_memory(content, *model.languages)
    if kind not in KINDS:
        raise ConfigError(f"kind {kind!r} of document is not known; expected {', '.join(KINDS)} or tmx")
    return read_document(content, kind)


def translate_segments(model: Any, segments: Sequence[Segment], **decoding: Any) -> list[SegmentTranslation]:
    """The translations of a document's segments, with their markup. decoding: as `Model.translate` takes it."""
    if (decoding.get("n_best") or 1) > 1:
        raise ConfigError("n_best above 1 does not go with a document, which has one translation")
    cut = [_parts_that_fit(model, segment) for segment in segments]
    texts = list(dict.fromkeys(_read(part) for parts in cut for part in parts))
    found = dict(zip(texts, model.translate(texts, **{**decoding, "details": True, "n_best": 1}), strict=True))
    return [_joined([(part, found[_read(part)]) for part in parts], model) for parts in cut]


def _read(segment: Segment) -> str:
    """What the model reads: markup that was taken out may have left several spaces."""
    return " ".join(segment.plain.split())


def _joined(parts: Sequence[tuple[Segment, Any]], model: Any) -> SegmentTranslation:
    text = ""
    for segment, best in parts:
        part = render(best.text, segment.spans, _places(model, segment, best), segment.spelling)
        part = " ".join(part.split("\n")) if "\n" in best.text else part
        text += space_between(text, part) + part
    bests = [best for _, best in parts]
    return SegmentTranslation(text, min(best.score for best in bests), all(best.complete for best in bests), len(parts))


def _parts_that_fit(model: Any, segment: Segment) -> list[Segment]:
    """The segment, or parts of it that the model can read. A span across a cut stays with the part it begins in; code
    and addresses do so as a whole.
    """
    limit: int = model.longest_side - model.task.special[0]

    def fits(text: str) -> bool:
        tokens: list[int] = model.tokenizer.encode(model.normalisation.source(text))
        return len(tokens) <= limit

    ranges = cut_to_fit(segment.plain, fits)
    if len(ranges) == 1:
        return [segment]
    parts = []
    for begin, end in ranges:
        whole = [span.end for span in segment.spans if span.kind == "verbatim" and span.begin < begin < span.end]
        begin = max([begin, *whole])
        if begin >= end:
            continue
        spans = [
            span._replace(begin=span.begin - begin, end=min(span.end, end) - begin)
            for span in segment.spans
            if begin <= span.begin < end or span.begin == end == len(segment.plain)
        ]
        parts.append(replace(segment, plain=segment.plain[begin:end], spans=spans))
    return parts


def _places(model: Any, segment: Segment, best: Any) -> list[Range | None]:
    """Where the segment's spans are in `best.text`."""
    if not segment.spans:
        return []
    source = model.normalisation.source(_read(segment))
    target = model.normalisation.target(best.raw)
    read, wrote = (model.tokenizer.encode_with_offsets(text).offsets for text in (source, target))
    spans = carry([(span.begin, span.end) for span in segment.spans], segment.plain, source)
    if all((begin, end) in ((0, len(source)), (0, 0), (len(source), len(source))) for begin, end in spans):
        weights = torch.zeros(len(wrote), len(read))
    else:
        weights = _alignment(model, source, target, len(wrote), len(read))
    verbatim = [index for index, span in enumerate(segment.spans) if span.kind == "verbatim"]
    places = project(spans, read, wrote, weights, verbatim, target)
    return [place and carry([place], target, best.text)[0] for place in places]


def _alignment(model: Any, source: str, target: str, wrote: int, read: int) -> Tensor:
    """How much each of so many target tokens draws on each source token `[T, S]`: the mean over all layers and heads.

    Row t is the step that predicts target token t. Zeros where the model has no attention on the source, and where
    the translation ran on to the end of what the model can read.
    """
    stream = model.task.takes != "pair"  # the source comes first, and [BOS] predicts the first target token
    longest = model.network.longest
    if longest is not None and (read if stream else 0) + 1 + wrote > longest:
        return torch.zeros(wrote, read)
    pattern = "*attention.weights" if stream else "*cross_attention.weights"
    trace = model.trace(source, target, names=[pattern])
    layers = [value.value[0].float().mean(0).cpu() for value in trace.find(pattern)]
    if not layers:
        return torch.zeros(wrote, read)
    first, before = read if stream else 0, int(model.task.begins_source)
    return torch.stack(layers).mean(0)[first : first + wrote, before : before + read]
