"""Sentences with be: how things, people and the weather are, what they are, where they are, how they compare."""

from dataclasses import replace
from functools import cache

from keifu.data.enja import frames, people, phrases
from keifu.data.enja.adjectives import OF_PEOPLE, OF_THINGS, TRAITS, WEATHER, Adjective
from keifu.data.enja.clauses import COPULA, Clause
from keifu.data.enja.draws import Draw, Nominal, Phrase, Reject
from keifu.data.enja.english import article, be, comparative, superlative
from keifu.data.enja.japanese import inflect
from keifu.data.enja.nouns import BY_NAME, Noun, tagged
from keifu.data.enja.statements import Sentence, statement, yes_no
from keifu.data.enja.verbs import Verb, plain_verb
from keifu.data.enja.words import Chunk, English, Word, listed, words


def _being(draw: Draw, subject: Nominal, verb: Verb, past: bool, negated: bool, what: Nominal | None = None) -> Clause:
    if past:
        draw.tags.add("tense")
    if negated:
        draw.tags.add("negation")
    return Clause(subject, verb, "past" if past else "present", negated, what)


def described(draw: Draw, noun: Noun, that: bool = True) -> Nominal:
    """A thing to say something of; without `that` it is not "that", where "that that" would result."""
    if "role" in noun.tags:
        raise Reject  # 医者は有名です would be said of all doctors
    letters = "ttdq" if noun.tags & {"goods", "pet"} and noun.kind == "count" else "td"
    if noun.kind == "mass" or not noun.marked:
        letters = "d" if "place" in noun.tags and noun.kind == "count" else "t"
    return phrases.thing(draw, noun, draw.pick(letters if that else letters.replace("d", "D")))


_MODEST = ("tall", "short", "shy", "young")  # what one says of oneself
_DAYS = {
    True: (("yesterday", "昨日", False), ("this morning", "今朝", False)),
    False: (("today", "今日", False),),
}


def description(draw: Draw) -> Sentence:
    """The book is expensive; he was not busy yesterday."""
    draw.tags.add("adjective")
    past, negated = draw.chance(0.35), draw.chance(0.25)
    if draw.chance(0.6):
        adjective = draw.pick(OF_THINGS)
        noun = draw.pick(adjective.nouns)
        past = past and noun.kind != "name"
        return statement(_being(draw, described(draw, noun), adjective.verb, past, negated))
    adjective = draw.pick(OF_PEOPLE)
    subject = people.person(draw)
    if subject.who in ("I", "we") and adjective in TRAITS and adjective.english not in _MODEST:
        raise Reject
    if subject.who not in ("I", "we") and adjective.english in ("sad", "sleepy"):
        raise Reject  # 悲しい and 眠い are said of oneself; others look so
    mood = "M" in adjective.flags
    clause = _being(draw, subject, adjective.verb, past and mood, negated)
    if adjective.english in ("busy", "free", "tired", "sick") and draw.chance(0.4):
        draw.tags.add("time")
        clause.time = phrases.adverbial(draw.pick(_DAYS[past]))
    return statement(clause)


def somebody(draw: Draw, pronouns: tuple[str, ...] = ("he", "she")) -> Nominal:
    """One person: a name, a relative or a pronoun."""
    die = draw.random()
    if die < 0.67:
        return people.name(draw) if die < 0.33 else people.kin(draw)
    return people.pronoun(draw.pick(pronouns))


_ATTRIBUTES = tuple(adjective for adjective in OF_THINGS if not adjective.flags & {"B", "P"})
_PRAISE = tuple(adjective for adjective in TRAITS if adjective.english not in ("short", "rich", "healthy", "shy"))
_WORKERS = tagged("job", "=teacher", "=student", "=clerk", "=waiter")
_HERE = {"this": ("これ", "ここ"), "that": ("あれ", "あそこ")}


def described_noun(draw: Draw) -> Sentence:
    """This is an old camera; she is a kind nurse. A place is ここ."""
    draw.tags.add("adjective")
    if draw.chance(0.5):
        adjective = draw.pick(_ATTRIBUTES)
        noun = draw.pick(adjective.nouns)
        if noun.kind != "count" or noun.tags & {"role", "someone"}:
            raise Reject
        word = Word(draw.pick(("this", "that")))
        somewhere = bool(noun.tags & {"place", "room", "homeroom", "road"})
        subject = Nominal([word], [(_HERE[word.text][somewhere], (word,))], "it")
    else:
        adjective = draw.pick(_PRAISE)
        noun = draw.pick(tagged("strict") if adjective.english == "strict" else _WORKERS)
        subject = somebody(draw)
    found, name = words(adjective.english), words(noun.english)
    chunks: list[Chunk] = [*phrases.adjective_chunks(adjective, found), (noun.japanese, name)]
    what = Nominal([Word(article(found[0].text)), *found, *name], chunks, "it")
    past = draw.chance(0.2) and subject.person in ("name", "kin")
    return statement(_being(draw, subject, COPULA, past, draw.chance(0.15), what))


JOBS = tagged("job", "=teacher", "=student", "=professor", "=secretary")


def identity(draw: Draw) -> Sentence:
    """My father is a doctor; Tom is my friend."""
    subject = somebody(draw, ("I", "he", "she"))
    if subject.person != "pronoun" and draw.chance(0.2):
        return statement(_being(draw, subject, COPULA, False, False, people.relation(draw, besides=subject.who)))
    what = phrases.thing(draw, draw.pick(JOBS), "a")
    question = subject.who != "I" and not subject.key.startswith("my ") and draw.chance(0.15)
    clause = _being(draw, subject, COPULA, draw.chance(0.2), not question and draw.chance(0.2), what)
    return yes_no(draw, clause) if question else statement(clause)


_FALLING = {name: plain_verb(name, "降る", "5", (noun, "が")) for name, noun in (("rain", "雨"), ("snow", "雪"))}
_CITIES = tagged("city")
_WEATHER_DAYS = {
    "present": (("today", "今日", False),),
    "progressive": (("now", "今", False),),
    "past": (
        ("yesterday", "昨日", False), ("last night", "昨夜", False), ("this morning", "今朝", False),
        ("last Sunday", "先週の日曜日", False),
    ),
    "was": (("this morning", "今朝", False), ("last night", "昨夜", False)),
    "future": (("tomorrow", "明日", False), ("tonight", "今夜", False)),
}  # fmt: skip


def weather_verb(name: str) -> Verb:
    return _FALLING[name]


@cache
def turning(verb: Verb) -> Verb:
    """The weather to come: it will be sunny is 晴れるでしょう, not 晴れている."""
    return replace(verb, flags=frozenset())


def weather(draw: Draw) -> Sentence:
    """It is cold today: 今日は寒いです; it rained in Tokyo yesterday: 東京では昨日雨が降りました."""
    falls = draw.chance(0.4)
    if falls:
        verb, tense = draw.pick(tuple(_FALLING.values())), draw.pick(("progressive", "past", "past", "future", "was"))
    else:
        verb, tense = draw.pick(tuple(WEATHER.values())).verb, draw.pick(("present", "past", "future"))
        draw.tags.add("adjective")
    negated = draw.chance(0.15)
    if tense != "present":
        draw.tags.add("tense")
    if negated:
        draw.tags.add("negation")
    clause = Clause(people.weather_it(), turning(verb) if tense == "future" else verb, tense, negated)
    topic: list[Chunk] = []
    if draw.chance(0.5):
        draw.tags.add("place")
        clause.place = phrases.place(("", draw.pick(_CITIES)), particle="では" if verb.prefix else "は")
        topic, clause.place.japanese = clause.place.japanese, []
    if tense not in ("progressive", "was") or draw.chance(0.5):
        draw.tags.add("time")
        day = draw.pick(_WEATHER_DAYS[tense])
        clause.time = phrases.adverbial(day)
        if not topic and tense != "progressive":
            clause.time.japanese.append(("は", ()))
        elif day[0] == "last Sunday":
            if not falls:
                raise Reject  # 日曜日に is said of what happened, not of how it was
            clause.time.japanese.append(("に", ()))
    english = clause.english()
    japanese = _probably(clause) if tense == "future" else clause.japanese()
    return english, ".", [*topic, *japanese]


def _probably(clause: Clause) -> list[Chunk]:
    """What the weather will be is でしょう."""
    return [*clause.japanese(style="plain"), ("でしょう", clause.auxiliaries[:1])]


_ALIVE = frozenset(("animal", "person", "baby", "role", "someone"))


def _spot(draw: Draw) -> tuple[Phrase, tuple[Noun, ...]]:
    """Somewhere, with what is found there: 机の上に."""
    draw.tags.add("place")
    if draw.chance(0.45):
        site, things = draw.pick(frames.SITES)
        return phrases.place(("", BY_NAME[site]), particle="に"), things
    english, japanese, anchors, things = draw.pick(frames.SPOTS)
    anchor = draw.pick(anchors)
    front, found = words(english), words(anchor.english)
    chunks: list[Chunk] = [(anchor.japanese, found), ("の", front), (japanese, front), ("に", front)]
    return Phrase([*front, Word("the"), *found], chunks), tuple(thing for thing in things if thing is not anchor)


def _there(draw: Draw, noun: Noun, past: bool, negated: bool) -> str:
    if past:
        draw.tags.add("tense")
    if negated:
        draw.tags.add("negation")
    verb, group = ("いる", "1") if noun.tags & _ALIVE else ("ある", "5")
    return inflect(verb, group, "past" if past else "present", negated, "polite")[0]


def existence(draw: Draw) -> Sentence:
    """There is a cat under the table; are there two beds in the room?"""
    where, things = _spot(draw)
    noun = draw.pick(things)
    subject = phrases.thing(draw, noun, draw.pick("aan"), adjective=0.25)
    past, question = draw.chance(0.2), draw.chance(0.2)
    negated = not question and noun.kind == "mass" and not subject.count and draw.chance(0.3)
    form = _there(draw, noun, past, negated)
    linked = [Word("there"), Word(be(subject.who, past))]
    if question:
        linked.reverse()
    if negated:
        linked.append(Word("not"))
    english: English = [*linked, *subject.english, *where.english]
    japanese: list[Chunk] = [*where.japanese, *subject.japanese, ("が", ()), *subject.count, (form, linked)]
    if question:
        draw.tags.add("question")
        return english, "?", [*japanese, ("か", ())]
    return english, ".", japanese


def location(draw: Draw) -> Sentence:
    """The cat is under the table; my key was not in the bag."""
    where, things = _spot(draw)
    noun = draw.pick(things)
    if noun.kind != "count" or noun.tags & {"building", "place", "road", "nature", "room"}:
        raise Reject
    owned = noun.tags & {"goods", "pet", "small", "loseable"} and not noun.tags & {"furniture", "flower"}
    subject = phrases.thing(draw, noun, draw.pick("tq") if owned else "t")
    past, negated = draw.chance(0.25), draw.chance(0.2)
    form = _there(draw, noun, past, negated)
    linked = words(be(subject.who, past) + (" not" if negated else ""))
    english: English = [*subject.english, *linked, *where.english]
    return english, ".", [*subject.japanese, ("は", ()), *where.japanese, (form, linked)]


def _predicate(adjective: Adjective, found: list[Word], is_word: Word) -> list[Chunk]:
    first, *rest = inflect(adjective.japanese, adjective.group, "present", False, "polite")
    return [*((part, found) for part in adjective.prefix), (first, found), *((form, (is_word,)) for form in rest)]


# Comparing needs things enough to be seen often.
_COMPARABLE = tuple(adjective for adjective in _ATTRIBUTES if "C" in adjective.flags and len(adjective.nouns) > 7)
_PERSONAL = tuple(adjective for adjective in OF_PEOPLE if "C" in adjective.flags)
_BY_NAME = {adjective.english: adjective for adjective in OF_THINGS}
_ORDERS = (
    ("big", listed("bee, frog, mouse, hamster, cat, fox, wolf, lion, horse, elephant, whale")),
    ("fast", listed("bicycle, bus, train, airplane")),
)


def this_and_that(noun: Noun) -> tuple[Nominal, Nominal]:
    """This book and that book."""
    many = noun.kind == "pair"
    who = "they" if many else "it"
    near, far = Word("these" if many else "this"), Word("those" if many else "that")
    one, two = words(noun.english), words(noun.english)
    first = Nominal([near, *one], [("この", (near,)), (noun.japanese, one)], who)
    return first, Nominal([far, *two], [("あの", (far,)), (noun.japanese, two)], who)


def comparison(draw: Draw) -> Sentence:
    """Tom is taller than Mary; this book is more interesting than that book."""
    draw.tags.update(("comparison", "adjective"))
    die = draw.random()
    if die < 0.5:
        adjective = draw.pick(_PERSONAL)
        subject = somebody(draw, ("he", "she", "I"))
        other = people.name(draw) if draw.chance(0.5) else people.kin(draw)
        if subject.key == other.key or other.who == subject.key or other.key.startswith(subject.who):
            raise Reject  # "he is taller than his father" would be 父, without 彼の
    elif die < 0.65:
        name, order = draw.pick(_ORDERS)
        adjective = _BY_NAME[name]
        low = int(draw.random() * (len(order) - 1))
        high = draw.pick(range(low + 1, len(order)))
        subject, other = (phrases.thing(draw, BY_NAME[order[index]], "s") for index in (high, low))
    else:
        adjective = draw.pick(_COMPARABLE)
        noun = draw.pick(adjective.nouns)
        if noun.kind not in ("count", "pair") or noun.tags & {"role", "someone"} or noun.english == "rainbow":
            raise Reject
        subject, other = this_and_that(noun)
    found, than, is_word = words(comparative(adjective.english)), Word("than"), Word(be(subject.who, False))
    english: English = [*subject.english, is_word, *found, than, *other.english]
    opening = [*subject.japanese, ("は", ()), *other.japanese, ("より", (than,))]
    return english, ".", [*opening, *_predicate(adjective, found, is_word)]


_GROUPS = (("class", "クラス"), ("family", "家族"), ("village", "村"), ("team", "チーム"))


def most(draw: Draw) -> Sentence:
    """Tom is the tallest in the class: クラスで一番背が高い."""
    draw.tags.update(("comparison", "adjective"))
    adjective = draw.pick(_PERSONAL)
    group, japanese = draw.pick(_GROUPS)
    if group == "class" and adjective.english in ("rich", "young"):
        raise Reject
    subject = people.name(draw) if draw.chance(0.6) else people.pronoun(draw.pick(("he", "she", "I")))
    top = words("the " + superlative(adjective.english))
    into, where = Word("on" if group == "team" else "in"), words(group)
    is_word = Word(be(subject.who, False))
    english: English = [*subject.english, is_word, *top, into, Word("the"), *where]
    chunks: list[Chunk] = [*subject.japanese, ("は", ()), (japanese, where), ("で", (into,)), ("一番", top)]
    return english, ".", [*chunks, *_predicate(adjective, top[1:], is_word)]
