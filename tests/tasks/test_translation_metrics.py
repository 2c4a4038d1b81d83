"""Scores are those of sacrebleu, with signatures; Japanese is counted by characters, and that is said."""

import pytest
import sacrebleu

from keifu.tasks.translation_metrics import score_translations
from tests.tiny import pairs

ENGLISH = ["The cat sat on the mat, didn't it?", "It's raining: 3,000 dogs run.", "I like tea."]
ENGLISH_OUTPUT = ["The cat sat on a mat, didn't it?", "It's raining: 3,000 cats run.", "I like tea."]
JAPANESE = ["私は猫が好きです。", "彼は東京でコーヒーを飲みました。", "犬がいる。"]
JAPANESE_OUTPUT = ["私は犬が好きです。", "彼は京都でコーヒーを飲みます。", "犬がいる。"]
SPACED = ["私 は 猫 が 好き です 。", "彼 は 東京 で コーヒー を 飲み まし た 。", "犬 が いる 。"]
SPACED_OUTPUT = ["私 は 犬 が 好き です 。", "彼 は 京都 で コーヒー を 飲み ます 。", "犬 が いる 。"]


def test_words_are_counted_where_there_are_spaces() -> None:
    found = score_translations(ENGLISH_OUTPUT, ENGLISH)
    assert found["bleu"] == sacrebleu.corpus_bleu(ENGLISH_OUTPUT, [ENGLISH]).score
    assert found["chrf"] == sacrebleu.corpus_chrf(ENGLISH_OUTPUT, [ENGLISH]).score
    assert "tok:13a" in found["bleu_signature"]
    assert found["chrf_signature"].startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0")
    assert found["exact_match"] == pytest.approx(1 / 3)
    assert not {"bleu_note", "bleu_as_given"} & set(found)
    assert 0 < found["bleu"] < 100


def test_characters_are_counted_in_japanese_and_that_is_said() -> None:
    found = score_translations(JAPANESE_OUTPUT, JAPANESE)
    assert found["bleu"] == sacrebleu.corpus_bleu(JAPANESE_OUTPUT, [JAPANESE], tokenize="char").score
    assert found["bleu"] != sacrebleu.corpus_bleu(JAPANESE_OUTPUT, [JAPANESE]).score
    assert "tok:char" in found["bleu_signature"]
    assert found["bleu_note"].startswith("counted by characters")
    assert "bleu_as_given" not in found


def test_japanese_with_spaces_is_scored_without_them_and_as_given() -> None:
    found = score_translations(SPACED_OUTPUT, SPACED)
    assert found["bleu"] == score_translations(JAPANESE_OUTPUT, JAPANESE)["bleu"]
    as_given = sacrebleu.corpus_bleu(SPACED_OUTPUT, [SPACED], tokenize="none", force=True).score
    assert found["bleu_as_given"] == as_given != found["bleu"]
    assert "tok:none" in found["bleu_as_given_signature"]
    assert found["chrf"] == sacrebleu.corpus_chrf(SPACED_OUTPUT, [SPACED]).score


@pytest.mark.parametrize("references", [ENGLISH, JAPANESE, SPACED, [pair.target for pair in pairs(20)]])
def test_perfect_output_scores_one_hundred(references: list[str]) -> None:
    found = score_translations(references, references)
    scores = [value for name, value in found.items() if name in ("bleu", "bleu_as_given", "chrf")]
    assert scores == [pytest.approx(100)] * len(scores)
    assert found["exact_match"] == 1.0


def test_empty_output_scores_nothing() -> None:
    for references in (ENGLISH, JAPANESE, SPACED):
        found = score_translations([""] * 3, references)
        assert found["bleu"] == found["chrf"] == found["exact_match"] == 0


@pytest.mark.parametrize(
    ("references", "by_characters"),
    [
        (["中文没有空格。", "我喜欢猫。"], True),
        (["나는 고양이를 좋아한다.", "비가 온다."], False),  # Korean has spaces
        (["私はABCが好き。", "はい。"], True),
        (["I visited 東京.", "This is 猫."], False),
        (["私は猫が好き。", "I like cats.", "You like dogs."], False),  # most decide
        (["1 2 3", "4 5"], False),
    ],
)
def test_the_script_of_most_references_decides(references: list[str], by_characters: bool) -> None:
    assert ("bleu_note" in score_translations(references, references)) == by_characters


def test_as_many_outputs_as_references_are_needed() -> None:
    with pytest.raises(ValueError, match="zip"):
        score_translations(ENGLISH[:2], ENGLISH)
