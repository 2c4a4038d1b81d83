"""A loaded model that was pre-trained: fill gaps, say whether one text follows another, turn texts into vectors."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from keifu.data.batches import Indices, Sequences, from_right_padded, to_right_padded
from keifu.data.pairs import Form
from keifu.data.texts import load_text
from keifu.errors import CheckpointError, ConfigError, DataError
from keifu.interface import TokenBatch
from keifu.layers.heads import exact
from keifu.session.classifier import ranked, split_pairs
from keifu.session.reading import ReadingModel, called, read_most_tokens, refuse_others
from keifu.tasks.masked_lm import MASK, NEXT_SENTENCE, MaskedLanguageModeling, with_masks
from keifu.tasks.reading import by_length, hidden_of, join, join_all, moved, pad
from keifu.text import Tokenizer
from keifu.trace import Edit, Recorded, Trace

_HEAD = "next-sentence"
_FEWEST, _USUAL = 8, 128  # tokens that are read together


@dataclass(frozen=True)
class Filled:
    """A token that may stand in a gap, and the text with it. place: of the gap, from 0. cut: whether the text is longer
    than what the model reads at once, so that it read what stands around the gaps alone.
    """

    text: str
    token: str
    probability: float
    place: int
    cut: bool = False


class MaskedModel(ReadingModel):
    """A pre-trained model, ready to use."""

    uses = ("fill", "classify", "embed", "evaluate")

    def __init__(
        self, path: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor], tokenizer: Tokenizer
    ) -> None:
        """config: the content of its config.json. Raises CheckpointError."""
        parts = {"masked": config.get("masked", True), "next_sentence": config.get("next_sentence", False)}
        if not all(isinstance(part, bool) for part in parts.values()):
            raise CheckpointError(f"{path}/config.json: masked and next_sentence: expected true or false")
        most = read_most_tokens(path, config, least=_FEWEST) or _USUAL
        share, whole_words = config.get("mask_share", 0.15), config.get("whole_words", False)
        if not isinstance(share, float) or not 0 < share < 1 or not isinstance(whole_words, bool):
            raise CheckpointError(f"{path}/config.json: mask_share and whole_words: expected a share and true or false")
        self._reading = config.get("reading")
        if self._reading not in (None, "documents", "stream"):
            raise CheckpointError(f"{path}/config.json: reading: expected documents or stream")
        about = {**parts, "share": share, "whole_words": whole_words}
        super().__init__(path, config, tensors, tokenizer, lambda: MaskedLanguageModeling(tokenizer, **about), most)

    @torch.no_grad()
    def fill(self, text: str | Sequence[str], *, top: int = 5, batch_size: int | None = None) -> Any:
        """The likeliest tokens in the place of each [MASK] of a text, likeliest first; of a list of texts, a list of
        lists. A gap stands for one token, with the space before it. Of a text that is too long, what stands around its
        gaps is read. Raises ConfigError.
        """
        if not self.task.masked:
            raise ConfigError(f"{self.path}: was trained without masked tokens; it cannot fill gaps")
        if top < 1:
            raise ConfigError(f"top {top}: expected at least 1")
        texts = [text] if isinstance(text, str) else list(text)
        for place, one in enumerate(texts):
            if MASK not in one:
                raise ConfigError(f"{called(texts, place)}: no {MASK} in it; write one where a word is to be told")
        whole = [with_masks(self.tokenizer, one) for one in texts]
        tokens = Sequences(self._around_gaps(ids, called(texts, place)) for place, ids in enumerate(whole))
        cut = [len(read) < len(ids) for read, ids in zip(tokens, whole, strict=True)]
        filled: list[list[Filled]] = [[] for _ in texts]
        for rows in by_length(tokens.lengths, self.batch_size(batch_size), self.network):
            inputs = moved(pad(self.tokenizer, tokens, tokens.lengths, rows), self.device)
            gaps = inputs.tokens == self.tokenizer.mask_id
            scores = exact(self.head(hidden_of(self.network, inputs)[gaps]))
            scores[:, : len(self.tokenizer.special)] = -torch.inf
            shares, best = scores.softmax(-1).topk(min(top, scores.shape[-1] - len(self.tokenizer.special)))
            for gap, (row, column) in enumerate(gaps.nonzero().tolist()):
                ids = tokens[int(rows[row])].tolist()
                place = ids[:column].count(self.tokenizer.mask_id)
                for share, token in zip(shares[gap].tolist(), best[gap].tolist(), strict=True):
                    name = self.tokenizer.token(token)
                    written = self._with(texts[rows[row]], place, token)
                    filled[rows[row]].append(Filled(written, name.strip() or name, share, place, cut[rows[row]]))
        return filled[0] if isinstance(text, str) else filled

    def _around_gaps(self, ids: Sequence[int], name: str) -> list[int]:
        """As many tokens as can be read at once, the gaps in the middle of them. name: of the text, for the message.
        Raises ConfigError.
        """
        inner = list(ids[1:-1])
        gaps = [place for place, token in enumerate(inner) if token == self.tokenizer.mask_id]
        room = (self.room or len(ids)) - 2
        if gaps[-1] - gaps[0] >= room:
            raise ConfigError(
                f"{name}: its gaps stand {gaps[-1] - gaps[0]:,} tokens apart; this model reads {room:,} at once; leave "
                f"fewer {MASK} in it"
            )
        begin = max(0, min((gaps[0] + gaps[-1] + 1 - room) // 2, len(inner) - room))
        return [ids[0], *inner[begin : begin + room], ids[-1]]

    def _with(self, text: str, place: int, token: int) -> str:
        """The text with one gap filled; others stay."""
        parts = text.split(MASK)
        before, after = MASK.join(parts[: place + 1]), MASK.join(parts[place + 1 :])
        return before.removesuffix(" ") + self._piece(before, token) + after

    def _piece(self, before: str, token: int) -> str:
        """A token as it is written behind a text, with the space that stands before it where one was asked for."""
        alone = self.tokenizer.decode([token])
        last = self.tokenizer.encode(before[:-1])[-1:]
        if not last or not before.endswith(" "):
            return alone
        known = self.tokenizer.decode(last)
        if not known:
            return alone if self.tokenizer.goes_on(token) else f" {alone}"
        return self.tokenizer.decode([*last, token])[len(known) :]

    def classify(
        self,
        text: str | Sequence[str],
        *,
        top: int | None = None,
        head: str | None = None,
        details: bool = False,
        batch_size: int | None = None,
    ) -> Any:
        """Whether the second text of a pair follows the first: "next", or "random". A pair is two texts with a TAB
        between; of one that is too long, what stands where the two meet is read. head: "next-sentence", the only one;
        else as for a classifier. Raises ConfigError.
        """
        if head not in (None, _HEAD):
            raise ConfigError(f"head {head!r} is not known; expected {_HEAD}")
        if not self.task.next_sentence:
            raise ConfigError(f"{self.path}: was trained without pairs of texts; it cannot say what follows")
        texts = [text] if isinstance(text, str) else list(text)
        pairs = split_pairs(texts)
        for place, pair in enumerate(pairs):
            if len(pair) != 2:
                name = called(texts, place)
                raise ConfigError(f"{name}: one text; expected two with a TAB between, of which one may follow")
        tokens, firsts, cut = join_all(self.tokenizer, pairs, self.room, nearest=True)
        shares = self._follows(tokens, firsts, batch_size)
        found = [
            ranked(one, NEXT_SENTENCE, share, top, shorter)
            for one, share, shorter in zip(texts, shares, cut.tolist(), strict=True)
        ]
        results: list[Any] = [one if details else one.label for one in found]
        return results[0] if isinstance(text, str) else results

    @torch.no_grad()
    def _follows(self, tokens: Sequences, firsts: Indices, batch_size: int | None) -> list[list[float]]:
        """Of each pair the probabilities that the second text is a stranger, and that it follows. firsts: how many
        tokens are the first text's.
        """
        found: list[list[float]] = [[] for _ in range(len(tokens))]
        for rows in by_length(tokens.lengths, self.batch_size(batch_size), self.network):
            inputs = moved(pad(self.tokenizer, tokens, firsts, rows), self.device)
            shares = exact(self.head.follows(hidden_of(self.network, inputs)[:, 0])).softmax(-1)
            for row, share in zip(rows.tolist(), shares.tolist(), strict=True):
                found[row] = share
        return found

    def tokens_of(self, texts: Sequence[str]) -> list[list[int]]:
        """With the gaps that are written in them, as in training."""
        plain = zip(texts, self.tokenizer.encode_batch(texts), strict=True)
        return [with_masks(self.tokenizer, one)[1:-1] if MASK in one else ids for one, ids in plain]

    @torch.no_grad()
    def logits(self, tokens: Tensor, mask: Tensor | None = None, segments: Tensor | None = None) -> Tensor:
        """Scores `[B, T, V]` of what each token is, from ids `[B, T]`, which begin with [CLS] and end with [SEP].

        mask: `[B, T]`, True at real tokens; padding may stand on either side. segments: `[B, T]`, 1 at the tokens of a
        second text.
        """
        if not self.task.masked:
            raise ConfigError("this model was not taught what masked tokens are (training.masked=false)")
        tokens, mask, order = to_right_padded(tokens.to(self.device), mask)
        if segments is not None:
            segments = segments.to(self.device).gather(1, order)[:, : tokens.shape[1]]
        hidden: Tensor = self.head(self.network(TokenBatch(tokens, mask, None, segments)).hidden)
        return from_right_padded(hidden, order)

    def trace(self, text: str, names: Sequence[str] = ("*",), edits: Mapping[str, Edit] | None = None) -> Trace:
        """What the model computes while it reads a text, with gaps or without, or a pair with a TAB between.

        "logits" are the scores of what each token is, "follows" those of a pair. names: patterns of the values to
        keep, beside these. edits: pattern -> function that replaces a value.
        """
        (texts,) = split_pairs([text])
        if len(texts) > 1:
            ids, first = join(self.tokenizer, [with_masks(self.tokenizer, one)[1:-1] for one in texts])
        else:
            ids = with_masks(self.tokenizer, text)
            first = len(ids)
        self.refuse_too_long([text], [len(ids)])

        def scores(hidden: Tensor) -> dict[str, Recorded]:
            found = {}
            if self.task.masked:
                found["logits"] = Recorded("logits", "B T V", self.head(hidden), {"T": "text"})
            if self.task.next_sentence and len(texts) > 1:
                found["pooled"] = Recorded("pooled", "B D", self.head.pooler(hidden[:, 0]))
                found["follows"] = Recorded("follows", "B C", self.head.follows(hidden[:, 0]), {"C": "follows"})
            return found

        return self.recorded(ids, first, names, edits, scores, {"follows": NEXT_SENTENCE})

    def evaluate(
        self,
        data: str,
        *,
        columns: Sequence[str] = (),
        encoding: str = "utf-8",
        batch_size: int | None = None,
        **other: Any,
    ) -> dict[str, Any]:
        """How many masked tokens and how many pairs the model tells right, with 95 % intervals, and the loss.

        What is masked and which pairs are made is the same each time. A set without a part is measured on `test`. Says
        in "selected_on" whether the best checkpoint was chosen on this very text, in "trained_on" whether it is what
        the model was trained on. Raises ConfigError and DataError.
        """
        refuse_others("a pre-trained model", other)
        text = load_text(data, "test", Form(tuple(columns), encoding))
        reading = self._reading or ("documents" if text.is_a_list else "stream")
        began = time.perf_counter()
        passages = self.task.encode(text.passages(reading), self.room)
        if self.task.next_sentence and passages.documents_with_pairs < 2:
            raise DataError(
                f"{text.spec}: documents with several sentences: {passages.documents_with_pairs}; expected two or "
                "more, of which one gives strangers to the other; put blank lines between documents"
            )
        found = self.task.measure(self.network, self.head, passages, self.batch_size(batch_size))
        seconds = time.perf_counter() - began
        report = {"data": text.spec, "documents": len(set(passages.documents.tolist())), "sequences": len(passages)}
        report |= found | {"unknown": passages.share_of(self.tokenizer.unknown_ids)}
        return report | self.role_in_training(text.sha256) | {"sequences_per_second": len(passages) / seconds}
