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
    if _ONEDNN and alone and x.dtype == weight.dtype and x.dtype in _FORMATS and x.device.type == "cpu":
        product: Tensor = torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, "none", [], "")
        return product
    return F.linear(x, weight, bias)


class Linear(nn.Linear):
    """`nn.Linear` by `affine`."""

    def forward(self, x: Tensor) -> Tensor:
        return affine(x, self.weight, self.bias)
