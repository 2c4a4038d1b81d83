"""A long text that is encoded piece by piece has the tokens that it has as a whole."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keifu.text import Tokenizer
from keifu.text import running as module
from keifu.text.running import pieces
from keifu.text.tokenizer import KINDS

TEXT = "I've seen it, 3 cats’ tails.\n\n  Two  more\n「猫が好き。犬も！」と言った。コーヒー。ーだ\tEnd 🙂 é. "
TOKENIZERS = {kind: Tokenizer.train([TEXT * 3], kind, 330) for kind in KINDS}


@given(st.lists(st.sampled_from([*TEXT, "\n", " ", "猫。", "cats", "'s"]), max_size=120), st.integers(1, 12))
@pytest.mark.parametrize("kind", KINDS)
def test_tokens_of_pieces_are_those_of_the_whole(kind: str, signs: list[str], size: int) -> None:
    text, tokenizer = "".join(signs), TOKENIZERS[kind]
    blocks, rest = [], text
    rng = random.Random(size)
    while rest:
        cut = rng.randint(1, 9)
        blocks, rest = [*blocks, rest[:cut]], rest[cut:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", size)
        found = list(pieces(blocks, kind))
    assert [token for piece in found for token in tokenizer.encode(piece)] == tokenizer.encode(text)


def test_a_text_is_cut_where_it_can_be_and_at_last_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIECE", 10)
    monkeypatch.setattr(module, "_LONGEST", 40)
    assert list(pieces(["One line here\nand one more"], "bpe")) == ["One line here", "\nand one more"]
    assert list(pieces(["x" * 95], "bpe")) == ["x" * 40, "x" * 40, "x" * 15]
    assert list(pieces(["a" * 25], "character")) == ["a" * 10, "a" * 10, "a" * 5]
    assert list(pieces([], "bpe")) == []
