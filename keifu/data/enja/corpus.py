"""The corpus: how often each construction comes, and how the sentences are divided into parts."""

import random
import zlib
from collections.abc import Callable, Iterator, Sequence

from keifu.data.enja import questions, relative, simple, subordinate
from keifu.data.enja.adjectives import ADJECTIVES
from keifu.data.enja.clauses import Clause
from keifu.data.enja.nouns import BY_NAME, NAMES, NOUNS
from keifu.data.enja.phrases import Draw, Phrase, Reject, adverbial, place, pronoun, the_person, thing, verb
from keifu.data.enja.simple import Construction, Sentence
from keifu.data.enja.verbs import VERBS, held_out
from keifu.data.enja.words import pair, spell, words
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
    (simple.plain, 9), (simple.habit, 8), (simple.past, 9), (simple.progressive, 6), (simple.future, 6),
    (simple.negative, 7), (simple.animal, 2), (simple.all_day, 1), (simple.wish, 3), (simple.ability, 2),
    (simple.duty, 3), (simple.experience, 1), (simple.request, 1), (simple.shall_we, 1), (simple.description, 6),
    (simple.described_noun, 3), (simple.identity, 2), (simple.weather, 2), (simple.existence, 5), (simple.location, 2),
    (simple.comparison, 3), (simple.most, 1), (simple.activity, 3), (simple.possessions, 7), (simple.group_action, 2),
    (questions.yes_no_question, 6), (questions.ever_question, 1), (questions.mood_question, 1), (questions.what, 2),
    (questions.who, 2), (questions.whom, 1), (questions.where, 2), (questions.where_to, 1), (questions.when, 2),
    (questions.why, 2), (questions.how_many, 2), (questions.where_is, 1), (questions.how_is, 2), (questions.which, 1),
    (subordinate.reason, 6), (subordinate.weather_reason, 5), (subordinate.habitual, 3), (subordinate.condition, 4),
    (subordinate.order, 4), (subordinate.meanwhile, 4), (subordinate.because_it, 3), (subordinate.ambition, 1),
    (subordinate.fancy, 1), (subordinate.opinion, 3), (subordinate.report, 1), (subordinate.went_and, 4),
    (subordinate.contrast, 3), (relative.described, 6), (relative.used, 5), (relative.who_is, 5), (relative.knows, 3),
    (relative.animal_that, 1), (relative.opinion_of, 1),
)  # fmt: skip
CONSTRUCTIONS = tuple(construction for construction, weight in _WEIGHTS for _ in range(weight))
LONG: tuple[Construction, ...] = (
    relative.long_reason, relative.long_weather, relative.long_meanwhile, relative.long_because_it,
    relative.long_opinion, relative.long_order,
)  # fmt: skip

Drawn = tuple[Sentence, Draw]


def draws(seed: int, constructions: Sequence[Construction] = CONSTRUCTIONS, held: bool = False) -> Iterator[Drawn]:
    """Sentences without end, as the constructions make them. Only `random()` is used: it is the same everywhere."""
    value = random.Random(seed).random
    while True:
        draw = Draw(value, held)
        try:
            yield draw.pick(constructions)(draw), draw
        except Reject:
            continue


def finished(sentence: Sentence, draw: Draw) -> Pair:
    english, end, japanese = sentence
    source, spans = spell(english, end)
    return pair(source, spans, japanese, tuple(label for label in LABELS if label in draw.tags))


def derivations(part: str) -> Iterator[tuple[Pair, frozenset[tuple[str, str]]]]:
    """The pairs of a part, each with its verb-noun pairs ("look for", "key")."""
    if part not in SIZES:
        raise DataError(f"builtin:enja has no part '{part}'. It has {', '.join(SIZES)}.")
    long, held = part == "length", part == "combination"
    seen = set(DEMONSTRATED)
    shortest, longest = (LONGEST + 1, LONGEST_OF_ALL) if long else (1, LONGEST)
    buckets = BUCKETS.get(part, range(20))
    missing = SIZES[part]
    for (english, end, japanese), draw in draws(SEEDS[part], LONG if long else CONSTRUCTIONS, held):
        source, spans = spell(english, end)
        if source in seen or zlib.crc32(source.encode()) % 20 not in buckets:
            continue
        if not shortest <= len(spans) <= longest or any(held_out(*each) for each in draw.pairs) != held:
            continue
        seen.add(source)
        labels = tuple(label for label in LABELS if label in draw.tags)
        yield pair(source, spans, japanese, labels), frozenset(draw.pairs)
        missing -= 1
        if not missing:
            return


def generate(part: str) -> list[Pair]:
    """The sentences of `train`, `dev`, `test`, `length` or `combination`: always the same ones."""
    return [each for each, _ in derivations(part)]


def _demonstration(make: Callable[[Draw], Sentence]) -> Pair:
    draw = Draw(random.Random(0).random)
    return finished(make(draw), draw)


def _simple(subject: str, key: str, noun: str, determiner: str) -> Callable[[Draw], Sentence]:
    def make(draw: Draw) -> Sentence:
        object = thing(draw, BY_NAME[noun], determiner)
        return simple.statement(Clause(pronoun(subject), verb(key), "present", False, object))

    return make


def _reading(draw: Draw) -> Sentence:
    draw.tags.update(("tense", "place"))
    clause = Clause(the_person(draw, BY_NAME["old man"]), verb("read"), "progressive")
    clause.object = thing(draw, BY_NAME["book"], "a")
    clause.place = place(("", BY_NAME["library"]))
    return simple.statement(clause)


def _sleeping(draw: Draw) -> Sentence:
    draw.tags.add("time")
    long = words("all day")
    clause = Clause(the_person(draw, BY_NAME["cat"]), simple.lasting(verb("sleep")), "present")
    clause.time = Phrase(long, [("一日中", long)])
    return simple.statement(clause)


def _asking(draw: Draw) -> Sentence:
    return questions.copula_question(draw, thing(draw, BY_NAME["station"], "t"), words("where"), "どこ")


def _buying(draw: Draw) -> Sentence:
    draw.tags.update(("tense", "number", "time"))
    clause = Clause(pronoun("she"), verb("buy"), "past", False, thing(draw, BY_NAME["book"], "n"))
    clause.time = adverbial(("yesterday", "昨日", False))
    return simple.statement(clause)


def demonstrations() -> list[Pair]:
    """The sentences that the documentation translates. They are of this grammar, and in none of its parts."""
    makers = (
        _simple("I", "like", "cat", "s"), _simple("I", "have#pet", "cat", "a"), _reading, _sleeping, _asking, _buying,
        _simple("they", "study", "Japanese", "a"),
    )  # fmt: skip
    return [_demonstration(make) for make in makers]


DEMONSTRATED = frozenset(each.source for each in demonstrations())


def counts() -> dict[str, int]:
    """How many different words the lexicon has; a verb with two translations counts once."""
    return {
        "nouns": len({noun.english for noun in NOUNS}),
        "verbs": len({(chosen.main, chosen.be) for chosen in VERBS}),
        "adjectives": len({adjective.english for adjective in ADJECTIVES}),
        "names": len(NAMES),
        "verb-noun pairs": sum(len(chosen.nouns) for chosen in VERBS),
    }
