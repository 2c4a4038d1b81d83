"""A clause: subject, verb, objects, place and time, written out in both languages with the links between them."""

from dataclasses import dataclass, field

from keifu.data.enja.draws import Nominal, Phrase
from keifu.data.enja.english import verb_complex
from keifu.data.enja.japanese import inflect
from keifu.data.enja.verbs import Verb, plain_verb
from keifu.data.enja.words import Chunk, English, Word

_PAST = frozenset(("past", "was", "could"))
_PROGRESSIVE = frozenset(("progressive", "was"))


@dataclass(slots=True, eq=False)
class Clause:
    """`english` makes the words that `japanese` points at, so it is called first.

    `topic` is the particle of the subject: は in a main clause, が below it, "" to leave the subject out (relative
    clauses, and clauses that share the subject of their main clause).
    """

    subject: Nominal
    verb: Verb
    tense: str
    negative: bool = False
    object: Nominal | None = None
    to: Nominal | None = None
    place: Phrase | None = None
    time: Phrase | None = None
    adverb: Phrase | None = None
    main: list[Word] = field(default_factory=list)
    auxiliaries: list[Word] = field(default_factory=list)
    preposition: list[Word] = field(default_factory=list)

    def english(self, inverted: bool = False, subject: bool = True, object: bool = True) -> English:
        """`inverted` is the order of a question; without `subject` or `object` that place stays open."""
        verb = self.verb
        before, main = verb_complex(verb.main, verb.be, self.tense, self.negative, self.subject.who, inverted)
        self.auxiliaries = [Word(word) for word in before]
        rest = [Word(word) for word in verb.rest]
        head = [Word(main)] if main else []
        self.preposition = []
        if verb.split:
            self.main = head
            self.preposition = rest
        else:
            self.main = head + rest
        out: English = []
        auxiliaries = self.auxiliaries
        if inverted:
            out.append(auxiliaries[0])
            auxiliaries = auxiliaries[1:]
        if subject:
            out += self.subject.english
        if self.adverb and inverted:
            out += self.adverb.english
        out += auxiliaries
        if self.adverb and not inverted:
            out += self.adverb.english
        out += head
        out += rest
        if self.object and object:
            out += self.object.english
        if self.to:
            out += self.to.english
        if self.place:
            out += self.place.english
        if self.time:
            out += self.time.english
        return out

    def _particle(self) -> str:
        verb = self.verb
        if verb.particle == "を" and self.tense in ("can", "could"):
            return "が"
        return "を" if self._emotion() else verb.particle

    def _emotion(self) -> bool:
        """欲しい and 怖い are one's own feelings; those of others are 欲しがっている."""
        felt = self.verb.japanese in ("欲しい", "怖い") and self.verb.particle == "が"
        return felt and self.subject.who not in ("I", "you", "we")

    def _predicate(self, style: str) -> tuple[str, ...]:
        verb, tense = self.verb, self.tense
        if "S" in verb.flags and tense in ("present", "past"):
            tense = "stated" if tense == "past" else "state"
        if "S" in verb.flags and verb.be and tense == "future":
            tense = "state"
        if tense == "want" and style == "polite" and self.subject.who not in ("I", "you", "we"):
            tense = "wants"
        if verb.japanese == "くれる" or (self.to and _toward_speaker(self)):
            return _received(verb, tense, self.negative, style)
        if self._emotion():
            tense = "stated" if tense == "past" else "state"
            return inflect(verb.japanese[:-1] + "がる", "5", tense, self.negative, style)
        return inflect(verb.japanese, verb.group, tense, self.negative, style)

    def predicate(self, style: str) -> list[Chunk]:
        """Verb or adjective, after its fixed words (散歩 を する)."""
        verb, main, auxiliaries = self.verb, self.main, self.auxiliaries
        forms = self._predicate(style)
        fixed = main[1:] if len(main) > 1 and verb.prefix and not verb.be else main
        verbal = main[:1] if verb.prefix and not verb.be else main
        chunks: list[Chunk] = [(part, fixed) for part in verb.prefix]
        tensed = verb.group == "i" and self.tense == "past" and not self.negative  # 高かった of 高かったです
        finite = len(forms) == 1 or self.tense == "want" or tensed
        chunks.append((forms[0], [*auxiliaries, *verbal] if finite else verbal))
        if len(forms) == 2:
            if self.tense == "want":
                linked = auxiliaries[:-2] if self.negative else []
            else:
                linked = auxiliaries or (main[:1] if self.tense == "past" else [])
            chunks.append((forms[1], linked))
        return chunks

    def japanese(self, style: str = "polite", topic: str = "は") -> list[Chunk]:
        subject, verb = self.subject, self.verb
        if topic == "は" and not subject.definite:
            topic = "が"
        out: list[Chunk] = []
        opening: list[Chunk] = []
        if topic and subject.japanese:
            opening = [*subject.japanese]
            if "N" in verb.flags:
                opening.append(("に", self.main))
                if topic == "は":
                    opening.append(("は", ()))
            else:
                opening.append((topic, ()))
            if subject.count:
                opening = [*subject.count, ("の", ()), *opening]
        late = topic == "が" and not subject.definite and bool(subject.japanese)
        if not late:
            out += opening
        if self.time:
            out += self.time.japanese
        if self.adverb:
            out += self.adverb.japanese
        if self.place:
            out += self.place.japanese
        if late:
            out += opening
        if self.to:
            out += self.to.japanese
        if self.object:
            out += self.object.japanese
            particle = self._particle()
            if particle:
                linked = self.main[-1:] if particle == "の" else self.preposition or self.main
                out.append((particle, linked))
            out += self.object.count
        out += self.predicate(style)
        return out


def _toward_speaker(clause: Clause) -> bool:
    """Giving to me or us is くれる."""
    return clause.to is not None and clause.to.who in ("I", "we") and clause.to.person == "pronoun"


def _received(verb: Verb, tense: str, negative: bool, style: str) -> tuple[str, ...]:
    if verb.japanese == "あげる":
        return inflect("くれる", "1", tense, negative, style)
    connected = inflect(verb.japanese, verb.group, "te", False, "plain")[0]
    return inflect(connected + "くれる", "1", tense, negative, style)


COPULA = plain_verb("", "", "no", be=True, key="be")


def recipient(person: Nominal) -> Nominal:
    """to + person, with に."""
    to = Word("to")
    return Nominal(
        [to, *person.english], [*person.japanese, ("に", (to,))], person.who, person=person.person, key=person.key
    )
