"""Gradients of every layer and of every model, against finite differences in float64."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from keifu.layers import attention as attention_layer
from keifu.layers import losses
from keifu.layers.attention import (
    MultiHeadAttention,
    SingleAttention,
    attend,
    attention,
    causal_mask,
    padding_mask,
    scaled_dot_product,
)
from keifu.layers.embeddings import Embedding, LearnedPosition, SegmentEmbedding, SinusoidalPosition, sinusoidal
from keifu.layers.feedforward import FeedForward, GatedFeedForward
from keifu.layers.heads import AnswerHead, ClassHead, MaskedHead, Pooler, PretrainingHead, VocabularyHead
from keifu.layers.norms import RMSNorm
from keifu.layers.rotary import RotaryPosition
from keifu.models import bert, gpt, llama, moe, transformer
from tests.properties.cases import Case

CPU = torch.device("cpu")
REAL = torch.arange(4) < torch.tensor([4, 2])[:, None]
MASKS = {
    "none": None,
    "causal": causal_mask(4, 4, CPU),
    "padding": padding_mask(REAL),
    "causal and padding": causal_mask(4, 4, CPU) & padding_mask(REAL),
    "rows full of nothing": padding_mask(torch.arange(4) < torch.tensor([4, 0])[:, None]),
}


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def check(module: nn.Module, run: Callable[..., Any], *inputs: Tensor) -> None:
    """gradcheck of run(module, *inputs) over the inputs that carry a gradient and every weight of the module."""
    module = module.double()
    for parameter in module.parameters():  # parts leave theirs as memory was, for a model to begin
        nn.init.normal_(parameter, std=0.5)
    names = [name for name, _ in module.named_parameters()]
    weights = [parameter.detach().clone().requires_grad_() for parameter in module.parameters()]

    class Call(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *inputs: Tensor) -> Any:
            return run(self.module, *inputs)

    call = Call()

    def function(*values: Tensor) -> Any:
        given = dict(zip((f"module.{name}" for name in names), values[len(inputs) :], strict=True))
        return functional_call(call, given, values[: len(inputs)])

    assert torch.autograd.gradcheck(function, (*inputs, *weights))


@pytest.fixture(params=["fused", "written out", "written out, causal"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_layer, "_fused_is_faster", lambda query, key: request.param == "fused")
    monkeypatch.setattr(attention_layer, "_short", lambda query, key: request.param.endswith("causal"))


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
def test_attention(form: None, mask: Tensor | None) -> None:
    query, key, value = normal(2, 2, 4, 3), normal(2, 2, 4, 3), normal(2, 2, 4, 3)
    assert torch.autograd.gradcheck(lambda *vectors: attention(*vectors, mask, at=nn.Module()), (query, key, value))


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
def test_attend_gives_weights_and_result(mask: Tensor | None) -> None:
    def run(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        return attend(scaled_dot_product(query, key), value, mask, at=nn.Module())

    assert torch.autograd.gradcheck(run, (normal(2, 2, 4, 3), normal(2, 2, 4, 3), normal(2, 2, 4, 3)))


def test_several_heads(form: None) -> None:
    def run(layer: Any, x: Tensor, memory: Tensor) -> Any:
        return layer(x, *layer.keys_values(memory), padding_mask(REAL))

    check(MultiHeadAttention(4, 2, 3), run, normal(2, 3, 4), normal(2, 4, 4))


@pytest.mark.parametrize("likeness", ["dot", "general", "additive"])
def test_one_attention_to_a_memory(likeness: Any) -> None:
    def run(layer: Any, x: Tensor, memory: Tensor) -> Any:
        return layer(x, *layer.keys_values(memory), padding_mask(REAL))

    check(SingleAttention(likeness, 3), run, normal(2, 3, 3), normal(2, 4, 3))


@pytest.mark.parametrize("n_kv_heads", [1, 2])
def test_heads_that_share_keys_with_rotary_positions(form: None, n_kv_heads: int) -> None:
    rotation = RotaryPosition(4, 100.0).double()(3)

    def run(layer: Any, x: Tensor) -> Any:
        return layer(x, *layer.keys_values(x, rotation), causal_mask(3, 3, CPU), rotation)

    check(MultiHeadAttention(5, 4, 4, n_kv_heads, bias=False), run, normal(2, 3, 5))


@pytest.mark.parametrize(
    "layer", [FeedForward(3, 5), *(FeedForward(3, 5, each) for each in gpt.GELU.values()), GatedFeedForward(3, 5)]
)
def test_feedforward(layer: nn.Module) -> None:
    check(layer, lambda layer, x: layer(x), normal(2, 3, 3))


def test_rms_norm() -> None:
    check(RMSNorm(3, 1e-3), lambda layer, x: layer(x), normal(2, 3, 3))


@pytest.mark.parametrize("position", [SinusoidalPosition(3), LearnedPosition(6, 3)], ids=["sinusoidal", "learned"])
@pytest.mark.parametrize("first", [None, torch.tensor([0, 3])], ids=["from 0", "from each row's place"])
def test_embedding(position: Any, first: Tensor | None) -> None:
    tokens = torch.tensor([[1, 0, 1], [4, 1, 2]])
    for parameter in position.parameters():
        nn.init.normal_(parameter)
    check(Embedding(nn.Parameter(torch.zeros(5, 3)), position), lambda layer: layer(tokens, first))


def test_embedding_of_pairs() -> None:
    tokens, segments = torch.tensor([[1, 0, 1], [4, 1, 2]]), torch.tensor([[0, 0, 1], [0, 1, 1]])
    check(SegmentEmbedding(nn.Parameter(torch.zeros(5, 3)), 6, 1e-3), lambda layer: layer(tokens, segments))


HEADS: dict[str, Callable[[], nn.Module]] = {
    "vocabulary": lambda: VocabularyHead(nn.Parameter(torch.zeros(5, 3))),
    "masked tokens": lambda: MaskedHead(nn.Parameter(torch.zeros(5, 3)), 1e-3),
    "pooler": lambda: Pooler(3),
    "classes": lambda: ClassHead(3, 4, 0.0, pooled=False),
    "classes of a text": lambda: ClassHead(3, 4, 0.0, pooled=True),
    "answers": lambda: AnswerHead(nn.Parameter(torch.zeros(5, 3)), [[0], [1, 4], []]),
}


@pytest.mark.parametrize("head", HEADS)
def test_head(head: str) -> None:
    check(HEADS[head](), lambda head, hidden: head(hidden), normal(2, 3, 3))


def test_both_heads_of_pre_training() -> None:
    def run(head: Any, hidden: Tensor) -> tuple[Tensor, Tensor]:
        return head(hidden), head.follows(hidden[:, 0])

    masked = MaskedHead(nn.Parameter(torch.zeros(5, 3)), 1e-3)
    check(PretrainingHead(masked, 3, next_sentence=True), run, normal(2, 3, 3))


@pytest.mark.parametrize("rows", [1, 3, 7, 512])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_cross_entropy_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch, rows: int, smoothing: float) -> None:
    monkeypatch.setattr(losses, "_blocks", lambda device, vocabulary: (rows, 2))
    hidden, weight, targets = normal(7, 3), normal(6, 3), torch.tensor([0, 5, 2, 2, 4, 1, 0])
    assert torch.autograd.gradcheck(
        lambda *given: losses.cross_entropy(*given, targets, smoothing)[0], (hidden, weight)
    )

    smoothed, plain = losses.cross_entropy(hidden, weight, targets, smoothing)
    logits = hidden @ weight.T
    expected = F.cross_entropy(logits, targets, reduction="sum", label_smoothing=smoothing)
    torch.testing.assert_close(smoothed, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(plain, F.cross_entropy(logits, targets, reduction="sum"), rtol=1e-12, atol=0)
    assert not plain.requires_grad
    for one, other in zip(
        torch.autograd.grad(3 * smoothed, (hidden, weight)),
        torch.autograd.grad(3 * expected, (hidden, weight)),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_the_gradient_of_a_nearly_certain_target_is_as_exact_in_bfloat16_as_any() -> None:
    hidden = torch.tensor([[6.0, 0, 0, 0]], dtype=torch.bfloat16, requires_grad=True)
    loss, _ = losses.cross_entropy(hidden, torch.eye(4, dtype=torch.bfloat16), torch.tensor([0]))
    loss.backward()
    expected = torch.tensor([[6.0, 0, 0, 0]]).softmax(-1) - torch.tensor([[1.0, 0, 0, 0]])
    assert hidden.grad is not None
    torch.testing.assert_close(hidden.grad.float(), expected, rtol=2**-7, atol=0)


def test_cross_entropy_of_one_input_alone_and_of_none() -> None:
    hidden, weight, targets = normal(4, 3), normal(6, 3), torch.tensor([0, 5, 2, 2])
    both = torch.autograd.grad(losses.cross_entropy(hidden, weight, targets)[0], (hidden, weight))
    [first] = torch.autograd.grad(losses.cross_entropy(hidden, weight.detach(), targets)[0], hidden)
    [second] = torch.autograd.grad(losses.cross_entropy(hidden.detach(), weight, targets)[0], weight)
    assert torch.equal(first, both[0])
    assert torch.equal(second, both[1])
    assert not losses.cross_entropy(hidden.detach(), weight.detach(), targets)[0].requires_grad
    assert losses.cross_entropy(hidden[:0], weight, targets[:0])[0] == 0


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("given", ["weights", "autocast"])
def test_cross_entropy_in_bfloat16_is_close(smoothing: float, given: str) -> None:
    hidden, weight, targets = normal(600, 8), normal(30, 8), torch.randint(30, (600,))
    exact = losses.cross_entropy(hidden, weight, targets, smoothing)[0]
    dtype = torch.bfloat16 if given == "weights" else torch.float32
    rough = [value.detach().to(dtype).requires_grad_() for value in (hidden, weight)]
    with torch.autocast("cpu", torch.bfloat16, enabled=given == "autocast"):
        found = losses.cross_entropy(*rough, targets, smoothing)[0]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=1e-2, atol=0)
    for one, other in zip(torch.autograd.grad(found, rough), torch.autograd.grad(exact, (hidden, weight)), strict=True):
        assert (one - other).norm() < 2e-2 * other.norm()


def _config(**values: Any) -> transformer.Config:
    return transformer.Config(**{"vocab_size": 5, "d_model": 4, "n_heads": 2, "d_ff": 3, "dropout": 0.0} | values)


def test_transformer_encoder_block(form: None) -> None:
    block = transformer.EncoderBlock(_config())
    check(block, lambda block, x: block(x, padding_mask(REAL)), normal(2, 4, 4))


def test_transformer_decoder_block(form: None) -> None:
    def run(block: Any, x: Tensor, memory: Tensor) -> Any:
        return block(x, causal_mask(3, 3, CPU), *block.cross_attention.keys_values(memory), padding_mask(REAL))

    check(transformer.DecoderBlock(_config(n_heads=1, d_head=2)), run, normal(2, 3, 4), normal(2, 4, 4))


def test_bert_block(form: None) -> None:
    block = bert.Block(bert.Config(vocab_size=5, d_model=4, n_heads=2, d_ff=3, dropout=0.0))
    check(block, lambda block, x: block(x, padding_mask(REAL)), normal(2, 4, 4))


def test_gpt_block(form: None) -> None:
    block = gpt.Block(gpt.Config(vocab_size=5, d_model=4, n_heads=2, d_ff=3, dropout=0.0))
    check(block, lambda block, x: block(x, causal_mask(3, 3, CPU)), normal(2, 3, 4))


DECODER: dict[str, Any] = {"vocab_size": 5, "d_model": 8, "n_heads": 2, "n_kv_heads": 1, "d_ff": 3, "dropout": 0.0}


def test_llama_block(form: None) -> None:
    rotation = RotaryPosition(4, 100.0).double()(3)
    check(llama.Block(llama.Config(**DECODER)), lambda block, x: block(x, None, rotation), normal(1, 3, 8))


@pytest.mark.parametrize("routing", ["mixtral", "switch"])
def test_block_of_experts(form: None, routing: str) -> None:
    rotation = RotaryPosition(4, 100.0).double()(3)
    config = moe.Config(**DECODER, n_experts=3, experts_per_token=1 + (routing == "mixtral"), routing=routing)

    def run(block: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        result, routed = block(x, causal_mask(3, 3, CPU), None, rotation)
        return result, routed.balance()

    check(moe.Block(config), run, normal(1, 3, 8))


def test_derivative_of_the_loss_in_any_direction(case: Case) -> None:
    """The slope along random directions of all weights at once equals the gradient's projection."""
    session = case.session()
    tokens, masks = case.padded(case.examples(3))
    side = case.inputs.written
    targets = torch.randint(case.config.vocab_size, (int(masks[side].sum()),))
    parameters = [each for each in nn.ModuleList([session.network, session.head]).parameters() if each.requires_grad]

    def loss() -> Tensor:
        output = session.network(case.inputs.batch(tokens, masks))
        hidden = case.inputs.spread(output.hidden, tokens)[masks[side]]
        if isinstance(session.head, ClassHead):
            total = F.cross_entropy(session.head(hidden), targets, reduction="sum")
        else:
            total = session.head.cross_entropy(hidden, targets, 0.1)[0]
        return sum(output.penalties, total) / len(targets)

    found = torch.autograd.grad(loss(), parameters, allow_unused=case.family.regroups)
    # An expert that no token takes has no gradient.
    pairs = zip(found, parameters, strict=True)
    gradients = [torch.zeros_like(weight) if gradient is None else gradient for gradient, weight in pairs]
    for _ in range(3):
        directions = [torch.randn_like(parameter) for parameter in parameters]
        expected = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True))
        slopes = []
        for size in (1e-6, -1e-6):
            with torch.no_grad():
                for parameter, direction in zip(parameters, directions, strict=True):
                    parameter.add_(direction, alpha=size)
                slopes.append(loss())
                for parameter, direction in zip(parameters, directions, strict=True):
                    parameter.sub_(direction, alpha=size)
        scale = math.sqrt(sum(float(g.square().sum()) for g in gradients))
        assert abs((slopes[0] - slopes[1]) / 2e-6 - expected) < 1e-6 * scale


def test_sinusoidal_positions_are_those_of_the_paper() -> None:
    for d_model in (1, 2, 5, 8):
        module = SinusoidalPosition(d_model).double()
        for longest in (3, 40, 7):  # the table grows, and is not made again for less
            positions = torch.arange(longest)[None]
            found = module(positions, longest)[0]
            assert torch.equal(found, sinusoidal(positions, d_model)[0])
            for p in range(longest):
                for i in range(d_model):
                    angle = p / 10000 ** (2 * (i // 2) / d_model)
                    expected = math.cos(angle) if i % 2 else math.sin(angle)
                    assert abs(float(found[p, i]) - expected) < 1e-12
