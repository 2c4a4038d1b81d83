"""What can be counted on a translator's outputs: unknown tokens, lengths, repetitions, scores, the worst sentences."""

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import sacrebleu

from keifu.tasks.translation_metrics import score_translations
from keifu.text import Tokenizer

_LONGEST_REPEATED, _TIMES = 4, 3
HOPELESS = 15  # chrF of a sentence that has next to nothing in common with its reference
_NAMED = 10  # unknown characters and frequent outputs that are named


@dataclass(frozen=True)
class Sentence:
    """A pair and what the model wrote for its source; tokens are without [EOS].

    line: of the pair in its data, from 1. place: where that is, as "dev.en:17", where it is known. complete: False
    where the output was cut at its length limit.
    """

    line: int
    source: str
    reference: str
    output: str
    source_tokens: Sequence[int]
    reference_tokens: Sequence[int]
    output_tokens: Sequence[int]
    complete: bool = True
    place: str = ""


def unigram_entropy(sentences: Sequence[Sentence], eos_id: int) -> float:
    """The entropy, in nats, of the references' tokens and [EOS]: the loss of a model that knows nothing but how
    frequent each of them is.
    """
    counts = Counter(token for each in sentences for token in each.reference_tokens)
    counts[eos_id] += len(sentences)
    shares = np.array(list(counts.values())) / counts.total()
    return float(-(shares * np.log(shares)).sum())


def unknown_tokens(sentences: Sequence[Sentence], tokenizer: Tokenizer) -> dict[str, Any]:
    """The share of tokens that stand for something outside the vocabulary, in sources, references and outputs.

    These are [UNK] with a word or character tokenizer, bytes with bpe, and none with byte-bpe, which knows every
    text. most_frequent: the words or characters of sources and references that they stand for, with their numbers.
    """
    unknown = tokenizer.unknown_ids
    shares = {
        "sources": _share_of(unknown, [each.source_tokens for each in sentences]),
        "references": _share_of(unknown, [each.reference_tokens for each in sentences]),
        "outputs": _share_of(unknown, [each.output_tokens for each in sentences]),
    }
    found: Counter[str] = Counter()
    for each in sentences:
        for text, tokens in ((each.source, each.source_tokens), (each.reference, each.reference_tokens)):
            if not unknown.isdisjoint(tokens):
                found.update(_spelt(text, unknown, tokenizer))
    return {"tokens": tokenizer.unknown_are, **shares, "most_frequent": found.most_common(_NAMED)}


def _share_of(wanted: Set[int], rows: Sequence[Sequence[int]]) -> float:
    return sum(token in wanted for row in rows for token in row) / max(1, sum(map(len, rows)))


def _spelt(text: str, unknown: Set[int], tokenizer: Tokenizer) -> list[str]:
    """The pieces of a text that unknown tokens stand for; the bytes of one character share its range."""
    encoding = tokenizer.encode_with_offsets(text)
    ranges = {place for index, place in zip(encoding.ids, encoding.offsets, strict=True) if index in unknown}
    return [text[start:end] for start, end in sorted(ranges)]


def lengths(sentences: Sequence[Sentence]) -> dict[str, float]:
    """The length of all outputs over that of all references, in characters and in tokens; the shares of outputs that
    were cut at the length limit and that are empty.
    """
    return {
        "characters": _ratio([each.output for each in sentences], [each.reference for each in sentences]),
        "tokens": _ratio([each.output_tokens for each in sentences], [each.reference_tokens for each in sentences]),
        "cut": _share([not each.complete for each in sentences]),
        "empty": _share([not each.output.strip() for each in sentences]),
    }


def _ratio(outputs: Sequence[Sequence[Any]], references: Sequence[Sequence[Any]]) -> float:
    return sum(map(len, outputs)) / max(1, sum(map(len, references)))


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags)


def repetitions(sentences: Sequence[Sentence]) -> dict[str, Any]:
    """How often outputs repeat themselves, each other or the source, beside how often the references do.

    repeating: the share of texts in which one to four tokens stand three times or more in a row. distinct: how many
    different texts there are for each different source, at most 1 unless sources are repeated with other
    translations. copies: the share of texts that are their source. most_frequent: the outputs of at least two different
    sources, with the number of these.
    """
    of: dict[str, set[str]] = {}
    for each in sentences:
        of.setdefault(each.output, set()).add(each.source)
    shared = Counter({output: len(sources) for output, sources in of.items() if len(sources) > 1})
    sources = len({each.source for each in sentences})
    return {
        "repeating": {
            "outputs": _share([repeats(each.output_tokens) for each in sentences]),
            "references": _share([repeats(each.reference_tokens) for each in sentences]),
        },
        "distinct": {
            "outputs": len(of) / sources,
            "references": len({each.reference for each in sentences}) / sources,
        },
        "copies": {
            "outputs": _share([each.output.strip() == each.source.strip() for each in sentences]),
            "references": _share([each.reference.strip() == each.source.strip() for each in sentences]),
        },
        "most_frequent": shared.most_common(_NAMED),
    }


def repeats(tokens: Sequence[int]) -> bool:
    """Whether one to four tokens stand three times or more in a row."""
    for length in range(1, _LONGEST_REPEATED + 1):
        same = 0  # tokens in a row that equal the one `length` places on
        for one, other in zip(tokens, tokens[length:], strict=False):
            same = same + 1 if one == other else 0
            if same == length * (_TIMES - 1):
                return True
    return False


def scores(sentences: Sequence[Sentence], each: Sequence[float]) -> dict[str, Any]:
    """Scores of all outputs, the share of hopeless ones, and chrF of short, middle and long sources.

    each: chrF of each output; hopeless ones have less than 15. Short sources are up to the lower quartile of their
    numbers of tokens, long ones above the upper quartile. A class without sentences is left out.
    """
    found = score_translations([each.output for each in sentences], [each.reference for each in sentences])
    sizes = np.array([len(each.source_tokens) for each in sentences])
    lower, upper = np.quantile(sizes, [0.25, 0.75])
    masks = {"short": sizes <= lower, "middle": (sizes > lower) & (sizes <= upper), "long": sizes > upper}
    by_length = {
        name: {
            "sentences": int(mask.sum()),
            "tokens": [int(sizes[mask].min()), int(sizes[mask].max())],
            "chrf": _chrf([sentences[int(row)] for row in np.flatnonzero(mask)]),
        }
        for name, mask in masks.items()
        if mask.any()
    }
    return {**found, "hopeless": _share([score < HOPELESS for score in each]), "by_length": by_length}


def _chrf(sentences: Sequence[Sentence]) -> float:
    outputs, references = [each.output for each in sentences], [each.reference for each in sentences]
    return float(sacrebleu.CHRF().corpus_score(outputs, [references]).score)


def sentence_scores(sentences: Sequence[Sentence]) -> list[float]:
    """chrF2 of each sentence, 0 to 100."""
    metric = sacrebleu.CHRF()
    return [float(metric.sentence_score(each.output, [each.reference]).score) for each in sentences]


def worst(sentences: Sequence[Sentence], chrf: Sequence[float], most: int) -> list[dict[str, Any]]:
    """The sentences with the lowest scores, worst first, without those that are right; tokens: of the source."""
    wrong = [index for index, each in enumerate(sentences) if each.output != each.reference]
    order = sorted(wrong, key=lambda index: (chrf[index], sentences[index].line))
    return [
        {
            "line": each.line,
            "place": each.place,
            "chrf": chrf[index],
            "tokens": len(each.source_tokens),
            "source": each.source,
            "reference": each.reference,
            "output": each.output,
            "complete": each.complete,
        }
        for index, each in ((index, sentences[index]) for index in order[:most])
    ]
