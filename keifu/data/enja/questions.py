"""Questions: yes or no, and with what, who, where, when, why, how and which."""

from keifu.data.enja import events, people, phrases
from keifu.data.enja.adjectives import MOODS
from keifu.data.enja.clauses import Clause
from keifu.data.enja.descriptions import somebody
from keifu.data.enja.draws import Draw, Nominal, Phrase, Reject
from keifu.data.enja.english import be
from keifu.data.enja.nouns import tagged
from keifu.data.enja.statements import Sentence, yes_no
from keifu.data.enja.verbs import BY_KEY, Verb
from keifu.data.enja.words import Chunk, English, Word, listed, words

KA: Chunk = ("か", ())


def _verbs(keys: str) -> tuple[Verb, ...]:
    return tuple(BY_KEY[key] for key in listed(keys))


def _time(draw: Draw, clause: Clause) -> None:
    """A time, as often as in a statement."""
    clause.time = events.time_for(draw, clause.verb, clause.tense, clause.object)


def _asked(draw: Draw, verb: Verb, tenses: tuple[str, ...]) -> Clause:
    """A clause still without object, in one of the tenses that the verb has."""
    tense = draw.pick(tenses)
    if (tense == "future" and "P" in verb.flags) or (tense == "progressive" and "p" not in verb.flags):
        tense = "past"
    if tense != "present":
        draw.tags.add("tense")
    return Clause(events.asked(draw, verb), verb, tense)


def _with_open_object(word: list[Word], clause: Clause) -> Sentence:
    """A question for the object, which is in front in English and in its place in Japanese."""
    return [*word, *clause.english(inverted=True, object=False)], "?", [*clause.japanese(), KA]


def yes_no_question(draw: Draw) -> Sentence:
    die = draw.random()
    if die < 0.5:
        tense = "past" if die < 0.35 else draw.pick(("future", "progressive"))
        return yes_no(draw, events.event(draw, tense, question=True))
    if die < 0.7:
        return yes_no(draw, events.state(draw, question=True))
    if die < 0.85:
        return yes_no(draw, events.habit(draw, question=True))
    if die < 0.93:
        draw.tags.add("desire")
        return yes_no(draw, events.event(draw, "want", subject=people.pronoun("you")))
    draw.tags.add("ability")
    return yes_no(draw, events.event(draw, "can", question=True, place=0.0))


def ever(draw: Draw) -> Sentence:
    """Have you ever seen a panda? 見たことがありますか."""
    draw.tags.update(("question", "experience"))
    clause = events.event(draw, "ever", subject=people.pronoun("you"), place=0.0)
    word = Word("ever")
    clause.adverb = Phrase([word], [])
    english = clause.english(inverted=True)
    *japanese, (text, linked) = clause.japanese()
    return english, "?", [*japanese, (text, [*linked, word]), KA]


def mood(draw: Draw) -> Sentence:
    """Are you tired?"""
    draw.tags.add("adjective")
    subject = events.asked(draw, BY_KEY["eat"])
    return yes_no(draw, Clause(subject, draw.pick(tuple(MOODS.values())).verb, "present"))


_WHAT = _verbs(
    "eat, drink, buy#grocery, buy, make, write, draw, watch, study, order, sell, choose, look for, cook, look at,"
    "learn, break, lose, paint, cut, send, show, give"
)


def what(draw: Draw) -> Sentence:
    """What did you buy yesterday? 何を買いましたか."""
    draw.tags.add("question")
    verb = draw.pick(_WHAT)
    clause = _asked(draw, verb, ("past", "past", "future", "progressive"))
    word = Word("what")
    clause.object = Nominal([], [("何", (word,))], "it")
    if "T" in verb.flags:
        clause.to = events.given_to(draw, verb, clause.subject)
    elif verb.places and draw.chance(0.35):
        clause.place = events.place_for(draw, verb, None, 1.0)
    _time(draw, clause)
    return _with_open_object([word], clause)


_WHO = _verbs(
    "break, wash, cook#meal, open, buy, write, paint, use, repair, clean, eat, make, play#strings, sing, drive, find,"
    "turn off, close, bake, drink, win, play#winds, borrow#library"
)


def who(draw: Draw) -> Sentence:
    """Who broke the window? 誰が."""
    draw.tags.update(("question", "tense"))
    verb = draw.pick(_WHO)
    tense = draw.pick(("past", "past", "progressive" if "p" in verb.flags else "past"))
    word = Word("who")
    subject = Nominal([word], [("誰", (word,))], "it")
    letters = tuple(letter for letter in verb.determiners if letter in "ta")
    clause = Clause(subject, verb, tense, False, events.complement(draw, verb, subject, determiners=letters))
    clause.place = events.place_for(draw, verb, clause.object, 0.3)
    if tense == "past":
        _time(draw, clause)
    return clause.english(), "?", [*clause.japanese(topic="が"), KA]


_WHOM = _verbs("meet, invite, call, visit, help, talk with, wait for")


def whom(draw: Draw) -> Sentence:
    """Who did you meet at the station? 誰に会いましたか."""
    draw.tags.add("question")
    verb = draw.pick(_WHOM)
    waiting = verb.key in ("wait for", "talk with") and draw.chance(0.6)
    clause = _asked(draw, verb, ("progressive",) if waiting else ("past", "past", "future"))
    word = Word("who")
    clause.object = Nominal([], [("誰", (word,))], "he")
    if verb.places and draw.chance(0.6):
        draw.tags.add("place")
        clause.place = phrases.place(draw.pick(verb.places))
    _time(draw, clause)
    return _with_open_object([word], clause)


_WHERE = _verbs(
    "buy, buy#grocery, eat, eat#meal, find, lose, meet, read, study, play, practice, draw, work, write, wait for,"
    "borrow#library, swim, learn, choose, play#strings, make"
)


def _definite(verb: Verb) -> tuple[str, ...]:
    return tuple(letter for letter in verb.determiners if letter in "todq") or verb.calm[:1]


def where(draw: Draw) -> Sentence:
    """Where did you buy the book? どこで."""
    draw.tags.add("question")
    verb = draw.pick(_WHERE)
    clause = _asked(draw, verb, ("present",) if verb.key == "work" else ("past", "past", "future", "progressive"))
    word = Word("where")
    clause.object = events.complement(draw, verb, clause.subject, determiners=_definite(verb))
    clause.place = Phrase([], [("どこ", (word,)), ("で", (word,))])
    if clause.tense in ("past", "future"):
        _time(draw, clause)
    return [word, *clause.english(inverted=True)], "?", [*clause.japanese(), KA]


def where_to(draw: Draw) -> Sentence:
    """Where does she live? Where did you go yesterday?"""
    draw.tags.add("question")
    verb = BY_KEY[draw.pick(("go to", "live in"))]
    clause = _asked(draw, verb, ("present",) if verb.key == "live in" else ("past", "future"))
    word = Word("where")
    clause.object = Nominal([], [("どこ", (word,))], "it")
    if clause.tense != "present":
        clause.time = phrases.time(draw, "day", clause.tense)
    english = clause.english(inverted=True, object=False)
    left_out = clause.preposition
    clause.preposition = [word]
    return [word, *(item for item in english if item not in left_out)], "?", [*clause.japanese(), KA]


def when(draw: Draw) -> Sentence:
    """When will you go to Kyoto? いつ."""
    draw.tags.add("question")
    clause = events.event(draw, draw.pick(("past", "future")), question=True, place=0.0)
    if clause.object and clause.object.count:
        raise Reject
    word = Word("when")
    draw.tags.discard("time")
    clause.time = Phrase([], [("いつ", (word,))])
    return [word, *clause.english(inverted=True)], "?", [*clause.japanese(), KA]


_WHY = _verbs(
    "go to, buy, sell, leave, study, learn, call, cry, laugh, visit, go to#far, choose, look for, turn off, open,"
    "close, move to, break, hide, wait for, be absent from, be late for, run"
)
_DELIBERATE = _verbs("go to, call, study, visit, buy")


def why(draw: Draw) -> Sentence:
    """Why did you sell your car? なぜ売ったのですか."""
    draw.tags.add("question")
    verb = draw.pick(_WHY)
    clause = _asked(draw, verb, ("progressive", "past"))
    clause.object = events.complement(draw, verb, clause.subject, determiners=_definite(verb))
    if clause.tense == "past":
        _time(draw, clause)
        # "Why did Tom not go" is stiff; with a pronoun it is said.
        clause.negative = verb in _DELIBERATE and clause.subject.person == "pronoun" and draw.chance(0.4)
    word = Word("why")
    english = clause.english(inverted=True)
    if clause.negative:
        draw.tags.add("negation")
        no = next(item for item in english if isinstance(item, Word) and item.text == "not")
        english.remove(no)
        english.insert(1 + len(clause.subject.english), no)
    japanese = clause.japanese(style="noun")
    topic = len(clause.subject.japanese) + 1
    return [word, *english], "?", [*japanese[:topic], ("なぜ", (word,)), *japanese[topic:], ("のです", (word,)), KA]


_HOW_MANY = _verbs(
    "buy, buy#grocery, have, have#pet, have#family, eat, read, write, see#zoo, catch, borrow#library, draw, send,"
    "plant, bake"
)


def how_many(draw: Draw) -> Sentence:
    """How many books did you buy? 本を何冊買いましたか."""
    draw.tags.update(("question", "number"))
    verb = draw.pick(_HOW_MANY)
    clause = _asked(draw, verb, ("present",) if verb.lemma == "have" else ("past",))
    noun = draw.noun(verb)
    if not noun.counter or noun.kind != "count":
        raise Reject
    how, found = words("how many"), words(noun.plural)
    asking = "いくつ" if noun.counter == "つ" else "何" + noun.counter
    clause.object = Nominal([], [(noun.japanese, found)], "they", count=[(asking, how)])
    if clause.tense == "past":
        _time(draw, clause)
    return _with_open_object([*how, *found], clause)


_SOUGHT = tagged(
    "building", "loseable", "pet", "=umbrella", "=zoo", "=park", "=bus_stop", "=dictionary", "=camera", "=pen", "=coat",
    "=hat", "=shoes", "=glasses", "=notebook", "=textbook", "=scarf", "=bathroom",
)  # fmt: skip


def of_a_thing(subject: Nominal, asking: str, japanese: str) -> Sentence:
    """Where is the station? 駅はどこですか."""
    front, is_word = words(asking), Word(be(subject.who, False))
    chunks: list[Chunk] = [*subject.japanese, ("は", ()), (japanese, front), ("です", (is_word,)), KA]
    return [*front, is_word, *subject.english], "?", chunks


def where_is(draw: Draw) -> Sentence:
    """Where is the station? Where are my glasses?"""
    draw.tags.add("question")
    noun = draw.pick(_SOUGHT)
    owned = not noun.tags & {"place", "room", "homeroom", "bus_stop"}
    return of_a_thing(phrases.thing(draw, noun, draw.pick("qqt") if owned else "t"), "where", "どこ")


_PRICED = tagged(
    "on", "legs", "head", "neck", "feet", "furniture", "=camera", "fruit", "=bag", "=wristwatch", "=umbrella"
)
_COLOURED = tagged("coloured")
_OWNED = tagged(
    "loseable", "stationery", "=umbrella", "=car", "=bicycle", "on", "=hat", "=cup", "=dog", "=cat", "=dictionary"
)


def how_is(draw: Draw) -> Sentence:
    """How much is this bag? What color is the car? How old is he? Whose pen is this?"""
    draw.tags.add("question")
    die = draw.random()
    if die < 0.3:
        return of_a_thing(phrases.thing(draw, draw.pick(_PRICED), "d"), "how much", "いくら")
    if die < 0.5:
        coloured = phrases.thing(draw, draw.pick(_COLOURED), draw.pick("tq"))
        if coloured.english[0].text in ("my", "our"):
            raise Reject
        return of_a_thing(coloured, "what color", "何色")
    if die < 0.7:
        subject = somebody(draw, ("you", "he", "she"))
        if subject.key.startswith("my "):
            raise Reject
        return of_a_thing(subject, "how old", "何歳")
    noun = draw.pick(_OWNED)
    if noun.kind != "count":
        raise Reject
    near = draw.chance(0.5)
    whose, found, is_word, this = Word("whose"), words(noun.english), Word("is"), Word("this" if near else "that")
    chunks: list[Chunk] = [("これ" if near else "あれ", (this,)), ("は", ()), ("誰", (whose,)), ("の", (whose,))]
    return [whose, *found, is_word, this], "?", [*chunks, (noun.japanese, found), ("です", (is_word,)), KA]


_RIVALS = listed("pet, fruit, drink, sport, dish, subject, language, wild, farm, alcohol")


def which(draw: Draw) -> Sentence:
    """Which do you like better, dogs or cats? 犬と猫のどちらが好きですか."""
    draw.tags.update(("question", "comparison"))
    like = BY_KEY["like"]
    rivals = draw.pick(_RIVALS)
    nouns = tuple(noun for noun in tagged(rivals) if noun in like.nouns)
    first, second = draw.noun(like, nouns), draw.noun(like, nouns)
    if first is second:
        raise Reject
    one, two = phrases.thing(draw, first, "s"), phrases.thing(draw, second, "s")
    clause = Clause(events.asked(draw, like), like, "present")
    if rivals == "alcohol" and people.childish(clause.subject):
        raise Reject
    word, better, either = Word("which"), Word("better"), Word("or")
    english: English = [word, *clause.english(inverted=True), better, ",", *one.english, either, *two.english]
    pair: list[Chunk] = [*one.japanese, ("と", (either,)), *two.japanese, ("の", ()), ("どちら", (word, better))]
    opening = [*clause.subject.japanese, ("は", ()), *pair, ("が", clause.main)]
    return english, "?", [*opening, *clause.predicate("polite"), KA]
