"""A loaded classifier: say to which class a text or a pair of texts belongs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from keifu.data.labelled import KINDS, load_labelled
from keifu.data.pairs import Form
from keifu.errors import CheckpointError, ConfigError, DataError
from keifu.session.reading import (
    FEWEST_TOKENS,
    ReadingModel,
    called,
    read_labels,
    read_most_tokens,
    refuse_others,
)
from keifu.tasks.classification import Classification
from keifu.tasks.reading import Encoded, summary_of
from keifu.text import Tokenizer
from keifu.trace import Edit, Recorded, Trace

_MOST = max(KINDS)


@dataclass(frozen=True)
class Classified:
    """A text, the class that is likeliest, and the probabilities of classes, likeliest first. cut: whether the text was
    longer than those of training, so that its beginning alone was read.
    """

    text: str
    label: str
    probabilities: dict[str, float]
    cut: bool = False

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
        self.texts = _read_texts(path, config)
        most = read_most_tokens(path, config, least=FEWEST_TOKENS)
        super().__init__(path, config, tensors, tokenizer, lambda: Classification(tokenizer, self.classes), most)

    def classify(
        self,
        text: str | Sequence[str],
        *,
        top: int | None = None,
        head: str | None = None,
        details: bool = False,
        batch_size: int | None = None,
    ) -> Any:
        """The class of a text; of a list of texts, a list. A pair is two texts with a TAB between. What goes beyond the
        longest text of training is not read.

        details=True gives `Classified` objects with the probabilities of the `top` likeliest classes (default: all).
        Raises ConfigError.
        """
        if head is not None:
            raise ConfigError(f"head {head!r}: a classifier has one head; leave it away")
        texts = [text] if isinstance(text, str) else list(text)
        encoded = self._encoded(texts)
        shares = [each[0].tolist() for each in self.probabilities(encoded, batch_size)]
        found = [
            ranked(one, self.classes, share, top, cut)
            for one, share, cut in zip(texts, shares, encoded.cut.tolist(), strict=True)
        ]
        results: list[Any] = [one if details else one.label for one in found]
        return results[0] if isinstance(text, str) else results

    def trace(self, text: str, names: Sequence[str] = ("*",), edits: Mapping[str, Edit] | None = None) -> Trace:
        """What the model computes while it reads a text, or a pair with a TAB between; "classes" are the scores.

        names: patterns of the values to keep. edits: pattern -> function that replaces a value.
        """
        encoded = self._encoded([text])

        def scores(hidden: Tensor) -> dict[str, Recorded]:
            real = hidden.new_ones(hidden.shape[:2]).bool()
            summary = summary_of(self.network, hidden, real)
            return {"classes": Recorded("classes", "B C", self.head(summary), {"C": "classes"})}

        named = {"classes": list(self.classes)}
        return self.recorded(encoded.tokens[0].tolist(), int(encoded.firsts[0]), names, edits, scores, named)

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
        if self.texts not in (None, len(found.examples[0].texts)):
            raise DataError(f"{found.spec}: {found.kind}; {self._expected}")
        return self.scores_of_decisions(found, self.classes, "text", batch_size)

    def _encoded(self, texts: Sequence[str]) -> Encoded:
        """Texts as the model reads them. Raises ConfigError."""
        several = split_pairs(texts)
        for place, each in enumerate(several):
            if self.texts not in (None, len(each)):
                raise ConfigError(f"{called(texts, place)}: {KINDS[len(each)]}; {self._expected}")
        encoded: Encoded = self.task.encode_texts(several, self.most_tokens)
        return encoded

    @property
    def _expected(self) -> str:
        return f"this model was trained on {KINDS[self.texts or 1]}" + " with a TAB between" * (self.texts == _MOST)


def _read_texts(path: Path, config: Mapping[str, Any]) -> int | None:
    """The texts of an example, 1 or 2, of a config.json; None where it does not say. Raises CheckpointError."""
    texts: int | None = config.get("texts")
    if texts not in [None, *KINDS]:  # which may be a list
        raise CheckpointError(f"{path}/config.json: texts: expected 1 or 2; copy the whole folder again")
    return texts


def split_pairs(texts: Sequence[str]) -> list[list[str]]:
    """Of each the texts of a pair with a TAB between, or the one text. Raises ConfigError."""
    several = [text.split("\t") for text in texts]
    for place, each in enumerate(several):
        if len(each) > _MOST:
            raise ConfigError(f"{called(texts, place)}: {len(each)} texts with TABs between; expected one or two")
    return several


def ranked(
    text: str, classes: Sequence[str], shares: Sequence[float], top: int | None, cut: bool = False
) -> Classified:
    """The likeliest classes of a text. Raises ConfigError."""
    if top is not None and top < 1:
        raise ConfigError(f"top {top}: expected at least 1")
    order = sorted(range(len(classes)), key=lambda place: -shares[place])[:top]
    return Classified(text, classes[order[0]], {classes[place]: shares[place] for place in order}, cut)
