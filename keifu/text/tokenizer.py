"""Text to token ids and back, in six kinds that share four special tokens.

    character   one token a character; the rarest ones, beyond the vocabulary, are [UNK]
    word        one token a word or sign, with the space before it; the rarest ones are [UNK]
    bpe         pieces of words; a character outside the vocabulary is spelt by its UTF-8 bytes
    byte-bpe    pieces of words, all made of bytes
    wordpiece   pieces of words, longest first, "##" before those inside a word (Schuster and Nakajima 2012); a word
                with a character outside the vocabulary is [UNK]
    unigram     the likeliest pieces (Kudo 2018, arXiv:1804.10959), in Japanese across its scripts; a character outside
                the vocabulary is spelt by its UTF-8 bytes

`decode(encode(text)) == text` for every text with `bpe`, `byte-bpe` and `unigram`, and with the others where
nothing is [UNK]. A tokenizer of models that read texts and pairs has three more special tokens, [CLS], [SEP] and
[MASK]. Everything stands in one `tokenizer.json` of the `tokenizers` library, which reads it
without this package. One thing that file cannot say: here "[EOS]" typed in a text is ordinary text,
never the special token.
"""

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

from keifu.errors import CheckpointError, ConfigError, DataError
from keifu.text.segmentation import NO_SPACE_AT_START, SUBWORDS, UNIGRAMS, WORD_PIECES, WORDS

KINDS = ("character", "word", "bpe", "byte-bpe", "wordpiece", "unigram")
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[BOS]", "[EOS]")  # ids 0, 1, 2, 3
READING_TOKENS = (*SPECIAL_TOKENS, "[CLS]", "[SEP]", "[MASK]")  # and 4, 5, 6

_BYTE_TOKENS = tuple(f"<0x{byte:02X}>" for byte in range(256))
_SPELLS = ("bpe", "byte-bpe", "unigram")  # kinds that spell what they do not know by its bytes
_SEGMENTS = {"word": WORDS, "wordpiece": WORD_PIECES, "unigram": UNIGRAMS}
_INSIDE = "##"  # marks a piece inside a word
_LONGEST_PIECE = 32  # characters (bytes with byte-bpe) that merges may join; keeps rules of "=====" out
_LONGEST_UNIGRAM = 16
_STEP = 1e-4  # between the scores of characters that the library's unigram trainer keeps without need
_FEWEST_PAIRS = 2  # a pair seen once teaches nothing

_Vocabulary = dict[str, int]
_Merges = list[tuple[str, str]]


class _Learned(NamedTuple):
    """What training finds. scores: of the tokens of a unigram tokenizer, by id."""

    vocabulary: _Vocabulary
    merges: _Merges = []  # noqa: RUF012 - never changed
    scores: tuple[float, ...] = ()


class Encoding(NamedTuple):
    """Token ids, and for each the range of characters `text[start:end]` that it stands for in the text given.

    The space that belongs to a word's token is left out of its range. Tokens that are bytes of one
    character share its range. The space added before the first word, where it is a token of its own,
    has the range of the first character.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]


class Tokenizer:
    """Turns text into token ids and back. Made by `train` or `load`."""

    pad_id, unk_id, bos_id, eos_id = range(4)
    cls_id, sep_id, mask_id = range(4, 7)
    """Of a tokenizer that has them (`reads`)."""

    def __init__(self, kind: str, learned: _Learned, special: tuple[str, ...] = SPECIAL_TOKENS) -> None:
        self.kind, self.special = kind, special
        self._library = _assemble(kind, learned, special)
        _no_threads_after_fork()

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        kind: str = "bpe",
        vocab_size: int = 8000,
        special: tuple[str, ...] = SPECIAL_TOKENS,
    ) -> "Tokenizer":
        """Learns a vocabulary of at most `vocab_size` tokens, fewer where the texts do not hold that many.

        `texts` is read twice (an iterator is kept in memory for that). The same texts give the same
        file, byte for byte. special: SPECIAL_TOKENS or READING_TOKENS. Raises ConfigError for an unknown kind or a
        vocabulary too small, DataError where there is no text.
        """
        assert not isinstance(texts, str), "texts is a collection of texts, not one text"
        _check_request(kind, vocab_size, special)
        if iter(texts) is texts:
            texts = list(texts)
        characters = _count_characters(texts)
        room = vocab_size - len(special)  # for all that is learned
        if kind == "character":
            learned = _Learned(dict(_numbered([*special, *_most_frequent(characters, room)])))
        elif kind == "word":
            trainer = trainers.WordLevelTrainer(
                vocab_size=vocab_size, special_tokens=list(special), show_progress=False
            )
            learned = _learn(texts, kind, trainer)
        elif kind == "bpe":
            learned = _learn_pieces(texts, characters, vocab_size, special)
        elif kind == "byte-bpe":
            alphabet = pre_tokenizers.ByteLevel.alphabet()
            learned = _learn(texts, kind, _merge_trainer(vocab_size, list(special), alphabet))
        elif kind == "wordpiece":
            learned = _learn_word_pieces(texts, characters, vocab_size, special)
        else:
            learned = _learn_unigrams(texts, characters, vocab_size, special)
        return cls(kind, learned, special)

    @classmethod
    def load(cls, path: str | Path) -> "Tokenizer":
        """Reads a file that `save` wrote. Raises CheckpointError where it is missing, damaged or foreign."""
        try:
            content = json.loads(Path(path).read_text("utf-8"))
        except FileNotFoundError:
            raise CheckpointError(f"{path}: no such file; expected a trained model's tokenizer.json") from None
        except OSError as error:
            raise CheckpointError(f"{path}: not readable ({error.strerror})") from None
        except (ValueError, RecursionError):
            raise _damaged(path, "it is not JSON text") from None
        return cls(*_parse(content, path))

    def to_json(self) -> str:
        """The content of tokenizer.json."""
        return str(self._library.to_str())

    def save(self, path: str | Path) -> None:
        """Writes the file `path`, usually named tokenizer.json."""
        Path(path).write_text(self.to_json(), encoding="utf-8")

    def __reduce__(self) -> tuple[Any, ...]:
        """Lets a tokenizer be copied and sent to other processes."""
        return Tokenizer, (self.kind, _learned(self._library), self.special)

    @property
    def vocab_size(self) -> int:
        """The number of token ids, special tokens included."""
        return int(self._library.get_vocab_size())

    @property
    def reads(self) -> bool:
        """Whether it has [CLS], [SEP] and [MASK]."""
        return self.special == READING_TOKENS

    @cached_property
    def unknown_ids(self) -> frozenset[int]:
        """The tokens that stand for something outside the vocabulary: [UNK], and with bpe and unigram the bytes. With
        byte-bpe, which knows every text, they do not occur.
        """
        spelling = map(self._library.token_to_id, _BYTE_TOKENS) if self.kind in ("bpe", "unigram") else ()
        return frozenset({self.unk_id, *spelling})

    @property
    def unknown_are(self) -> str:
        """What the `unknown_ids` of a text are called: "[UNK]", "bytes" or "none"."""
        return {"bpe": "bytes", "unigram": "bytes", "byte-bpe": "none"}.get(self.kind, "[UNK]")

    def encode(self, text: str) -> list[int]:
        """The text's token ids, no special token added. Raises DataError for a text that is not Unicode."""
        return list(self._read(text).ids)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` for each, by several threads."""
        try:
            return [encoding.ids for encoding in self._library.encode_batch_fast(list(texts))]
        except TypeError:
            _check_unicode(texts)
            raise

    def encode_with_offsets(self, text: str) -> Encoding:
        """The token ids with the characters that each stands for. Raises DataError as `encode` does."""
        encoding = self._read(text)
        return Encoding(encoding.ids, [_visible_range(text, *offset) for offset in encoding.offsets])

    def _read(self, text: str) -> tokenizers.Encoding:
        try:
            return self._library.encode(text)
        except TypeError:
            _check_unicode([text])
            raise

    def decode(self, ids: Sequence[int]) -> str:
        """The text that the ids spell, special tokens dropped.

        One space at the start is taken to be the one that `encode` adds. Bytes that form no character give
        U+FFFD.
        """
        return str(self._library.decode(list(ids)))

    def decode_batch(self, batch: Iterable[Sequence[int]]) -> list[str]:
        """`decode` for each."""
        return list(self._library.decode_batch([list(ids) for ids in batch]))

    def goes_on(self, id: int) -> bool:
        """Whether a token stands inside a word, right behind the one before it."""
        return self.kind == "wordpiece" and str(self._library.id_to_token(id)).startswith(_INSIDE)

    def token(self, id: int) -> str:
        r"""One token as a label for pictures: " cats" with its space, "<0xE3>" for a byte, "[EOS]", "\n".

        Raises IndexError for an id outside the vocabulary.
        """
        token = self._library.id_to_token(id) if id >= 0 else None
        if token is None:
            raise IndexError(f"token id {id} is outside 0 to {self.vocab_size - 1}")
        if self.kind == "byte-bpe" and id >= len(self.special):
            token = _spell(bytes(_byte_of_sign()[sign] for sign in token))
        return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in token)


# The library's tokenizer of each kind


def _assemble(kind: str, learned: _Learned, special: tuple[str, ...]) -> tokenizers.Tokenizer:
    """What every tokenizer in use is made by, so that a trained and a loaded one cannot differ."""
    library = tokenizers.Tokenizer(_model(kind, learned))
    if kind == "character":
        library.decoder = decoders.Fuse()
    else:
        library.normalizer = _space_at_start()
        library.pre_tokenizer = _segmentation(kind)
        library.decoder = decoders.Sequence([*_joining(kind), decoders.Strip(" ", 1, 0)])
    library.add_special_tokens(list(special))
    library.encode_special_tokens = True  # read special tokens in a text as text; no file keeps this
    return library


def _model(kind: str, learned: _Learned) -> models.Model:
    vocabulary, merges, scores = learned
    if kind == "word":
        return models.WordLevel(vocabulary, unk_token="[UNK]")
    if kind == "byte-bpe":
        return models.BPE(vocabulary, merges)
    if kind == "wordpiece":
        return models.WordPiece(vocabulary, unk_token="[UNK]", continuing_subword_prefix=_INSIDE)
    if kind == "unigram":
        return models.Unigram(list(zip(vocabulary, scores, strict=True)), Tokenizer.unk_id, byte_fallback=True)
    # A BPE without merges leaves every character alone, three times as fast as a cut at every character.
    return models.BPE(vocabulary, merges, unk_token="[UNK]", byte_fallback=kind == "bpe")


def _space_at_start() -> normalizers.Normalizer:
    # One Replace of an empty match would do, but it leaves offsets on which the library panics.
    return normalizers.Sequence([normalizers.Prepend(" "), normalizers.Replace(Regex(NO_SPACE_AT_START), "")])


def _segmentation(kind: str) -> pre_tokenizers.PreTokenizer:
    split = pre_tokenizers.Split(Regex(_SEGMENTS.get(kind, SUBWORDS)), "isolated")
    if kind != "byte-bpe":
        return split
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([split, to_bytes])


def _joining(kind: str) -> list[decoders.Decoder]:
    """The decoders that make one text of a kind's tokens."""
    if kind == "byte-bpe":
        return [decoders.ByteLevel()]
    if kind == "wordpiece":
        return [decoders.Replace(Regex(rf"\A{_INSIDE}"), ""), decoders.Fuse()]
    return [decoders.ByteFallback(), decoders.Fuse()] if kind in _SPELLS else [decoders.Fuse()]


def _learned(library: tokenizers.Tokenizer) -> _Learned:
    return _as_learned(json.loads(library.to_str())["model"])


def _as_learned(model: dict[str, Any]) -> _Learned:
    """What was learned, from the model's part of a tokenizer.json; raises LookupError, TypeError or ValueError."""
    vocabulary = model["vocab"]
    if isinstance(vocabulary, list):
        tokens = [token for token, _ in vocabulary]
        return _Learned(dict(_numbered(tokens)), [], tuple(score for _, score in vocabulary))
    return _Learned(vocabulary, [(left, right) for left, right in model.get("merges", [])])


# Training


def _check_request(kind: str, vocab_size: int, special: tuple[str, ...]) -> None:
    if kind not in KINDS:
        raise ConfigError(f"tokenizer kind {kind!r} is not known; choose one of {', '.join(KINDS)}")
    # The fewest tokens that are of use: the special ones and one more, or the special ones and every byte.
    smallest = len(special) + (256 if kind in _SPELLS else 1)
    if vocab_size < smallest:
        others = "256 bytes" if kind in _SPELLS else "at least one other"
        found = f"vocab_size {vocab_size} is too small for a {kind} tokenizer"
        raise ConfigError(f"{found}: {len(special)} special tokens and {others} make {smallest}; raise vocab_size")


def _count_characters(texts: Iterable[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    if not counts:
        raise DataError("no text to train a tokenizer on; expected at least one character; check the data")
    if any(_is_surrogate(character) for character in counts):
        _check_unicode(texts)
    return counts


def _most_frequent(counts: Counter[str], limit: int) -> list[str]:
    """The `limit` most frequent characters; of equally frequent ones the lower code point comes first."""
    return sorted(counts, key=lambda character: (-counts[character], character))[:limit]


def _learn_pieces(texts: Iterable[str], counts: Counter[str], vocab_size: int, special: tuple[str, ...]) -> _Learned:
    known = [*special, *_BYTE_TOKENS]
    return _learn(texts, "bpe", _merge_trainer(vocab_size, known, _alphabet(counts, vocab_size - len(known))))


def _learn_word_pieces(
    texts: Iterable[str], counts: Counter[str], vocab_size: int, special: tuple[str, ...]
) -> _Learned:
    """Pieces by merges, as everyone learns them since the learner of the paper was never published. A character takes
    two tokens, at the beginning of a word and inside; both together take half of the room at most.
    """
    alphabet = _alphabet(counts, (vocab_size - len(special)) // 2) or [*_most_frequent(counts, 1)]
    # Numbered here: left to itself the library numbers the second ones as it comes upon them, which is by chance.
    inside = [f"{_INSIDE}{character}" for character in alphabet if character != " "]
    room = vocab_size - len(special) - len(alphabet)
    trainer = _merge_trainer(vocab_size, [*special, *inside[:room]], alphabet, continuing_subword_prefix=_INSIDE)
    library = _assemble("wordpiece", _Learned(dict(_numbered(special))), special)
    library.model = models.BPE(continuing_subword_prefix=_INSIDE)
    library.train_from_iterator(texts, trainer)
    return _Learned(_learned(library).vocabulary)


def _learn_unigrams(texts: Iterable[str], counts: Counter[str], vocab_size: int, special: tuple[str, ...]) -> _Learned:
    known = [*special, *_BYTE_TOKENS]
    alphabet = set(_alphabet(counts, vocab_size - len(known)))
    rare = {ord(character): "\n" for character in counts if character not in alphabet}  # the library would keep them
    trainer = trainers.UnigramTrainer(
        vocab_size=vocab_size,
        special_tokens=known,
        unk_token="[UNK]",
        max_piece_length=_LONGEST_UNIGRAM,
        show_progress=False,
    )
    learned = _learn([text.translate(rare) for text in texts], "unigram", trainer)
    return _in_one_order(learned, len(known), vocab_size)


def _in_one_order(learned: _Learned, known: int, most: int) -> _Learned:
    """At most so many tokens, those after the first `known` by their scores, likeliest first.

    The library's sums are made by several threads and differ in their last digits, and characters that it keeps
    although no piece needs them get scores near the lowest in an order by chance: here they share the lowest.
    """
    tokens, scores = list(learned.vocabulary), learned.scores
    pieces = [(token, score) for token, score in zip(tokens[known:], scores[known:], strict=True) if token != "\n"]
    lowest = min((score for _, score in pieces), default=0.0)
    near = lowest + _STEP * sum(len(token) == 1 for token, _ in pieces)
    shared = [(token, lowest if len(token) == 1 and score <= near else score) for token, score in pieces]
    ranked = sorted((-round(score, 4), token) for token, score in shared)[: most - known]
    vocabulary = dict(_numbered([*tokens[:known], *(token for _, token in ranked)]))
    return _Learned(vocabulary, [], (*scores[:known], *(-score for score, _ in ranked)))


def _alphabet(counts: Counter[str], room: int) -> list[str]:
    """The characters that get a token of their own; the others are spelt by bytes.

    They take half of the room at most, and merges the other half: measured on a Japanese novel with
    4,000 tokens, half gives the fewest tokens a line, and with 8,000 tokens 2,500 different kanji all
    fit. The space, which `encode` puts before texts, always counts among them.
    """
    letters = Counter({character: count for character, count in counts.items() if character != " "})
    return [" ", *_most_frequent(letters, room // 2)][: room // 2]


def _merge_trainer(vocab_size: int, special: list[str], alphabet: list[str], **more: str) -> trainers.BpeTrainer:
    return trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=special,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),  # left to choose, the library drops equally rare characters at random
        min_frequency=_FEWEST_PAIRS,
        max_token_length=_LONGEST_PIECE,
        show_progress=False,
        **more,
    )


def _learn(texts: Iterable[str], kind: str, trainer: trainers.Trainer) -> _Learned:
    library = _assemble(kind, _empty(kind, SPECIAL_TOKENS), SPECIAL_TOKENS)
    library.train_from_iterator(texts, trainer)
    return _learned(library)


def _empty(kind: str, special: tuple[str, ...]) -> _Learned:
    """Nothing but the special tokens."""
    return _Learned(dict(_numbered(special)), [], (0.0,) * len(special) if kind == "unigram" else ())


# Reading a file. Nothing unchecked reaches the library: on some damaged files it aborts the whole process.


def _parse(content: Any, path: str | Path) -> tuple[str, _Learned, tuple[str, ...]]:
    """Kind, what was learned, and special tokens of a tokenizer.json; raises CheckpointError."""
    try:
        makes = ((kind, special) for kind in KINDS for special in (SPECIAL_TOKENS, READING_TOKENS))
        found = next((make for make in makes if _has_settings_of(*make, content)), None)
        if found is None:
            expected = f"a {', '.join(KINDS[:-1])} or {KINDS[-1]} tokenizer that keifu trained"
            raise CheckpointError(f"{path}: a tokenizer of another make; expected {expected}")
        kind, special = found
        learned = _as_learned(content["model"])
        complete = _is_complete(kind, learned, special)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise _damaged(path, "parts are missing") from None
    if not complete:
        raise _damaged(path, "the vocabulary is not complete")
    return kind, learned, special


def _has_settings_of(kind: str, special: tuple[str, ...], content: dict[str, Any]) -> bool:
    expected, model = _settings(kind), content["model"]
    # A setting of the model that only one side knows comes from another version of the library.
    common = expected["model"].keys() & model.keys() - {"vocab", "merges"}
    return (
        "type" in common
        and all(model[name] == expected["model"][name] for name in common)
        and all(content[part] == expected[part] for part in ("normalizer", "pre_tokenizer", "decoder"))
        and [(token["content"], token["id"]) for token in content["added_tokens"]] == _numbered(special)
    )


@cache
def _settings(kind: str) -> dict[str, Any]:
    """What the file of this kind holds apart from what was learned."""
    empty = _assemble(kind, _empty(kind, SPECIAL_TOKENS), SPECIAL_TOKENS)
    settings: dict[str, Any] = json.loads(empty.to_str())
    return settings


def _is_complete(kind: str, learned: _Learned, special: tuple[str, ...]) -> bool:
    """Whether ids have no gaps, special tokens and bytes are there, and merges make the other tokens.

    Raises TypeError, ValueError or AttributeError for parts that are of another type.
    """
    vocabulary, merges, scores = learned
    basic = {"bpe": _BYTE_TOKENS, "byte-bpe": tuple(_byte_of_sign()), "unigram": _BYTE_TOKENS}.get(kind, ())
    merged = {left + right for left, right in merges}
    made = {token for token in vocabulary if len(token) > 1} - {*basic, *special}
    return (
        all(type(id) is int for id in vocabulary.values())
        and sorted(vocabulary.values()) == list(range(len(vocabulary)))
        and all(vocabulary.get(token) == id for token, id in _numbered(special))
        and vocabulary.keys() >= {*basic, *(part for pair in merges for part in pair)}
        and (kind not in ("character", "bpe", "byte-bpe") or merged == made)
        and (kind != "unigram" or ("" not in vocabulary and len(scores) == len(vocabulary) and _are_numbers(scores)))
        and not any(_is_surrogate(sign) for token in vocabulary for sign in token)
    )


def _are_numbers(scores: Iterable[Any]) -> bool:
    return all(isinstance(score, float) and math.isfinite(score) for score in scores)


def _damaged(path: str | Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{path}: damaged, {reason}; copy the tokenizer.json again or train anew")


# Small parts


def _numbered(tokens: Iterable[str]) -> list[tuple[str, int]]:
    return [(token, id) for id, token in enumerate(tokens)]


def _visible_range(text: str, start: int, end: int) -> tuple[int, int]:
    """The range without the spaces that lead it, unless it holds nothing but white space."""
    piece = text[start:end]
    return (end - len(piece.lstrip(" ")) if piece.strip() else start), end


def _is_surrogate(sign: str) -> bool:
    return "\ud800" <= sign <= "\udfff"


def _check_unicode(texts: Iterable[str]) -> None:
    """Raises DataError for the first text that holds half of a surrogate pair, as undecodable input does."""
    for text in texts:
        for position, sign in enumerate(text):
            if _is_surrogate(sign):
                place = f"at character {position + 1} of the text that begins {text[:20]!r}"
                raise DataError(f"not valid Unicode {place}; expected UTF-8; convert the input to UTF-8")


def _spell(piece: bytes) -> str:
    """Whole characters as they are, other bytes as "<0xE3>"."""
    signs = piece.decode("utf-8", "surrogateescape")
    return "".join(_BYTE_TOKENS[ord(sign) - 0xDC00] if _is_surrogate(sign) else sign for sign in signs)


@cache
def _byte_of_sign() -> dict[str, int]:
    """The byte that each sign of the byte-level alphabet stands for.

    Bytes that are printable in Latin-1 are their own signs; the others, in order, have those from U+0100 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


@cache
def _no_threads_after_fork() -> None:
    """Lets the library use threads here but not in a forked child, which has none of them.

    There it would wait for them without end, or warn. An environment variable, set around each fork,
    prevents both.
    """
    if not hasattr(os, "register_at_fork"):
        return
    name = "TOKENIZERS_PARALLELISM"
    saved: list[str | None] = []

    def before() -> None:
        saved.append(os.environ.get(name))
        os.environ[name] = "false"

    def after_in_parent() -> None:
        value = saved.pop()
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value

    os.register_at_fork(before=before, after_in_parent=after_in_parent)
