"""People: pronouns, names, relatives, roles, and who may be taken for whom."""

from keifu.data.enja.draws import Draw, Nominal, Reject
from keifu.data.enja.english import OBJECTIVE, POSSESSIVE
from keifu.data.enja.nouns import ADULT_KIN, BY_NAME, KIN, NAMES, Noun, tagged
from keifu.data.enja.verbs import Verb
from keifu.data.enja.words import Chunk, Word, words

_PRONOUNS = {"I": "私", "you": "あなた", "he": "彼", "she": "彼女", "we": "私たち", "they": "彼ら"}
_SPEAKERS = ("I", "I", "I", "he", "she", "we", "they", "he", "she")


def pronoun(who: str) -> Nominal:
    word = Word(who)
    return Nominal([word], [(_PRONOUNS[who], (word,))], who, person="pronoun", key=who)


def again(subject: Nominal) -> Nominal:
    """The pronoun that takes up a subject in the next clause."""
    if subject.who not in _PRONOUNS:
        raise Reject
    return pronoun(subject.who)


def object_pronoun(who: str) -> Nominal:
    word = Word(OBJECTIVE[who])
    return Nominal([word], [(_PRONOUNS[who], (word,))], who, person="pronoun", key=who)


def weather_it() -> Nominal:
    return Nominal([Word("it")], [], "it")


def name(draw: Draw) -> Nominal:
    english, japanese, who = draw.pick(NAMES)
    found = words(english)
    return Nominal(found, [(japanese, found)], who, person="name", key=english)


def owner(draw: Draw, besides: str) -> tuple[list[Word], list[Chunk], str]:
    """A possessive ("his", "Tom's") that is not `besides`, with 彼の, and whose it is."""
    if draw.chance(0.6):
        who = draw.pick(tuple(who for who in ("I", "you", "he", "she", "we", "they") if who != besides))
        word = Word(POSSESSIVE[who])
        return [word], [(_PRONOUNS[who], (word,)), ("の", (word,))], who
    english, japanese, who = draw.pick(NAMES)
    if who == besides:
        raise Reject
    found = words(english + "'s")
    return found, [(japanese, found), ("の", found)], english


_PRONOUN_OF = {english: who for english, _, who in NAMES}


def _unsaid(whose: str, relative: str) -> bool:
    """What would puzzle a reader: "their wife", "Mary's wife"."""
    who = _PRONOUN_OF.get(whose, whose)
    return (relative, who) in (("husband", "he"), ("wife", "she"), ("husband", "they"), ("wife", "they"))


def kin(draw: Draw, besides: str = "", own: str = "", adult: bool = False) -> Nominal:
    """A relative: one's own is 母, somebody else's is お母さん. With `own` the relative of that pronoun."""
    english, ours, theirs, who = draw.pick(ADULT_KIN if adult else KIN)
    if who == "they":
        who = "he"  # a cousin may be either: never taken up by a pronoun (see `taken_up`)
    noun = words(english)
    if own:
        if _unsaid(own, english):
            raise Reject
        word = Word(POSSESSIVE[own])
        return Nominal([word, *noun], [(ours, (word, *noun))], who, person="kin", key=english)
    if draw.chance(0.6) and besides not in ("I", "we"):
        word = Word("my")
        return Nominal([word, *noun], [(ours, (word, *noun))], who, person="kin", key="my " + english)
    front, japanese, whose = owner(draw, besides)
    if whose in ("I", "we") or _unsaid(whose, english):
        raise Reject
    return Nominal([*front, *noun], [*japanese, (theirs, noun)], who, person="kin", key=whose + english)


_ROLES = tagged("role")
_SOMEONE = tagged("someone")
_ADULTS = tuple(noun for noun in _SOMEONE if "young" not in noun.tags)
_RELATIONS = tagged("relation")


def the_person(draw: Draw, noun: Noun) -> Nominal:
    who = "he" if "m" in noun.tags else "she" if "f" in noun.tags else "it"
    found = [Word("the"), *words(noun.english)]
    japanese: list[Chunk] = [("その", found[:1])] if noun.marked else []
    japanese.append((noun.japanese, found[1:]))
    return Nominal(found, japanese, who, noun=noun, person="role", key=noun.english)


def the_people(draw: Draw) -> Nominal:
    noun = draw.pick((BY_NAME["child"], BY_NAME["boy"], BY_NAME["girl"], BY_NAME["student"], BY_NAME["tourist"]))
    found = [Word("the"), *words(noun.plural)]
    return Nominal(found, [(noun.japanese + "たち", found[1:])], "they", noun=noun, person="role", key=noun.plural)


def relation(draw: Draw, besides: str = "") -> Nominal:
    noun = draw.pick(_RELATIONS)
    front, japanese, whose = owner(draw, besides)
    found = words(noun.english)
    return Nominal(
        [*front, *found], [*japanese, (noun.japanese, found)], "it", person="relation", key=whose + noun.english
    )


def person(draw: Draw, adult: bool = False, second: float = 0.0) -> Nominal:
    """A definite person as subject; `second` is the share of "you"."""
    if second and draw.chance(second):
        return pronoun("you")
    die = draw.random()
    if die < 0.36:
        return pronoun(draw.pick(_SPEAKERS))
    if die < 0.56:
        return name(draw)
    if die < 0.72:
        return kin(draw, adult=adult)
    if die < 0.86:
        return the_person(draw, draw.pick(_ROLES))
    if die < 0.93:
        return the_person(draw, draw.pick(_ADULTS if adult else _SOMEONE))
    if die < 0.96 and not adult:
        return the_people(draw)
    return relation(draw)


def childish(person: Nominal) -> bool:
    """Whether somebody is too young to marry, to drink, to work."""
    return person.noun is not None and "young" in person.noun.tags


def confusable(first: Nominal, second: Nominal) -> bool:
    """Whether one of two people might be understood to be the other, as in "Tom ate the cake that he made"."""
    if first.who == second.who or {first.who, second.who} <= {"I", "we"}:
        return True
    for one, other in ((first, second), (second, first)):
        whose = ("he", "she") if other.who == "it" else (other.who,)
        if one.person in ("kin", "relation") and one.key.startswith(whose):
            return True  # "she thinks that her father ...", "the guide thinks that her father ..."
    pronouns = [each for each in (first, second) if each.person == "pronoun" and each.who in ("he", "she")]
    return bool(pronouns) and "it" in (first.who, second.who)


def taken_up(draw: Draw, adult: bool = False) -> Nominal:
    """A person whom a pronoun can take up in the next clause."""
    while True:
        subject = person(draw, adult)
        if subject.who != "it" and "cousin" not in subject.key and subject.person != "relation":
            return subject


_OWN_FAMILY = ("husband", "wife", "son", "daughter")


def person_object(draw: Draw, verb: Verb, subject: Nominal) -> Nominal:
    """A person as object, other than the subject."""
    if verb.people == "@kin":
        if subject.who not in POSSESSIVE:
            raise Reject
        found = kin(draw, own=subject.who)
        if subject.person == "kin" or (verb.lemma == "look like" and found.key in _OWN_FAMILY):
            raise Reject
        if childish(subject) and found.key in _OWN_FAMILY:
            raise Reject
        return found
    die = draw.random()
    if die < 0.2:
        who = draw.pick(tuple(POSSESSIVE))
        if who == subject.who or {who, subject.who} <= {"I", "we"}:
            raise Reject
        return object_pronoun(who)
    if die < 0.5:
        found = name(draw)
    elif die < 0.75:
        found = kin(draw, besides=subject.who)
    elif die < 0.88 or verb.people == "@known":
        found = relation(draw, besides=subject.who)
    else:
        found = the_person(draw, draw.pick(_ROLES))
        draw.pairs.append((verb.lemma, found.key))
    if found.key == subject.key:
        raise Reject
    return found
