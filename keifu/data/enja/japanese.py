"""Inflection of Japanese verbs, adjectives and nouns with a copula.

A group says how a word inflects: "1" (ichidan), "5" (godan), "s" (する), "k" (来る), "i" (i-adjective), "na"
(na-adjective) and "no" (noun). A style says where the form stands: "polite" ends a sentence, "plain" stands before と
and けれど, "noun" before a noun, "node" before ので.
"""

from functools import cache

# Last kana of the dictionary form -> its a, i, e rows and the te- and ta-endings.
_GODAN = {
    "う": ("わ", "い", "え", "って", "った"),
    "く": ("か", "き", "け", "いて", "いた"),
    "ぐ": ("が", "ぎ", "げ", "いで", "いだ"),
    "す": ("さ", "し", "せ", "して", "した"),
    "つ": ("た", "ち", "て", "って", "った"),
    "ぬ": ("な", "に", "ね", "んで", "んだ"),
    "ぶ": ("ば", "び", "べ", "んで", "んだ"),
    "む": ("ま", "み", "め", "んで", "んだ"),
    "る": ("ら", "り", "れ", "って", "った"),
}

COPULA = {  # (past, negative) -> polite, plain
    (False, False): ("です", "だ"),
    (False, True): ("ではありません", "ではない"),
    (True, False): ("でした", "だった"),
    (True, True): ("ではありませんでした", "ではなかった"),
}


@cache
def stem(verb: str, group: str, form: str) -> str:
    """The part of a verb before an ending: "a" (ない), "i" (ます), "te", "ta" or "can" (the potential, ichidan)."""
    body, last = verb[:-1], verb[-1]
    if group == "1":
        return body + {"a": "", "i": "", "te": "て", "ta": "た", "can": "られる"}[form]
    if group == "s":
        body = verb[:-2]
        return body + {"a": "し", "i": "し", "te": "して", "ta": "した", "can": "できる"}[form]
    if group == "k":  # 来る in characters keeps its character, くる in kana does not keep its kana
        head = verb[:-2] if verb.endswith("くる") else body
        kana = ("こ", "き") if verb.endswith("くる") else ("", "")
        a, i = head + kana[0], head + kana[1]
        return {"a": a, "i": i, "te": i + "て", "ta": i + "た", "can": a + "られる"}[form]
    a, i, e, te, ta = _GODAN[last]
    if verb.endswith("行く"):
        te, ta = "って", "った"
    return body + {"a": a, "i": i, "te": te, "ta": ta, "can": e + "る"}[form]


def _finite(verb: str, group: str, past: bool, negative: bool, polite: bool) -> str:
    if polite:
        endings = {(False, False): "ます", (False, True): "ません", (True, False): "ました"}
        return stem(verb, group, "i") + endings.get((past, negative), "ませんでした")
    if negative:
        body = verb[:-2] if verb.endswith("ある") else stem(verb, group, "a")
        return body + ("なかった" if past else "ない")
    return stem(verb, group, "ta") if past else verb


def _adjective(word: str, past: bool, negative: bool, polite: bool) -> tuple[str, ...]:
    root = "よ" if word == "いい" else word[:-1]
    if not negative:
        form = root + "かった" if past else word
        return (form, "です") if polite else (form,)
    if polite:
        return (root + "く", "ありませんでした" if past else "ありません")
    return (root + "くなかった" if past else root + "くない",)


def _nominal(word: str, group: str, past: bool, negative: bool, style: str) -> tuple[str, ...]:
    ending = COPULA[past, negative][style != "polite"]
    if ending == "だ" and style in ("noun", "node"):
        ending = "な" if style == "node" or group == "na" else "の"
    return (word, ending) if word else (ending,)


@cache
def inflect(word: str, group: str, tense: str, negative: bool, style: str) -> tuple[str, ...]:
    """The form as one or two words; the second carries copula, tense or negation alone.

    Tenses are those of English: present, past, future, progressive, was (past progressive), state and stated (a
    state in present and past), going, want, wants (of others), can, could, must, ever (experience).
    """
    polite = style == "polite"
    past = tense in ("past", "was", "stated", "could")
    if group == "i":
        return _adjective(word, past, negative, polite)
    if group in ("na", "no"):
        return _nominal(word, group, past, negative, style)
    if tense == "te":
        return (stem(word, group, "te"),)
    if tense in ("progressive", "was", "state", "stated"):
        if word == "知る" and negative:
            return (_finite(word, group, past, True, polite),)
        return (stem(word, group, "te") + _finite("いる", "1", past, negative, polite),)
    if tense in ("can", "could"):
        return (_finite(stem(word, group, "can"), "1", past, negative, polite),)
    if tense == "want":
        return _adjective(stem(word, group, "i") + "たい", past, negative, polite)
    if tense == "wants":
        return (stem(word, group, "i") + "たがって" + _finite("いる", "1", past, negative, polite),)
    if tense == "must":
        return (stem(word, group, "a") + ("なければなりません" if polite else "なければならない"),)
    if tense == "going":
        intention = "つもりは" + _finite("ある", "5", False, True, polite) if negative else "つもり"
        return (word, intention if negative else intention + ("です" if polite else "だ"))
    if tense == "ever":
        return (stem(word, group, "ta"), "ことが" + _finite("ある", "5", False, negative, polite))
    return (_finite(word, group, past, negative, polite),)


def attributive(word: str, group: str) -> str:
    """An adjective before a noun; a verb stands for its resulting state (疲れた)."""
    if group in ("na", "no"):
        return word + {"na": "な", "no": "の"}[group]
    return word if group == "i" else stem(word, group, "ta")


NUMERALS = ("", "一", "二", "三", "四", "五", "六", "七", "八", "九", "十")


def count(number: int, counter: str) -> str:
    return NUMERALS[number] + counter
