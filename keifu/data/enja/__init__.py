"""The built-in English-Japanese corpus: pairs that a bilingual grammar writes, with the alignment of their words."""

from keifu.data.enja.corpus import SIZES, counts, demonstrations, generate
from keifu.data.enja.verbs import held_out

__all__ = ["SIZES", "counts", "demonstrations", "generate", "held_out"]
