"""The random choices of one sentence, and the phrases that they make."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from keifu.data.enja.nouns import Noun
from keifu.data.enja.verbs import Verb
from keifu.data.enja.words import Chunk, Word

T = TypeVar("T")


class Reject(Exception):
    """What was drawn so far cannot become a sentence."""


class Draw:
    """The random choices of one sentence, and what is to be known of it: its constructions and its verb-noun pairs."""

    __slots__ = ("held", "pairs", "random", "tags")

    def __init__(self, random: Callable[[], float], held: bool = False) -> None:
        self.random = random
        self.held = held  # prefer held-out nouns
        self.tags: set[str] = set()
        self.pairs: list[tuple[str, str]] = []

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self.random() * len(options))]

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def noun(self, verb: Verb, among: Sequence[Noun] | None = None) -> Noun:
        """An object of `verb`, from `among` if given; held-out pairs come only where they are wanted."""
        if among is None and self.held and verb.held and self.random() < 0.7:
            noun = self.pick(verb.held)
        elif among is not None:
            allowed = [noun for noun in among if noun in verb.kept or (self.held and noun in verb.held)]
            if not allowed:
                raise Reject
            noun = self.pick(allowed)
        else:
            noun = self.pick(verb.kept)
        self.pairs.append((verb.lemma, noun.english))
        return noun


@dataclass(slots=True, eq=False)
class Nominal:
    """A noun phrase. `who` is the pronoun that agrees with it ("it" also for a person of unknown gender)."""

    english: list[Word]
    japanese: list[Chunk]
    who: str
    definite: bool = True
    noun: Noun | None = None
    count: list[Chunk] = field(default_factory=list)  # 三冊 of 本を三冊
    person: str = ""  # what kind of person: pronoun, name, kin, relation, role
    key: str = ""  # tells whether two phrases mean the same


@dataclass(slots=True, eq=False)
class Phrase:
    """An adverbial phrase: place, time or adverb."""

    english: list[Word]
    japanese: list[Chunk]
