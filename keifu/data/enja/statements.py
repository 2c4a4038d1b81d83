"""Sentences of one clause: what somebody does, did, wants, can, must and has never done; requests and suggestions."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from keifu.data.enja import events, people, phrases
from keifu.data.enja.clauses import Clause
from keifu.data.enja.draws import Draw, Phrase, Reject
from keifu.data.enja.english import ing
from keifu.data.enja.japanese import inflect, stem
from keifu.data.enja.nouns import BY_NAME, tagged
from keifu.data.enja.verbs import BY_KEY, Verb
from keifu.data.enja.words import Chunk, English, Word, listed, words

Sentence = tuple[English, str, list[Chunk]]
Construction = Callable[[Draw], Sentence]


def statement(clause: Clause) -> Sentence:
    return clause.english(), ".", clause.japanese()


def yes_no(draw: Draw, clause: Clause) -> Sentence:
    draw.tags.add("question")
    return clause.english(inverted=True), "?", [*clause.japanese(), ("か", ())]


def plain(draw: Draw) -> Sentence:
    return statement(events.state(draw))


def habit(draw: Draw) -> Sentence:
    return statement(events.habit(draw))


def past(draw: Draw) -> Sentence:
    return statement(events.event(draw, "past"))


def progressive(draw: Draw) -> Sentence:
    return statement(events.event(draw, "progressive", place=0.4))


def future(draw: Draw) -> Sentence:
    return statement(events.event(draw, draw.pick(("future", "future", "going"))))


# What is worth saying that somebody is not doing just now.
_IDLE = tuple(verb for verb in events.POOLS["progressive"] if "h" in verb.flags)


def negative(draw: Draw) -> Sentence:
    die = draw.random()
    if die < 0.35:
        return statement(events.event(draw, "past", negative=True))
    if die < 0.55:
        tense = draw.pick(("future", "future", "progressive"))
        verb = draw.pick(_IDLE) if tense == "progressive" else None
        return statement(events.event(draw, tense, negative=True, verb=verb))
    if die < 0.8:
        return statement(events.state(draw, negative=True))
    tense = draw.pick(("want", "can"))
    draw.tags.add("desire" if tense == "want" else "ability")
    return statement(events.event(draw, tense, negative=True, place=0.0))


_ACTORS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("sleep", listed("dog, cat, puppy, kitten, rabbit, hamster, baby")),
    ("bark", ("dog", "puppy")),
    ("chase", ("dog", "cat")),
    ("fly in", listed("bird, swan, parrot, butterfly, bee")),
    ("cry", ("baby",)),
    ("laugh", ("baby",)),
    ("eat", listed("dog, cat, monkey, bear, panda, elephant")),
)
_FODDER = {
    "dog": tagged("=meat", "=bread"), "cat": tagged("=fish"), "monkey": tagged("=banana", "=apple"),
    "bear": tagged("=fish", "=apple"), "panda": tagged("=apple"), "elephant": tagged("=banana", "=watermelon"),
}  # fmt: skip


def animal(draw: Draw) -> Sentence:
    """The dog is barking; a bird is flying in the sky."""
    key, names = draw.pick(_ACTORS)
    verb, noun = BY_KEY[key], BY_NAME[draw.pick(names)]
    if draw.chance(0.3):
        subject, tense = phrases.thing(draw, noun, draw.pick("an")), "progressive"
    else:
        subject = phrases.thing(draw, noun, "t", adjective=0.3)
        tense = draw.pick(("progressive", "progressive", "past", "was"))
    draw.tags.add("tense")
    fodder = _FODDER[noun.english] if key == "eat" else ()
    object = events.complement(draw, verb, subject, among=fodder)
    clause = Clause(subject, verb, tense, False, object)
    if key != "eat" and noun.english != "baby":
        clause.place = events.place_for(draw, verb, object, 0.6 if subject.definite else 1.0)
    if tense == "past":
        clause.time = phrases.time(draw, "day", "past")
    return statement(clause)


_ALL_DAY = tuple(BY_KEY[key] for key in ("sleep", "study#alone", "watch", "play#game"))


@cache
def lasting(verb: Verb) -> Verb:
    """The verb as a state, for what goes on all day: 寝ています."""
    return replace(verb, flags=verb.flags | {"S"})


def all_day(draw: Draw) -> Sentence:
    """My cat sleeps all day; he studied all day yesterday."""
    verb = draw.pick(_ALL_DAY)
    pet = verb.key == "sleep"
    if pet:
        subject = phrases.thing(draw, draw.pick(tagged("pet", "=baby")), draw.pick("tq"), adjective=0.4)
    else:
        subject = people.person(draw)
    object = events.complement(draw, verb, subject, among=tagged("show") if verb.key == "watch" else ())
    tense = "present" if pet and draw.chance(0.5) else "past"
    clause = Clause(subject, lasting(verb), tense, False, object)
    draw.tags.add("time")
    clause.time = through_the_day()
    if tense == "past":
        draw.tags.add("tense")
        if draw.chance(0.6):
            when = phrases.adverbial(draw.pick((("yesterday", "昨日", False), ("last Sunday", "先週の日曜日", True))))
            long = clause.time
            clause.time = Phrase([*long.english, *when.english], [*when.japanese, *long.japanese])
    return statement(clause)


def through_the_day() -> Phrase:
    long = words("all day")
    return Phrase(long, [("一日中", long)])


def wish(draw: Draw) -> Sentence:
    draw.tags.add("desire")
    return statement(events.event(draw, "want", place=0.25))


def ability(draw: Draw) -> Sentence:
    draw.tags.add("ability")
    return statement(events.event(draw, "can", place=0.0))


def duty(draw: Draw) -> Sentence:
    draw.tags.add("obligation")
    return statement(events.event(draw, "must", place=0.15))


def experience(draw: Draw) -> Sentence:
    """She has never eaten sushi: 食べたことがありません."""
    draw.tags.update(("experience", "negation"))
    clause = events.event(draw, "ever", place=0.0)
    clause.negative = True
    return statement(clause)


_FORBIDDEN = tuple(BY_KEY[key] for key in listed("open, close, turn on, turn off, touch, read, look at, sit on, carry"))


def request(draw: Draw) -> Sentence:
    """Please open the window; please do not touch the picture."""
    draw.tags.add("request")
    negated = draw.chance(0.3)
    verb = draw.pick(_FORBIDDEN) if negated else draw.pick(events.POOLS["please"])
    letters = ("t",) if "t" in verb.determiners else verb.determiners
    object = events.complement(draw, verb, people.pronoun("you"), calm=True, determiners=letters)
    asking = words("please do not" if negated else "please")
    if negated:
        draw.tags.add("negation")
    clause = Clause(people.pronoun("you"), verb, "future", False, object)
    clause.english()
    main = [*clause.main, *clause.preposition]
    english: English = [*asking, *main, *(object.english if object else [])]
    japanese = clause.japanese(topic="")
    form = stem(verb.japanese, verb.group, "a") + "ないで" if negated else stem(verb.japanese, verb.group, "te")
    japanese[-1] = (form + "ください", [*asking, *(main[:1] if verb.prefix else clause.main)])
    return english, ".", japanese


def shall_we(draw: Draw) -> Sentence:
    """Shall we go to the park tomorrow? 明日公園に行きましょうか."""
    draw.tags.update(("question", "suggestion"))
    verb = draw.pick(events.POOLS["shall"])
    we = people.pronoun("we")
    letters = tuple(letter for letter in verb.determiners if letter in "at")
    clause = Clause(we, verb, "future", False, events.complement(draw, verb, we, determiners=letters))
    clause.place = events.place_for(draw, verb, clause.object, 0.4)
    if draw.chance(0.4):
        clause.time = phrases.time(draw, verb.times, "future")
    english = clause.english(inverted=True)
    english[0] = shall = Word("shall")
    japanese = clause.japanese(topic="")
    form = stem(verb.japanese, verb.group, "i") + "ましょうか"
    japanese[-1] = (form, [shall, *we.english, *(clause.main[:1] if verb.prefix else clause.main)])
    return english, "?", japanese


_PLEASANT = listed("play, swim, run, dance, take a walk, read, paint, draw, ride, cook, bake")
_FUN = (("fun", "楽しい"), ("interesting", "面白い"), ("difficult", "難しい"))
_HARD = listed("speak, learn, study, write, translate, practice, play#strings, draw, paint")


def activity(draw: Draw) -> Sentence:
    """I like playing tennis; reading books is fun: 本を読むのは楽しいです."""
    draw.tags.add("gerund")
    verb = draw.pick(events.POOLS["gerund"])
    letters = tuple(letter for letter in verb.calm if letter in "as")[-1:] or verb.calm[:1]
    object = events.complement(draw, verb, people.pronoun("we"), calm=True, determiners=letters)
    # A habit even of what is said as a state otherwise: 集めるのが好き, not 集めているのが.
    clause = Clause(people.pronoun("we"), replace(verb, flags=verb.flags - {"S"}), "present", False, object)
    if verb.key in _PLEASANT:
        clause.place = events.place_for(draw, verb, object, 0.5)
    phrase = clause.english(subject=False)
    doing = Word(ing(verb.main))
    phrase[0] = doing
    clause.main[0] = doing
    chunks: list[Chunk] = [*clause.japanese("plain", topic=""), ("の", (doing,))]
    if verb.lemma != "eat" and draw.chance(0.45):
        name, japanese = draw.pick(_FUN if verb.key in _HARD else _FUN[:1])
        draw.tags.add("adjective")
        linked = words("is")
        negated = draw.chance(0.15)
        if negated:
            draw.tags.add("negation")
            linked.append(Word("not"))
        fun = Word(name)
        first, second = inflect(japanese, "i", "present", negated, "polite")
        return [*phrase, *linked, fun], ".", [*chunks, ("は", ()), (first, (fun,)), (second, linked)]
    subject = people.person(draw)
    liking = Clause(subject, BY_KEY["like"], "present", draw.chance(0.25))
    if liking.negative:
        draw.tags.add("negation")
    english = [*liking.english(), *phrase]
    return english, ".", [*subject.japanese, ("は", ()), *chunks, ("が", liking.main), *liking.predicate("polite")]


_NUMBERED = {
    tense: tuple(
        verb
        for verb in events.POOLS[pool]
        if "n" in verb.determiners and (pool != "bare" or verb.lemma in ("have", "want"))
    )
    for tense, pool in (("past", "past"), ("future", "future"), ("present", "bare"))
}


def possessions(draw: Draw) -> Sentence:
    """I have two dogs; she bought three books: 本を三冊買いました."""
    tense = draw.pick(("past", "past", "future", "present", "present"))
    verb = draw.pick(_NUMBERED[tense])
    subject = events.subject_for(draw, verb)
    to = events.given_to(draw, verb, subject) if "T" in verb.flags else None
    clause = Clause(subject, verb, tense, False, events.complement(draw, verb, subject, determiners=("n",)), to)
    if not to:
        clause.place = events.place_for(draw, verb, clause.object, 0.3)
    if tense != "present":
        draw.tags.add("tense")
        clause.time = events.time_for(draw, verb, tense, clause.object)
    return statement(clause)


_IN_PUBLIC = tuple(
    BY_KEY[key]
    for key in listed(
        "play, run, swim, dance, sing, read, wait for, take a walk, eat, play#game, draw, study#alone, play#winds,"
        "play#strings"
    )
)
_CROWD = tagged("=child", "=boy", "=girl", "=student", "=man", "=woman", "=tourist")


def group_action(draw: Draw) -> Sentence:
    """Three children are playing soccer in the park: 公園で三人の子供がサッカーをしています."""
    verb = draw.pick(_IN_PUBLIC)
    subject = phrases.thing(draw, draw.pick(_CROWD), draw.pick("na"))
    object = events.complement(draw, verb, subject, calm=True)
    draw.tags.add("tense")
    clause = Clause(subject, verb, draw.pick(("progressive", "progressive", "was")), False, object)
    clause.place = events.place_for(draw, verb, object, 1.0)
    if object is not None and object.key == subject.key:
        raise Reject
    return statement(clause)
