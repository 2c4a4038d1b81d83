"""Blocks of a decoder and the head above them, compiled for a text that is written alone, token by token.

On a CPU the small operators between a block's products take as long as reading its weights from memory does; compiled
by PyTorch they are a few loops. All blocks of a network are of one size and share the code.

PyTorch would ask some 200 questions about a block before every call, whether its code still holds for it; the network's
own code needs none, since here it is called for what it was made for alone.
"""

from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from keifu.layers.cache import LayerCache
from keifu.layers.quantised import QuantisedLinear
from keifu.trace import recording

_BEFORE = 500
"""Tokens of the text for which code is compiled: after a shorter one its attention would use a single thread."""


def block_runner(network: Any, x: Tensor, mask: Tensor | None, columns: int) -> Callable[..., Any]:
    """What runs a block of the network, called with the block and its arguments: the compiled code where there is some,
    and x `[B, T, D]` is a single vector that may attend to all of several columns.

    Not where someone records, which the code would not notice, nor in training or in modes of PyTorch that it was not
    compiled in.
    """
    alone = network.compiled_block is not None and x.shape[0] * x.shape[1] == 1 and mask is None and columns > 1
    usual = alone and not recording() and not network.training and _usual_mode()
    return network.compiled_block if usual else nn.Module.__call__


def _usual_mode() -> bool:
    without_gradients = not torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    return without_gradients and not torch.is_autocast_enabled("cpu")


def compile_for_one(network: Any, head: nn.Module) -> Callable[[Tensor], Tensor]:
    """Compiles the blocks of a network, and the head, on a CPU, by letting them read a token after another. Weights in
    eight-bit integers are then kept twice. Raises what torch.compile raises, and leaves both as they were.

    Returns the head: from hidden vectors `[B, D]` to scores `[B, V]`, by the compiled code where B is 1.
    """
    layers = [each for part in (network, head) for each in part.modules() if isinstance(each, QuantisedLinear)]
    code, scores = _compiled(type(network.blocks[0]).forward), _compiled(type(head).forward)

    def of_any_length(block: nn.Module, *arguments: Any) -> Any:
        cache: LayerCache = arguments[-1]
        for columns in cache:
            torch._dynamo.mark_dynamic(columns, 2)
        return code(block, *arguments)

    token = torch.zeros(1, 1, dtype=torch.long)
    try:
        with torch.inference_mode(False), torch.no_grad(), torch.autocast("cpu", enabled=False):  # as it is called
            for layer in layers:
                layer.unpack()
            network.compiled_block = of_any_length
            _, state = network.step(token.expand(1, min(_BEFORE, network.longest - 1)), network.start(1))
            hidden, _ = network.step(token, state)
            scores(head, hidden[:, -1])
    except BaseException:
        network.compiled_block = None
        for layer in layers:
            layer.unpacked = None
        raise
    return partial(_scores, head, scores)


def _compiled(forward: Callable[..., Any]) -> Callable[..., Any]:
    # What PyTorch compiles hangs on a function's code, so each model has a copy of it: there are no guards that would
    # tell one model from another. To assert shapes takes a twentieth of a step.
    own = FunctionType(forward.__code__.replace(), forward.__globals__, closure=forward.__closure__)
    own.__kwdefaults__, own.__defaults__ = forward.__kwdefaults__, forward.__defaults__
    options: dict[str, Any] = {"size_asserts": False, "guard_filter_fn": lambda guards: [False] * len(guards)}
    return torch.compile(own, fullgraph=True, dynamic=False, options=options)


def _scores(head: nn.Module, code: Callable[..., Tensor], hidden: Tensor) -> Tensor:
    result: Tensor = code(head, hidden) if len(hidden) == 1 and _usual_mode() else head(hidden)
    return result
