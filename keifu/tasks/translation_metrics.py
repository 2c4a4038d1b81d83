"""Scores of translations against references, with the signatures that make them comparable."""

import re
from collections.abc import Sequence
from typing import Any

import sacrebleu

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_LETTER = re.compile(r"[^\W\d_]")


def score_translations(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """BLEU and chrF2 of sacrebleu (0 to 100), their signatures, and the share of exact matches (0 to 1).

    BLEU counts words as its tokenizer "13a" finds them. Japanese and Chinese have no spaces to find words by, so
    there BLEU counts characters ("char"); where the references are written with spaces all the same, "bleu_as_given"
    counts what stands between the spaces.
    """
    hypotheses, references = list(hypotheses), list(references)
    scores: dict[str, Any] = {}
    if _by_characters(references):
        scores |= _metric("bleu", sacrebleu.BLEU(tokenize="char"), hypotheses, references)
        scores["bleu_note"] = (
            "counted by characters: the references are Japanese or Chinese, which has no spaces between words"
        )
        if _mostly(references, lambda text: " " in text.strip()):
            scores |= _metric("bleu_as_given", sacrebleu.BLEU(tokenize="none", force=True), hypotheses, references)
    else:
        scores |= _metric("bleu", sacrebleu.BLEU(tokenize="13a", force=True), hypotheses, references)
        if _mostly(references, lambda text: text.endswith((" .", " ?", " !"))):
            scores["bleu_note"] = "the references are tokenised: not comparable with BLEU on plain text"
    scores |= _metric("chrf", sacrebleu.CHRF(), hypotheses, references)
    matches = sum(hypothesis == reference for hypothesis, reference in zip(hypotheses, references, strict=True))
    return scores | {"exact_match": matches / len(references)}


def _metric(
    name: str, metric: sacrebleu.BLEU | sacrebleu.CHRF, hypotheses: list[str], references: list[str]
) -> dict[str, Any]:
    score = metric.corpus_score(hypotheses, [references]).score
    return {name: score, f"{name}_signature": str(metric.get_signature())}


def _by_characters(references: Sequence[str]) -> bool:
    return _mostly(references, lambda text: 2 * len(_CJK.findall(text)) > len(_LETTER.findall(text)))


def _mostly(texts: Sequence[str], holds: Any) -> bool:
    return 2 * sum(map(bool, map(holds, texts))) > len(texts)
