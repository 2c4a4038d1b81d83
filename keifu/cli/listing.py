"""Commands that list what there is: models, settings, this machine.

The library is imported inside the functions, so that --help does not wait for torch.
"""

import json
from typing import Annotated

import typer

from keifu.cli.app import app
from keifu.cli.options import Json


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
