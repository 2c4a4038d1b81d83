"""Things with their articles, adjectives and counters; places and times."""

from collections.abc import Sequence

from keifu.data.enja.adjectives import Adjective, choice
from keifu.data.enja.draws import Draw, Nominal, Phrase, Reject
from keifu.data.enja.english import NUMBERS, POSSESSIVE, article, plural
from keifu.data.enja.japanese import attributive, count
from keifu.data.enja.nouns import BY_NAME, Noun, tagged
from keifu.data.enja.people import owner
from keifu.data.enja.words import Chunk, Word, words


def adjective_chunks(adjective: Adjective, found: Sequence[Word]) -> list[Chunk]:
    chunks: list[Chunk] = [("の" if part == "が" else part, found) for part in adjective.prefix]
    return [*chunks, (attributive(adjective.japanese, adjective.group), found)]


_ONE_EACH = frozenset(("on", "legs", "head", "neck", "loseable", "bodywash"))  # our coats, but our car


def thing(draw: Draw, noun: Noun, determiner: str, subject: Nominal | None = None, adjective: float = 0.0) -> Nominal:
    """A noun with its determiner (letters as in the table of verbs) and, as often as `adjective` says, an adjective."""
    letter = _fitting_letter(noun, determiner)
    found = Nominal([], [], "they" if noun.kind == "pair" else "it", letter not in ("a", "s", "n"), noun)
    found.key = noun.english
    text = noun.english
    if letter in ("s", "T", "n") and noun.kind == "count":
        text, found.who = noun.plural, "they"
    described: list[Word] = []
    adjectives = choice(noun) if adjective and letter not in ("n", "the") else ()
    if adjectives and draw.random() < adjective:
        chosen = draw.pick(adjectives)
        draw.tags.add("adjective")
        described = words(chosen.english)
        found.japanese = adjective_chunks(chosen, described)
    if letter == "a" and noun.kind == "count":
        found.english = [Word(article(described[0].text if described else text))]
    elif letter in ("t", "T", "the"):
        found.english = [Word("the")]
        if letter == "t" and noun.marked:
            found.japanese.insert(0, ("その", found.english))
    elif letter in ("d", "D"):
        near = letter == "D" or draw.chance(0.6)
        found.english = [Word(_DEMONSTRATIVES[near][noun.kind == "pair"])]
        found.japanese.insert(0, ("この" if near else "あの", found.english))
    elif letter == "o":
        if subject is None or subject.who not in POSSESSIVE:
            raise Reject
        found.english = [Word(POSSESSIVE[subject.who])]
        if subject.who in ("we", "they") and noun.kind == "count" and noun.tags & _ONE_EACH:
            text, found.who = noun.plural, "they"
    elif letter == "q":
        found.english, whose, _ = owner(draw, subject.who if subject else "")
        found.japanese[:0] = whose
    elif letter == "n":
        draw.tags.add("number")
        number, found.english = _counted(draw, noun)
        found.who = "it" if number == 1 else "they"
        found.count = [(count(number, noun.counter), found.english)]
    name = words(text)
    found.english = [*found.english, *described, *name]
    found.japanese.append((noun.japanese, name))
    return found


_DEMONSTRATIVES = {True: ("this", "these"), False: ("that", "those")}


def _fitting_letter(noun: Noun, letter: str) -> str:
    """The determiner that this noun can take; "the" for one that always has it, "" for one that has none."""
    if noun.kind in ("the", "name"):
        return "the" if noun.kind == "the" else ""
    if letter == "n" and not noun.counter:
        return "a"
    if letter == "T" and (noun.kind != "count" or noun.plural == noun.english):
        return "t"
    return letter


def _counted(draw: Draw, noun: Noun) -> tuple[int, list[Word]]:
    """A number, and its English words: three; two cups of."""
    if not noun.measure:
        number = draw.pick((2, 2, 2, 2, 3, 3, 3, 4, 4, 5, 6))
        return number, [Word(NUMBERS[number])]
    number = draw.pick((1, 2, 2, 3, 3, 4, 5))
    measure = noun.measure if number == 1 else plural(noun.measure)
    return number, words(f"{'a' if number == 1 else NUMBERS[number]} {measure} of")


_IN = tagged(
    "homeroom", "=garden", "room", "=park", "=forest", "=village", "=town", "=library", "=museum", "=hospital",
    "=classroom", "=gym", "pool", "=river", "=lake", "sky", "country", "city", "=kitchen",
)  # fmt: skip
_ON = tagged("=sofa", "road", "=beach")


def preposition(noun: Noun) -> str:
    return "in" if noun in _IN else "on" if noun in _ON else "at"


def place(spec: tuple[str, Noun], particle: str = "で") -> Phrase:
    """A place where something is done; with "from", "to", "by" of the table's `spec`."""
    word, noun = spec
    chosen = Word(word or preposition(noun))
    front = [Word("the")] if noun.kind in ("count", "the") else []
    found = words(noun.english)
    between: list[Chunk] = []
    if word in ("to", "by"):
        particle = "に"
    if word == "by":
        between = [("の", (chosen,)), ("そば", (chosen,))]
    return Phrase([chosen, *front, *found], [(noun.japanese, found), *between, (particle, (chosen,))])


_SHOPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("bakery", ("bakery",)), ("baked", ("bakery", "supermarket")), ("alcohol", ("supermarket", "convenience store")),
    ("grocery", ("supermarket", "market", "convenience store")), ("readable", ("bookstore",)),
    ("flower", ("flower shop",)), ("stationery", ("convenience store", "department store")),
    ("wear", ("department store",)), ("legs", ("department store",)), ("head", ("department store",)),
    ("neck", ("department store",)), ("feet", ("department store",)), ("loseable", ("department store",)),
    ("furniture", ("department store",)), ("breakable", ("department store",)), ("play", ("department store",)),
)  # fmt: skip


def shop(draw: Draw, noun: Noun) -> Phrase | None:
    for tag, names in _SHOPS:
        if tag in noun.tags:
            return place(("", BY_NAME[draw.pick(names)]))
    return None


_TIMES = {
    ("day", "past"): "yesterday=昨日, yesterday=昨日, last_night=昨夜, this_morning=今朝",
    ("day", "habit"): "every_day=毎日, every_day=毎日, every_morning=毎朝, every_evening=毎晩",
    ("day", "future"): "tomorrow=明日, tomorrow=明日, tonight=今夜, today=今日",
    ("week", "past"): "yesterday=昨日, last_week=先週, last_Sunday=先週の日曜日に, last_Saturday=先週の土曜日に",
    ("week", "habit"): "every_week=毎週, every_Sunday=毎週日曜日に, every_Saturday=毎週土曜日に",
    ("week", "future"): "tomorrow=明日, next_week=来週, this_weekend=今週末, next_Sunday=来週の日曜日に",
    ("month", "past"): "yesterday=昨日, last_week=先週, last_month=先月, three_days_ago=三日前に",
    ("month", "habit"): "every_month=毎月",
    ("month", "future"): "tomorrow=明日, next_week=来週, next_month=来月",
    ("year", "past"): "last_year=去年, two_years_ago=二年前に, three_years_ago=三年前に, last_summer=去年の夏",
    ("year", "habit"): "every_year=毎年, every_summer=毎年夏",
    ("year", "future"): "next_year=来年, next_month=来月, next_spring=来年の春",
    ("course", "past"): "last_month=先月, last_year=去年, two_years_ago=二年前に, last_summer=去年の夏",
    ("course", "habit"): "every_week=毎週, every_Sunday=毎週日曜日に, every_Saturday=毎週土曜日に",
    ("course", "future"): "next_month=来月, next_year=来年, next_spring=来年の春",
    ("meal", "past"): "yesterday=昨日",
    ("meal", "habit"): "every_day=毎日",
    ("meal", "future"): "tomorrow=明日, today=今日",
    ("night", "past"): "last_night=昨夜, yesterday=昨日",
    ("night", "habit"): "every_evening=毎晩, every_day=毎日",
    ("night", "future"): "tonight=今夜, tomorrow=明日",
    ("morning", "past"): "this_morning=今朝, yesterday=昨日",
    ("morning", "habit"): "every_morning=毎朝, every_day=毎日",
    ("morning", "future"): "tomorrow=明日",
    ("outing", "past"): "yesterday=昨日, this_morning=今朝, last_Sunday=先週の日曜日に",
    ("outing", "future"): "tomorrow=明日, today=今日, next_Sunday=来週の日曜日に",
    ("ago", "past"): "last_week=先週, last_month=先月, last_Sunday=先週の日曜日に, three_days_ago=三日前に",
    ("evening", "future"): "tomorrow=明日, tonight=今夜",
    ("any", "progressive"): "now=今",
}
_ADVERBS = "often=よく, usually=たいてい, always=いつも, sometimes=時々"


def _phrases(column: str) -> tuple[tuple[str, str, bool], ...]:
    parts = (part.replace("_", " ").partition("=") for part in column.split(", "))
    return tuple((english, japanese.removesuffix("に"), japanese.endswith("に")) for english, _, japanese in parts)


TIMES = {key: _phrases(column) for key, column in _TIMES.items()}
ADVERBS = _phrases(_ADVERBS)
CLOCK = {"get up": (5, 6, 7, 8), "go to bed": (9, 10)}


def adverbial(entry: tuple[str, str, bool]) -> Phrase:
    english, japanese, marked = entry
    found = words(english)
    return Phrase(found, [(japanese, found), ("に", ())] if marked else [(japanese, found)])


def time(draw: Draw, times: str, tense: str) -> Phrase:
    draw.tags.add("time")
    return adverbial(draw.pick(TIMES[times, tense]))


def adverb(draw: Draw) -> Phrase:
    draw.tags.add("time")
    return adverbial(draw.pick(ADVERBS))


def clock(draw: Draw, hour: int) -> Phrase:
    draw.tags.add("time")
    at, number, oclock = Word("at"), Word(NUMBERS[hour]), Word("o'clock")
    return Phrase([at, number, oclock], [(count(hour, "時"), (number, oclock)), ("に", (at,))])
