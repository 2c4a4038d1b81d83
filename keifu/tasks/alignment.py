"""How well attention names the words that belong together, on pairs whose alignment is known."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from keifu.data.examples import Alignment, Pair
from keifu.trace import Recorder

_PAIRS_AT_ONCE = 64


@torch.no_grad()
def alignment_errors(model: nn.Module, task: Any, pairs: Sequence[Pair]) -> dict[str, float]:
    """The share of target words whose strongest source word is a wrong one, for each layer that attends to the source,
    by the path of its weights.

    The references are read with teacher forcing. A layer's weights are averaged over its heads; row t is the step
    that predicts target token t (where source and target are one stream, only the source's columns are looked at);
    weights of the pieces of a source word are summed, rows of the pieces of a target word averaged. Target words
    without a link are not scored, and attention on [BOS], [EOS] and pieces outside every word is not counted. Empty
    where the model does not attend to the source. This is not the alignment error rate of Och and Ney (2003).
    """
    wrong: Tensor | None = None
    names: list[str] = []
    scored = 0
    device = next(model.parameters()).device
    for begin in range(0, len(pairs), _PAIRS_AT_ONCE):
        chunk = pairs[begin : begin + _PAIRS_AT_ONCE]
        encoded = task.encode(chunk)
        batch = task.batch(encoded, encoded.rows()).to(device)
        with Recorder(
            model, ["*cross_attention.weights" if task.takes == "pair" else "*attention.weights"]
        ) as recorder:
            model(batch.inputs)
        if not recorder.values():
            return {}
        names = list(recorder.values())
        layers = torch.stack([recorded.value.float().mean(1) for recorded in recorder.values().values()]).cpu()
        for row, pair in enumerate(chunk):
            assert pair.alignment is not None, "alignment errors need pairs whose alignment is known"
            begin = int(batch.scored[row].int().argmax())  # in a stream, after the source
            own = layers[:, row, begin:, int(task.begins_source) :]
            misses, words = _misses(own, pair, pair.alignment, task.tokenizer)
            wrong = misses if wrong is None else wrong + misses
            scored += words
    assert wrong is not None
    return dict(zip(names, (wrong / max(1, scored)).tolist(), strict=True))


def _misses(weights: Tensor, pair: Pair, alignment: Alignment, tokenizer: Any) -> tuple[Tensor, int]:
    """Wrong words for each layer `[L]` of weights `[L, T, S]`, and how many words were scored."""
    source = _membership(alignment.source_words, tokenizer.encode_with_offsets(pair.source).offsets)
    target = _membership(alignment.target_words, tokenizer.encode_with_offsets(pair.target).offsets)
    by_word = target @ weights[:, : target.shape[1], : source.shape[1]] @ source.T  # [L, target words, source words]
    choice = by_word.argmax(-1)
    linked = sorted({word for word, _ in alignment.links})
    right = torch.zeros(len(alignment.target_words), len(alignment.source_words), dtype=torch.bool)
    for target_word, source_word in alignment.links:
        right[target_word, source_word] = True
    hits = right[linked].gather(1, choice[:, linked].T)  # [linked words, L]
    return (~hits).sum(0), len(linked)


def _membership(words: Sequence[tuple[int, int]], pieces: Sequence[tuple[int, int]]) -> Tensor:
    """`[words, pieces]`: the share of each piece's characters that lies in each word."""
    shares = torch.zeros(len(words), len(pieces))
    for row, (begin, end) in enumerate(words):
        for column, (first, last) in enumerate(pieces):
            shares[row, column] = max(0, min(end, last) - max(begin, first)) / max(1, last - first)
    return shares
