"""Relative clauses: the book that I bought, the woman who is singing in the park."""

from keifu.data.enja import events, people, phrases, subordinate
from keifu.data.enja.adjectives import TRAITS, describing
from keifu.data.enja.clauses import COPULA, Clause
from keifu.data.enja.descriptions import JOBS
from keifu.data.enja.draws import Draw, Nominal, Reject
from keifu.data.enja.nouns import BY_NAME, Noun, tagged
from keifu.data.enja.statements import Sentence, statement, yes_no
from keifu.data.enja.verbs import BY_KEY, Verb
from keifu.data.enja.words import Word, listed, words

# What people do to things that are then spoken of.
_DOING = listed(
    "buy, buy, buy, buy#grocery, make#craft, make, bake, cook, write, write, read, watch, borrow, choose, draw, paint,"
    "sing, find, use, eat, eat#dish, drink, visit#place, look for, build, drive, live in, answer, order, wear,"
    "wear#head, wear#legs, wear#neck, carry, rent, see, take a picture of, plant, ride, climb,"
    "borrow#library, stay at, translate"
)
_GONE = listed("eat, drink, order, bake, cook, answer, stay at")  # such things are past with the action
_NOW = listed("wear, carry, look for")
# What is bought or made is new: neither worth saying nor to be denied.
_NEWLY = listed("buy, make, write, build, plant, translate, bake")


def that_someone(
    draw: Draw, verb: Verb, noun: Noun, besides: Nominal | None = None, full: bool = False
) -> tuple[Nominal, Nominal]:
    """The noun that somebody bought (私が買った本), and who that is; `full` with place and time."""
    draw.tags.add("relative")
    subject = people.person(draw, adult="A" in verb.flags)
    if besides and people.confusable(subject, besides):
        raise Reject
    if verb.lemma == "wear" and subject.who == "he" and noun.english in ("skirt", "dress"):
        raise Reject
    if verb.lemma == "wear" and subject.who in ("we", "they") and noun.kind == "count":
        raise Reject
    if "alcohol" in noun.tags and people.childish(subject):
        raise Reject
    tense = "progressive" if verb.lemma in _NOW else "present" if "S" in verb.flags else "past"
    clause = Clause(subject, verb, tense)
    if tense != "present":
        draw.tags.add("tense")
    if tense == "past":
        if full or draw.chance(0.35) or verb.main in events.AMBIGUOUS:
            clause.time = phrases.time(draw, verb.times if verb.times != "-" else "day", "past")
        if full or draw.chance(0.15):
            clause.place = events.place_for(draw, verb, Nominal([], [], "it", noun=noun), 1.0)
    article, found, that = Word("the"), words(noun.english), Word("that")
    inner = clause.english(object=False)
    clause.main = [*clause.main, *clause.preposition]
    english = [word for word in (article, *found, that, *inner) if isinstance(word, Word)]
    japanese = [*clause.japanese("noun", topic="が"), (noun.japanese, found)]
    who = "they" if noun.kind == "pair" else "it"
    return Nominal(english, japanese, who, noun=noun, key=noun.english), subject


def _doing(draw: Draw) -> tuple[Verb, Noun]:
    verb = BY_KEY[draw.pick(_DOING)]
    noun = draw.noun(verb)
    if noun.kind in ("name", "the") or noun.tags & {"person", "country"}:
        raise Reject
    return verb, noun


def described(draw: Draw) -> Sentence:
    """The book that I bought yesterday is expensive."""
    verb, noun = _doing(draw)
    subject, _ = that_someone(draw, verb, noun)
    adjectives = describing(noun)
    if not adjectives:
        raise Reject
    adjective = draw.pick(adjectives)
    if adjective.english in ("closed", "open", "dirty"):
        raise Reject
    if verb.lemma in _NEWLY and adjective.english in ("old", "new"):
        raise Reject
    draw.tags.add("adjective")
    eaten = verb.lemma in _GONE or (noun.tags & {"food", "grocery"} and verb.lemma != "buy")
    past = eaten or (draw.chance(0.15) and verb.lemma not in ("live in", *_NOW))
    clause = Clause(subject, adjective.verb, "past" if past else "present", draw.chance(0.12))
    if clause.negative:
        draw.tags.add("negation")
    elif draw.chance(0.1):
        return yes_no(draw, clause)
    return statement(clause)


# What is done to a thing, and what somebody did to it before.
_USES: tuple[tuple[str, str], ...] = (
    ("eat", "make, bake, buy#grocery"), ("eat#dish", "make, cook, order"), ("drink", "order, buy#grocery"),
    ("read", "write, borrow, buy, choose"), ("wear", "buy, make, choose"), ("wear#head", "buy, choose"),
    ("wear#legs", "buy, choose"), ("wear#neck", "buy, choose"), ("use", "buy, borrow, repair"), ("lose", "buy"),
    ("break", "buy"), ("break#device", "buy, repair"), ("sell", "buy"), ("like", "sing, bake, cook, make, buy"),
    ("look at", "draw"), ("wash", "buy"), ("carry", "buy, make#craft"), ("translate", "write"),
    ("hide", "write, buy, find"), ("repair", "break#device"), ("want", "make#craft, buy"), ("listen to", "sing"),
    ("find", "lose, hide"), ("check", "write"), ("draw", "buy, plant"), ("take a picture of", "plant"),
    ("ride", "repair, buy"), ("drive", "repair, buy"), ("cut", "bake, buy#grocery"), ("borrow", "buy, use"),
)  # fmt: skip


def use(draw: Draw, full: bool = False) -> Clause:
    """Somebody eats the cake that somebody else made."""
    key, before = draw.pick(_USES)
    outer, inner = BY_KEY[key], BY_KEY[draw.pick(listed(before))]
    common = [noun for noun in outer.nouns if noun in inner.nouns and noun.kind in ("count", "mass", "pair")]
    if key == "look at":
        common = [noun for noun in common if "look" in noun.tags]
    noun = draw.noun(outer, common)
    draw.noun(inner, [noun])
    subject = people.person(draw, adult="A" in outer.flags)
    if outer.lemma == "wear" and noun.kind == "count" and subject.who in ("we", "they"):
        raise Reject
    object, _ = that_someone(draw, inner, noun, besides=subject, full=full)
    tense = "past"
    if "b" in outer.flags and outer.lemma != "drive":
        tense = "present"
    elif outer.lemma == "wear" or ("p" in outer.flags and (outer.main in events.AMBIGUOUS or draw.chance(0.3))):
        tense = "progressive"
    elif "P" not in outer.flags and draw.chance(0.15):
        tense = "future"
    if tense != "present":
        draw.tags.add("tense")
    negated = draw.chance(0.1) and "P" not in outer.flags
    if negated:
        draw.tags.add("negation")
    return Clause(subject, outer, tense, negated, object)


def used(draw: Draw) -> Sentence:
    """He ate the cake that my mother made."""
    return statement(use(draw))


_HEADS = tagged("=man", "=woman", "=boy", "=girl", "=old_man", "=old_woman", "=child", "=young_man", "=student")
_PRESENT = listed("live in, work, teach, have#pet, speak, drive, work, live in")
_PAST = listed("break, find, repair, help, write, build, win, paint, buy, catch, sell")
_PROGRESSIVE = listed(
    "sing, dance, run, swim, read, wear, wear#head, wear#glasses, wear#legs, wear#neck, wait for, sit on, play#strings,"
    "play#winds, paint, take a picture of, cry, laugh, drink, eat, hold, study, look at, listen to, ride, carry, clean,"
    "talk with, play, take a walk"
)
_DOERS: tuple[tuple[str, str], ...] = tuple(
    (key, tense)
    for tense, keys in (("present", _PRESENT), ("past", _PAST), ("progressive", _PROGRESSIVE))
    for key in keys
)
# What tells who somebody is, whatever that person does next.
_LASTING: tuple[tuple[str, str], ...] = (
    *((key, "present") for key in (*_PRESENT, "have#family")),
    *((key, "past") for key in ("win", "write", "repair", "find", "help", "translate", "catch")),
    *((key, "was") for key in ("wear", "wear#head", "wear#glasses")),
)
_SIBLINGS = tagged("=older_brother", "=younger_brother", "=older_sister", "=younger_sister")
_NARROWED = {"write": tagged("literary"), "translate": tagged("literary"), "have#family": _SIBLINGS}
_PLACED = listed("work, swim, run, dance, cry, laugh, take a walk")


def who_does(draw: Draw, lasting: bool = False) -> Nominal:
    """The woman who is singing in the park (公園で歌っている女性); with `lasting`, who goes on to do something else."""
    draw.tags.add("relative")
    key, tense = draw.pick(_LASTING if lasting else _DOERS)
    verb = BY_KEY[key]
    noun = draw.pick(_HEADS)
    subject = people.the_person(draw, noun)
    if not events.suits(verb, subject) or (key == "teach" and noun.english == "student"):
        raise Reject
    among = _NARROWED.get(key, ()) if lasting else ()
    letters = _plain(verb)
    object = events.complement(draw, verb, subject, among=among, determiners=letters)
    if object is not None and (object.person == "pronoun" or object.key == subject.key):
        raise Reject
    clause = Clause(subject, verb, tense, False, object)
    if tense != "present":
        draw.tags.add("tense")
    if not lasting or key in ("work", "teach", "find", "catch"):
        clause.place = events.place_for(draw, verb, object, 0.95 if key in _PLACED else 0.35)
    if tense == "past" and (lasting or draw.chance(0.35)):
        clause.time = phrases.time(draw, "ago" if lasting else verb.times, "past")
    who = Word("who")
    inner = clause.english(subject=False)
    english = [word for word in (*subject.english, who, *inner) if isinstance(word, Word)]
    japanese = [*clause.japanese("noun", topic=""), (noun.japanese, subject.english[1:])]
    return Nominal(english, japanese, subject.who, noun=noun, person="role", key=noun.english + key)


def _plain(verb: Verb) -> tuple[str, ...]:
    """The plainest determiner of a verb: a, else the."""
    for letter in "ast":
        if letter in verb.determiners:
            return (letter,)
    return verb.determiners


def who_is(draw: Draw) -> Sentence:
    """The woman who is singing in the park is my friend, is a teacher, is kind."""
    subject = who_does(draw)
    assert subject.noun is not None
    kind = subject.noun.english
    young = "young" in subject.noun.tags or kind == "student"
    die = draw.random()
    if die < 0.45:
        adjective = draw.pick(TRAITS)
        if young and adjective.english in ("young", "rich", "strict"):
            raise Reject
        if kind.startswith(("old", "young")) and adjective.english == "young":
            raise Reject
        draw.tags.add("adjective")
        clause = Clause(subject, adjective.verb, "present", draw.chance(0.1))
    elif die < 0.75 and not young:
        clause = Clause(subject, COPULA, "present", False, phrases.thing(draw, draw.pick(JOBS), "a"))
    else:
        clause = Clause(subject, COPULA, "present", False, _somebodys(draw, subject, young or kind == "young man"))
    if clause.negative:
        draw.tags.add("negation")
    return statement(clause)


_OLDER = {
    "he": ("grandfather", "father", "uncle", "husband", "older brother"),
    "she": ("grandmother", "mother", "aunt", "wife", "older sister"),
}
_YOUNGER = {"he": ("son", "younger brother"), "she": ("daughter", "younger sister")}


def _somebodys(draw: Draw, subject: Nominal, young: bool) -> Nominal:
    """A relative or a friend who can be that person."""
    titles = (_YOUNGER if young else _OLDER).get(subject.who)
    found = people.relation(draw) if titles is None or draw.chance(0.3) else people.kin(draw)
    if young and found.english[-1].text in ("boss", "colleague"):
        raise Reject
    if found.person == "kin" and not found.key.endswith(titles or ()):
        raise Reject
    return found


def knows(draw: Draw) -> Sentence:
    """I know the man who is waiting for the bus."""
    object = who_does(draw)
    know = BY_KEY["know"]
    if draw.chance(0.1):
        return yes_no(draw, Clause(people.pronoun("you"), know, "present", False, object))
    subject = people.person(draw)
    if subject.who == object.who and subject.person == "role":
        raise Reject
    clause = Clause(subject, know, "present", draw.chance(0.2), object)
    if clause.negative:
        draw.tags.add("negation")
    return statement(clause)


_CREATURES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("sleep", listed("dog, cat, puppy, kitten, rabbit")),
    ("chase", ("dog", "cat")),
    ("bark", ("dog", "puppy")),
    ("fly in", ("bird", "swan", "butterfly")),
)


def animal_that(draw: Draw) -> Sentence:
    """The dog that is sleeping on the sofa is cute."""
    draw.tags.update(("relative", "tense", "adjective"))
    key, names = draw.pick(_CREATURES)
    noun = BY_NAME[draw.pick(names)]
    verb = BY_KEY[key]
    subject = phrases.thing(draw, noun, "t")
    object = events.complement(draw, verb, subject)
    clause = Clause(subject, verb, "progressive", False, object)
    if key in ("sleep", "bark"):
        clause.place = events.place_for(draw, verb, object, 1.0)
    that = Word("that")
    inner = clause.english(subject=False)
    english = [word for word in (*subject.english, that, *inner) if isinstance(word, Word)]
    japanese = [*clause.japanese("noun", topic=""), (noun.japanese, subject.english[1:])]
    return statement(Clause(Nominal(english, japanese, "it", noun=noun), draw.pick(describing(noun)).verb, "present"))


def opinion_of(draw: Draw, full: bool = False) -> Sentence:
    """I think that the song that she wrote is beautiful."""
    verb, noun = _doing(draw)
    if verb.lemma in _GONE:
        raise Reject
    about, maker = that_someone(draw, verb, noun, full=full)
    return subordinate.opinion(draw, about, maker)
