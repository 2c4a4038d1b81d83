"""Commands that use a trained model.

The library is imported inside the functions, so that --help does not wait for torch.
"""

import json
import sys
from typing import Annotated

import typer

from keifu.cli.app import app
from keifu.cli.options import (
    BatchSize,
    Beam,
    DataOption,
    Device,
    Json,
    LengthPenalty,
    Precision,
    RunArgument,
    Seed,
    Source,
    Target,
)


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


def _standard_input() -> list[str]:
    from keifu.data.sources import text_lines

    return text_lines(sys.stdin.buffer.read(), "standard input")


def _one_line(text: str) -> str:
    return " ".join(text.splitlines()) if "\n" in text or "\r" in text else text
