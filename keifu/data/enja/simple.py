"""Sentences of one clause: statements, negations, wishes, requests, descriptions, comparisons, existence."""

from collections.abc import Callable

from keifu.data.enja import events, phrases
from keifu.data.enja.adjectives import OF_PEOPLE, OF_THINGS, TRAITS, WEATHER, Adjective
from keifu.data.enja.clauses import COPULA, Clause
from keifu.data.enja.english import article as english_article
from keifu.data.enja.english import comparative, ing, superlative
from keifu.data.enja.japanese import inflect, stem
from keifu.data.enja.nouns import BY_NAME, Noun, tagged
from keifu.data.enja.phrases import Draw, Nominal, Phrase, Reject, verb
from keifu.data.enja.verbs import Verb, plain_verb
from keifu.data.enja.words import Chunk, English, Word, words

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


_IDLE = tuple(chosen for chosen in events.POOLS["progressive"] if "h" in chosen.flags)


def negative(draw: Draw) -> Sentence:
    die = draw.random()
    if die < 0.35:
        return statement(events.event(draw, "past", negative=True))
    if die < 0.55:
        tense = draw.pick(("future", "future", "progressive"))
        chosen = draw.pick(_IDLE) if tense == "progressive" else None
        return statement(events.event(draw, tense, negative=True, verb=chosen))
    if die < 0.8:
        return statement(events.state(draw, negative=True))
    return statement(events.event(draw, draw.pick(("want", "can")), negative=True))


_ACTORS: tuple[tuple[str, str], ...] = (
    ("sleep", "dog cat puppy kitten rabbit hamster baby"),
    ("bark", "dog puppy"),
    ("chase", "dog cat"),
    ("fly in", "bird swan parrot butterfly bee"),
    ("cry", "baby"),
    ("laugh", "baby"),
    ("eat", "dog cat monkey bear panda elephant"),
)
_FODDER = {
    "dog": "meat bread", "cat": "fish", "monkey": "banana apple", "bear": "fish apple", "panda": "apple",
    "elephant": "banana apple watermelon",
}  # fmt: skip


def animal(draw: Draw) -> Sentence:
    """The dog is barking; a bird is flying in the sky."""
    key, names = draw.pick(_ACTORS)
    chosen = verb(key)
    noun = BY_NAME[draw.pick(names.split())]
    if draw.chance(0.3):
        subject = phrases.thing(draw, noun, draw.pick(("a", "n")))
        tense = "progressive"
    else:
        subject = phrases.the_person(draw, noun) if draw.chance(0.6) else phrases.thing(draw, noun, "t", adjective=0.7)
        tense = draw.pick(("progressive", "progressive", "past", "was"))
    draw.tags.add("tense")
    object = None
    if key == "eat":
        fodder = [BY_NAME[name] for name in _FODDER[noun.english].split()]
        object = events.complement(draw, chosen, subject, among=fodder, determiners=("a", "n"))
    elif key in ("chase", "fly in"):
        object = events.complement(draw, chosen, subject)
    clause = Clause(subject, chosen, tense, False, object)
    if chosen.places and key != "eat" and noun.english != "baby":
        clause.place = events.place_for(draw, chosen, object, 0.6 if subject.definite else 1.0)
    if tense == "past":
        clause.time = phrases.time(draw, "day", "past")
    return statement(clause)


_ALL_DAY = tuple(verb(key) for key in ("sleep", "study#alone", "watch", "play#game"))


def all_day(draw: Draw) -> Sentence:
    """Long actions are 寝ています in the simple present, too."""
    chosen = draw.pick(_ALL_DAY)
    present = chosen.key == "sleep"
    if present:
        subject = phrases.the_person(draw, draw.pick(tagged("pet", "=baby")))
    else:
        subject = phrases.person(draw)
    object = None
    if chosen.key == "watch":
        object = events.complement(draw, chosen, subject, among=tagged("show"))
    elif chosen.nouns:
        object = events.complement(draw, chosen, subject)
    tense = "present" if present and draw.chance(0.5) else "past"
    clause = Clause(subject, lasting(chosen), tense, False, object)
    if tense == "past":
        draw.tags.add("tense")
    draw.tags.add("time")
    long = words("all day")
    clause.time = Phrase(long, [("一日中", long)])
    if tense == "past" and draw.chance(0.6):
        when = draw.pick((("yesterday", "昨日"), ("last Sunday", "先週の日曜日")))
        found = words(when[0])
        clause.time = Phrase([*long, *found], [(when[1], found), ("一日中", long)])
    return statement(clause)


def lasting(chosen: Verb) -> Verb:
    if chosen not in _LASTING:
        _LASTING[chosen] = Verb(
            **{name: getattr(chosen, name) for name in Verb.__slots__ if name != "flags"}, flags=chosen.flags | {"S"}
        )
    return _LASTING[chosen]


_LASTING: dict[Verb, Verb] = {}


def wish(draw: Draw) -> Sentence:
    draw.tags.add("desire")
    clause = events.event(draw, "want", place=0.25)
    return statement(clause)


def ability(draw: Draw) -> Sentence:
    draw.tags.add("ability")
    return statement(events.event(draw, "can", place=0.1))


def duty(draw: Draw) -> Sentence:
    draw.tags.add("obligation")
    return statement(events.event(draw, "must", place=0.15))


def experience(draw: Draw) -> Sentence:
    """have never done: したことがありません."""
    draw.tags.update(("experience", "negation"))
    clause = events.event(draw, "ever", place=0.0)
    clause.negative = True
    if clause.object and clause.object.count:
        raise Reject
    return statement(clause)


_FORBIDDEN = tuple(
    verb(key) for key in ("open", "close", "turn on", "turn off", "touch", "read", "look at", "sit on", "carry")
)


def request(draw: Draw) -> Sentence:
    """Please do; please do not."""
    draw.tags.add("request")
    negated = draw.chance(0.3)
    chosen = draw.pick(_FORBIDDEN) if negated else draw.pick(events.POOLS["please"])
    you = phrases.pronoun("you")
    letters = ("t",) if "t" in chosen.determiners else chosen.determiners
    object = events.complement(draw, chosen, you, calm=True, determiners=letters)
    english: English = [Word("please")]
    if negated:
        draw.tags.add("negation")
        english += words("do not")
    start = list(english)
    main = [Word(chosen.main), *words(" ".join(chosen.rest))]
    english += main
    japanese: list[Chunk] = []
    if object:
        english += object.english
        japanese += [*object.japanese, (chosen.particle, main), *object.count]
    japanese += [(part, main[1:] or main) for part in chosen.prefix]
    form = stem(chosen.japanese, chosen.group, "a") + "ないで" if negated else stem(chosen.japanese, chosen.group, "te")
    linked = [word for word in start if isinstance(word, Word)]
    japanese.append((form + "ください", [*linked, *(main[:1] if chosen.prefix else main)]))
    return english, ".", japanese


def shall_we(draw: Draw) -> Sentence:
    draw.tags.update(("question", "suggestion"))
    chosen = draw.pick(events.POOLS["shall"])
    we = phrases.pronoun("we")
    letters = tuple(letter for letter in chosen.determiners if letter in "at")
    object = events.complement(draw, chosen, we, determiners=letters)
    clause = Clause(we, chosen, "future", False, object)
    clause.place = events.place_for(draw, chosen, object, 0.4)
    if draw.chance(0.4):
        clause.time = phrases.time(draw, chosen.times, "future")
    english = clause.english(inverted=True)
    head = Word("shall")
    english[0] = head
    japanese = clause.japanese(topic="")
    form = stem(chosen.japanese, chosen.group, "i") + "ましょうか"
    japanese[-1] = (form, [head, *clause.subject.english, *(clause.main[:1] if chosen.prefix else clause.main)])
    return english, "?", japanese


def _predicative(draw: Draw, subject: Nominal, adjective: Adjective, tense: str, negated: bool) -> Clause:
    draw.tags.add("adjective")
    if tense != "present":
        draw.tags.add("tense")
    if negated:
        draw.tags.add("negation")
    return Clause(subject, adjective.verb, tense, negated)


def described(draw: Draw, noun: Noun, that: bool = True) -> Nominal:
    """A thing to say something of; without `that` it is not "that", where "that that" would result."""
    choices = "ttdq" if noun.tags & {"goods", "pet"} and noun.kind == "count" else "td"
    if noun.kind == "mass" or not noun.marked:
        choices = "d" if noun.kind in ("mass", "count") and "place" in noun.tags else "t"
    if noun.kind == "name":
        choices = "s"
    return phrases.thing(draw, noun, draw.pick(choices if that else choices.replace("d", "D")))


def description(draw: Draw) -> Sentence:
    """The book is expensive; he was not busy yesterday."""
    die = draw.random()
    tense = "past" if draw.chance(0.35) else "present"
    negated = draw.chance(0.25)
    if die < 0.6:
        adjective = draw.pick(OF_THINGS)
        noun = draw.pick(adjective.nouns)
        subject = described(draw, noun)
        if noun.kind == "name" or "S" in adjective.flags and adjective.english == "broken" and negated:
            tense = "present"
        return statement(_predicative(draw, subject, adjective, tense, negated))
    adjective = draw.pick(OF_PEOPLE)
    subject = phrases.person(draw)
    if (
        subject.who in ("I", "we")
        and adjective in TRAITS
        and adjective.english not in ("tall", "short", "shy", "young")
    ):
        raise Reject
    mood = "M" in adjective.flags
    clause = _predicative(draw, subject, adjective, tense if mood else "present", negated)
    if mood:
        times = {
            "past": (("yesterday", "昨日", False), ("this morning", "今朝", False)),
            "present": (("today", "今日", False),),
        }
        if adjective.english in ("busy", "free", "tired", "sick") and draw.chance(0.4):
            draw.tags.add("time")
            clause.time = phrases.adverbial(draw.pick(times[clause.tense]))
    return statement(clause)


_PRAISE = tuple(a for a in TRAITS if a.english not in ("short", "rich", "healthy", "shy"))


def somebody(draw: Draw, pronouns: tuple[str, ...] = ("he", "she")) -> Nominal:
    """One person: a name, a relative or a pronoun."""
    die = draw.random()
    if die < 0.67:
        return phrases.name(draw) if die < 0.33 else phrases.kin(draw)
    return phrases.pronoun(draw.pick(pronouns))


def described_noun(draw: Draw) -> Sentence:
    """This is an old camera; she is a kind nurse."""
    draw.tags.add("adjective")
    if draw.chance(0.5):
        adjective = draw.pick(tuple(a for a in OF_THINGS if "B" not in a.flags and not a.flags & {"P"}))
        noun = draw.pick(adjective.nouns)
        if noun.kind != "count" or noun.tags & {"role", "someone"}:
            raise Reject
        word = Word(draw.pick(("this", "that")))
        subject = Nominal([word], [("これ" if word.text == "this" else "あれ", (word,))], "it")
        if "place" in noun.tags or noun.tags & {"room", "homeroom", "road"}:
            subject.japanese = [("ここ" if word.text == "this" else "あそこ", (word,))]
    else:
        adjective = draw.pick(_PRAISE)
        noun = draw.pick(
            tagged("job", "=teacher", "=student", "=clerk", "=waiter")
            if adjective.english != "strict"
            else tagged("strict")
        )
        subject = somebody(draw)
    found = words(adjective.english)
    name = words(noun.english)
    article = Word(english_article(found[0].text))
    chunks: list[Chunk] = [*phrases.adjective_chunks(adjective, found), (noun.japanese, name)]
    described = Nominal([article, *found, *name], chunks, "it")
    tense = "past" if draw.chance(0.2) and subject.person in ("name", "kin") else "present"
    if tense == "past":
        draw.tags.add("tense")
    negated = draw.chance(0.15)
    if negated:
        draw.tags.add("negation")
    return statement(Clause(subject, COPULA, tense, negated, described))


_JOBS = tagged("job", "=teacher", "=student", "=professor", "=secretary")


def identity(draw: Draw) -> Sentence:
    """My father is a doctor; Tom is my friend."""
    subject = somebody(draw, ("I", "he", "she"))
    if subject.person != "pronoun" and draw.chance(0.2):
        other = phrases.relation(draw, besides=subject.who)
        return statement(Clause(subject, COPULA, "present", False, other))
    noun = draw.pick(_JOBS)
    complement = phrases.thing(draw, noun, "a")
    die = draw.random()
    tense = "past" if die < 0.2 else "present"
    negated = draw.chance(0.2)
    if tense == "past":
        draw.tags.add("tense")
    if negated:
        draw.tags.add("negation")
    clause = Clause(subject, COPULA, tense, negated, complement)
    return statement(clause) if subject.who == "I" or draw.chance(0.8) else _asked_identity(draw, clause)


def _asked_identity(draw: Draw, clause: Clause) -> Sentence:
    if clause.negative or clause.subject.key.startswith("my "):
        raise Reject
    return yes_no(draw, clause)


_FALLING = {name: plain_verb(name, "降る", "5", (noun, "が")) for name, noun in (("rain", "雨"), ("snow", "雪"))}


def weather_verb(name: str) -> Verb:
    return _FALLING[name]


_CITIES = tagged("city")


def weather(draw: Draw) -> Sentence:
    """It is cold today; it rained in Tokyo yesterday; it will snow tomorrow."""
    falls = draw.chance(0.4)
    chosen = weather_verb(draw.pick(("rain", "snow"))) if falls else draw.pick(tuple(WEATHER.values())).verb
    tense = (
        draw.pick(("progressive", "past", "past", "future", "was"))
        if falls
        else draw.pick(("present", "past", "future"))
    )
    negated = draw.chance(0.15)
    if tense != "present":
        draw.tags.add("tense")
    if negated:
        draw.tags.add("negation")
    if not falls:
        draw.tags.add("adjective")
    clause = Clause(phrases.weather_it(), chosen, tense, negated)
    city = draw.pick(_CITIES) if draw.chance(0.5) else None
    topic: list[Chunk] = []
    if city:
        draw.tags.add("place")
        clause.place = phrases.place(("", city), particle="では" if falls else "は")
        topic, clause.place.japanese = clause.place.japanese, []
    if not (falls and tense in ("progressive", "was") and draw.chance(0.5)):
        options = {
            "present": (("today", "今日", False),),
            "progressive": (("now", "今", False),),
            "past": (("yesterday", "昨日", False), ("last night", "昨夜", False), ("this morning", "今朝", False)),
            "was": (("this morning", "今朝", False), ("last night", "昨夜", False)),
            "future": (("tomorrow", "明日", False), ("tonight", "今夜", False)),
        }
        draw.tags.add("time")
        clause.time = phrases.adverbial(draw.pick(options[tense]))
        if not city and tense != "progressive":
            clause.time.japanese.append(("は", ()))
    english = clause.english()
    japanese = clause.japanese()
    if tense == "future":
        japanese = _probably(clause, chosen, negated)
    return english, ".", [*topic, *japanese]


def _probably(clause: Clause, chosen: Verb, negated: bool) -> list[Chunk]:
    """What the weather will be is でしょう."""
    form = inflect(chosen.japanese, chosen.group, "present", negated, "plain")[0]
    chunks = clause.japanese(style="plain")
    chunks[-1] = (form, chunks[-1][1] if len(clause.main) else ())
    return [*chunks, ("でしょう", clause.auxiliaries[:1])]


# Where things are: preposition, Japanese, place nouns, nouns that are found there.
_SPOTS: tuple[tuple[str, str, tuple[Noun, ...], tuple[Noun, ...]], ...] = (
    ("on", "上", tagged("top"), tagged("readable", "stationery", "=key", "=cup", "=plate", "=box", "=vase", "=wallet", "=cat", "fruit", "=camera", "=hat", "=bag")),
    ("under", "下", tagged("=table", "=desk", "=bed", "=chair", "=sofa", "=bench"), tagged("=dog", "=cat", "=ball", "=bag", "=box", "=shoes", "=toy", "=kitten", "=puppy", "=doll")),
    ("in", "中", tagged("=box", "=bag", "=drawer", "=basket", "=suitcase"), tagged("=book", "=key", "=toy", "=coin", "=photo", "=letter", "=pen", "=notebook", "=shirt", "=towel", "=apple", "=handkerchief", "=stamp", "=ticket", "=candle")),
    ("in", "中", tagged("=refrigerator"), tagged("vegetable", "fruit", "=egg", "=milk", "=beer", "=juice", "=cheese", "=cake", "=fish", "=meat", "=water")),
    ("near", "近く", tagged("=station", "=park", "=school", "=hospital", "=library", "=house", "=hotel", "=beach", "=university", "=airport"), tagged("building", "=park", "=zoo", "=bus_stop", "=house", "=pool", "=river", "=lake")),
    ("next to", "隣", tagged("=station", "=park", "=school", "=hospital", "=library", "=bank", "=hotel", "=museum", "=post_office"), tagged("building", "=park")),
    ("in front of", "前", tagged("=station", "=school", "=hospital", "=library", "=hotel", "=theater", "=bank", "=house"), tagged("=car", "=truck", "=taxi", "=bus_stop", "=tree", "=bench", "=bicycle", "=motorcycle", "=dog")),
    ("behind", "後ろ", tagged("=door", "=tree", "=curtain", "=school", "=house", "=sofa", "=church"), tagged("=cat", "=dog", "=boy", "=girl", "=child", "=bicycle", "=rabbit")),
)  # fmt: skip
_SITES: tuple[tuple[str, tuple[Noun, ...]], ...] = (
    ("park", tagged("=tree", "=bench", "=dog", "=bird", "=duck", "=child", "=boy", "=girl", "flower", "=squirrel", "=man", "=woman")),
    ("garden", tagged("=tree", "flower", "=cat", "=bird", "=rabbit", "=chair", "=table", "=butterfly", "=frog", "=goat")),
    ("zoo", tagged("zoo")),
    ("classroom", tagged("=student", "=desk", "=chair", "=teacher", "=girl", "=boy")),
    ("living room", tagged("=sofa", "=lamp", "=cat", "=dog", "=bookshelf", "=table", "=piano", "=mirror")),
    ("kitchen", tagged("=refrigerator", "=table", "=plate", "=cup", "=chair", "=cat", "=mouse", "=spider")),
    ("forest", tagged("forest")),
    ("farm", tagged("farm")),
    ("town", tagged("shop", "=library", "=hospital", "=park", "=church", "=temple", "=bridge", "=museum", "=school", "=hotel")),
    ("village", tagged("=school", "=church", "=temple", "=shrine", "=river", "=house", "=bridge", "=bakery", "=post_office", "=farm")),
    ("hospital", tagged("=doctor", "=nurse", "=cafe")),
    ("bedroom", tagged("=bed", "=lamp", "=mirror", "=desk", "=bookshelf", "=cat")),
)  # fmt: skip
_ALIVE = frozenset(("animal", "person", "baby", "role", "someone"))


def spot(draw: Draw, noun: Noun | None = None) -> tuple[Phrase, tuple[Noun, ...]]:
    """Somewhere with what is found there: 机の上に."""
    draw.tags.add("place")
    if draw.chance(0.45):
        site, things = draw.pick(_SITES)
        return phrases.place(("", BY_NAME[site]), particle="に"), things
    english, japanese, anchors, things = draw.pick(_SPOTS)
    anchor = draw.pick(anchors)
    front = words(english)
    article = [Word("the")]
    found = words(anchor.english)
    chunks: list[Chunk] = [(anchor.japanese, found), ("の", front), (japanese, front), ("に", front)]
    if english == "in":
        chunks = [(anchor.japanese, found), ("の", front), ("中", front), ("に", front)]
    things = tuple(thing for thing in things if thing is not anchor)
    return Phrase([*front, *article, *found], chunks), things


def existence(draw: Draw) -> Sentence:
    """There is a cat under the table; are there two beds in the room?"""
    where, things = spot(draw)
    noun = draw.pick(things)
    alive = bool(noun.tags & _ALIVE)
    few = noun.kind == "mass" or (noun.tags & {"building", "homeroom"} and not noun.counter)
    determiner = "a" if few else draw.pick(("a", "a", "n"))
    subject = phrases.thing(draw, noun, determiner, adjective=0.25)
    past_tense = draw.chance(0.2)
    if past_tense:
        draw.tags.add("tense")
    is_word = Word(phrases_be(subject.who, past_tense))
    there = Word("there")
    question = draw.chance(0.2)
    negated = not question and not subject.count and noun.kind != "count" and draw.chance(0.3)
    form = inflect(
        "いる" if alive else "ある", "1" if alive else "5", "past" if past_tense else "present", negated, "polite"
    )
    linked = [there, is_word]
    start: English = [is_word, there] if question else [there, is_word]
    if negated:
        draw.tags.add("negation")
        no = Word("not")
        start.append(no)
        linked.append(no)
    english: English = [*start, *subject.english, *where.english]
    japanese: list[Chunk] = [*where.japanese, *subject.japanese, ("が", ()), *subject.count, (form[0], linked)]
    if question:
        draw.tags.add("question")
        return english, "?", [*japanese, ("か", ())]
    return english, ".", japanese


def phrases_be(who: str, was: bool) -> str:
    plural = who == "they"
    return ("were" if plural else "was") if was else ("are" if plural else "is")


def location(draw: Draw) -> Sentence:
    """The cat is under the table; my key was not in the bag."""
    where, things = spot(draw)
    noun = draw.pick(things)
    if noun.kind != "count" or noun.tags & {"building", "place", "road", "nature", "room"}:
        raise Reject
    alive = bool(noun.tags & _ALIVE)
    owned = noun.tags & {"goods", "pet", "small", "loseable"} and not noun.tags & {"furniture", "flower"}
    subject = phrases.thing(draw, noun, draw.pick("tq") if owned else "t")
    past_tense, negated = draw.chance(0.25), draw.chance(0.2)
    if past_tense:
        draw.tags.add("tense")
    is_word = Word(phrases_be(subject.who, past_tense))
    linked = [is_word]
    if negated:
        draw.tags.add("negation")
        linked.append(Word("not"))
    form = inflect(
        "いる" if alive else "ある", "1" if alive else "5", "past" if past_tense else "present", negated, "polite"
    )
    english: English = [*subject.english, *linked, *where.english]
    return english, ".", [*subject.japanese, ("は", ()), *where.japanese, (form[0], linked)]


def compared(adjective: Adjective) -> tuple[list[Word], list[Word]]:
    found = words(comparative(adjective.english))
    return found, [Word("than")]


_COMPARABLE = tuple(adjective for adjective in OF_THINGS if "C" in adjective.flags and not adjective.flags & {"P"})
_PERSONAL = tuple(adjective for adjective in OF_PEOPLE if "C" in adjective.flags)
_BY_SIZE = ("bee", "frog", "mouse", "hamster", "cat", "fox", "wolf", "lion", "horse", "elephant", "whale")
_BY_SPEED = ("bicycle", "bus", "train", "airplane")


def comparison(draw: Draw) -> Sentence:
    """Tom is taller than Mary; this book is more interesting than that book."""
    draw.tags.update(("comparison", "adjective"))
    die = draw.random()
    if die < 0.5:
        adjective = draw.pick(_PERSONAL)
        subject, other = _two_people(draw)
    elif die < 0.65:
        order, name = draw.pick(((_BY_SIZE, "big"), (_BY_SPEED, "fast")))
        low = int(draw.random() * (len(order) - 1))
        high = low + 1 + int(draw.random() * (len(order) - low - 1))
        adjective = next(adjective for adjective in OF_THINGS if adjective.english == name)
        subject = phrases.thing(draw, BY_NAME[order[high]], "s")
        other = phrases.thing(draw, BY_NAME[order[low]], "s")
        subject.definite = True
    else:
        adjective = draw.pick(_COMPARABLE)
        noun = draw.pick(adjective.nouns)
        if noun.kind not in ("count", "pair") or noun.tags & {"role", "someone"}:
            raise Reject
        pair = noun.kind == "pair"
        first, second = Word("these" if pair else "this"), Word("those" if pair else "that")
        one, two = words(noun.english), words(noun.english)
        who = "they" if pair else "it"
        subject = Nominal([first, *one], [("この", (first,)), (noun.japanese, one)], who)
        other = Nominal([second, *two], [("あの", (second,)), (noun.japanese, two)], who)
    found, than = compared(adjective)
    is_word = Word(phrases.be_form(subject.who))
    english: English = [*subject.english, is_word, *found, *than, *other.english]
    predicate = _equal_predicate(adjective, found, is_word)
    return english, ".", [*subject.japanese, ("は", ()), *other.japanese, ("より", than), *predicate]


def _equal_predicate(adjective: Adjective, found: list[Word], is_word: Word) -> list[Chunk]:
    forms = inflect(adjective.japanese, adjective.group, "present", False, "polite")
    head: list[Chunk] = [(part, found) for part in adjective.prefix]
    return [*head, (forms[0], found), *((form, (is_word,)) for form in forms[1:])]


def _two_people(draw: Draw) -> tuple[Nominal, Nominal]:
    subject = somebody(draw, ("he", "she", "I"))
    other = phrases.name(draw) if draw.chance(0.5) else phrases.kin(draw)
    if subject.key == other.key or other.who == subject.who == subject.key:
        raise Reject
    return subject, other


def most(draw: Draw) -> Sentence:
    """Tom is the tallest in the class: クラスで一番背が高い."""
    draw.tags.update(("comparison", "adjective"))
    adjective = draw.pick(_PERSONAL)
    group, japanese = draw.pick((("class", "クラス"), ("family", "家族"), ("village", "村"), ("team", "チーム")))
    if group == "class" and adjective.english in ("rich", "young"):
        raise Reject
    subject = phrases.name(draw) if draw.chance(0.6) else phrases.pronoun(draw.pick(("he", "she", "I")))
    the, found = Word("the"), words(superlative(adjective.english))
    into, article, where = Word("in"), Word("the"), words(group)
    is_word = Word(phrases.be_form(subject.who))
    english: English = [*subject.english, is_word, the, *found, into, article, *where]
    chunks: list[Chunk] = [*subject.japanese, ("は", ()), (japanese, where), ("で", (into,)), ("一番", (the, *found))]
    return english, ".", [*chunks, *_equal_predicate(adjective, found, is_word)]


_PLEASANT = frozenset(("play", "swim", "run", "dance", "take a walk", "read", "paint", "draw", "ride", "cook", "bake"))
_FUN = (("fun", "楽しい", "i"), ("interesting", "面白い", "i"), ("difficult", "難しい", "i"))
_HARD = ("speak", "learn", "study", "write", "translate", "practice", "play#strings", "draw", "paint")


def activity(draw: Draw) -> Sentence:
    """I like playing tennis; reading books is fun."""
    draw.tags.add("gerund")
    chosen = draw.pick(events.POOLS["gerund"])
    generic = phrases.pronoun("we")
    object = events.complement(draw, chosen, generic, calm=True, determiners=_generic(chosen))
    doing = [Word(ing(chosen.main))]
    rest = [Word(part) for part in chosen.rest]
    all_words = [*doing, *rest]
    chunks: list[Chunk] = []
    if object:
        particle = rest if chosen.split else all_words
        chunks = [*object.japanese, (chosen.particle, particle)]
    fixed = rest or doing
    chunks += [(part, fixed) for part in chosen.prefix]
    verbal = doing if chosen.prefix or chosen.split else all_words
    chunks += [(chosen.japanese, verbal), ("の", doing)]
    phrase: English = [*all_words, *(object.english if object else [])]
    where = events.place_for(draw, chosen, object, 0.5) if chosen.key in _PLEASANT else None
    if where:
        phrase += where.english
        chunks = [*where.japanese, *chunks]
    if draw.chance(0.45):
        name, japanese, group = draw.pick(_FUN[:1] if chosen.key not in _HARD else _FUN)
        draw.tags.add("adjective")
        is_word, fun = Word("is"), Word(name)
        negated = draw.chance(0.15)
        linked = [is_word]
        if negated:
            draw.tags.add("negation")
            linked.append(Word("not"))
        first, second = inflect(japanese, group, "present", negated, "polite")
        return [*phrase, *linked, fun], ".", [*chunks, ("は", ()), (first, (fun,)), (second, linked)]
    subject = phrases.person(draw)
    clause = Clause(subject, verb("like"), "present", draw.chance(0.25))
    if clause.negative:
        draw.tags.add("negation")
    english = [*clause.english(), *phrase]
    return english, ".", [*subject.japanese, ("は", ()), *chunks, ("が", clause.main), *clause.predicate("polite")]


def _generic(chosen: Verb) -> tuple[str, ...]:
    if not chosen.nouns:
        return ()
    return tuple(letter for letter in chosen.calm if letter in "as")[-1:] or chosen.calm[:1]


def possessions(draw: Draw) -> Sentence:
    """Numbers: I have two dogs; she bought three books."""
    tense = draw.pick(("past", "past", "future", "present", "present"))
    pool = events.POOLS["bare"] if tense == "present" else events.POOLS[tense]
    numbered = [chosen for chosen in pool if "n" in chosen.determiners and chosen.key != "need"]
    if tense == "present":
        numbered = [chosen for chosen in numbered if chosen.lemma in ("have", "want")]
    chosen = draw.pick(numbered)
    subject = events.subject_for(draw, chosen)
    to = events.given_to(draw, chosen, subject) if "T" in chosen.flags else None
    object = events.complement(draw, chosen, subject, determiners=("n",))
    clause = Clause(subject, chosen, tense, False, object, to)
    if not to:
        clause.place = events.place_for(draw, chosen, object, 0.3)
    if tense != "present":
        draw.tags.add("tense")
        clause.time = events.time_for(draw, chosen, tense, object)
    return statement(clause)


def group_action(draw: Draw) -> Sentence:
    """Three children are playing soccer in the park: indefinite subjects take が and come after the place."""
    chosen = draw.pick(_GROUP_VERBS)
    noun = draw.pick(tagged("=child", "=boy", "=girl", "=student", "=man", "=woman", "=tourist"))
    subject = phrases.thing(draw, noun, draw.pick(("n", "a")))
    object = events.complement(draw, chosen, subject, calm=True)
    draw.tags.add("tense")
    clause = Clause(subject, chosen, draw.pick(("progressive", "progressive", "was")), False, object)
    clause.place = events.place_for(draw, chosen, object, 1.0)
    return statement(clause)


_GROUP_VERBS = tuple(
    verb(key) for key in ("play", "run", "swim", "dance", "sing", "read", "wait for", "take a walk", "eat", "play#game", "draw",
                          "study#alone", "play#winds", "play#strings")
)  # fmt: skip
