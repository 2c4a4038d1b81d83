"""The keys and values of what was read lately, of each row the newest last: a memory that slides along a text.

It is for attention that looks back over a bounded number of tokens in a text without end. layers/cache.py is for
decoders, whose rows share what they have read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from keifu.layers.attention import recent_mask


@dataclass(frozen=True)
class Past:
    """Keys and values `[L, B, H, M, A]` of the latest M tokens for every layer.

    real: `[B, M]`, False at the places that a shorter row leaves empty, which come first; None where none is.
    """

    keys: Tensor
    values: Tensor
    real: Tensor | None = None

    def mask(self, queries: int, reach: int) -> Tensor | None:
        """What each of so many new tokens may attend to: `[B or 1, 1, T, S]`, S the M places and the new tokens.

        reach: tokens that it looks back over, itself included. None where everything may be attended to.
        """
        places = self.keys.shape[3] + queries
        near = None
        if queries > 1 or places > reach:
            near = recent_mask(queries, places, reach, self.keys.device)[None, None]
        if self.real is None:
            return near
        real = torch.cat([self.real, self.real.new_ones(len(self.real), queries)], dim=1)[:, None, None, :]
        return real if near is None else near & real

    def joined(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """The keys and values `[B, H, S, A]` of a layer, past and new `[B, H, T, A]`."""
        if self.keys.shape[3] == 0:
            return key, value
        return torch.cat([self.keys[layer], key], dim=2), torch.cat([self.values[layer], value], dim=2)

    def after(self, keys: Sequence[Tensor], values: Sequence[Tensor], real: Tensor | None, reach: int) -> "Past":
        """The past of the next token, from each layer's keys and values `[B, H, S, A]`, as `joined` gave them.

        real: `[B, T]`, True at the new tokens that are real, padding on the right; None: all are.
        """
        kept = min(reach - 1, keys[0].shape[2])
        if self.real is None and real is None:
            last = slice(keys[0].shape[2] - kept, None)
            return Past(
                torch.stack([key[:, :, last] for key in keys]), torch.stack([value[:, :, last] for value in values])
            )
        rows, places = len(keys[0]), self.keys.shape[3]
        own = torch.ones(rows, keys[0].shape[2], dtype=torch.bool, device=keys[0].device)
        if self.real is not None:
            own[:, :places] = self.real
        if real is not None:
            own[:, places:] = real
        order = own.int().argsort(dim=1, stable=True)[:, own.shape[1] - kept :]  # a row's own last, in their order
        index = order[:, None, :, None]
        taken = [[part.take_along_dim(index, 2) for part in parts] for parts in (keys, values)]
        return Past(torch.stack(taken[0]), torch.stack(taken[1]), own.gather(1, order))

    def select(self, rows: Tensor) -> "Past":
        """The rows named by index: kept, repeated, reordered or dropped."""
        return Past(self.keys[:, rows], self.values[:, rows], None if self.real is None else self.real[rows])

    def detach(self) -> "Past":
        """The same values; no gradient goes back beyond them."""
        return replace(self, keys=self.keys.detach(), values=self.values.detach())

    def tensors(self) -> dict[str, Tensor]:
        """ "keys" and "values", and "real" where there are empty places."""
        return {"keys": self.keys, "values": self.values} | ({} if self.real is None else {"real": self.real})

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "Past":
        """The past whose `tensors` these are; others are left alone."""
        return cls(tensors["keys"], tensors["values"], tensors.get("real"))
