"""One recorder: every value that a textbook names passes through `record`, where it can be looked at or replaced.

A layer writes

    weights = record(self, "weights", weights, "B H T S")

With nobody recording this costs one look at a thread-local variable. Inside `with Recorder(network) as recorder:` the
value is kept under the module's own path ("model.encoder.0.attention.weights") together with its axes, and an edit,
if one is asked for, replaces it before the layer goes on. Nothing is left behind on a module.

The letters of an axis string, the same everywhere: `B` batch, `T` target or query time, `S` source or key time, `D`
model width, `H` heads, `J` heads of shared keys, `A` width of one head, `L` layers, `F` feed-forward width, `V`
vocabulary, `E` experts, `M` memory slots, `I` hops, `C` classes, `G` gates, `N` recurrent width, `R` directions; of
pictures `K` colours, `Y` rows, `X` columns, `P` patches, `Z` numbers of a picture or a patch one after another.
"""

import difflib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from types import TracebackType

import torch
from torch import Tensor, nn

from keifu.errors import ConfigError

Edit = Callable[[Tensor], Tensor]


class _Active(threading.local):
    recorder: "Recorder | None" = None


_active = _Active()


def recording() -> bool:
    """Whether the current thread records. Fused kernels step aside while it does."""
    return _active.recorder is not None


def record(module: nn.Module, name: str, value: Tensor, axes: str, along: str | None = None) -> Tensor:
    """Shows `value` to the current recorder, if there is one, and returns it, edited if an edit was asked for.

    `axes` has one letter for each dimension. A value that is recorded several times under one name (time steps, hops)
    names in `along` the letter of the axis on which the takes are stacked (or joined, where they have it already), "-T"
    where the last one comes first.
    """
    recorder = _active.recorder
    return value if recorder is None else recorder.take(module, name, value, axes, along)


@dataclass(frozen=True)
class Recorded:
    """One recorded value: its path, its axes (a letter a dimension) and the tensor."""

    name: str
    axes: str
    value: Tensor
    sequences: Mapping[str, str] = field(default_factory=dict)
    """Which named sequence of the trace a letter runs over, as {"T": "target", "S": "source"}."""

    @property
    def letters(self) -> list[str]:
        return self.axes.split()


class Recorder:
    """Records what a network computes while the `with` block runs, in this thread only.

    network: the module whose submodules' paths become the names of the values. names: patterns as "*.weights"; only
    matching values are kept. edits: pattern -> function; the value is replaced by the function's result, which must
    have the same shape. An edit whose pattern matched nothing raises ConfigError when the block ends.
    """

    def __init__(
        self, network: nn.Module, names: str | Sequence[str] = ("*",), edits: Mapping[str, Edit] | None = None
    ) -> None:
        self._paths = {id(module): path for path, module in network.named_modules()}
        self._patterns = (names,) if isinstance(names, str) else tuple(names)
        self._edits = dict(edits or {})
        self._unused = set(self._edits)
        self._seen: dict[str, None] = {}
        self._takes: dict[str, tuple[str, str | None, list[Tensor]]] = {}

    def __enter__(self) -> "Recorder":
        assert _active.recorder is None, "a recorder is already running in this thread"
        _active.recorder = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _active.recorder = None
        if kind is None and self._unused:
            pattern = sorted(self._unused)[0]
            close = difflib.get_close_matches(pattern, self._seen, n=3, cutoff=0.5)
            hint = f"; close to it: {', '.join(close)}" if close else ""
            raise ConfigError(f"edit {pattern!r}: the model computes no value of that name{hint}")

    def take(self, module: nn.Module, name: str, value: Tensor, axes: str, along: str | None) -> Tensor:
        """What `record` calls. Not for users."""
        assert id(module) in self._paths, f"{type(module).__name__} is not part of the recorded network"
        assert value.dim() == len(axes.split()), f"{name}: axes {axes!r} for shape {tuple(value.shape)}"
        path = f"{self._paths[id(module)]}.{name}".removeprefix(".")
        self._seen[path] = None
        for pattern, edit in self._edits.items():
            if fnmatchcase(path, pattern):
                edited = edit(value)
                if edited.shape != value.shape:
                    raise ConfigError(
                        f"edit {pattern!r}: gave shape {tuple(edited.shape)}, expected {tuple(value.shape)} ({axes})"
                    )
                value = edited
                self._unused.discard(pattern)
        if any(fnmatchcase(path, pattern) for pattern in self._patterns):
            self._takes.setdefault(path, (axes, along, []))[2].append(value)
        return value

    def values(self) -> dict[str, Recorded]:
        """Everything recorded, by path, in the order in which it was first computed."""
        return {path: _stack(path, *take) for path, take in self._takes.items()}


def _stack(path: str, axes: str, along: str | None, takes: list[Tensor]) -> Recorded:
    if along is None:
        assert len(takes) == 1, f"{path} was recorded {len(takes)} times without an axis to stack it on"
        return Recorded(path, axes, takes[0])
    takes, along = (takes[::-1], along[1:]) if along.startswith("-") else (takes, along)
    if along in axes.split():
        return Recorded(path, axes, torch.cat(takes, axes.split().index(along)))
    return Recorded(path, f"{along} {axes}", torch.stack(takes))


def bound(values: Mapping[str, Recorded], axis_sequences: Mapping[str, Mapping[str, str]]) -> dict[str, Recorded]:
    """The values with the sequences that their letters run over, where they do not say it themselves: those of the
    first pattern that a value's name matches.
    """
    found = {}
    for name, value in values.items():
        named = next((letters for pattern, letters in axis_sequences.items() if fnmatchcase(name, pattern)), {})
        known = {letter: sequence for letter, sequence in named.items() if letter in value.letters}
        found[name] = replace(value, sequences=known | dict(value.sequences))
    return found


class Trace(Mapping[str, Recorded]):
    """What one run of a model computed: recorded values by path, with the tokens that their axes run over.

    trace["decoder.2.cross_attention.weights"].value is a tensor `[B, H, T, S]`; trace.labels(recorded, "T") are the
    tokens along its T axis. `find("*.weights")` lists the values whose path matches.
    """

    def __init__(self, values: Mapping[str, Recorded], sequences: Mapping[str, Sequence[str]]) -> None:
        self._values = dict(values)
        self.sequences = {name: list(tokens) for name, tokens in sequences.items()}

    def __getitem__(self, name: str) -> Recorded:
        if name not in self._values:
            close = difflib.get_close_matches(name, self._values, n=3, cutoff=0.4)
            raise KeyError(f"{name!r} was not recorded" + (f"; close to it: {', '.join(close)}" if close else ""))
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def find(self, pattern: str) -> list[Recorded]:
        return [value for path, value in self._values.items() if fnmatchcase(path, pattern)]

    def labels(self, recorded: Recorded, letter: str) -> list[str] | None:
        """The tokens along the axis `letter` of a recorded value; None where the axis counts no tokens."""
        sequence = recorded.sequences.get(letter)
        return None if sequence is None else self.sequences[sequence]

    def table(self) -> str:
        """One line a value: path, axes, shape, mean and standard deviation."""
        width = max((len(path) for path in self._values), default=0)
        lines = []
        for path, recorded in self._values.items():
            value = recorded.value.float()
            shape = " ".join(f"{letter}={size}" for letter, size in zip(recorded.letters, value.shape, strict=True))
            lines.append(f"{path:{width}}  {shape:24}  mean {value.mean():9.4f}  std {value.std(correction=0):8.4f}")
        return "\n".join(lines)

    def show(self) -> None:
        """Prints the tokens and the table of everything recorded."""
        for name, tokens in self.sequences.items():
            print(f"{name}: {' | '.join(tokens)}")
        print(self.table())
