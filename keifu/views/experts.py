"""Which experts a model's routers give its tokens to, and which kinds of token go where."""

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from keifu.data.batches import cut
from keifu.data.windows import Windows, cut_to
from keifu.text import Tokenizer
from keifu.trace import Recorder

MOST = 20_000
"""Tokens that are looked at."""

_TOGETHER = 2048  # tokens that are read together, with all that is recorded


@torch.no_grad()
def expert_load(network: Any, task: Any, texts: Windows, most: int = MOST) -> dict[str, Any]:
    """How the choices of each layer's router fall on its experts, over the first `most` tokens.

    Longer texts are read in windows side by side, as in training.

    tokens: how many were read. layers: for each the share of its choices that fell on each expert (they sum to 1).
    kinds: for each kind of token how many there were, and the same shares among these.
    """
    windows = _beginning(cut_to(texts, network.longest), most)
    later = torch.from_numpy(~np.isin(windows.begins, texts.begins))
    kinds = token_kinds(task.tokenizer)
    names = list(dict.fromkeys(kinds))
    number = torch.tensor([names.index(kind) for kind in kinds])
    tokens = torch.zeros(len(names), dtype=torch.long)
    choices: Any = 0  # [kind, layer, expert]
    device = next(network.parameters()).device
    for rows in cut(windows.rows(), windows.lengths, _TOGETHER):
        batch = task.batch(windows, rows)
        for token in task.lead:
            batch.inputs.tokens[later[torch.from_numpy(rows)], 0] = token
        batch = batch.to(device)
        with Recorder(network, (network.gates,)) as recorder:
            network(batch.inputs)
        gates = torch.stack([value.value[batch.inputs.mask] for value in recorder.values().values()], dim=1).cpu()
        kind = number[batch.inputs.tokens[batch.inputs.mask].cpu()]
        tokens += torch.bincount(kind, minlength=len(names))
        chosen = (gates != 0).long()
        choices = choices + chosen.new_zeros(len(names), *chosen.shape[1:]).index_add(0, kind, chosen)
    seen = {name: place for place, name in enumerate(names) if tokens[place]}
    return {
        "tokens": int(tokens.sum()),
        "layers": _shares(choices.sum(0)),
        "kinds": {
            name: {"tokens": int(tokens[place]), "layers": _shares(choices[place])}
            for name, place in sorted(seen.items(), key=lambda item: -int(tokens[item[1]]))
        },
    }


def token_kinds(tokenizer: Tokenizer) -> list[str]:
    """Of every token what its first sign that is no space belongs to."""
    special = {tokenizer.pad_id, tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id}
    texts = tokenizer.decode_batch([[index] for index in range(tokenizer.vocab_size)])
    return ["special" if index in special else _kind(text) for index, text in enumerate(texts)]


_SCRIPTS = {"HIRAGANA": "hiragana", "KATAKANA": "katakana", "CJK": "kanji", "LATIN": "latin letters"}


def _kind(text: str) -> str:
    sign = text.strip()[:1]
    if not sign:
        return "line breaks" if "\n" in text else "spaces"
    category = unicodedata.category(sign)
    if sign == "\ufffd":
        return "bytes"
    if category.startswith("N"):
        return "digits"
    if category.startswith("L"):
        script = unicodedata.name(sign, "").split(" ")[0].split("-")[0]
        return _SCRIPTS.get(script, "other letters")
    return "punctuation" if category.startswith("P") else "other signs"


def _beginning(windows: Windows, most: int) -> Windows:
    """The first windows, with so many tokens together at most, but one at least."""
    kept = max(1, int(np.searchsorted(np.cumsum(windows.lengths), most, side="right")))
    return Windows(windows.tokens, windows.begins[:kept], windows.lengths[:kept])


def _shares(choices: Tensor) -> Sequence[list[float]]:
    """Choices `[L, E]` as shares of each layer's."""
    shares: list[list[float]] = (choices / choices.sum(-1, keepdim=True)).tolist()
    return shares
