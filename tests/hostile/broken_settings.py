"""Sixty configurations that no training can use, and what is said of each.

A case is the content of s.yaml (None: no file), further arguments, what the message must hold, how many mistakes it
lists, and the exit code.
"""

from pathlib import Path
from typing import NamedTuple


class Case(NamedTuple):
    file: bytes | None
    arguments: tuple[str, ...]
    holds: tuple[str, ...]
    mistakes: int = 1
    code: int = 2

    @property
    def command(self) -> tuple[str, ...]:
        return ("train", "translation", "--data", "a.tsv", *self.arguments, "--out", "run")

    def lay_out(self, folder: Path) -> None:
        (folder / "a.tsv").write_text("".join(f"I see {n}.\t私は{n}を見る。\n" for n in range(9)), "utf-8")
        if self.file is not None:
            (folder / "s.yaml").write_bytes(self.file)


def yaml(text: str | bytes, *holds: str, mistakes: int = 1) -> Case:
    content = text.encode() if isinstance(text, str) else text
    return Case(content, ("--config", "s.yaml"), holds, mistakes)


def key(text: str, *holds: str) -> Case:
    """A mistake on line 2 of a file, below its section."""
    section, _, rest = text.partition(".")
    return yaml(f"{section}:\n  {rest}\n", "s.yaml:2", *holds)


def arguments(*given: str, holds: tuple[str, ...], code: int = 2) -> Case:
    return Case(None, given, holds, code=code)


FILES = {
    "empty": yaml("", "s.yaml", "empty"),
    "comments alone": yaml("# model:\n", "s.yaml", "empty"),
    "a list": yaml("- model\n", "s.yaml:1", "expected sections"),
    "a text": yaml("just text\n", "s.yaml:1", "expected sections"),
    "a tab": yaml("model:\n\td_model: 64\n", "s.yaml:2", "tab"),
    "a bracket that stays open": yaml("training:\n  betas: [0.9, 0.98\n", "s.yaml"),
    "a quote that stays open": yaml('data:\n  train: "a.tsv\n', "s.yaml"),
    "a second colon": yaml("data:\n  train: a: b\n", "s.yaml:2", "colon"),
    "wrong indentation": yaml("model:\n    d_model: 64\n  n_layers: 1\n", "s.yaml:3"),
    "a key twice": yaml("model:\n  d_model: 64\n  d_model: 32\n", "s.yaml:3", "line 2"),
    "a section twice": yaml("model:\n  d_model: 64\nmodel:\n  n_layers: 1\n", "s.yaml:3", "line 1"),
    "two documents": yaml("model:\n  d_model: 64\n---\nmodel: {}\n", "s.yaml", "document"),
    "an anchor and an alias": yaml("model: &m\n  d_model: 64\ndata: *m\n", "s.yaml"),
    "a tag that runs code": yaml("model: !!python/object/apply:os.system [ls]\n", "s.yaml:1", "tag"),
    "nested without end": yaml("model: " + "[" * 5000, "s.yaml"),
    "far too large": yaml("# " + "x" * 200_000, "s.yaml"),
    "in another encoding": yaml("data:\n  source: 日本\n".encode("cp932"), "s.yaml"),
    "a NUL": yaml("model:\n  d_model: 6\0\n", "s.yaml"),
    "a control character": yaml("data:\n  source: \x07\n", "s.yaml:2", "U+0007"),
}

KEYS = {
    "an unknown section": yaml("modell:\n  d_model: 64\n", "s.yaml:1", "did you mean model"),
    "a section without keys": yaml("model: 5\n", "s.yaml:1", "keys with values"),
    "a list for a section": yaml("training: [1, 2]\n", "s.yaml:1", "keys with values"),
    "a misspelt key of the model": key("model.dmodel: 64", "did you mean d_model"),
    "a misspelt key of the data": key("data.tokeniser: bpe", "did you mean tokenizer"),
    "a misspelt key of training": key("training.learning_rat: 0.1", "did you mean learning_rate"),
    "a misspelt key of decoding": key("decoding.beams: 3", "did you mean beam"),
    "a key in the wrong section": key("training.vocab_size: 500", "did you mean model.vocab_size or data.vocab_size"),
    "a text for an integer": key("model.d_model: wide", "an integer", "'wide'"),
    "a fraction for an integer": key("model.n_layers: 1.5", "an integer"),
    "true for an integer": key("training.evaluate_every: true", "an integer"),
    "nothing for an integer": key("model.d_model:", "an integer"),
    "a quoted number": key('model.d_model: "64"', "an integer"),
    "a list for a number": key("training.learning_rate: [0.1]", "a number"),
    "infinity": key("training.learning_rate: .inf", "finite"),
    "no number": key("training.clip_norm: .nan", "a finite number"),
    "a number for a text": key("data.source: 5", "text"),
    "an unknown tokenizer": key("data.tokenizer: bpee", "did you mean 'bpe'"),
    "an unknown schedule": key("training.schedule: cosin", "did you mean 'cosine'"),
    "an unknown precision": key("training.precision: fp8", "'fp32'"),
    "a width of zero": key("model.d_model: 0", "d_model"),
    "a negative width": key("model.d_ff: -4", "d_ff"),
    "a rate below zero": key("training.learning_rate: -1", "more than 0"),
    "a dropout of one": key("model.dropout: 1", "dropout"),
    "a vocabulary too small": key("data.vocab_size: 2", "at least 5"),
    "a beam of zero": key("decoding.beam: 0", "at least 1"),
    "a seed below zero": key("training.seed: -1", "at least 0"),
    "one beta": key("training.betas: [0.9]", "betas"),
    "a time without sense": key("training.max_time: soon", "no duration"),
    "a patience of zero": key("training.patience: 0", "at least 1"),
    "many mistakes at once": yaml(
        "model:\n  d_model: wide\n  layers: 2\ntraining:\n  seed: -1\n",
        "s.yaml:2",
        "s.yaml:3",
        "s.yaml:5",
        mistakes=3,
    ),
    "a width that the heads do not divide": yaml("model:\n  d_model: 30\n  n_heads: 4\n", "d_model", "n_heads"),
    "more best than beams": yaml("decoding:\n  beam: 2\n  n_best: 5\n", "n_best 5 needs a beam of 5"),
}

ARGUMENTS = {
    "a file that is not there": arguments("--config", "none.yaml", holds=("none.yaml", "no such file")),
    "a folder for a file": arguments("--config", ".", holds=("not a file",)),
    "a setting without a value": arguments("--set", "model.d_model", holds=("--set", "section.key=value")),
    "a setting without a section": arguments("--set", "d_model=64", holds=("--set", "section.key=value")),
    "a setting that is unknown": arguments("--set", "model.width=64", holds=("--set model.width", "unknown key")),
    "a setting of another kind": arguments("--set", "model.d_model=wide", holds=("--set model.d_model", "an integer")),
    "two limits": arguments("--max-steps", "5", "--epochs", "2", holds=("--max-steps and --epochs", "choose one")),
    "a limit that is no number": arguments("--max-steps", "many", holds=("--max-steps many", "a number")),
    "no steps": arguments("--max-steps", "0", holds=("max_steps", "at least 1")),
    "a time that is none": arguments("--max-time", "yesterday", holds=("no duration",)),
    "an unknown model": arguments("--model", "transfomer", holds=("transfomer", "transformer")),
    "an unknown preset": arguments("--preset", "huge", holds=("huge", "tiny, small, base")),
    "an unknown device": arguments("--device", "abacus", holds=("abacus",)),
    "a language that the data has not": arguments("--source", "fr", holds=("fr",)),
    "a preset beside a trained model": arguments("--init", "run", "--preset", "tiny", holds=("--preset", "--init")),
    "a model to begin with that is not there": arguments("--init", "nowhere", holds=("nowhere",), code=3),
}

CASES = FILES | KEYS | ARGUMENTS
