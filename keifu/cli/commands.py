"""The commands. Each gathers its arguments, calls the library, and prints.

The library is imported inside the functions, so that --help does not wait for torch.
"""

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from keifu.errors import ConfigError

app = typer.Typer(
    name="keifu",
    help="keifu 系譜: the family of sequence models. Train one on your own data, look inside, use it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder, one of its checkpoints, or a model folder.")
]
DataOption = Annotated[
    str, typer.Option(metavar="SPEC", help="Two aligned files (train.en,train.ja) or builtin:enja[:PART].")
]
Source = Annotated[str | None, typer.Option(metavar="LANG", help="Language to translate from, as the data names it.")]
Target = Annotated[str | None, typer.Option(metavar="LANG", help="Language to translate into.")]
MaxTime = Annotated[
    str | None, typer.Option(metavar="TIME", help="Time to train for, such as 20m; ends by then at the latest.")
]
MaxSteps = Annotated[str | None, typer.Option(metavar="N", help="Steps to train for.")]
Epochs = Annotated[str | None, typer.Option(metavar="N", help="Passes over the data to train for.")]
# Options without a value here leave it to the configuration file, the model or the library to say.
Device = Annotated[str | None, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1. [default: auto]")]
Precision = Annotated[str | None, typer.Option(metavar="NAME", help="auto, fp32 or bf16. [default: auto]")]
BatchSize = Annotated[int | None, typer.Option(metavar="N", help="Sentences computed together.")]
Seed = Annotated[int | None, typer.Option(metavar="N", help="All that is random follows from it. [default: 0]")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print only the result.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.")]
Beam = Annotated[
    int | None, typer.Option(metavar="N", help="Width of the beam search; 1 is greedy. [default: the model's, 5]")
]
LengthPenalty = Annotated[
    float | None, typer.Option(metavar="X", help="Scores are log-probability / length^X. [default: the model's, 1.0]")
]


@app.command()
def train(
    task: Annotated[str, typer.Argument(metavar="TASK", help="What to learn: translation.")],
    data: Annotated[
        str | None, typer.Option(metavar="SPEC", help="Two aligned files (train.en,train.ja) or builtin:enja.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="A model of the family (see keifu models).")] = None,
    valid: Annotated[str | None, typer.Option(metavar="SPEC", help="Data to choose the best checkpoint on.")] = None,
    source: Source = None,
    target: Target = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The run's folder. [default: runs/<data>-<model>-<n>]")
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


@app.command()
def evaluate(
    run: RunArgument,
    data: DataOption,
    beam: Beam = None,
    length_penalty: LengthPenalty = None,
    source: Source = None,
    target: Target = None,
    device: Device = None,
    precision: Precision = None,
    batch_size: BatchSize = None,
    seed: Seed = None,
    json_: Json = False,
) -> None:
    """Score a model on held-out data, with every metric of its task."""
    from keifu.cli.report import evaluation_report
    from keifu.session import load

    model = load(run, device or "auto", precision or "auto")
    report = model.evaluate(
        data, source=source, target=target, beam=beam, length_penalty=length_penalty, batch_size=batch_size
    )
    print(json.dumps(report, ensure_ascii=False) if json_ else evaluation_report(report))


@app.command()
def translate(
    run: RunArgument,
    text: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT", help="Texts; without any, lines of standard input.")
    ] = None,
    beam: Beam = None,
    n_best: Annotated[int | None, typer.Option(metavar="N", help="Translations of each text, best first.")] = None,
    length_penalty: LengthPenalty = None,
    device: Device = None,
    precision: Precision = None,
    batch_size: BatchSize = None,
    seed: Seed = None,
    json_: Json = False,
) -> None:
    """Translate texts: one line out for each line in."""
    from keifu.session import load

    texts = text or _standard_input()
    options = {"beam": beam, "n_best": n_best, "length_penalty": length_penalty, "batch_size": batch_size}
    found = load(run, device or "auto", precision or "auto").translate(texts, details=True, **options)
    for source, bests in zip(texts, found, strict=True):
        for best in bests if isinstance(bests, list) else [bests]:
            result = {"source": source, "translation": best.text, "score": best.score, "complete": best.complete}
            print(json.dumps(result, ensure_ascii=False) if json_ else _one_line(best.text))


@app.command()
def models(json_: Json = False) -> None:
    """List the models of the family in order of descent."""
    from dataclasses import asdict

    from keifu.models import LINEAGE

    for ancestor in LINEAGE.values():
        if json_:
            print(json.dumps(asdict(ancestor), ensure_ascii=False))
        else:
            print(f"{ancestor.name:12} {ancestor.year}  {ancestor.paper}\n{'':18}{ancestor.added}")
            print(f"{'':18}tasks: {', '.join(ancestor.tasks)}")


@app.command()
def config(
    task: Annotated[str, typer.Argument(metavar="TASK", help="translation")],
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model of the family.")],
    preset: Annotated[str | None, typer.Option(metavar="NAME", help="tiny, small or base.")] = None,
) -> None:
    """Print a complete commented configuration for --config."""
    from keifu.config import to_yaml
    from keifu.training.settings import resolve_settings

    settings = resolve_settings(task, model, preset or "small")
    header = f"keifu train {task} --data SPEC --config FILE. Every key can also be given as --set section.key=value."
    print(to_yaml(settings.sections, header=header), end="")


@app.command()
def env(json_: Json = False) -> None:
    """Print versions and what this machine can compute with."""
    from keifu.training.precision import choose_device, choose_precision, has_amx
    from keifu.training.run import environment

    facts = environment()
    device = choose_device("auto")
    facts |= {"amx_bf16": has_amx(), "device": str(device)}
    facts["precision"] = str(choose_precision("auto", device, 256)).removeprefix("torch.")
    if json_:
        print(json.dumps(facts))
        return
    packages = facts.pop("packages")
    for name, value in (facts | packages).items():
        print(f"{name:12} {value}")


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


def _standard_input() -> list[str]:
    from keifu.data.sources import text_lines

    return text_lines(sys.stdin.buffer.read(), "standard input")


def _one_line(text: str) -> str:
    return " ".join(text.splitlines()) if "\n" in text or "\r" in text else text
