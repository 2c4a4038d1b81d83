"""A document filled with its own sentences is itself; what is no text to translate stays as it is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt  # an independent reader of Markdown; typer brings it along

from keifu.text.documents import read_document
from keifu.text.inline import read_markdown
from keifu.text.sentences import cut_to_fit, sentence_ends

WORDS = st.sampled_from(
    ("cats", "Dogs", "sleep.", "Mr.", "猫が好き。", "「犬。」", "it's", "3.14", "Really?", "é", "a_b")
)
SIGNS = st.sampled_from(
    ("**", "*", "_", "~~", "`", "``", "[", "](u)", "][r]", "]", "![", "<b>", "</b>", "<br>", "\\*", "&amp;", "|")
)
STARTS = st.sampled_from(
    (
        *("", "", "", "# ", "## ", "> ", "- ", "* ", "1. ", "2) ", "    ", "  ", "\t", "```", "~~~", "---", "===", "|"),
        *("[r]: /u", "<div>", "<!-- x", "-->", "[^1]: ", "- [ ] ", "> - ", ">> ", "| a | b |", "|---|---|"),
        *("\ufeff", "***", "+++", "\u3000", "\xa0"),
    )
)
LINES = st.builds(
    lambda start, words, gaps, end: start + "".join(a + b for a, b in zip(words, gaps, strict=True)) + end,
    STARTS,
    st.lists(WORDS | SIGNS, min_size=6, max_size=6),
    st.lists(st.sampled_from(("", " ", " ", "  ")), min_size=6, max_size=6),
    st.sampled_from(("", " ", "  ", "\\", "<br>")),
) | st.sampled_from(("", "", " ", "---", "```", "===", "cats", "- cats", "> dogs"))
ENDS = st.sampled_from(("\n", "\n", "\n", "\r\n", "\r", "\n\n"))
DOCUMENTS = (
    st.lists(st.tuples(LINES, ENDS), max_size=12).map(lambda lines: "".join(a + b for a, b in lines)) | st.text()
)


def segments(content: str, kind: str = "text") -> list[str]:
    return [segment.plain for segment in read_document(content, kind).segments]


def filled(content: str, kind: str, translation: str) -> str:
    document = read_document(content, kind)
    return document.fill([translation] * len(document.segments))


# ---- both kinds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["text", "markdown"])
@given(content=DOCUMENTS)
def test_a_document_filled_with_its_own_sentences_is_itself(content: str, kind: str) -> None:
    document = read_document(content, kind)
    assert document.fill([segment.text for segment in document.segments]) == content


@pytest.mark.parametrize("kind", ["text", "markdown"])
@given(content=DOCUMENTS)
def test_every_segment_has_words_and_stands_in_the_document(content: str, kind: str) -> None:
    for segment in read_document(content, kind).segments:
        assert segment.text in content
        assert segment.text.strip() == segment.text or kind == "markdown"
        assert any(sign.isalpha() for sign in segment.plain)


@given(content=DOCUMENTS)
def test_spans_are_nested_or_apart_and_lie_in_their_sentence(content: str) -> None:
    for segment in read_document(content, "markdown").segments:
        for index, span in enumerate(segment.spans):
            assert 0 <= span.begin <= span.end <= len(segment.plain)
            for other in segment.spans[index + 1 :]:
                assert other.begin >= span.end or other.end <= span.end


def test_line_ends_blank_lines_and_indentation_stay() -> None:
    content = "\ufeff  Cats sleep.  \r\n\r\n\r\n\tDogs bark.\r\n"
    assert filled(content, "text", "X") == "\ufeff  X  \r\n\r\n\r\n\tX\r\n"


def test_translations_are_joined_as_their_script_asks() -> None:
    assert filled("Cats sleep. Dogs bark.", "text", "猫。") == "猫。猫。"
    assert filled("猫が寝る。犬が吠える。", "text", "A cat.") == "A cat. A cat."
    assert filled("猫が寝る。犬が吠える。", "markdown", "**A cat.**") == "**A cat.** **A cat.**"
    assert (
        filled("Cats sleep. Dogs bark.", "markdown", "**猫。**") == "**猫。** **猫。**"
    )  # **猫。**犬 would not be bold


# ---- sentences ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Cats sleep. Dogs bark! Do they?", ["Cats sleep.", "Dogs bark!", "Do they?"]),
        ('He said "No." Then he left.', ['He said "No."', "Then he left."]),
        ("Mr. Smith met Dr. J. R. Hall at 5 p.m. on Monday.", ["Mr. Smith met Dr. J. R. Hall at 5 p.m. on Monday."]),
        ("Animals, e.g. Cats, sleep. See No. 5 of Vol. 2.", ["Animals, e.g. Cats, sleep.", "See No. 5 of Vol. 2."]),
        ("It costs 3.50 euros... maybe. 12 cats sleep.", ["It costs 3.50 euros... maybe.", "12 cats sleep."]),
        ("So am I. We go. No. We stay.", ["So am I.", "We go.", "No.", "We stay."]),
        ("1. Cats sleep here.", ["1. Cats sleep here."]),
        ("猫が好きです。本当？（はい。）次です！", ["猫が好きです。", "本当？", "（はい。）", "次です！"]),
        ("「行く。」と言った。『寝る！』", ["「行く。」と言った。", "『寝る！』"]),
        ("고양이가 잔다. 개가 짖는다.", ["고양이가 잔다.", "개가 짖는다."]),
    ],
)
def test_where_sentences_end(text: str, expected: list[str]) -> None:
    bounds = [0, *(place for ends in sentence_ends(text) for place in ends), len(text)]
    assert [text[begin:end] for begin, end in zip(bounds[::2], bounds[1::2], strict=True)] == expected


@given(st.text(alphabet="ab, 、;。", max_size=60), st.integers(1, 10))
def test_cut_texts_fit_and_are_the_whole_text(text: str, limit: int) -> None:
    ranges = cut_to_fit(text, lambda part: len(part) <= limit)
    assert "".join(text[begin:end] for begin, end in ranges) == text
    assert all(end - begin <= limit for begin, end in ranges)


def test_a_text_is_cut_at_clause_signs_before_spaces() -> None:
    text = "the cats sleep here, and dogs bark"
    parts = [text[begin:end] for begin, end in cut_to_fit(text, lambda part: len(part) < 25)]
    assert parts == ["the cats sleep here,", " and dogs bark"]


# ---- plain text --------------------------------------------------------------------------------------------

LONG = "This line of prose was wrapped by a program that cuts lines"


def test_wrapped_lines_become_one_line_a_paragraph() -> None:
    content = f"{LONG}\nat a certain width. It has\n\n{LONG}\n{LONG} again.\n"
    assert segments(content)[:2] == [f"{LONG} at a certain width.", "It has"]
    assert filled(content, "text", "X") == "X X\n\nX\n"
    japanese = "これは決まった幅で折り返された日本語の長い文章の一行で"
    assert segments(f"{japanese}\nまだ続きます。") == [f"{japanese}まだ続きます。"]


@pytest.mark.parametrize(
    "content",
    [
        "Tom Smith\n12 Long Road\nLondon\n",
        f"{LONG}.\n{LONG} again.\nIt ends.\n",
        f"- {LONG}\n- {LONG}\n・猫の話をします\n",
    ],
)
def test_short_lines_whole_sentences_and_items_stay_lines(content: str) -> None:
    assert len(segments(content)) == 3
    lines = filled(content, "text", "X").splitlines()
    assert [line.removeprefix("- ").removeprefix("・") for line in lines] == ["X", "X", "X"]


def test_addresses_are_verbatim_in_plain_text() -> None:
    (segment,) = read_document("Write to tom@example.org or see https://example.org/a_b.", "text").segments
    assert [span.written for span in segment.spans] == ["tom@example.org", "https://example.org/a_b"]


# ---- Markdown ----------------------------------------------------------------------------------------------

STAYS = {
    "fenced code": "```python\nprint('cats')\n\n# dogs\n```\n",
    "tilde fence in a list": "- x\n\n  ~~~\n  cats ```\n  ~~~\n",
    "indented code": "    cats sleep\n\n    dogs\n",
    "front matter": "---\ntitle: Cats\n---\n",
    "comment": "<!-- cats\n\nsleep -->\n",
    "HTML block": '<div align="center">\ncats\n</div>\n',
    "rule": "* * *\n\n---\n",
    "definition": "[cats]: https://example.org/cats\n    'Cats sleep'\n",
    "numbers": "| 1 | 2.5 % |\n|---|:-:|\n| 3 | — |\n",
    "code alone": "`cats`\n\nhttps://example.org/cats\n",
    "an alert's name": "> [!NOTE]\n",
}


@pytest.mark.parametrize("content", STAYS.values(), ids=STAYS.keys())
def test_what_is_no_text_stays(content: str) -> None:
    assert [one for one in segments(content, "markdown") if one != "x"] == []


BLOCKS = {
    "heading": ("## Cats sleep ##\n", "## X ##\n"),
    "underlined heading": ("Cats sleep\n===\n", "X\n===\n"),
    "item": ("-  Cats\n10. Dogs\n", "-  X\n10. X\n"),
    "item with a paragraph": ("1. Cats\n   sleep.\n\n   Dogs bark.\n", "1. X\n\n   X\n"),
    "quote": ("> Cats\n> sleep. Dogs\nbark.\n", "> X X\n"),
    "nested": ("> - Cats\n>   sleep\n>\n> Dogs\n", "> - X\n>\n> X\n"),
    "table": ("| Cats | *Dogs* |\n|---|:-:|\n| a \\| b | `c` |\n", "| X | *X* |\n|---|:-:|\n| X | `c` |\n"),
    "end of a table": ("Cats|Dogs\n-|-\nd|e\n\nf\n", "X|X\n-|-\nX|X\n\nX\n"),
    "hard breaks": ("Cats  \nDogs\\\nBirds<br>\nFish\n", "X  \nX\\\nX<br>\nX\n"),
    "task": ("- [x] Cats\n- [ ] Dogs\n", "- [x] X\n- [ ] X\n"),
    "footnote": ("[^1]: Cats sleep.\n", "[^1]: X\n"),
    "all in bold": ("**Cats sleep. Dogs bark.**\n", "**X X**\n"),
    "rule behind a paragraph in a list": ("- Cats\n***\nDogs\n", "- X\n***\nX\n"),
    "code closed by the end of its item": ("- ```\n  cats\nDogs\n", "- ```\n  cats\nX\n"),
}


@pytest.mark.parametrize(("content", "expected"), BLOCKS.values(), ids=BLOCKS.keys())
def test_blocks_keep_their_form(content: str, expected: str) -> None:
    assert filled(content, "markdown", "X") == expected


VERBATIM = ("fence", "code_block", "html_block", "hr")


def structure(content: str) -> list[tuple[str, str, str]]:
    """The blocks that markdown-it reads, with the content of those that are not for translation."""
    tokens = MarkdownIt("commonmark").enable("table").parse(content)
    return [(one.type, one.tag, one.content if one.type in VERBATIM else "") for one in tokens]


PROSE = st.lists(st.sampled_from(("cats", "Dogs", "sleep.", "Really?", "`code`", "*sleep*")), min_size=1, max_size=5)
BLOCK = st.sampled_from(
    (
        "{0}\n",
        "{0}\n{1}\n",
        "# {0}\n",
        "{0}\n---\n",
        "- {0}\n- {1}\n",
        "- {0}\n  {1}\n\n  {2}\n",
        "1. {0}\n   - {1}\n     {2}\n",
        "> {0}\n> {1}\n",
        "> {0}\n{1}\n",
        "> - {0}\n>\n>   {1}\n",
        "| {0} | {1} |\n|---|---|\n| {2} | 1 |\n",
        "```\n{0}\n\n{1}\n```\n",
        "    {0}\n    {1}\n",
        "- {0}\n\n      {1}\n",
        "<div>\n{0}\n</div>\n",
        "<!-- {0}\n\n{1} -->\n",
        "***\n",
        "[{0}]: /u\n",
        "{0}  \n{1}\n",
    )
)


@given(st.lists(st.tuples(BLOCK, PROSE.map(" ".join), PROSE.map(" ".join), PROSE.map(" ".join)), max_size=6))
def test_a_translated_document_has_the_blocks_of_the_original(parts: list[tuple[str, str, str, str]]) -> None:
    content = "\n".join(block.format(*texts) for block, *texts in parts)
    document = read_document(content, "markdown")
    translated = document.fill(["Neko ga neru." for _ in document.segments])
    assert structure(translated) == structure(content)
    read = " ".join(
        one.content for one in MarkdownIt("commonmark").enable("table").parse(translated) if one.type == "inline"
    )
    left = re.sub(r"`[^`]*`", "", read)  # a cell or a sentence may be code alone
    assert not re.search(r"cats|Dogs|Really|sleep", left), translated


# ---- markup inside a line ----------------------------------------------------------------------------------

INLINE = {
    "emphasis": ("a *b* __c__", "a b c", ["*b*", "__c__", "_c_"]),
    "three stars": ("***a***", "a", ["***a***", "**a**", "*a*"]),
    "inside a word": ("un**believ**able", "unbelievable", ["**believ**", "*believ*"]),
    "nothing inside": ("a**** b", "a**** b", []),
    "stars that are none": ("2 * 3 * 4 and **x", "2 * 3 * 4 and **x", []),
    "one word": ("snake_case_name", "snake_case_name", []),
    "code": ("run ``a ` *b*`` now", "run a ` *b* now", ["``a ` *b*``"]),
    "link": ('[cats](<u v> "t") sleep', "cats sleep", ['[cats](<u v> "t")']),
    "code in a link": ("[`a([b[, c]])`](u)", "a([b[, c]])", ["[`a([b[, c]])`](u)", "`a([b[, c]])`"]),
    "link with brackets": ("[a [b] *c*](u_(v))", "a [b] c", ["[a [b] *c*](u_(v))", "*c*"]),
    "emphasis does not cross a link": ("*a [b* c](u)", "*a b* c", ["[b* c](u)"]),
    "image in a link": ("[![cat](c.png)](u)", "cat", ["[![cat](c.png)](u)", "![cat](c.png)"]),
    "reference": ("[cats][guide] [guide][] [Guide]", "cats guide Guide", ["[cats][guide]", "[guide][]", "[Guide]"]),
    "no reference": ("[sic] and [a][b]", "[sic] and [a][b]", []),
    "autolink": ("<https://a.b> and <m@a.b>", "https://a.b and m@a.b", ["<https://a.b>", "<m@a.b>"]),
    "address": ("https://a.b/c_d_e. (www.a.b)", "https://a.b/c_d_e. (www.a.b)", ["https://a.b/c_d_e", "www.a.b"]),
    "HTML": ('<b>a</b> <img src="x"> </i><kbd>', "a  ", ["<b>a</b>", '<img src="x">', "</i>", "<kbd>"]),
    "HTML around nothing": ('<a id="x"><br></a> cats', " cats", ['<a id="x"><br></a>']),
    "footnote": ("cats[^1] sleep", "cats sleep", ["[^1]"]),
    "escapes": (r"\*a\* &amp; \[b\]", "*a* & [b]", []),
}


@pytest.mark.parametrize(("text", "plain", "written"), INLINE.values(), ids=INLINE.keys())
def test_markup_inside_a_line(text: str, plain: str, written: list[str]) -> None:
    inline = read_markdown(text, frozenset({"guide"}))
    assert inline.plain == plain
    assert [span.written for span in inline.spans] == written


def test_the_text_of_a_reference_keeps_its_label_when_it_is_translated() -> None:
    (span,) = read_markdown("[Guide]", frozenset({"guide"})).spans
    assert span.opening + "手引き" + span.closing == "[手引き][Guide]"


@pytest.mark.parametrize(
    "sign", ["*", "_", "`", "[", "<", "&", "\\", "(", "!", "|", "[a](", "<!--", "*a ", "[^", "<b>", "> ", "a.", "。「"]
)
@pytest.mark.parametrize("kind", ["text", "markdown"])
def test_a_long_line_of_one_sign_is_read_in_reasonable_time(sign: str, kind: str) -> None:
    content = sign * (50_000 // len(sign))
    document = read_document(content, kind)
    assert document.fill([segment.text for segment in document.segments]) == content
