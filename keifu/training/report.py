"""What a user should know before training begins: how much the data hold, and what stands out in them."""

from dataclasses import asdict
from typing import Any

from keifu.data.batches import Sampler
from keifu.data.findings import examine, examine_examples, examine_pictures, examine_stories, examine_text
from keifu.data.texts import TextData
from keifu.data.windows import Stretches, Windows
from keifu.tasks.masked_lm import Passages
from keifu.tasks.question_answering import QuestionAnswering, StoryQuestions
from keifu.tasks.reading import Encoded
from keifu.tasks.translation import EncodedPairs
from keifu.text import Tokenizer
from keifu.training.corpus import Corpus, ExampleCorpus, PassageCorpus, PictureCorpus, StoryCorpus, TextCorpus


def data_report(
    corpus: Corpus, train: EncodedPairs, valid: EncodedPairs, left_out: int, sampler: Sampler, tokenizer: Tokenizer
) -> dict[str, Any]:
    """data.json: what is learned from and selected on, with hashes, counts and findings. All lengths are in tokens.

    train, valid: the pairs that are used; left_out: how many were longer than data.max_tokens. Of data too large for
    memory, tokens are estimated ("estimated" is true then).
    """
    languages = corpus.train.languages
    unknown = {"train": train.shares_of(tokenizer.unknown_ids), "valid": valid.shares_of(tokenizer.unknown_ids)}
    return {
        "train": {"spec": corpus.train.spec, "pairs": len(train), "sha256": corpus.train.sha256},
        "valid": {"spec": corpus.valid_is, "pairs": len(corpus.valid.pairs), "sha256": corpus.valid.sha256},
        "languages": list(languages),
        "left_out_as_too_long": left_out,
        "vocabulary": {"kind": tokenizer.kind, "tokens": tokenizer.vocab_size, "unknown": tokenizer.unknown_are},
        "tokens": {side: int(train.sizes[:, index].sum()) for index, side in enumerate(_SIDES)},
        "longest": {side: int(train.sizes[:, index].max()) for index, side in enumerate(_SIDES)},
        "unknown": {part: dict(zip(_SIDES, shares, strict=True)) for part, shares in unknown.items()},
        "estimated": train.estimated,
        "padding": sampler.padding(),
        "findings": [asdict(finding) for finding in examine(corpus.train, [corpus.valid, *corpus.others])],
    }


def text_report(
    corpus: TextCorpus, train: Windows | Stretches, valid: Windows, sampler: Sampler, tokenizer: Tokenizer
) -> dict[str, Any]:
    """data.json of a language model: what is learned from and selected on, with hashes, counts and findings."""
    parts: dict[str, tuple[TextData, Windows | Stretches]] = {
        "train": (corpus.train, train),
        "valid": (corpus.valid, valid),
    }
    specs = {"train": corpus.train.spec, "valid": corpus.valid_is}
    counts = {
        name: {
            "spec": specs[name],
            "characters": data.characters,
            "documents": len(data.documents),
            "sha256": data.sha256,
        }
        for name, (data, _) in parts.items()
    }
    return {
        **counts,
        "reading": corpus.reading,
        "streams": train.streams,
        "vocabulary": {"kind": tokenizer.kind, "tokens": tokenizer.vocab_size, "unknown": tokenizer.unknown_are},
        "tokens": {name: windows.predictions for name, (_, windows) in parts.items()},
        "unknown": {name: windows.share_of(tokenizer.unknown_ids) for name, (_, windows) in parts.items()},
        "padding": sampler.padding(),
        "findings": [asdict(finding) for finding in examine_text(corpus.train, corpus.valid, corpus.reading)],
    }


def passage_report(
    corpus: PassageCorpus, train: Passages, valid: Passages, sampler: Sampler, tokenizer: Tokenizer
) -> dict[str, Any]:
    """data.json of a pre-training: what is learned from and selected on, with hashes, counts and findings."""
    parts = {"train": (corpus.train, train), "valid": (corpus.valid, valid)}
    specs = {"train": corpus.train.spec, "valid": corpus.valid_is}
    counts = {
        name: {
            "spec": specs[name],
            "characters": len(data.text),
            "documents": len(set(passages.documents.tolist())),
            "sentences": len(passages.sentences),
            "sequences": len(passages),
            "pairs_of_texts": len(passages.paired),
            "sha256": data.sha256,
        }
        for name, (data, passages) in parts.items()
    }
    return {
        **counts,
        "reading": corpus.reading,
        "vocabulary": {"kind": tokenizer.kind, "tokens": tokenizer.vocab_size, "unknown": tokenizer.unknown_are},
        "tokens": {name: int(passages.sentences.lengths.sum()) for name, (_, passages) in parts.items()},
        "unknown": {name: passages.share_of(tokenizer.unknown_ids) for name, (_, passages) in parts.items()},
        "padding": sampler.padding(),
        "findings": [asdict(finding) for finding in examine_text(corpus.train, corpus.valid, corpus.reading)],
    }


def example_report(
    corpus: ExampleCorpus, train: Encoded, valid: Encoded, sampler: Sampler, tokenizer: Tokenizer
) -> dict[str, Any]:
    """data.json of a classifier or a tagger: what is learned from and selected on, with hashes, counts and findings."""
    parts = {"train": (corpus.train, train), "valid": (corpus.valid, valid)}
    specs = {"train": corpus.train.spec, "valid": corpus.valid_is}
    counts = {
        name: {
            "spec": specs[name],
            "examples": len(encoded),
            "labels": data.labels,
            "cut": int(encoded.cut.sum()),
            "sha256": data.sha256,
        }
        for name, (data, encoded) in parts.items()
    }
    return {
        **counts,
        "vocabulary": {"kind": tokenizer.kind, "tokens": tokenizer.vocab_size, "unknown": tokenizer.unknown_are},
        "tokens": {name: int(encoded.sizes.sum()) for name, (_, encoded) in parts.items()},
        "unknown": {name: encoded.tokens.share_of(tokenizer.unknown_ids) for name, (_, encoded) in parts.items()},
        "padding": sampler.padding(),
        "findings": [asdict(finding) for finding in examine_examples(corpus.train, corpus.valid)],
    }


def story_report(
    corpus: StoryCorpus, task: QuestionAnswering, train: StoryQuestions, valid: StoryQuestions
) -> dict[str, Any]:
    """data.json of a model that answers questions: what is learned from and selected on, with hashes, counts and
    findings.
    """
    parts = {"train": (corpus.train, train), "valid": (corpus.valid, valid)}
    specs = {"train": corpus.train.spec, "valid": corpus.valid_is}
    counts = {
        name: {"spec": specs[name], "questions": len(data.questions), "sha256": data.sha256}
        for name, (data, _) in parts.items()
    }
    tokenizer = task.tokenizer
    return {
        **counts,
        "kinds": corpus.train.kinds,
        "answers": len(task.answers),
        "vocabulary": {"kind": tokenizer.kind, "tokens": tokenizer.vocab_size, "unknown": tokenizer.unknown_are},
        "facts": {"each": float(train.counts.mean()), "longest": int(train.counts.max())},
        "cut": int(train.cut.sum()),
        "unknown": {name: encoded.unknown(tokenizer.unk_id) for name, (_, encoded) in parts.items()},
        "findings": [asdict(finding) for finding in examine_stories(corpus.train, corpus.valid)],
    }


def picture_report(corpus: PictureCorpus) -> dict[str, Any]:
    """data.json of a classifier of pictures: what is learned from and selected on, with hashes, counts and findings."""
    specs = {"train": corpus.train.spec, "valid": corpus.valid_is}
    parts = {"train": corpus.train, "valid": corpus.valid}
    counts = {
        name: {"spec": specs[name], "pictures": len(data.labels), "labels": data.classes, "sha256": data.sha256}
        for name, data in parts.items()
    }
    findings = [asdict(finding) for finding in examine_pictures(corpus.train, corpus.valid)]
    return {**counts, "size": corpus.train.shape._asdict(), "findings": findings}


_SIDES = ("source", "target")
