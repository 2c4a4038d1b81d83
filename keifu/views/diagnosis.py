"""What is wrong with a trained translator, and what to try next.

The verdict compares three losses, all in nats a token without dropout and label smoothing: on the training data, on the
validation data, and that of a model that knows nothing but how frequent each token is (`unigram_entropy`).

    overfit          validation loss is over 0.5 above training loss and over 1.5 times as large; or, since its lowest
                     evaluation, it has risen by 0.05 and 5 % while training loss fell
    still improving  the best score among the last quarter of the evaluations is at least 0.5 chrF above all before
    underfit         training loss is more than half of what it would be without having learned anything but frequencies
    balanced         none of these
    unknown          the training loss is not known, because the model is not in a run's folder

The first that holds is the verdict. Where the training data are gone, the training loss that the run wrote down takes
the place of the one that is computed; dropout makes it somewhat larger.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keifu.generation.translation import Decoding
from keifu.tasks.translation import Translation
from keifu.text import Tokenizer
from keifu.views.measures import (
    HOPELESS,
    Sentence,
    lengths,
    repetitions,
    scores,
    sentence_scores,
    unigram_entropy,
    unknown_tokens,
    worst,
)

_GAP, _FACTOR = 0.5, 1.5  # validation loss against training loss
_RISE, _FACTOR_OF_RISE = 0.05, 1.05  # validation loss at the end against the lowest
_RISE_OF_SCORE = 0.5
_LEARNED = 0.5  # share of the entropy of single tokens
_LOGGED = 5  # lines of metrics.jsonl that a logged training loss is the mean of
_TO_STALL = 4  # evaluations after which a score that does not rise has stopped rising
_MOST_DROPOUT = 0.5
_WORST = 20

# Shares above which a measure becomes a finding.
_UNKNOWN = 0.01
_CUT = 0.01
_EMPTY = 0.01
_MORE_THAN_REFERENCES = 0.02  # repetitions, copies
_DISTINCT = 0.8  # of the references' share
_SHORT, _LONG = 0.9, 1.1
_WORSE_WHEN_LONG = 0.7  # chrF of long sources against that of short ones
_GOOD, _ODD = 40, 0.02  # chrF of all; share of hopeless sentences that is odd then
_ENOUGH = 10  # sentences of a length whose score means something
_FEW = 100  # sentences below which shares are rough


@dataclass(frozen=True)
class Circumstances:
    """What is known of the model beside its outputs.

    data: name of the sentences' data. decoding: how the outputs were searched for. loss: on the sentences.
    validation, training: on the run's validation data and on a sample of its training data; None where they are not at
    hand. history: the lines of the run's metrics.jsonl. run: its folder. dropout: as the model is configured.
    """

    data: str
    decoding: Decoding
    loss: float
    validation: float | None = None
    training: float | None = None
    history: Sequence[Mapping[str, Any]] = ()
    run: Path | None = None
    dropout: float | None = None


def diagnose(sentences: Sequence[Sentence], tokenizer: Tokenizer, about: Circumstances) -> dict[str, Any]:
    """Verdict, advice (most important first) and all measures, which keifu/views/measures.py defines."""
    assert sentences, "a diagnosis needs at least one sentence"
    chrf = sentence_scores(sentences)
    report: dict[str, Any] = {
        "fit": fit(about, unigram_entropy(sentences, tokenizer.eos_id)),
        "decoding": about.decoding.model_dump(mode="json"),
        "scores": scores(sentences, chrf),
        "unknown": unknown_tokens(sentences, tokenizer),
        "lengths": lengths(sentences),
        "repetitions": repetitions(sentences),
        "worst": worst(sentences, chrf, _WORST),
    }
    verdict = report["fit"]["verdict"]
    return {"verdict": verdict, "advice": advice(report, about, tokenizer, len(sentences)), **report}


# ---- fit ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Course:
    """How training went, as metrics.jsonl says; None stands for what it does not.

    logged_training_loss: the mean of the last five logged steps. best: the evaluation with the best score; lowest: that
    with the lowest validation loss. turned_up: the last validation loss is 0.05 and 5 % above the lowest, and training
    loss fell meanwhile. rise: how much the best score among the last quarter of the evaluations (at least one) is above
    the best before; still_rising: by 0.5 or more.
    """

    logged_training_loss: float | None
    evaluations: int = 0
    best_step: int | None = None
    best_validation_loss: float | None = None
    lowest_step: int | None = None
    lowest_validation_loss: float | None = None
    last_step: int | None = None
    last_validation_loss: float | None = None
    turned_up: bool = False
    rise: float | None = None
    still_rising: bool = False


def fit(about: Circumstances, entropy: float) -> dict[str, Any]:
    """The verdict with the numbers it rests on; None stands for what is not known."""
    found: dict[str, Any] = {"loss": about.loss, "unigram_entropy": entropy, **vars(_course(about.history))}
    found["validation_loss"] = found["best_validation_loss"] if about.validation is None else about.validation
    found["training_loss"] = found["logged_training_loss"] if about.training is None else about.training
    found["training_loss_is"] = "logged, with dropout" if about.training is None else "computed, without dropout"
    return {"verdict": _verdict(found), **found}


def _verdict(found: Mapping[str, Any]) -> str:
    training, validation = found["training_loss"], found["validation_loss"]
    if training is None:
        return "unknown"
    if found["turned_up"] or (validation is not None and _far_above(validation, training)):
        return "overfit"
    if found["still_rising"]:
        return "still improving"
    return "underfit" if training > _LEARNED * found["unigram_entropy"] else "balanced"


def _far_above(loss: float, other: float) -> bool:
    return loss - other > _GAP and loss > _FACTOR * other


def _course(history: Sequence[Mapping[str, Any]]) -> Course:
    steps = [line for line in history if "loss" in line]
    evaluations = [line for line in history if "valid" in line]
    logged = _logged(steps)
    if not evaluations:
        return Course(logged)
    at = [line["step"] for line in evaluations]
    score = [float(line["valid"][Translation.selects_by]) for line in evaluations]
    loss = [float(line["valid"]["loss"]) for line in evaluations]
    best, lowest = score.index(max(score)), loss.index(min(loss))
    late = max(1, len(score) // 4)
    rise = max(score[-late:]) - max(score[:-late]) if len(score) > late else None
    before = _logged([line for line in steps if line["step"] <= at[lowest]])
    rose = loss[-1] - loss[lowest] >= _RISE and loss[-1] >= _FACTOR_OF_RISE * loss[lowest]
    return Course(
        logged,
        evaluations=len(evaluations),
        best_step=at[best],
        best_validation_loss=loss[best],
        lowest_step=at[lowest],
        lowest_validation_loss=loss[lowest],
        last_step=at[-1],
        last_validation_loss=loss[-1],
        turned_up=rose and before is not None and logged is not None and logged < before,
        rise=rise,
        still_rising=rise is not None and rise >= _RISE_OF_SCORE,
    )


def _logged(steps: Sequence[Mapping[str, Any]]) -> float | None:
    losses = [float(line["loss"]) for line in steps[-_LOGGED:]]
    return sum(losses) / len(losses) if losses else None


# ---- advice ------------------------------------------------------------------------------------------------


def advice(report: Mapping[str, Any], about: Circumstances, tokenizer: Tokenizer, sentences: int) -> list[str]:
    """What to try, each with what was found: most important first, one line that says so where nothing was found."""
    cure = "train longer" if report["fit"]["verdict"] in ("underfit", "still improving") else "more training data"
    found = [
        *_on_fit(report["fit"], about),
        *_on_repetitions(report["repetitions"], cure, sentences),
        *_on_lengths(report["lengths"], about.decoding, cure, sentences),
        *_on_unknown(report["unknown"], tokenizer),
        *_on_scores(report["scores"], about.data, sentences),
    ]
    if not found:
        found = ["nothing stands out: for higher scores, more data, then a larger --preset with more time"]
    if sentences < _FEW:
        found.append(f"only {sentences} sentences: shares are rough; diagnose on more with --data")
    return found


def _on_fit(fit: Mapping[str, Any], about: Circumstances) -> list[str]:
    longer = f"train longer: keifu resume {_from_here(about.run)} --max-time +20m" if about.run else "train longer"
    larger = "train anew with a larger --preset or a higher --set training.learning_rate=X"
    lines = []
    match fit["verdict"]:
        case "overfit":
            lines.append(
                f"overfit ({_losses(fit)}): more training data first; else train anew with {_more_dropout(about)}a "
                "smaller --preset"
            )
            if fit["still_rising"]:
                lines.append(f"the score still rises all the same (by {fit['rise']:.1f} chrF): {longer}")
        case "still improving":
            rise = f"the best score rose by {fit['rise']:.1f} chrF in the last quarter of the evaluations"
            lines.append(f"still improving ({rise}): {longer}")
        case "underfit":
            stalled = fit["evaluations"] >= _TO_STALL
            remedy = larger if stalled else f"{longer}; if the score stays, {larger}"
            frequencies = f"frequencies alone give {fit['unigram_entropy']:.2f}"
            lines.append(f"underfit (training loss {fit['training_loss']:.2f} nats a token, {frequencies}): {remedy}")
        case "unknown":
            lines.append("fit unknown (no run around this model): diagnose its run folder to compare the losses")
    if fit["validation_loss"] is not None and _far_above(fit["loss"], fit["validation_loss"]):
        losses = f"loss {fit['loss']:.2f} nats a token, {fit['validation_loss']:.2f} on the run's validation data"
        lines.append(f"unlike the training data ({losses}): add pairs of the kind of {about.data} to the training data")
    return lines


def _losses(fit: Mapping[str, Any]) -> str:
    if fit["validation_loss"] is not None and _far_above(fit["validation_loss"], fit["training_loss"]):
        return f"validation loss {fit['validation_loss']:.2f}, training loss {fit['training_loss']:.2f} nats a token"
    lowest = f"{fit['lowest_validation_loss']:.2f} at step {fit['lowest_step']:,}"
    return f"validation loss rose from {lowest} to {fit['last_validation_loss']:.2f} while training loss fell"


def _more_dropout(about: Circumstances) -> str:
    if about.dropout is None or about.dropout >= _MOST_DROPOUT:
        return ""
    settings = f"--set model.dropout={min(_MOST_DROPOUT, round(about.dropout + 0.2, 2))}"
    # Gradients become noisier, so steps should become smaller.
    if rates := [line["learning_rate"] for line in about.history if line.get("learning_rate")]:
        settings += f" --set training.learning_rate={max(rates) / 2:.2g}"
    return f"{settings} or "


def _from_here(run: Path) -> str:
    return shlex.quote(str(run.relative_to(Path.cwd()) if run.is_relative_to(Path.cwd()) else run))


def _on_repetitions(found: Mapping[str, Any], cure: str, sentences: int) -> list[str]:
    lines = []
    distinct, repeating, copies = found["distinct"], found["repeating"], found["copies"]
    if distinct["outputs"] < _DISTINCT * distinct["references"]:
        many = f"{distinct['outputs']:.0%} distinct ones, {distinct['references']:.0%} among the references"
        lines.append(
            f"the same output for different sources ({many}): the source is hardly read; {cure}, and look for repeated "
            "lines in the training data with keifu check"
        )
    if _stands_out(repeating["outputs"] - repeating["references"], _MORE_THAN_REFERENCES, sentences):
        shares = f"{repeating['outputs']:.1%} of the outputs, {repeating['references']:.1%} of the references"
        lines.append(f"outputs repeat themselves ({shares}): {cure}")
    if _stands_out(copies["outputs"] - copies["references"], _MORE_THAN_REFERENCES, sentences):
        shares = f"{copies['outputs']:.1%} of the outputs, {copies['references']:.1%} of the references"
        lines.append(f"sources are copied ({shares}): find untranslated lines in the training data with keifu check")
    return lines


def _stands_out(share: float, threshold: float, sentences: int) -> bool:
    """Whether it is above the threshold, and more than one sentence."""
    return share > threshold and round(share * sentences) > 1


def _on_lengths(found: Mapping[str, float], decoding: Decoding, cure: str, sentences: int) -> list[str]:
    lines = []
    if _stands_out(found["empty"], _EMPTY, sentences):
        lines.append(f"empty outputs ({found['empty']:.1%}): raise --length-penalty; find odd lines with keifu check")
    cut = _stands_out(found["cut"], _CUT, sentences)
    if cut:
        lines.append(
            f"outputs cut at the length limit ({found['cut']:.1%}): the end is not found, so {cure}; where "
            "translations are really that long, raise decoding.max_ratio"
        )
    short, long = found["characters"] < _SHORT, found["characters"] > _LONG and not cut
    if short or long:
        penalty = decoding.length_penalty + 0.5 if short else max(0.0, decoding.length_penalty - 0.5)
        remedy = f"{'' if decoding.beam > 1 else '--beam 5 '}--length-penalty {penalty:g}"
        ratio = f"{found['characters']:.2f} of the references' characters"
        lines.append(f"outputs are too {'short' if short else 'long'} ({ratio}): translate with {remedy}")
    return lines


def _on_unknown(found: Mapping[str, Any], tokenizer: Tokenizer) -> list[str]:
    share = max(found["sources"], found["references"])
    if share <= _UNKNOWN:
        return []
    examples = " ".join(text for text, _ in found["most_frequent"][:3])
    larger = f"--set data.vocab_size above {tokenizer.vocab_size:,}"
    other = "or add text with these" if tokenizer.kind == "bpe" else "or --set data.tokenizer=bpe"
    return [
        f"outside the vocabulary ({share:.1%} of the tokens, such as {examples}): train anew with {larger}, {other}"
    ]


def _on_scores(found: Mapping[str, Any], data: str, sentences: int) -> list[str]:
    lines = []
    short, long = found["by_length"]["short"], found["by_length"].get("long")
    enough = long is not None and min(long["sentences"], short["sentences"]) >= _ENOUGH
    if enough and short["chrf"] >= _GOOD and long["chrf"] < _WORSE_WHEN_LONG * short["chrf"]:
        lines.append(
            f"long sentences are worse (chrF {long['chrf']:.1f}, short ones {short['chrf']:.1f}): add long pairs, "
            "raise data.max_tokens if training left them out, or split long texts"
        )
    if found["chrf"] >= _GOOD and _stands_out(found["hopeless"], _ODD, sentences):
        odd = f"{found['hopeless']:.1%} are under chrF {HOPELESS}, all together at {found['chrf']:.1f}"
        lines.append(
            f"some are hopeless among good ones ({odd}): read the worst; where the references are no translations, "
            f"find misaligned lines with keifu check {shlex.quote(data)}"
        )
    return lines
