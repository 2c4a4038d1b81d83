"""Products in eight-bit integers, for use after training on a CPU.

Every row of a weight matrix is rounded once to 255 steps, from its largest magnitude down to the negative of it; the
vectors that it multiplies are rounded at every call, each to steps of its own, so that what a sequence gives does not
hang on its batch. Sums are exact, and rescaled to float32. (Vector-wise quantisation, Dettmers et al. 2022,
"LLM.int8()", section 2.2; for translation Bhandare et al. 2019, arXiv:1906.00532.)
"""

import torch
from torch import Tensor, nn

from keifu.layers.attention import MultiHeadAttention
from keifu.layers.heads import VocabularyHead, loss_of_scores
from keifu.layers.linear import Linear
from keifu.layers.processor import has_any

_STEPS = 127  # on either side of zero
_ROWS = 512  # whose scores are held at a time, where the loss is asked for


def multiplies_int8() -> bool:
    """Whether this processor multiplies eight-bit integers in hardware, and PyTorch has the operators. Unknown counts
    as no: without such instructions sums may overflow.
    """
    has = has_any("avx512_vnni", "avx_vnni", "amx_int8")
    return has and hasattr(torch.ops.onednn, "qlinear_pointwise")


def quantise(model: nn.Module) -> None:
    """Puts a QuantisedLinear in the place of every Linear of the model, and a single one in the place of the three that
    make query, key and value of a sequence that asks itself: its vectors are rounded once.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, MultiHeadAttention) and name != "cross_attention":
                _merge(child)
            if isinstance(child, Linear):
                setattr(module, name, QuantisedLinear(child.weight, child.bias))


def _merge(attention: MultiHeadAttention) -> None:
    parts = (attention.query, attention.key, attention.value)
    weight = torch.cat([part.weight.detach() for part in parts])
    biases = [part.bias.detach() for part in parts if part.bias is not None]
    attention.merged = QuantisedLinear(weight, torch.cat(biases) if biases else None)
    del attention.query, attention.key, attention.value


class QuantisedLinear(nn.Module):
    """x W^T + b with W rounded. weight `[N, K]`, bias `[N]`.

    packed: the rounded weights in an order of the library's own. unpacked: the same `[N, K]`, if `unpack` was called.
    """

    packed: Tensor
    unpacked: Tensor | None
    scale: Tensor
    zero: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        exact = weight.detach().float()
        scale = exact.abs().amax(1) / _STEPS
        rounded = (exact / scale[:, None]).round().to(torch.int8)
        self.register_buffer("packed", torch.ops.onednn.qlinear_prepack(rounded, None), persistent=False)
        self.register_buffer("unpacked", None, persistent=False)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("zero", torch.zeros(len(scale), dtype=torch.long), persistent=False)
        self.register_buffer("bias", None if bias is None else bias.detach().float(), persistent=False)

    def unpack(self) -> None:
        """Keeps the rounded weights a second time, for code that is compiled for a single vector."""
        self.unpacked = self.packed.to_dense().t().contiguous()

    def forward(self, x: Tensor) -> Tensor:
        vectors = x.flatten(0, -2)
        largest = vectors.abs().amax(1, keepdim=True)
        if self.unpacked is not None and len(vectors) == 1 and torch.compiler.is_compiling():
            return self._of_one(vectors, largest, self.unpacked).view(*x.shape[:-1], len(self.scale))
        # A vector of zeros becomes 0 x infinity, which is any byte: its step of zero makes zeros of its products.
        # Turning the highest bit adds 128: the operator wants unsigned bytes, to which PyTorch converts more slowly.
        rounded = (vectors * (_STEPS / largest)).round_().to(torch.int8).view(torch.uint8).bitwise_xor_(128)
        product: Tensor = torch.ops.onednn.qlinear_pointwise.default(  # named, since to look for it takes as long
            rounded, 1.0, 128, self.packed, self.scale, self.zero, None, 1.0, 0, torch.float32, "none", [], ""
        )
        step = largest.div_(_STEPS)
        result = product.mul_(step) if self.bias is None else torch.addcmul(self.bias, product, step, out=product)
        return result.view(*x.shape[:-1], len(self.scale))

    def _of_one(self, vector: Tensor, largest: Tensor, weights: Tensor) -> Tensor:
        """The same for a single vector `[1, K]`, written so that compiled code reads the weights once, at the speed of
        the memory. Sums of up to 1,040 products are exact, and of more as long as they stay below 2^24.
        """
        rounded = (vector * (_STEPS / largest.clamp_min(1e-30))).round()  # zeros stay zeros
        rounded = rounded.as_strided(rounded.shape, rounded.stride())  # else the compiler rounds anew for every row
        product = (weights.float() * rounded).sum(1) * self.scale * (largest / _STEPS)
        return product if self.bias is None else product + self.bias


class QuantisedHead(nn.Module):
    """A vocabulary head whose scores come from a rounded matrix."""

    def __init__(self, head: VocabularyHead) -> None:
        super().__init__()
        self.product = QuantisedLinear(head.weight, None)

    def forward(self, hidden: Tensor) -> Tensor:
        scores: Tensor = self.product(hidden)
        return scores

    def cross_entropy(self, hidden: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        """As a vocabulary head's, without gradients."""
        parts = [
            torch.stack(loss_of_scores(self.product(rows), target, smoothing))
            for rows, target in zip(hidden.split(_ROWS), targets.split(_ROWS), strict=True)
        ]
        smoothed, plain = torch.stack(parts).sum(0)
        return smoothed, plain
