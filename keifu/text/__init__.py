"""Text to token ids and back: characters, words, byte-pair pieces."""

from keifu.text.tokenizer import KINDS, SPECIAL_TOKENS, Encoding, Tokenizer

__all__ = ["KINDS", "SPECIAL_TOKENS", "Encoding", "Tokenizer"]
