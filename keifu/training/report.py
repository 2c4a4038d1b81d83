"""What a user should know before training begins: how much the data hold, and what stands out in them."""

from dataclasses import asdict
from typing import Any

from keifu.data.batches import Sampler
from keifu.data.findings import examine, examine_text
from keifu.data.texts import TextData
from keifu.data.windows import Stretches, Windows
from keifu.tasks.translation import EncodedPairs
from keifu.text import Tokenizer
from keifu.training.corpus import Corpus, TextCorpus


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


_SIDES = ("source", "target")
