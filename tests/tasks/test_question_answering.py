"""What each kind of model reads of a story and its question, and what it is told of its answers."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from keifu.data.examples import Question
from keifu.interface import Output
from keifu.layers.heads import AnswerHead
from keifu.tasks.answer_metrics import score_answers, supported
from keifu.tasks.question_answering import AROUND, QuestionAnswering, plain
from keifu.text import READING_TOKENS, Tokenizer

QUESTIONS = [
    Question(("Mary went  home.", "John slept!", "Mary went home"), "Where is Mary?", "home"),
    Question(("John slept.",), "Who slept?", "John"),
    Question(("John slept.", "Mary slept."), "Who slept ?", "John,Mary"),
]
TOKENIZER = Tokenizer.train(
    [plain(text) for one in QUESTIONS for text in (*one.facts, one.question)], "word", special=READING_TOKENS
)


def task(takes: str, longest: int | None = None, most_tokens: int | None = None) -> QuestionAnswering:
    return QuestionAnswering(TOKENIZER, ("John", "home"), takes, longest, most_tokens)


def read(tokens: Tensor, mask: Tensor) -> list[str]:
    return [TOKENIZER.decode(row[real].tolist()) for row, real in zip(tokens, mask, strict=True)]


def test_texts_are_read_however_they_are_written() -> None:
    assert plain("  Where is\tMary ? ") == plain("where is mary") == "where is mary"
    assert plain("猫はどこ？") == "猫はどこ"
    assert plain("?") == ""


def test_a_memory_holds_every_different_fact_once() -> None:
    data = task("story").encode(QUESTIONS)
    inputs: Any = task("story").batch(data, np.array([2, 0])).inputs
    facts = read(inputs.facts, inputs.facts_mask)
    assert sorted(facts) == ["john slept", "mary slept", "mary went home"]
    told = [[facts[place] for place in row[real]] for row, real in zip(inputs.story, inputs.story_mask, strict=True)]
    assert told == [["john slept", "mary slept"], ["mary went home", "john slept", "mary went home"]]
    assert read(inputs.question, inputs.question_mask) == ["who slept", "where is mary"]


def test_of_long_stories_the_latest_facts_are_read() -> None:
    short = task("story", 2)
    inputs: Any = short.batch(short.encode(QUESTIONS), np.array([0])).inputs
    facts = read(inputs.facts, inputs.facts_mask)
    assert [facts[place] for place in inputs.story[0]] == ["john slept", "mary went home"]


def test_an_answer_is_scored_by_its_words_or_by_a_vector_of_its_own() -> None:
    table = nn.Parameter(torch.randn(TOKENIZER.vocab_size, 3))
    answers = ("home", "Mary,John", "nowhere", "John,Mary", "John", "mary,nowhere")
    one = QuestionAnswering(TOKENIZER, answers, "story")
    head: Any = one.head(SimpleNamespace(answer_embedding=table))
    assert [name for name, _ in head.named_parameters()] == ["table", "own"]
    assert head.own.shape == (4, 3)  # of the lists too: a sum does not know their order
    home, john = (table[TOKENIZER.encode(word)[0]] for word in ("home", "john"))
    expected = torch.stack([home, *head.own[:3], john, head.own[3]])
    vector = torch.randn(5, 3)
    torch.testing.assert_close(head(vector), vector @ expected.T)
    head(vector)[:, 0].sum().backward()
    assert table.grad is not None
    assert table.grad.abs().sum(1).count_nonzero() == 1
    assert head.own.grad.abs().sum() == 0
    known: Any = QuestionAnswering(TOKENIZER, ("home", "john"), "story").head(SimpleNamespace(answer_embedding=table))
    assert known.own is None
    pieces = AnswerHead(table, [[5, 6], [4]])  # a word that the tokenizer cuts
    torch.testing.assert_close(pieces(vector), vector @ torch.stack([table[5] + table[6], table[4]]).T)
    table.grad = None
    pieces(vector)[:, 0].sum().backward()
    assert table.grad.abs().sum(1).count_nonzero() == 2


def test_other_models_read_word_by_word() -> None:
    data = task("pair").encode(QUESTIONS)
    pair: Any = task("pair").batch(data, np.array([0, 1])).inputs
    eos, bos = TOKENIZER.eos_id, TOKENIZER.bos_id
    assert read(pair.source, pair.source_mask) == ["mary went home john slept mary went home", "john slept"]
    assert (pair.source == eos).sum(1).tolist() == [3, 1]
    assert pair.target[:, 0].tolist() == [bos, bos]
    assert read(pair.target, pair.target_mask) == ["where is mary", "who slept"]
    whole: Any = task("tokens").batch(data, np.array([1])).inputs
    expected = [bos, *TOKENIZER.encode("who slept"), eos, *TOKENIZER.encode("john slept"), eos]
    assert whole.tokens.tolist() == [expected]
    assert data.sizes[1, 0] == len(expected) - 2


def test_bert_reads_the_question_and_the_story_as_a_pair() -> None:
    one = task("segments")
    inputs: Any = one.batch(one.encode(QUESTIONS), np.array([1, 2])).inputs
    cls, sep = TOKENIZER.cls_id, TOKENIZER.sep_id
    asked, told, other = (TOKENIZER.encode(text) for text in ("who slept", "john slept", "mary slept"))
    first, second = [cls, *asked, sep, *told, sep], [cls, *asked, sep, *told, sep, *other, sep]
    assert inputs.tokens.tolist() == [first + [TOKENIZER.pad_id] * 3, second]
    assert inputs.segments.tolist() == [[0] * 4 + [1] * 3 + [0] * 3, [0] * 4 + [1] * 6]
    assert inputs.mask.sum(1).tolist() == [7, 10]


@pytest.mark.parametrize(("most", "facts"), [(10, 2), (9, 1), (7, 1), (6, 0), (4, 0), (3, 0)])
def test_what_does_not_fit_is_left_out_from_the_earliest_fact_on(most: int, facts: int) -> None:
    one = task("segments", most_tokens=most)
    data = one.encode(QUESTIONS[2:])
    assert len(data.story(0)) == facts
    assert data.cut.tolist() == [facts < 2]
    inputs: Any = one.batch(data, np.array([0])).inputs
    assert inputs.tokens.shape[1] == data.sizes[0, 0] + AROUND <= most
    if facts == 1:
        assert read(inputs.tokens, inputs.mask) == ["who slept mary slept"]


def test_the_size_of_a_question_counts_the_facts_that_are_read() -> None:
    short = task("pair", 2)
    data = short.encode(QUESTIONS)
    inputs: Any = short.batch(data, np.arange(len(QUESTIONS))).inputs
    assert data.sizes[:, 0].tolist() == (inputs.source_mask.sum(1) + inputs.target_mask.sum(1) - 1).tolist()


class Fixed(nn.Module):
    """Hidden vectors that are given."""

    def __init__(self, hidden: Tensor, backward_parts: tuple[bool, ...] = (False,)) -> None:
        super().__init__()
        self.hidden, self.backward_parts = hidden, backward_parts

    def forward(self, inputs: Any) -> Output:
        return Output(self.hidden)


def test_bert_answers_by_the_vector_of_cls() -> None:
    one = task("segments")
    head = one.head(SimpleNamespace(d_output=5, config=SimpleNamespace(dropout=0.0)))
    assert head.pooler is not None
    batch = one.batch(one.encode(QUESTIONS), np.arange(3))
    hidden = torch.randn(3, 16, 5)
    torch.testing.assert_close(one.logits(Fixed(hidden), head, batch.inputs), head(hidden[:, 0]))


@pytest.mark.parametrize("takes", ["story", "pair", "tokens"])
def test_the_loss_is_of_the_vector_that_has_read_everything(takes: str) -> None:
    one = task(takes)
    head = one.head(SimpleNamespace(d_output=5))
    batch = one.batch(one.encode(QUESTIONS), np.arange(3))
    lengths = {"story": [1, 1, 1], "pair": [4, 3, 3], "tokens": [16, 7, 10]}[takes]
    hidden = torch.randn(3, max(lengths), 5)
    last = torch.stack([row[length - 1] for row, length in zip(hidden, lengths, strict=True)])
    loss = one.loss(Fixed(hidden), head, batch)
    assert batch.targets.tolist() == [1, 0, -1]
    known = F.cross_entropy(head(last[:2]), torch.tensor([1, 0]), reduction="sum")
    torch.testing.assert_close(loss.total, known + np.log(2))
    assert (loss.tokens, one.scored(batch)) == (3, 3)


def test_what_was_read_backward_has_read_everything_at_the_first_token() -> None:
    one = task("tokens")
    head = one.head(SimpleNamespace(d_output=6))
    batch = one.batch(one.encode(QUESTIONS), np.arange(3))
    hidden = torch.randn(3, 16, 6)
    rows = zip(hidden, (16, 7, 10), strict=True)
    ends = torch.stack([torch.cat([row[length - 1, :3], row[0, 3:]]) for row, length in rows])
    torch.testing.assert_close(one.logits(Fixed(hidden, (False, True)), head, batch.inputs), head(ends))


def test_scores_of_answers() -> None:
    right = np.array([True, True, False, True] * 10 + [True] * 40)
    kinds = ["a"] * 40 + ["b"] * 40
    scores = score_answers(right, kinds)
    assert scores["accuracy"] == 70 / 80
    assert scores["accuracy_by_kind"] == {"a": 0.75, "b": 1.0}
    assert scores["mean_error"] == 0.125
    assert scores["failed"] == ["a"]
    low, high = scores["accuracy_interval"]
    assert (round(low, 4), round(high, 4)) == (0.785, 0.9307)
    edge = score_answers(np.array([True] * 95 + [False] * 5), ["a"] * 100)
    assert edge["failed"] == []  # 5 % wrong is not over 5 %


def test_the_share_of_hops_that_read_a_supporting_fact() -> None:
    weights = [np.array([[0.1, 0.9], [0.6, 0.4]]), np.array([[1.0], [1.0]]), np.array([[0.2, 0.8], [0.3, 0.7]])]
    assert supported(weights, [[0], [0], [1]]) == pytest.approx([2 / 3, 1.0])
    assert supported(weights, [[0], [], [1]]) == pytest.approx([1 / 3, 2 / 3])  # of one, they were cut off
