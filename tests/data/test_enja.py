"""The built-in English-Japanese corpus: its parts, its alignments, and one Japanese sentence for each English one."""

import random
import re
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from itertools import islice

import pytest

from keifu.data.enja import SIZES, counts, demonstrations, generate, held_out, statements
from keifu.data.enja.adjectives import ADJECTIVES
from keifu.data.enja.corpus import LABELS, LONGEST, derivations, draws, finished
from keifu.data.enja.draws import Draw, Reject
from keifu.data.enja.english import comparative, ing, participle, past, plural, superlative, third
from keifu.data.enja.japanese import inflect, stem
from keifu.data.enja.nouns import NAMES, NOUNS
from keifu.data.enja.people import person
from keifu.data.enja.verbs import VERBS
from keifu.data.examples import Pair
from keifu.errors import DataError

REPORTED = ("tense", "negation", "question", "adjective", "number", "place", "time", "subordinate", "relative")
Derived = list[tuple[Pair, frozenset[tuple[str, str]]]]


@pytest.fixture(scope="module")
def parts() -> dict[str, Derived]:
    return {part: list(derivations(part)) for part in SIZES}


@pytest.fixture(scope="module")
def train_words(parts: dict[str, Derived]) -> Counter[str]:
    return Counter(word for pair, _ in parts["train"] for word in words(pair.source))


def words(text: str) -> list[str]:
    return re.findall(r"[a-z'-]+", text.lower())


def test_sizes(parts: dict[str, Derived]) -> None:
    assert {part: len(pairs) for part, pairs in parts.items()} == SIZES


def test_all_sentences_of_all_parts_differ(parts: dict[str, Derived]) -> None:
    sources = [pair.source for pairs in parts.values() for pair, _ in pairs]
    assert len(set(sources)) == len(sources) == sum(SIZES.values())


def test_generate_gives_the_same_in_another_process(parts: dict[str, Derived]) -> None:
    script = "from keifu.data.enja import generate; print(generate('dev'))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    # Frozen sets print in an order of their own, so the links are left out here.
    shown = {re.sub(r"frozenset\([^)]*\)", "", re.sub(r"\(\d+, \d+\)", "", output)) for output in outputs}
    assert len(shown) == 1
    assert generate("dev") == [pair for pair, _ in parts["dev"]]


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(DataError, match="combination"):
        generate("valid")


def test_each_english_sentence_has_one_japanese_sentence(parts: dict[str, Derived]) -> None:
    translations: dict[str, str] = {}
    pairs = [pair for part in parts.values() for pair, _ in part]
    drawn = (finished(sentence, draw) for sentence, draw in islice(draws(77), 60_000))
    for pair in (*pairs, *drawn):
        assert translations.setdefault(pair.source, pair.target) == pair.target, pair.source


def test_sentences_are_written_as_sentences(parts: dict[str, Derived]) -> None:
    for pairs in parts.values():
        for pair, _ in pairs:
            assert re.fullmatch(r"[A-Z][A-Za-z' ,.-]*[.?]", pair.source), pair.source
            assert re.fullmatch(r"[぀-ヿ一-鿿々ーT、]+。", pair.target), pair.target
            assert pair.source.endswith("?") == pair.target.endswith("か。"), pair
            assert "  " not in pair.source


def test_constructions_have_their_share(parts: dict[str, Derived]) -> None:
    for part in ("test", "dev"):
        labels = Counter(label for pair, _ in parts[part] for label in pair.constructions)
        assert set(labels) <= set(LABELS)
        assert all(labels[name] >= 0.05 * SIZES[part] for name in REPORTED), labels


def test_lengths(parts: dict[str, Derived]) -> None:
    for part, pairs in parts.items():
        lengths = [len(pair.source.split()) for pair, _ in pairs]
        if part == "length":
            assert min(lengths) > LONGEST
        else:
            assert max(lengths) <= LONGEST
            assert 6 < sum(lengths) / len(lengths) < 9


def test_held_out_pairs_are_in_combination_only(parts: dict[str, Derived]) -> None:
    for part, pairs in parts.items():
        for pair, met in pairs:
            assert any(held_out(*each) for each in met) == (part == "combination"), pair.source


def test_every_verb_keeps_most_of_its_nouns() -> None:
    for verb in VERBS:
        assert len(verb.held) <= len(verb.nouns) / 3
    pairs = {(verb.lemma, noun.english) for verb in VERBS for noun in verb.nouns}
    assert 0.05 < sum(held_out(*pair) for pair in pairs) / len(pairs) < 0.15


@pytest.mark.parametrize("verb", ["buy", "eat", "read", "like"])
def test_held_out_pairs_are_not_written_in_train(parts: dict[str, Derived], verb: str) -> None:
    """Seen from the text alone: no form of the verb right before a held-out noun."""
    forms = "|".join({verb, third(verb), past(verb), participle(verb), ing(verb)})
    held = [noun for noun in NOUNS if held_out(verb, noun.english)]
    assert held
    nouns = "|".join(re.escape(form) for noun in held for form in (noun.plural, noun.english))
    pattern = re.compile(rf"\b({forms}) (a |an |the |two |three )?({nouns})\b")
    assert not [pair.source for pair, _ in parts["train"] if pattern.search(pair.source)]
    assert [pair.source for pair, _ in parts["combination"] if pattern.search(pair.source)]


def test_every_word_of_the_other_parts_is_in_train(parts: dict[str, Derived], train_words: Counter[str]) -> None:
    for part in ("test", "dev", "length", "combination"):
        missing = {word for pair, _ in parts[part] for word in words(pair.source) if word not in train_words}
        assert not missing, part


def test_the_lexicon_is_large_and_evenly_used(parts: dict[str, Derived], train_words: Counter[str]) -> None:
    size = counts()
    assert size["nouns"] >= 300
    assert size["verbs"] >= 100
    text = " | ".join(" ".join(words(pair.source)) for pair, _ in parts["train"])

    def occurrences(*forms: str) -> int:
        return sum(text.count(f" {' '.join(words(form))} ") for form in {*forms})

    for noun in NOUNS:
        assert occurrences(noun.english, noun.plural) >= 50, noun.english
    for name, *_ in NAMES:
        assert occurrences(name) >= 50, name
    for adjective in ADJECTIVES:
        forms = (adjective.english, comparative(adjective.english), superlative(adjective.english))
        assert occurrences(*forms) >= 50, adjective.english
    for verb in VERBS:
        form = verb.main
        forms = (form,) if verb.be else (form, third(form), past(form), participle(form), ing(form))
        assert sum(train_words[each] for each in {*forms}) >= 50, form


def test_there_are_more_than_a_million_sentences() -> None:
    """What is said of a name in the past can be said of every name, relative and role: they are drawn apart."""
    subjects: set[str] = set()
    predicates: set[str] = set()
    for (english, _, _), _ in islice(draws(8, [statements.past]), 30_000):
        source = " ".join(word if isinstance(word, str) else word.text for word in english)
        for name, _, _ in NAMES:
            if source.startswith(f"{name} ") and not re.search(r" (his|her) ", source):
                predicates.add(source.removeprefix(name))
    draw = Draw(random.Random(0).random)
    for _ in range(5_000):
        with suppress(Reject):
            subjects.add(" ".join(word.text for word in person(draw, adult=True).english))
    assert len(subjects) * len(predicates) > 1_000_000


def test_verbs_with_other_particles() -> None:
    others = {verb.lemma for verb in VERBS if verb.particle not in ("を", "")}
    assert len(others) >= 15


def test_alignments_cover_both_texts(parts: dict[str, Derived]) -> None:
    for part in ("test", "length", "combination"):
        for pair, _ in parts[part]:
            alignment = pair.alignment
            assert alignment is not None
            for text, spans, between in (
                (pair.source, alignment.source_words, " ,.?"),
                (pair.target, alignment.target_words, "、。"),
            ):
                position, rest = 0, ""
                for start, end in spans:
                    assert position <= start < end
                    rest += text[position:start]
                    assert not set(text[start:end]) & set(between), pair
                    position = end
                assert set(rest + text[position:]) <= set(between), pair
            spelled = [pair.source[start:end] for start, end in alignment.source_words]
            assert spelled == [word.strip(",.?") for word in pair.source.split()]
            for target, source in alignment.links:
                assert 0 <= target < len(alignment.target_words)
                assert 0 <= source < len(alignment.source_words)


def test_content_words_are_linked(parts: dict[str, Derived]) -> None:
    grammar = {"は", "が", "を", "に", "で", "と", "の", "か", "です", "な", "だ", "のです"}
    silent = re.compile("an?|the|that|who|it|of|to|do|does|did|and|is|are|was|were|am|will|he|she|they|i|we|you")
    own = re.compile("my|your|his|her|our|their")
    for pair, _ in parts["test"]:
        alignment = pair.alignment
        assert alignment is not None
        targets = {target for target, _ in alignment.links}
        for index, (start, end) in enumerate(alignment.target_words):
            assert index in targets or pair.target[start:end] in grammar, (pair, pair.target[start:end])
        sources = {source for _, source in alignment.links}
        for index, (start, end) in enumerate(alignment.source_words):
            word = pair.source[start:end].lower()
            assert index in sources or silent.fullmatch(word) or own.fullmatch(word), (pair, word)


def linked(pair: Pair) -> list[tuple[str, set[str]]]:
    alignment = pair.alignment
    assert alignment is not None
    english = [pair.source[start:end] for start, end in alignment.source_words]
    return [
        (pair.target[start:end], {english[source] for target, source in alignment.links if target == index})
        for index, (start, end) in enumerate(alignment.target_words)
    ]


def test_demonstrations_are_of_the_grammar_and_in_no_part(parts: dict[str, Derived]) -> None:
    shown = {pair.source: pair.target for pair in demonstrations()}
    assert shown["I like cats."] == "私は猫が好きです。"
    assert shown["I have a cat."] == "私は猫を飼っています。"
    assert shown["The old man is reading a book in the library."] == "そのおじいさんは図書館で本を読んでいます。"
    assert shown["The cat sleeps all day."] == "その猫は一日中寝ています。"
    assert shown["Where is the station?"] == "駅はどこですか。"
    sources = {pair.source for pairs in parts.values() for pair, _ in pairs}
    assert not sources & set(shown)


def test_words_of_the_demonstrations_are_in_train(train_words: Counter[str]) -> None:
    for pair in demonstrations():
        assert all(train_words[word] > 50 for word in words(pair.source)), pair.source


def test_alignment_of_liking_cats() -> None:
    assert linked(demonstrations()[0]) == [
        ("私", {"I"}), ("は", set()), ("猫", {"cats"}), ("が", {"like"}), ("好き", {"like"}), ("です", set()),
    ]  # fmt: skip


def test_alignment_of_reading_in_the_library() -> None:
    assert linked(demonstrations()[2]) == [
        ("その", {"The"}), ("おじいさん", {"old", "man"}), ("は", set()), ("図書館", {"library"}), ("で", {"in"}),
        ("本", {"book"}), ("を", {"reading"}), ("読んでいます", {"is", "reading"}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"I did not go to the .*", ("行きませんでした", {"did", "not", "go"})),
        (r"I did not go to the .*", ("に", {"to"})),
        (r"The \w+ (is|are) not expensive\.", ("高く", {"expensive"})),
        (r"\w+ met \w+ at the \w+.*", ("で", {"at"})),
        (r"\w+ bought three \w+ yesterday\.", None),
        (r"Because it was raining, .*", ("ので", {"Because"})),
        (r"I have never been to \w+\.", ("ことがありません", {"have", "never"})),
        (r"\w+ is the tallest in the class\.", ("一番", {"the", "tallest"})),
        (r"How many books .*", ("何冊", {"How", "many"})),
    ],
)
def test_alignment_of_chosen_words(
    parts: dict[str, Derived], pattern: str, expected: tuple[str, set[str]] | None
) -> None:
    found = [pair for pair, _ in parts["train"] if re.fullmatch(pattern, pair.source)]
    assert found, pattern
    for pair in found[:20]:
        if expected is None:
            assert any(text.startswith("三") and "three" in english for text, english in linked(pair)), pair
        else:
            assert expected in linked(pair), pair


@pytest.mark.parametrize(
    ("word", "group", "expected"),
    [
        ("読む", "5", "読んで 読んだ 読ま 読み 読める"), ("書く", "5", "書いて 書いた 書か 書き 書ける"),
        ("行く", "5", "行って 行った 行か 行き 行ける"), ("泳ぐ", "5", "泳いで 泳いだ 泳が 泳ぎ 泳げる"),
        ("話す", "5", "話して 話した 話さ 話し 話せる"), ("待つ", "5", "待って 待った 待た 待ち 待てる"),
        ("買う", "5", "買って 買った 買わ 買い 買える"), ("遊ぶ", "5", "遊んで 遊んだ 遊ば 遊び 遊べる"),
        ("走る", "5", "走って 走った 走ら 走り 走れる"), ("食べる", "1", "食べて 食べた 食べ 食べ 食べられる"),
        ("勉強する", "s", "勉強して 勉強した 勉強し 勉強し 勉強できる"), ("来る", "k", "来て 来た 来 来 来られる"),
        ("持ってくる", "k", "持ってきて 持ってきた 持ってこ 持ってき 持ってこられる"),
    ],
)  # fmt: skip
def test_stems(word: str, group: str, expected: str) -> None:
    assert [stem(word, group, form) for form in ("te", "ta", "a", "i", "can")] == expected.split()


@pytest.mark.parametrize(
    ("word", "group", "tense", "negative", "style", "expected"),
    [
        ("読む", "5", "past", True, "polite", "読みませんでした"),
        ("読む", "5", "was", False, "polite", "読んでいました"),
        ("読む", "5", "want", True, "polite", "読みたくありません"),
        ("読む", "5", "must", False, "polite", "読まなければなりません"),
        ("買う", "5", "past", True, "plain", "買わなかった"),
        ("ある", "5", "present", True, "plain", "ない"),
        ("高い", "i", "past", True, "polite", "高くありませんでした"),
        ("いい", "i", "past", False, "polite", "よかったです"),
        ("静か", "na", "past", False, "polite", "静かでした"),
        ("静か", "na", "present", False, "noun", "静かな"),
        ("病気", "no", "present", False, "noun", "病気の"),
        ("病気", "no", "present", False, "node", "病気な"),
        ("知る", "5", "state", True, "polite", "知りません"),
        ("知る", "5", "state", False, "polite", "知っています"),
        ("行く", "5", "going", False, "polite", "行くつもりです"),
        ("見る", "1", "ever", True, "polite", "見たことがありません"),
    ],
)
def test_inflection(word: str, group: str, tense: str, negative: bool, style: str, expected: str) -> None:
    assert "".join(inflect(word, group, tense, negative, style)) == expected


def test_english_forms() -> None:
    assert [ing(verb) for verb in ("make", "run", "swim", "study", "sit", "see")] == [
        "making", "running", "swimming", "studying", "sitting", "seeing",
    ]  # fmt: skip
    assert [past(verb) for verb in ("carry", "play", "stop", "buy", "like")] == [
        "carried",
        "played",
        "stopped",
        "bought",
        "liked",
    ]
    assert [third(verb) for verb in ("carry", "play", "watch", "go", "have")] == [
        "carries",
        "plays",
        "watches",
        "goes",
        "has",
    ]
    assert [plural(noun) for noun in ("police officer", "child", "box", "knife", "sheep", "old woman")] == [
        "police officers", "children", "boxes", "knives", "sheep", "old women",
    ]  # fmt: skip
    assert [comparative(word) for word in ("big", "easy", "clever", "difficult", "cute")] == [
        "bigger", "easier", "cleverer", "more difficult", "cuter",
    ]  # fmt: skip
