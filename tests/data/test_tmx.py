"""Translation units come out of TMX with their languages, and hostile XML is refused."""

import os
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keifu.data.lines import LONGEST
from keifu.data.tables import open_table
from keifu.errors import ConfigError, DataError

Names = tuple[str, ...]
Rows = list[tuple[int, Names]]
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<tmx version="1.4">\n<header srclang="{}"/>\n<body>\n'
END = "</body>\n</tmx>\n"


def unit(**texts: str) -> str:
    """A unit on one line; of inner text as XML."""
    inner = "".join(f'<tuv xml:lang="{code.replace("_", "-")}"><seg>{text}</seg></tuv>' for code, text in texts.items())
    return f"<tu>{inner}</tu>\n"


def read(folder: Path, body: str, source: str = "*all*", columns: Names = ()) -> tuple[Names, Rows]:
    (folder / "a.tmx").write_text(HEAD.format(source) + body + END, encoding="utf-8")
    table = open_table(folder / "a.tmx", columns)
    return table.columns, list(table.rows)


def refusal(folder: Path, content: str | bytes) -> str:
    (folder / "a.tmx").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as caught:
        list(open_table(folder / "a.tmx").rows)
    return str(caught.value).removeprefix(f"{folder}{os.sep}")


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5), st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]))
def test_tmx_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, written: list[tuple[str, str]], encoding: str
) -> None:
    path = tmp_path_factory.mktemp("tmx") / "a.tmx"
    body = "".join(unit(en=escape(left), ja=escape(right)) for left, right in written)
    path.write_text((HEAD.format("en") + body + END).replace("UTF-8", encoding.removesuffix("-sig")), encoding)
    table = open_table(path)
    assert table.columns == ("en", "ja")
    spaced = [tuple(" ".join(filter(None, text.split(" "))) for text in row) for row in written]
    assert list(table.rows) == [(line, row) for line, row in enumerate(spaced, 5)]


# ---- languages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codes", "source", "columns"),
    [
        ([("en", "ja")], "*all*", ("en", "ja")),
        ([("en", "ja")], "ja", ("ja", "en")),
        ([("en", "ja")], "JA-JP", ("en", "ja")),
        ([("en", "ja_JP")], "JA-JP", ("ja", "en")),
        ([("EN_US", "ja"), ("en_GB", "ja"), ("en", "ja_JP")], "fr", ("en", "ja")),
        ([("EN_US", "ja_JP"), ("en_us", "en_GB")], "ja", ("en-us", "ja", "en-gb")),
        ([("en",), ("de", "en"), ("fr", "ja")], "en", ("en", "de", "fr", "ja")),
    ],
)
def test_columns_are_the_languages_of_the_units(
    codes: list[Names], source: str, columns: Names, tmp_path: Path
) -> None:
    body = "".join(unit(**dict.fromkeys(some, "x")) for some in codes)
    assert read(tmp_path, body, source)[0] == columns


def test_each_unit_is_a_row_where_it_begins_and_a_missing_language_is_empty(tmp_path: Path) -> None:
    body = (
        unit(en="a", ja="b")
        + "\n"
        + unit(ja="c")
        + "<tu>\n\n</tu>\n"
        + unit(en="d").replace("><", ">\n<")
        + unit(en="e")
    )
    rows = read(tmp_path, body)[1]
    assert rows == [(5, ("a", "b")), (7, ("", "c")), (8, ("", "")), (11, ("d", "")), (16, ("e", ""))]


def test_the_first_of_several_texts_of_a_language_counts(tmp_path: Path) -> None:
    twice = unit(en="a", ja="b").replace("</tu>", '<tuv xml:lang="EN"><seg>c</seg></tuv></tu>')
    later = unit(en_US="d", en_GB="e", ja="f")  # beyond the units that name the columns
    found = read(tmp_path, twice * 100 + later + unit(fr="g", ja="h"))
    assert found[0] == ("en", "ja")
    assert [row for _, row in found[1][99:]] == [("a", "b"), ("d", "f"), ("", "h")]


def test_languages_may_be_named_and_must_be_there(tmp_path: Path) -> None:
    assert read(tmp_path, unit(en="a", ja="b"), columns=("JA", "en"))[0] == ("en", "ja")
    with pytest.raises(ConfigError, match=r"a\.tmx: no language fr; it has en, ja"):
        read(tmp_path, unit(en="a", ja="b"), columns=("en", "fr"))


def test_the_language_of_older_files_is_an_attribute_without_a_prefix(tmp_path: Path) -> None:
    body = unit(en="a", ja="b").replace("xml:lang", "lang")
    assert read(tmp_path, body) == (("en", "ja"), [(5, ("a", "b"))])


# ---- texts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        ("  a\n  b\t c\nd ", "a b c d"),
        ("　a　b\u00a0", "　a　b\u00a0"),
        ("a &lt;b&gt; &amp; c &#x3042;&#12356;", "a <b> & c あい"),
        ("<![CDATA[a <b> ]]>c", "a <b> c"),
        ("<!-- no -->a<?no no?>b", "ab"),
        ('a <hi type="bold">b</hi> c', "a b c"),
        ('<bpt i="1">&lt;b&gt;</bpt>bold<ept i="1">&lt;/b&gt;</ept>', "bold"),
        ('a<ph>&lt;img alt="<sub>b <ut>no</ut></sub>"/&gt;</ph>c<it pos="begin">no</it><ut>no</ut>', "ab c"),
        ("a <own>b <ph>no <hi>no</hi></ph></own>c", "a b c"),
        ("a <tu><tuv><seg>b</seg></tuv></tu> c", "a b c"),
        ("", ""),
    ],
)
def test_inline_elements_keep_text_and_drop_codes(inner: str, text: str, tmp_path: Path) -> None:
    assert read(tmp_path, unit(en=inner, ja="x"))[1] == [(5, (text, "x"))]


def test_texts_outside_of_segments_do_not_count(tmp_path: Path) -> None:
    body = "<tu><note>no</note><prop>no</prop>no<tuv xml:lang='en'>no<prop>no</prop><seg>a</seg>no</tuv></tu>\n"
    assert read(tmp_path, body + "<note><seg>no</seg></note>")[1] == [(5, ("a",))]


# ---- what is refused ---------------------------------------------------------------------------------------

BOMB = '<!DOCTYPE tmx [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><tmx><body>' + unit(en="&b;") + END
FAR = HEAD.format("en") + unit(en="a", ja="b") * 5000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            FAR + "<tu>" + END,
            "a.tmx:5005: not well-formed XML (a tag closes another than the one that is open)",
        ),
        (FAR + "a & b" + END, "a.tmx:5005: not well-formed XML (a character or byte that XML does not allow); "),
        (FAR, "a.tmx:5005: not well-formed XML (the file ends too early); "),
        (FAR.encode() + b"\xff", "a.tmx:5005: not well-formed XML (a character or byte that XML does not allow); "),
        (FAR + "a\0b", "a.tmx:5005: not well-formed XML ("),
        (FAR + "&nbsp;" + END, "a.tmx:5005: not well-formed XML (an entity that XML does not know); "),
        ("plain text\n", "a.tmx:1: not well-formed XML (syntax error); "),
        ("<a/>", "a.tmx:1: begins with <a>; expected TMX, which begins with <tmx>"),
        (HEAD.format("en") + END, "a.tmx: no translation unit (<tu>) with a text; expected TMX"),
        (HEAD.format("en") + "<tu><tuv xml:lang='en'/></tu>" + END, "a.tmx: no translation unit (<tu>) with a text"),
        (FAR + "<tu>\n<tuv><seg>a</seg></tuv></tu>", "a.tmx:5006: a <tuv> without a language; give it xml:lang"),
        (BOMB, "a.tmx:1: declares the entity a; TMX needs none, write its text out"),
        ('<!DOCTYPE tmx [<!ENTITY a SYSTEM "/etc/passwd">]><tmx/>', "a.tmx:1: declares the entity a; "),
        ('<!DOCTYPE tmx [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]><tmx/>', "a.tmx:1: declares the entity a; "),
        (
            '<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n<tmx><body>\n' + unit(en="a&nbsp;b"),
            "a.tmx:3: an entity that XML does not know: &nbsp;; write the character itself",
        ),
        (FAR + "<a>" * 10_000, "a.tmx:5005: over 100 elements inside each other; expected TMX"),
        (FAR + "<!--" + "x" * 6 * LONGEST, "a.tmx:5005: a tag or comment of over 1,000,000 characters; expected TMX"),
        (FAR + unit(en="x\n" * LONGEST), "a unit of over 1,000,000 characters; expected a sentence a unit"),
        (FAR + "<tu>" + f"<tuv lang='{'en-' * 999}'/>" * 400, "a unit of over 1,000,000 characters; "),
        (
            '<?xml version="1.0" encoding="cp932"?><tmx/>',
            "a.tmx:1: an encoding that XML readers do not know; save it as",
        ),
        (
            '<?xml version="1.0" encoding="klingon"?><tmx/>',
            "a.tmx:1: an encoding that XML readers do not know; save it",
        ),
        (b"PK\x03\x04", "a.tmx: is a zip archive"),
        ("", "a.tmx: the file is empty"),
    ],
)
def test_what_is_no_tmx_is_refused(content: str | bytes, message: str, tmp_path: Path) -> None:
    found = refusal(tmp_path, content)
    assert message in found
    assert len(found) < 200


def test_the_declared_type_of_a_document_is_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "tmx14.dtd").write_text('<!ENTITY x "fetched">')
    content = '<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n<tmx><body>\n' + unit(en="a") + END
    (tmp_path / "a.tmx").write_text(content)
    assert list(open_table(tmp_path / "a.tmx").rows) == [(3, ("a",))]
