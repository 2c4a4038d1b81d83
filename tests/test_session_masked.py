"""A gap that is filled gives the text that the model scored: the token with its own space, or with none."""

import pytest

from keifu.session.masked import MaskedModel
from keifu.tasks.masked_lm import MASK
from keifu.text import READING_TOKENS, Tokenizer

TEXT = "I like cats, dogs and horses. She likes the unlikely ones."


@pytest.mark.parametrize("kind", ["character", "word", "wordpiece", "bpe", "byte-bpe", "unigram"])
def test_a_token_stands_behind_a_text_as_in_a_text(kind: str) -> None:
    tokenizer = Tokenizer.train([TEXT], kind, 300, READING_TOKENS)
    model = object.__new__(MaskedModel)
    model.tokenizer = tokenizer
    ids = tokenizer.encode(TEXT)
    whole = tokenizer.decode(ids)
    for place in range(1, len(ids)):
        before, after = tokenizer.decode(ids[:place]), whole[len(tokenizer.decode(ids[: place + 1])) :]
        if before and not before.endswith(" "):  # where a space is a token of its own
            assert model._with(f"{before} {MASK}{after}", 0, ids[place]) == whole
    assert model._with(f"{MASK} like", 0, ids[0]).startswith(tokenizer.decode(ids[:1]))
    assert model._with(f"{MASK} like {MASK}", 1, ids[-1]).startswith(f"{MASK} like")
