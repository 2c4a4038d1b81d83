"""A diagnosis finds what was planted, and finds nothing in a model that is well."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sacrebleu
from hypothesis import example, given
from hypothesis import strategies as st

from keifu.data.examples import Pair
from keifu.generation.translation import Decoding
from keifu.session import Model
from keifu.text import Tokenizer
from keifu.views.diagnosis import Circumstances, diagnose
from keifu.views.evidence import take_sample
from keifu.views.measures import Sentence, repeats, unigram_entropy, unknown_tokens
from tests.tiny import pairs

PAIRS = pairs(200)
TOKENIZER = Tokenizer.train([text for pair in PAIRS for text in (pair.source, pair.target)], "character", 100)


def sentence(line: int, source: str, reference: str, output: str, tokenizer: Tokenizer = TOKENIZER) -> Sentence:
    return Sentence(line, source, reference, output, *map(tokenizer.encode, (source, reference, output)))


def healthy() -> list[Sentence]:
    """Good translations with a wrong verb here and there."""
    outputs = [pair.target.replace("見る", "描く") if row % 5 == 0 else pair.target for row, pair in enumerate(PAIRS)]
    return [
        sentence(row + 1, pair.source, pair.target, output)
        for row, (pair, output) in enumerate(zip(PAIRS, outputs, strict=True))
    ]


def history(losses: Sequence[float], valid: Sequence[float], chrf: Sequence[float]) -> list[dict[str, Any]]:
    """Ten steps between two evaluations, each with one training loss."""
    lines: list[dict[str, Any]] = []
    for number, (loss, valid_loss, score) in enumerate(zip(losses, valid, chrf, strict=True), 1):
        lines += [{"step": 10 * number - rest, "loss": loss} for rest in range(9, -1, -1)]
        lines.append({"step": 10 * number, "valid": {"loss": valid_loss, "chrf": score}})
    return lines


SETTLED = history(
    [3, 2, 1, 0.9, 0.8, 0.8, 0.8, 0.8], [3, 2, 1, 0.9, 0.9, 0.9, 0.9, 0.9], [1, 20, 60, 70, 70, 70, 70, 70.4]
)
WELL = Circumstances(
    "dev.en,dev.ja",
    Decoding(),
    loss=0.9,
    validation=0.9,
    training=0.7,
    history=SETTLED,
    run=Path("runs/a b"),
    dropout=0.1,
)


def found(sentences: list[Sentence] | None = None, **about: Any) -> dict[str, Any]:
    return diagnose(healthy() if sentences is None else sentences, TOKENIZER, replace(WELL, **about))


# ---- the verdict -------------------------------------------------------------------------------------------


def test_a_model_that_is_well_is_told_so() -> None:
    report = found()
    assert report["verdict"] == "balanced"
    assert len(report["advice"]) == 1
    assert report["advice"][0].startswith("nothing stands out")


TURNED = history([3, 2, 1.8, 1.6, 1.5], [3, 2, 1.8, 1.9, 2.0], [1, 20, 40, 42, 42])
RISING = history([3, 2, 1.8, 1.7], [3, 2, 1.9, 1.8], [1, 20, 30, 31])
GAPING = history([3, 2, 0.8], [3, 2, 2], [1, 20, 20])
VERDICTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a wide gap": ({"training": 0.3, "validation": 1.2}, "overfit", "--set model.dropout=0.3 or a smaller --preset"),
    "a loss that rose": ({"history": TURNED, "training": 1.5, "validation": 1.8}, "overfit", "from 1.80 at step 30"),
    "a score that rises": ({"history": RISING}, "still improving", "keifu resume 'runs/a b' --max-time +20m"),
    "much still to learn": ({"training": 2.0, "validation": 2.1}, "underfit", "larger --preset"),
    "a short run": ({"training": 2.0, "history": SETTLED[:11]}, "underfit", "keifu resume 'runs/a b' --max-time +20m"),
    "no run": ({"training": None, "history": (), "run": None}, "unknown", "diagnose its run folder"),
    "training data that are gone": ({"training": None, "validation": None}, "balanced", "nothing stands out"),
    "a logged gap": ({"training": None, "validation": None, "history": GAPING}, "overfit", "training loss 0.80"),
    "gone from an overfit run": ({"training": None, "validation": None, "history": TURNED}, "overfit", "rose from"),
}  # fmt: skip


@pytest.mark.parametrize(("about", "verdict", "advice"), VERDICTS.values(), ids=VERDICTS.keys())
def test_the_verdict_follows_the_losses(about: dict[str, Any], verdict: str, advice: str) -> None:
    report = found(**about)
    assert report["verdict"] == report["fit"]["verdict"] == verdict
    assert advice in report["advice"][0]


NO_VERDICTS: dict[str, dict[str, Any]] = {
    "a small gap of small losses": {"training": 0.02, "validation": 0.3},
    "a gap that large losses have": {"training": 1.2, "validation": 1.75},
    "a loss that rose by little": {"history": history([3, 1, 0.8], [3, 0.9, 0.93], [1, 70, 70])},
    "a rise that is little of a large loss": {"history": history([3, 1, 0.8], [3, 2.0, 2.06], [1, 70, 70])},
    "both losses rose": {"history": history([3, 1, 1.2], [3, 0.9, 1.1], [1, 70, 70])},
    "a tiny loss that doubled": {"history": history([3, 0.1, 0.02], [3, 0.02, 0.04], [1, 99, 99])},
    "a score that rose by little": {"history": history([3, 1, 0.8], [3, 0.9, 0.9], [1, 70, 70.4])},
    "an early rise": {"history": history([3, 1] + [0.8] * 6, [3] + [0.9] * 7, [1] + [70] * 7)},
    "one evaluation": {"history": history([3], [0.9], [70])},
    "no history": {"history": ()},
}


@pytest.mark.parametrize("about", NO_VERDICTS.values(), ids=NO_VERDICTS.keys())
def test_what_is_usual_gets_no_verdict(about: dict[str, Any]) -> None:
    assert found(**about)["verdict"] == "balanced"


def test_an_overfit_model_whose_score_still_rises_may_be_trained_longer() -> None:
    report = found(history=RISING, training=0.2, validation=1.8)
    assert report["verdict"] == "overfit"
    assert "still rises" in report["advice"][1]
    assert "keifu resume" in report["advice"][1]


def test_a_dropout_that_is_high_already_is_not_raised() -> None:
    def first(dropout: float | None) -> str:
        return str(found(training=0.2, validation=1.8, dropout=dropout)["advice"][0])

    assert "dropout=0.5 " in first(0.4)
    assert "dropout" not in first(0.5)
    assert "dropout" not in first(None)


def test_more_dropout_comes_with_half_the_learning_rate_where_that_is_known() -> None:
    rising = [{"step": step, "loss": 1.0, "learning_rate": rate} for step, rate in enumerate((1e-5, 1e-3, 2e-5), 1)]
    advice = found(history=rising, training=0.2, validation=1.8)["advice"][0]
    assert "--set model.dropout=0.3 --set training.learning_rate=0.0005 or a smaller --preset" in advice


def test_training_loss_is_the_mean_of_the_last_five_logged_steps_where_it_cannot_be_computed() -> None:
    lines = [{"step": step, "loss": float(step)} for step in range(1, 11)]
    fit = found(history=lines, training=None)["fit"]
    assert fit["training_loss"] == (6 + 7 + 8 + 9 + 10) / 5
    assert fit["training_loss_is"] == "logged, with dropout"
    assert found(history=lines)["fit"]["training_loss"] == 0.7


def test_the_course_names_its_evaluations() -> None:
    fit = found(history=TURNED)["fit"]
    names = ("evaluations", "best_step", "best_validation_loss", "lowest_step", "lowest_validation_loss", "last_step")
    assert [fit[name] for name in names] == [5, 40, 1.9, 30, 1.8, 50]
    assert (fit["rise"], fit["still_rising"], fit["turned_up"]) == (0, False, True)


def test_the_entropy_is_the_least_loss_that_frequencies_alone_can_reach() -> None:
    uniform = [Sentence(1, "", "", "", [], [5, 6, 7], [])]
    assert unigram_entropy(uniform, eos_id=3) == pytest.approx(math.log(4))
    tokens = [token for each in healthy() for token in [*each.reference_tokens, 3]]
    counts = np.bincount(tokens)
    entropy = unigram_entropy(healthy(), eos_id=3)
    for shares in (counts / counts.sum(), np.ones_like(counts) / (counts > 0).sum()):
        loss = -np.mean(np.log(shares[tokens]))
        assert loss >= entropy - 1e-9
    assert -np.mean(np.log((counts / counts.sum())[tokens])) == pytest.approx(entropy)


# ---- findings ----------------------------------------------------------------------------------------------

Change = Callable[[list[Sentence]], list[Sentence]]


def every(step: int, write: Callable[[Sentence], str], **more: Any) -> Change:
    """Replaces the output of every step-th sentence."""

    def change(sentences: list[Sentence]) -> list[Sentence]:
        return [
            replace(each, output=write(each), output_tokens=TOKENIZER.encode(write(each)), **more)
            if row % step == 0
            else each
            for row, each in enumerate(sentences)
        ]

    return change


def with_odd_references(sentences: list[Sentence]) -> list[Sentence]:
    return [replace(each, reference="すみません") if row % 20 == 0 else each for row, each in enumerate(sentences)]


def with_unknown_signs(sentences: list[Sentence]) -> list[Sentence]:
    return [
        replace(each, source=each.source + "ß", source_tokens=TOKENIZER.encode(each.source + "ß")) if row % 2 else each
        for row, each in enumerate(sentences)
    ]


def with_bad_long_ones(sentences: list[Sentence]) -> list[Sentence]:
    usual = np.median([len(each.source_tokens) for each in sentences])
    return [replace(each, output="君は") if len(each.source_tokens) > usual else each for each in sentences]


FINDINGS: dict[str, tuple[Change, str]] = {
    "outputs repeat themselves": (every(20, lambda each: each.output[:-1] + "見る見る見る。"), "more training data"),
    "the same output for different sources": (every(2, lambda each: PAIRS[0].target), "keifu check"),
    "sources are copied": (every(20, lambda each: each.source), "untranslated lines"),
    "empty outputs": (every(50, lambda each: " "), "--length-penalty"),
    "outputs cut at the length limit": (every(50, lambda each: each.output, complete=False), "decoding.max_ratio"),
    "outputs are too short": (every(1, lambda each: each.output[: len(each.output) * 3 // 4]), "--length-penalty 1.5"),
    "outputs are too long": (every(1, lambda each: each.output + "。 。"), "--length-penalty 0.5"),
    "outside the vocabulary": (with_unknown_signs, "such as ß): train anew with --set data.vocab_size above"),
    "long sentences are worse": (with_bad_long_ones, "data.max_tokens"),
    "some are hopeless among good ones": (with_odd_references, "keifu check dev.en,dev.ja"),
}


@pytest.mark.parametrize("finding", FINDINGS)
def test_a_planted_defect_is_found_and_a_remedy_named(finding: str) -> None:
    change, remedy = FINDINGS[finding]
    (line,) = [line for line in found(change(healthy()))["advice"] if line.startswith(finding)]
    assert remedy in line
    assert not [line for line in found()["advice"] if line.startswith(finding)]


def test_texts_that_are_unlike_the_training_data_are_told_of() -> None:
    (line,) = found(loss=2.5)["advice"]
    assert line.startswith("unlike the training data (loss 2.50 nats a token, 0.90 on")
    assert found(loss=2.5)["verdict"] == "balanced"


def test_what_the_references_do_as_well_is_no_defect() -> None:
    def with_references(change: Change) -> list[Sentence]:
        changed = change(healthy())
        return [replace(each, reference=each.output, reference_tokens=each.output_tokens) for each in changed]

    for finding in ("outputs repeat themselves", "the same output for different sources", "sources are copied"):
        assert found(with_references(FINDINGS[finding][0]))["advice"] == found()["advice"]


def test_one_sentence_is_no_finding_and_few_sentences_are_told_of() -> None:
    few = healthy()[:40]
    for finding in ("outputs repeat themselves", "sources are copied", "empty outputs", "outputs cut"):
        change = next(change for name, (change, _) in FINDINGS.items() if name.startswith(finding))
        (first, last) = found([*change(few[:1]), *few[1:]])["advice"]
        assert first.startswith("nothing stands out")
        assert last.startswith("only 40 sentences")


def test_advice_comes_in_the_order_of_importance() -> None:
    sentences = healthy()
    for finding in ("outputs are too short", "outputs repeat themselves", "empty outputs", "outside the vocabulary"):
        sentences = FINDINGS[finding][0](sentences)
    lines = found(sentences, training=2.0)["advice"]
    wanted = ["underfit", "outputs repeat", "empty outputs", "outputs are too short", "outside the vocabulary"]
    assert [next(name for name in wanted if line.startswith(name)) for line in lines] == wanted
    assert "train longer" in lines[1]  # and not "more training data"


def test_a_penalty_is_named_only_with_a_beam() -> None:
    short = FINDINGS["outputs are too short"][0](healthy())
    (line,) = found(short, decoding=Decoding(beam=1, length_penalty=2))["advice"]
    assert "--beam 5 --length-penalty 2.5" in line
    long = FINDINGS["outputs are too long"][0](healthy())
    (line,) = found(long, decoding=Decoding(length_penalty=0.2))["advice"]
    assert line.endswith("with --length-penalty 0")


# ---- measures ----------------------------------------------------------------------------------------------


FEW_TOKENS = st.lists(st.integers(0, 2), max_size=5)


@given(FEW_TOKENS, FEW_TOKENS, st.integers(1, 4), FEW_TOKENS)
@example([], [0, 1, 1, 2], 3, [])
@example([], [0, 1, 1, 2, 2], 3, [])
def test_repeating_is_one_to_four_tokens_three_times_in_a_row(
    before: list[int], unit: list[int], times: int, after: list[int]
) -> None:
    tokens = before + unit * times + after
    thrice = (
        tokens[at : at + n] * 3 == tokens[at : at + 3 * n] for n in range(1, 5) for at in range(len(tokens) - 3 * n + 1)
    )
    assert repeats(tokens) == any(thrice)


def test_lengths_are_of_all_outputs_together() -> None:
    given = [
        sentence(1, "a", "12345678", "1234"),
        sentence(2, "b", "12", "123456"),
        replace(sentence(3, "c", "1", ""), complete=False),
    ]
    lengths = found(given)["lengths"]
    assert lengths == {"characters": 10 / 11, "tokens": 10 / 11, "cut": 1 / 3, "empty": 1 / 3}


def test_repetitions_are_counted_by_sentence_and_by_different_source() -> None:
    given = [
        sentence(1, "cats", "猫", "見見見"),
        sentence(2, "dogs", "犬", "見見見"),
        sentence(3, "dogs", "犬", "犬"),
        sentence(4, "dogs", "犬", "犬"),
        sentence(5, "fish.", "魚", "fish. "),
    ]
    counted = found(given)["repetitions"]
    assert counted["repeating"] == {"outputs": 0.4, "references": 0}
    assert counted["distinct"] == {"outputs": 1, "references": 1}
    assert counted["copies"] == {"outputs": 0.2, "references": 0}
    assert counted["most_frequent"] == [("見見見", 2)]


TEXTS = ["I see cats .", "You see dogs .", "We like birds ."] * 3
UNKNOWN: dict[str, tuple[str, str, str, float, float, list[tuple[str, int]]]] = {
    "character": ("I ßß犬 s", "犬犬", "[UNK]", 3 / 7, 1, [("犬", 3), ("ß", 2)]),
    "word": ("I ßßee .", "ßßee 犬犬", "[UNK]", 1 / 3, 1, [("ßßee", 2), ("犬犬", 1)]),
    "bpe": ("ßß犬", "犬犬", "bytes", 7 / 8, 1, [("犬", 3), ("ß", 2)]),  # and the space before the first word
    "byte-bpe": ("I ßß犬 s", "犬犬", "none", 0, 0, []),
}


@pytest.mark.parametrize("kind", UNKNOWN)
def test_unknown_tokens_are_counted_and_named(kind: str) -> None:
    tokenizer = Tokenizer.train(TEXTS, kind, 400)
    source, reference, tokens, in_sources, in_references, frequent = UNKNOWN[kind]
    assert unknown_tokens([sentence(1, source, reference, "I see", tokenizer)], tokenizer) == {
        "tokens": tokens,
        "sources": in_sources,
        "references": in_references,
        "outputs": 0,
        "most_frequent": frequent,
    }
    assert unknown_tokens([sentence(1, "I see", "I see", reference, tokenizer)], tokenizer)["outputs"] == in_references


def test_the_worst_sentences_have_the_lowest_chrf_and_their_lines() -> None:
    sentences = every(3, lambda each: each.output[len(each.output) % 3 :])(healthy())
    report = found(sentences)
    wrong = [each for each in sentences if each.output != each.reference]
    scores = {each.line: sacrebleu.sentence_chrf(each.output, [each.reference]).score for each in wrong}
    worst = report["worst"]
    assert len(worst) == 20
    assert [each["chrf"] for each in worst] == sorted(scores.values())[:20]
    for each in worst:
        assert each["chrf"] == scores[each["line"]]
        of = PAIRS[each["line"] - 1]
        assert (each["source"], each["reference"]) == (of.source, of.target)
        assert each["tokens"] == len(of.source)


def test_sentences_that_are_right_are_never_among_the_worst() -> None:
    right = [sentence(row + 1, pair.source, pair.target, pair.target) for row, pair in enumerate(PAIRS[:30])]
    assert found(right)["worst"] == []
    assert [each["line"] for each in found([*right[:7], replace(right[7], output="猫"), *right[8:]])["worst"]] == [8]


def test_scores_by_length_are_of_quarters_half_and_quarter() -> None:
    sentences = [
        sentence(size, "a" * size, "見る猫だよね", "見る猫だよね" if size < 7 else "犬") for size in range(1, 9)
    ]
    by_length = found(sentences)["scores"]["by_length"]
    assert {name: of["tokens"] for name, of in by_length.items()} == {"short": [1, 2], "middle": [3, 6], "long": [7, 8]}
    assert [of["sentences"] for of in by_length.values()] == [2, 4, 2]
    assert [of["chrf"] for of in by_length.values()] == [pytest.approx(100), pytest.approx(100), 0]
    assert set(found([sentence(1, "a", "見", "見")])["scores"]["by_length"]) == {"short"}


# ---- samples -----------------------------------------------------------------------------------------------


def test_a_sample_is_evenly_spread_and_written_as_the_model_reads(model: Model) -> None:
    class Watched(list[Pair]):
        def __iter__(self) -> Any:
            raise AssertionError("all pairs were read")

    many = Watched(Pair(f"I see {'cats ' * (row % 50)}", "猫") for row in range(1000))
    sample = take_sample(many, 11, model.task, str.upper, 10_000)
    assert list(sample.rows) == [round(999 * place / 10) for place in range(11)]
    assert [pair.source for pair in sample.pairs] == [many[row].source.upper() for row in sample.rows]
    assert list(take_sample(many[:3], 11, model.task, str, 10_000).rows) == [0, 1, 2]


def test_pairs_that_are_too_long_are_left_out_and_counted(model: Model) -> None:
    given = [Pair("I see cats.", "猫"), Pair("a" * 30, "猫"), Pair("I", "猫" * 20)]
    sample = take_sample(given, 10, model.task, str, 20)
    assert (list(sample.rows), sample.too_long) == ([0], 2)
