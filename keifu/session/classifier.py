"""A loaded classifier: say to which class a text or a pair of texts belongs."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from keifu.data.labelled import load_labelled
from keifu.data.pairs import Form
from keifu.errors import ConfigError, DataError
from keifu.session.reading import ReadingModel, read_labels, read_most_tokens, refuse_others
from keifu.tasks.classification import Classification
from keifu.tasks.reading import decide, summary_of
from keifu.text import Tokenizer
from keifu.trace import Edit, Recorded, Trace
from keifu.training.evaluation import decision_scores

_MOST = 2


@dataclass(frozen=True)
class Classified:
    """A text, the class that is likeliest, and the probabilities of classes, likeliest first."""

    text: str
    label: str
    probabilities: dict[str, float]

    @property
    def probability(self) -> float:
        return self.probabilities[self.label]


class Classifier(ReadingModel):
    """A trained classifier, ready to use."""

    uses = ("classify", "embed", "evaluate")

    def __init__(
        self, path: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor], tokenizer: Tokenizer
    ) -> None:
        """config: the content of its config.json. Raises CheckpointError."""
        self.classes = read_labels(path, config)
        self.most_tokens = read_most_tokens(path, config)
        super().__init__(path, config, tensors, tokenizer, lambda: Classification(tokenizer, self.classes))

    def classify(
        self,
        text: str | Sequence[str],
        *,
        top: int | None = None,
        head: str | None = None,
        details: bool = False,
        batch_size: int | None = None,
    ) -> Any:
        """The class of a text; of a list of texts, a list. A pair is two texts with a TAB between.

        details=True gives `Classified` objects with the probabilities of the `top` likeliest classes (default: all).
        Raises ConfigError.
        """
        if head is not None:
            raise ConfigError(f"head {head!r}: a classifier has one head; leave it away")
        texts = [text] if isinstance(text, str) else list(text)
        encoded = self.task.encode_texts([split_pair(one) for one in texts])
        shares = [each[0] for each in self.probabilities(encoded, batch_size)]
        found = [ranked(one, self.classes, share.tolist(), top) for one, share in zip(texts, shares, strict=True)]
        results: list[Any] = [one if details else one.label for one in found]
        return results[0] if isinstance(text, str) else results

    def trace(self, text: str, names: Sequence[str] = ("*",), edits: Mapping[str, Edit] | None = None) -> Trace:
        """What the model computes while it reads a text, or a pair with a TAB between; "classes" are the scores.

        names: patterns of the values to keep. edits: pattern -> function that replaces a value.
        """
        encoded = self.task.encode_texts([split_pair(text)])

        def scores(hidden: Tensor) -> dict[str, Recorded]:
            real = hidden.new_ones(hidden.shape[:2]).bool()
            summary = summary_of(self.network, hidden, real)
            return {"classes": Recorded("classes", "B C", self.head(summary))}

        return self.recorded(encoded.tokens[0].tolist(), int(encoded.firsts[0]), names, edits, scores)

    def evaluate(
        self,
        data: str,
        *,
        columns: Sequence[str] = (),
        encoding: str = "utf-8",
        batch_size: int | None = None,
        **other: Any,
    ) -> dict[str, Any]:
        """Accuracy and macro F1 with their 95 % intervals, the scores of every class, and the confusion matrix.

        A set without a part is measured on `test`. Says in "selected_on" whether the best checkpoint was chosen on
        this very data, in "trained_on" whether it is what the model was trained on. Raises ConfigError and DataError.
        """
        refuse_others("a classifier", other)
        found = load_labelled(data, "test", Form(tuple(columns), encoding))
        refuse_unknown(found.spec, list(found.labels), self.classes)
        began = time.perf_counter()
        encoded = self.task.encode(found.examples, self.most_tokens)
        decided, surprise = decide(self.task, self.network, self.head, encoded, self.batch_size(batch_size))
        seconds = time.perf_counter() - began
        report = {"data": found.spec, "cut": encoded.cut}
        report |= decision_scores(encoded, decided, surprise, self.classes) | {"unit": "text"}
        return report | self.role_in_training(found.sha256) | {"texts_per_second": len(encoded) / seconds}


def split_pair(text: str) -> list[str]:
    """The texts of a pair with a TAB between, or the one text. Raises ConfigError."""
    texts = text.split("\t")
    if len(texts) > _MOST:
        raise ConfigError(f"{text[:40]!r}: {len(texts)} texts with TABs between; expected one or two")
    return texts


def ranked(text: str, classes: Sequence[str], shares: Sequence[float], top: int | None) -> Classified:
    """The likeliest classes of a text. Raises ConfigError."""
    if top is not None and top < 1:
        raise ConfigError(f"top {top}: expected at least 1")
    order = sorted(range(len(classes)), key=lambda place: -shares[place])[:top]
    return Classified(text, classes[order[0]], {classes[place]: shares[place] for place in order})


def refuse_unknown(spec: str, found: Sequence[str], known: Sequence[str]) -> None:
    """Raises DataError where the data have a class that the model was not taught."""
    if other := [label for label in found if label not in known]:
        raise DataError(
            f"{spec}: the class {other[0]!r} is not among those of the model, {', '.join(known[:10])}; correct it, or "
            "choose other data"
        )
