"""Blocks of a decoder, compiled for a text that is written alone, token by token.

On a CPU its hundreds of small operators take as long as reading the weights of a block from memory does; compiled by
PyTorch they are a few loops. All blocks of a network are of one size and share the code.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from keifu.layers.quantised import QuantisedLinear
from keifu.trace import recording


def block_runner(network: Any, x: Tensor) -> Callable[..., Any]:
    """What runs a block of the network on x `[B, T, D]`, called with the block and its arguments: the compiled code
    where there is some, and x is a single vector at which nobody looks.
    """
    alone = network.compiled is not None and x.shape[0] * x.shape[1] == 1 and not recording()
    return network.compiled if alone else nn.Module.__call__


@torch.no_grad()
def compile_blocks(network: Any) -> None:
    """Compiles the blocks of a network in eight-bit integers, by letting it read a token. Raises what torch.compile
    raises.
    """
    for module in network.modules():
        if isinstance(module, QuantisedLinear):
            module.keep_rows()
    code: Callable[..., Any] = torch.compile(type(network.blocks[0]).forward)

    def of_any_length(block: nn.Module, *arguments: Any) -> Any:
        for kept in arguments[-1]:  # the layer's keys and values
            torch._dynamo.mark_dynamic(kept, 2)
        return code(block, *arguments)

    network.compiled = of_any_length
    token = torch.zeros(1, 1, dtype=torch.long)
    _, state = network.step(token.expand(1, 2), network.start(1))
    network.step(token, state)
    network.compiled = code
