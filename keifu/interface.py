"""What goes into a model and what comes out of it: the few types that tasks, models and generation agree on."""

from typing import NamedTuple, Protocol, Self

from torch import Tensor


class PairBatch(NamedTuple):
    """A batch of source and target sequences, padded on the right.

    source: token ids `[B, S]`; source_mask: `[B, S]`, True at real tokens.
    target: the decoder's input `[B, T]`, which begins with [BOS]; target_mask: `[B, T]`.
    """

    source: Tensor
    source_mask: Tensor
    target: Tensor
    target_mask: Tensor


class State(Protocol):
    """What a model remembers between two steps of generation. A state is a value: a step leaves the old one usable."""

    def select(self, rows: Tensor) -> Self:
        """The state of the rows named by index `[R]`: kept, repeated, reordered or dropped."""
        ...


class Output(NamedTuple):
    """What every model's `forward` returns.

    hidden: `[B, T, D]`, ready for a head. state: what a next step would need, where the model keeps one.
    penalties: scalars that the model itself asks to be added to the loss, usually none.
    """

    hidden: Tensor
    state: State | None = None
    penalties: tuple[Tensor, ...] = ()
