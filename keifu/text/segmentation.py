r"""Where a text is cut before a vocabulary is applied: regular expressions in Oniguruma's syntax.

A cut is made wherever the kind of character changes (kanji, hiragana, katakana, other letters, digits,
symbols, white space), so Japanese written without spaces is cut without an analyser. One space stays
with the piece that follows it: the pieces of a text, joined, are the text itself.

    "I like cats."      -> "I", " like", " cats", "."
    "私は猫が好きです。"  -> "私", "は", "猫", "が", "好", "きです", "。"

Every run is bounded. A line of Japanese has no spaces, and without a bound it would be one single word.
Training a BPE on such words costs time and memory for every character of the corpus, not for every
different piece: 3,000 lines of 2,000 characters took 33 s and 0.9 GB in place of 4 s and 0.4 GB.
Symbols never share a piece with letters, so that no learned piece can spell a byte token ("<0xE3>") or
a special token ("[EOS]").
"""

# Signs that lengthen or voice a kana and belong to no script: ー ｰ ゛ ゜ ﾞ ﾟ and the two combining forms.
_KANA_SIGNS = r"ーｰ゛゜ﾞﾟ\x{3099}\x{309A}"
_JAPANESE = rf"\p{{Han}}\p{{Hiragana}}\p{{Katakana}}{_KANA_SIGNS}"


def _scripts(han: int, kana: int) -> tuple[str, ...]:
    """Japanese cut between its scripts."""
    return (
        rf" ?\p{{Han}}{{1,{han}}}",
        rf" ?\p{{Hiragana}}[\p{{Hiragana}}{_KANA_SIGNS}]{{0,{kana - 1}}}",
        rf" ?[\p{{Katakana}}{_KANA_SIGNS}]{{1,{kana}}}",
    )


def _pattern(japanese: tuple[str, ...], letters: int, digits: int, symbols: int) -> str:
    """The segmentation with the longest run, in characters, that each kind of character may form."""
    letter = rf"\p{{L}}&&[^{_JAPANESE}]"
    return "|".join(
        (
            r" ?['’](?:[dmst]|ll|re|ve)(?!\p{L})",  # the second half of "don't" and "we'll"
            *japanese,
            rf" ?[{letter}](?:[{letter}]|\p{{M}}){{0,{letters - 1}}}",
            rf" ?\p{{N}}{{1,{digits}}}",
            rf" ?[^\s\p{{L}}\p{{N}}]{{1,{symbols}}}",
            r"\s{1,16}(?!\S)",  # leaves the last space of a run to the word after it
            r"\s{1,16}",
        )
    )


WORDS = _pattern(_scripts(han=100, kana=100), letters=100, digits=100, symbols=1)
SUBWORDS = _pattern(_scripts(han=8, kana=16), letters=40, digits=3, symbols=8)
# Signs one by one, so that no run of them is taken for the "##" that marks the inside of a word.
WORD_PIECES = _pattern(_scripts(han=8, kana=16), letters=24, digits=3, symbols=1)
# Japanese whole, from sign to sign: pieces may join scripts, as in 食べる.
UNIGRAMS = _pattern((rf" ?[{_JAPANESE}]{{1,64}}",), letters=40, digits=3, symbols=8)

# One space is put before every text, so that its first word is the same piece as inside a sentence, and
# taken away again where this matches: before Japanese letters and punctuation (「 、 full-width forms),
# line ends and tabs. A text that begins with a space keeps the second one, so that taking one space
# away always gives the text back. `\A`, because `^` would match at the start of every line.
NO_SPACE_AT_START = rf"\A (?=[{_JAPANESE}\x{{3000}}-\x{{303F}}\x{{FF00}}-\x{{FFEF}}]|[\s&&[^ ]])"
