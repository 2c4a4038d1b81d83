"""The six tokenizer kinds: exactness, segmentation, offsets, files, errors and limits."""

import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keifu.errors import CheckpointError, ConfigError, DataError
from keifu.text import KINDS, READING_TOKENS, SPECIAL_TOKENS, Tokenizer

ENGLISH, JAPANESE = "I like cats.", "私は猫が好きです。"
SAMPLE = [
    ENGLISH,
    "The cats like me, and I like the cats.",
    "Don't they? 1234 cats!",
    JAPANESE,
    "私はコーヒーが好きです。猫はコーヒーが好きではありません。",
    "猫 が 好き で す 。",
] * 3
TRAINED = {kind: Tokenizer.train(SAMPLE, kind, 400) for kind in KINDS}
SUBWORD_KINDS = ("bpe", "byte-bpe")
LOSSLESS = (*SUBWORD_KINDS, "unigram")
AWKWARD = [
    "",
    " ",
    "   ",
    " cats",
    "  cats",
    "cats ",
    "cats  cats\t\tcats\r\n\n cats \n",
    "\n",
    "\n ",
    " \n",
    "\0",
    "🙂",
    " 🙂👍🏽👩‍👩‍👧",
    "e\u0301\u0301か\u3099\u3099\u0301",
    "\u2581cats \u2581 cats",
    "<0xE3>",
    "<0xE3><0x81>",
    "[EOS]",
    " [EOS] [PAD][UNK][BOS]",
    "\u3000猫",
    " 猫 が",
    "ー「」ｶﾞＡ１",
    "\ufeffcats\u200b\ufffd\U0010ffff\u00a0",
    "好" * 50 + "き" * 50 + "a" * 100 + "1" * 10 + "!" * 20 + " " * 40 + "a",
]


def labels(tokenizer: Tokenizer, text: str) -> list[str]:
    return [tokenizer.token(id) for id in tokenizer.encode(text)]


def run_python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[2])
    variables = {**os.environ, "PYTHONPATH": root, "RUST_BACKTRACE": "0", **environment}
    variables = {name: value for name, value in variables.items() if value}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=variables,
        timeout=60,
        check=False,
    )


# Exactness


def with_awkward_examples(test):
    for text in AWKWARD:
        test = example(text=text)(test)
    return test


any_text = st.text() | st.text(alphabet="cats I.'’1猫私がーコ。、「　 \n\t[EOS]<0xE3>▁é🙂\u0301\u3099", max_size=40)


@pytest.mark.parametrize("kind", LOSSLESS)
@with_awkward_examples
@settings(max_examples=500, deadline=None)
@given(text=any_text)
def test_any_text_comes_back_and_nothing_is_unknown(kind: str, text: str) -> None:
    tokenizer = TRAINED[kind]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not set(ids) & set(range(len(SPECIAL_TOKENS)))
    assert tokenizer.encode_batch([text, text]) == [ids, ids]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", SAMPLE[:6])
def test_training_texts_come_back_in_every_kind(kind: str, text: str) -> None:
    tokenizer = TRAINED[kind]
    assert tokenizer.decode_batch(tokenizer.encode_batch([text, ENGLISH])) == [text, ENGLISH]


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_in_a_text_are_ordinary_text(kind: str) -> None:
    tokenizer = Tokenizer.train([*SAMPLE, "[ ] P A D U N K B O S E", "a[EOS]a PAD UNK BOS"] * 2, kind, 400)
    text = "cats[EOS] [PAD][UNK] [BOS]a"
    for made in (tokenizer, pickle.loads(pickle.dumps(tokenizer))):
        ids = made.encode(text)
        assert not set(ids) & {made.pad_id, made.bos_id, made.eos_id}
        assert made.encode_batch([text]) == [ids]
        assert made.encode_with_offsets(text).ids == ids
        if kind != "word":  # whose vocabulary has not all of these signs with and without a space
            assert made.decode(ids) == text


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_drops_special_tokens(kind: str) -> None:
    tokenizer = TRAINED[kind]
    assert (tokenizer.pad_id, tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id) == (0, 1, 2, 3)
    assert tokenizer.decode([2, *tokenizer.encode(ENGLISH), 1, 3, 0, 0]) == ENGLISH
    assert [tokenizer.token(id) for id in range(4)] == list(SPECIAL_TOKENS)


def test_a_character_without_a_token_is_spelt_by_its_bytes() -> None:
    assert labels(TRAINED["bpe"], "猫を")[1:] == ["<0xE3>", "<0x82>", "<0x92>"]


# Segmentation


def test_characters_one_by_one() -> None:
    tokenizer = TRAINED["character"]
    assert labels(tokenizer, ENGLISH) == list(ENGLISH)
    assert labels(tokenizer, JAPANESE) == list(JAPANESE)
    assert labels(tokenizer, "猫zz犬") == ["猫", "[UNK]", "[UNK]", "[UNK]"]


def test_a_character_vocabulary_keeps_the_most_frequent() -> None:
    tokenizer = Tokenizer.train(["ccc bb a"], "character", vocab_size=6)
    assert [tokenizer.token(id) for id in range(4, tokenizer.vocab_size)] == [
        "c",
        " ",
    ]  # " " comes before "b"


def test_words_of_a_text_without_spaces_and_of_one_with_them() -> None:
    tokenizer = TRAINED["word"]
    assert labels(tokenizer, ENGLISH) == [" I", " like", " cats", "."]
    assert labels(tokenizer, JAPANESE) == ["私", "は", "猫", "が", "好", "きです", "。"]
    assert labels(tokenizer, "Don't they? 1234 cats!!") == [
        *(" Don", "'t", " they", "?"),
        *(" 1234", " cats", "!", "!"),
    ]
    assert labels(tokenizer, "コーヒー 猫 が") == ["コーヒー", "[UNK]", " が"]


def test_kana_keep_the_signs_that_lengthen_and_voice_them() -> None:
    text = "らーめんとカ\u3099レーライスとｶﾞｰﾄﾞ"
    assert labels(Tokenizer.train([text], "word"), text) == [
        *("らーめんと", "カ\u3099レーライス", "と", "ｶﾞｰﾄﾞ"),
    ]


@pytest.mark.parametrize("kind", ["word", "bpe", "byte-bpe"])
def test_a_word_is_the_same_token_first_and_inside_but_japanese_gets_no_space(kind: str) -> None:
    tokenizer = TRAINED[kind]
    assert tokenizer.encode("cats")[0] == tokenizer.encode("I cats")[-1]
    assert labels(tokenizer, "cats") == [" cats"]
    assert labels(tokenizer, "猫")[0] == "猫"
    assert tokenizer.encode("\ncats") == tokenizer.encode("cats\ncats")[1:]


@pytest.mark.parametrize("kind", SUBWORD_KINDS)
def test_the_last_of_several_spaces_goes_with_the_word(kind: str) -> None:
    assert labels(TRAINED[kind], "cats   cats") == [" cats", " ", " ", " cats"]


def test_word_pieces_take_the_longest_and_mark_what_stands_inside_a_word() -> None:
    tokenizer = Tokenizer.train(["low low low low new new newer sun"] * 9, "wordpiece", 40)
    assert labels(tokenizer, "low lower") == [" low", " low", "##er"]
    assert labels(tokenizer, "low lox") == [" low", "[UNK]"]
    signs = Tokenizer.train(["a ## b#c ### #"] * 9, "wordpiece", 40)
    assert signs.decode(signs.encode("b ### c ##a")) == "b ### c ##a"


def test_unigram_pieces_may_join_scripts_and_the_likeliest_ones_win() -> None:
    tokenizer = Tokenizer.train(["食べる。", "食べた。", "食べない。", "飲む。", "飲んだ。"] * 9, "unigram", 300)
    assert labels(tokenizer, "食べる。")[0].startswith("食べ")
    model = json.loads(tokenizer.to_json())["model"]
    scores = dict(map(tuple, model["vocab"]))

    def best(text: str) -> float:  # over all ways to cut it
        return max(
            (scores[text[:n]] + best(text[n:]) for n in range(1, len(text) + 1) if text[:n] in scores), default=0
        )

    found = sum(scores[label] for label in labels(tokenizer, "食べない"))
    assert found == pytest.approx(best("食べない"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_for_reading_has_three_more_special_tokens(kind: str, tmp_path: Path) -> None:
    tokenizer = Tokenizer.train(SAMPLE, kind, 400, READING_TOKENS)
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    assert loaded.reads
    assert not TRAINED[kind].reads
    names = [loaded.token(id) for id in (loaded.cls_id, loaded.sep_id, loaded.mask_id)]
    assert names == ["[CLS]", "[SEP]", "[MASK]"]
    assert loaded.__reduce__() == tokenizer.__reduce__()
    assert not set(loaded.encode("[MASK] [CLS]")) & set(range(4, 7))  # in a text it is text
    if kind in LOSSLESS:
        assert loaded.decode(loaded.encode("[MASK] [CLS]")) == "[MASK] [CLS]"


@pytest.mark.parametrize(
    "vocabulary",
    [
        lambda vocab: [*vocab, vocab[-1]],
        lambda vocab: [*vocab, ["", -1.0]],
        lambda vocab: [*vocab, ["x", float("inf")]],
        lambda vocab: [*vocab, ["x", "y"]],
        lambda vocab: [*vocab, ["x"]],
        lambda vocab: vocab[:100],
        lambda vocab: dict(map(tuple, vocab)),
    ],
)
def test_damaged_scores_are_found(vocabulary: Any, tmp_path: Path) -> None:
    content = json.loads(TRAINED["unigram"].to_json())
    content["model"]["vocab"] = vocabulary(content["model"]["vocab"])
    (tmp_path / "t.json").write_text(json.dumps(content), "utf-8")
    with pytest.raises(CheckpointError):
        Tokenizer.load(tmp_path / "t.json")


def test_words_keep_to_the_vocabulary_size() -> None:
    tokenizer = Tokenizer.train(["a a a b b c"], "word", vocab_size=6)
    assert labels(tokenizer, "a b c") == [" a", " b", "[UNK]"]


@pytest.mark.parametrize("kind", SUBWORD_KINDS)
def test_no_piece_crosses_a_change_of_script(kind: str) -> None:
    tokenizer = Tokenizer.train(["私は猫が好きです。12345cats"] * 5, kind, 600)
    assert labels(tokenizer, "私は猫が好きです。12345cats") == [
        *("私", "は", "猫", "が", "好", "きです", "。"),
        *("123", "45", "cats"),
    ]


def test_labels_are_printable() -> None:
    assert labels(TRAINED["byte-bpe"], "猫\n\tを") == ["猫", "\\n", "\\t", "<0xE3><0x82>", "<0x92>"]
    for tokenizer in TRAINED.values():
        all_labels = [tokenizer.token(id) for id in range(tokenizer.vocab_size)]
        assert all(label and label.isprintable() for label in all_labels)
        for id in (-1, tokenizer.vocab_size):
            with pytest.raises(IndexError):
                tokenizer.token(id)


# Offsets


@pytest.mark.parametrize("kind", KINDS)
@with_awkward_examples
@settings(max_examples=200, deadline=None)
@given(text=any_text)
def test_offsets_point_at_the_text_as_given(kind: str, text: str) -> None:
    tokenizer = TRAINED[kind]
    ids, offsets = tokenizer.encode_with_offsets(text)
    assert ids == tokenizer.encode(text)
    assert len(offsets) == len(ids)
    covered: set[int] = set()
    for id, (start, end) in zip(ids, offsets, strict=True):
        assert 0 <= start < end <= len(text)
        covered.update(range(start, end))
        label = tokenizer.token(id)
        # Characters that a label escapes, and bytes, do not show in the slice as they are.
        if label.strip() and not label.startswith(("<0x", "[UNK]", " <0x", "\\")) and "<0x" not in label:
            assert text[start:end] == label.removeprefix("##").lstrip(" ")
    assert covered >= {place for place, sign in enumerate(text) if not sign.isspace()}


@pytest.mark.parametrize("kind", ["word", "bpe", "byte-bpe"])
def test_offsets_leave_the_space_of_a_word_out(kind: str) -> None:
    ids, offsets = TRAINED[kind].encode_with_offsets("I like cats.")
    assert offsets == [(0, 1), (2, 6), (7, 11), (11, 12)]
    assert len(ids) == 4


@pytest.mark.parametrize("kind", LOSSLESS)
def test_the_bytes_of_a_character_share_its_range(kind: str) -> None:
    assert set(TRAINED[kind].encode_with_offsets("猫🙂").offsets) == {(0, 1), (1, 2)}


# Files


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_tokenizer_is_the_same_again_and_plainly_readable(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer = TRAINED[kind]
    tokenizer.save(path)
    loaded, plain = Tokenizer.load(str(path)), tokenizers.Tokenizer.from_file(str(path))
    assert (loaded.kind, loaded.vocab_size) == (kind, tokenizer.vocab_size)
    assert path.read_text("utf-8") == tokenizer.to_json()
    assert plain.get_vocab_size() == tokenizer.vocab_size
    for text in [*SAMPLE, *AWKWARD]:
        ids = tokenizer.encode(text)
        assert loaded.encode(text) == ids
        assert loaded.encode_with_offsets(text) == tokenizer.encode_with_offsets(text)
        assert loaded.decode(ids) == tokenizer.decode(ids) == plain.decode(ids)
        if "[EOS]" not in text:  # which the plain reader takes for the special token
            assert plain.encode(text).ids == ids
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_a_file_of_another_version_of_the_library_loads(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    TRAINED["bpe"].save(path)
    content = json.loads(path.read_text("utf-8"))
    del content["model"]["ignore_merges"]
    content["model"]["a_new_setting"] = None
    path.write_text(json.dumps(content), "utf-8")
    assert Tokenizer.load(path).encode(ENGLISH) == TRAINED["bpe"].encode(ENGLISH)


DAMAGE = {
    "no vocabulary": lambda c: c["model"].pop("vocab"),
    "vocabulary of another type": lambda c: c["model"].update(vocab=[["猫", 0.5]]),
    "no model": lambda c: c.pop("model"),
    "model of another type": lambda c: c.update(model="BPE"),
    "id of another type": lambda c: c["model"]["vocab"].update({"[EOS]": "3"}),
    "id far away": lambda c: c["model"]["vocab"].update({"[EOS]": 1 << 70}),
    "id with a fraction": lambda c: c["model"]["vocab"].update({"[EOS]": 3.0}),
    "id twice": lambda c: c["model"]["vocab"].update({" cats": 299}),
    "special tokens exchanged": lambda c: c["model"]["vocab"].update({"[EOS]": 2, "[BOS]": 3}),
    "special token lost": lambda c: c["model"]["vocab"].update({"[END]": c["model"]["vocab"].pop("[EOS]")}),
    "merge lost": lambda c: c["model"]["merges"].pop(0),
    "merge of unknown parts": lambda c: c["model"]["merges"].append(["q", "z"]),
    "merge cut short": lambda c: c["model"]["merges"].append(["s"]),
    "merge of another type": lambda c: c["model"]["merges"].append([1, 2]),
    "merges of another type": lambda c: c["model"].update(merges={"a": 1}),
    "byte lost": lambda c: c["model"]["vocab"].update({"q": c["model"]["vocab"].pop("<0x41>", 999)}),
    "half a character": lambda c: c["model"]["vocab"].update({"\ud800": len(c["model"]["vocab"])}),
    "no model type": lambda c: c["model"].pop("type"),
    "setting that aborts the library": lambda c: c["model"].update(continuing_subword_prefix="xyz"),
    "pattern that does not compile": lambda c: c["pre_tokenizer"].update(pattern={"Regex": "("}),
    "no decoder": lambda c: c.update(decoder=None),
    "another normalizer": lambda c: c.update(normalizer={"type": "Lowercase"}),
    "added tokens of another type": lambda c: c.update(added_tokens={"[PAD]": 0}),
    "added token elsewhere": lambda c: c["added_tokens"][3].update(id=9),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused_with_one_short_message(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    TRAINED["bpe"].save(path)
    content = json.loads(path.read_text("utf-8"))
    DAMAGE[damage](content)
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: (damaged|a tokenizer of another make)") as error:
        Tokenizer.load(path)
    assert "\n" not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_file_is_refused(kind: str, tmp_path: Path) -> None:
    TRAINED[kind].save(tmp_path / "whole.json")
    whole = (tmp_path / "whole.json").read_bytes()
    path = tmp_path / "tokenizer.json"
    for length in [*range(0, len(whole), len(whole) // 50), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="damaged"):
            Tokenizer.load(path)


@pytest.mark.parametrize("text", ["{}", "[]", "null", '"猫"', "[" * 100_000, "\ufeff{}"])
def test_other_json_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(text, "utf-8")
    with pytest.raises(CheckpointError, match="damaged"):
        Tokenizer.load(path)


def test_a_missing_file_a_folder_and_a_foreign_tokenizer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        Tokenizer.load(tmp_path / "tokenizer.json")
    with pytest.raises(CheckpointError, match="not readable"):
        Tokenizer.load(tmp_path)
    foreign = tokenizers.Tokenizer(tokenizers.models.WordPiece({"[UNK]": 0, "cats": 1}, unk_token="[UNK]"))
    foreign.save(str(tmp_path / "foreign.json"))
    with pytest.raises(CheckpointError, match=r"another make; .* bpe, byte-bpe, wordpiece or unigram"):
        Tokenizer.load(tmp_path / "foreign.json")


# Training


DETERMINISM = """
import hashlib, random, sys
from keifu.text import KINDS, Tokenizer
signs = [chr(code) for code in range(0x4E00, 0x4F00)] + list("abcdefgh   ")  # many of equal frequency
random.seed(0)
texts = ["".join(random.choices(signs, k=30)) for _ in range(300)]
texts += ["".join(random.sample(signs, k=len(signs))) for _ in range(20)]
for kind in KINDS:
    for size in (300, 500, 900):
        Tokenizer.train(texts, kind, size).save(sys.argv[1])
        print(kind, size, hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())
"""


def test_training_is_repeatable_whatever_the_hash_seed_and_the_threads(tmp_path: Path) -> None:
    path = str(tmp_path / "tokenizer.json")
    runs = [
        run_python(DETERMINISM, path, PYTHONHASHSEED=seed, RAYON_NUM_THREADS=threads, TOKENIZERS_PARALLELISM=flag)
        for seed, threads, flag in (("1", "1", "false"), ("2", "4", "true"), ("3", "2", ""))
    ]
    assert [run.returncode for run in runs] == [0, 0, 0], runs[0].stderr
    assert runs[0].stdout.count("\n") == 18
    assert runs[0].stdout == runs[1].stdout == runs[2].stdout


@pytest.mark.parametrize("kind", KINDS)
def test_an_iterator_and_a_list_train_alike(kind: str) -> None:
    once, again = Tokenizer.train(iter(SAMPLE), kind, 400), Tokenizer.train(SAMPLE, kind, 400)
    assert once.__reduce__() == again.__reduce__()


@pytest.mark.parametrize("kind", LOSSLESS)
def test_the_vocabulary_size_is_a_cap(kind: str) -> None:
    sizes = [Tokenizer.train(SAMPLE, kind, size).vocab_size for size in (280, 300)]
    assert sizes == [280, 300] or (kind == "unigram" and 270 < sizes[0] <= 280 < sizes[1] <= 300)
    bytes_only = Tokenizer.train(SAMPLE, kind, 260)
    assert bytes_only.vocab_size == 260
    assert bytes_only.decode(bytes_only.encode(JAPANESE)) == JAPANESE


@pytest.mark.parametrize("kind", SUBWORD_KINDS)
def test_pieces_have_a_longest_length(kind: str) -> None:
    tokenizer = Tokenizer.train(["donaudampfschifffahrtsgesellschaft" * 2] * 5, kind, 600)
    assert 16 < max(len(tokenizer.token(id)) for id in range(tokenizer.vocab_size)) <= 32


def test_a_pair_seen_once_is_no_piece() -> None:
    letters = set("cats dog")
    assert Tokenizer.train(["cats dog"], "bpe").vocab_size == 260 + len(letters)
    assert Tokenizer.train(["cats dog"], "byte-bpe").vocab_size == 260


def test_rare_characters_fall_back_to_bytes_and_leave_half_of_the_room_to_merges() -> None:
    rare = "".join(chr(code) for code in range(0x4E00, 0x4E00 + 2000))
    tokenizer = Tokenizer.train([rare, *["私は猫が好きです。the cats like the cats"] * 50], "bpe", 360)
    assert labels(tokenizer, JAPANESE) == ["私", "は", "猫", "が", "好", "きです", "。"]
    single = [id for id in range(260, tokenizer.vocab_size) if len(tokenizer.token(id)) == 1]
    assert len(single) == 50
    assert tokenizer.decode(tokenizer.encode(rare)) == rare


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texts", [[], ["", ""], iter([])])
def test_no_text_to_train_on_is_a_data_error(kind: str, texts: list[str]) -> None:
    with pytest.raises(DataError, match="no text"):
        Tokenizer.train(texts, kind)


@pytest.mark.parametrize(
    ("kind", "smallest"), [("character", 5), ("word", 5), ("wordpiece", 5), *((kind, 260) for kind in LOSSLESS)]
)
def test_too_small_a_vocabulary_is_refused_saying_the_smallest(kind: str, smallest: int) -> None:
    assert Tokenizer.train(SAMPLE, kind, smallest).vocab_size == smallest
    with pytest.raises(ConfigError, match=rf"vocab_size {smallest - 1} .* make {smallest};"):
        Tokenizer.train(SAMPLE, kind, smallest - 1)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="'syllable' is not known; choose one of character, word, bpe, byte-bpe"):
        Tokenizer.train(SAMPLE, "syllable")


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_surrogate_pair_is_a_data_error(kind: str) -> None:
    calls = (
        lambda: Tokenizer.train(["cats", "ab\udcff"], kind),
        lambda: TRAINED[kind].encode("ab\udcff"),
        lambda: TRAINED[kind].encode_batch(["cats", "ab\udcff"]),
        lambda: TRAINED[kind].encode_with_offsets("ab\udcff"),
    )
    for call in calls:
        with pytest.raises(DataError, match="not valid Unicode at character 3 of the text that begins 'ab"):
            call()


# Limits


GUARD = """
import random, resource
from keifu.text import Tokenizer
random.seed(0)
kanji = [chr(0x4E00 + place) for place in range(2000)]
kana = [chr(0x3041 + place) for place in range(80)]
def weights(signs): return [1 / (place + 1) for place in range(len(signs))]
def phrase(): return random.choices(kanji, weights(kanji), k=2) + random.choices(kana, weights(kana), k=3)
phrases = ["".join(phrase()) for _ in range(20_000)]
lines = ["".join(random.choices(phrases, k=400)) for _ in range(3000)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
tokenizer = Tokenizer.train(lines, "bpe", 8000)
print(tokenizer.vocab_size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_training_on_japanese_without_spaces_is_bounded() -> None:
    """3,000 lines of 2,000 characters; uncut lines take several times the time and memory allowed here."""
    start = time.perf_counter()
    run = run_python(GUARD)
    assert run.returncode == 0, run.stderr
    vocab_size, kilobytes = map(int, run.stdout.split())
    assert vocab_size == 8000
    assert kilobytes < 300 * 1024
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sign", ["a", "1", "!", " ", "あ", "猫", "🙂"])
def test_a_megabyte_of_one_character_encodes_quickly(kind: str, sign: str) -> None:
    text = sign * (1_000_000 // len(sign.encode()))
    start = time.perf_counter()
    ids = TRAINED[kind].encode(text)
    assert time.perf_counter() - start < 3  # about one second on a slow core
    assert len(ids) >= len(text) // 100


FORK = """
import os, sys
from keifu.text import Tokenizer
before = os.environ.get("TOKENIZERS_PARALLELISM")
tokenizer = Tokenizer.train(["I like cats.", "a b c"] * 100, "bpe", 300)
expected = tokenizer.encode_batch(["I like cats."] * 100)
child = os.fork()
if child == 0:
    os._exit(0 if tokenizer.encode_batch(["I like cats."] * 100) == expected else 1)
assert os.environ.get("TOKENIZERS_PARALLELISM") == before
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("parallel", ["", "true"])
def test_a_forked_child_can_encode_and_is_not_warned(parallel: str) -> None:
    """With threads asked for, a child that is not told otherwise waits for ever."""
    run = run_python(FORK, TOKENIZERS_PARALLELISM=parallel)
    assert run.returncode == 0
    assert run.stderr == ""


# Real data


@pytest.mark.skipif("KEIFU_DATA" not in os.environ, reason="KEIFU_DATA does not name the folder of data sets")
def test_real_sentences_come_back_and_are_short() -> None:
    folder = Path(os.environ["KEIFU_DATA"]) / "enja"
    english, japanese = ((folder / f"train.{language}").read_text("utf-8").splitlines() for language in ("en", "ja"))
    tokenizer = Tokenizer.train(english + japanese, "bpe", 8000)
    assert tokenizer.vocab_size == 8000
    for lines, most in ((english, 8.5), (japanese, 12.5)):
        encoded = tokenizer.encode_batch(lines)
        assert tokenizer.decode_batch(encoded) == lines
        assert sum(map(len, encoded)) / len(lines) < most
