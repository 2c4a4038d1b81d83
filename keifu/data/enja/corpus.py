"""The corpus: how often each construction comes, and how the sentences are divided into parts."""

import random
import zlib
from collections.abc import Callable, Iterator, Sequence

from keifu.data.enja import descriptions, joined, longer, people, phrases, questions, relative, statements, subordinate
from keifu.data.enja.adjectives import ADJECTIVES
from keifu.data.enja.clauses import Clause
from keifu.data.enja.draws import Draw, Reject
from keifu.data.enja.nouns import BY_NAME, NAMES, NOUNS
from keifu.data.enja.statements import Construction, Sentence
from keifu.data.enja.verbs import BY_KEY, VERBS, held_out
from keifu.data.enja.words import pair, spell
from keifu.data.examples import Pair
from keifu.errors import DataError

SIZES = {"train": 100_000, "dev": 1_000, "test": 2_000, "length": 500, "combination": 1_000}
SEEDS = {"train": 1, "dev": 2, "test": 3, "length": 4, "combination": 5}
LONGEST = 14  # English words of a sentence; those of `length` have more
LONGEST_OF_ALL = 22
# A hash of the English sentence gives it to one part for good, so that each part can be generated alone.
BUCKETS = {"dev": range(0, 1), "test": range(1, 4), "train": range(4, 20)}

# The nine that results are reported for come first.
LABELS = (
    "tense", "negation", "question", "adjective", "number", "place", "time", "subordinate", "relative",
    "comparison", "desire", "ability", "obligation", "request", "suggestion", "experience", "gerund", "conjunction",
)  # fmt: skip

_WEIGHTS: tuple[tuple[Construction, int], ...] = (
    (statements.plain, 9), (statements.habit, 8), (statements.past, 9), (statements.progressive, 6),
    (statements.future, 6), (statements.negative, 7), (statements.animal, 2), (statements.all_day, 2),
    (statements.wish, 3), (statements.ability, 2), (statements.duty, 3), (statements.experience, 1),
    (statements.request, 1), (statements.shall_we, 1), (statements.activity, 3), (statements.possessions, 7),
    (statements.group_action, 2), (descriptions.description, 8), (descriptions.described_noun, 3),
    (descriptions.identity, 2), (descriptions.weather, 4), (descriptions.existence, 5), (descriptions.location, 2),
    (descriptions.comparison, 3), (descriptions.most, 1), (questions.yes_no_question, 6), (questions.ever, 1),
    (questions.mood, 1), (questions.what, 2), (questions.who, 2), (questions.whom, 1), (questions.where, 2),
    (questions.where_to, 1), (questions.when, 2), (questions.why, 2), (questions.how_many, 2), (questions.where_is, 1),
    (questions.how_is, 2), (questions.which, 1), (subordinate.reason, 6), (subordinate.weather_reason, 5),
    (subordinate.habitual, 3), (subordinate.condition, 4), (subordinate.order, 4), (subordinate.at_the_same_time, 2),
    (subordinate.meanwhile, 2), (subordinate.because_it, 3), (subordinate.ambition, 1), (subordinate.fancy, 1),
    (subordinate.opinion, 3), (subordinate.report, 1), (joined.went_and, 4), (joined.contrast, 3),
    (relative.described, 6), (relative.used, 5), (relative.who_is, 5), (relative.knows, 3), (relative.animal_that, 1),
    (relative.opinion_of, 1),
)  # fmt: skip
CONSTRUCTIONS = tuple(construction for construction, weight in _WEIGHTS for _ in range(weight))
LONG: tuple[Construction, ...] = (
    longer.reason, longer.outing, longer.meanwhile, longer.because_it, longer.opinion, longer.sequence,
)  # fmt: skip

Derivation = tuple[Pair, frozenset[tuple[str, str]]]


def draws(
    seed: int, constructions: Sequence[Construction] = CONSTRUCTIONS, held: bool = False
) -> Iterator[tuple[Sentence, Draw]]:
    """Sentences without end, as the constructions make them. Only `random()` is used: it is the same everywhere."""
    value = random.Random(seed).random
    while True:
        draw = Draw(value, held)
        try:
            yield draw.pick(constructions)(draw), draw
        except Reject:
            continue


def _labels(draw: Draw) -> tuple[str, ...]:
    return tuple(label for label in LABELS if label in draw.tags)


def finished(sentence: Sentence, draw: Draw) -> Pair:
    english, end, japanese = sentence
    source, spans = spell(english, end)
    return pair(source, spans, japanese, _labels(draw))


def derivations(part: str) -> Iterator[Derivation]:
    """The pairs of a part, each with the verb-noun pairs ("look for", "key") that it was made of."""
    if part not in SIZES:
        raise DataError(f"builtin:enja: no part {part!r}; expected one of {', '.join(SIZES)}")
    long, held = part == "length", part == "combination"
    shortest, longest = (LONGEST + 1, LONGEST_OF_ALL) if long else (1, LONGEST)
    buckets = BUCKETS.get(part, range(20))
    seen = set(DEMONSTRATED)
    missing = SIZES[part]
    for (english, end, japanese), draw in draws(SEEDS[part], LONG if long else CONSTRUCTIONS, held):
        source, spans = spell(english, end)
        if source in seen or zlib.crc32(source.encode()) % 20 not in buckets:
            continue
        if not shortest <= len(spans) <= longest or any(held_out(*each) for each in draw.pairs) != held:
            continue
        seen.add(source)
        yield pair(source, spans, japanese, _labels(draw)), frozenset(draw.pairs)
        missing -= 1
        if not missing:
            return


def generate(part: str) -> list[Pair]:
    """The sentences of `train`, `dev`, `test`, `length` or `combination`: always the same ones."""
    return [each for each, _ in derivations(part)]


def counts() -> dict[str, int]:
    """How many different words the lexicon has; a verb with two translations counts once."""
    return {
        "nouns": len({noun.english for noun in NOUNS}),
        "verbs": len({verb.main for verb in VERBS if not verb.be}),
        "adjectives": len({adjective.english for adjective in ADJECTIVES}),
        "names": len(NAMES),
    }


def _likes_cats(draw: Draw) -> Sentence:
    cats = phrases.thing(draw, BY_NAME["cat"], "s")
    return statements.statement(Clause(people.pronoun("I"), BY_KEY["like"], "present", False, cats))


def _has_a_cat(draw: Draw) -> Sentence:
    cat = phrases.thing(draw, BY_NAME["cat"], "a")
    return statements.statement(Clause(people.pronoun("I"), BY_KEY["have#pet"], "present", False, cat))


def _reads_in_the_library(draw: Draw) -> Sentence:
    draw.tags.update(("tense", "place"))
    clause = Clause(people.the_person(draw, BY_NAME["old man"]), BY_KEY["read"], "progressive")
    clause.object = phrases.thing(draw, BY_NAME["book"], "a")
    clause.place = phrases.place(("", BY_NAME["library"]))
    return statements.statement(clause)


def _sleeps_all_day(draw: Draw) -> Sentence:
    draw.tags.add("time")
    cat = phrases.thing(draw, BY_NAME["cat"], "t")
    time = statements.through_the_day()
    return statements.statement(Clause(cat, statements.lasting(BY_KEY["sleep"]), "present", time=time))


def _where_is_the_station(draw: Draw) -> Sentence:
    draw.tags.add("question")
    return questions.of_a_thing(phrases.thing(draw, BY_NAME["station"], "t"), "where", "どこ")


def _learns_japanese(draw: Draw) -> Sentence:
    draw.tags.add("tense")
    japanese = phrases.thing(draw, BY_NAME["Japanese"], "a")
    return statements.statement(Clause(people.pronoun("she"), BY_KEY["study"], "progressive", False, japanese))


def _went_to_the_park(draw: Draw) -> Sentence:
    draw.tags.update(("tense", "negation", "time"))
    park = phrases.thing(draw, BY_NAME["park"], "t")
    clause = Clause(people.pronoun("we"), BY_KEY["go to"], "past", True, park)
    clause.time = phrases.adverbial(("yesterday", "昨日", False))
    return statements.statement(clause)


_SHOWN: tuple[Callable[[Draw], Sentence], ...] = (
    _likes_cats, _has_a_cat, _reads_in_the_library, _sleeps_all_day, _where_is_the_station, _learns_japanese,
    _went_to_the_park,
)  # fmt: skip


def demonstrations() -> list[Pair]:
    """The sentences that the documentation translates. They are of this grammar, and in none of its parts."""
    shown: list[Pair] = []
    for make in _SHOWN:
        draw = Draw(random.Random(0).random)
        shown.append(finished(make(draw), draw))
    return shown


DEMONSTRATED = frozenset(each.source for each in demonstrations())
