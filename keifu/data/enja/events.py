"""Clauses about what somebody does, did or will do: a verb with subject, object, place and time that fit it."""

from collections.abc import Sequence

from keifu.data.enja import people, phrases
from keifu.data.enja.clauses import Clause, recipient
from keifu.data.enja.draws import Draw, Nominal, Phrase, Reject
from keifu.data.enja.english import POSSESSIVE
from keifu.data.enja.nouns import Noun, tagged
from keifu.data.enja.verbs import VERBS, Verb
from keifu.data.enja.words import listed

# Base and past look alike, so that a time has to tell them apart.
AMBIGUOUS = frozenset(("read", "cut", "put"))


def _with(flag: str, without: str = "") -> tuple[Verb, ...]:
    """Verbs with a flag, those with many objects more often, so that nouns are as frequent as verbs."""
    chosen: list[Verb] = []
    for verb in VERBS:
        if flag in verb.flags and not verb.flags.intersection(without):
            chosen += [verb] * _weight(verb)
    return tuple(chosen)


def _weight(verb: Verb) -> int:
    often = 2 if len(verb.nouns) < 12 else 3 if len(verb.nouns) < 24 else 5
    if verb.key in ("have#thing", "remember", "know"):
        return 6
    return often + 3 if "P" in verb.flags or verb.key in ("pay", "change", "thank") else often


def _eventful(without: str) -> tuple[Verb, ...]:
    chosen: list[Verb] = []
    for verb in VERBS:
        if verb.times != "-" and "only" not in verb.flags and not verb.flags.intersection(without):
            chosen += [verb] * _weight(verb)
    return tuple(verb for verb in chosen if verb.subjects[0] == "person")


POOLS: dict[str, tuple[Verb, ...]] = {
    "past": _eventful(""),
    "future": _eventful("P"),
    "going": tuple(verb for verb in _eventful("PT") if "w" in verb.flags or "g" in verb.flags),
    "progressive": tuple(verb for verb in _with("p") if verb.subjects == ("person",)),
    "habit": _with("h"),
    "bare": _with("b"),
    "want": _with("w", "T"),
    "must": _with("m", "T"),
    "please": _with("r", "T"),
    "can": _with("c"),
    "ever": _with("e"),
    "shall": _with("k"),
    "gerund": _with("g"),
    "routine": _with("u"),
}
POOLS["was"] = POOLS["progressive"]


def subject_for(draw: Draw, verb: Verb, second: float = 0.0) -> Nominal:
    kind = draw.pick(verb.subjects)
    if kind == "person":
        return people.person(draw, adult="A" in verb.flags, second=second)
    return people.the_person(draw, draw.pick(tagged(kind)))


_PUPILS = listed("son, daughter, brother, sister, cousin, friend, classmate, student, boy, girl, child, young man")


def suits(verb: Verb, subject: Nominal) -> bool:
    """Whether the subject is old enough for the verb, or young enough."""
    noun = subject.noun
    if "A" in verb.flags and people.childish(subject):
        return False
    if "Y" in verb.flags and subject.person not in ("pronoun", "name"):
        return subject.key.endswith(_PUPILS) or (noun is not None and noun.english in _PUPILS)
    if verb.key == "marry" and subject.person == "kin":
        return not subject.key.endswith(("wife", "husband", "father", "mother"))
    return verb.key != "win" or noun is None or not noun.english.startswith("old")


def asked(draw: Draw, verb: Verb) -> Nominal:
    """Whom a question may be about: you, or a third person."""
    subject = subject_for(draw, verb, second=0.55)
    if subject.key in ("I", "we") or subject.key.startswith("my "):
        raise Reject
    return subject


def complement(
    draw: Draw,
    verb: Verb,
    subject: Nominal,
    calm: bool = False,
    among: Sequence[Noun] = (),
    determiners: Sequence[str] = (),
) -> Nominal | None:
    """The object of a verb, `calm` in habits and negations (no "three" and no "an" where "some" is meant)."""
    if not verb.nouns and not verb.people:
        return None
    if verb.people and not among and (not verb.nouns or draw.chance(0.5)):
        return people.person_object(draw, verb, subject)
    noun = draw.noun(verb, among or None)
    if people.childish(subject) and (noun.english == "office" or "alcohol" in noun.tags):
        raise Reject
    if noun.tags & {"role", "someone"} and "a" not in verb.determiners and verb.lemma != "have":
        return people.the_person(draw, noun)
    allowed = determiners or (verb.calm if calm else verb.determiners)
    if subject.who not in POSSESSIVE:
        allowed = [letter for letter in allowed if letter != "o"]
    if calm and len(allowed) > 1 and "n" in allowed:
        allowed = [letter for letter in allowed if letter != "n"]
    if not allowed:
        raise Reject
    letter = draw.pick(allowed)
    if verb.lemma == "wear" and subject.who == "he" and noun.english in ("skirt", "dress"):
        raise Reject
    together = {"wear": "atd", "eat": "a", "ride": "a"}.get(verb.lemma, "")  # each has one
    if letter in together and subject.who in ("we", "they"):
        letter = "s"
    if verb.lemma == "become" and subject.who in ("we", "they"):
        raise Reject
    if letter == "o" and noun.english == "dishes":
        letter = "t"
    if letter == "n" and verb.lemma == "buy" and noun.measure in ("glass", "cup"):
        letter = "a"
    return phrases.thing(draw, noun, letter, subject, 0.0 if verb.people or calm else 0.16)


# Where one waits for it, gets on and off.
_STOPS = {
    "bus": ("bus stop", "station"), "train": ("station",), "subway": ("station",), "taxi": ("station", "airport"),
    "boat": (), "airplane": ("airport",),
}  # fmt: skip


def place_for(draw: Draw, verb: Verb, object: Nominal | None, probability: float) -> Phrase | None:
    if not (verb.places or verb.shop) or not draw.chance(probability):
        return None
    if object is not None and object.person:
        spec = draw.pick(verb.places)
    elif verb.shop:
        found = phrases.shop(draw, object.noun) if object and object.noun else None
        if found:
            draw.tags.add("place")
        return found
    else:
        places = verb.places
        if object is not None and object.noun is not None and "transit" in object.noun.tags:
            places = tuple(each for each in places if each[1].english in _STOPS[object.noun.english])
        if not places:
            return None
        spec = draw.pick(places)
    tags = object.noun.tags if object is not None and object.noun is not None else frozenset()
    if verb.key == "paint" and "scenery" in tags:
        return None  # the sea is not painted in the park
    if "alcohol" in tags and spec[1].english in ("school", "office"):
        return None
    if "sport" in tags and ("court" in tags) != (spec[1].english == "gym"):
        return None  # some ball games are played in a hall, others need a field
    draw.tags.add("place")
    return phrases.place(spec, "に" if "L" in verb.flags else "で")


def given_to(draw: Draw, verb: Verb, subject: Nominal) -> Nominal:
    """A recipient: for giving by others me, us or somebody named, since 母に would need くれる too."""
    if subject.who == "you":
        raise Reject
    if subject.who in ("I", "we"):
        return recipient(people.person_object(draw, verb, subject))
    if draw.chance(0.5):
        return recipient(people.object_pronoun(draw.pick(("I", "I", "we"))))
    person = people.name(draw)
    if person.key == subject.key:
        raise Reject
    return recipient(person)


_TIME_OF = {"past": "past", "was": "past", "future": "future", "going": "future", "want": "future", "must": "future"}
_SHARE_OF_TIME = {"past": 0.5, "future": 0.75, "going": 0.5, "progressive": 0.2, "want": 0.15, "must": 0.35}


def time_for(draw: Draw, verb: Verb, tense: str, object: Nominal | None) -> Phrase | None:
    share = _SHARE_OF_TIME.get(tense, 0.0)
    if tense == "past" and verb.main in AMBIGUOUS:
        share = 1.0
    if not draw.chance(share) or verb.key == "forget#name":
        return None
    if tense == "progressive":
        return phrases.time(draw, "any", "progressive")
    name = object.noun.english if object and object.noun else ""
    times = {"dinner": "night", "breakfast": "morning"}.get(name, verb.times)
    if times == "-":
        return None
    return phrases.time(draw, times, _TIME_OF[tense])


# Nobody is eating three apples; one has seen a panda, not the panda.
_UNFIT = {"progressive": "n", "was": "n", "ever": "nt", "must": "n"}


def event(
    draw: Draw,
    tense: str,
    subject: Nominal | None = None,
    negative: bool = False,
    verb: Verb | None = None,
    place: float = 0.3,
    question: bool = False,
) -> Clause:
    """A clause in one of the tenses of `POOLS`, without habits and states."""
    chosen = verb or draw.pick(POOLS[tense])
    if subject is None:
        subject = asked(draw, chosen) if question else subject_for(draw, chosen)
    if not suits(chosen, subject):
        raise Reject
    to = None
    if "T" in chosen.flags:
        to = given_to(draw, chosen, subject)
    settled = tuple(letter for letter in chosen.determiners if letter not in _UNFIT.get(tense, ""))
    general = negative or tense == "can"  # one can eat natto, not the natto
    calm = general or tense == "ever"
    object = complement(draw, chosen, subject, calm=calm, determiners=() if general else settled)
    where = None if to else place_for(draw, chosen, object, 0.9 if chosen.key in _PLACED else place)
    when = time_for(draw, chosen, tense, object)
    if chosen.key == "get up":
        when = phrases.clock(draw, draw.pick(phrases.CLOCK["get up"]))
    if tense in ("past", "future", "progressive", "was", "going", "ever"):
        draw.tags.add("tense")
    if negative:
        draw.tags.add("negation")
    return Clause(subject, chosen, tense, negative, object, to, where, when)


# Verbs that say little without their place.
_PLACED = frozenset(listed("work, watch#stadium, watch#cinema, see#zoo, see#wild, see#lake, swim, run"))


def habit(draw: Draw, question: bool = False, subject: Nominal | None = None) -> Clause:
    verb = draw.pick(POOLS["habit"])
    if subject is None:
        subject = asked(draw, verb) if question else subject_for(draw, verb)
    if not suits(verb, subject):
        raise Reject
    object = complement(draw, verb, subject, calm=True)
    clause = Clause(subject, verb, "present", False, object)
    clause.place = place_for(draw, verb, object, 0.9 if verb.key in _PLACED else 0.25)
    if verb.key == "get up" or (verb.key in phrases.CLOCK and draw.chance(0.5)):
        clause.time = phrases.clock(draw, draw.pick(phrases.CLOCK[verb.key]))
    elif draw.chance(0.55):
        name = object.noun.english if object and object.noun else ""
        times = {"dinner": "night", "breakfast": "morning"}.get(name, verb.times)
        clause.time = phrases.time(draw, times, "habit")
    else:
        clause.adverb = phrases.adverb(draw)
    return clause


def state(draw: Draw, negative: bool = False, question: bool = False, subject: Nominal | None = None) -> Clause:
    """Likes, knows, has, lives, speaks: the simple present without an adverb."""
    verb = draw.pick(POOLS["bare"])
    if subject is None:
        subject = asked(draw, verb) if question else subject_for(draw, verb)
    if not suits(verb, subject):
        raise Reject
    object = complement(draw, verb, subject, calm=negative)
    if negative:
        draw.tags.add("negation")
        if verb.key == "work" or verb.lemma in ("dislike", "be afraid of", "be worried about", "love", "respect"):
            raise Reject
    clause = Clause(subject, verb, "present", negative, object)
    clause.place = place_for(draw, verb, object, 0.9 if verb.key == "work" else 0.3)
    return clause
