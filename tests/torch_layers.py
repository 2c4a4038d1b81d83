"""torch.nn's recurrent layers with the weights of ours."""

import torch
from torch import Tensor, nn

from keifu.layers.recurrence import Recurrent

PEERS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def as_torch(ours: Recurrent, cell: str, bidirectional: bool = False) -> nn.RNNBase:
    """torch's layers, in the same number format. torch has a second bias, which only the GRU's candidate needs."""
    first = ours.layers[0][0]
    width = first.recurrent.shape[1]
    theirs = PEERS[cell](
        first.input.in_features, width, len(ours.layers), bidirectional=bidirectional, batch_first=True
    ).to(first.recurrent.dtype)
    with torch.no_grad():
        for number, layer in enumerate(ours.layers):
            for block, way in zip(layer, ("", "_reverse"), strict=False):
                second = torch.zeros_like(block.input.bias)
                if cell == "gru":
                    second[2 * width :] = block.candidate_bias
                values = (block.input.weight, block.recurrent, block.input.bias, second)
                for name, value in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), values, strict=True):
                    getattr(theirs, f"{name}_l{number}{way}").copy_(value)
    return theirs


def recurrent_pairs(ours: Recurrent, theirs: nn.RNNBase) -> list[tuple[Tensor, Tensor]]:
    """Every weight and bias of ours beside torch's, the GRU's second bias apart (`candidate_gradients`)."""
    return [
        (weight, getattr(theirs, f"{name}_l{number}{way}"))
        for number, layer in enumerate(ours.layers)
        for block, way in zip(layer, ("", "_reverse"), strict=False)
        for name, weight in (
            ("weight_ih", block.input.weight),
            ("weight_hh", block.recurrent),
            ("bias_ih", block.input.bias),
        )
    ]


def candidate_gradients(ours: Recurrent, theirs: nn.RNNBase) -> list[tuple[Tensor, Tensor]]:
    """The gradients of the GRU's second bias beside torch's; of other blocks none."""
    return [
        (block.candidate_bias.grad, getattr(theirs, f"bias_hh_l{number}{way}").grad[2 * len(block.candidate_bias) :])
        for number, layer in enumerate(ours.layers)
        for block, way in zip(layer, ("", "_reverse"), strict=False)
        if hasattr(block, "candidate_bias")
    ]
