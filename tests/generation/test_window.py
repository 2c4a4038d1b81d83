"""Texts longer than what a model reads together: each goes on from its latest part, decided by its own length alone."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from keifu.generation.continuation import continue_texts
from keifu.generation.sampling import Sampling
from keifu.generation.window import Windowed, steps_for
from keifu.models import gpt, llama, moe
from keifu.tasks.language_modeling import LanguageModeling
from keifu.training.network import make_model
from tests.properties.cases import letters, scatter

LONGEST = 8


@pytest.fixture(params=[gpt, llama, moe], ids=["gpt", "llama", "moe"])
def model(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    config = request.param.Config(vocab_size=30, max_length=LONGEST, d_model=16, n_layers=2, n_heads=2)
    network = make_model(config).double().eval()
    scatter(network, 0)
    return network


@torch.no_grad()
def expected(model: Any, text: list[int], lead: list[int]) -> Tensor:
    """The hidden vector after a text, from the part of it that is still read."""
    begin = 0
    while len(text) - begin + len(lead) * (begin > 0) > LONGEST:
        begin += LONGEST // 2
    tokens = torch.tensor([[*(lead if begin else []), *text[begin:]]])
    hidden: Tensor = model.step(tokens, model.start(1))[0][0, -1]
    return hidden


@torch.no_grad()
@pytest.mark.parametrize("lead", [[], [2]], ids=["documents", "stream"])
def test_each_row_goes_on_from_its_own_latest_part(model: Any, lead: list[int]) -> None:
    rng = random.Random(0)
    steps = Windowed(model, lead)
    texts = [[rng.randrange(4, 30) for _ in range(length)] for length in (1, 3, 8, 9, 21)]
    longest = max(map(len, texts))
    tokens = torch.tensor([row + [0] * (longest - len(row)) for row in texts])
    mask = torch.arange(longest) < torch.tensor([len(row) for row in texts])[:, None]
    hidden, state = steps.step(tokens, steps.start(5), mask)
    for row, text in enumerate(texts):
        torch.testing.assert_close(hidden[row, len(text) - 1], expected(model, text, lead), rtol=0, atol=1e-10)
    for turn in range(30):
        if turn in (7, 20):
            chosen = [rng.randrange(len(texts)) for _ in range(4)]
            state, texts = state.select(torch.tensor(chosen)), [list(texts[row]) for row in chosen]
        new = [rng.randrange(4, 30) for _ in texts]
        hidden, after = steps.step(torch.tensor(new)[:, None], state)
        steps.step(torch.tensor(new)[:, None] * 0, state)  # an older state goes on beside the newer one
        state = after
        for text, token in zip(texts, new, strict=True):
            text.append(token)
        for row, text in enumerate(texts):
            torch.testing.assert_close(hidden[row, -1], expected(model, text, lead), rtol=0, atol=1e-10)


def test_a_text_that_fits_is_stepped_through_by_the_model_itself(model: Any) -> None:
    assert steps_for(model, LONGEST, []) is model
    assert isinstance(steps_for(model, LONGEST + 1, []), Windowed)


def test_what_is_written_beyond_does_not_hang_on_the_other_texts(model: Any) -> None:
    task = LanguageModeling(letters(30), "stream")
    head = task.head(model).double()
    prompts = ["ab", "", "abcdefghijklmnop", "c"]
    settings = Sampling(max_tokens=25, temperature=1.0)
    together = continue_texts(model, head, task, prompts, settings, 3)
    assert all(len(one.tokens) == 25 for one in together)
    apart = continue_texts(model, head, task, prompts, settings.model_copy(update={"batch_size": 1}), 3)
    assert [one.tokens for one in apart] == [one.tokens for one in together]


@torch.no_grad()
@pytest.mark.parametrize("reading", ["documents", "stream"])
def test_each_token_is_measured_from_half_a_window_at_least(model: Any, reading: str) -> None:
    task = LanguageModeling(letters(30), reading)
    head = task.head(model).double()
    rng = random.Random(1)
    texts = ["".join(rng.choice("abcdefgh") for _ in range(length)) for length in (1, 7, 8, 9, 12, 13, 40)]
    windows, half = task.encode(texts), LONGEST // 2
    surprise = 0.0
    for text in texts:
        end = [task.tokenizer.eos_id] if reading == "documents" else []
        ids = [task.tokenizer.bos_id, *task.tokenizer.encode(text), *end]
        for place in range(1, len(ids)):
            begin = 0
            while place - begin > LONGEST:
                begin += half
            begin = min(begin, max(0, len(ids) - 1 - LONGEST))  # the last window ends with the text
            read = ids[begin:place]
            if reading == "stream" and begin:
                read[0] = task.tokenizer.bos_id
            hidden = model.step(torch.tensor([read]), model.start(1))[0][0, -1]
            surprise -= float(torch.log_softmax(head(hidden), -1)[ids[place]])
    for together in (1, 64):
        assert task.surprise(model, head, windows, together=together) == pytest.approx(surprise, rel=1e-10)


@torch.no_grad()
def test_every_token_of_a_longer_text_has_a_vector(model: Any) -> None:
    task = LanguageModeling(letters(30), "documents")
    for text in ("", "abc", "abcdefghijklmnopqrs"):
        found = task.hidden(model, text)
        ids = [task.tokenizer.bos_id, *task.tokenizer.encode(text)]
        assert len(found) == len(ids)
        last = model.step(torch.tensor([ids[-LONGEST:]]), model.start(1))[0][0, -1]
        torch.testing.assert_close(found[-1], last, rtol=0, atol=1e-10)
        assert np.isfinite(found.numpy()).all()
