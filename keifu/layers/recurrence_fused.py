"""The recurrent blocks of layers/recurrence.py along a whole sequence: PyTorch's own, or ours with derivatives by hand.

Ours are given the products with the inputs, made before for all steps at once. A step costs one product with the state
and a few passes over its values; on the way back the factors that do not depend on the gradient are made for all steps
at once, and so is the gradient of the weights. Products are computed in the number format of the inputs' products, all
else in float32 at least.

Shapes: projected `[T, B, G N]`, recurrent `[G N, N]`, hidden and cell `[B, N]`; results `[T, B, N]`. Gates stand in
the order input, forget, candidate, output (LSTM) and reset, update, candidate (GRU).
"""

import warnings
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Kind = Literal["tanh", "relu", "gru", "lstm"]
"""A block: Elman's by its nonlinearity, and the two others."""


def fused_elman(projected: Tensor, recurrent: Tensor, hidden: Tensor, nonlinearity: Kind) -> Tensor:
    """Hidden vectors after every step."""
    outputs: Tensor = _Elman.apply(projected, recurrent, hidden, nonlinearity)  # type: ignore[no-untyped-call]
    return outputs


def fused_lstm(projected: Tensor, recurrent: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden vectors and cells after every step."""
    hiddens, cells = _LSTM.apply(projected, recurrent, hidden, cell)  # type: ignore[no-untyped-call]
    return hiddens, cells


def fused_gru(projected: Tensor, recurrent: Tensor, bias: Tensor, hidden: Tensor) -> Tensor:
    """Hidden vectors after every step. bias `[N]`: of the candidate's product with the state."""
    outputs: Tensor = _GRU.apply(projected, recurrent, bias, hidden)  # type: ignore[no-untyped-call]
    return outputs


def library(
    kind: Kind, x: Tensor, weight: Tensor, recurrent: Tensor, biases: tuple[Tensor, Tensor], state: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """PyTorch's own layer: hidden vectors after every step of x `[T, B, D]`, and the last state alone.

    weight `[G N, D]`; biases `[G N]` of the products with the input and with the state. All of it, the cells too, is
    kept in the products' format.
    """
    device = x.device.type
    format = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    weights = [each.to(format) for each in (weight, recurrent, *biases)]
    first = [part[None].to(format).contiguous() for part in state]
    kernels: dict[Kind, Any] = {
        "tanh": torch.rnn_tanh,
        "relu": torch.rnn_relu,
        "gru": torch.gru,
        "lstm": torch.lstm,
    }
    with _no_autocast(x), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk of memory")
        outputs, *last = kernels[kind](
            x.to(format), first if kind == "lstm" else first[0], weights, True, 1, 0.0, True, False, False
        )
    return outputs, tuple(part[0].to(old.dtype) for part, old in zip(last, state, strict=True))


class _Elman(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, projected: Tensor, recurrent: Tensor, hidden: Tensor, nonlinearity: Kind) -> Tensor:
        with _no_autocast(projected):
            hiddens, weight = _room_for(projected, hidden), recurrent.to(projected.dtype)
            hiddens[1:] = projected
            apply = torch.tanh_ if nonlinearity == "tanh" else torch.relu_
            for before, after in pairwise(hiddens):
                apply(after.add_(before.to(weight.dtype) @ weight.T))
        ctx.save_for_backward(hiddens, weight)
        ctx.nonlinearity = nonlinearity
        _remember_formats(ctx, projected, recurrent, hidden)
        return hiddens[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hiddens, weight = ctx.saved_tensors
        after = hiddens[1:]
        slopes = 1 - after.square() if ctx.nonlinearity == "tanh" else (after > 0).to(after.dtype)
        changes = torch.empty_like(after, dtype=weight.dtype)
        back = torch.zeros_like(hiddens[0])
        for t in reversed(range(len(after))):
            changes[t] = (gradients[0][t] + back).mul_(slopes[t])
            back = changes[t] @ weight
        return *_formatted(ctx, changes, _outer(changes, hiddens[:-1]), back), None


class _LSTM(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, projected: Tensor, recurrent: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        width = hidden.shape[1]
        with _no_autocast(projected):
            hiddens, cells = _room_for(projected, hidden), _room_for(projected, cell)
            gates = projected.to(hiddens.dtype, copy=True)
            weight = recurrent.to(projected.dtype)
            for t, gate in enumerate(gates):
                gate += hiddens[t].to(weight.dtype) @ weight.T
                gate[:, : 2 * width].sigmoid_()
                gate[:, 2 * width : 3 * width].tanh_()
                gate[:, 3 * width :].sigmoid_()
                i, f, g, o = gate.chunk(4, dim=1)
                torch.mul(f, cells[t], out=cells[t + 1]).addcmul_(i, g)
                torch.mul(o, cells[t + 1].tanh(), out=hiddens[t + 1])
        ctx.save_for_backward(gates, hiddens, cells, weight)
        _remember_formats(ctx, projected, recurrent, hidden, cell)
        return hiddens[1:], cells[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gates, hiddens, cells, weight = ctx.saved_tensors
        i, f, g, o = gates.chunk(4, dim=2)
        shown = cells[1:].tanh()
        to_cell = o * (1 - shown.square())
        # By how much each gate's sum, before its nonlinearity, changes the cell (i, f, g) or the hidden vector (o).
        factors = torch.stack([g * i * (1 - i), cells[:-1] * f * (1 - f), i * (1 - g.square()), shown * o * (1 - o)], 2)
        changes = torch.empty_like(gates, dtype=weight.dtype)
        of_gates = changes.unflatten(2, (4, -1))
        back, cell_back = torch.zeros_like(hiddens[0]), torch.zeros_like(cells[0])
        for t in reversed(range(len(gates))):
            of_hidden = gradients[0][t] + back
            of_cell = cell_back.add_(gradients[1][t]).addcmul_(of_hidden, to_cell[t])
            of_gates[t, :, :3] = factors[t, :, :3] * of_cell[:, None]
            of_gates[t, :, 3] = factors[t, :, 3] * of_hidden
            cell_back = of_cell * f[t]
            back = changes[t] @ weight
        return _formatted(ctx, changes, _outer(changes, hiddens[:-1]), back, cell_back)


class _GRU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, projected: Tensor, recurrent: Tensor, bias: Tensor, hidden: Tensor) -> Tensor:
        width = hidden.shape[1]
        with _no_autocast(projected):
            hiddens = _room_for(projected, hidden)
            gates = projected.to(hiddens.dtype, copy=True)
            weight, shift = recurrent.to(projected.dtype), bias.to(hiddens.dtype)
            seen = torch.empty_like(hiddens[1:])  # what the reset gate lets the candidate see of
            for t, gate in enumerate(gates):
                product = hiddens[t].to(weight.dtype) @ weight.T
                r, z = gate[:, : 2 * width].add_(product[:, : 2 * width]).sigmoid_().chunk(2, dim=1)
                torch.add(product[:, 2 * width :], shift, out=seen[t])
                n = gate[:, 2 * width :].addcmul_(r, seen[t]).tanh_()
                torch.lerp(n, hiddens[t], z, out=hiddens[t + 1])
        ctx.save_for_backward(gates, hiddens, seen, weight)
        _remember_formats(ctx, projected, recurrent, bias, hidden)
        return hiddens[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gates, hiddens, seen, weight = ctx.saved_tensors
        r, z, n = gates.chunk(3, dim=2)
        to_candidate = (1 - z) * (1 - n.square())
        # By how much the hidden vector changes with each gate's sum, and with what the reset gate acts on.
        factors = torch.stack(
            [to_candidate * seen * r * (1 - r), (hiddens[:-1] - n) * z * (1 - z), to_candidate * r], dim=2
        )
        changes = torch.empty_like(gates, dtype=weight.dtype)
        of_gates = changes.unflatten(2, (3, -1))
        of_hiddens = torch.empty_like(seen)
        back = torch.zeros_like(hiddens[0])
        for t in reversed(range(len(gates))):
            of_hidden = torch.add(gradients[0][t], back, out=of_hiddens[t])
            of_gates[t] = factors[t] * of_hidden[:, None]
            back = torch.addcmul(changes[t] @ weight, of_hidden, z[t])
        of_recurrent, of_bias = _outer(changes, hiddens[:-1]), of_gates[:, :, 2].sum((0, 1))
        of_gates[:, :, 2] = of_hiddens * to_candidate
        return _formatted(ctx, changes, of_recurrent, of_bias, back)


def _no_autocast(like: Tensor) -> torch.autocast:
    """Inside, formats are chosen by hand; autocast would convert the weights anew at every step."""
    return torch.autocast(like.device.type, enabled=False)


def _room_for(projected: Tensor, first: Tensor) -> Tensor:
    """`[T + 1, B, N]` in float32 at least, the first of them filled."""
    exact = torch.float64 if projected.dtype == torch.float64 else torch.float32
    room = torch.empty(len(projected) + 1, *first.shape, dtype=exact, device=first.device)
    room[0] = first
    return room


def _outer(changes: Tensor, hiddens: Tensor) -> Tensor:
    """The gradient of the weights, summed over all steps and rows."""
    return changes.flatten(0, 1).T @ hiddens.flatten(0, 1).to(changes.dtype)


def _remember_formats(ctx: Any, *inputs: Tensor) -> None:
    ctx.formats = [each.dtype for each in inputs]


def _formatted(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
    return tuple(gradient.to(dtype) for gradient, dtype in zip(gradients, ctx.formats, strict=True))
