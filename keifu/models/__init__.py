"""The family tree: every architecture, in order of descent, with where it comes from and what it added."""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType


@dataclass(frozen=True)
class Ancestor:
    """One entry of the lineage. `module` and `cls` name its class; nothing is imported until `architecture` is
    called.
    """

    name: str
    module: str
    cls: str
    year: int
    paper: str
    added: str
    tasks: tuple[str, ...]


LINEAGE: dict[str, Ancestor] = {
    ancestor.name: ancestor
    for ancestor in (
        Ancestor(
            "transformer",
            "keifu.models.transformer",
            "Transformer",
            2017,
            "Vaswani et al., Attention Is All You Need",
            "attention replaces recurrence in encoder and decoder; several heads; positions added to tokens",
            ("translation",),
        ),
    )
}


def architecture(name: str) -> ModuleType:
    """The module of a lineage entry: its `Config`, its `PRESETS` and its class."""
    return import_module(LINEAGE[name].module)
