"""Looking inside language models: what each layer would say comes next, and which experts take which tokens."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from keifu.cli.report import evaluation_report
from keifu.errors import ConfigError
from keifu.interface import TokenBatch
from keifu.session import LanguageModel, load
from keifu.text import Tokenizer
from keifu.training.loop import Stopped, take_step
from keifu.views.experts import expert_load, token_kinds
from tests.small_text import language_run, running, write_text


@pytest.fixture(scope="module", params=["gpt", "llama", "moe"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return _model(request.param, tmp_path_factory.mktemp(request.param))


def _model(name: str, folder: Path) -> LanguageModel:
    spec = write_text(folder / "a.txt", running(40))
    sizes: dict[str, Any] = {"n_layers": 2} | ({} if name == "gru" else {"max_length": 40})
    more: dict[str, Any] = {"model": sizes, "data": {"window": None}}
    run = language_run(spec, folder / "run", {"max_steps": 3, "batch_tokens": 160}, name, **more)
    list(run.events())
    return load(folder / "run", "cpu")


def test_each_layer_is_read_as_if_it_were_the_last(model: LanguageModel) -> None:
    trace = model.trace("the cat sees")
    lens = model.lens(trace)
    assert lens.axes == "L B T V"
    assert lens.value.shape == (2, 1, 13, model.tokenizer.vocab_size)
    torch.testing.assert_close(lens.value[1], trace["logits"].value.log_softmax(-1))
    first = model.head(model.network.norm(trace["blocks.0.feedforward_residual"].value)).log_softmax(-1)
    torch.testing.assert_close(lens.value[0], first)
    guesses = model.guesses("the cat sees", top=2)
    assert [len(layer) for layer in guesses] == [13, 13]
    for layer, scores in zip(guesses, lens.value[:, 0], strict=True):
        for best, row in zip(layer, scores, strict=True):
            assert [token for token, _ in best] == model.labels(row.topk(2).indices)
            assert [share for _, share in best] == pytest.approx(row.exp().topk(2).values.tolist())


def test_what_cannot_be_read_is_refused(model: LanguageModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lacks values of blocks\.\*\.feedforward_residual; make it with these"):
        model.lens(model.trace("the", names=("output",)))
    with pytest.raises(ConfigError, match="top 0: expected 1 to"):
        model.guesses("the", top=0)
    recurrent = _model("gru", tmp_path) if model.model_config.name == "gpt" else None
    if recurrent:
        with pytest.raises(ConfigError, match="a gru has no sum that its layers add to"):
            recurrent.guesses("the")
        with pytest.raises(ConfigError, match="a gru has no experts; moe has"):
            recurrent.expert_load("the")


@pytest.mark.parametrize("model", ["moe"], indirect=True)
def test_the_load_of_experts_is_what_their_routers_chose(model: LanguageModel, tmp_path: Path) -> None:
    text = running(30, seed=3)
    load = model.expert_load(text)
    assert load["tokens"] == len(text)
    ids = [model.tokenizer.bos_id, *model.tokenizer.encode(text)]
    counts, kinds, spaces = torch.zeros(2, 8), torch.zeros(2, 8), 0
    for begin in range(0, len(ids) - 1, 40):
        tokens = torch.tensor([ids[begin : min(begin + 40, len(ids) - 1)]])
        tokens[0, 0] = model.tokenizer.bos_id  # each window is read as if the text began there
        spaces += int((tokens[0] == model.tokenizer.encode(" ")[0]).sum())
        x = model.network.embedding(tokens)
        rotation = model.network.position(tokens.shape[1])
        mask = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool).tril()
        for layer, block in enumerate(model.network.blocks):
            x, routed = block(x, mask, None, rotation)
            counts[layer] += (routed.gates > 0).sum(0)
            kinds[layer] += (routed.gates > 0)[tokens[0] == model.tokenizer.encode(" ")[0]].sum(0)
    expected = (counts / counts.sum(-1, keepdim=True)).tolist()
    for found, shares in zip(load["layers"], expected, strict=True):
        assert found == pytest.approx(shares)
    assert load["kinds"]["spaces"]["tokens"] == spaces
    assert load["kinds"]["spaces"]["layers"][1] == pytest.approx((kinds[1] / kinds[1].sum()).tolist())
    assert sum(kind["tokens"] for kind in load["kinds"].values()) == load["tokens"]

    few = expert_load(model.network, model.task, model.task.encode([text]), most=90)
    assert few["tokens"] == 80  # whole windows
    report = model.evaluate(write_text(tmp_path / "x.txt", text))
    assert json.loads(json.dumps(report))["experts"] == load
    told = evaluation_report(report)
    assert "experts            their shares of the choices" in told
    assert f"spaces        {spaces:8,} " in told


def test_kinds_of_tokens() -> None:
    tokenizer = Tokenizer.train(["a b1。猫がネコー \n\t語$é"], "character", 40)
    found = dict(
        zip((tokenizer.token(index) for index in range(tokenizer.vocab_size)), token_kinds(tokenizer), strict=True)
    )
    expected = {"[PAD]": "special", "a": "latin letters", "é": "latin letters", "1": "digits", "。": "punctuation"}
    expected |= {
        "猫": "kanji",
        "が": "hiragana",
        "ネ": "katakana",
        "ー": "katakana",
        "\\n": "line breaks",
        "$": "other signs",
    }
    assert found | expected == found
    assert token_kinds(Tokenizer.train(["猫 cat"] * 3, "bpe", 300)).count("bytes") > 100


def test_penalties_reach_the_loss(tmp_path: Path) -> None:
    model = _model("moe", tmp_path)
    tokens = torch.tensor([[2, 5, 6, 7]])
    batch = model.task.batch(model.task.encode(["the cat"]), torch.arange(1).numpy())
    loss = model.task.loss(model.network, model.head, batch)
    penalties = model.network(batch.inputs).penalties
    assert len(penalties) == 4
    torch.testing.assert_close(loss.total, loss.surprise + loss.tokens * sum(penalties))
    assert model.network(TokenBatch(tokens, tokens > 0)).state is None


def test_training_lifts_experts_that_had_too_little(tmp_path: Path) -> None:
    spec = write_text(tmp_path / "a.txt", running(40))
    run = language_run(spec, tmp_path / "run", {"max_steps": 3}, "moe", model={"balance_step": 0.01})
    list(run.events())
    found = load(tmp_path / "run" / "last", "cpu")
    for router in (block.feedforward.router for block in run.learner.model.blocks):
        assert 0 < router.bias.abs().max() < 0.03 + 1e-6
        assert len(router.bias.unique()) > 1
    saved = found.network.blocks[0].feedforward.router.bias
    assert saved.abs().max() > 0


def test_training_may_begin_with_experts_and_go_on_with_other_penalties(tmp_path: Path) -> None:
    spec = write_text(tmp_path / "a.txt", running(40))
    first = language_run(spec, tmp_path / "one", {"max_steps": 1}, "moe")
    list(first.events())
    begin = {"max_steps": 1, "init": str(tmp_path / "one")}
    second = language_run(spec, tmp_path / "two", begin, "moe", model={"balance_penalty": 0.5})
    weight = second.learner.model.blocks[0].feedforward.router.weight
    torch.testing.assert_close(weight, load(tmp_path / "one", "cpu").network.blocks[0].feedforward.router.weight)
    with pytest.raises(ConfigError, match="n_experts is 4 here and 8 there"):
        language_run(spec, tmp_path / "three", begin, "moe", model={"n_experts": 4})


@pytest.mark.parametrize("model", ["moe"], indirect=True)
def test_nothing_to_look_at_is_refused(model: LanguageModel) -> None:
    for nothing in ("", []):
        with pytest.raises(ConfigError, match="no token to look at"):
            model.expert_load(nothing)


@pytest.mark.parametrize("model", ["gpt", "llama"], indirect=True)
def test_padding_takes_no_place_among_those_that_a_model_has(model: LanguageModel) -> None:
    most = model.network.longest
    tokens = torch.full((2, 3 * most), 5)
    mask = torch.zeros(2, 3 * most, dtype=torch.bool)
    mask[0, -most:] = mask[1, 4:7] = True
    found = model.logits(tokens, mask)
    assert found.shape[:2] == tokens.shape
    torch.testing.assert_close(found[1, 4:7], model.logits(tokens[:1, :3])[0], atol=1e-5, rtol=0)


def test_a_step_that_was_given_up_does_not_count_for_the_experts(tmp_path: Path) -> None:
    spec = write_text(tmp_path / "a.txt", running(40))
    more: dict[str, Any] = {"model": {"max_length": 10, "balance_step": 0.1}}
    run = language_run(spec, tmp_path / "run", {"max_steps": 3, "accumulate": 2}, "moe", **more)
    asked = iter([False, True])
    with pytest.raises(Stopped):
        take_step(run.learner, run.settings.training, lambda: next(asked))
    routers = [block.feedforward.router for block in run.learner.model.blocks]
    assert not any(router.load.any() for router in routers)
