"""What a run wrote down, read back: which data it used, and how training went."""

import json
from pathlib import Path
from typing import Any

from keifu.errors import ConfigError, DataError
from keifu.training.corpus import Corpus, load_corpus
from keifu.training.settings import read_settings

_SCORES = (
    ("loss", "bleu", "chrf"),
    ("loss", "perplexity", "bits_per_character"),
    ("loss", "masked_accuracy"),
    ("loss", "next_sentence_accuracy"),
    ("loss", "accuracy"),
)
"""What evaluations of the tasks hold, one or the other."""


def run_of(checkpoint: Path) -> Path | None:
    """The run folder that holds the checkpoint; None for a model that stands alone."""
    checkpoints = checkpoint.resolve().parent
    run = checkpoints.parent
    return run if checkpoints.name == "checkpoints" and (run / "config.yaml").is_file() else None


def read_history(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl: logged steps and evaluations. Lines that are damaged are left out."""
    try:
        text = (run / "metrics.jsonl").read_text("utf-8", "replace")
    except OSError:
        return []
    return [line for line in map(_parsed, text.splitlines()) if line is not None]


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
        scores = _scores(line["valid"]) if "valid" in line else [line["loss"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return line if all(isinstance(number, (int, float)) for number in (line.get("step"), *scores)) else None


def _scores(metrics: Any) -> list[Any]:
    """The numbers of an evaluation. Raises KeyError where some are missing."""
    names = next((names for names in _SCORES if names[-1] in metrics), _SCORES[0])
    return [metrics[name] for name in names]


def own_corpus(checkpoint: Path) -> Corpus:
    """The data that the run of a checkpoint learned from and was selected on.

    Raises ConfigError for a model that stands alone, ConfigError or DataError where the data are not at hand, or are
    not those that the run began with.
    """
    run = run_of(checkpoint)
    if run is None:
        raise ConfigError(f"{checkpoint}: not in a run's folder, so without data of its own; name some with --data")
    try:
        corpus: Corpus = load_corpus(read_settings(run / "config.yaml").data)
    except (ConfigError, DataError) as error:
        raise type(error)(f"{error}; or name other data with --data") from None
    try:
        before = json.loads((run / "data.json").read_text("utf-8"))["valid"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{run}/data.json: missing or damaged; copy it again, or name data with --data") from None
    if corpus.valid.sha256 != before:
        raise DataError(
            f"{corpus.valid_is}: not the text that the run began with (its SHA-256 differs); put the old files back, "
            "or name data with --data"
        )
    return corpus
