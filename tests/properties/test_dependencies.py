"""What an output may know: exactly the positions that the model declares, whatever stands beside, behind or under."""

import random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from keifu.data.batches import from_right_padded, to_right_padded
from keifu.interface import TokenBatch
from keifu.layers.rotary import Rotation
from keifu.models import LINEAGE
from keifu.training.network import make_model
from tests.properties.cases import CONFIGURATIONS, Case, Example, scatter
from tests.properties.families import FAMILIES


def test_every_model_of_the_lineage_is_tested() -> None:
    sees = ("flat", "vit")  # pictures alone: tests/properties/test_pictures.py
    assert list(FAMILIES) == [name for name in LINEAGE if name not in sees]


def test_outputs_depend_on_exactly_the_declared_inputs(case: Case) -> None:
    """The non-zeros of d output[t] / d embedding[s], over a batch of three padded rows."""
    tokens, masks = case.padded(case.examples(3, longest=6))
    leaves: dict[str, Tensor] = {}

    def leaf(side: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            return leaves.setdefault(side, output.detach().requires_grad_())

        return hook

    for side, path in case.inputs.embeddings.items():
        case.model.get_submodule(path).register_forward_hook(leaf(side))
    outputs = case.inputs.outputs(case.model, case.inputs.batch(tokens, masks))
    for out, hidden in outputs.items():
        probe = torch.randn(hidden.shape[-1], dtype=hidden.dtype)
        for row, t in masks[out].nonzero().tolist():
            gradients = torch.autograd.grad(
                hidden[row, t] @ probe, list(leaves.values()), retain_graph=True, allow_unused=True
            )
            for side, gradient in zip(leaves, gradients, strict=True):
                found = torch.zeros_like(masks[side]) if gradient is None else (gradient != 0).any(-1)
                expected = torch.zeros_like(masks[side])
                if (declared := case.dependencies.get((out, side))) is not None:
                    expected[row] = declared(hidden.shape[1], masks[side].shape[1])[t] & masks[side][row]
                assert torch.equal(found, expected), f"d {out}[{row}, {t}] / d {side}:\n{found.int()}"


def test_a_change_leaves_outputs_that_may_not_depend_on_it_bit_equal(case: Case) -> None:
    [example] = case.examples(1)
    before = case.outputs([example])[0]
    for side in case.inputs.sides:
        for place in range(len(example[side])):
            other = dict(example)
            other[side] = list(example[side])
            other[side][place] = (example[side][place] + 1) % case.config.vocab_size
            after = case.outputs([other])[0]
            for out in before:
                length = len(before[out])
                declared = case.dependencies.get((out, side))
                may = torch.zeros(length, dtype=torch.bool)
                if declared is not None:
                    may = declared(length, len(example[side]))[:, place]
                if case.family.regroups:
                    torch.testing.assert_close(before[out][~may], after[out][~may], rtol=0, atol=1e-12)
                else:
                    assert torch.equal(before[out][~may], after[out][~may]), (out, side, place)
                assert not torch.isclose(before[out][may], after[out][may], rtol=0, atol=1e-14).all(-1).any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_what_lies_under_the_padding_changes_nothing(case: Case, dtype: torch.dtype) -> None:
    case = case.to(dtype)
    examples = case.examples(5)
    before, after = case.outputs(examples, extra=2), case.outputs(examples, extra=2)  # padding is random each time
    for one, other in zip(before, after, strict=True):
        for side in one:
            assert torch.equal(one[side], other[side]), side


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_the_length_of_the_padding_changes_nothing(case: Case, dtype: torch.dtype, tolerance: float) -> None:
    case = case.to(dtype)
    examples = case.examples(4)
    expected = case.outputs(examples)
    for extra in (1, 3, 20):
        assert_same_outputs(case.outputs(examples, extra), expected, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("place", ["left", "right", "both", "anywhere"])
def test_the_side_of_the_padding_changes_nothing(case: Case, place: str, dtype: torch.dtype, tolerance: float) -> None:
    case = case.to(dtype)
    session = case.session()
    examples = case.examples(4)
    expected = [session_logits(case, session, *case.padded([example]))[0] for example in examples]
    tokens, masks = {}, {}
    for side in case.inputs.sides:
        width = max(len(example[side]) for example in examples) + 3
        masks[side] = torch.stack([_real(case, len(example[side]), width, place) for example in examples])
        tokens[side] = torch.randint(case.config.vocab_size, masks[side].shape)
        tokens[side][masks[side]] = torch.tensor([token for example in examples for token in example[side]])
    found = session_logits(case, session, tokens, masks)
    for row, logits in enumerate(expected):
        real = found[row][masks[case.inputs.written][row]]
        torch.testing.assert_close(real, logits, rtol=0, atol=tolerance)


def test_logits_without_masks_take_every_token_for_real(case: Case) -> None:
    session = case.session()
    tokens, masks = case.padded(case.examples(1))
    assert torch.equal(
        session_logits(case, session, tokens, dict.fromkeys(masks)), session_logits(case, session, tokens, masks)
    )


def test_padding_moves_to_the_right_and_back() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        tokens = torch.randint(100, (4, 7), generator=generator)
        mask = torch.rand(4, 7, generator=generator) < 0.6
        moved, moved_mask, order = to_right_padded(tokens, mask)
        assert torch.equal(moved_mask, moved_mask.sort(dim=1, descending=True).values)
        for row in range(4):
            assert torch.equal(moved[row][moved_mask[row]], tokens[row][mask[row]])
        back = from_right_padded(moved[:, :, None].expand(-1, -1, 3), order)[:, :, 2]
        assert back.shape == tokens.shape
        assert torch.equal(back[mask], tokens[mask])


@pytest.mark.parametrize("strangers", [1, 3, 8, 32])
def test_strangers_in_the_batch_change_nothing(case: Case, strangers: int) -> None:
    [example] = case.examples(1)
    alone = case.outputs([example])
    others = case.examples(strangers, longest=20)
    place = case.random.randrange(strangers + 1)
    among = case.outputs([*others[:place], example, *others[place:]])
    assert_same_outputs([among[place]], alone, 1e-12)


def test_without_positions_order_does_not_matter_and_with_them_it_does(case: Case) -> None:
    if not case.family.symmetric:
        pytest.skip("the order of all that it reads matters")
    without = getattr(case.config, "position", "") == "none"
    for side in case.family.symmetric:
        example = distinct(case, side)
        order = list(range(len(example[side])))[::-1]
        case.random.shuffle(order)
        turned = {**example, side: [example[side][place] for place in order]}
        assert order != sorted(order)

        def expect(before: dict[str, Tensor], side: str = side, order: list[int] = order) -> dict[str, Tensor]:
            return {out: hidden[order] if out == side else hidden for out, hidden in before.items()}

        before, after = case.outputs([example])[0], case.outputs([turned])[0]
        for out, hidden in expect(before).items():
            if (out, side) in case.dependencies and not without:
                assert (hidden - after[out]).abs().max() > 1e-6, f"{out} knows no order of {side}"
        with positions_at_zero(case.model):
            before, after = case.outputs([example])[0], case.outputs([turned])[0]
        assert_same_outputs([after], [expect(before)], 1e-12)


@pytest.mark.parametrize("name", ["gpt", "llama", "moe"])
@pytest.mark.parametrize("seed", range(CONFIGURATIONS))
def test_one_block_knows_the_order_of_earlier_tokens_by_their_positions_alone(name: str, seed: int) -> None:
    rng = random.Random(f"{name} {seed}")
    config = FAMILIES[name].config(rng).model_copy(update={"n_layers": 1})
    model = make_model(config).double().eval()
    scatter(model, seed)
    tokens = torch.tensor([rng.sample(range(config.vocab_size), 6)])
    turned = tokens[:, [3, 0, 4, 2, 1, 5]]

    def last(tokens: Tensor) -> Tensor:
        vector: Tensor = model(TokenBatch(tokens, torch.ones_like(tokens, dtype=torch.bool))).hidden[0, -1]
        return vector

    assert (last(tokens) - last(turned)).abs().max() > 1e-6
    with positions_at_zero(model):
        torch.testing.assert_close(last(tokens), last(turned), rtol=0, atol=1e-12)


class positions_at_zero:
    """Inside the block no model knows where a token stands."""

    def __init__(self, model: nn.Module) -> None:
        self._modules = [module for path, module in model.named_modules() if path.split(".")[-1] == "position"]
        assert self._modules or getattr(model.config, "position", "") == "none"

    def __enter__(self) -> None:
        self._hooks = [module.register_forward_hook(self._nowhere) for module in self._modules]

    @staticmethod
    def _nowhere(module: nn.Module, inputs: Any, output: Any) -> Any:
        if isinstance(output, Rotation):
            return Rotation(torch.ones_like(output.cosine), torch.zeros_like(output.sine))
        return torch.zeros_like(output)

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()


def distinct(case: Case, side: str) -> Example:
    """An example whose side has five different tokens."""
    [example] = case.examples(1)
    return {**example, side: case.random.sample(range(case.config.vocab_size), 5)}


def session_logits(case: Case, session: Any, tokens: Any, masks: Any) -> Tensor:
    logits: Tensor = case.inputs.logits(session, tokens, masks)
    return logits


def assert_same_outputs(found: list[dict[str, Tensor]], expected: list[dict[str, Tensor]], tolerance: float) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for side in one:
            torch.testing.assert_close(one[side], other[side], rtol=0, atol=tolerance)


def _real(case: Case, length: int, width: int, place: str) -> Tensor:
    """`[width]`, True at `length` places."""
    free = width - length
    first = {"left": free, "right": 0, "both": case.random.randint(0, free), "anywhere": 0}[place]
    places = list(range(first, first + length))
    if place == "anywhere":
        places = case.random.sample(range(width), length)
    real = torch.zeros(width, dtype=torch.bool)
    real[places] = True
    return real
