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


class CarriedState(State, Protocol):
    """A state that training carries from one window of a long text to the next."""

    def detach(self) -> Self:
        """The same values; no gradient goes back beyond them."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Its tensors by names of its own choosing, from which the model's `state_of` makes it again."""
        ...


class TokenBatch(NamedTuple):
    """A batch of token sequences, padded on the right.

    tokens: ids `[B, T]`; mask: `[B, T]`, True at real tokens. state: what the rows go on from; None: from nothing.
    segments: `[B, T]`, which text of a pair each token belongs to, 0 or 1; None: all to the first.
    """

    tokens: Tensor
    mask: Tensor
    state: State | None = None
    segments: Tensor | None = None


class StoryBatch(NamedTuple):
    """A batch of stories, each with a question, padded on the right.

    facts: token ids of every different fact of the batch, once, `[U, S]`; facts_mask: `[U, S]`, True at real tokens.
    story: the fact that stands in each place of a row's story `[B, M]`; story_mask: `[B, M]`, True at real facts.
    question: token ids `[B, T]`; question_mask: `[B, T]`.
    """

    facts: Tensor
    facts_mask: Tensor
    story: Tensor
    story_mask: Tensor
    question: Tensor
    question_mask: Tensor


class ImageBatch(NamedTuple):
    """A batch of pictures of one size.

    pixels: `[B, K, Y, X]` with K numbers a pixel, from -1 (black) to 1.
    """

    pixels: Tensor


class Output(NamedTuple):
    """What every model's `forward` returns.

    hidden: `[B, T, D]`, ready for a head. state: what a next step would need, where the model keeps one.
    penalties: scalars that the model itself asks to be added to the loss, usually none.
    """

    hidden: Tensor
    state: State | None = None
    penalties: tuple[Tensor, ...] = ()


class Loss(NamedTuple):
    """What every task's `loss` returns: sums over the scored tokens of a batch.

    total carries the gradient; surprise is -log p of the targets in nats. state: what the batch after this one goes on
    from, where it does.
    """

    total: Tensor
    surprise: Tensor
    tokens: int
    state: CarriedState | None = None
