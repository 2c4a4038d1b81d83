"""Arguments and options that several commands share."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder, one of its checkpoints, or a model folder.")
]
DataOption = Annotated[
    str, typer.Option(metavar="SPEC", help="test.en,test.ja or other.txt or a name with a part (multi30k-en-de:test).")
]
ModelName = Annotated[str | None, typer.Option(metavar="NAME", help="A model of the family (see keifu models).")]
Valid = Annotated[str | None, typer.Option(metavar="SPEC", help="Data to choose the best checkpoint on.")]
Preset = Annotated[str | None, typer.Option(metavar="NAME", help="tiny, small or base. [default: by the data's size]")]
ConfigFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Settings in YAML, as keifu config prints them.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as model.d_model=256; may be repeated."),
]
Source = Annotated[str | None, typer.Option(metavar="LANG", help="Language to translate from, as the data names it.")]
Target = Annotated[str | None, typer.Option(metavar="LANG", help="Language to translate into.")]
Columns = Annotated[
    str | None, typer.Option(metavar="NAMES", help="Names of a table's columns, such as id,en,ja, or numbers of some.")
]
Encoding = Annotated[
    str | None, typer.Option(metavar="NAME", help="How text files are encoded, such as cp932. [default: utf-8]")
]
MaxTime = Annotated[
    str | None, typer.Option(metavar="TIME", help="Time to train for, such as 20m; ends by then at the latest.")
]
MaxSteps = Annotated[str | None, typer.Option(metavar="N", help="Steps to train for.")]
Epochs = Annotated[str | None, typer.Option(metavar="N", help="Passes over the data to train for.")]
# Options without a value here leave it to the configuration file, the model or the library to say.
Device = Annotated[str | None, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1. [default: auto]")]
Precision = Annotated[str | None, typer.Option(metavar="NAME", help="auto, fp32 or bf16. [default: auto]")]
UsingPrecision = Annotated[
    str | None, typer.Option("--precision", metavar="NAME", help="auto, fp32, bf16 or int8. [default: auto]")
]
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


def json_line(value: Any) -> str:
    """A value as --json prints it: with every character as it is, where standard output can hold all of them."""
    encoding = getattr(sys.stdout, "encoding", None) or ""
    return json.dumps(value, ensure_ascii=not encoding.lower().startswith("utf"))
