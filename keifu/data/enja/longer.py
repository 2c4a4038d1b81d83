"""Sentences of the part `length`: constructions that train has one at a time, put together."""

from keifu.data.enja import events, people, phrases, relative, subordinate
from keifu.data.enja.adjectives import OF_THINGS
from keifu.data.enja.clauses import Clause
from keifu.data.enja.draws import Draw, Nominal, Phrase, Reject
from keifu.data.enja.joined import trip, written_trip
from keifu.data.enja.statements import Sentence
from keifu.data.enja.verbs import BY_KEY
from keifu.data.enja.words import COMMA, Chunk, English, Word, listed


def reason(draw: Draw) -> Sentence:
    """The woman who works at the bank was tired yesterday, so she did not cook dinner."""
    return subordinate.reason(draw, rich=True, subject=relative.who_does(draw, lasting=True))


_AGAINST = ("rain", "snow", "cold", "windy", "foggy")
_INVITING = ("sunny", "warm", "cool")


def outing(draw: Draw) -> Sentence:
    """Although it was cold, the boy who has a dog went to the park and played soccer yesterday."""
    draw.tags.add("subordinate")
    connective = draw.pick(("although", "because"))
    cause = subordinate.weather(draw, draw.pick(_AGAINST if connective == "although" else _INVITING), "past")
    subject = relative.who_does(draw, lasting=True) if draw.chance(0.6) else people.person(draw)
    going, doing = trip(draw, subject, outdoors=connective == "because")
    doing.time = phrases.time(draw, "outing", "past")
    word = Word(connective)
    first = cause.english()
    second, chunks = written_trip(going, doing, topic="は")
    style, japanese = subordinate.LINKS[connective]
    return [word, *first, ",", *second], ".", [*cause.japanese(style), (japanese, (word,)), COMMA, *chunks]


def meanwhile(draw: Draw) -> Sentence:
    """When the man who lives in Kyoto came home, my mother was reading a book in the living room."""
    return subordinate.meanwhile(draw, subject=relative.who_does(draw, lasting=True))


def opinion(draw: Draw) -> Sentence:
    """I think that the bag that Mary bought at the department store last week is expensive."""
    return relative.opinion_of(draw, full=True)


_SEQUENCE = listed(
    "do, finish, eat#meal, study, practice, attend, clean, cook#meal, exercise, write, wash, wash#body, water,"
    "take a walk"
)


def sequence(draw: Draw) -> Sentence:
    """After he did his homework in the library, Tom went to the park and played soccer."""
    draw.tags.add("subordinate")
    verb = BY_KEY[draw.pick(_SEQUENCE)]
    subject = relative.who_does(draw, lasting=True) if draw.chance(0.5) else people.taken_up(draw)
    if not events.suits(verb, subject):
        raise Reject
    again = people.again(subject)
    sub = Clause(subject, verb, "past", False, events.complement(draw, verb, subject, calm=True))
    sub.place = events.place_for(draw, verb, sub.object, 0.8)
    going, doing = trip(draw, again)
    when: list[Chunk] = []  # at the end in English, in Japanese before both clauses
    if draw.chance(0.5):
        time = phrases.time(draw, "outing", "past")
        when, doing.time = time.japanese, Phrase(time.english, [])
    word = Word("after")
    front = sub.english()
    main, chunks = written_trip(going, doing, topic="")
    english: English = [word, *front, ",", *main]
    opening = [*subject.japanese, ("は", ()), *when, *sub.japanese("noun", topic="")]
    return english, ".", [*opening, ("後", (word,)), ("で", (word,)), COMMA, *chunks]


# Why something that somebody else has made, bought or chosen is used or liked.
_WELCOME: dict[str, tuple[str, ...]] = {
    "eat": ("delicious", "sweet"), "drink": ("cold", "hot", "sweet"), "sell": ("old", "big", "heavy"),
    "like": ("beautiful", "cute", "delicious", "sweet", "interesting"), "want": ("cute", "beautiful", "light"),
    "wash": ("dirty",), "repair": ("broken",), "look at": ("beautiful", "strange"), "use": ("useful", "light", "new"),
    "borrow": ("useful", "interesting"), "hide": ("important", "expensive"), "check": ("important", "difficult"),
    "take a picture of": ("beautiful", "cute"), "draw": ("beautiful", "cute"),
}  # fmt: skip


def because_it(draw: Draw) -> Sentence:
    """She ate the cake that my mother made at home yesterday because it was delicious."""
    draw.tags.update(("subordinate", "adjective"))
    clause = relative.use(draw, full=True)
    object = clause.object
    if clause.tense not in ("past", "present") or clause.negative or object is None:
        raise Reject
    welcome = _WELCOME.get(clause.verb.lemma, ())
    adjectives = [each for each in OF_THINGS if object.noun in each.nouns and each.english in welcome]
    if not adjectives:
        raise Reject
    cause = Clause(Nominal([Word(object.who)], [], object.who), draw.pick(adjectives).verb, clause.tense)
    word = Word("because")
    english = [*clause.english(), word, *cause.english()]
    return english, ".", [*cause.japanese("node"), ("ので", (word,)), COMMA, *clause.japanese()]
