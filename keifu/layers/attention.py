"""One attention: every model of the family weighs values by the likeness of queries and keys, with the functions
here.

Masks are built here and nowhere else. `True` means "may attend". A row that may attend to nothing gives zeros. A mask
of two dimensions is a causal one, which kernels know by themselves; all others have four.

Sources: Vaswani et al. 2017, "Attention Is All You Need", equation (1) and section 3.2; Bahdanau et al. 2015 and Luong
et al. 2015 for the attention of recurrent networks.
"""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from keifu.layers.linear import Linear
from keifu.layers.rotary import Rotation, rotated
from keifu.trace import record, recording


def padding_mask(real: Tensor) -> Tensor:
    """Every query may attend to every real key: `[B, S]`, True at real tokens, becomes `[B, 1, 1, S]`."""
    return real[:, None, None, :]


def causal_mask(queries: int, keys: int, device: torch.device) -> Tensor:
    """Query t of the last `queries` positions may attend to keys up to its own position: `[T, S]`."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)


def recent_mask(queries: int, keys: int, reach: int, device: torch.device) -> Tensor:
    """As `causal_mask`, but no further back than `reach` keys, the query's own position included: `[T, S]`."""
    return causal_mask(queries, keys, device).triu(keys - queries - reach + 1)


def past_mask(past: Tensor | None, queries: int, keys: int, groups: int, device: torch.device) -> Tensor | None:
    """Rows in `groups` equal groups ask with their newest `queries` tokens; a group keeps its keys in common.

    past `[B, S]`: True at the keys of a row's own tokens; None: all are. The newest tokens stand at the end, row after
    row of the group, and a row's token attends to its own up to itself. Returns `[U, 1, B / U * T, S]`, or None where
    every query may attend to every key.
    """
    if past is None:
        return None if queries == 1 else causal_mask(queries, keys, device)
    size = len(past) // max(groups, 1)
    newest = size * queries
    if queries == 1:
        return past.view(groups, 1, newest, keys)
    causal = causal_mask(queries, queries, device).repeat(1, size)
    causal = torch.cat([causal.new_ones(queries, keys - newest), causal], dim=1)
    return (past[:, None, :] & causal).view(groups, 1, newest, keys)


def scaled_dot_product(query: Tensor, key: Tensor) -> Tensor:
    """Scores `[B, H, T, S]` = Q K^T / sqrt(A): likeness of every query `[B, H, T, A]` with every key `[B, H, S, A]`."""
    return (query / math.sqrt(query.shape[-1])) @ key.transpose(-1, -2)


def additive(query: Tensor, key: Tensor, weight: Tensor) -> Tensor:
    """Scores `[B, H, T, S]` = weight tanh(Q + K) of query `[B, H, T, A]`, key `[B, H, S, A]` and weight `[A]` (Bahdanau
    et al. 2015, appendix A.1.2).
    """
    return (query[..., :, None, :] + key[..., None, :, :]).tanh() @ weight


def attend(
    scores: Tensor, value: Tensor, mask: Tensor | None, at: nn.Module, axes: str = "B H T S", along: str = "T"
) -> tuple[Tensor, Tensor]:
    """Turns scores `[B, H, T, S]` into weights that sum to one, and sums the values `[B, H, S, A]` with them.

    Returns weights `[B, H, T, S]` and the weighted sum `[B, H, T, A]`. Records the scores, before masking, and
    the weights under the module `at`; axes, along: of these, where they are others.
    """
    scores = record(at, "scores", scores, axes, along)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = scores.softmax(-1)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0.0)  # a row that may attend to nothing is 0/0 until here
    weights = record(at, "weights", weights, axes, along)
    return weights, weights @ value


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, at: nn.Module) -> Tensor:
    """Scaled dot-product attention, softmax(Q K^T / sqrt(A)) V: equation (1). Returns `[B, H, T, A]`.

    query `[B, H, T, A]`, key and value `[B, H, S, A]`, or `[B, J, S, A]` where H / J queries share a key; mask
    broadcasts to `[B, H, T, S]`; of two dimensions it is `causal_mask`. Runs the fused kernel where it is the faster
    one, and the written-out form otherwise and whenever someone records.
    """
    shared = query.shape[1] // key.shape[1]
    if recording():
        key, value = (each.repeat_interleave(shared, dim=1) if shared > 1 else each for each in (key, value))
        return attend(scaled_dot_product(query, key), value, mask, at)[1]
    if torch.compiler.is_compiling() and query.shape[0] * query.shape[2] == 1 and mask is None:
        return _of_one(query, key, value)
    if mask is not None and mask.dim() == 2 and query.shape[2] <= key.shape[2] and _short(query, key):
        return _written_out(query, key, value, mask)
    if _fused_is_faster(query, key):
        # Told that it is causal, the kernel does not look at the half that is hidden.
        causal = mask is not None and mask.dim() == 2 and query.shape[2] == key.shape[2]
        seen = None if causal else mask
        with _kernels(query, causal):
            return F.scaled_dot_product_attention(
                query, key, value, attn_mask=seen, is_causal=causal, enable_gqa=shared > 1
            )
    if mask is not None and bool(mask.all()):
        mask = None  # to add nothing to every score takes a pass over them
    if mask is None or bool(mask.any(-1).all()):
        return _written_out(query, key, value, mask)
    key, value = (each.repeat_interleave(shared, dim=1) if shared > 1 else each for each in (key, value))
    return attend(scaled_dot_product(query, key), value, mask, at)[1]


def _written_out(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """The written-out form with a mask that leaves every query some key: the softmax itself makes the zeros, and no
    score is copied.
    """
    rows, heads, length, width = query.shape
    query = (query / math.sqrt(width)).reshape(rows, key.shape[1], -1, width)  # all that ask a key, in one piece
    scores = query @ key.transpose(-1, -2)
    if mask is not None:
        hidden = torch.zeros_like(mask, dtype=scores.dtype).masked_fill_(~mask, -math.inf)
        scores.view(rows, heads, length, -1).add_(hidden)
    return (scores.softmax(-1) @ value).view(rows, heads, length, width)


def _of_one(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The same for a single query that attends to everything, written so that compiled code reads keys and values once.
    The fused kernel takes a quarter as long as the products of a block of GPT-2 in int8, after some 100 tokens.
    """
    queries = query.unflatten(1, (key.shape[1], -1))  # [1, J, H / J, 1, A]
    scores = (queries * key[:, :, None]).sum(-1) / math.sqrt(query.shape[-1])
    sums: Tensor = (scores.softmax(-1)[..., None] * value[:, :, None]).sum(-2, keepdim=True)
    return sums.flatten(1, 2)


def _short(query: Tensor, key: Tensor) -> bool:
    # As in _fused_is_faster, forward and backward, at a causal mask: 64 x 64 in float32 1.7 of 2.6 ms, 256 x 256 in
    # bfloat16 63 of 136, 512 x 512 58 of 113.
    if query.device.type != "cpu":
        return False
    most = 512 if query.dtype == torch.bfloat16 else 128
    return query.shape[-2] * key.shape[-2] <= most * most


def _fused_is_faster(query: Tensor, key: Tensor) -> bool:
    # Measured with benchmarks/attention.py. On a CPU the fused kernel's bfloat16 products are slow for short
    # sequences, backward above all: at 16 x 16 the written-out form is 10 times faster; they meet near 256 x 256.
    # In float32 it is the slower one where a few queries ask, as they do when tokens are written one after another,
    # unless one asks alone, or the products are so small that PyTorch does them without a library.
    if query.device.type != "cpu":
        return True
    if query.dtype != torch.bfloat16:
        alone = query.shape[0] * query.shape[2] == 1
        return alone or query.shape[-2] > 4 or query.shape[-2] * query.shape[-1] * key.shape[-2] < 400
    return query.shape[-2] * key.shape[-2] > 256 * 256


_FOR_ANY_LENGTH = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def _kernels(query: Tensor, causal: bool) -> AbstractContextManager[None]:
    """Inside the block a GPU leaves cuDNN's kernel alone, which is the fastest over and over at one shape, but takes
    milliseconds to prepare for each new one: sentences and growing texts always have new ones, long windows seldom.
    """
    one_shape = causal and query.shape[2] >= 256
    return sdpa_kernel(_FOR_ANY_LENGTH) if query.device.type == "cuda" and not one_shape else nullcontext()


def for_steps(memory: Tensor) -> Tensor:
    """Keys or values `[B, H, S, A]` as they are kept where a few queries ask at every step: each sentence in one piece,
    in the number format for that.
    """
    return memory.to(format_for_steps(memory.dtype, memory.device)).contiguous()


def format_for_steps(dtype: torch.dtype, device: torch.device) -> torch.dtype:
    """Not bfloat16 on a CPU, where its small products are slower than float32's (benchmarks/attention.py)."""
    return torch.float32 if device.type == "cpu" and dtype == torch.bfloat16 else dtype


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each in its own projection of the vectors (section 3.2.2).

    Keys and values are made by `keys_values` and handed to `forward`, so that a cache can stand between the two; where
    a sequence asks itself, `queries_keys_values` makes all three and `attend` goes on from there.
    n_kv_heads: keys and values are shared by groups of heads (Ainslie et al. 2023, "GQA", arXiv:2305.13245); None: each
    head has its own. Where positions are rotary, these functions are told the angles.
    """

    def __init__(
        self, d_model: int, n_heads: int, d_head: int, n_kv_heads: int | None = None, bias: bool = True
    ) -> None:
        super().__init__()
        self.n_heads, self.n_kv_heads, self.d_head = n_heads, n_kv_heads or n_heads, d_head
        self._axes = "B H S A" if n_kv_heads is None else "B J S A"
        self.query = Linear(d_model, n_heads * d_head, bias)
        self.key = Linear(d_model, self.n_kv_heads * d_head, bias)
        self.value = Linear(d_model, self.n_kv_heads * d_head, bias)
        self.output = Linear(n_heads * d_head, d_model, bias)
        self.merged: nn.Module | None = None
        """What computes query, key and value of a sequence that asks itself side by side, in place of the three."""

    def queries(self, x: Tensor, rotation: Rotation | None = None) -> Tensor:
        """Query `[B, H, T, A]` of every vector of x `[B, T, D]`."""
        return self._heads("query", self.query(x), rotation)

    def keys_values(self, memory: Tensor, rotation: Rotation | None = None) -> tuple[Tensor, Tensor]:
        """Key and value, each `[B, H, S, A]` or `[B, J, S, A]`, of every vector of memory `[B, S, D]`."""
        return self._heads("key", self.key(memory), rotation), self._heads("value", self.value(memory))

    def queries_keys_values(self, x: Tensor, rotation: Rotation | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """What `queries` and `keys_values` make of a sequence x `[B, T, D]` that asks itself."""
        if self.merged is None:
            key, value = self.keys_values(x, rotation)
            return self.queries(x, rotation), key, value
        widths = [heads * self.d_head for heads in (self.n_heads, self.n_kv_heads, self.n_kv_heads)]
        query, key, value = self.merged(x).split(widths, dim=-1)
        key, value = self._heads("key", key, rotation), self._heads("value", value)
        return self._heads("query", query, rotation), key, value

    def forward(
        self, x: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, rotation: Rotation | None = None
    ) -> Tensor:
        """x `[B, T, D]` asks, what `keys_values` gave answers, in its own number format; returns `[B, T, D]`."""
        return self.attend(self.queries(x, rotation), key, value, mask)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """The heads' weighted sums through the last matrix: from query `[B, H, T, A]`, key and value to `[B, T, D]`."""
        heads = attention(query.to(key.dtype), key, value, mask, at=self)
        heads = record(self, "heads", heads.to(query.dtype), "B H T A")
        return record(self, "output", self.output(heads.transpose(1, 2).flatten(2)), "B T D")

    def _heads(self, name: str, x: Tensor, rotation: Rotation | None = None) -> Tensor:
        heads = x.view(*x.shape[:-1], -1, self.d_head).transpose(1, 2)
        heads = heads if rotation is None else rotated(heads, rotation)
        return record(self, name, heads, "B H T A" if name == "query" else self._axes)


class SingleAttention(nn.Module):
    """One attention to a memory of the same width, as recurrent networks have it. likeness, with m a vector of memory:

        "dot"        h m / sqrt(D)                        Luong et al. 2015, equation 8, here scaled
        "general"    h W m / sqrt(D)                      the same
        "additive"   v tanh(W m + U h)                    Bahdanau et al. 2015

    Vectors of the memory are the values; a matrix is applied to their weighted sum.
    """

    def __init__(self, likeness: Literal["dot", "general", "additive"], d_model: int) -> None:
        super().__init__()
        self.d_head = d_model
        self.key = nn.Identity() if likeness == "dot" else Linear(d_model, d_model, bias=False)
        self.query = Linear(d_model, d_model) if likeness == "additive" else nn.Identity()
        self.likeness = nn.Parameter(torch.empty(d_model)) if likeness == "additive" else None
        self.output = Linear(d_model, d_model, bias=False)
        if self.likeness is not None:
            nn.init.normal_(self.likeness, std=1 / math.sqrt(d_model))

    def keys_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Key and value, each `[B, 1, S, D]`, of memory `[B, S, D]`."""
        key = record(self, "key", self.key(memory)[:, None], "B H S A")
        return key, record(self, "value", memory[:, None], "B H S A")

    def forward(self, x: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """x `[B, T, D]` asks, key and value `[B, 1, S, D]` answer; returns `[B, T, D]`."""
        query = record(self, "query", self.query(x)[:, None], "B H T A", along="T")
        scores = scaled_dot_product(query, key) if self.likeness is None else additive(query, key, self.likeness)
        heads = record(self, "heads", attend(scores, value, mask, self)[1], "B H T A", along="T")
        return record(self, "output", self.output(heads[:, 0]), "B T D", along="T")
