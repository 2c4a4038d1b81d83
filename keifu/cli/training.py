"""Commands that train: each gathers its arguments, calls the library, and prints.

The library is imported inside the functions, so that --help does not wait for torch.
"""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from keifu.cli.app import app
from keifu.cli.options import (
    Columns,
    Device,
    Encoding,
    Epochs,
    Json,
    MaxSteps,
    MaxTime,
    Precision,
    Quiet,
    Seed,
    Source,
    Target,
)
from keifu.errors import ConfigError


@app.command()
def train(
    task: Annotated[str, typer.Argument(metavar="TASK", help="What to learn: translation.")],
    data: Annotated[
        str | None, typer.Option(metavar="SPEC", help="train.en,train.ja or corpus.tsv or a name (see keifu datasets).")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="A model of the family (see keifu models).")] = None,
    valid: Annotated[str | None, typer.Option(metavar="SPEC", help="Data to choose the best checkpoint on.")] = None,
    source: Source = None,
    target: Target = None,
    columns: Columns = None,
    encoding: Encoding = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The run's folder. [default: runs/<data>-<model>-<n>]")
    ] = None,
    init: Annotated[
        str | None, typer.Option(metavar="RUN", help="A run or checkpoint whose weights training begins with.")
    ] = None,
    max_time: MaxTime = None,
    max_steps: MaxSteps = None,
    epochs: Epochs = None,
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="tiny, small or base. [default: by the data's size]")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings in YAML, as keifu config prints them.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as model.d_model=256; may be repeated."),
    ] = None,
    device: Device = None,
    precision: Precision = None,
    seed: Seed = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Prepare everything, print the settings, train nothing.")
    ] = False,
    quiet: Quiet = False,
    json_: Json = False,
) -> None:
    """Train a model on your own data."""
    began = time.monotonic()
    from keifu.cli.watch import watch
    from keifu.config import parse_overrides, to_yaml
    from keifu.training.start import prepare

    limits = _limits(max_time=max_time, max_steps=max_steps, epochs=epochs)
    options: dict[str, Any] = {"valid": valid, "source": source, "target": target, **_numbers(limits)}
    options |= {"columns": columns, "encoding": encoding, "init": init}
    options |= {"device": device, "precision": precision, "seed": seed}
    overrides = parse_overrides(settings or [])
    run = prepare(task, data, model, out=out, preset=preset, config=config, overrides=overrides, began=began, **options)
    if dry_run:
        print(to_yaml(run.settings.sections, comments=False), end="")
        return
    raise typer.Exit(watch(run, quiet=quiet, as_json=json_))


@app.command()
def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    max_time: MaxTime = None,
    max_steps: MaxSteps = None,
    epochs: Epochs = None,
    quiet: Quiet = False,
    json_: Json = False,
) -> None:
    """Go on with a run exactly where it stopped; a time counts from now, other limits add with +N."""
    began = time.monotonic()
    from keifu.cli.watch import watch
    from keifu.training.start import resume

    limits = _limits(max_time=max_time, max_steps=max_steps, epochs=epochs)
    raise typer.Exit(watch(resume(run, limits, began), quiet=quiet, as_json=json_))


def _limits(**limits: str | None) -> dict[str, str]:
    given = {name: value for name, value in limits.items() if value is not None}
    if len(given) > 1:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ConfigError(f"{names} were given together; choose one")
    return given


def _numbers(limits: dict[str, str]) -> dict[str, Any]:
    """Limits of a new run, whose numbers are totals."""
    kinds: dict[str, Any] = {"max_steps": int, "epochs": float, "max_time": str}
    try:
        return {name: kinds[name](value) for name, value in limits.items()}
    except ValueError:
        ((name, value),) = limits.items()
        raise ConfigError(f"--{name.replace('_', '-')} {value}: expected a number") from None
