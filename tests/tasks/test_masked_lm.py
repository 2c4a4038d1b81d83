"""What is masked, which pairs are made, and that both follow from seed and row alone."""

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from keifu.models.bert import Bert, Config
from keifu.tasks.masked_lm import (
    ALONE,
    FOLLOWS,
    STRANGER,
    MaskedLanguageModeling,
    Passages,
    with_masks,
)
from keifu.text import READING_TOKENS, Tokenizer
from keifu.text.words import word_ranges

PAD, CLS, SEP, MASK = 0, 4, 5, 6
DOCUMENTS = [[f"{sign}{number}" for number in range(8)] for sign in "abcdefgh"]  # a sentence names its document
TOKENIZER = Tokenizer.train([text for each in DOCUMENTS for text in each], "character", 40, READING_TOKENS)


def encoded(most: int = 19, **options: Any) -> tuple[MaskedLanguageModeling, Passages]:
    task = MaskedLanguageModeling(TOKENIZER, **options)
    return task, task.encode(DOCUMENTS, most)


def read(row: list[int]) -> list[str]:
    return "".join(TOKENIZER.token(id) for id in row if id != PAD).split("[SEP]")


def test_pairs_are_neighbours_of_whole_sentences_or_strangers_half_of_the_time() -> None:
    task, data = encoded(masked=False, next_sentence=True)
    assert len(data) == 8 * 7  # a row for every two sentences that stand side by side
    counts = Counter[int]()
    for seed in range(20):
        batch = task.batch(data, data.rows(), seed)
        for row, follows in zip(batch.inputs.tokens.tolist(), batch.follows.tolist(), strict=True):
            first, second, rest = read(row)
            assert first.startswith("[CLS]")
            assert rest == ""
            a, b = first.removeprefix("[CLS]"), second
            assert len(a) + len(b) <= 16
            assert (a[0] == b[0]) == (follows == FOLLOWS)
            if follows == FOLLOWS:
                assert int(b[1]) == int(a[-1]) + 1
            counts[follows] += 1
    assert abs(counts[FOLLOWS] / sum(counts.values()) - 0.5) < 0.06
    assert set(counts) == {FOLLOWS, STRANGER}


def test_lengths_do_not_tell_strangers_from_those_that_follow() -> None:
    """Documents of several lengths, in which that of the first text says how much there is for a second one."""
    task = MaskedLanguageModeling(TOKENIZER, masked=False, next_sentence=True)
    documents = [each[:count] for count, each in zip([2, 2, 3, 3, 5, 5, 8, 8], DOCUMENTS, strict=True)]
    data = task.encode(documents, 19)
    of_rows: list[set[tuple[int, int]]] = [set() for _ in data.rows()]
    kinds: list[set[int]] = [set() for _ in data.rows()]
    for seed in range(30):
        batch = task.batch(data, data.rows(), seed)
        assert batch.inputs.segments is not None
        for row, (mask, segments) in enumerate(zip(batch.inputs.mask, batch.inputs.segments, strict=True)):
            of_rows[row].add((int(mask.sum()), int(segments.sum())))
            kinds[row].add(int(batch.follows[row]))
    assert [len(each) for each in of_rows] == [1] * len(data)
    assert kinds == [{FOLLOWS, STRANGER}] * len(data)


def test_texts_of_a_pair_part_where_a_sentence_ends() -> None:
    """Also where sentences are too long to be read as a whole; else a cut would tell what follows."""
    tokenizer = Tokenizer.train(["(abcdefghijklmnop)"], "character", 60, READING_TOKENS)
    task = MaskedLanguageModeling(tokenizer, masked=False, next_sentence=True)
    texts = ["(abcdefghijklmnop)", "(ab)", "(abcdefghijk)", "(abcdefghijklmnop)"]
    data = task.encode([texts, texts[::-1], texts[1:]], 19)
    assert len(data) == 3 + 3 + 2
    for seed in range(10):
        for row in task.batch(data, data.rows(), seed).inputs.tokens.tolist():
            first, second, _ = "".join(tokenizer.token(id) for id in row if id != PAD).split("[SEP]")
            assert first.endswith(")")
            assert second.startswith("(")
            assert len(first.removeprefix("[CLS]")) + len(second) <= 16


def test_either_text_of_a_pair_reaches_far_into_a_row() -> None:
    """Texts that are read alone later stand where first ones stood."""
    tokenizer = Tokenizer.train(["abcd", "efgh"], "character", 60, READING_TOKENS)
    data = MaskedLanguageModeling(tokenizer, next_sentence=True).encode([["abcd", "efgh"] * 450], 131)
    inside = slice(40, -40)  # where there are sentences enough on both sides
    firsts, seconds = (data.middle - data.first)[inside], (data.last - data.middle)[inside]
    for lengths in (firsts, seconds):
        assert lengths.min() == 4
        assert lengths.max() == 124
        assert len(set(lengths.tolist())) == 31  # every whole number of sentences
    assert (firsts + seconds).min() > 128 - 8  # what the one leaves, the other takes


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_document_that_fits_into_a_row_is_read_whole(count: int) -> None:
    task = MaskedLanguageModeling(TOKENIZER, next_sentence=True)
    data = task.encode([each[:count] for each in DOCUMENTS], 13)
    assert set((data.last - data.first).tolist()) == {2 * count}


def test_strangers_are_no_shorter_than_those_that_follow() -> None:
    task, data = encoded(masked=False, next_sentence=True)
    lengths: dict[int, list[int]] = {FOLLOWS: [], STRANGER: []}
    for seed in range(300):
        batch = task.batch(data, data.rows(), seed)
        seconds = batch.inputs.segments.sum(1).tolist()  # type: ignore[union-attr]
        for follows, length in zip(batch.follows.tolist(), seconds, strict=True):
            lengths[follows].append(length)
    means = [np.mean(each) for each in lengths.values()]
    assert abs(means[0] - means[1]) < 0.25


def test_a_second_text_that_is_cut_follows_no_more_often_than_a_whole_one() -> None:
    """Sentences of all lengths, of which long ones do not fit: what fills a row to its end is cut, and no stranger."""
    tokenizer = Tokenizer.train(["(abcdefghijklmnop)"], "character", 60, READING_TOKENS)
    task = MaskedLanguageModeling(tokenizer, masked=False, next_sentence=True)
    draw = random.Random(0)
    documents = [[f"({'abcdefghijklmnop'[: draw.randint(1, 16)]})" for _ in range(12)] for _ in range(60)]
    data = task.encode(documents, 23)
    counts = Counter[tuple[bool, bool, int]]()
    for seed in range(6):
        batch = task.batch(data, data.rows(), seed)
        for row, follows in zip(batch.inputs.tokens.tolist(), batch.follows.tolist(), strict=True):
            text = "".join(tokenizer.token(id) for id in row if id != PAD)
            counts[text.endswith(")[SEP]"), PAD in row, follows] += 1
    for whole in (True, False):
        for short in (True, False):
            both = [counts[whole, short, follows] for follows in (STRANGER, FOLLOWS)]
            assert sum(both) < 100 or abs(both[1] / sum(both) - 0.5) < 0.06, (whole, short, both)


def test_segments_and_masks_say_where_the_texts_stand() -> None:
    task, data = encoded(masked=False, next_sentence=True)
    batch = task.batch(data, data.rows(), 0)
    assert batch.inputs.segments is not None
    for tokens, segments, mask in zip(batch.inputs.tokens, batch.inputs.segments, batch.inputs.mask, strict=True):
        end = tokens.tolist().index(SEP)
        assert segments[: end + 1].sum() == 0
        assert bool((segments[end + 1 :] == mask[end + 1 :].long()).all())
        assert torch.equal(mask, tokens != PAD)


def test_a_document_of_one_sentence_has_no_pair() -> None:
    task = MaskedLanguageModeling(TOKENIZER, next_sentence=True)
    data = task.encode([["a0"], ["b0", "b1"]], 19)
    assert task.batch(data, data.rows(), 0).follows.tolist().count(ALONE) == 1
    assert data.paired.tolist() == [0]
    only = MaskedLanguageModeling(TOKENIZER, masked=False, next_sentence=True).encode([["a0"], ["b0", "b1"]], 19)
    assert len(only) == 1  # nothing else could be learned from the other


def test_without_pairs_every_token_stands_in_one_sequence() -> None:
    task = MaskedLanguageModeling(TOKENIZER)
    data = task.encode([*DOCUMENTS, ["abcdefgh" * 5]], 19)
    found = [token for row in data.rows() for token in task.batch(data, np.array([row]), 0).targets.tolist()]
    assert found
    spans = [range(first, middle) for first, middle in zip(data.first, data.middle, strict=True)]
    assert [token for span in spans for token in span] == list(range(len(data.sentences.tokens)))
    inside = [each for each in data.first.tolist() if each not in data.before]
    assert inside == [8 * 16 + 17, 8 * 16 + 34]  # a sentence of 40 tokens alone is cut
    assert data.lengths.max() <= 19
    assert (data.lengths - 2).sum() == sum(len(text) for each in DOCUMENTS for text in each) + 40


def test_fifteen_in_a_hundred_are_chosen_of_which_80_are_masked_and_10_replaced() -> None:
    task = MaskedLanguageModeling(TOKENIZER)
    data = task.encode([["abcdefgh01234567" * 6]] * 4, 98)
    seen = Counter[str]()
    for seed in range(150):
        batch = task.batch(data, data.rows(), seed)
        whole = torch.from_numpy(np.stack([data.sentences[row] for row in range(4)])).long()
        tokens, chosen = batch.inputs.tokens[:, 1:-1], batch.masked[:, 1:-1]
        assert not batch.masked[:, [0, -1]].any()
        assert torch.equal(batch.targets, whole[chosen])
        assert torch.equal(tokens[~chosen], whole[~chosen])
        assert chosen.sum(1).tolist() == [14] * 4  # 15 % of 96
        for token, target in zip(tokens[chosen].tolist(), batch.targets.tolist(), strict=True):
            seen["mask" if token == MASK else "same" if token == target else "other"] += 1
            assert token == MASK or token >= 7
    shares = {kind: count / sum(seen.values()) for kind, count in seen.items()}
    assert shares["mask"] == pytest.approx(0.8, abs=0.02)
    assert shares["other"] == pytest.approx(0.1 * 15 / 16, abs=0.02)  # a replacement by chance may be the same


def test_what_is_drawn_follows_from_seed_and_row_alone() -> None:
    task, data = encoded(next_sentence=True)
    whole = task.batch(data, data.rows(), 3)
    alone = [task.batch(data, np.array([row]), 3) for row in data.rows()]
    assert torch.equal(whole.targets, torch.cat([batch.targets for batch in alone]))
    assert torch.equal(whole.follows, torch.cat([batch.follows for batch in alone]))
    torch.manual_seed(3)
    assert torch.equal(task.batch(data, data.rows()).inputs.tokens, whole.inputs.tokens)
    assert not torch.equal(task.batch(data, data.rows(), 4).targets, whole.targets)


def test_whole_words_are_masked_together() -> None:
    tokenizer = Tokenizer.train(["walking talking", "abcdefghijklmn"] * 3, "character", 60, READING_TOKENS)
    task = MaskedLanguageModeling(tokenizer, whole_words=True, share=0.3)
    data = task.encode([["walking talking, walking a talking walk."]], 100)
    words = [[*range(1, 8)], [*range(9, 16)]]
    partly = 0
    for seed in range(40):
        masked = task.batch(data, data.rows(), seed).masked[0]
        for word in words:
            assert masked[word].all() or not masked[word].any()
        partly += bool(masked[words[0]].any())
    assert 0 < partly < 40
    loose = MaskedLanguageModeling(tokenizer, share=0.3)
    data = loose.encode([["walking talking, walking a talking walk."]], 100)
    other = [loose.batch(data, data.rows(), seed).masked[0][words[0]] for seed in range(40)]
    assert any(each.any() and not each.all() for each in other)


@pytest.mark.parametrize("kind", ["character", "bpe", "byte-bpe", "wordpiece", "unigram"])
@pytest.mark.parametrize("text", ["The walking, talking cats are sitting.", "吾輩は黒猫であり、名前はまだありません。"])
def test_words_are_whole_however_they_are_cut(kind: str, text: str) -> None:
    if not text.isascii():
        pytest.importorskip("fugashi", reason="needs the extra ja")
    tokenizer = Tokenizer.train(["The cat sat.", "walk talk sit cat", "吾輩は猫。", *text], kind, 300, READING_TOKENS)
    task = MaskedLanguageModeling(tokenizer, whole_words=True, share=0.3)
    data = task.encode([[text]], 400)
    _, offsets = tokenizer.encode_with_offsets(text)
    ranges = word_ranges(text)
    of = [[n for n, word in enumerate(ranges) if last > word[0] and first < word[1]] for first, last in offsets]
    # None for the space between two words, several for a piece of Japanese that reaches from one into the next.
    shared = {word for its in of if len(its) > 1 for word in its}
    several = {its[0] for its in of if its and of.count(its) > 1} - shared
    assert len(several) > 1
    seen = set()
    for seed in range(60):
        masked = task.batch(data, data.rows(), seed).masked[0, 1:-1].tolist()
        for word in several:
            each = {chosen for chosen, its in zip(masked, of, strict=True) if its == [word]}
            assert len(each) == 1, text[slice(*ranges[word])]
            seen.add((word, *each))
    assert len(seen) == 2 * len(several)  # each is chosen in some, and not in others


def test_a_word_does_not_reach_from_one_sentence_into_another() -> None:
    tokenizer = Tokenizer.train(["abcdefghijklmn"] * 3, "character", 60, READING_TOKENS)
    task = MaskedLanguageModeling(tokenizer, whole_words=True, next_sentence=True, share=0.3)
    data = task.encode([["abcdefghijk", "abcdefghijk"]] * 2, 19)  # the last 8 tokens of one, the first 8 of the other
    halves = [[*range(1, 9)], [*range(10, 18)]]
    seen = set()
    for seed in range(20):
        masked = task.batch(data, data.paired, seed).masked[0]
        whole = [bool(masked[half].all()) for half in halves]
        assert masked.sum() == 8
        assert sum(whole) == 1
        seen.add(whole.index(True))
    assert seen == {0, 1}


@pytest.mark.parametrize("kind", ["character", "word", "bpe", "byte-bpe", "wordpiece", "unigram"])
def test_a_gap_takes_the_space_before_it_and_the_rest_stays(kind: str) -> None:
    texts = ["The cat sat on the mat.", "吾輩は猫である。"] * 5
    tokenizer = Tokenizer.train(texts, kind, 500, READING_TOKENS)
    for text, word in (("The cat sat on the mat.", "cat"), ("吾輩は猫である。", "猫")):
        whole = tokenizer.encode(text)
        gapped = with_masks(tokenizer, text.replace(word, "[MASK]"))
        assert (gapped[0], gapped[-1], gapped.count(MASK)) == (CLS, SEP, 1)
        if kind not in ("character", "unigram"):  # whose tokens here may be longer or shorter than the word
            place = gapped.index(MASK) - 1
            assert [*gapped[1 : place + 1], whole[place], *gapped[place + 2 : -1]] == whole
    both = with_masks(tokenizer, "[MASK] cat [MASK]")
    assert (both[1], both[-2], both.count(MASK)) == (MASK, MASK, 2)
    assert MASK not in with_masks(tokenizer, "The cat sat.")


def test_the_loss_is_additive_over_the_parts_of_a_batch() -> None:
    task, data = encoded(next_sentence=True, pair_weight=2.5)
    torch.manual_seed(0)
    model = Bert(Config(vocab_size=TOKENIZER.vocab_size, d_model=8, n_layers=1, n_heads=2, d_ff=8, dropout=0)).double()
    head = task.head(model).double()
    whole = task.loss(model, head, task.batch(data, data.rows(), 1))
    parts = [task.loss(model, head, task.batch(data, rows, 1)) for rows in np.array_split(data.rows(), 7)]
    torch.testing.assert_close(torch.stack([part.total for part in parts]).sum(), whole.total, rtol=1e-12, atol=0)
    assert sum(part.tokens for part in parts) == whole.tokens


@pytest.mark.parametrize(("masked", "pairs"), [(True, False), (False, True), (True, True)])
def test_a_measurement_is_repeatable_and_counts_what_it_says(masked: bool, pairs: bool) -> None:
    task, data = encoded(masked=masked, next_sentence=pairs)
    torch.manual_seed(0)
    config = Config(vocab_size=TOKENIZER.vocab_size, d_model=8, n_layers=1, n_heads=2, d_ff=8)
    model = Bert(config).eval()
    head = task.head(model).eval()
    found = task.measure(model, head, data, 16)
    assert found == task.measure(model, head, data, 16)
    other = task.measure(model, head, data, 5)
    assert found["loss"] == pytest.approx(other["loss"], rel=1e-5)
    assert ("masked_accuracy" in found) == masked
    assert ("next_sentence_accuracy" in found) == pairs
    if masked:
        batch = task.batch(data, data.rows(), 0)
        assert found["masked_tokens"] == len(batch.targets)
        whole = task.loss(model, head, batch)
        assert found["loss"] == pytest.approx(whole.surprise.item() / whole.tokens, rel=1e-5)
    if pairs:
        assert found["pairs"] == len(data)
        low, high = found["next_sentence_accuracy_interval"]
        assert low < found["next_sentence_accuracy"] < high


@pytest.mark.parametrize("kind", ["character", "wordpiece"])
@pytest.mark.parametrize(("masked", "pairs"), [(True, False), (False, True), (True, True)])
def test_samples_show_what_is_given_what_stood_there_and_what_is_told(kind: str, masked: bool, pairs: bool) -> None:
    documents = [[f"The {noun} sat on the mat.", f"Then the {noun} walked away."] for noun in ("cat", "dog", "bird")]
    texts = [text for document in documents for text in document]
    wholes = [text.replace(" ", "") for text in (*texts, *map("".join, documents))]
    tokenizer = Tokenizer.train(texts, kind, 300, READING_TOKENS)
    task = MaskedLanguageModeling(tokenizer, masked, pairs)
    data = task.encode(documents, 120)
    torch.manual_seed(0)
    model = Bert(Config(vocab_size=tokenizer.vocab_size, d_model=8, n_layers=1, n_heads=2, d_ff=8)).eval()
    head = task.head(model).eval()
    found = task.samples(model, head, data, 2)
    batch = task.batch(data, np.array([0, len(data) - 1]), 0)
    hidden = model(batch.inputs).hidden
    assert len(found) == 2
    for row, sample in enumerate(found):
        assert len(sample) == 1 + 2 * masked + pairs
        if masked:
            given, true, told = sample[:3]
            assert given.count("[MASK]") == batch.inputs.tokens[row].tolist().count(MASK) > 0
            assert "[MASK]" not in true
            parts = [part.replace(" ", "") for part in true.split(" [SEP] ")]
            assert len(parts) == 1 + pairs
            assert all(any(whole.startswith(part) for whole in wholes) for part in parts), true
            ids = batch.inputs.tokens[row].clone()
            ids[batch.masked[row]] = head(hidden[row][batch.masked[row]]).argmax(-1)
            pieces = [tokenizer.token(id).removeprefix("##") for id in ids[batch.inputs.mask[row]][1:-1].tolist()]
            assert told.replace(" ", "") == "".join(pieces).replace(" ", "")
            assert " on the mat" in true
        if pairs:
            follows, told_as = int(batch.follows[row]), int(head.follows(hidden[row, :1]).argmax())
            names = ("random", "next")
            assert sample[-1] == f"{names[follows]}, told as {names[told_as]}"


def test_a_stranger_comes_from_another_document_however_long_its_own_is() -> None:
    task = MaskedLanguageModeling(TOKENIZER, masked=False, next_sentence=True)
    data = task.encode([["b0", "b1"], [f"a{number % 8}" for number in range(300)], ["c0", "c1"]], 19)
    batch = task.batch(data, data.rows(), 0)
    drawn = set()
    for row, follows in zip(batch.inputs.tokens.tolist(), batch.follows.tolist(), strict=True):
        first, second, _ = read(row)
        if follows == STRANGER and first.startswith("[CLS]a"):
            drawn.add(second[0])
    assert drawn == {"b", "c"}
