"""Sentences joined by and or but: somebody goes somewhere and does something; one is so, the other is not."""

from keifu.data.enja import events, frames, people, phrases
from keifu.data.enja.adjectives import OF_THINGS, WEATHER
from keifu.data.enja.clauses import Clause
from keifu.data.enja.descriptions import this_and_that
from keifu.data.enja.draws import Draw, Nominal, Phrase, Reject
from keifu.data.enja.nouns import BY_NAME, tagged
from keifu.data.enja.statements import Sentence
from keifu.data.enja.verbs import BY_KEY, Verb
from keifu.data.enja.words import COMMA, Chunk, English, Word, words

_GO, _LIKE = BY_KEY["go to"], BY_KEY["like"]


def _new(verb: Verb) -> tuple[str, ...]:
    return tuple(letter for letter in verb.determiners if letter in "an") or verb.determiners


def trip(draw: Draw, subject: Nominal, tense: str = "past", outdoors: bool = False) -> tuple[Clause, Clause]:
    """Going to the bookstore, and buying two novels."""
    draw.tags.update(("conjunction", "tense"))
    site, actions = draw.pick(frames.OUTINGS if outdoors else frames.TRIPS)
    verb, nouns, _ = draw.pick(actions)
    going = Clause(subject, _GO, tense, False, phrases.thing(draw, draw.noun(_GO, [BY_NAME[site]]), "t"))
    doing = Clause(subject, verb, tense)
    doing.object = events.complement(draw, verb, subject, among=nouns, determiners=_new(verb))
    return going, doing


def written_trip(going: Clause, doing: Clause, topic: str) -> tuple[English, list[Chunk]]:
    """Both clauses with one subject, which `topic` marks, and one time: パン屋に行って、パンを買いました."""
    both = Word("and")
    english: English = [*going.english(), both, *doing.english(subject=False)]
    if going.tense == "future":
        english.remove(doing.auxiliaries[0])
        doing.auxiliaries = going.auxiliaries
    going.time, doing.time = doing.time, None
    going.tense = "te"
    *opening, (text, sources) = going.japanese("plain", topic=topic)
    return english, [*opening, (text, [*sources, both]), COMMA, *doing.japanese(topic="")]


def went_and(draw: Draw) -> Sentence:
    """She went to the bakery and bought bread yesterday."""
    tense = draw.pick(("past", "past", "future"))
    going, doing = trip(draw, people.person(draw), tense)
    if draw.chance(0.6):
        doing.time = phrases.time(draw, "outing", tense)
    english, japanese = written_trip(going, doing, topic="は")
    return english, ".", japanese


_TASTES = ("pet", "fruit", "drink", "sport", "dish", "subject", "wild", "alcohol", "flower")
_OPPOSITES = (
    ("expensive", "cheap"), ("big", "small"), ("new", "old"), ("interesting", "boring"), ("difficult", "easy"),
    ("clean", "dirty"), ("heavy", "light"), ("red", "blue"), ("white", "black"), ("yellow", "green"), ("fast", "slow"),
)  # fmt: skip
_CHANGES = (
    ("hot", "cool"), ("cold", "warm"), ("cloudy", "sunny"), ("windy", "foggy"), ("warm", "cold"), ("sunny", "cloudy"),
    ("cool", "hot"),
)  # fmt: skip


def _tastes(draw: Draw) -> tuple[Clause, Clause]:
    first, second = people.person(draw), people.person(draw)
    if first.key == second.key or first.who == second.who:
        raise Reject
    taste = draw.pick(_TASTES)
    if taste == "alcohol" and (people.childish(first) or people.childish(second)):
        raise Reject
    nouns = tuple(noun for noun in tagged(taste) if noun in _LIKE.nouns)
    one, two = draw.noun(_LIKE, nouns), draw.noun(_LIKE, nouns)
    if one is two:
        raise Reject
    clause = Clause(first, _LIKE, "present", False, phrases.thing(draw, one, "s"))
    return clause, Clause(second, _LIKE, "present", False, phrases.thing(draw, two, "s"))


def _things(draw: Draw) -> tuple[Clause, Clause]:
    draw.tags.add("adjective")
    pair = draw.pick(_OPPOSITES)
    first, second = (next(adjective for adjective in OF_THINGS if adjective.english == name) for name in pair)
    nouns = [noun for noun in first.nouns if noun in second.nouns and noun.kind in ("count", "pair")]
    if not nouns:
        raise Reject
    this, that = this_and_that(draw.pick(nouns))
    return Clause(this, first.verb, "present"), Clause(that, second.verb, "present")


def _days(draw: Draw) -> tuple[Clause, Clause]:
    draw.tags.update(("adjective", "tense", "time"))
    before, now = draw.pick(_CHANGES)
    one = Clause(people.weather_it(), WEATHER[before].verb, "past", time=_topic("yesterday", "昨日"))
    return one, Clause(people.weather_it(), WEATHER[now].verb, "present", time=_topic("today", "今日"))


def _topic(english: str, japanese: str) -> Phrase:
    found = words(english)
    return Phrase(found, [(japanese, found), ("は", ())])


def contrast(draw: Draw) -> Sentence:
    """I like dogs, but Tom likes cats; it was hot yesterday, but it is cool today."""
    draw.tags.add("conjunction")
    die = draw.random()
    one, two = _tastes(draw) if die < 0.5 else _things(draw) if die < 0.8 else _days(draw)
    but = Word("but")
    english = [*one.english(), ",", but, *two.english()]
    return english, ".", [*one.japanese(), ("が", (but,)), COMMA, *two.japanese()]
