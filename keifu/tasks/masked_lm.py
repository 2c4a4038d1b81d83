"""BERT's pre-training: tell masked tokens from what stands around them, and whether one text follows another.

Devlin et al. 2019, section 3.1. Of the tokens of a sequence 15 % are chosen; of these 80 % become [MASK], 10 % another
token by chance, 10 % stay, and all are to be told. Half of the pairs are two stretches of a document of which the
second follows the first; in the other half the second is one of another document, found in the same way. Nothing but
what they say tells the two apart: the first ends with a sentence and the second begins with one, and a second text is
as long as the one that it stands for, and cut where that is. What is chosen follows from the seed, the step and the row
alone, so it is new in every epoch and the same again when a run goes on.

Departures from the paper: choices are made anew each time (as RoBERTa's, Liu et al. 2019); a stretch is as many whole
sentences as fit into its part of a row, and where a row parts is drawn once for each pair.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from keifu.data.batches import Indices, Sequences, length_mask
from keifu.interface import Loss, TokenBatch
from keifu.layers.heads import MaskedHead, PretrainingHead, exact
from keifu.tasks.classification_metrics import share_interval
from keifu.tasks.reading import by_length, moved
from keifu.text import Tokenizer
from keifu.text.words import word_ranges

STRANGER, FOLLOWS, ALONE = 0, 1, -1
"""What the second text of a row is to the first; ALONE where there is none."""

_NO_ROWS = np.zeros((0, 3), np.int64)

MASK = "[MASK]"
"""What stands for a gap in a text."""

NEXT_SENTENCE = ("random", "next")
"""What the first two of these are called."""

_TOGETHER = 10_000
_APART = 1 << 30  # more tokens than a text has
_EVALUATED = 0
"""The seed of what is masked where a model is measured."""


class Passages:
    """Documents as encoded sentences, and rows of stretches of them.

    documents: of each sentence the number of its document. before: tokens before each sentence, and all. begins: for
    each token whether a word begins there; None where words do not matter. first, middle, last: of each row the tokens
    from first up to middle, and from middle up to last, which are the second text where `paired`.
    """

    def __init__(
        self,
        sentences: Sequences,
        documents: NDArray[np.int64],
        begins: Sequences | None,
        most: int,
        pairs: bool,
        alone: bool = True,
    ) -> None:
        """most: tokens of a row, [CLS] and [SEP] included. pairs: whether there are rows of two texts, where documents
        have several sentences. alone: whether documents of one sentence have rows beside those that are pairs.
        """
        self.sentences, self.documents, self.begins = sentences, documents, begins
        self.before = np.concatenate([[0], np.cumsum(sentences.lengths)])
        opens = np.searchsorted(documents, documents)  # the first sentence of each one's document
        closes = np.searchsorted(documents, documents, side="right")
        two = self._pairs(opens, closes, most - 3) if pairs else _NO_ROWS
        one = np.flatnonzero((closes - opens == 1) & alone) if pairs else np.arange(len(documents))
        rows = np.concatenate([two, self._stretches(one, most - 2)])
        self.first, self.middle, self.last = rows.T
        self.lengths: Indices = self.last - self.first + np.where(self.middle < self.last, 3, 2)
        self.paired = np.arange(len(two))
        self._document = documents[np.searchsorted(self.before, self.middle[self.paired])]
        # The pairs, those with short second texts first, and those first that end with a sentence.
        cut = ~np.isin(self.last[self.paired], self.before)
        self._kind: Indices = (self.last - self.middle)[self.paired] + np.where(cut, _APART, 0)
        self._by_kind = np.argsort(self._kind, kind="stable")
        self._sorted = self._kind[self._by_kind]

    def __len__(self) -> int:
        return len(self.first)

    @property
    def sizes(self) -> Indices:
        """`[N, 1]`, the most tokens of each row."""
        return self.lengths[:, None]

    def rows(self) -> Indices:
        """The indices of all rows."""
        return np.arange(len(self))

    @property
    def documents_with_pairs(self) -> int:
        """How many documents have several sentences, of which one follows another."""
        return len(set(self._document.tolist()))

    def share_of(self, ids: frozenset[int]) -> float:
        """The share of all tokens that are one of these."""
        return self.sentences.share_of(ids)

    def stranger(self, row: int, rng: np.random.Generator) -> int:
        """A pair of another document, where there is another one, whose second text is as long as that of this pair and
        as whole: ends within a sentence where that does. Where none is, one that is next to it.
        """
        kind, reach = int(self._kind[row]), 0
        while True:
            begin = int(np.searchsorted(self._sorted, kind - reach))
            end = int(np.searchsorted(self._sorted, kind + reach, side="right"))
            near = self._by_kind[begin:end]
            others = near[self._document[near] != self._document[row]]
            if len(others) or end - begin == len(self._sorted):
                return int(rng.choice(others if len(others) else near))
            reach = 2 * reach + 1

    def _pairs(self, opens: Indices, closes: Indices, most: int) -> NDArray[np.int64]:
        """A row for every sentence that has one before it in its document: what stands before it, and what begins with
        it, in so many tokens. Either has room for the sentence next to the other, or for half of the row where that is
        less, and for as many more whole sentences as fit. Where between these the two part is drawn, so that first
        texts come to the places where a text stands that is read alone; what the one leaves is the other's.
        """
        of = np.flatnonzero(np.arange(len(opens)) > opens)
        before, at = self.before, self.before[of]

        def first(room: Indices) -> Indices:
            begin = np.maximum(np.searchsorted(before, at - room), opens[of])
            found: Indices = np.maximum(before[np.minimum(begin, of - 1)], at - room)
            return found

        def last(room: Indices) -> Indices:
            end = np.minimum(np.searchsorted(before, at + room, side="right") - 1, closes[of])
            found: Indices = np.minimum(before[np.maximum(end, of + 1)], at + room)
            return found

        half, lengths = most // 2, self.sentences.lengths
        least, largest = np.minimum(half, lengths[of - 1]), most - np.minimum(half, lengths[of])
        drawn = np.random.default_rng(0).integers(most, size=len(of)).clip(least, largest)
        ends = last(most - (at - first(drawn)))
        return np.stack([first(most - (ends - at)), at, ends], axis=1)

    def _stretches(self, of: Indices, most: int) -> NDArray[np.int64]:
        """The documents of these sentences in rows of as many whole sentences as fit into so many tokens; a longer
        sentence is cut.
        """
        if not len(of):
            return _NO_ROWS
        cuts = [np.arange(self.before[each], self.before[each + 1], most) for each in of]
        begin, sentence = np.concatenate(cuts), np.repeat(of, [len(each) for each in cuts])
        document, end = self.documents[sentence], np.minimum(begin + most, self.before[sentence + 1])
        closes = np.searchsorted(document, document, side="right")
        fits = np.minimum(np.searchsorted(end, begin + most, side="right"), closes)
        rows, place = [], 0
        while place < len(begin):
            last = end[fits[place] - 1]
            rows.append((begin[place], last, last))
            place = fits[place]
        return np.array(rows, np.int64)


class Batch(NamedTuple):
    """What the model reads; masked `[B, T]`, True at the tokens to tell, and these `[N]` row after row; follows `[B]`:
    STRANGER, FOLLOWS or ALONE.
    """

    inputs: TokenBatch
    masked: Tensor
    targets: Tensor
    follows: Tensor

    def to(self, device: torch.device) -> "Batch":
        return Batch(
            moved(self.inputs, device), self.masked.to(device), self.targets.to(device), self.follows.to(device)
        )


@dataclass(frozen=True)
class MaskedLanguageModeling:
    """masked, next_sentence: which of the two tasks. share: of the tokens that are chosen. pair_weight: how many masked
    tokens a pair counts as much as.
    """

    name = "masked-lm"
    selects_by = "-loss"
    tokenizer: Tokenizer
    masked: bool = True
    next_sentence: bool = False
    whole_words: bool = False
    share: float = 0.15
    pair_weight: float = 1.0

    def head(self, model: Any) -> PretrainingHead:
        """Heads for its tasks; that for tokens shares the model's embedding where the model ties them."""
        config, tokens = model.config, model.output_embedding
        if tokens is None and self.masked:
            tokens = nn.Parameter(torch.empty(self.tokenizer.vocab_size, config.d_model))
            nn.init.normal_(tokens, std=0.02)
        masked = MaskedHead(tokens, config.norm_eps) if self.masked else None
        return PretrainingHead(masked, config.d_model, self.next_sentence)

    def encode(self, passages: Sequence[Sequence[str]], most: int) -> Passages:
        """Documents, each a list of sentences, in rows of at most so many tokens."""
        texts = [text for passage in passages for text in passage]
        of = np.repeat(np.arange(len(passages)), [len(passage) for passage in passages])
        sentences: list[NDArray[np.int32]] = []
        begins: list[NDArray[np.int32]] = []
        documents: list[int] = []
        for start in range(0, len(texts), _TOGETHER):
            some = texts[start : start + _TOGETHER]
            for place, ids in enumerate(self.tokenizer.encode_batch(some)):
                if ids:
                    sentences.append(np.asarray(ids, np.int32))
                    documents.append(int(of[start + place]))
                    if self.whole_words:
                        begins.append(_word_begins(self.tokenizer, some[place]))
        known = Sequences(begins) if self.whole_words else None
        numbers = np.array(documents, np.int64)
        return Passages(Sequences(sentences), numbers, known, most, self.next_sentence, alone=self.masked)

    def batch(self, data: Passages, rows: Indices, seed: int | None = None) -> Batch:
        """The stretches of these rows, padded on the right, with what is to be told. seed: of what is drawn; None:
        torch's, which the training loop sets for every step.
        """
        seed = torch.initial_seed() if seed is None else seed
        drawn = [self._draw(data, int(row), np.random.default_rng([seed, int(row)])) for row in rows]
        lengths = np.array([len(ids) for ids, *_ in drawn], np.int64)
        shape = (len(drawn), int(lengths.max(initial=0)))
        tokens = np.full(shape, self.tokenizer.pad_id, np.int64)
        segments, masked = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
        targets = []
        for place, (ids, second, chosen, _) in enumerate(drawn):
            tokens[place, : len(ids)] = ids
            segments[place, second : len(ids)] = 1
            if self.masked:
                masked[place, chosen] = True
                targets.append(ids[chosen])
                tokens[place, chosen] = self._disguised(ids[chosen], np.random.default_rng([seed, int(rows[place]), 1]))
        inputs = TokenBatch(torch.from_numpy(tokens), length_mask(lengths), None, torch.from_numpy(segments))
        wanted = np.concatenate(targets).astype(np.int64) if targets else np.zeros(0, np.int64)
        follows = torch.tensor([each[3] for each in drawn])
        return Batch(inputs, torch.from_numpy(masked), torch.from_numpy(wanted), follows)

    def _draw(self, data: Passages, row: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], int, Indices, int]:
        """Token ids, where the second text begins, the places of tokens to tell (in order), and what the second is."""
        first, middle, last = (int(part[row]) for part in (data.first, data.middle, data.last))
        follows, stretches = ALONE, [slice(first, middle)]
        if middle < last:
            # Both are looked at whichever is taken, so that the length says nothing.
            other = data.stranger(row, rng)
            follows = int(rng.random() < 0.5)
            length = min(last - middle, int(data.last[other] - data.middle[other]))
            begin = middle if follows == FOLLOWS else int(data.middle[other])
            stretches.append(slice(begin, begin + length))
        special = self.tokenizer.cls_id, self.tokenizer.sep_id
        parts, begins = [np.array(special[:1])], [np.zeros(1, np.bool_)]
        for at in stretches:
            parts += [data.sentences.tokens[at], np.array(special[1:])]
            words = np.ones(at.stop - at.start, np.bool_) if data.begins is None else data.begins.tokens[at] > 0
            words[:1] = True  # of a word that is cut, the rest counts as one
            begins += [words, np.zeros(1, np.bool_)]
        ids = np.concatenate(parts).astype(np.int64)
        at_second = len(parts[1]) + 2
        ordinary = (ids != special[0]) & (ids != special[1])
        return ids, at_second, _choose(np.concatenate(begins), ordinary, self.share, rng), follows

    def _disguised(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """80 % [MASK], 10 % any token that is not special, 10 % as they are."""
        fate = rng.random(len(ids))
        special = len(self.tokenizer.special)
        other = rng.integers(special, max(special + 1, self.tokenizer.vocab_size), len(ids))
        return np.where(fate < 0.8, self.tokenizer.mask_id, np.where(fate < 0.9, other, ids))

    def loss(self, model: nn.Module, head: PretrainingHead, batch: Batch) -> Loss:
        """Cross-entropy of the masked tokens, and `pair_weight` times that of the pairs; only masked positions reach
        the vocabulary.
        """
        hidden = model(batch.inputs).hidden
        total = surprise = hidden.new_zeros(())
        if self.masked:
            total, surprise = head.cross_entropy(hidden[batch.masked], batch.targets, 0.0)
        if self.next_sentence:
            pairs = batch.follows != ALONE
            scores = exact(head.follows(hidden[pairs, 0]))
            of_pairs = F.cross_entropy(scores, batch.follows[pairs], reduction="sum")
            total = total + of_pairs * (self.pair_weight if self.masked else 1.0)
            surprise = surprise if self.masked else of_pairs.detach()
        return Loss(total, surprise, max(1, self.scored(batch)))

    def scored(self, batch: Batch) -> int:
        """The number of masked tokens, or of pairs, that the loss sums over."""
        return len(batch.targets) if self.masked else int((batch.follows != ALONE).sum())

    @torch.no_grad()
    def measure(
        self,
        model: nn.Module,
        head: PretrainingHead,
        data: Passages,
        batch_size: int,
        before_batch: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """Loss (nats a masked token) and the shares of masked tokens and of pairs that are told right, with their 95 %
        intervals; what is masked, and which pairs, is always the same.
        """
        device = next(model.parameters()).device
        tokens = right = pairs = rightly = 0
        surprise = of_pairs = 0.0
        for rows in by_length(data.lengths, batch_size, model):
            before_batch()
            batch = self.batch(data, rows, _EVALUATED).to(device)
            hidden = model(batch.inputs).hidden
            if self.masked:
                scores = exact(head(hidden[batch.masked]))
                surprise += float(F.cross_entropy(scores, batch.targets, reduction="sum"))
                right += int((scores.argmax(-1) == batch.targets).sum())
                tokens += len(batch.targets)
            if self.next_sentence:
                real = batch.follows != ALONE
                scores = exact(head.follows(hidden[real, 0]))
                of_pairs += float(F.cross_entropy(scores, batch.follows[real], reduction="sum"))
                rightly += int((scores.argmax(-1) == batch.follows[real]).sum())
                pairs += int(real.sum())
        found: dict[str, Any] = {"loss": surprise / max(1, tokens) if self.masked else of_pairs / max(1, pairs)}
        if self.masked:
            found |= {"perplexity": math.exp(min(found["loss"], 100.0)), "masked_tokens": tokens}
            found |= _share("masked_accuracy", right, tokens)
        if self.next_sentence:
            found |= {"next_sentence_loss": of_pairs / max(1, pairs), "pairs": pairs}
            found |= _share("next_sentence_accuracy", rightly, pairs)
        return found

    @torch.no_grad()
    def samples(self, model: nn.Module, head: PretrainingHead, data: Passages, most: int) -> list[tuple[str, ...]]:
        """Some rows to read, as the model is measured on them: what it is given, what stood there and what it tells; of
        a pair whether the second text follows, and what it tells.
        """
        rows = np.linspace(0, len(data) - 1, min(most, len(data))).astype(np.int64)
        batch = self.batch(data, rows, _EVALUATED).to(next(model.parameters()).device)
        hidden = model(batch.inputs).hidden
        read = [batch.inputs.tokens]
        if self.masked:
            told = exact(head(hidden[batch.masked])).argmax(-1)
            read += [batch.inputs.tokens.masked_scatter(batch.masked, each) for each in (batch.targets, told)]
        lines = [
            [self._shown(ids[real].tolist()) for ids, real in zip(tokens, batch.inputs.mask, strict=True)]
            for tokens in read
        ]
        if self.next_sentence:
            guesses = exact(head.follows(hidden[:, 0])).argmax(-1).tolist()
            known = zip(batch.follows.tolist(), guesses, strict=True)
            lines.append(["" if true == ALONE else _judged(true, guess) for true, guess in known])
        return [tuple(line for line in each if line) for each in zip(*lines, strict=True)]

    def _shown(self, ids: Sequence[int]) -> str:
        """Tokens as a text, special ones among them."""
        pieces = [self.tokenizer.token(id).removeprefix("##" * self.tokenizer.goes_on(id)) for id in ids[1:-1]]
        text = "".join(f" {piece} " if piece in self.tokenizer.special else piece for piece in pieces)
        return " ".join(text.split())


def _judged(true: int, guess: int) -> str:
    return f"{NEXT_SENTENCE[true]}, told as {NEXT_SENTENCE[guess]}"


def with_masks(tokenizer: Tokenizer, text: str) -> list[int]:
    """Token ids of a text in which "[MASK]" stands for one token, with the space before it; special ones are added."""
    line = tokenizer.encode("\n")  # behind a line break no space is put before a text
    first, *rest = text.split(MASK)
    ids = tokenizer.encode(first.removesuffix(" ") if rest else first)
    for part in rest[:-1]:
        ids += [tokenizer.mask_id, *tokenizer.encode("\n" + part.removesuffix(" "))[len(line) :]]
    if rest:
        ids += [tokenizer.mask_id, *tokenizer.encode("\n" + rest[-1])[len(line) :]]
    return [tokenizer.cls_id, *ids, tokenizer.sep_id]


def _share(name: str, right: int, of: int) -> dict[str, Any]:
    return {name: right / max(1, of), f"{name}_interval": list(share_interval(right, of))}


def _choose(begins: NDArray[np.bool_], ordinary: NDArray[np.bool_], share: float, rng: np.random.Generator) -> Indices:
    """Places of tokens to tell: of the ordinary ones this share, at least one, in whole words where words have several
    tokens; a word that would be too much is passed over unless it is the first.
    """
    places = np.flatnonzero(ordinary)
    words = np.split(places, np.flatnonzero(begins[places])[1:]) if not begins[places].all() else places[:, None]
    wanted = max(1, round(share * len(places)))
    chosen: list[Any] = []
    for word in rng.permutation(len(words)).tolist():
        if not chosen or len(chosen) + len(words[word]) <= wanted:
            chosen.extend(words[word])
        if len(chosen) >= wanted:
            break
    return np.sort(np.array(chosen, np.int64))


def _word_begins(tokenizer: Tokenizer, text: str) -> NDArray[np.int32]:
    """For each token of a text 1 where a word begins in it, and at the first one, else 0."""
    starts = np.array([begin for begin, _ in word_ranges(text)], np.int64)
    _, offsets = tokenizer.encode_with_offsets(text)
    seen = np.zeros(len(offsets), np.int32)
    last = 0
    for place, (_, end) in enumerate(offsets):
        reached = int(np.searchsorted(starts, end))  # words that have begun before the token's end
        seen[place] = reached > last
        last = max(last, reached)
    seen[:1] = 1
    return seen
