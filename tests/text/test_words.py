"""Words by rules and, in Japanese, by an analyser that may be missing."""

import builtins
import importlib.util
from itertools import pairwise
from typing import Any

import pytest

from keifu.errors import ConfigError
from keifu.text import words as module
from keifu.text.words import word_ranges, words

ANALYSER = importlib.util.find_spec("fugashi") and importlib.util.find_spec("unidic_lite")


def test_words_and_signs_are_found_without_the_space_between() -> None:
    assert words("He didn't see 3 cats, did he?") == ["He", "did", "n't", "see", "3", "cats", ",", "did", "he", "?"]
    assert words("Can't I’ve 3,000.5 at 12:30?") == ["Ca", "n't", "I", "’ve", "3,000.5", "at", "12:30", "?"]
    assert words("") == []
    assert word_ranges(" a  b ") == [(1, 2), (4, 5)]


@pytest.mark.parametrize("word", ["हिन्दी", "cafe\u0301s", "שָׁלוֹם", "👍🏽", "👩\u200d👩\u200d👧", "ﬁn"])
def test_marks_belong_to_their_letters(word: str) -> None:
    assert words(f"a {word}, {word}") == ["a", word, ",", word]


def test_words_behind_an_emoji_are_words() -> None:
    assert words("I ❤️love it 👍🏽ok") == ["I", "❤️", "love", "it", "👍🏽", "ok"]


def test_japanese_with_spaces_is_cut_there() -> None:
    assert words("猫 が 好き です 。") == ["猫", "が", "好き", "です", "。"]


@pytest.mark.skipif(not ANALYSER, reason="the extra ja is not installed")
def test_japanese_that_has_spaces_as_running_text_does_is_analysed() -> None:
    assert words("私は iPhone を買った。") == ["私", "は", "iPhone", "を", "買っ", "た", "。"]
    assert words("吾輩は猫である。　名前はまだ無い。")[:7] == ["吾輩", "は", "猫", "で", "ある", "。", "名前"]


@pytest.mark.skipif(not ANALYSER, reason="the extra ja is not installed")
@pytest.mark.parametrize("text", ["吾輩は猫である。名前はまだ無い。", "　A1は ｶﾞﾗｽ、100円。\n終わり"])
def test_the_analyser_finds_every_sign_of_japanese_once(text: str) -> None:
    ranges = word_ranges(text)
    assert all(before[1] <= after[0] for before, after in pairwise(ranges))
    found = {place for begin, end in ranges for place in range(begin, end)}
    assert {place for place, sign in enumerate(text) if not sign.isspace()} <= found
    if "猫" in text:
        assert words(text)[:5] == ["吾輩", "は", "猫", "で", "ある"]


def test_japanese_without_the_analyser_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name == "fugashi":
            raise ImportError
        return whole(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    module._analyser.cache_clear()
    with pytest.raises(ConfigError, match=r"not installed; install it with pip install 'keifu\[ja\]'"):
        words("吾輩は猫である。")
    assert words("I am a cat.") == ["I", "am", "a", "cat", "."]
    module._analyser.cache_clear()
