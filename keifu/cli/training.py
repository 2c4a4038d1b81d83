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
    ConfigFile,
    Device,
    Encoding,
    Epochs,
    Json,
    MaxSteps,
    MaxTime,
    ModelName,
    Precision,
    Preset,
    Quiet,
    Seed,
    Set,
    Source,
    Target,
    Valid,
    json_line,
)
from keifu.cli.progress import working
from keifu.errors import ConfigError


@app.command()
def train(
    task: Annotated[
        str, typer.Argument(metavar="TASK", help="What to learn: translation, language-modeling, masked-lm, ...")
    ],
    data: Annotated[
        str | None, typer.Option(metavar="SPEC", help="train.en,train.ja or book.txt or a name (see keifu datasets).")
    ] = None,
    model: ModelName = None,
    valid: Valid = None,
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
    preset: Preset = None,
    config: ConfigFile = None,
    settings: Set = None,
    device: Device = None,
    precision: Precision = None,
    seed: Seed = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print the data report and the settings that training would have; train nothing."
        ),
    ] = False,
    quiet: Quiet = False,
    json_: Json = False,
) -> None:
    """Train a model on your own data."""
    began = time.monotonic()
    from keifu.cli.watch import watch
    from keifu.config import parse_overrides
    from keifu.training.start import prepare

    limits = _limits(max_time=max_time, max_steps=max_steps, epochs=epochs)
    options: dict[str, Any] = {"valid": valid, "source": source, "target": target, **_numbers(limits)}
    options |= {"columns": columns, "encoding": encoding, "init": init}
    options |= {"device": device, "precision": precision, "seed": seed}
    overrides = parse_overrides(settings or [])
    options |= {"preset": preset, "config": config, "overrides": overrides}
    with working() as say:
        run = prepare(task, data, model, out=out, began=began, say=say, **options)
    if dry_run:
        _print_dry_run(run, json_)
        return
    raise typer.Exit(watch(run, quiet=quiet, as_json=json_))


@app.command()
def check(
    data: Annotated[str, typer.Argument(metavar="SPEC", help="train.en,train.ja or book.txt or a name.")],
    valid: Valid = None,
    task: Annotated[
        str | None, typer.Option(metavar="TASK", help="What would be learned. [default: as the data say]")
    ] = None,
    model: ModelName = None,
    source: Source = None,
    target: Target = None,
    columns: Columns = None,
    encoding: Encoding = None,
    preset: Preset = None,
    config: ConfigFile = None,
    settings: Set = None,
    device: Device = None,
    precision: Precision = None,
    seed: Seed = None,
    json_: Json = False,
) -> None:
    """Report on data before training: what stands out, and the time and memory that training would take."""
    from keifu.cli.introduction import expectation, introduction
    from keifu.config import parse_overrides
    from keifu.data.catalogue import task_of
    from keifu.training.start import estimate, prepare

    options: dict[str, Any] = {"valid": valid, "source": source, "target": target}
    options |= {"columns": columns, "encoding": encoding, "device": device, "precision": precision, "seed": seed}
    overrides = parse_overrides(settings or [])
    options |= {"preset": preset, "config": config, "overrides": overrides}
    with working() as say:
        run = prepare(task or task_of(data), data, model, say=say, **options)
        estimated = estimate(run)
    if json_:
        print(json_line({**run.data_report, "estimate": estimated}))
    else:
        print(f"{introduction(run)}\n{expectation(estimated)}")


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
    with working() as say:
        resumed = resume(run, limits, began, say)
    raise typer.Exit(watch(resumed, quiet=quiet, as_json=json_))


def _print_dry_run(run: Any, as_json: bool) -> None:
    """The report and the settings; as text both together are YAML that --config takes."""
    from keifu.cli.introduction import expectation, introduction
    from keifu.config import to_yaml
    from keifu.training.start import estimate

    estimated = estimate(run)
    if as_json:
        settings = {name: section.model_dump(mode="json") for name, section in run.settings.sections.items()}
        print(json_line({**run.data_report, "estimate": estimated, "settings": settings}))
    else:
        header = f"{introduction(run)}\n{expectation(estimated)}"
        print(to_yaml(run.settings.sections, header=header, comments=False), end="")


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
