"""Which device, and which number format a model computes in.

The rule for `precision: auto`, from benchmarks/training.py: on a GPU bfloat16 where it has it. On a CPU bfloat16
where the processor multiplies bfloat16 matrices in hardware (AMX or AVX512-BF16) and the model is at least 128 wide;
float32 otherwise. Weights and the optimiser's state are always float32: bfloat16 is what the products are computed in
(torch.autocast).
"""

from contextlib import AbstractContextManager

import torch

from keifu.errors import ConfigError
from keifu.layers.processor import has_any

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
NAMES = {dtype: name for name, dtype in DTYPES.items()}

_NARROWEST = 128
_DEVICES = ("cpu", "cuda", "mps")


def choose_device(name: str) -> torch.device:
    """The device for "auto", "cpu", "cuda", "cuda:1" or "mps". Raises ConfigError where this machine has none such."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.partition(":")[0] not in _DEVICES:
        raise ConfigError(f"device {name!r} is not known; expected auto, {', '.join(_DEVICES)}, or one such as cuda:1")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        remedy = "try --device auto or cpu; of a run, training.device in its config.yaml"
        raise ConfigError(f"device {name!r} cannot be used here: {reason}; {remedy}") from None
    return device


def choose_precision(name: str, device: torch.device, width: int) -> torch.dtype:
    """The format for "auto", "fp32" or "bf16", for a model `width` wide."""
    if name != "auto":
        return DTYPES[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return torch.bfloat16 if device.type == "cpu" and multiplies_bf16() and width >= _NARROWEST else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[None]:
    """Computes products in `dtype` inside the block."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


def multiplies_bf16() -> bool:
    """Whether this processor multiplies bfloat16 matrices in hardware. Unknown counts as no."""
    return has_any("amx_bf16", "avx512_bf16")
