"""A TMX file gets what it lacks, and keeps all else byte for byte; the standard library reads what comes out."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keifu.errors import ConfigError, DataError
from keifu.text.translation_memory import read_translation_memory

LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def memory(*units: str, head: str = '<?xml version="1.0"?>\n<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n') -> str:
    return f'{head}<tmx version="1.4">\n<header srclang="en"/>\n<body>\n{"".join(units)}</body></tmx>\n'


def variant(language: str, segment: str) -> str:
    return f'    <tuv xml:lang="{language}">{segment}</tuv>\n'


def unit(*variants: str) -> str:
    return f'  <tu tuid="1"><note>a &amp; b</note>\n{"".join(variants)}  </tu>\n'


def filled(content: str, translation: str = "猫。") -> str:
    document = read_translation_memory(content, "en", "ja")
    return document.fill([translation] * len(document.segments))


def texts(content: str) -> list[dict[str, str]]:
    """Language -> text, unit by unit, read with another reader."""
    return [
        {one.get(LANG, ""): "".join(one.find("seg").itertext()) for one in tu.iter("tuv")}  # type: ignore[union-attr]
        for tu in ElementTree.fromstring(content).iter("tu")
    ]


def test_a_unit_without_a_translation_gets_one_and_all_else_stays() -> None:
    french = variant("fr", "<seg>Chats.</seg>")
    content = memory(unit(variant("EN-US", "<seg>Cats.</seg>"), french))
    added = '    <tuv xml:lang="ja"><seg>猫。</seg></tuv>\n'
    assert filled(content) == content.replace(french, french + added)
    assert texts(filled(content)) == [{"EN-US": "Cats.", "fr": "Chats.", "ja": "猫。"}]


@pytest.mark.parametrize("empty", ["<seg/>", "<seg></seg>", '<seg x=">" />', "<seg> </seg>"])
def test_an_empty_translation_is_filled(empty: str) -> None:
    content = memory(unit(variant("ja-JP", empty), variant("en", "<seg>Cats &lt;3.</seg>")))
    assert texts(filled(content)) == [{"ja-JP": "猫。", "en": "Cats <3."}]


@pytest.mark.parametrize(
    "complete",
    [
        unit(variant("en", "<seg>Cats.</seg>"), variant("ja-JP", "<seg>猫</seg>")),
        unit(variant("fr", "<seg>Chats.</seg>")),
        unit(variant("en", "<seg> </seg>")),
        unit(variant("en", "<seg/>")),
        "<tu/>",
    ],
)
def test_units_with_a_translation_or_without_a_source_stay(complete: str) -> None:
    assert filled(memory(complete)) == memory(complete)


def test_several_sentences_are_translated_one_by_one_and_numbers_are_copied() -> None:
    content = memory(unit(variant("en", "<seg>Cats sleep. Dogs bark.</seg>")), unit(variant("en", "<seg>3.14</seg>")))
    assert [one.get("ja") for one in texts(filled(content))] == ["猫。猫。", "3.14"]


def test_inline_codes_are_spans_and_not_text() -> None:
    codes = (
        '<bpt i="1">&lt;b></bpt>Cats<ept i="1">&lt;/b></ept> <hi>sleep</hi> &amp; <![CDATA[a<b]]>'
        '<ph x="a>b"/><it pos="begin">x</it><bpt i="2"/>'
    )
    (segment,) = read_translation_memory(memory(unit(variant("en", f"<seg>{codes}.</seg>"))), "en", "ja").segments
    assert segment.plain == "Cats sleep & a<b."
    found = [(segment.plain[span.begin : span.end], span.kind, span.opening or span.written) for span in segment.spans]
    assert found == [
        ("Cats", "pair", '<bpt i="1">&lt;b></bpt>'),
        ("sleep", "pair", "<hi>"),
        ("", "verbatim", '<ph x="a>b"/>'),
        ("", "verbatim", '<it pos="begin">x</it>'),
        ("", "verbatim", '<bpt i="2"/>'),
    ]
    assert segment.spelling["<"] == "&lt;"


def test_an_empty_code_before_another_ends_where_it_ends() -> None:
    codes = 'Press <ph x="1"/> to save the <ph x="2">&lt;br/&gt;</ph> file'
    (segment,) = read_translation_memory(memory(unit(variant("en", f"<seg>{codes}</seg>"))), "en", "ja").segments
    assert segment.plain.split() == ["Press", "to", "save", "the", "file"]
    assert [span.written for span in segment.spans] == ['<ph x="1"/>', '<ph x="2">&lt;br/&gt;</ph>']


SEGMENTS = st.sampled_from(
    (
        "<seg>Cats.</seg>",
        "<seg/>",
        "<seg>A <ph x='>'/>&amp; b.</seg>",
        '<seg a=">"> C\n d. E f.</seg>',
        "<seg>é</seg>",
        "",
    )
)
UNITS = st.lists(
    st.lists(st.tuples(st.sampled_from(("en", "EN-gb", "ja", "ja-JP", "fr")), SEGMENTS), max_size=4).map(
        lambda variants: unit(*(variant(language, segment) for language, segment in variants))
    ),
    max_size=5,
)


@given(UNITS)
def test_what_is_added_are_translations_only(units: list[str]) -> None:
    content = memory(*units)
    result = filled(content, "X")
    before, after = (ElementTree.fromstring(one) for one in (content, result))
    for old, new in zip(before.iter("tu"), after.iter("tu"), strict=True):
        kept = list(new.iter("tuv"))[: len(list(old.iter("tuv")))]
        added = list(new.iter("tuv"))[len(kept) :]
        for one, other in zip(old.iter("tuv"), kept, strict=True):
            was, now = (re.sub(r"\s+", " ", ElementTree.tostring(each, "unicode")).strip() for each in (one, other))
            empty = one.find("seg") is not None and not "".join(one.itertext()).strip() and not list(one.iter("ph"))
            assert was == now or (empty and one.get(LANG, "").startswith("ja"))
        assert len(added) <= 1
        languages = [one.get(LANG, "")[:2].lower() for one in old.iter("tuv")]
        assert all(one.get(LANG) == "ja" and "ja" not in languages and "en" in languages for one in added)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<tmx><body>\n<tu></body></tmx>", r"line 2: not well-formed XML \(mismatched tag\)"),
        ("cats", "line 1: not well-formed XML"),
        ("", "not well-formed XML"),
        ("<html/>", "begins with <html>; expected a TMX file"),
        (memory(head='<!DOCTYPE tmx [\n<!ENTITY a "aaa">]>'), "line 2: declares an entity; remove"),
        (memory(head='<!DOCTYPE tmx [<!ENTITY a SYSTEM "file:///etc/passwd">]>'), "declares an entity"),
    ],
)
def test_files_that_are_no_tmx_are_refused(content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_translation_memory(content, "en", "ja")


def test_languages_without_codes_are_refused() -> None:
    with pytest.raises(ConfigError, match="named source and target; a TMX file needs codes"):
        read_translation_memory(memory(), "source", "target")
