"""Attention along training, as a run kept it: see training/probes.py."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from keifu.errors import CheckpointError, ConfigError
from keifu.trace import Recorded, Trace
from keifu.training.probes import ERRORS, FOLDER, PROBES


@dataclass(frozen=True)
class Moment:
    """One step of training: for each probe sentence its attention, as a trace, and the alignment error by attention."""

    step: int
    traces: Sequence[Trace]
    errors: Mapping[str, float]


def read_moments(run: str | Path) -> list[Moment]:
    """Every step that was kept, in order. Raises ConfigError where the run kept none, CheckpointError where files are
    damaged.
    """
    folder = Path(run) / FOLDER
    try:
        probes = json.loads((folder / PROBES).read_text("utf-8"))
        steps = {int(path.stem.removeprefix("step-")): path for path in folder.glob("step-*.safetensors")}
        return [_read(step, steps[step], probes) for step in sorted(steps)]
    except FileNotFoundError:
        remedy = "train with --set data.probes=SPEC to keep some sentences'"
        raise ConfigError(f"{run}: no attention along training was kept; {remedy}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: damaged ({type(error).__name__}); copy it again") from None


def _read(step: int, path: Path, probes: Any) -> Moment:
    with safe_open(path, "pt") as file:
        errors = json.loads(file.metadata()[ERRORS])
        traces = []
        for place, sequences in enumerate(probes["sequences"]):
            values = {
                name: Recorded(name, about["axes"], file.get_tensor(f"{place}.{name}"), about["sequences"])
                for name, about in probes["values"].items()
            }
            traces.append(Trace(values, sequences))
    return Moment(step, traces, errors)


def errors_along(moments: Sequence[Moment]) -> tuple[list[int], dict[str, list[float]]]:
    """The steps, and along them the alignment error of every attention from target to source."""
    names = moments[0].errors if moments else ()
    return [moment.step for moment in moments], {name: [moment.errors[name] for moment in moments] for name in names}
