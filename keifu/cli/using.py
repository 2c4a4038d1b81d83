"""Commands that use a trained model.

The library is imported inside the functions, so that --help does not wait for torch.
"""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from keifu.cli.app import app
from keifu.cli.documents import translate_file
from keifu.cli.options import (
    BatchSize,
    Beam,
    Columns,
    DataOption,
    Device,
    Encoding,
    Json,
    LengthPenalty,
    RunArgument,
    Seed,
    Source,
    Target,
    UsingPrecision,
)
from keifu.errors import ConfigError


@app.command()
def evaluate(
    run: RunArgument,
    data: DataOption,
    beam: Beam = None,
    length_penalty: LengthPenalty = None,
    source: Source = None,
    target: Target = None,
    columns: Columns = None,
    encoding: Encoding = None,
    device: Device = None,
    precision: UsingPrecision = None,
    batch_size: BatchSize = None,
    seed: Seed = None,
    json_: Json = False,
) -> None:
    """Score a model on held-out data, with every metric of its task."""
    from keifu.cli.report import evaluation_report
    from keifu.session import load

    model = load(run, device or "auto", precision or "auto")
    report = model.evaluate(
        data,
        source=source,
        target=target,
        columns=columns.split(",") if columns else (),
        encoding=encoding or "utf-8",
        beam=beam,
        length_penalty=length_penalty,
        batch_size=batch_size,
    )
    print(json.dumps(report, ensure_ascii=False) if json_ else evaluation_report(report))


@app.command()
def diagnose(
    run: RunArgument,
    data: Annotated[
        str | None, typer.Option(metavar="SPEC", help="Pairs to translate. [default: the run's validation data]")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", help="Most pairs to use, evenly spread.")] = 500,
    beam: Beam = None,
    length_penalty: LengthPenalty = None,
    source: Source = None,
    target: Target = None,
    columns: Columns = None,
    encoding: Encoding = None,
    device: Device = None,
    precision: UsingPrecision = None,
    batch_size: BatchSize = None,
    seed: Seed = None,
    json_: Json = False,
) -> None:
    """Say what is wrong with a trained translator and what to try next."""
    from keifu.cli.diagnosis import diagnosis_report
    from keifu.session import load

    decoding: dict[str, Any] = {"beam": beam, "length_penalty": length_penalty, "batch_size": batch_size}
    form: dict[str, Any] = {"columns": columns.split(",") if columns else (), "encoding": encoding or "utf-8"}
    model = load(run, device or "auto", precision or "auto")
    report = model.diagnose(data, limit, source=source, target=target, **form, **decoding)
    print(json.dumps(report, ensure_ascii=False) if json_ else diagnosis_report(report))


@app.command()
def translate(
    run: RunArgument,
    text: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT", help="Texts; without any, lines of standard input.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A document: .txt, .md or .tmx; paragraphs and markup are kept.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="New file for the translated document.")] = None,
    beam: Beam = None,
    n_best: Annotated[int | None, typer.Option(metavar="N", help="Translations of each text, best first.")] = None,
    length_penalty: LengthPenalty = None,
    raw: Annotated[bool, typer.Option("--raw", help="Leave translations as the model writes them.")] = False,
    device: Device = None,
    precision: UsingPrecision = None,
    batch_size: BatchSize = None,
    seed: Seed = None,
    json_: Json = False,
) -> None:
    """Translate texts, one line out for each line in, or a document."""
    from keifu.session import load

    options = {"beam": beam, "n_best": n_best, "length_penalty": length_penalty, "batch_size": batch_size}
    if file is not None:
        if text:
            raise ConfigError("TEXT and --file cannot both be given; choose one")
        if (n_best or 1) > 1:
            raise ConfigError(f"--n-best {n_best} does not go with --file; a document has one translation")
        model = partial(load, run, device or "auto", precision or "auto")
        translate_file(file, out, json_, model, raw=raw, **options)
        return
    if out is not None:
        raise ConfigError("--out goes with --file; the lines of TEXT are printed")
    texts = text or _standard_input()
    found = load(run, device or "auto", precision or "auto").translate(texts, details=True, raw=raw, **options)
    for source, bests in zip(texts, found, strict=True):
        for best in bests if isinstance(bests, list) else [bests]:
            print(json.dumps(_as_json(source, best), ensure_ascii=False) if json_ else _one_line(best.text))


def _as_json(source: str, best: Any) -> dict[str, Any]:
    return {
        "source": source,
        "translation": best.text,
        "raw": best.raw,
        "score": best.score,
        "complete": best.complete,
    }


def _standard_input() -> list[str]:
    from keifu.data.lines import text_lines

    return text_lines(sys.stdin.buffer.read(), "standard input")


def _one_line(text: str) -> str:
    return " ".join(text.splitlines()) if "\n" in text or "\r" in text else text
