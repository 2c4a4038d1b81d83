"""What is drawn from is the model's distribution, reshaped as the papers say; a text hangs on nothing but its dice."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from keifu.errors import ConfigError
from keifu.generation.continuation import _Writer, continue_texts
from keifu.generation.sampling import Drawn, Sampling, distribution, sample
from keifu.models.recurrent import Config, RecurrentNetwork
from keifu.session import LanguageModel
from keifu.tasks.language_modeling import LanguageModeling
from keifu.text import Tokenizer
from tests.properties.cases import scatter

EOS = 3
TEXT = "吾輩は猫である。名前はまだ無い。どこで生れたか頓と見当がつかぬ。I am a cat 🐈."


def reference(scores: NDArray[Any], settings: Sampling, occurred: set[int]) -> NDArray[Any]:
    """One row's distribution, written once more, token by token."""
    logits = [float(score) for score in scores]
    for token in occurred:
        penalty = settings.repetition_penalty
        logits[token] = logits[token] / penalty if logits[token] > 0 else logits[token] * penalty
    if settings.temperature == 0:
        return np.eye(len(logits))[int(np.argmax(logits))]
    weights = np.exp((np.array(logits) - max(logits)) / settings.temperature)
    shares = weights / weights.sum()
    ranked = sorted(range(len(shares)), key=lambda token: -shares[token])
    kept = ranked[: settings.top_k] if settings.top_k else ranked
    total = sum(shares[token] for token in kept)
    nucleus, reached = [], 0.0
    for token in kept:
        if reached >= settings.top_p and settings.top_p < 1:
            break
        nucleus.append(token)
        reached += shares[token] / total
    best = max(shares[token] for token in nucleus)
    nucleus = [token for token in nucleus if shares[token] >= settings.min_p * best]
    result = np.zeros(len(shares))
    result[nucleus] = shares[nucleus] / shares[nucleus].sum()
    return result


numbers = st.floats(-8, 8).map(lambda value: round(value, 3))


@given(
    st.lists(numbers, min_size=2, max_size=12, unique=True),
    st.builds(
        Sampling,
        temperature=st.sampled_from([0.0, 0.3, 0.8, 1.0, 2.5]),
        top_k=st.integers(0, 14),
        top_p=st.sampled_from([0.05, 0.31, 0.77, 0.95, 1.0]),
        min_p=st.sampled_from([0.0, 0.013, 0.2, 1.0]),
        repetition_penalty=st.sampled_from([1.0, 1.3, 0.7]),
    ),
    st.sets(st.integers(0, 11)),
)
def test_the_distribution_is_that_of_a_plain_computation(
    row: list[float], settings: Sampling, occurred: set[int]
) -> None:
    occurred = {token for token in occurred if token < len(row)}
    mask = torch.zeros(1, len(row), dtype=torch.bool)
    mask[0, list(occurred)] = True
    found = distribution(torch.tensor([row], dtype=torch.float64), settings, mask)
    np.testing.assert_allclose(found[0].numpy(), reference(np.array(row), settings, occurred), atol=1e-9)


@pytest.mark.parametrize("spread", [0.1, 3.0])
def test_the_nucleus_of_many_tokens_is_that_of_a_plain_computation(spread: float) -> None:
    scores = np.random.default_rng(0).normal(scale=spread, size=(2, 3000)).round(2)  # many score the same
    settings = Sampling(temperature=1.0, top_p=0.9)
    found = distribution(torch.tensor(scores), settings, torch.zeros(2, 3000, dtype=torch.bool))
    for row, shares in zip(scores, found.numpy(), strict=True):
        assert (np.count_nonzero(shares) > 1024) == (spread == 0.1)
        np.testing.assert_allclose(shares, reference(row, settings, set()), atol=1e-9)


def test_of_tokens_that_score_the_same_no_more_than_the_k_likeliest_are_kept() -> None:
    found = distribution(torch.tensor([[2.0, 2.0, 1.0, 2.0]]), Sampling(top_k=2), torch.zeros(1, 4, dtype=torch.bool))
    assert sorted(found[0].tolist()) == [0, 0, 0.5, 0.5]


def test_a_temperature_however_small_leaves_the_likeliest() -> None:
    scores = torch.tensor([[1.0, 700.0, -torch.inf, 699.0]])
    for temperature in (1e-3, 1e-310, 5e-324):
        found = distribution(scores, Sampling(temperature=temperature), torch.zeros(1, 4, dtype=torch.bool))
        assert found.tolist() == [[0.0, 1.0, 0.0, 0.0]]


class Table:
    """A "model" whose next token's scores hang on the last token alone: row t of a table."""

    def __init__(self, scores: Tensor) -> None:
        self.scores = scores

    def step(self, tokens: Tensor, state: Any, mask: Tensor | None = None) -> tuple[Tensor, Any]:
        return self.scores[tokens], self

    def select(self, rows: Tensor) -> "Table":
        return self


def drawn(scores: Tensor, prompts: list[list[int]], settings: Sampling, seed: int = 0, **more: Any) -> list[list[int]]:
    longest = max(map(len, prompts))
    prompt = torch.tensor([row + [0] * (longest - len(row)) for row in prompts])
    mask = torch.tensor([[place < len(row) for place in range(longest)] for row in prompts])
    dice = [np.random.default_rng([seed, place]) for place in range(len(prompts))]
    table = Table(scores)
    texts: list[list[int]] = [[] for _ in prompts]
    for tokens in sample(table.step, lambda hidden: hidden, table, prompt, mask, settings, dice, EOS, **more):
        for text, token in zip(texts, tokens, strict=True):
            text += [] if token is None else [token.token]
    return texts


def test_tokens_come_as_often_as_they_are_likely() -> None:
    scores = torch.full((6, 6), -torch.inf)
    scores[4, 4:] = torch.tensor([0.7, 0.3]).log()
    scores[5, 4:] = torch.tensor([0.2, 0.8]).log()
    settings = Sampling(max_tokens=50, temperature=1.0)
    texts = drawn(scores, [[4]] * 400, settings)
    follows = Counter(pair for text in texts for pair in zip([4, *text], text, strict=False))
    for before, after, share in ((4, 5, 0.3), (5, 4, 0.2)):
        count = follows[before, after] + follows[before, before]
        assert abs(follows[before, after] / count - share) < 4 * (share * (1 - share) / count) ** 0.5


def test_a_text_ends_before_eos_and_the_others_go_on() -> None:
    scores = torch.full((8, 8), -torch.inf)
    for before, after in ((4, EOS), (5, 6), (6, 7), (7, 4)):
        scores[before, after] = 0.0
    assert drawn(scores, [[4], [5], [6, 7], [5, 6]], Sampling(max_tokens=3)) == [[], [6, 7, 4], [4], [7, 4]]
    assert drawn(scores, [[5]], Sampling(max_tokens=2)) == [[6, 7]]


def test_what_has_ended_is_dropped_when_it_is_a_quarter_of_all() -> None:
    scores = torch.full((20, 20), -torch.inf)
    for token in range(5, 20):  # one more step to the end each
        scores[token, token - 1] = 0.0
    scores[4, EOS] = 0.0
    kept: list[int] = []

    class Counted(Table):
        def select(self, rows: Tensor) -> "Table":
            kept.append(len(rows))
            return self

    table = Counted(scores)
    prompt = torch.arange(4, 20)[:, None]
    dice = [np.random.default_rng(place) for place in range(16)]
    given = (prompt, torch.ones_like(prompt, dtype=torch.bool), Sampling(max_tokens=30), dice, EOS)
    lengths = np.zeros(16, int)
    for step in sample(table.step, lambda hidden: hidden, table, *given):
        lengths += [drawn is not None for drawn in step]
    assert lengths.tolist() == list(range(16))
    assert kept == [12, 9, 6, 4, 3, 2, 1]


def test_some_tokens_are_never_written_and_repetition_is_held_back() -> None:
    scores = torch.zeros(6, 6)
    scores[:, 1] = 9.0
    assert drawn(scores, [[4]], Sampling(max_tokens=3, temperature=0), never=[1]) == [[0, 0, 0]]
    scores = torch.tensor([[4.0, 0, 0, 0, 3.0, 2.0, 1.0]]).repeat(7, 1)
    penalised = Sampling(max_tokens=4, temperature=0, repetition_penalty=100.0)
    # 4 stands in the prompt; 0 is padding there, which has not occurred.
    assert drawn(scores, [[4], [5, 6, 5]], penalised)[0] == [0, 5, 6, 0]


@pytest.fixture(scope="module", params=["character", "bpe", "byte-bpe", "word"])
def model(request: pytest.FixtureRequest) -> Any:
    tokenizer = Tokenizer.train([TEXT * 3], request.param, 400)
    torch.manual_seed(0)
    network = RecurrentNetwork(Config(name="gru", vocab_size=tokenizer.vocab_size, d_model=12)).eval()
    scatter(network, 0)
    head = LanguageModeling(tokenizer).head(network)
    return network, head, LanguageModeling(tokenizer)


def test_a_text_hangs_on_its_dice_alone_and_streams_to_the_same(model: Any) -> None:
    network, head, task = model
    prompts = ["吾輩は", "", "I am", "どこで生れたか", "a cat"]
    settings = Sampling(max_tokens=40, temperature=1.5)
    pieces: list[str] = [""] * len(prompts)

    def on_text(place: int, text: str) -> None:
        pieces[place] += text

    together = continue_texts(network, head, task, prompts, settings, 7, on_text)
    for one, piece in zip(together, pieces, strict=True):
        assert one.text == piece
        assert len(one.tokens) == 40 or one.complete
    apart = continue_texts(network, head, task, prompts, settings.model_copy(update={"batch_size": 2}), 7)
    assert [one.tokens for one in apart] == [one.tokens for one in together]
    assert [one.tokens for one in continue_texts(network, head, task, prompts, settings, 8)] != [
        one.tokens for one in together
    ]


def test_texts_of_one_prompt_are_those_of_the_prompt_given_so_often_and_it_is_read_once(model: Any) -> None:
    network, head, task = model
    settings, prompts = Sampling(max_tokens=20, temperature=1.5), ["I am", "吾輩は", "I am", "I am"]
    read: list[int] = []
    step = network.step
    network.step = lambda tokens, state, mask=None: read.append(len(tokens)) or step(tokens, state, mask)
    found = continue_texts(network, head, task, prompts, settings, 7)
    del network.step
    assert read[0] == 2
    for place, one in enumerate(found):
        dice = [np.random.default_rng([7, place])]
        ids = torch.tensor([[task.tokenizer.bos_id, *task.tokenizer.encode(prompts[place])]])
        asked = (torch.ones_like(ids, dtype=torch.bool), settings, dice, task.tokenizer.eos_id, task.never_written)
        with torch.no_grad():
            alone = [drawn.token for [drawn] in sample(network.step, head, network.start(1), ids, *asked) if drawn]
        assert one.tokens == alone


def test_prompts_go_on_with_others_of_like_length(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    network, head, task = model
    prompts = ["I am", TEXT, "", "吾輩は", TEXT * 2, "a cat"]
    settings = Sampling(max_tokens=5, temperature=0.5)
    shapes: list[tuple[int, int]] = []
    step = network.step

    def seen(tokens: Tensor, state: Any, mask: Tensor | None = None) -> Any:
        shapes.append(tuple(tokens.shape))
        return step(tokens, state, mask)

    together = continue_texts(network, head, task, prompts, settings)
    monkeypatch.setattr("keifu.generation.continuation._MOST_READ", 60)
    network.step = seen
    apart = continue_texts(network, head, task, prompts, settings)
    del network.step
    assert [one.tokens for one in apart] == [one.tokens for one in together]
    assert [one.prompt for one in apart] == prompts
    assert all(rows * length <= 60 or rows == 1 for rows, length in shapes)
    assert max(length for _, length in shapes) == len(task.tokenizer.encode(TEXT * 2)) + 1


def test_greedy_text_is_the_likeliest_token_of_the_whole_text_each_time(model: Any) -> None:
    network, head, task = model
    [one] = continue_texts(network, head, task, ["I am"], Sampling(max_tokens=15, temperature=0))
    ids = [task.tokenizer.bos_id, *task.tokenizer.encode("I am")]
    for token in one.tokens:
        hidden, _ = network.step(torch.tensor([ids]), network.start(1))
        scores = head(hidden[0, -1])
        scores[:3] = -torch.inf
        assert token == int(scores.argmax())
        ids.append(token)
    assert one.whole == "I am" + one.text


def test_one_long_text_does_not_end_itself(model: Any) -> None:
    network, head, task = model
    with torch.no_grad():
        head.weight[EOS] = 0
        stopping = Sampling(max_tokens=300, temperature=100.0)
        assert any(one.complete for one in continue_texts(network, head, task, [""] * 30, stopping))
        stream = LanguageModeling(task.tokenizer, "stream")
        assert not any(one.complete for one in continue_texts(network, head, stream, [""] * 30, stopping))


@pytest.mark.parametrize("kind", ["character", "bpe", "byte-bpe", "word"])
def test_characters_come_whole_and_together_make_the_text(kind: str) -> None:
    tokenizer = Tokenizer.train([TEXT[:20]], kind, 300)  # knows few characters, so that bytes spell the others
    for cut in range(len(TEXT)):
        writer, ids = _Writer(tokenizer, TEXT[:cut]), tokenizer.encode(TEXT)
        before = len(writer.ids)
        if ids[:before] != writer.ids:  # a token reaches across the cut
            continue
        pieces = [writer.take(Drawn(token, 0.0)) for token in ids[before:]]
        assert not any("\ufffd" in piece for piece in pieces)
        known = tokenizer.decode(ids[:before])
        assert known + "".join(pieces) == known + writer.result().text == tokenizer.decode(ids)


@pytest.mark.parametrize("kind", ["bpe", "byte-bpe", "unigram"])
@pytest.mark.parametrize("before", ["", "I am ", "猫", "I am 猫"])
def test_a_text_that_is_cut_within_a_character_keeps_those_before(before: str, kind: str) -> None:
    tokenizer = Tokenizer.train(["I am a dog."], kind, 300)
    whole, begun = tokenizer.encode(before + "猫"), tokenizer.encode("あ")[-3:]
    for count in (1, 2):
        writer = _Writer(tokenizer, before)
        pieces = [writer.take(Drawn(token, 0.0)) for token in [*whole[len(writer.ids) :], *begun[:count]]]
        assert "".join(pieces) == "猫"
        assert set(writer.rest()) == {"\ufffd"}
        assert len(writer.rest()) <= count
        assert writer.result().text == "猫" + writer.rest()


@pytest.mark.parametrize("kind", ["word", "wordpiece"])
def test_a_text_begins_with_its_space_behind_words_that_are_not_known(kind: str) -> None:
    tokenizer = Tokenizer.train(["the cat sees the dog"], kind, 60)
    writer = _Writer(tokenizer, "Ωmega")
    assert set(writer.ids) == {tokenizer.unk_id}
    pieces = [writer.take(Drawn(token, 0.0)) for token in tokenizer.encode("the cat")]
    assert writer.result().whole == "Ωmega the cat"
    assert "".join(pieces).startswith(" the")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": -1}, "decoding.temperature: expected at least 0, found -1"),
        ({"top_p": 0.0}, "decoding.top_p: expected more than 0, found 0.0"),
        ({"top_k": -1}, "decoding.top_k: expected at least 0"),
        ({"max_tokens": 0}, "decoding.max_tokens: expected at least 1"),
        ({"beam": 3}, "decoding.beam: unknown key"),
        ({"samples": 0}, "samples 0: expected at least 1"),
        ({"seed": -1}, "seed -1: expected 0 or more"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any], message: str) -> None:
    bare = object.__new__(LanguageModel)
    bare.decoding = Sampling()
    with pytest.raises(ConfigError, match=message):
        bare.generate("", **wrong)
