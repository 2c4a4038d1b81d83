"""Inflection of English nouns, verbs and adjectives."""

from functools import cache

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

_PLURALS = {
    "child": "children", "man": "men", "woman": "women", "mouse": "mice", "sheep": "sheep", "deer": "deer",
    "fish": "fish", "goldfish": "goldfish", "knife": "knives", "leaf": "leaves", "wolf": "wolves",
    "potato": "potatoes", "tomato": "tomatoes", "scarf": "scarves", "bookshelf": "bookshelves",
}  # fmt: skip

_PAST = {  # base -> past, participle where it differs
    "be": "was been", "become": "became become", "break": "broke broken", "bring": "brought", "build": "built",
    "buy": "bought", "catch": "caught", "choose": "chose chosen", "come": "came come", "cut": "cut",
    "do": "did done", "draw": "drew drawn", "drink": "drank drunk", "drive": "drove driven", "eat": "ate eaten",
    "feed": "fed", "find": "found", "fly": "flew flown", "forget": "forgot forgotten", "get": "got",
    "give": "gave given", "go": "went gone", "grow": "grew grown", "have": "had", "hear": "heard",
    "hide": "hid hidden", "hold": "held", "know": "knew known", "leave": "left", "lend": "lent", "lose": "lost",
    "make": "made", "meet": "met", "pay": "paid", "put": "put", "read": "read", "ride": "rode ridden",
    "run": "ran run", "say": "said", "see": "saw seen", "sell": "sold", "send": "sent", "show": "showed shown",
    "sing": "sang sung", "sit": "sat", "sleep": "slept", "speak": "spoke spoken", "stand": "stood",
    "swim": "swam swum", "take": "took taken", "teach": "taught", "tell": "told", "think": "thought",
    "throw": "threw thrown", "understand": "understood", "wake": "woke woken", "wear": "wore worn",
    "win": "won", "write": "wrote written", "fight": "fought", "keep": "kept",
}  # fmt: skip

_DOUBLED = frozenset(("cut", "forget", "get", "hug", "put", "run", "sit", "stop", "swim", "win"))
# Comparison by more and most.
_LONG = frozenset(("expensive", "interesting", "boring", "difficult", "useful", "beautiful", "famous", "delicious"))
_LONG |= {"bitter", "dangerous", "important", "wonderful", "comfortable"}

BE = {"I": ("am", "was"), "he": ("is", "was"), "she": ("is", "was"), "it": ("is", "was")}
POSSESSIVE = {"I": "my", "you": "your", "he": "his", "she": "her", "we": "our", "they": "their"}
OBJECTIVE = {"I": "me", "you": "you", "he": "him", "she": "her", "we": "us", "they": "them"}


def plural(noun: str) -> str:
    head, _, last = noun.rpartition(" ")
    if last in _PLURALS:
        form = _PLURALS[last]
    elif last.endswith("man") and last not in ("human",):
        form = last[:-3] + "men"
    elif last.endswith(("s", "x", "ch", "sh")):
        form = last + "es"
    elif last.endswith("y") and last[-2] not in "aeiou":
        form = last[:-1] + "ies"
    else:
        form = last + "s"
    return f"{head} {form}" if head else form


def article(following: str) -> str:
    """a or an, by the sound of the word that follows."""
    if following.startswith(("uni", "use", "eu", "one")):
        return "a"
    return "an" if following[0] in "aeiouAEIOU" or following.startswith(("hon", "hour")) else "a"


@cache
def third(verb: str) -> str:
    if verb == "have":
        return "has"
    if verb.endswith(("s", "x", "ch", "sh", "o")):
        return verb + "es"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + "s"


def _regular(verb: str) -> str:
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    return verb + (verb[-1] if verb in _DOUBLED else "") + "ed"


@cache
def past(verb: str) -> str:
    return _PAST[verb].split()[0] if verb in _PAST else _regular(verb)


@cache
def participle(verb: str) -> str:
    return _PAST[verb].split()[-1] if verb in _PAST else _regular(verb)


@cache
def ing(verb: str) -> str:
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and verb != "be":
        return verb[:-1] + "ing"
    return verb + (verb[-1] if verb in _DOUBLED else "") + "ing"


def be(who: str, was: bool) -> str:
    return BE.get(who, ("are", "were"))[was]


def singular(who: str) -> bool:
    return who in ("he", "she", "it")


@cache
def _spelled(adjective: str, ending: str) -> str:
    if adjective.endswith("e"):
        return adjective + ending[1:]
    if adjective.endswith("y"):
        return adjective[:-1] + "i" + ending
    short = len(adjective) <= 4 and adjective[-3] not in "aeiou" and adjective[-2] in "aeiou"
    doubled = short and adjective[-1] not in "wyx"
    return adjective + (adjective[-1] if doubled else "") + ending


def comparative(adjective: str) -> str:
    return f"more {adjective}" if adjective in _LONG else _spelled(adjective, "er")


def superlative(adjective: str) -> str:
    return f"most {adjective}" if adjective in _LONG else _spelled(adjective, "est")


@cache
def verb_complex(
    verb: str, is_be: bool, tense: str, negative: bool, who: str, inverted: bool
) -> tuple[tuple[str, ...], str]:
    """Auxiliaries, and the main verb. `is_be` is for be + adjective, where the adjective is the main word.

    With `inverted` the first auxiliary is what a question moves to the front, so there always is one.
    """
    no = ("not",) if negative else ()
    if tense == "future":
        return ("will", *no, *(("be",) if is_be else ())), verb
    if is_be:
        return (be(who, tense == "past"), *no), verb
    if tense in ("present", "past"):
        if negative or inverted:
            do = "did" if tense == "past" else "does" if singular(who) else "do"
            return (do, *no), verb
        return (), past(verb) if tense == "past" else third(verb) if singular(who) else verb
    if tense in ("progressive", "was"):
        return (be(who, tense == "was"), *no), ing(verb)
    if tense == "going":
        return (be(who, False), *no, "going", "to"), verb
    if tense in ("can", "could"):
        return (("cannot",) if negative and tense == "can" else (tense, *no)), verb
    if tense == "ever":
        never = ("never",) if negative else ()
        return ("has" if singular(who) else "have", *never), "been" if verb == "go" else participle(verb)
    base = "have" if tense == "must" else "want"
    if negative or inverted:
        return ("does" if singular(who) else "do", *no, base, "to"), verb
    return (third(base) if singular(who) else base, "to"), verb
