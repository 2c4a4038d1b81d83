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
        # By year. Gers et al. gave the LSTM its forget gate in 2000; nobody uses it without.
        Ancestor(
            "rnn",
            "keifu.models.recurrent",
            "RecurrentNetwork",
            1990,
            "Elman, Finding Structure in Time",
            "a state handed on along the sequence, so that what was read before counts, however long ago",
            ("language-modeling",),
        ),
        Ancestor(
            "lstm",
            "keifu.models.recurrent",
            "RecurrentNetwork",
            1997,
            "Hochreiter and Schmidhuber, Long Short-Term Memory; forget gate: Gers et al. 2000",
            "a cell beside the state, and gates that say what enters it, stays and is shown: it remembers for longer",
            ("language-modeling",),
        ),
        Ancestor(
            "gru",
            "keifu.models.recurrent",
            "RecurrentNetwork",
            2014,
            "Cho et al., Learning Phrase Representations using RNN Encoder-Decoder",
            "two gates and no cell: an LSTM made simpler",
            ("language-modeling",),
        ),
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
