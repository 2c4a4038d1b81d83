"""What a data set is made of: the examples that tasks turn into batches."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alignment:
    """Which words of a pair belong together, known because a grammar wrote both sides.

    `source_words` and `target_words` are character ranges `(start, end)` in the two texts, in reading order.
    `links` names pairs `(target word, source word)` by index. A target word without a link (a particle that
    no English word stands for) is not scored.
    """

    source_words: tuple[tuple[int, int], ...]
    target_words: tuple[tuple[int, int], ...]
    links: frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Pair:
    """A sentence and its translation. Built-in corpora also know its constructions and its word alignment."""

    source: str
    target: str
    constructions: tuple[str, ...] = ()
    alignment: Alignment | None = None


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A text, or a pair of texts, and the class that it belongs to."""

    texts: tuple[str, ...]
    label: str


@dataclass(frozen=True, slots=True)
class TaggedSentence:
    """The words of a sentence, and the tag of each."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A question on a story, and its answer; several words of an answer (a list) are joined by commas.

    facts: what was told before it, in order. supporting: which of them lead to the answer, by index, where that is
    known. kind: the sort of question that it is, of which figures are given apart.
    """

    facts: tuple[str, ...]
    question: str
    answer: str
    supporting: tuple[int, ...] = ()
    kind: str = ""
