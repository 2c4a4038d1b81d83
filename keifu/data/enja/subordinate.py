"""Sentences with a subordinate clause: causes, conditions, order in time, what one wants, thinks and says."""

from keifu.data.enja import events, frames, people, phrases
from keifu.data.enja.adjectives import MOODS, OF_THINGS, WEATHER, Adjective
from keifu.data.enja.clauses import Clause
from keifu.data.enja.descriptions import described, turning, weather_verb
from keifu.data.enja.draws import Draw, Nominal, Reject
from keifu.data.enja.nouns import BY_NAME, Noun, tagged
from keifu.data.enja.statements import Sentence
from keifu.data.enja.verbs import BY_KEY, plain_verb
from keifu.data.enja.words import COMMA, Chunk, English, Word, listed

# Style of the Japanese clause before a conjunction, and the conjunction.
LINKS = {"because": ("node", "ので"), "so": ("node", "ので"), "although": ("plain", "けれど"), "when": ("noun", "時")}
_CONNECTIVES = ("because", "because", "although", "so")


def act(
    draw: Draw, action: frames.Action, subject: Nominal, tense: str, flip: bool = False, rich: bool = False
) -> Clause:
    """An action of the frames; `flip` turns done into not done, `rich` gives it a place."""
    chosen, nouns, negated = action
    negated ^= flip
    if not events.suits(chosen, subject):
        raise Reject
    object = events.complement(draw, chosen, subject, calm=negated or tense in ("present", "future"), among=nouns)
    clause = Clause(subject, chosen, tense, negated, object)
    if not negated and (rich or chosen.key == "swim"):
        clause.place = events.place_for(draw, chosen, object, 1.0)
    if negated:
        draw.tags.add("negation")
    if tense != "present":
        draw.tags.add("tense")
    return clause


def mood(draw: Draw, name: str, subject: Nominal, tense: str) -> Clause:
    draw.tags.add("adjective")
    return Clause(subject, MOODS[name].verb, tense)


def weather(draw: Draw, name: str, tense: str) -> Clause:
    """The weather as a circumstance: it was raining, it is cold."""
    if name in ("rain", "snow"):
        tense = {"past": "was", "present": "progressive"}.get(tense, tense)
        return Clause(people.weather_it(), weather_verb(name), tense)
    draw.tags.add("adjective")
    return Clause(people.weather_it(), WEATHER[name].verb, tense)


def _same_subject(subject: Nominal, first: Clause, second: Clause, connective: str, word: Word) -> list[Chunk]:
    """One topic for both clauses."""
    style, japanese = LINKS[connective]
    opening = [*subject.japanese, ("は", ()), *first.japanese(style, topic=""), (japanese, (word,))]
    return [*opening, COMMA, *second.japanese(topic="")]


def _arranged(connective: str, word: Word, cause: Clause, effect: Clause, last: bool) -> English:
    """The subordinate clause before the main clause or, with `last`, after it."""
    if last:
        return [*effect.english(), word, *cause.english()]
    if connective == "so":
        return [*cause.english(), ",", word, *effect.english()]
    return [word, *cause.english(), ",", *effect.english()]


def reason(draw: Draw, rich: bool = False, subject: Nominal | None = None) -> Sentence:
    """Because he was tired, Tom went to bed: トムは疲れていたので、寝ました. Also although and so."""
    draw.tags.add("subordinate")
    connective = draw.pick(_CONNECTIVES)
    name = draw.pick(tuple(frames.MOOD_EFFECTS))
    action = draw.pick(frames.MOOD_EFFECTS[name])
    first = subject or people.taken_up(draw, adult="A" in action[0].flags)
    again = people.again(first)
    when = phrases.time(draw, "day", "past") if rich or draw.chance(0.12) else None
    last = connective == "because" and draw.chance(0.5)
    cause = mood(draw, name, again if last else first, "past")
    effect = act(draw, action, first if last else again, "past", flip=connective == "although", rich=rich)
    if not events.suits(action[0], first):
        raise Reject
    if last:
        effect.time = when
    else:
        cause.time = when
    word = Word(connective)
    english = _arranged(connective, word, cause, effect, last)
    return english, ".", _same_subject(first, cause, effect, connective, word)


def weather_reason(draw: Draw) -> Sentence:
    """Because it was raining, I stayed at home: 雨が降っていたので、私は家にいました."""
    draw.tags.add("subordinate")
    connective = draw.pick(_CONNECTIVES)
    name = draw.pick(tuple(frames.WEATHER_EFFECTS))
    action = draw.pick(frames.WEATHER_EFFECTS[name])
    subject = events.subject_for(draw, action[0])
    flip = connective == "although"
    if flip and action[0].lemma in ("stay at home", "eat", "drink"):
        raise Reject
    cause, effect = weather(draw, name, "past"), act(draw, action, subject, "past", flip=flip)
    if draw.chance(0.2):
        effect.time = phrases.time(draw, "day", "past")
    word = Word(connective)
    english = _arranged(connective, word, cause, effect, last=connective == "because" and draw.chance(0.5))
    style, japanese = LINKS[connective]
    return english, ".", [*cause.japanese(style), (japanese, (word,)), COMMA, *effect.japanese()]


def habitual(draw: Draw) -> Sentence:
    """When I am tired, I drink tea; when it is cold, he drinks cocoa."""
    draw.tags.add("subordinate")
    word = Word("when")
    if draw.chance(0.5):
        name = draw.pick(tuple(frames.MOOD_EFFECTS))
        action = draw.pick(frames.MOOD_EFFECTS[name])
        first = people.taken_up(draw, adult="A" in action[0].flags)
        cause, effect = mood(draw, name, first, "present"), act(draw, action, people.again(first), "present")
        if effect.verb.lemma in ("invite", "cry") or not events.suits(effect.verb, first):
            raise Reject
        english = _arranged("when", word, cause, effect, last=False)
        return english, ".", _same_subject(first, cause, effect, "when", word)
    name = draw.pick(tuple(frames.WEATHER_EFFECTS))
    action = draw.pick(frames.WEATHER_EFFECTS[name])
    subject = events.subject_for(draw, action[0])
    cause, effect = weather(draw, name, "present"), act(draw, action, subject, "present")
    english = _arranged("when", word, cause, effect, last=False)
    return english, ".", [*cause.japanese("noun"), ("時", (word,)), COMMA, *effect.japanese()]


_TOMORROW = ("tired", "hungry", "thirsty", "sleepy", "sick", "busy", "free", "free", "bored")


def condition(draw: Draw) -> Sentence:
    """If it rains tomorrow, I will stay at home: 明日雨が降ったら、私は家にいます."""
    draw.tags.add("subordinate")
    word = Word("if")
    outside = draw.chance(0.6)
    name = draw.pick(tuple(frames.WEATHER_EFFECTS) if outside else _TOMORROW)
    action = draw.pick((frames.WEATHER_EFFECTS if outside else frames.MOOD_EFFECTS)[name])
    subject = people.taken_up(draw, adult="A" in action[0].flags)
    if not events.suits(action[0], subject):
        raise Reject
    if not outside:
        cause = mood(draw, name, subject, "present")
    elif name in ("rain", "snow"):
        cause = Clause(people.weather_it(), weather_verb(name), "present")
    else:
        cause = weather(draw, name, "present")
        cause.verb = turning(cause.verb)
    if outside or name in ("busy", "free", "sick", "tired"):
        cause.time = phrases.time(draw, "evening", "future")
    effect = act(draw, action, subject if outside else people.again(subject), "future")
    english = _arranged("if", word, cause, effect, last=False)
    cause.tense = "past"  # 〜たら is made from the past form, whatever the English tense
    *opening, (text, sources) = cause.japanese("plain", topic="")
    opening = [*opening, (text + "ら", [*sources, word]), COMMA]
    if outside:
        return english, ".", [*opening, *effect.japanese()]
    return english, ".", [*subject.japanese, ("は", ()), *opening, *effect.japanese(topic="")]


_ROUTINE = events.POOLS["routine"]
_DAILY = {"wash": tagged("dishes", "clothes", "=car")}  # what is washed day by day


def order(draw: Draw) -> Sentence:
    """Before I go to bed, I brush my teeth: 寝る前に; after: 〜た後で."""
    draw.tags.add("subordinate")
    before = draw.chance(0.5)
    first, second = draw.pick(_ROUTINE), draw.pick(_ROUTINE)
    early, late = (second, first) if before else (first, second)
    if early.key == "go to bed" or late.key == "get up":
        raise Reject
    if early.lemma == late.lemma or {early.lemma, late.lemma} == {"do", "study"}:
        raise Reject
    tense = draw.pick(("past", "past", "present", "present", "future"))
    if tense != "present":
        draw.tags.add("tense")
    subject = people.taken_up(draw)
    if not (events.suits(first, subject) and events.suits(second, subject)):
        raise Reject
    again = people.again(subject)
    last = draw.chance(0.5)
    one, two = (again, subject) if last else (subject, again)
    sub = Clause(one, first, "past" if tense == "past" else "present")
    sub.object = events.complement(draw, first, one, calm=True, among=_DAILY.get(first.key, ()))
    main = Clause(two, second, tense)
    main.object = events.complement(draw, second, two, calm=True, among=_DAILY.get(second.key, ()))
    keys = [clause.object.key for clause in (sub, main) if clause.object]
    if len(keys) > len({*keys}) or (late.key == "go to bed" and "breakfast" in keys):
        raise Reject
    word = Word("before" if before else "after")
    english = _arranged("", word, sub, main, last)
    sub.tense = "present" if before else "past"
    ending: list[Chunk] = [("前", (word,)), ("に", (word,))] if before else [("後", (word,)), ("で", (word,)), COMMA]
    opening = [*subject.japanese, ("は", ()), *sub.japanese("noun", topic=""), *ending]
    return english, ".", [*opening, *main.japanese(topic="")]


def _counted(*clauses: Clause) -> bool:
    return any(clause.object is not None and clause.object.count for clause in clauses)


def at_the_same_time(draw: Draw) -> Sentence:
    """While she was cooking, he cleaned the room: 〜している間."""
    draw.tags.update(("subordinate", "tense"))
    first, second = people.person(draw), people.person(draw)
    if people.confusable(first, second):
        raise Reject
    word = Word("while")
    sub = act(draw, draw.pick(frames.AT_HOME), first, "was")
    main = act(draw, draw.pick(frames.AT_HOME), second, draw.pick(("past", "was")))
    if sub.verb.lemma == main.verb.lemma or (main.verb.key == "sleep" and main.tense == "past") or _counted(sub, main):
        raise Reject
    english = _arranged("while", word, sub, main, last=False)
    sub.tense = "progressive"
    return english, ".", [*sub.japanese("noun", topic="が"), ("間", (word,)), COMMA, *main.japanese()]


_SEATED = frozenset(listed("read, watch, study, write, draw, play#strings, play#game, drink, do, make#craft"))


def meanwhile(draw: Draw, subject: Nominal | None = None) -> Sentence:
    """When my father came home, I was reading a book."""
    draw.tags.update(("subordinate", "tense"))
    first, second = subject or people.person(draw), people.person(draw)
    if people.confusable(first, second):
        raise Reject
    word = Word("when")
    chosen, nouns, _ = draw.pick(frames.ARRIVALS)
    sub = Clause(first, chosen, "past", False, events.complement(draw, chosen, first, among=nouns))
    home = chosen.key == "come home"
    main = act(draw, draw.pick(frames.AT_HOME if home else frames.IN_A_ROOM), second, "was")
    if _counted(main):
        raise Reject
    if subject and home and main.verb.key in _SEATED:
        draw.tags.add("place")
        main.place = phrases.place(("", BY_NAME["living room"]))
    english = _arranged("when", word, sub, main, last=subject is None and draw.chance(0.3))
    return english, ".", [*sub.japanese("noun", topic="が"), ("時", (word,)), COMMA, *main.japanese()]


def because_it(draw: Draw) -> Sentence:
    """He did not buy the coat because it was expensive: 高かったので、彼はそのコートを買いませんでした."""
    draw.tags.update(("subordinate", "adjective", "tense"))
    name, column = draw.pick(frames.REASONS)
    part = draw.pick(listed(column))
    adjective = next(adjective for adjective in OF_THINGS if adjective.english == name)
    chosen = BY_KEY[part[1:]]
    subject = people.person(draw, adult="A" in chosen.flags)
    noun = draw.noun(chosen, [noun for noun in chosen.nouns if noun in adjective.nouns])
    letters = [letter for letter in chosen.determiners if letter in "td"] or ["t"]
    object = phrases.thing(draw, noun, draw.pick(letters), subject)
    negated = part[0] in "-%"
    if negated:
        draw.tags.add("negation")
    effect = Clause(subject, chosen, "could" if part[0] in "*%" else "past", negated, object)
    cause = Clause(Nominal([Word(object.who)], [], object.who), adjective.verb, "past")
    word = Word("because")
    english = _arranged("because", word, cause, effect, last=True)
    return english, ".", [*cause.japanese("node"), ("ので", (word,)), COMMA, *effect.japanese()]


def ambition(draw: Draw) -> Sentence:
    """She studies French every day because she wants to live in France."""
    draw.tags.update(("subordinate", "desire"))
    first = people.taken_up(draw)
    abroad = draw.chance(0.6) or first.who in ("we", "they")
    subject, goals = draw.pick(frames.ABROAD if abroad else frames.CAREERS)
    study = BY_KEY["study"]
    object = phrases.thing(draw, draw.noun(study, [BY_NAME[subject]]), "a")
    wanted = BY_KEY[draw.pick(("live in", "go to#far", "travel around")) if abroad else "become"]
    goal = draw.noun(wanted, [BY_NAME[draw.pick(listed(goals))]])
    aim = Clause(people.again(first), wanted, "want")
    aim.object = phrases.thing(draw, goal, "t" if abroad else "a")
    effect = Clause(first, study, draw.pick(("present", "present", "progressive")), False, object)
    if effect.tense == "present":
        effect.time = phrases.time(draw, "day", "habit")
    else:
        draw.tags.add("tense")
    word = Word("because")
    english = _arranged("because", word, aim, effect, last=True)
    return english, ".", _same_subject(first, aim, effect, "because", word)


def fancy(draw: Draw) -> Sentence:
    """He often goes to the zoo because he likes pandas."""
    draw.tags.update(("subordinate", "time"))
    first = people.taken_up(draw)
    site, names = draw.pick(frames.FANCIES)
    like, go = BY_KEY["like"], BY_KEY["go to"]
    noun = draw.noun(like, [BY_NAME[draw.pick(listed(names))]])
    effect = Clause(first, go, "present", False, phrases.thing(draw, draw.noun(go, [BY_NAME[site]]), "t"))
    if draw.chance(0.5):
        effect.adverb = phrases.adverb(draw)
    else:
        effect.time = phrases.time(draw, "week", "habit")
    cause = Clause(people.again(first), like, "present", False, phrases.thing(draw, noun, "s"))
    word = Word("because")
    english = _arranged("because", word, cause, effect, last=True)
    return english, ".", _same_subject(first, cause, effect, "because", word)


_THINK, _SAY = plain_verb("think", "思う", "5"), plain_verb("say", "言う", "5")
_THINKING = plain_verb("think", "思う", "5", flags="S")
_OPINIONS = listed(
    "expensive, cheap, big, small, interesting, boring, difficult, easy, useful, beautiful, quiet, long, heavy, sweet,"
    "spicy, cute, scary, dangerous, important, strange, wonderful, comfortable, famous, narrow, deep, high, strong,"
    "sharp, slow, bitter, spacious, delicious"
)
_JUDGED = tuple(adjective for adjective in OF_THINGS if adjective.english in _OPINIONS)


def _judged(noun: Noun) -> tuple[Adjective, ...]:
    found = tuple(adjective for adjective in _JUDGED if noun in adjective.nouns)
    if not found:
        raise Reject
    return found


def opinion(draw: Draw, about: Nominal | None = None, maker: Nominal | None = None) -> Sentence:
    """I think that the movie is interesting: 私はその映画が面白いと思います; others 思っています.

    `about` is what to judge, `maker` a person named in it, who is not the one who thinks.
    """
    draw.tags.update(("subordinate", "adjective"))
    if about is not None and about.noun is not None:
        adjective = draw.pick(_judged(about.noun))
    else:
        adjective = draw.pick(_JUDGED)
        about = described(draw, draw.pick(adjective.nouns), that=False)
    content = Clause(about, adjective.verb, "present")
    thinker = people.pronoun("you") if draw.chance(0.15) else people.person(draw)
    if maker and people.confusable(thinker, maker):
        raise Reject
    clause = Clause(thinker, _THINK if thinker.who in ("I", "you") else _THINKING, "present")
    that = Word("that")
    question = thinker.who == "you"
    english = [*clause.english(inverted=question), that, *content.english()]
    opening = [*thinker.japanese, ("は", ()), *content.japanese("plain", topic="が"), ("と", (that,))]
    japanese = [*opening, *clause.predicate("polite")]
    if question:
        draw.tags.add("question")
        return english, "?", [*japanese, ("か", ())]
    return english, ".", japanese


def report(draw: Draw) -> Sentence:
    """Tom said that he was tired: トムは疲れていると言いました. Japanese keeps the tense of what was said."""
    draw.tags.update(("subordinate", "tense", "adjective"))
    first = people.taken_up(draw)
    content = Clause(people.again(first), draw.pick(tuple(MOODS.values())).verb, "past", draw.chance(0.25))
    if content.negative:
        draw.tags.add("negation")
    clause = Clause(first, _SAY, "past")
    that = Word("that")
    english = [*clause.english(), that, *content.english()]
    content.tense = "present"
    opening = [*first.japanese, ("は", ()), *content.japanese("plain", topic=""), ("と", (that,))]
    return english, ".", [*opening, *clause.predicate("polite")]
