"""Products with weight matrices."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
_BFLOAT16 = _ONEDNN and torch.ops.mkldnn._is_mkldnn_bf16_supported()  # some older processors lack what it needs
_FORMATS = (torch.float32, torch.bfloat16) if _BFLOAT16 else (torch.float32,)


def affine(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b: `[..., K]` with weight `[N, K]` and bias `[N]` to `[..., N]`.

    On a CPU, where no gradient is asked for, by oneDNN itself: in float32 PyTorch's default, MKL, leaves half of what
    some processors can do (benchmarks/translation.py, row "keifu, fp32"), and in bfloat16 its way there takes a tenth.
    """
    # The operator, which torch.compile's code for CPUs is made of, knows neither gradients nor autocast.
    alone = not torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")
    if alone and x.dtype == weight.dtype and x.dtype in _FORMATS and x.device.type == "cpu":
        if torch.compiler.is_compiling() and x.numel() == x.shape[-1]:
            return _of_one(x, weight, bias)
        if _ONEDNN:
            product: Tensor = torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, "none", [], "")
            return product
    return F.linear(x, weight, bias)


def _of_one(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The same for a single vector, written so that compiled code reads the weights once, at the speed of the memory.
    In bfloat16 the libraries take twice as long.
    """
    product = (weight.float() * x.flatten().float()).sum(1)
    product = product if bias is None else product + bias.float()
    return product.to(x.dtype).view(*x.shape[:-1], len(weight))


class Linear(nn.Linear):
    """`nn.Linear` by `affine`."""

    def forward(self, x: Tensor) -> Tensor:
        return affine(x, self.weight, self.bias)
