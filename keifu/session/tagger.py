"""A loaded tagger: say the tag of every word of a sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from keifu.data.pairs import Form
from keifu.data.tagged import load_tagged
from keifu.session.reading import FEWEST_TOKENS, ReadingModel, read_labels, read_most_tokens, refuse_others
from keifu.tasks.tagging import Tagging
from keifu.text import Tokenizer
from keifu.text.words import words
from keifu.trace import Edit, Recorded, Trace


@dataclass(frozen=True)
class TaggedWord:
    """A word, its tag, and how likely that is."""

    word: str
    tag: str
    probability: float


class Tagger(ReadingModel):
    """A trained tagger, ready to use."""

    uses = ("tag", "embed", "evaluate")

    def __init__(
        self, path: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor], tokenizer: Tokenizer
    ) -> None:
        """config: the content of its config.json. Raises CheckpointError."""
        self.classes = read_labels(path, config)
        most = read_most_tokens(path, config, least=FEWEST_TOKENS)
        super().__init__(path, config, tensors, tokenizer, lambda: Tagging(tokenizer, self.classes), most)

    def tag(self, text: str | Sequence[str], *, details: bool = False, batch_size: int | None = None) -> Any:
        """The words of a text, each with its tag; of a list of texts, a list.

        Words are found by rules, and those of Japanese by the analyser of keifu[ja], unless there are spaces between
        them. details=True gives `TaggedWord` objects, else (word, tag). Raises ConfigError.
        """
        texts = [text] if isinstance(text, str) else list(text)
        sentences = [words(one) for one in texts]
        encoded = self.task.encode_words(sentences)
        self.refuse_too_long(texts, encoded.tokens.lengths.tolist())
        shares = self.probabilities(encoded, batch_size)
        results: list[Any] = []
        for sentence, each in zip(sentences, shares, strict=True):
            found = [
                TaggedWord(word, self.classes[int(share.argmax())], float(share.max()))
                for word, share in zip(sentence, each, strict=True)
            ]
            results.append(found if details else [(one.word, one.tag) for one in found])
        return results[0] if isinstance(text, str) else results

    def tokens_of(self, texts: Sequence[str]) -> list[list[int]]:
        """As in training, where every word is cut by itself."""
        return [row[1:-1].tolist() for row in self.task.encode_words([words(one) for one in texts]).tokens]

    def trace(self, text: str, names: Sequence[str] = ("*",), edits: Mapping[str, Edit] | None = None) -> Trace:
        """What the model computes while it reads a text; "classes" are the scores of the tags at every token.

        names: patterns of the values to keep. edits: pattern -> function that replaces a value.
        """
        encoded = self.task.encode_words([words(text)])
        self.refuse_too_long([text], encoded.tokens.lengths.tolist())

        def scores(hidden: Tensor) -> dict[str, Recorded]:
            return {"classes": Recorded("classes", "B T C", self.head(hidden), {"T": "text", "C": "classes"})}

        named = {"classes": list(self.classes)}
        return self.recorded(encoded.tokens[0].tolist(), int(encoded.firsts[0]), names, edits, scores, named)

    def evaluate(
        self, data: str, *, encoding: str = "utf-8", batch_size: int | None = None, **other: Any
    ) -> dict[str, Any]:
        """Accuracy over all words and macro F1 with their 95 % intervals, the scores of every tag, and the confusion
        matrix. Words of long sentences that it does not read are counted in "unread", and in nothing else.

        A set without a part is measured on `test`. Says in "selected_on" whether the best checkpoint was chosen on
        this very data, in "trained_on" whether it is what the model was trained on. Raises ConfigError and DataError.
        """
        refuse_others("a tagger", {key: value or None for key, value in other.items()})
        found = load_tagged(data, "test", Form((), encoding))
        return self.scores_of_decisions(found, self.classes, "word", batch_size) | {"sentences": len(found.examples)}
