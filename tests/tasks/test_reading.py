"""Texts and pairs as models read them, classes and tags told, whatever stands beside them in a batch."""

import numpy as np
import pytest
import torch
from torch import nn

from keifu.data.batches import Sequences
from keifu.data.examples import LabelledText, TaggedSentence
from keifu.layers.heads import ClassHead
from keifu.models import bert, recurrent, transformer
from keifu.tasks.classification import Classification
from keifu.tasks.classification_metrics import classification_scores
from keifu.tasks.reading import balanced, by_length, decide, join, summary_of
from keifu.tasks.tagging import Tagging
from keifu.text import READING_TOKENS, Tokenizer
from keifu.training.loop import score_of

TOKENIZER = Tokenizer.train(["abcdefghij klmno"], "character", 40, READING_TOKENS)
CLS, SEP = 4, 5
TEXTS: list[tuple[str, ...]] = [("abc",), ("defghij",), ("a",), ("klmno abc",), ("gh",)] * 3
PAIRS: list[tuple[str, ...]] = [("abc", "d"), ("d", "abc"), ("a", "klmno abc"), ("gh", "gh"), ("defghij", "k")] * 3
SIZES = {"vocab_size": TOKENIZER.vocab_size, "d_model": 8, "n_layers": 2}
MODELS = {
    "bert": lambda: bert.Bert(bert.Config(**SIZES, n_heads=2, d_ff=8)),
    "transformer": lambda: transformer.Transformer(transformer.Config(**SIZES, n_heads=2, d_ff=8)),
    "lstm": lambda: recurrent.RecurrentNetwork(recurrent.Config(**SIZES, direction="bidirectional")),
    "rnn": lambda: recurrent.RecurrentNetwork(recurrent.Config(name="rnn", **SIZES, direction="alternating")),
}


def made(name: str, task: Classification | Tagging) -> tuple[nn.Module, ClassHead]:
    torch.manual_seed(0)
    model = MODELS[name]().double().eval()
    return model, task.head(model).double().eval()


def test_a_text_and_a_pair_are_marked_where_they_end() -> None:
    assert join(TOKENIZER, [[7, 8]]) == ([CLS, 7, 8, SEP], 4)
    assert join(TOKENIZER, [[7, 8], [9]]) == ([CLS, 7, 8, SEP, 9, SEP], 4)


@pytest.mark.parametrize("most", [8, 9, 12, 20, 60])
@pytest.mark.parametrize(("first", "second"), [(3, 0), (30, 0), (3, 40), (40, 3), (30, 30), (5, 5)])
def test_the_longer_text_is_cut_first(most: int, first: int, second: int) -> None:
    texts = [[7] * first, *([[8] * second] if second else [])]
    ids, before = join(TOKENIZER, texts, most)
    assert len(ids) == min(most, first + second + 1 + len(texts))
    kept = ids.count(7), ids.count(8)
    assert before == kept[0] + 2
    if second and sum(kept) < first + second:  # the shorter one is whole, or both are as good as equal
        assert min(kept) == min(first, second) or abs(kept[0] - kept[1]) <= 1


def test_of_a_long_pair_the_end_of_the_first_text_is_kept_where_it_meets_the_second() -> None:
    texts = [list(range(10, 40)), list(range(50, 54))]
    for most in (12, 20):
        beginnings, meeting = (join(TOKENIZER, texts, most, nearest)[0] for nearest in (False, True))
        room = most - 3 - 4
        assert beginnings == [CLS, *texts[0][:room], SEP, *texts[1], SEP]
        assert meeting == [CLS, *texts[0][-room:], SEP, *texts[1], SEP]
    assert join(TOKENIZER, texts, 60, nearest=True) == join(TOKENIZER, texts, 60)


def test_classes_that_weigh_the_same_choose_by_macro_f1() -> None:
    """Of 95 and 5 examples: always the larger class, or nine tenths of either."""
    expected = [0] * 95 + [1] * 5
    reports = [
        classification_scores(expected, [0] * 100, ("a", "b")),
        classification_scores(expected, [0] * 85 + [1] * 10 + [1] * 5, ("a", "b")),
    ]
    for weights, better in (((), 0), (balanced([95, 5]), 1)):
        for make in (Classification, Tagging):
            by = make(TOKENIZER, ("a", "b"), weights).selects_by
            assert max((0, 1), key=lambda place: score_of(reports[place], by)) == better


def test_rows_of_like_length_stand_together_and_each_once() -> None:
    lengths = np.random.default_rng(0).integers(1, 300, 500)
    batches = list(by_length(lengths, 32, MODELS["lstm"]()))
    assert sorted(np.concatenate(batches).tolist()) == list(range(500))
    assert max(map(len, batches)) <= 32
    assert all(lengths[rows].max() <= 1.25 * lengths[rows].min() + 8 for rows in batches)
    assert list(by_length(np.zeros(0, np.int64), 4, MODELS["bert"]())) == []


@pytest.mark.parametrize("name", MODELS)
def test_a_tagger_drops_what_the_model_has_not_dropped_itself(name: str) -> None:
    _, head = made(name, Tagging(TOKENIZER, ("x", "y")))
    vectors = torch.randn(64, head.classes.in_features, dtype=torch.float64)
    dropped = not torch.equal(head.train()(vectors), head.eval()(vectors))
    assert dropped == (name not in ("lstm", "rnn"))


def test_of_a_pair_the_second_text_is_a_segment_of_its_own() -> None:
    task = Classification(TOKENIZER, ("x", "y"))
    data = task.encode([LabelledText(("abc", "de"), "x"), LabelledText(("f", "ghijk"), "y")])
    inputs = task.batch(data, np.arange(2)).inputs
    assert inputs.segments is not None
    assert inputs.segments.tolist() == [[0, 0, 0, 0, 0, 1, 1, 1, 0], [0, 0, 0, 1, 1, 1, 1, 1, 1]]
    assert inputs.mask.tolist() == [[True] * 8 + [False], [True] * 9]


@pytest.mark.parametrize("texts", [TEXTS, PAIRS], ids=["texts", "pairs"])
@pytest.mark.parametrize("name", MODELS)
def test_a_text_has_the_same_class_alone_and_among_others(name: str, texts: list[tuple[str, ...]]) -> None:
    task = Classification(TOKENIZER, ("x", "y", "z"))
    model, head = made(name, task)
    together, surprise = decide(task, model, head, task.encode_texts(texts), 16)
    alone = [decide(task, model, head, task.encode_texts([text]), 1) for text in texts]
    np.testing.assert_allclose(np.concatenate(together), np.concatenate([each[0][0] for each in alone]), rtol=1e-6)
    assert surprise == pytest.approx(sum(each[1] for each in alone), rel=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_words_have_the_same_tags_alone_and_among_others(name: str) -> None:
    task = Tagging(TOKENIZER, ("x", "y"))
    model, head = made(name, task)
    sentences = [text[0][:4].split() + ["abc"] * (len(text[0]) % 3) for text in TEXTS]
    together, _ = decide(task, model, head, task.encode_words(sentences), 16)
    assert list(map(len, together)) == list(map(len, sentences))
    for sentence, found in zip(sentences, together, strict=True):
        [expected], _ = decide(task, model, head, task.encode_words([sentence]), 1)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@torch.no_grad()
def test_a_tag_is_told_where_its_word_begins() -> None:
    task = Tagging(TOKENIZER, ("x", "y"))
    data = task.encode([TaggedSentence(("ab", "c", "def"), ("x", "y", "y"))])
    assert data.tokens[0].tolist() == [CLS, *TOKENIZER.encode("abcdef"), SEP]
    assert (data.places or Sequences([]))[0].tolist() == [1, 3, 4]
    assert data.targets[0].tolist() == [0, 1, 1]
    model, head = made("bert", task)
    batch = task.batch(data, data.rows())
    hidden = model(batch.inputs).hidden
    torch.testing.assert_close(task.scores(model, head, batch), head(hidden[0, [1, 3, 4]]))
    cut = task.encode([TaggedSentence(("ab", "c", "def"), ("x", "y", "y"))], 5)
    assert (cut.tokens.lengths.tolist(), cut.targets[0].tolist(), cut.cut) == ([5], [0, 1], 1)


@torch.no_grad()
def test_what_stands_for_a_text_is_its_first_vector_or_the_mean_of_the_real_ones() -> None:
    hidden, mask = torch.randn(2, 4, 3), torch.tensor([[True, True, True, True], [True, True, False, False]])
    assert torch.equal(summary_of(MODELS["bert"](), hidden, mask), hidden[:, 0])
    mean = summary_of(MODELS["lstm"](), hidden, mask)
    torch.testing.assert_close(mean, torch.stack([hidden[0].mean(0), hidden[1, :2].mean(0)]))


def test_weights_make_rare_classes_count_as_much() -> None:
    weights = balanced([90, 10])
    assert weights == pytest.approx((100 / 180, 5.0))
    examples = [LabelledText(("abc",), "x")] * 9 + [LabelledText(("gh",), "y")]
    task, plain = (Classification(TOKENIZER, ("x", "y"), given) for given in (weights, ()))
    model, head = made("lstm", task)
    batch = task.batch(task.encode(examples), np.arange(10))
    loss, other = task.loss(model, head, batch), plain.loss(model, head, batch)
    losses = -head(summary_of(model, model(batch.inputs).hidden, batch.inputs.mask)).log_softmax(-1)
    surprises = losses[torch.arange(10), batch.targets]
    torch.testing.assert_close(loss.total, (surprises * torch.tensor([weights[0]] * 9 + [weights[1]])).sum())
    torch.testing.assert_close(other.total, surprises.sum())
    assert float(loss.surprise) == pytest.approx(float(other.surprise))


def test_words_with_rare_tags_count_as_much() -> None:
    weights = balanced([3, 1])
    sentences = [TaggedSentence(("ab", "c", "def"), ("x", "y", "x")), TaggedSentence(("gh",), ("x",))]
    task, plain = (Tagging(TOKENIZER, ("x", "y"), given) for given in (weights, ()))
    model, head = made("bert", task)
    batch = task.batch(task.encode(sentences), np.arange(2))
    losses = -task.scores(model, head, batch).log_softmax(-1)
    surprises = losses[torch.arange(4), batch.targets]
    counted = surprises * torch.tensor([weights[target] for target in batch.targets.tolist()])
    loss, other = task.loss(model, head, batch), plain.loss(model, head, batch)
    torch.testing.assert_close(loss.total, counted.sum())
    torch.testing.assert_close(other.total, surprises.sum())
    assert float(loss.surprise) == pytest.approx(float(other.surprise))


def test_a_transformer_that_only_reads_has_no_decoder() -> None:
    model, _ = made("transformer", Classification(TOKENIZER, ("x", "y")))
    assert not [name for name, _ in model.named_parameters() if name.startswith(("decoder", "target"))]
