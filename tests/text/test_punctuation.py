"""Signs set apart from words, and joined to them again."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keifu.text.punctuation import join, split

WORDS = st.one_of(
    st.text("abcdeinoxyzé", min_size=1, max_size=6),
    st.sampled_from(["i'm", "don't", "it's", "o'clock", "l'homme", "dell'arte", "ma'am", "well-known", "3,000"]),
    st.sampled_from(["12:30", "2.5", "p.m.", "u.s.", "'em", "42"]),
)
PHRASES = st.lists(WORDS, min_size=1, max_size=5).map(" ".join)
CLAUSES = st.one_of(
    PHRASES,
    PHRASES.map("({})".format),
    st.builds('"{}{}"'.format, PHRASES, st.sampled_from(["", ".", "?", "!", "..."])),
    PHRASES.map('("{}")'.format),
    PHRASES.map('"({})"'.format),
)


@st.composite
def sentences(draw: st.DrawFn) -> str:
    clauses = draw(st.lists(CLAUSES, min_size=1, max_size=4))
    text = clauses[0]
    for clause in clauses[1:]:
        text += draw(st.sampled_from([" ", ", ", "; ", ": ", ". ", "? ", "! "])) + clause
    return text + draw(st.sampled_from(["", ".", "?", "!", "?!", "..."]))


@given(sentences())
def test_a_sentence_that_is_split_and_joined_is_what_it_was(text: str) -> None:
    assert join(split(text)) == text


@given(sentences())
def test_a_sentence_that_is_split_has_its_signs_apart(text: str) -> None:
    assert all(word == sign for word in split(text).split(" ") for sign in '?!;()"' if sign in word)


@example("a,.")
@given(st.text("abB '’“”\".,:;?!()-_0…\n\u3000"))
def test_what_is_split_is_left_alone(text: str) -> None:
    assert split(split(text)) == split(text)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("i 'm here .", "i'm here."),
        ("it 's 3:30 p.m. now , i think !", "it's 3:30 p.m. now, i think!"),
        ("what ! ? wait ...", "what!? wait..."),
        ('he said , " why ? "', 'he said, "why?"'),
        ('" no " , he said ( twice ) .', '"no", he said (twice).'),
        ("'' what time is it ? '' he wondered .", '"what time is it?" he wondered.'),
        ("he said , '' it 's nine o 'clock . ''", "he said, \"it's nine o'clock.\""),
        ("the dog is called ' spot ' .", "the dog is called 'spot'."),
        ("say 'ahhh' , please .", "say 'ahhh', please."),
        ("she said 'i 'm here' .", "she said 'i'm here'."),
        ("i asked 'why ? '", "i asked 'why?'"),
        ("ten minutes ' walk .", "ten minutes' walk."),
        ("it 's nine o 'clock at the boys' club .", "it's nine o'clock at the boys' club."),
        ("l 'homme qu 'il dit .", "l'homme qu'il dit."),
        ("“Why ? ”", "“Why?”"),
        # No partner, or more than one reading: left apart.
        ('he said , " why ?', 'he said, " why?'),
        ("the girls ' room and the boys ' room", "the girls ' room and the boys ' room"),
        ("3 , 000 yen", "3, 000 yen"),
        ("", ""),
        ("   ", "   "),
        ("'", "'"),
    ],
)
def test_a_models_output_is_joined_where_it_is_certain_how(written: str, expected: str) -> None:
    assert join(written) == expected


@given(st.text("ab 's\".,?!()-"))
def test_joining_loses_no_character_but_spaces(text: str) -> None:
    letters = {'"': "", "'": "", " ": ""}  # two single quotes may become a double one
    assert join(text).translate(str.maketrans(letters)) == text.translate(str.maketrans(letters))


def test_long_runs_of_space_take_no_longer_than_other_text() -> None:
    text = "a" + " " * 200_000 + "b ?"  # a step a sign; with a step a pair of signs it would take hours
    assert split(text) == "a b ?"
