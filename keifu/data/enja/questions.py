"""Questions: yes or no, and with what, who, where, when, why, how."""

from keifu.data.enja import events, phrases
from keifu.data.enja.adjectives import MOODS
from keifu.data.enja.clauses import Clause
from keifu.data.enja.nouns import tagged
from keifu.data.enja.phrases import Draw, Nominal, Phrase, Reject, verb
from keifu.data.enja.simple import Sentence, phrases_be, somebody, yes_no
from keifu.data.enja.words import Chunk, English, Word, words

KA: Chunk = ("か", ())


def yes_no_question(draw: Draw) -> Sentence:
    die = draw.random()
    if die < 0.35:
        return yes_no(draw, events.event(draw, "past", question=True))
    if die < 0.5:
        return yes_no(draw, events.event(draw, draw.pick(("future", "progressive")), question=True))
    if die < 0.7:
        return yes_no(draw, events.state(draw, question=True))
    if die < 0.85:
        return yes_no(draw, events.habit(draw, question=True))
    if die < 0.93:
        draw.tags.add("desire")
        return yes_no(draw, events.event(draw, "want", subject=phrases.pronoun("you")))
    draw.tags.add("ability")
    return yes_no(draw, events.event(draw, "can", question=True, place=0.0))


def ever_question(draw: Draw) -> Sentence:
    """Have you ever seen a panda? 見たことがありますか."""
    draw.tags.update(("question", "experience", "tense"))
    clause = events.event(draw, "ever", subject=phrases.pronoun("you"), place=0.0)
    ever = Word("ever")
    clause.adverb = Phrase([ever], [])
    english = clause.english(inverted=True)
    japanese = clause.japanese()
    text, linked = japanese[-1]
    japanese[-1] = (text, [*linked, ever])
    return english, "?", [*japanese, KA]


def mood_question(draw: Draw) -> Sentence:
    """Are you tired?"""
    draw.tags.update(("question", "adjective"))
    adjective = draw.pick(tuple(MOODS.values()))
    subject = events.asked(draw, verb("eat"))
    return yes_no(draw, Clause(subject, adjective.verb, "present"))


_WHAT = ("eat", "drink", "buy#grocery", "buy", "make", "write", "draw", "watch", "study", "order", "sell", "choose", "look for",
         "cook", "look at", "learn", "break", "lose", "paint", "cut", "send", "show", "give")  # fmt: skip


def what(draw: Draw) -> Sentence:
    """What did you buy at the bookstore yesterday? 何を買いましたか."""
    draw.tags.add("question")
    chosen = verb(draw.pick(_WHAT))
    tense = draw.pick(("past", "past", "future" if "P" not in chosen.flags else "past", "progressive"))
    if tense == "progressive" and "p" not in chosen.flags:
        tense = "past"
    subject = events.asked(draw, chosen)
    word = Word("what")
    object = Nominal([], [("何", (word,))], "it")
    to = events.given_to(draw, chosen, subject) if "T" in chosen.flags else None
    if "T" in chosen.flags and to is None:
        raise Reject
    clause = Clause(subject, chosen, tense, False, object, to)
    if not to and not chosen.shop and chosen.places and draw.chance(0.35):
        clause.place = events.place_for(draw, chosen, None, 1.0)
    if tense != "progressive" or draw.chance(0.2):
        clause.time = events.time_for(draw, chosen, tense, None)
    draw.tags.add("tense")
    return [word, *clause.english(inverted=True, object=False)], "?", [*clause.japanese(), KA]


_WHO = ("break", "wash", "cook#meal", "open", "buy", "write", "paint", "use", "repair", "clean", "eat", "make", "play#strings",
        "sing", "drive", "find", "turn off", "close", "bake", "drink", "teach", "win", "play#winds", "borrow#library")  # fmt: skip


def who(draw: Draw) -> Sentence:
    """Who broke the window? 誰が."""
    draw.tags.add("question")
    chosen = verb(draw.pick(_WHO))
    tense = draw.pick(("past", "past", "progressive" if "p" in chosen.flags else "past"))
    word = Word("who")
    subject = Nominal([word], [("誰", (word,))], "it")
    determiner = tuple(letter for letter in chosen.determiners if letter in "ta")
    object = events.complement(draw, chosen, subject, determiners=determiner)
    clause = Clause(subject, chosen, tense, False, object)
    clause.place = events.place_for(draw, chosen, object, 0.3)
    if tense == "past":
        clause.time = events.time_for(draw, chosen, tense, object)
    draw.tags.add("tense")
    return clause.english(), "?", [*clause.japanese(topic="が"), KA]


def whom(draw: Draw) -> Sentence:
    """Who did you meet at the station? 誰に会いましたか."""
    draw.tags.update(("question", "tense"))
    chosen = verb(draw.pick(("meet", "invite", "call", "visit", "help", "talk with", "wait for")))
    tense = (
        "progressive"
        if chosen.key in ("wait for", "talk with") and draw.chance(0.6)
        else draw.pick(("past", "past", "future"))
    )
    subject = events.asked(draw, chosen)
    word = Word("who")
    object = Nominal([], [("誰", (word,))], "he")
    clause = Clause(subject, chosen, tense, False, object)
    if chosen.places and draw.chance(0.6):
        draw.tags.add("place")
        clause.place = phrases.place(draw.pick(chosen.places))
    clause.time = events.time_for(draw, chosen, tense, None)
    return [word, *clause.english(inverted=True, object=False)], "?", [*clause.japanese(), KA]


_WHERE = ("buy", "buy#grocery", "eat", "eat#meal", "find", "lose", "meet", "read", "study", "play", "practice", "draw", "work",
          "write", "wait for", "borrow#library", "swim", "learn", "choose", "play#strings", "make")  # fmt: skip


def where(draw: Draw) -> Sentence:
    """Where did you buy the book? どこで."""
    draw.tags.add("question")
    chosen = verb(draw.pick(_WHERE))
    tense = draw.pick(("past", "past", "future" if "P" not in chosen.flags else "past", "progressive"))
    if chosen.key == "work":
        tense = "present"
    elif tense == "progressive" and "p" not in chosen.flags:
        tense = "past"
    if tense != "present":
        draw.tags.add("tense")
    subject = events.asked(draw, chosen)
    word = Word("where")
    object = events.complement(draw, chosen, subject, determiners=_definite(chosen.determiners))
    clause = Clause(subject, chosen, tense, False, object)
    clause.place = Phrase([], [("どこ", (word,)), ("で", (word,))])
    if tense == "past" and chosen.main == "read" or draw.chance(0.35) and tense in ("past", "future"):
        clause.time = phrases.time(draw, chosen.times if chosen.times != "-" else "day", tense)
    return [word, *clause.english(inverted=True)], "?", [*clause.japanese(), KA]


def _definite(determiners: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(letter for letter in determiners if letter in "todq") or determiners[:1]


def where_to(draw: Draw) -> Sentence:
    """Where does she live? Where did you go yesterday?"""
    draw.tags.add("question")
    key = draw.pick(("go to", "live in"))
    word = Word("where")
    chosen = verb(key)
    subject = events.asked(draw, chosen)
    tense = "present" if key == "live in" else draw.pick(("past", "future"))
    if tense != "present":
        draw.tags.add("tense")
    clause = Clause(subject, chosen, tense, False, Nominal([], [("どこ", (word,))], "it"))
    if tense != "present":
        clause.time = phrases.time(draw, chosen.times, tense)
    english = clause.english(inverted=True, object=False)
    gone = clause.preposition
    english = [item for item in english if item not in gone]
    clause.preposition = [word]
    return [word, *english], "?", [*clause.japanese(), KA]


def when(draw: Draw) -> Sentence:
    """When will you go to Kyoto? いつ."""
    draw.tags.update(("question", "tense"))
    tense = draw.pick(("past", "future"))
    clause = events.event(draw, tense, question=True, place=0.0)
    if clause.object and clause.object.count:
        raise Reject
    word = Word("when")
    clause.time = Phrase([], [("いつ", (word,))])
    return [word, *clause.english(inverted=True)], "?", [*clause.japanese(), KA]


_WHY = ("go to", "buy", "sell", "leave", "study", "learn", "call", "cry", "laugh", "visit", "go to#far", "choose", "look for",
        "turn off", "open", "close", "move to", "break", "hide", "wait for", "be absent from", "be late for", "run")  # fmt: skip


def why(draw: Draw) -> Sentence:
    """Why did you sell your car? なぜ…のですか."""
    draw.tags.update(("question", "tense"))
    chosen = verb(draw.pick(_WHY))
    tense = "progressive" if "p" in chosen.flags and draw.chance(0.6) else "past"
    negated = tense == "past" and chosen.key in ("go to", "call", "study", "visit", "buy") and draw.chance(0.4)
    subject = events.asked(draw, chosen)
    object = events.complement(draw, chosen, subject, determiners=_definite(chosen.determiners))
    clause = Clause(subject, chosen, tense, negated, object)
    if negated:
        draw.tags.add("negation")
        if subject.person != "pronoun":
            raise Reject  # "Why did not Tom go" is not said
    if tense == "past":
        clause.time = events.time_for(draw, chosen, tense, object)
    word = Word("why")
    english = clause.english(inverted=True)
    if negated:
        no = next(item for item in english if isinstance(item, Word) and item.text == "not")
        english.remove(no)
        english.insert(1 + len(subject.english), no)
    japanese = clause.japanese(style="noun")
    topic = len(subject.japanese) + 1
    return [word, *english], "?", [*japanese[:topic], ("なぜ", (word,)), *japanese[topic:], ("のです", (word,)), KA]


def how_many(draw: Draw) -> Sentence:
    """How many books did you buy? 本を何冊買いましたか."""
    draw.tags.update(("question", "number"))
    chosen = verb(draw.pick(("buy", "buy#grocery", "have", "have#pet", "have#family", "eat", "read", "write", "see#zoo", "catch", "borrow#library",
                             "draw", "send", "plant", "bake")))  # fmt: skip
    subject = events.asked(draw, chosen)
    noun = draw.noun(chosen)
    if not noun.counter or noun.kind != "count":
        raise Reject
    tense = "present" if chosen.lemma == "have" else "past"
    if tense == "past":
        draw.tags.add("tense")
    how, found = words("how many"), words(noun.plural)
    object = Nominal([], [(noun.japanese, found)], "they", count=[("何" + noun.counter, how)])
    clause = Clause(subject, chosen, tense, False, object)
    if tense == "past" and (chosen.main == "read" or draw.chance(0.5)):
        clause.time = phrases.time(draw, chosen.times, tense)
    return [*how, *found, *clause.english(inverted=True, object=False)], "?", [*clause.japanese(), KA]


def where_is(draw: Draw) -> Sentence:
    """Where is the station? 駅はどこですか."""
    draw.tags.add("question")
    noun = draw.pick(_SOUGHT)
    owned = not noun.tags & {"place", "room", "bus_stop"}
    subject = phrases.thing(draw, noun, draw.pick("qqt") if owned else "t")
    return copula_question(draw, subject, words("where"), "どこ")


_SOUGHT = tagged("building", "loseable", "pet", "=umbrella", "=zoo", "=park", "=bus_stop", "=dictionary", "=camera", "=pen", "=coat", "=hat",
                 "=shoes", "=glasses", "=notebook", "=textbook", "=scarf", "=bathroom")  # fmt: skip


def copula_question(draw: Draw, subject: Nominal, front: list[Word], japanese: str) -> Sentence:
    is_word = Word(phrases_be(subject.who, False))
    chunks: list[Chunk] = [*subject.japanese, ("は", ()), (japanese, front), ("です", (is_word,)), KA]
    return [*front, is_word, *subject.english], "?", chunks


def how_is(draw: Draw) -> Sentence:
    """How much is this bag? What color is the car? How old is he? Whose pen is this?"""
    draw.tags.add("question")
    die = draw.random()
    if die < 0.3:
        noun = draw.pick(
            tagged(
                "on",
                "legs",
                "head",
                "neck",
                "feet",
                "furniture",
                "=camera",
                "fruit",
                "=bag",
                "=wristwatch",
                "=umbrella",
            )
        )
        return copula_question(draw, phrases.thing(draw, noun, "d"), words("how much"), "いくら")
    if die < 0.5:
        noun = draw.pick(tagged("coloured"))
        return copula_question(draw, phrases.thing(draw, noun, draw.pick("tq")), words("what color"), "何色")
    if die < 0.7:
        subject = somebody(draw, ("you", "he", "she"))
        if subject.key.startswith("my "):
            raise Reject
        is_word = Word(phrases.be_form(subject.who))
        how = words("how old")
        return (
            [*how, is_word, *subject.english],
            "?",
            [*subject.japanese, ("は", ()), ("何歳", how), ("です", (is_word,)), KA],
        )
    noun = draw.pick(
        tagged(
            "loseable",
            "stationery",
            "=umbrella",
            "=car",
            "=bicycle",
            "on",
            "=hat",
            "=cup",
            "=dog",
            "=cat",
            "=dictionary",
        )
    )
    if noun.kind != "count":
        raise Reject
    this = Word(draw.pick(("this", "that")))
    whose, found, is_word = Word("whose"), words(noun.english), Word("is")
    chunks: list[Chunk] = [("これ" if this.text == "this" else "あれ", (this,)), ("は", ()), ("誰", (whose,)), ("の", (whose,)),
                           (noun.japanese, found), ("です", (is_word,)), KA]  # fmt: skip
    return [whose, *found, is_word, this], "?", chunks


def which(draw: Draw) -> Sentence:
    """Which do you like better, dogs or cats? 犬と猫のどちらが好きですか."""
    draw.tags.update(("question", "comparison"))
    tag = draw.pick(("pet", "fruit", "drink", "sport", "dish", "subject", "language", "wild", "farm", "alcohol"))
    nouns = [noun for noun in tagged(tag) if noun in verb("like").kept]
    first, second = draw.pick(nouns), draw.pick(nouns)
    if first is second:
        raise Reject
    draw.pairs += [("like", first.english), ("like", second.english)]
    subject = events.asked(draw, verb("like"))
    one = phrases.thing(draw, first, "s")
    two = phrases.thing(draw, second, "s")
    clause = Clause(subject, verb("like"), "present")
    word, better, alternative = Word("which"), Word("better"), Word("or")
    english: English = [word, *clause.english(inverted=True), better, ",", *one.english, alternative, *two.english]
    chunks: list[Chunk] = [*subject.japanese, ("は", ()), *one.japanese, ("と", (alternative,)), *two.japanese, ("の", ()),
                           ("どちら", (word, better)), ("が", clause.main), *clause.predicate("polite"), KA]  # fmt: skip
    return english, "?", chunks
