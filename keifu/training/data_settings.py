"""The data section of a run's settings, one for each kind of data: what is learned from, and how it is read."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from keifu.config import Schema
from keifu.text import READING_TOKENS, SPECIAL_TOKENS

Kind = Literal["bpe", "byte-bpe", "wordpiece", "unigram", "word", "character"]


def _listed(names: Any) -> Any:
    """Names given as one text with commas, as a list."""
    if isinstance(names, str):
        return tuple(name.strip() for name in names.split(",")) if names.strip() else ()
    return names


Columns = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class Data(Schema):
    """What is learned from, and how text becomes tokens."""

    special_tokens: ClassVar = SPECIAL_TOKENS

    train: str = ""
    """The data: two aligned files (train.en,train.ja), one file with both sides (corpus.tsv), a set by name (enja)."""

    valid: str | None = None
    """Data on which the best checkpoint is chosen. Empty: a named set's dev part, or the last 5 % (at most 2,000
    pairs).
    """

    source: str | None = None
    """Language to translate from, as the data names it. Empty: the first of the two."""

    target: str | None = None
    """Language to translate into."""

    columns: Columns = ()
    """Names of a table's columns, in order, where its header does not say; or which two of them to use."""

    encoding: str = "utf-8"
    """How text files are encoded, such as cp932, shift_jis, euc_jp, cp1252 or latin-1."""

    tokenizer: Kind = "bpe"
    """How text is cut: pieces of words with bytes as a last resort (bpe, unigram), pieces of bytes (byte-bpe), the
    pieces of BERT (wordpiece), words, or characters.
    """

    vocab_size: int = Field(8000, ge=5, le=2_000_000)
    """Most tokens the tokenizer may learn; both languages share them."""

    max_tokens: int = Field(256, ge=1)
    """Training pairs with more tokens on a side (or more than model.max_length, or than half of it where a model reads
    source and translation as one text) are left out, and counted.
    """

    probes: str | None = None
    """Data of whose first 4 pairs the attention is kept at up to 64 steps along training, and of whose first 64 the
    alignment error, where their words' alignment is known (builtin:enja:dev). Empty: nothing is kept.
    """


class TextData(Schema):
    """What a language model learns from, and how text becomes tokens."""

    special_tokens: ClassVar = SPECIAL_TOKENS

    train: str = ""
    """The data: a text file, a table with a column of texts, or a set by name (shakespeare)."""

    valid: str | None = None
    """Data on which the best checkpoint is chosen. Empty: a named set's dev part, or the last 5 % of the text (at most
    2,000 documents or 100,000 characters).
    """

    columns: Columns = ()
    """The column of a table that holds the texts. Empty: the one called text."""

    encoding: str = "utf-8"
    """How text files are encoded, such as cp932, shift_jis, euc_jp, cp1252 or latin-1."""

    reading: Literal["documents", "stream"] | None = None
    """How the text is read: every line a document with a beginning and an end, or all as one long text, line breaks
    included. Empty: as documents where there are several lines and no blank one between them.
    """

    tokenizer: Kind = "bpe"
    """How text is cut: pieces of words with bytes as a last resort (bpe, unigram), pieces of bytes (byte-bpe), the
    pieces of BERT (wordpiece), words, or characters.
    """

    vocab_size: int = Field(8000, ge=5, le=2_000_000)
    """Most tokens the tokenizer may learn."""

    window: int | None = Field(None, ge=1, le=1_000_000)
    """Tokens of a stream that are read together, training.batch_tokens / window such windows in a batch. A recurrent
    network remembers what was before (128 where this is empty; gradients go no further back); to a model with a
    model.max_length, which is then the window's, each stands for itself.
    """

    max_tokens: int | None = Field(None, ge=1, le=1_000_000)
    """Documents with more tokens are read in parts of this length: 256 without a number, where a model remembers what
    was before. Others take model.max_length, so that they learn every place in it.
    """

    packed: bool | None = None
    """Documents one after another, each from [BOS] to [EOS], as one stream whose windows are cut anywhere: nothing is
    padded, and what is read goes across their borders. Empty: where they are larger than memory.
    """

    probes: str | None = None
    """Text of whose first 4 lines the attention is kept at up to 64 steps along training. Empty: nothing is kept."""


class PassageData(Schema):
    """What a model is pre-trained on, and how text becomes tokens."""

    special_tokens: ClassVar = READING_TOKENS

    train: str = ""
    """The data: a text file, a table with a column of texts, or a set by name (neko)."""

    valid: str | None = None
    """Data on which the best checkpoint is chosen. Empty: a named set's dev part, or the last 5 % of the text (at most
    2,000 documents or 100,000 characters).
    """

    columns: Columns = ()
    """The column of a table that holds the texts. Empty: the one called text."""

    encoding: str = "utf-8"
    """How text files are encoded, such as cp932, shift_jis, euc_jp, cp1252 or latin-1."""

    reading: Literal["documents", "stream"] | None = None
    """How the text is read: every line a document, or the lines between two blank ones. Empty: as documents where there
    are several lines and no blank one between them.
    """

    tokenizer: Kind = "wordpiece"
    """How text is cut: pieces of words with bytes as a last resort (bpe, unigram), pieces of bytes (byte-bpe), the
    pieces of BERT (wordpiece), words, or characters.
    """

    vocab_size: int = Field(8000, ge=8, le=2_000_000)
    """Most tokens the tokenizer may learn."""

    max_tokens: int = Field(48, ge=8, le=1_000_000)
    """Tokens of a sequence, [CLS] and [SEP] included: as many whole sentences as fit. From short ones a model finds
    sooner what stands beside a gap; a large corpus may take 128 or more.
    """


class LabelledData(Schema):
    """What a classifier learns from, and how text becomes tokens."""

    special_tokens: ClassVar = READING_TOKENS

    train: str = ""
    """The data: a file with a text, a TAB and its class a line, or two texts and their class; a table; or a set by name
    (sst2).
    """

    valid: str | None = None
    """Data on which the best checkpoint is chosen. Empty: a named set's dev part, or the last 5 % (at most 2,000)."""

    columns: Columns = ()
    """Names of a table's columns, in order, where its header does not say; or those of the texts and of the class."""

    encoding: str = "utf-8"
    """How text files are encoded, such as cp932, shift_jis, euc_jp, cp1252 or latin-1."""

    tokenizer: Kind = "bpe"
    """How text is cut: pieces of words with bytes as a last resort (bpe, unigram), pieces of bytes (byte-bpe), the
    pieces of BERT (wordpiece), words, or characters.
    """

    vocab_size: int = Field(8000, ge=8, le=2_000_000)
    """Most tokens the tokenizer may learn."""

    max_tokens: int = Field(256, ge=8, le=1_000_000)
    """Longer texts are cut to so many tokens, [CLS] and [SEP] included; of a pair, the longer text first."""


class TaggedData(Schema):
    """What a tagger learns from, and how words become tokens."""

    special_tokens: ClassVar = READING_TOKENS

    train: str = ""
    """The data: a file in CoNLL-U, or with a word, a TAB and its tag a line; or a set by name (ud-en)."""

    valid: str | None = None
    """Data on which the best checkpoint is chosen. Empty: a named set's dev part, or the last 5 % (at most 2,000)."""

    encoding: str = "utf-8"
    """How text files are encoded, such as cp932, shift_jis, euc_jp, cp1252 or latin-1."""

    tokenizer: Kind = "bpe"
    """How words are cut: pieces of words with bytes as a last resort (bpe, unigram), pieces of bytes (byte-bpe), the
    pieces of BERT (wordpiece), words, or characters.
    """

    vocab_size: int = Field(8000, ge=8, le=2_000_000)
    """Most tokens the tokenizer may learn."""

    max_tokens: int = Field(256, ge=8, le=1_000_000)
    """Longer sentences are cut to so many tokens, [CLS] and [SEP] included."""


class StoryData(Schema):
    """What is learned from: questions on stories; and how text becomes tokens."""

    special_tokens: ClassVar = SPECIAL_TOKENS

    train: str = ""
    """The data: a file of bAbI's text, JSON lines of stories, or a set by name (babi-1, builtin:stories)."""

    valid: str | None = None
    """Data on which the best checkpoint is chosen. Empty: a named set's dev part, or about the last 5 % (2,000
    questions), from where a story begins.
    """

    encoding: str = "utf-8"
    """How text files are encoded, such as cp932, shift_jis, euc_jp, cp1252 or latin-1."""

    tokenizer: Kind = "word"
    """How text is cut: pieces of words with bytes as a last resort (bpe, unigram), pieces of bytes (byte-bpe), the
    pieces of BERT (wordpiece), words, or characters.
    """

    vocab_size: int = Field(8000, ge=5, le=2_000_000)
    """Most tokens the tokenizer may learn."""

    max_facts: int = Field(256, ge=1, le=1_000_000)
    """Facts of a story that are read, at most (by a memory network, at most model.max_length): the latest."""


class PictureData(Schema):
    """What is learned from: pictures."""

    special_tokens: ClassVar = ()

    train: str = ""
    """The data: a folder with a folder of PNG or JPEG files for each class, or a set by name (digits)."""

    valid: str | None = None
    """Data on which the best checkpoint is chosen. Empty: a named set's dev part, or 5 % of the pictures (at most
    2,000), chosen by their names.
    """

    height: int | None = Field(None, ge=1, le=4096)
    """Height in pixels to which pictures are brought. Empty: their own, or 32 where they differ."""

    width: int | None = Field(None, ge=1, le=4096)
    """Width in pixels. Empty: their own, or 32 where they differ."""

    colour: bool | None = None
    """Whether colours are seen. Empty: where there are any."""

    @model_validator(mode="after")
    def _both_sides(self) -> "PictureData":
        if (self.height is None) != (self.width is None):
            raise ValueError("height and width go together; give both or neither")
        return self
