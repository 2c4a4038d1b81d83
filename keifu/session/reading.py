"""What loaded models have in common that say something about texts: settings, vectors, classes of a batch."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from keifu.data.batches import Sequences
from keifu.errors import CheckpointError, ConfigError, DataError
from keifu.interface import TokenBatch
from keifu.session.model import Model, read_sections
from keifu.tasks.reading import (
    Encoded,
    Reading,
    backward_parts_of,
    by_length,
    decide,
    hidden_of,
    join,
    last_of,
    mean_of,
    moved,
    pad,
)
from keifu.text import Tokenizer
from keifu.trace import Edit, Recorded, Recorder, Trace, bound
from keifu.training.evaluation import decision_scores

POOLS = ("cls", "mean", "last")
_SHOWN = 40  # characters of a text in messages
FEWEST_TOKENS = 3  # that a text may be cut to: its own one between [CLS] and [SEP]


class ReadingModel(Model):
    """A model that reads texts."""

    def __init__(
        self,
        path: Path,
        config: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
        tokenizer: Tokenizer,
        make_task: Callable[[], Any],
        most_tokens: int | None,
    ) -> None:
        """config: the content of its config.json. most_tokens: that were read together in training. Raises
        CheckpointError.
        """
        if not tokenizer.reads:
            raise CheckpointError(
                f"{path}/tokenizer.json: without [CLS], [SEP] and [MASK]; copy the whole folder again"
            )
        sections = read_sections(path, config, {"decoding": Reading})
        self.reading: Reading = sections["decoding"]
        self.most_tokens = most_tokens
        super().__init__(path, sections["model"], tensors, tokenizer, make_task())

    @property
    def room(self) -> int | None:
        """Tokens of the longest text that is read at once: no more than in training, where places are learned; None
        where they are not.
        """
        longest: int | None = getattr(self.network, "longest", None)
        return None if longest is None else min(longest, self.most_tokens or longest)

    def refuse_too_long(self, texts: Sequence[str], lengths: Sequence[int]) -> None:
        """Raises ConfigError where a text has more tokens than can be read at once."""
        for place, length in enumerate(lengths):
            if self.room is not None and length > self.room:
                raise ConfigError(f"{called(texts, place)} has {length} tokens; at most {self.room} are read; split it")

    def batch_size(self, asked: int | None) -> int:
        """How many texts to read together. Raises ConfigError."""
        if asked is not None and asked < 1:
            raise ConfigError(f"batch_size {asked}: expected at least 1")
        return asked or self.reading.batch_size

    @torch.no_grad()
    def embed(
        self,
        text: str | Sequence[str],
        pool: str | None = None,
        *,
        normalise: bool = False,
        batch_size: int | None = None,
    ) -> Any:
        """A vector `[D]` for a text; of a list of texts, a list.

        pool: "mean" of all tokens' vectors, "last", that with which reading ends, or of a model that sums a text up
        there "cls", the vector of [CLS]. normalise: to the length 1, so that inner products are cosines. A text that is
        too long is read in parts, of which the mean is that of all tokens, "cls" that of the first part and "last" that
        of the last. Raises ConfigError.
        """
        pool, name = pool or "mean", self.model_config.name
        pools = POOLS if hasattr(self.network, "summary") else POOLS[1:]
        if pool not in pools:
            raise ConfigError(f"pool {pool!r} is not known of {name}; expected {', '.join(pools[:-1])} or {pools[-1]}")
        texts = [text] if isinstance(text, str) else list(text)
        parts = [self._parts(ids) for ids in self.tokens_of(texts)]
        tokens = Sequences(part for each in parts for part in each)
        vectors: list[Any] = [None] * len(tokens)
        for some in by_length(tokens.lengths, self.batch_size(batch_size), self.network):
            inputs = moved(pad(self.tokenizer, tokens, tokens.lengths, some), self.device)
            hidden = hidden_of(self.network, inputs).float()
            if pool == "mean":
                found = mean_of(hidden, inputs.mask)
            elif pool == "last":
                found = last_of(hidden, inputs.mask.sum(1), backward_parts_of(self.network))
            else:
                found = hidden[:, 0]
            for row, vector in zip(some.tolist(), found, strict=True):
                vectors[row] = vector
        ends = np.cumsum([len(each) for each in parts]).tolist()
        whole = [
            _of_parts(vectors[end - len(each) : end], list(map(len, each)), pool)
            for each, end in zip(parts, ends, strict=True)
        ]
        whole = [F.normalize(vector, dim=-1) for vector in whole] if normalise else whole
        return whole[0] if isinstance(text, str) else whole

    def tokens_of(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text, without [CLS] and [SEP]."""
        return self.tokenizer.encode_batch(texts)

    def _parts(self, ids: Sequence[int]) -> list[list[int]]:
        """A text as it is read, in parts where it is too long."""
        most = max(1, len(ids)) if self.room is None else self.room - 2
        return [join(self.tokenizer, [ids[at : at + most]])[0] for at in range(0, max(1, len(ids)), most)]

    def inputs(self, text: str, *more: str) -> TokenBatch:
        if more:
            raise ConfigError("it reads one text; leave the other away")
        ids = join(self.tokenizer, self.tokens_of([text]))[0]
        self.refuse_too_long([text], [len(ids)])
        tokens = Sequences([ids])
        return moved(pad(self.tokenizer, tokens, tokens.lengths, np.array([0])), self.device)

    @torch.no_grad()
    def probabilities(self, encoded: Encoded, batch_size: int | None) -> list[Any]:
        """Of each row those of its classes `[n, C]`."""
        return decide(self.task, self.network, self.head, encoded, self.batch_size(batch_size))[0]

    def scores_of_decisions(
        self, found: Any, classes: Sequence[str], unit: str, batch_size: int | None
    ) -> dict[str, Any]:
        """What the model scores on examples with classes, and how fast. unit: what has a class, a "text" or a "word".
        Raises ConfigError and DataError.
        """
        refuse_unknown(found.spec, list(found.labels), classes)
        began = time.perf_counter()
        encoded = self.task.encode(found.examples, self.most_tokens)
        decided, surprise = decide(self.task, self.network, self.head, encoded, self.batch_size(batch_size))
        seconds = time.perf_counter() - began
        left_out = {"left_out": found.blank} if getattr(found, "blank", 0) else {}
        report = {"data": found.spec, "cut": int(encoded.cut.sum()), "unit": unit, **left_out}
        if unit == "word":
            report["unread"] = sum(len(one.words) for one in found.examples) - len(encoded.targets.tokens)
        report |= decision_scores(encoded, decided, surprise, classes)
        return report | self.role_in_training(found.sha256) | {"texts_per_second": len(encoded) / seconds}

    @torch.no_grad()
    def recorded(
        self,
        ids: Sequence[int],
        first: int,
        names: Sequence[str],
        edits: Mapping[str, Edit] | None,
        scores: Callable[[Tensor], dict[str, Recorded]],
        named: Mapping[str, Sequence[str]],
    ) -> Trace:
        """What the model computes while it reads these tokens, and what `scores` makes of the hidden vectors. named:
        the sequences beside the text's tokens.
        """
        tokens = Sequences([ids])
        inputs = moved(pad(self.tokenizer, tokens, np.array([first]), np.array([0])), self.device)
        with Recorder(self.network, names, edits) as recorder:
            hidden = hidden_of(self.network, inputs)
        values = {**recorder.values(), **scores(hidden)}
        labels = self.labels(inputs.tokens[0])
        sequences = {"text": labels, "source": labels, **named}
        return Trace(bound(values, self.network.axis_sequences), sequences)


def _of_parts(vectors: Sequence[Tensor], lengths: Sequence[int], pool: str) -> Tensor:
    """The vector of a text, of those of its parts."""
    if pool == "mean":
        weights = torch.tensor(lengths, device=vectors[0].device)[:, None] / sum(lengths)
        return (torch.stack(list(vectors)) * weights).sum(0)
    return vectors[0 if pool == "cls" else -1]


def read_most_tokens(path: Path, config: Mapping[str, Any], least: int = 1) -> int | None:
    """The tokens that were read together in training, of a config.json; None where it does not say. Raises
    CheckpointError.
    """
    most: int | None = config.get("max_tokens")
    if most is not None and (type(most) is not int or most < least):
        raise CheckpointError(f"{path}/config.json: max_tokens: expected a whole number from {least} on")
    return most


def read_labels(path: Path, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes in a config.json. Raises CheckpointError."""
    labels = config.get("labels")
    if isinstance(labels, list) and len(labels) > 1 and all(isinstance(label, str) for label in labels):
        return tuple(labels)
    raise CheckpointError(f"{path}/config.json: labels: expected a list of names; copy the folder again")


def called(texts: Sequence[str], place: int) -> str:
    """What messages call one of these texts, the one at `place`: its beginning, of several its number from 1, too."""
    begins = repr(texts[place][:_SHOWN]) + "..." * (len(texts[place]) > _SHOWN)
    return begins if len(texts) == 1 else f"text {place + 1}, {begins}"


def refuse_others(kind: str, other: Mapping[str, Any]) -> None:
    """Raises ConfigError for options of `evaluate` that such a model does not have."""
    if given := [name for name, value in other.items() if value is not None]:
        raise ConfigError(f"{given[0]} does not go with {kind}; leave it away")


def refuse_unknown(spec: str, found: Sequence[str], known: Sequence[str]) -> None:
    """Raises DataError where the data have a class that the model was not taught."""
    if other := [label for label in found if label not in known]:
        raise DataError(
            f"{spec}: the class {other[0]!r} is not among those of the model, {', '.join(known[:10])}; correct it, or "
            "choose other data"
        )
