"""Path lengths are those that the architectures' papers count, and influence is the derivative it claims to be."""

from typing import Any

import pytest
import torch
from torch import Tensor

from keifu.views import paths
from keifu.views.paths import influence, influence_by_distance, path_lengths
from tests.properties.cases import Case
from tests.properties.inputs import StoryInputs


def skip_stories(case: Case) -> None:
    if isinstance(case.inputs, StoryInputs):
        pytest.skip("facts have a test of their own")


def short(case: Case) -> Any:
    """A batch of one row, up to five tokens a side, each side with a length of its own."""
    skip_stories(case)
    return any_short(case)


def any_short(case: Case) -> Any:
    example = {side: case.tokens(4 + number) for number, side in enumerate(case.inputs.sides)}
    return case.inputs.batch(*case.padded([example]))


def between(outputs: int, inputs: int) -> Tensor:
    """How many steps output t is behind input s; infinite where it comes before."""
    steps = torch.arange(outputs)[:, None] - torch.arange(inputs)[None, :]
    return torch.where(steps < 0, torch.inf, steps.double())


def counted(case: Case, side: str, outputs: int, inputs: int) -> Tensor | None:
    """The number of blocks between an input of a side and an output, by hand; None where nobody counted."""
    name, layers = case.config.name, case.config.n_layers
    steps, constant = between(outputs, inputs), torch.zeros(outputs, inputs)
    seen = torch.where(steps == torch.inf, torch.inf, 0.0)
    if name in ("rnn", "lstm", "gru"):
        return layers + steps
    if name in ("rnn-attention", "gru-attention", "lstm-attention"):
        return 2 * layers + seen  # of each layer the block and its attention, which reaches over all of a short text
    if name in ("gpt", "llama", "moe"):
        return layers + seen
    if name == "bert":
        return layers + constant
    if name in ("transformer", "bert-seq2seq"):
        return layers + (seen if side == "target" else 1 + constant)
    if "seq2seq" in name and side == "target":
        return layers + steps + name.endswith("attention")
    if name.endswith("-seq2seq-attention"):
        return layers + 1 + constant
    if name.endswith("-seq2seq") and case.config.direction == "forward":
        left = torch.arange(inputs).flip(0)[None, :]  # steps of the encoder after the token
        return left + layers + 1 + torch.arange(outputs)[:, None]  # it goes over to the decoder at any layer
    return None


def test_paths_are_as_long_as_the_architecture_says(case: Case) -> None:
    lengths = path_lengths(case.model, short(case))
    for side, embedding in case.inputs.embeddings.items():
        found = lengths.outputs[embedding]
        if (expected := counted(case, side, *found.shape)) is not None:
            torch.testing.assert_close(found, expected.float())


def test_a_fact_is_a_hop_away_and_the_question_all_of_them(case: Case) -> None:
    if not isinstance(case.inputs, StoryInputs):
        pytest.skip("of models that read stories")
    lengths = path_lengths(case.model, any_short(case))
    assert lengths.outputs["value"].shape[0] == lengths.outputs["question_embedding"].shape[0] == 1
    assert (lengths.outputs["value"] == 1).all()
    assert (lengths.outputs["question_embedding"] == case.config.n_hops).all()
    assert lengths.blocks["state"]["value"].shape[0] == case.config.n_hops


def test_there_is_a_path_exactly_where_something_depends(case: Case) -> None:
    inputs = short(case)
    lengths, norms = path_lengths(case.model, inputs).outputs, influence(case.model, inputs)
    for side, embedding in case.inputs.embeddings.items():
        declared = case.dependencies[case.inputs.written, side](*lengths[embedding].shape)
        assert torch.equal(lengths[embedding].isfinite(), declared)
        assert torch.equal(norms[embedding] > 0, declared)


def test_blocks_are_numbered_along_the_way(case: Case) -> None:
    lengths = path_lengths(case.model, short(case))
    assert len(lengths.blocks) >= case.config.n_layers
    nearest = min(block.min() for found in lengths.blocks.values() for block in found.values())
    assert nearest == 1  # what reads the token itself
    for found in lengths.blocks.values():
        for block in found.values():
            if block.min() == 1 and block.shape[0] == block.shape[1]:
                assert (block.diagonal() == 1).all()  # whichever way it goes along the text
    for embedding, found in lengths.outputs.items():
        farthest = torch.stack([block[embedding].min() for block in lengths.blocks.values()])
        assert farthest[farthest.isfinite()].max() == found.min()  # the last block is the one that the output shows


def test_nothing_stays_on_the_model(case: Case) -> None:
    path_lengths(case.model, short(case))
    influence(case.model, short(case))
    assert all(not module._forward_hooks for module in case.model.modules())
    assert all(weight.grad is None for weight in case.model.parameters())


def test_influence_is_the_norm_of_the_derivative(case: Case) -> None:
    skip_stories(case)
    tokens, masks = case.padded([{side: case.tokens(7) for side in case.inputs.sides}])
    inputs, written = case.inputs.batch(tokens, masks), case.inputs.embeddings[case.inputs.written]
    module = case.model.get_submodule(written)
    leaf: list[Tensor] = []

    def hook(module: Any, args: Any, output: Tensor) -> Tensor:
        leaf.append(output.detach().requires_grad_())
        return leaf[0]

    handle = module.register_forward_hook(hook)
    hidden = case.model(inputs).hidden[0]
    handle.remove()
    exact = torch.zeros(hidden.shape[0], leaf[0].shape[1])
    for t, vector in enumerate(hidden):
        rows = [torch.autograd.grad(value, leaf[0], retain_graph=True)[0][0] for value in vector]
        exact[t] = torch.stack(rows).norm(dim=(0, 2))
    draws = torch.stack([influence(case.model, inputs, seed)[written].pow(2).sum() for seed in range(12)])
    assert 0.5 < float(draws.mean() / exact.pow(2).sum()) < 2  # of something else it would be off by much more


def test_distances_count_the_sides_as_one_text(monkeypatch: pytest.MonkeyPatch) -> None:
    norms = {"source": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "target": torch.tensor([[5.0, 0.0], [6.0, 7.0]])}
    monkeypatch.setattr(paths, "influence", lambda network, inputs, seed: norms)
    found = influence_by_distance(torch.nn.Identity(), [None], longest=5)
    # The stream is s0 s1 t0 t1, and the outputs stand at t0 and t1.
    means = torch.tensor([(25 + 49) / 2, (4 + 36) / 2, (1 + 16) / 2, 9, torch.nan, torch.nan])
    torch.testing.assert_close(found, means.sqrt(), equal_nan=True)
