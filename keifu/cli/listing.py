"""Commands that list what there is: models, data sets, settings, this machine.

The library is imported inside the functions, so that --help does not wait for torch.
"""

import sys
from typing import Annotated

import typer

from keifu.cli.app import app
from keifu.cli.options import Json, json_line
from keifu.errors import ConfigError


@app.command()
def models(json_: Json = False) -> None:
    """List the models of the family in order of descent."""
    from dataclasses import asdict

    from keifu.models import LINEAGE

    for ancestor in LINEAGE.values():
        if json_:
            print(json_line(asdict(ancestor)))
        else:
            print(f"{ancestor.year}  {ancestor.name}\n{'':6}{ancestor.paper}\n{'':6}{ancestor.added}")
            print(f"{'':6}tasks: {', '.join(ancestor.tasks)}")


@app.command()
def datasets(json_: Json = False) -> None:
    """List the data sets that have names, and where they are."""
    from dataclasses import asdict

    from keifu.data.catalogue import BUILT_IN, CATALOGUE, whereabouts

    for data_set in CATALOGUE.values():
        files = data_set.files
        missing = sum(file.size for file in files if whereabouts(file) == "address")
        if json_:
            print(json_line(asdict(data_set) | {"bytes_to_download": missing}))
            continue
        found = " and ".join(sorted({whereabouts(file) for file in files} - {"address"}))
        place = f"in {found}" if found else ""
        fetched = f"{missing / 1e6:.2f} MB to download" if missing else ""
        print(f"{data_set.name}\n  {data_set.summary}; parts {', '.join(data_set.parts)}")
        print(f"  {data_set.licence}; {'; '.join(filter(None, (place, fetched)))}")
        if data_set.note:
            print(f"  {data_set.note}")
    for name, (task, summary) in BUILT_IN.items():
        about = {"name": name, "summary": summary, "task": task, "bytes_to_download": 0}
        print(json_line(about) if json_ else f"{name}\n  {summary}; nothing to download")


@app.command()
def download(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A set that keifu datasets lists.")],
    json_: Json = False,
) -> None:
    """Fetch a data set, so that it is there without a network."""
    from difflib import get_close_matches

    from keifu.data.catalogue import CATALOGUE, find

    if name not in CATALOGUE:
        close = get_close_matches(name, CATALOGUE, 1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(CATALOGUE)}"
        raise ConfigError(f"data set {name!r} is not known; {hint}")
    data_set = CATALOGUE[name]
    paths = dict.fromkeys(path for part in data_set.parts for path in find(data_set, part, _show_progress))
    if json_:
        terms = {key: getattr(data_set, key) for key in ("name", "licence", "citation", "homepage")}
        print(json_line(terms | {"files": [str(path) for path in paths]}))
        return
    print("\n".join(map(str, paths)))
    print(f"licence   {data_set.licence}\ncitation  {data_set.citation}\nsee       {data_set.homepage}")


def _show_progress(address: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        share = f"{done / total:4.0%}" if total else f"{done / 1e6:.1f} MB"
        print(f"\r\x1b[K{share}  {address}", end="\n" if done == total else "", file=sys.stderr, flush=True)


@app.command()
def config(
    task: Annotated[str, typer.Argument(metavar="TASK", help="translation, language-modeling, masked-lm, ...")],
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
    from keifu.training.precision import choose_device, choose_precision, multiplies_bf16
    from keifu.training.run import environment

    facts = environment()
    device = choose_device("auto")
    facts |= {"multiplies_bf16": multiplies_bf16(), "device": str(device)}
    facts["precision"] = str(choose_precision("auto", device, 256)).removeprefix("torch.")
    if json_:
        print(json_line(facts))
        return
    packages = facts.pop("packages")
    for name, value in (facts | packages).items():
        print(f"{name:12} {value}")
