"""Depth and influence: how many blocks stand between two positions, and how much of one reaches the other.

Both are measured on the model itself, whatever its architecture. The number of blocks is found by walking its autograd
graph, which is cut at every block's output: the gradient of each piece shows which outputs of which blocks, at which
positions, it was made from, and the shortest way through the pieces is counted in blocks. A model names its blocks'
outputs in `block_outputs`; what one block shows at one step (an LSTM's hidden vector and its cell) counts once. Of a
memory network a hop is a block, and it reads facts beside the question's tokens; a picture is read by patches, by rows
or number by number.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from keifu.errors import ConfigError
from keifu.interface import TokenBatch
from keifu.tasks.reading import hidden_of
from keifu.trace import Recorded, Recorder

_EMBEDDING = "embedding"
_ENTRIES = (f"*{_EMBEDDING}.token",)  # where tokens enter, of models that do not say it in `entries`
_POSITIONS = "TPMZ"  # letters of axes that run over what is read: tokens, patches, facts, numbers
_MOST_ENTRIES = 4096  # whose paths are followed
_ROWS = 32  # outputs whose gradients are computed side by side

Place = tuple[str, int]  # a block, or an embedding, and a position


@dataclass
class _Cut:
    """A recorded value where the graph was cut: what came in, the leaf that goes on, and the places it stands for.

    enters: whether it is what the model reads, and no block's output.
    """

    enters: bool
    value: Tensor
    leaf: Tensor
    places: list[Place]
    axis: int | None
    """Of the positions; None where the value is one step's."""


@dataclass(frozen=True)
class PathLengths:
    """The fewest blocks on the way from each token that is read, infinite where there is no way.

    outputs: for every embedding, to the model's outputs `[T, S]`. blocks: to each block's own `[T, S]`, by its path.
    tokens: those that go through each embedding, to read, where they are known.
    """

    outputs: Mapping[str, Tensor]
    blocks: Mapping[str, Mapping[str, Tensor]]
    tokens: Mapping[str, Sequence[str]] = field(default_factory=dict)


def path_lengths(network: nn.Module, inputs: Any) -> PathLengths:
    """From every token to every block and every output, of a batch with one row. Raises ConfigError for very many."""
    network = deepcopy(network).double().eval()
    inputs = type(inputs)(*(_in_double(part) for part in inputs))
    cuts, hidden = _cut_at_blocks(network, inputs)
    entries = list(dict.fromkeys(place for cut in cuts if cut.enters for place in cut.places))
    if len(entries) > _MOST_ENTRIES:
        raise ConfigError(f"paths from {len(entries):,} places; at most {_MOST_ENTRIES:,} are followed: read less")
    start = torch.eye(len(entries)).log().neg()  # 0 from itself, infinite from the others
    known: dict[Place, Tensor] = dict(zip(entries, start, strict=True))
    for number, cut in enumerate(cuts):
        for position, place in enumerate(cut.places):
            if not cut.enters:
                found = _shortest(_at(cut.value, cut.axis, position), cuts[:number], known, place)
                known[place] = torch.minimum(known.get(place, found), found)
    ends = {("", t): _shortest(hidden[:, t], cuts, known, None) for t in range(hidden.shape[1])}
    blocks = dict.fromkeys(name for name, _ in known if name not in dict(entries))
    return PathLengths(_by_embedding("", ends, entries), {name: _by_embedding(name, known, entries) for name in blocks})


def _in_double(part: Any) -> Any:
    return part.double() if isinstance(part, Tensor) and part.is_floating_point() else part


def _hidden(network: Any, inputs: Any) -> Tensor:
    """The outputs of a model, or of the encoder that is left of one with two sides, `[B, T, D]`."""
    hidden: Tensor = hidden_of(network, inputs) if isinstance(inputs, TokenBatch) else network(inputs).hidden
    return hidden


def _cut_at_blocks(network: Any, inputs: Any) -> tuple[list[_Cut], Tensor]:
    """What the network computes, with the graph cut where tokens enter and at every block's output."""
    entries = getattr(network, "entries", _ENTRIES)
    with torch.no_grad(), Recorder(network, (*entries, *network.block_outputs)) as recorder:
        _hidden(network, inputs)
    cuts: list[_Cut] = []
    edits = {}
    for name, recorded in recorder.values().items():
        enters = any(fnmatchcase(name, pattern) for pattern in entries)
        edits[name] = partial(_cut, cuts, network, name, enters, *_positions(recorded, enters))
    with torch.enable_grad(), Recorder(network, (), edits):
        hidden = _hidden(network, inputs)
    return cuts, hidden


def _positions(recorded: Recorded, enters: bool) -> tuple[list[int], int | None]:
    """The positions that a value stands for, in the order in which they come, and their axis in each that is recorded;
    None where each is one step's.

    What is read several times (facts, by each hop) stands for the same positions every time.
    """
    sizes = dict(zip(recorded.letters, recorded.value.shape, strict=True))
    stacked = recorded.letters[0] != "B"
    letters = recorded.letters[stacked:]
    along = next((letter for letter in _POSITIONS if letter in letters), None)
    takes = sizes[recorded.letters[0]] if stacked else 1
    if along is None:
        return list(range(takes)), None
    positions = list(range(sizes[along])) * takes if enters else list(range(takes * sizes[along]))
    return positions, letters.index(along)


def _cut(
    cuts: list[_Cut], network: Any, name: str, enters: bool, positions: list[int], axis: int | None, value: Tensor
) -> Tensor:
    """Ends the graph at a value and begins it anew behind. positions: those that are still to come under its name."""
    at = name.rpartition(".")[0]
    from_the_end = getattr(network.get_submodule(at), "backward", False)
    size = 1 if axis is None else value.shape[axis]
    places = [(at or name, positions.pop(-1 if from_the_end else 0)) for _ in range(size)]
    cuts.append(_Cut(enters, value, value.detach().requires_grad_(), places, axis))
    return cuts[-1].leaf


def _at(value: Tensor, axis: int | None, position: int) -> Tensor:
    return value if axis is None else value.select(axis, position)


def _shortest(value: Tensor, before: list[_Cut], known: Mapping[Place, Tensor], place: Place | None) -> Tensor:
    """The fewest blocks from each token to a value, one more than to the nearest block that it was made from.

    place: the value's own block and position, None of what follows all blocks, where none is added.
    """
    size = len(next(iter(known.values())))
    best = torch.full((size,), torch.inf)
    if not before or not value.requires_grad:
        return best
    generator = torch.Generator().manual_seed(0)
    along = torch.randn(value.shape, generator=generator, dtype=value.dtype).to(value.device)
    leaves = [cut.leaf for cut in before]
    grads = torch.autograd.grad(value, leaves, along, retain_graph=True, allow_unused=True)
    for cut, grad in zip(before, cast(Sequence[Tensor | None], grads), strict=True):
        if grad is None:
            continue
        for position, origin in enumerate(cut.places):
            if bool(_at(grad, cut.axis, position).any()):
                best = torch.minimum(best, known[origin] + float(place is not None and origin != place))
    return best


def _by_embedding(name: str, known: Mapping[Place, Tensor], entries: list[Place]) -> dict[str, Tensor]:
    """The lengths to a block's positions `[T, S]`, apart for each embedding."""
    positions = sorted(position for block, position in known if block == name)
    lengths = torch.stack([known[name, position] for position in positions])
    columns: dict[str, list[int]] = {}
    for column, (embedding, _) in enumerate(entries):
        columns.setdefault(embedding, []).append(column)
    return {embedding: lengths[:, chosen] for embedding, chosen in columns.items()}


def influence(network: nn.Module, inputs: Any, seed: int = 0) -> dict[str, Tensor]:
    """How much each token vector changes each output of a batch with one row: for every embedding `[T, S]`.

    The Frobenius norm of the derivative of output t by token vector s, estimated with one direction of random
    signs: the mean of its square over many positions, or seeds, is that of the norm's.
    """
    network.eval()
    with torch.no_grad():
        count = _hidden(network, inputs).shape[1]
    generator = torch.Generator().manual_seed(seed)
    groups = [range(first, min(first + _ROWS, count)) for first in range(0, count, _ROWS)]
    rows = [_influence(network, inputs, outputs, generator) for outputs in groups]
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


def _influence(network: nn.Module, inputs: Any, outputs: range, generator: torch.Generator) -> dict[str, Tensor]:
    """For some outputs: a row of the batch for each, so that one backward pass serves all."""
    repeated = type(inputs)(*(part if part is None else part.repeat(len(outputs), 1) for part in inputs))
    leaves: dict[str, Tensor] = {}

    def leaf_of(name: str, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        leaves[name] = output.detach().requires_grad_()
        return leaves[name]

    embeddings = [(name, module) for name, module in network.named_modules() if name.endswith(_EMBEDDING)]
    hooks = [module.register_forward_hook(partial(leaf_of, name)) for name, module in embeddings]
    try:
        with torch.enable_grad():
            hidden = _hidden(network, repeated)
    finally:
        for hook in hooks:
            hook.remove()
    asked = hidden[torch.arange(len(outputs)), list(outputs)]
    signs = torch.randint(0, 2, asked.shape, generator=generator).to(asked) * 2 - 1
    grads = torch.autograd.grad(asked, list(leaves.values()), signs)
    return {name: grad.norm(dim=-1) for name, grad in zip(leaves, grads, strict=True)}


def influence_by_distance(network: nn.Module, batches: Iterable[Any], longest: int = 100) -> Tensor:
    """The root mean square of the influences `[longest + 1]` at each distance from 0, over batches with one row each;
    not a number where none has it. Sides are counted in the order in which they are read, as if they were one text.
    """
    squares, counts = torch.zeros(longest + 1), torch.zeros(longest + 1)
    for seed, inputs in enumerate(batches):
        norms = influence(network, inputs, seed)
        behind = sum(norm.shape[1] for norm in norms.values())
        for norm in norms.values():
            outputs, read = norm.shape
            first = behind - outputs  # the place of the first output, counted from this side's first token
            behind -= read
            distance = torch.arange(first, first + outputs)[:, None] - torch.arange(read)[None, :]
            near = (distance >= 0) & (distance <= longest)
            squares.index_add_(0, distance[near], norm.cpu().float()[near] ** 2)
            counts.index_add_(0, distance[near], torch.ones(int(near.sum())))
    return (squares / counts).sqrt()
