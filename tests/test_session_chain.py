"""A translator whose source and target are one stream is used as any other; any model shows its paths and influence."""

from pathlib import Path

import pytest
import torch

import keifu
from keifu.session import Model, load
from keifu.views.figures import attention_figure, influence_figure, path_figure
from tests.tiny import pairs

UNSEEN = pairs(6, seed=9)
SIZES = {"d_model": 16, "n_layers": 1, "dropout": 0.0}


@pytest.fixture(scope="module")
def chain(corpus: str, tmp_path_factory: pytest.TempPathFactory) -> Model:
    out = tmp_path_factory.mktemp("chain") / "run"
    overrides = {"model": SIZES, "data": {"tokenizer": "character"}}
    keifu.train("translation", corpus, "gru-attention", out=out, max_steps=4, overrides=overrides)
    return load(out)


def test_logits_are_those_of_the_whole_stream_wherever_padding_stands(chain: Model) -> None:
    bos = chain.tokenizer.bos_id
    source = chain.tokenizer.encode(UNSEEN[0].source)
    target = [bos, *chain.tokenizer.encode(UNSEEN[0].target)]
    alone = chain.logits(torch.tensor([source]), torch.tensor([target]))
    trace = chain.trace(UNSEEN[0].source, UNSEEN[0].target)
    torch.testing.assert_close(alone[0], trace["logits"].value[0, len(source) :], atol=1e-5, rtol=0)
    padded = chain.logits(
        torch.tensor([[0, 0, *source]]),
        torch.tensor([[*target, 0]]),
        torch.tensor([[False] * 2 + [True] * len(source)]),
        torch.tensor([[True] * len(target) + [False]]),
    )
    torch.testing.assert_close(padded[:, :-1], alone, atol=1e-5, rtol=0)


def test_a_trace_has_one_text(chain: Model, tmp_path: Path) -> None:
    source, target = UNSEEN[0].source, UNSEEN[0].target
    trace = chain.trace(source, target)
    assert trace.sequences["text"] == [*source, "[BOS]", *target]
    assert trace.sequences["predicted"] == [*source[1:], "[BOS]", *target, "[EOS]"]
    weights = trace["blocks.0.attention.weights"]
    assert weights.sequences == {"T": "text", "S": "text"}
    attention_figure(trace, "blocks.0.attention.weights", tmp_path / "attention.svg")


def test_texts_become_vectors_and_scores(chain: Model, corpus: str) -> None:
    vectors = chain.embed([*(pair.source for pair in UNSEEN), "", " "])
    assert {tuple(vector.shape) for vector in vectors} == {(16,)}
    report = chain.evaluate(corpus, beam=1)
    assert report["sentences"] > 0


def test_paths_and_influence_are_drawn_for_any_model(chain: Model, model: Model, tmp_path: Path) -> None:
    for each in (chain, model):
        lengths = each.path_lengths(UNSEEN[0].source, UNSEEN[0].target)
        for name, found in lengths.outputs.items():
            assert found.shape[1] == len(lengths.tokens[name])
        path_figure(lengths, tmp_path / "paths.svg")
    curves = {name: each.influence([pair.source for pair in UNSEEN], 20) for name, each in (("a", chain), ("b", model))}
    assert all(curve.shape == (21,) and curve[0] > 0 for curve in curves.values())
    assert "influence" in influence_figure(curves, tmp_path / "influence.svg").read_text("utf-8")
