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
        return ("train", "translation", "--data", "a.tsv", "--out", "run", *self.arguments)

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
    "a bracket that stays open": yaml("training:\n  betas: [0.9, 0.98\n", "s.yaml:3", "a bracket is not closed"),
    "a quote that stays open": yaml('data:\n  train: "a.tsv\n', "s.yaml:3", "a quote is not closed"),
    "a second colon": yaml("data:\n  train: a: b\n", "s.yaml:2", "colon"),
    "wrong indentation": yaml("model:\n    d_model: 64\n  n_layers: 1\n", "s.yaml:3", "indentation"),
    "a key twice": yaml("model:\n  d_model: 64\n  d_model: 32\n", "s.yaml:3", "line 2"),
    "a section twice": yaml("model:\n  d_model: 64\nmodel:\n  n_layers: 1\n", "s.yaml:3", "line 1"),
    "two documents": yaml("model:\n  d_model: 64\n---\nmodel: {}\n", "s.yaml:3", "more than one document"),
    "an anchor and an alias": yaml(
        "model: &m\n  d_model: 64\ndata: *m\n", "s.yaml:3", "aliases (*name) are not allowed"
    ),
    "a tag that runs code": yaml("model: !!python/object/apply:os.system [ls]\n", "s.yaml:1", "tag"),
    "nested without end": yaml("model: " + "[" * 5000, "s.yaml:1", "nested deeper"),
    "far too large": yaml("# " + "x" * 200_000, "larger than 100 kB"),
    "in another encoding": yaml("data:\n  source: 日本\n".encode("cp932"), "s.yaml:2", "not UTF-8"),
    "a NUL": yaml("model:\n  d_model: 6\0\n", "s.yaml:2", "U+0000"),
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
    "a quoted number": key('model.d_model: "64"', "an integer", "'64'; leave the quotes away"),
    "a list for a number": key("training.learning_rate: [0.1]", "a number"),
    "infinity": key("training.learning_rate: .inf", "finite"),
    "no number": key("training.clip_norm: .nan", "a finite number"),
    "a number for a text": key("data.source: 5", "expected text, found 5; put it in quotes"),
    "an unknown tokenizer": key("data.tokenizer: bpee", "did you mean 'bpe'"),
    "an unknown schedule": key("training.schedule: cosin", "did you mean 'cosine'"),
    "an unknown precision": key("training.precision: fp8", "expected 'auto', 'fp32' or 'bf16'"),
    "a width of zero": key("model.d_model: 0", "at least 2, found 0"),
    "a negative width": key("model.d_ff: -4", "at least 1, found -4"),
    "a rate below zero": key("training.learning_rate: -1", "more than 0, found -1"),
    "a dropout of one": key("model.dropout: 1", "less than 1, found 1"),
    "a vocabulary too small": key("data.vocab_size: 2", "at least 5"),
    "a beam of zero": key("decoding.beam: 0", "at least 1"),
    "a seed below zero": key("training.seed: -1", "at least 0"),
    "one beta": key("training.betas: [0.9]", "training.betas: expected more items, found 1"),
    "a time without sense": key("training.max_time: soon", "no duration"),
    "a patience of zero": key("training.patience: 0", "at least 1"),
    "many mistakes at once": yaml(
        "model:\n  d_model: wide\n  layers: 2\ntraining:\n  seed: -1\n",
        "s.yaml:2",
        "s.yaml:3",
        "s.yaml:5",
        mistakes=3,
    ),
    "a width that the heads do not divide": yaml(
        "model:\n  d_model: 30\n  n_heads: 4\n", "s.yaml:1", "d_model 30 is not a multiple of n_heads 4"
    ),
    "more best than beams": yaml("decoding:\n  beam: 2\n  n_best: 5\n", "n_best 5 needs a beam of 5 or more, found 2"),
}

ARGUMENTS = {
    "a file that is not there": arguments("--config", "none.yaml", holds=("none.yaml", "no such file")),
    "a folder for a file": arguments("--config", ".", holds=(".: not a file",)),
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
    "an unknown device": arguments("--device", "abacus", holds=("'abacus' is not known",)),
    "a language that the data has not": arguments(
        "--source", "fr", holds=("a.tsv: no column is called fr", "--columns")
    ),
    "a preset beside a trained model": arguments("--init", "run", "--preset", "tiny", holds=("--preset", "--init")),
    "a model to begin with that is not there": arguments(
        "--init", "nowhere", holds=("nowhere: no such folder",), code=3
    ),
}

BY_HAND = {
    "UTF-16 from Notepad": yaml("model:\n  d_model: 64\n".encode("utf-16"), "s.yaml:1", "not UTF-8"),
    "a mark from Notepad and a mistake": yaml(b"\xef\xbb\xbfmodel:\r\n  d_model: x\r\n", "s.yaml:2: model.d_model"),
    "a tab behind a colon": yaml("model:\n  d_model:\t64\n", "s.yaml:2", "a tab"),
    "indented with wide spaces": yaml("model:\n\u3000d_model: 64\n", "s.yaml:2", "ordinary spaces"),
    "no space behind a colon": yaml("model:\n  d_model:64\n", "s.yaml:1", "with a space behind the colon"),
    "an equals sign for a colon": yaml("model:\n  d_model=64\n", "s.yaml:1", "key: value"),
    "a section and a key with a dot": yaml("model.d_model: 64\n", "s.yaml:1", "write d_model: below a line model:"),
    "an empty key": yaml("? \n: 3\n", "s.yaml:1: ''"),
    "yes for true": key("model.tie_embeddings: yes", "expected true or false, found 'yes'"),
    "off for false": key("model.tie_embeddings: off", "expected true or false, found 'off'"),
    "a comma for a point": key("training.learning_rate: 0,001", "a number, found '0,001'"),
    "a percentage": key("training.warmup: 5%", "a number, found '5%'"),
    "a zero before a number": key("training.seed: 010", "an integer, found '010'"),
    "a number too long": key("training.seed: " + "9" * 5000, "an integer"),
    "a merged mapping": yaml("model:\n  <<: {d_model: 64}\n", "s.yaml:2", "unknown key"),
    "a path of Windows in quotes": key('data.train: "C:\\data"', "single quotes"),
    "a star for a name": key("data.valid: *.tsv", "put it in quotes"),
    "a percent sign first": key("data.valid: %a", "put it in quotes"),
    "half of a surrogate pair": key('data.valid: "\\ud800"', "data.valid", "not UTF-8"),
    "three betas": key("training.betas: [0.9, 0.9, 0.9]", "2 items or fewer"),
    "a table for settings": arguments("--config", "a.tsv", holds=("a.tsv:1: not valid YAML",)),
    "a run whose name is not UTF-8": arguments("--out", "run\udcff", holds=(r"run\udcff: the name is not UTF-8",)),
    "a file for the run's folder": arguments("--out", "a.tsv", holds=("a.tsv: cannot make a folder here",)),
    "a name that steers terminals": arguments("--init", "\x1b[2J", holds=(r"\x1b[2J: no such folder",), code=3),
    "a file to begin with": arguments("--init", "a.tsv", holds=("a.tsv: a file; expected a run folder",), code=3),
    "a folder without a model to begin with": arguments("--init", ".", holds=(".: neither a run nor",), code=3),
    "a control character on the command line": arguments(
        "--set", "model.d_model=\x1b[2J", holds=("--set model.d_model: the character U+001B is not allowed",)
    ),
    "a list that stays open on the command line": arguments(
        "--set", "training.betas=[0.9", holds=("a bracket is not closed", """'training.betas="..."'""")
    ),
}

CASES = FILES | KEYS | ARGUMENTS | BY_HAND
