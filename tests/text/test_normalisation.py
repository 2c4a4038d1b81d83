"""Users' texts are written the way the training texts are, and translations in ordinary writing."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keifu.config import validate
from keifu.errors import ConfigError
from keifu.text.normalisation import Normalisation, PairNormalisation, infer

LIKE_ENJA = Normalisation(lower_case=True, split_punctuation=True)
LIKE_ENJA_JA = Normalisation(width="full", mark_width="full", spaces_between_words=True)
FULL, HALF = Normalisation(width="full", mark_width="full"), Normalisation(width="half", mark_width="half")
DATA = Path(os.environ.get("KEIFU_DATA", ""))
with_data = pytest.mark.skipif(
    "KEIFU_DATA" not in os.environ, reason="KEIFU_DATA does not name the folder of real data"
)

HABITS = st.builds(
    Normalisation,
    lower_case=st.booleans(),
    split_punctuation=st.booleans(),
    width=st.sampled_from([None, "full", "half"]),
    mark_width=st.sampled_from([None, "full", "half"]),
    spaces_between_words=st.booleans(),
)
TEXTS = st.text("aB1 'é’“”\".,:;?!()-ｂＣ２？！、。「」カﾊﾞﾟｰ猫は\u3000\n")


# ---- applying ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("I like cats.", "i like cats ."),
        ("I'm sorry, I can't swim.", "i 'm sorry , i can 't swim ."),
        ("It's 3:30 p.m. now!", "it 's 3:30 p.m. now !"),
        ("It cost 3,000 yen, I think.", "it cost 3,000 yen , i think ."),
        ('He said, "Why?"', 'he said , " why ? "'),
        ("Wait...", "wait ..."),
        ("", ""),
    ],
)
def test_text_with_capitals_and_full_stops_becomes_a_training_line(typed: str, expected: str) -> None:
    assert LIKE_ENJA(typed) == expected
    assert LIKE_ENJA(expected) == expected


def test_characters_take_the_width_of_the_training_text() -> None:
    assert FULL("彼はCDを12枚買った?") == "彼はＣＤを１２枚買った？"
    assert HALF("彼はＣＤを１２枚買った？") == "彼はCDを12枚買った?"
    for habits in (FULL, HALF):  # nobody types half-width katakana where a model would know them
        assert habits("ｶﾞﾗｽ と ﾊﾟﾝ、ハﾞスー") == "ガラス と パン、バスー"
        assert habits("（笑）「猫」、。") == "（笑）「猫」、。"
    assert Normalisation(mark_width="full")("CDは?") == "CDは？"


def test_spaces_between_words_are_not_put_in() -> None:
    assert LIKE_ENJA_JA("私は猫です。") == "私は猫です。"


@given(HABITS, TEXTS)
def test_text_that_has_the_habits_is_left_as_it_is(habits: Normalisation, text: str) -> None:
    once = habits(text)
    assert habits(once) == once


# ---- undoing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("i 'm here .", "I'm here."),
        ("he said , '' i 'm japanese . '' i left .", 'He said, "I\'m japanese." I left.'),
        ("what ! i see . so am i .", "What! I see. So am I."),
        ("at 3 p.m. he came to the u.s. i.e. here .", "At 3 p.m. he came to the u.s. i.e. here."),
        ("wait ... what ?", "Wait... what?"),
        ('" why ? " he asked .', '"Why?" he asked.'),
        ("élan vital .", "Élan vital."),
        ("2 cats .", "2 cats."),
        ("", ""),
    ],
)
def test_translations_into_english_get_capitals_where_sentences_begin(written: str, expected: str) -> None:
    assert LIKE_ENJA.undo(written, "en") == expected


def test_only_english_has_a_capital_i() -> None:
    habits = Normalisation(lower_case=True)
    for language in ("it", "pl", "target", "", "end"):
        assert habits.undo("cani i gatti", language) == "Cani i gatti"
    for language in ("en", "eng", "English", "en-GB", "en_US"):
        assert habits.undo("so do i", language) == "So do I"


def test_only_sentences_of_latin_letters_get_capitals() -> None:
    assert Normalisation(lower_case=True).undo("cdを買う。") == "cdを買う。"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("私 は 「 猫 」 で す 。", "私は「猫」です。"),
        ("彼 は ３ 時 に ｃｄ を 買 っ た ？", "彼は３時にｃｄを買った？"),
        ("彼 は new york に 行 く 。", "彼はnew yorkに行く。"),
        ("「 ｔｈａｎｋ ｙｏｕ 」 と 言 う", "「ｔｈａｎｋ ｙｏｕ」と言う"),
        ("我 喜欢 猫 。", "我喜欢猫。"),
        ("제 고양이 입니다 .", "제 고양이 입니다 ."),
        ("全角\u3000の 空白", "全角\u3000の空白"),
    ],
)
def test_spaces_go_where_chinese_and_japanese_have_none(written: str, expected: str) -> None:
    assert LIKE_ENJA_JA.undo(written) == expected


def test_widths_stay_as_they_are() -> None:
    assert FULL.undo("ＣＤは１枚？") == "ＣＤは１枚？"
    assert HALF.undo("CDは1枚?") == "CDは1枚?"


def test_without_habits_nothing_is_changed_or_undone() -> None:
    habits = infer(["I like cats.", "He isn't here."])
    assert habits == Normalisation()
    assert habits.describe() == ""
    for text in ("I'm here.", "i 'm here .", "私 は Ａ1 ?", ""):
        assert habits(text) == text
        assert habits.undo(text, "en") == text


@given(TEXTS)
def test_what_is_undone_gives_the_same_words_when_it_is_applied_again(text: str) -> None:
    def words(text: str) -> str:
        return "".join(character for character in LIKE_ENJA(text) if character not in " \u3000\n\"'")

    assert words(LIKE_ENJA.undo(LIKE_ENJA(text), "en")) == words(text)


# ---- inferring ---------------------------------------------------------------------------------------------


def test_one_odd_line_in_a_thousand_does_not_change_the_habits() -> None:
    lines = ["i like cats ."] * 999
    assert infer([*lines, "I like cats."]) == LIKE_ENJA
    assert infer([*lines[:500], *["I like cats."] * 500]) == Normalisation()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["彼は１２月にＣＤを買った。（笑）"], Normalisation(width="full")),
        (["彼は12月にCDを買った。（笑）", "なぜ？"], Normalisation(width="half", mark_width="full")),
        (["彼は12月にCDを買った!", "彼は１２月にＣＤを買った！"], Normalisation()),
        (["ｶﾚﾊ12月ﾆCDｦ買ｯﾀ｡"], Normalisation()),
        (["彼は猫を見た。"], Normalisation()),
        (
            ["彼 は 昨日 、 大き な 猫 を 見 た 。", "は い 。", "データベース"],
            Normalisation(spaces_between_words=True),
        ),
        (["1. 彼は昨日、大きな猫を見た。 本当です。"], Normalisation(width="half")),
        (["I bought 12 CDs in 1999. 彼"] + ["I bought 12 CDs in 1999."] * 30, Normalisation()),
        (["나는 어제 커다란 고양이를 보았습니다 참말로."], Normalisation()),
        ([], Normalisation()),
    ],
)
def test_widths_and_spaces_are_inferred_from_chinese_and_japanese_text(
    lines: list[str], expected: Normalisation
) -> None:
    assert infer(lines * 30) == expected


def test_a_few_characters_are_no_evidence_of_their_width() -> None:
    lines = ["彼は猫を見た。"] * 10
    assert infer([*lines, "1" * 19]) == Normalisation()
    assert infer([*lines, "彼は" + "1" * 20]) == Normalisation(width="half")


def test_no_more_is_read_of_a_large_text_than_needed() -> None:
    def endless() -> Iterator[str]:
        for number in itertools.count():
            assert number < 300_000
            yield "i see ."

    assert infer(endless()) == LIKE_ENJA


def test_habits_are_described_in_words() -> None:
    assert LIKE_ENJA.describe() == "in lower case, with punctuation apart"
    every = LIKE_ENJA_JA.model_copy(update={"width": "half"})
    assert every.describe() == (
        "with half-width letters and digits, with full-width ? and !, with spaces between words"
    )
    assert every.applied.describe() == "with half-width letters and digits, with full-width ? and !"
    assert every.undone.describe() == "with spaces between words"


# ---- storing -----------------------------------------------------------------------------------------------


def read(value: object) -> PairNormalisation:
    found: PairNormalisation = validate({"normalisation": PairNormalisation}, {"normalisation": value})["normalisation"]
    return found


@given(HABITS, HABITS)
def test_habits_that_are_stored_are_read_again(source: Normalisation, target: Normalisation) -> None:
    both = PairNormalisation(source=source, target=target)
    assert read(both.model_dump(mode="json")) == both


def test_habits_of_older_checkpoints_are_those_of_the_source() -> None:
    assert read({"lower_case": True, "split_punctuation": True}) == PairNormalisation(source=LIKE_ENJA)
    assert read({"lower_case": False, "split_punctuation": False}) == read({}) == PairNormalisation()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "^normalisation: expected keys with values, found 3$"),
        ({"lower_case": 1}, "^normalisation: expected true or false"),
        (
            {"source": {"width": "wide"}},
            "^normalisation.source.width: expected 'full' or 'half', found 'wide'$",
        ),
        ({"target": {"lowercase": True}}, "^normalisation.target.lowercase: unknown key"),
        ({"target": []}, "^normalisation.target: expected keys with values"),
    ],
)
def test_habits_that_are_none_are_refused(value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(value)


# ---- real data ---------------------------------------------------------------------------------------------


@with_data
def test_lines_of_enja_are_what_they_are_normalised_to() -> None:
    lines = (DATA / "enja" / "train.en").read_text("utf-8").splitlines()
    habits = infer(lines)
    assert habits == LIKE_ENJA
    changed = [line for line in lines if habits(line) != line]
    assert len(changed) < len(lines) / 500, changed[:20]
    changed = [line for line in lines if habits(habits.undo(line, "en")) != line]
    assert len(changed) < len(lines) / 300, changed[:20]


@with_data
def test_japanese_of_enja_loses_its_spaces_and_nothing_else() -> None:
    lines = (DATA / "enja" / "train.ja").read_text("utf-8").splitlines()
    habits = infer(lines)
    assert habits == LIKE_ENJA_JA
    assert sum(habits(line) != line for line in lines) <= 1  # "12"
    assert [habits.undo(line, "ja") for line in lines if "ｙｏｕ" not in line] == [
        line.replace(" ", "") for line in lines if "ｙｏｕ" not in line
    ]


@with_data
@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_ordinary_text_has_no_habits_and_comes_back_when_it_is_split_and_joined(language: str) -> None:
    lines = [line.strip() for line in (DATA / "multi30k" / f"train.{language}").read_text("utf-8").splitlines()]
    assert infer(lines) == Normalisation()
    habits = Normalisation(split_punctuation=True)
    changed = [line for line in lines if habits.undo(habits(line), language) != line]
    assert len(changed) < len(lines) / 200, changed[:20]
