"""Text to token ids and back: characters, words, pieces of words."""

from keifu.text.tokenizer import KINDS, READING_TOKENS, SPECIAL_TOKENS, Encoding, Tokenizer

__all__ = ["KINDS", "READING_TOKENS", "SPECIAL_TOKENS", "Encoding", "Tokenizer"]
