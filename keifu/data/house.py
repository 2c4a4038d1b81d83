"""Stories of a house, made by a simulation that knows every answer and the facts that lead to it.

People walk from room to room, and take and put down things; six kinds of questions are asked about them:

    one-fact      Where is Mary?                                 the last room that she went to, or "unknown"
    two-facts     Where is the apple?                            who has it (or put it down), and where that was
    three-facts   Where was the apple before the kitchen?        who has it, and the last two rooms
    yes-no        Is Mary in the kitchen?                        yes or no
    counting      How many things does Mary carry?               none, one, two, three
    list          What does Mary carry?                          apple,milk in the order of THINGS, or nothing

The parts share no story with its question: a hash of both gives each to one part for good. Only `random()` of
Python's generator is used, which is the same everywhere.
"""

import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from keifu.data.examples import Question

STORY_PARTS = {"train": 12_000, "dev": 600, "test": 1_200}
"""Questions of each part, the kinds in equal numbers."""

_SEEDS = {"train": 1, "dev": 2, "test": 3}
_BUCKETS = {"dev": range(0, 1), "test": range(1, 4), "train": range(4, 20)}

PEOPLE = ("Mary", "John", "Daniel", "Sandra")
ROOMS = ("kitchen", "garden", "hallway", "bathroom", "bedroom", "office")
THINGS = ("apple", "milk", "football", "book")
_GOES = ("went to", "moved to", "walked to", "went back to")
_TAKES = ("took", "picked up", "grabbed")
_LEAVES = ("put down", "left", "dropped")
_NUMBERS = ("none", "one", "two", "three", "four")
_FEWEST_FACTS, _MOST_FACTS = 3, 12

T = TypeVar("T")
Answer = tuple[str, str, tuple[int, ...]]
"""A question, its answer, and the facts that lead to it."""


class _Draw:
    """Draws that are the same on every machine and in every version of Python."""

    def __init__(self, seed: int) -> None:
        self._value = random.Random(seed).random

    def below(self, count: int) -> int:
        return int(self._value() * count)

    def one(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]


@dataclass
class House:
    """What is true after the facts told so far, and which fact made it so.

    rooms: of each person, the rooms that it was in with the facts that say so. things: of each thing, the facts about
    it and where it went: (fact, person, whether it was taken).
    """

    facts: list[str] = field(default_factory=list)
    rooms: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    things: dict[str, list[tuple[int, str, bool]]] = field(default_factory=dict)

    def tell(self, draw: _Draw) -> None:
        """One more fact: somebody goes elsewhere, takes a thing that is free, or puts one down."""
        person, deed, number = draw.one(PEOPLE), draw.below(10), len(self.facts)
        here = self.rooms[person][-1][1] if person in self.rooms else ""
        near, held = [thing for thing in THINGS if self.lies_in(thing, here)], self.carried_by(person)
        if deed < 4 and near:
            thing = draw.one(near)
            self.facts.append(f"{person} {draw.one(_TAKES)} the {thing}.")
            self.things.setdefault(thing, []).append((number, person, True))
        elif deed == 4 and held:
            thing = draw.one(held)
            self.facts.append(f"{person} {draw.one(_LEAVES)} the {thing}.")
            self.things[thing].append((number, person, False))
        else:
            room = draw.one([room for room in ROOMS if room != here])
            self.facts.append(f"{person} {draw.one(_GOES)} the {room}.")
            self.rooms.setdefault(person, []).append((number, room))

    def lies_in(self, thing: str, room: str) -> bool:
        """Whether a thing can be taken in a room: nobody has it, and it was not put down elsewhere."""
        if thing not in self.things or not room:
            return bool(room)
        return not self.things[thing][-1][2] and self.way_of(thing)[-1][1] == room

    def carried_by(self, person: str) -> list[str]:
        """The things that a person has."""
        return [thing for thing in THINGS if thing in self.things and self.things[thing][-1][1:] == (person, True)]

    def way_of(self, thing: str) -> list[tuple[tuple[int, ...], str]]:
        """The rooms that a thing was in, the latest last, each with the facts that say so."""
        way: list[tuple[tuple[int, ...], str]] = []
        told = self.things[thing]
        for (taken, person, _), after in zip(told[::2], [*told[1::2], None], strict=False):
            end = after[0] if after else len(self.facts)
            rooms = self.rooms[person]
            begin = max(place for place, (fact, _) in enumerate(rooms) if fact < taken)
            for fact, room in rooms[begin:]:
                if fact < end:
                    if way and way[-1][1] == room:  # taken again where it was left: the later facts say where it is
                        way.pop()
                    way.append(((taken, fact) if after is None else (after[0], fact), room))
        return way


def _one_fact(house: House, draw: _Draw) -> Answer | None:
    person = draw.one(PEOPLE)
    question = f"Where is {person}?"
    if person not in house.rooms:
        return question, "unknown", ()
    fact, room = house.rooms[person][-1]
    return question, room, (fact,)


def _two_facts(house: House, draw: _Draw) -> Answer | None:
    if not house.things:
        return None
    thing = draw.one(list(house.things))
    facts, room = house.way_of(thing)[-1]
    return f"Where is the {thing}?", room, tuple(sorted(facts))


def _three_facts(house: House, draw: _Draw) -> Answer | None:
    ways = [(thing, way) for thing in house.things if len(way := house.way_of(thing)) > 1]
    if not ways:
        return None
    thing, way = draw.one(ways)
    (earlier, before), (later, room) = way[-2:]
    return f"Where was the {thing} before the {room}?", before, tuple(sorted({*earlier, *later}))


def _yes_no(house: House, draw: _Draw) -> Answer | None:
    known = [person for person in PEOPLE if person in house.rooms]
    person = draw.one(known)
    fact, here = house.rooms[person][-1]
    room = here if draw.below(2) else draw.one([room for room in ROOMS if room != here])
    return f"Is {person} in the {room}?", "yes" if room == here else "no", (fact,)


def _counting(house: House, draw: _Draw) -> Answer | None:
    person = _carrier(house, draw)
    count = len(house.carried_by(person))
    return f"How many things does {person} carry?", _NUMBERS[count], _deeds(house, person)


def _list(house: House, draw: _Draw) -> Answer | None:
    person = _carrier(house, draw)
    held = house.carried_by(person)
    return f"What does {person} carry?", ",".join(held) or "nothing", _deeds(house, person)


def _carrier(house: House, draw: _Draw) -> str:
    """Anybody, or twice out of three times who has the most things: else nearly every answer would be none."""
    return max(PEOPLE, key=lambda one: len(house.carried_by(one))) if draw.below(3) else draw.one(PEOPLE)


def _deeds(house: House, person: str) -> tuple[int, ...]:
    """Every fact in which a person takes a thing or puts one down."""
    return tuple(sorted(fact for told in house.things.values() for fact, who, _ in told if who == person))


KINDS: dict[str, Callable[[House, _Draw], Answer | None]] = {
    "one-fact": _one_fact,
    "two-facts": _two_facts,
    "three-facts": _three_facts,
    "yes-no": _yes_no,
    "counting": _counting,
    "list": _list,
}


def tell(part: str) -> list[Question]:
    """The questions of a part, one of each kind in turn."""
    wanted, buckets = STORY_PARTS[part], _BUCKETS[part]
    found: dict[str, list[Question]] = {kind: [] for kind in KINDS}
    for kind, question in _questions(_SEEDS[part]):
        text = "\n".join((*question.facts, question.question))
        if len(found[kind]) < wanted // len(KINDS) and zlib.crc32(text.encode()) % 20 in buckets:
            found[kind].append(question)
        if sum(map(len, found.values())) == wanted:
            break
    return [question for turn in zip(*found.values(), strict=True) for question in turn]


def _questions(seed: int) -> Iterator[tuple[str, Question]]:
    """Questions without end, each on a story of its own."""
    draw = _Draw(seed)
    while True:
        for kind, ask in KINDS.items():
            house = House()
            for _ in range(_FEWEST_FACTS + draw.below(_MOST_FACTS - _FEWEST_FACTS + 1)):
                house.tell(draw)
            if answer := ask(house, draw):
                question, text, supporting = answer
                yield kind, Question(tuple(house.facts), question, text, supporting, kind)
