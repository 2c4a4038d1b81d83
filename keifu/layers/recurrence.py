"""Recurrent layers: one block is applied along a sequence, and hands its state on from step to step.

Three blocks: Elman 1990, "Finding Structure in Time"; LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of
Gers et al. 2000); GRU (Cho et al. 2014, arXiv:1406.1078, equations 5 to 8). Each exists twice over one set of weights.
Written out, a line is an equation, and every gate is recorded and can be edited; this form runs while someone records.
Otherwise one of the forms of layers/recurrence_fused.py runs, which compute the same faster: PyTorch's own layer where
all rows are of one length and it is faster (on a GPU, and the LSTM on a CPU), else a loop with derivatives by hand.

Departure from Cho et al.: the GRU's reset gate acts on the product with the state, not on the state before the
product, as in every fused implementation, and its bias stands inside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from keifu.layers.dropout import Dropout
from keifu.layers.linear import Linear, affine
from keifu.layers.recurrence_fused import Kind, fused_elman, fused_gru, fused_lstm, library
from keifu.trace import record, recording

Direction = Literal["forward", "bidirectional", "alternating"]
_LONG_ENOUGH = 4  # steps that pay for what PyTorch's own layer prepares
Parts = tuple[Tensor, ...]
"""A block's state: its hidden vectors, and for an LSTM the content of its cell too."""


@dataclass(frozen=True)
class RecurrentState:
    """The state of every layer, each part `[B, R, N]`."""

    layers: tuple[Parts, ...]

    def select(self, rows: Tensor) -> "RecurrentState":
        """The state of the rows named by index: kept, repeated, reordered or dropped."""
        return RecurrentState(tuple(tuple(part[rows] for part in parts) for parts in self.layers))

    def detach(self) -> "RecurrentState":
        """The same values; no gradient goes back beyond them."""
        return RecurrentState(tuple(tuple(part.detach() for part in parts) for parts in self.layers))

    def tensors(self) -> dict[str, Tensor]:
        """Every part by its layer and its place there: "0.0", and "0.1" for the cell of an LSTM."""
        return {f"{n}.{k}": part for n, parts in enumerate(self.layers) for k, part in enumerate(parts)}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "RecurrentState":
        """The state whose `tensors` these are."""
        places = sorted(tuple(map(int, name.split("."))) for name in tensors)
        return cls(
            tuple(
                tuple(tensors[f"{n}.{k}"] for n, k in layer) for _, layer in groupby(places, key=lambda place: place[0])
            )
        )


def refuse_nonlinearity(name: str, nonlinearity: str) -> None:
    """Raises ValueError where a model whose name begins with its cell has no such choice."""
    if nonlinearity != "tanh" and not name.startswith("rnn"):
        raise ValueError(f"nonlinearity {nonlinearity} goes with an rnn alone; leave it away")


class Recurrent(nn.Module):
    """Layers on top of each other. cell: "rnn", "gru" or "lstm".

    direction: all layers read "forward"; "bidirectional" ones read both ways and put the two results side by side;
    "alternating" ones read forward and backward in turn. dropout: between layers. learned_start: the first state is
    trained instead of zero. nonlinearity of "rnn": "tanh" or "relu".

    backward_parts: of the R parts of an output, whether each was read backward, so that its last state stands at the
    first token.
    """

    def __init__(
        self,
        cell: str,
        d_input: int,
        d_hidden: int,
        n_layers: int,
        direction: Direction = "forward",
        dropout: float = 0.0,
        learned_start: bool = False,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
    ) -> None:
        super().__init__()
        block = partial(Elman, nonlinearity=nonlinearity) if cell == "rnn" else CELLS[cell]
        directions = 2 if direction == "bidirectional" else 1
        self.d_output = directions * d_hidden
        self.layers = nn.ModuleList()
        for layer in range(n_layers):
            width = d_input if layer == 0 else self.d_output
            ways = (False, True) if directions == 2 else (direction == "alternating" and layer % 2 == 1,)
            self.layers.append(nn.ModuleList(block(width, d_hidden, backward) for backward in ways))
        self.backward_parts = ways
        self.dropout = Dropout(dropout)
        shape = (n_layers, CELLS[cell].parts, directions, d_hidden)
        self.start = nn.Parameter(torch.zeros(shape)) if learned_start else None
        self._shape = shape

    def forward(
        self, x: Tensor, mask: Tensor | None = None, state: RecurrentState | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """Outputs `[B, T, R N]` of x `[B, T, D]`, and the state after the last real token of each row.

        mask: `[B, T]`, True at real tokens, padding on the right; None: all are. state: what the rows go on from.
        """
        lengths = None if mask is None or bool(mask.all()) else mask.sum(1)
        state = state or self.first(len(x))
        x = x.transpose(0, 1)
        after = []
        for number, (layer, parts) in enumerate(zip(self.layers, state.layers, strict=True)):
            if number:
                x = self.dropout(x)
            blocks = list(layer)  # type: ignore[call-overload]
            found = [block(x, lengths, tuple(part[:, way] for part in parts)) for way, block in enumerate(blocks)]
            x = found[0][0] if len(found) == 1 else torch.cat([outputs for outputs, _ in found], dim=-1)
            after.append(tuple(torch.stack(part, dim=1) for part in zip(*(last for _, last in found), strict=True)))
        return x.transpose(0, 1), RecurrentState(tuple(after))

    def first(self, rows: int) -> RecurrentState:
        """The state before the first token: zeros, or what was learned."""
        weight = self.layers[0][0].recurrent  # type: ignore[index]
        start = torch.zeros(self._shape, dtype=weight.dtype, device=weight.device) if self.start is None else self.start
        return RecurrentState(tuple(tuple(part.expand(rows, -1, -1) for part in layer) for layer in start))


class _Block(nn.Module):
    """What the three blocks share: their weights, and how they are applied along a sequence.

    `input` `[G N, D]` with its bias and `recurrent` `[G N, N]` hold the gates one below the other.
    """

    gates: ClassVar[int]
    parts: ClassVar[int] = 1
    kind: Kind
    library_is_faster_on_cpu: ClassVar[bool] = False

    def __init__(self, d_input: int, d_hidden: int, backward: bool) -> None:
        super().__init__()
        self.backward = backward
        self.input = Linear(d_input, self.gates * d_hidden)
        self.recurrent = nn.Parameter(torch.empty(self.gates * d_hidden, d_hidden))
        nn.init.zeros_(self.input.bias)
        for matrix in self.input.weight.chunk(self.gates):
            nn.init.xavier_uniform_(matrix)
        for matrix in self.recurrent.chunk(self.gates):
            nn.init.orthogonal_(matrix)

    def forward(self, x: Tensor, lengths: Tensor | None, state: Parts) -> tuple[Tensor, Parts]:
        """Outputs `[T, B, N]` of x `[T, B, D]`, and the state after the last real token of each row.

        lengths: `[B]`, real tokens of each row; None: all are. What stands at padding means nothing.
        """
        if recording():
            outputs, last = self._written_out(x, lengths, state)
        elif lengths is None:
            outputs, last = self._even(x, state)
        else:
            outputs, last = self._ragged(x, lengths, state)
        return outputs.to(x.dtype), last

    def _written_out(self, x: Tensor, lengths: Tensor | None, state: Parts) -> tuple[Tensor, Parts]:
        projected = self.input(x)
        steps = range(len(x))
        outputs = {}
        for t in reversed(steps) if self.backward else steps:
            new = self.step(projected[t], state)
            if lengths is not None:
                real = (lengths > t)[:, None]
                new = tuple(torch.where(real, part, old) for part, old in zip(new, state, strict=True))
            state = new
            outputs[t] = state[0]
        return torch.stack([outputs[t] for t in steps]), state

    def _even(self, x: Tensor, state: Parts) -> tuple[Tensor, Parts]:
        outputs, last = self.read(x.flip(0) if self.backward else x, state)
        return (outputs.flip(0) if self.backward else outputs), last

    def _ragged(self, x: Tensor, lengths: Tensor, state: Parts) -> tuple[Tensor, Parts]:
        places = torch.arange(x.shape[1], device=x.device)
        if self.backward:  # each row is turned round within its own length
            turned = lengths - 1 - torch.arange(len(x), device=x.device)[:, None]
            turned = torch.where(turned < 0, torch.arange(len(x), device=x.device)[:, None], turned)
            x = x[turned, places]
        taken = self.run(self.input(x), state)
        ends, some = (lengths - 1).clamp(min=0), (lengths > 0)[:, None]
        last = tuple(torch.where(some, part[ends, places], old) for part, old in zip(taken, state, strict=True))
        outputs = taken[0]
        return (outputs[turned, places] if self.backward else outputs), last

    def step(self, projected: Tensor, state: Parts) -> Parts:
        """The next state, from the input's products `[B, G N]` and the present one: the equations."""
        raise NotImplementedError

    def run(self, projected: Tensor, state: Parts) -> Parts:
        """The states after every step `[T, B, N]`, from the products of all inputs `[T, B, G N]`: the fused form."""
        raise NotImplementedError

    def read(self, x: Tensor, state: Parts) -> tuple[Tensor, Parts]:
        """Outputs `[T, B, N]` of x `[T, B, D]`, all of it real, and the state after the last step."""
        fast = self.library_is_faster_on_cpu or x.device.type != "cpu"
        if fast and len(x) >= _LONG_ENOUGH and isinstance(self.input, Linear):  # and not rounded to integers
            biases = (self.input.bias, self.recurrent_bias())
            return library(self.kind, x, self.input.weight, self.recurrent, biases, state)
        taken = self.run(self.input(x), state)
        return taken[0], tuple(part[-1] for part in taken)

    def recurrent_bias(self) -> Tensor:
        """What is added to the products with the state `[G N]`."""
        return torch.zeros_like(self.input.bias)

    def note(self, name: str, value: Tensor) -> Tensor:
        """Records a value of one step."""
        return record(self, name, value, "B N", along="-T" if self.backward else "T")


class Elman(_Block):
    """h' = tanh(W x + U h + b), or with max(0, .) in place of tanh."""

    gates = 1

    def __init__(
        self, d_input: int, d_hidden: int, backward: bool, nonlinearity: Literal["tanh", "relu"] = "tanh"
    ) -> None:
        super().__init__(d_input, d_hidden, backward)
        self.kind = nonlinearity

    def step(self, projected: Tensor, state: Parts) -> Parts:
        (hidden,) = state
        apply = torch.tanh if self.kind == "tanh" else torch.relu
        hidden = self.note("hidden", apply(projected + affine(hidden, self.recurrent)))
        return (hidden,)

    def run(self, projected: Tensor, state: Parts) -> Parts:
        return (fused_elman(projected, self.recurrent, state[0], self.kind),)


class LSTM(_Block):
    """A cell beside the hidden vector, with gates that say what enters it, stays in it and is shown of it.

    The forget gate's bias begins at 1, so that a fresh cell keeps what it holds (Jozefowicz et al. 2015).
    """

    gates = 4
    parts = 2
    kind = "lstm"
    library_is_faster_on_cpu = True  # by a third; the two others are as fast here

    def __init__(self, d_input: int, d_hidden: int, backward: bool) -> None:
        super().__init__(d_input, d_hidden, backward)
        nn.init.ones_(self.input.bias[d_hidden : 2 * d_hidden])

    def step(self, projected: Tensor, state: Parts) -> Parts:
        hidden, cell = state
        i, f, g, o = (projected + affine(hidden, self.recurrent)).chunk(4, dim=-1)
        i = self.note("input_gate", i.sigmoid())
        f = self.note("forget_gate", f.sigmoid())
        g = self.note("candidate", g.tanh())
        o = self.note("output_gate", o.sigmoid())
        cell = self.note("cell", f * cell + i * g)
        hidden = self.note("hidden", o * cell.tanh())
        return hidden, cell

    def run(self, projected: Tensor, state: Parts) -> Parts:
        return fused_lstm(projected, self.recurrent, *state)


class GRU(_Block):
    """Two gates, and no cell: the update gate says how much of the hidden vector stays, the reset gate how much of it
    the candidate sees.
    """

    gates = 3
    kind = "gru"

    def __init__(self, d_input: int, d_hidden: int, backward: bool) -> None:
        super().__init__(d_input, d_hidden, backward)
        self.candidate_bias = nn.Parameter(torch.zeros(d_hidden))

    def step(self, projected: Tensor, state: Parts) -> Parts:
        (hidden,) = state
        from_input = projected.chunk(3, dim=-1)
        from_state = affine(hidden, self.recurrent).chunk(3, dim=-1)
        r = self.note("reset_gate", (from_input[0] + from_state[0]).sigmoid())
        z = self.note("update_gate", (from_input[1] + from_state[1]).sigmoid())
        n = self.note("candidate", (from_input[2] + r * (from_state[2] + self.candidate_bias)).tanh())
        hidden = self.note("hidden", z * hidden + (1 - z) * n)
        return (hidden,)

    def recurrent_bias(self) -> Tensor:
        return torch.cat([torch.zeros_like(self.input.bias[: -len(self.candidate_bias)]), self.candidate_bias])

    def run(self, projected: Tensor, state: Parts) -> Parts:
        return (fused_gru(projected, self.recurrent, self.candidate_bias, *state),)


CELLS: dict[str, type[_Block]] = {"rnn": Elman, "gru": GRU, "lstm": LSTM}
