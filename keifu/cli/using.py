"""Commands that use a trained model.

The library is imported inside the functions, so that --help does not wait for torch.
"""

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
    json_line,
)
from keifu.errors import ConfigError, DataError


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

    model = _load(run, "evaluate", device, precision)
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
    print(json_line(report) if json_ else evaluation_report(report))


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

    decoding: dict[str, Any] = {"beam": beam, "length_penalty": length_penalty, "batch_size": batch_size}
    form: dict[str, Any] = {"columns": columns.split(",") if columns else (), "encoding": encoding or "utf-8"}
    model = _load(run, "diagnose", device, precision)
    report = model.diagnose(data, limit, source=source, target=target, **form, **decoding)
    print(json_line(report) if json_ else diagnosis_report(report))


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
    options = {"beam": beam, "n_best": n_best, "length_penalty": length_penalty, "batch_size": batch_size}
    if file is not None:
        if text:
            raise ConfigError("TEXT and --file cannot both be given; choose one")
        if (n_best or 1) > 1:
            raise ConfigError(f"--n-best {n_best} does not go with --file; a document has one translation")
        model = partial(_load, run, "translate", device, precision)
        translate_file(file, out, json_, model, raw=raw, **options)
        return
    if out is not None:
        raise ConfigError("--out goes with --file; the lines of TEXT are printed")
    texts = text or _standard_input()
    found = _load(run, "translate", device, precision).translate(texts, details=True, raw=raw, **options)
    for source, bests in zip(texts, found, strict=True):
        for best in bests if isinstance(bests, list) else [bests]:
            print(json_line(_as_json(source, best)) if json_ else _one_line(best.text))


@app.command()
def generate(
    run: RunArgument,
    prompt: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROMPT", help="How texts begin; without any, lines of standard input, or nothing."),
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(metavar="N", help="Most tokens to write. [default: 200]")] = None,
    temperature: Annotated[
        float | None,
        typer.Option(metavar="X", help="Below 1 likelier, above 1 freer; 0: likeliest. [default: 0.8]"),
    ] = None,
    top_k: Annotated[int | None, typer.Option(metavar="N", help="From the N likeliest alone; 0: all.")] = None,
    top_p: Annotated[
        float | None, typer.Option(metavar="X", help="From the likeliest with this probability together.")
    ] = None,
    min_p: Annotated[
        float | None, typer.Option(metavar="X", help="From those at least X times as likely as the likeliest.")
    ] = None,
    repetition_penalty: Annotated[
        float | None, typer.Option(metavar="X", help="Above 1, what has occurred becomes less likely.")
    ] = None,
    samples: Annotated[int, typer.Option(metavar="N", help="Texts for each prompt.")] = 1,
    device: Device = None,
    precision: UsingPrecision = None,
    compile_: Annotated[
        bool, typer.Option("--compile", help="On a CPU: some seconds at the start, then a single text is faster.")
    ] = False,
    batch_size: BatchSize = None,
    seed: Seed = None,
    json_: Json = False,
) -> None:
    """Go on with texts, or write new ones."""
    model = _load(run, "generate", device, precision)
    prompts = prompt or ([""] if sys.stdin.isatty() else _standard_input()) or [""]
    options: dict[str, Any] = {"max_tokens": max_tokens, "temperature": temperature, "top_k": top_k, "top_p": top_p}
    options |= {"min_p": min_p, "repetition_penalty": repetition_penalty, "batch_size": batch_size}
    if compile_:
        model.sampling_with(**options)  # so that a mistake is told before the seconds that compiling takes
        model.compile()
    options |= {"samples": samples, "seed": seed or 0}
    if sys.stdout.isatty() and not json_ and len(prompts) == samples == 1:  # as it is written
        print(prompts[0], end="", flush=True)
        model.generate(prompts, **options, on_text=lambda _, text: print(text, end="", flush=True))
        print()
        return
    found = model.generate(prompts, **options, details=True)
    texts = found if samples == 1 else [one for several in found for one in several]
    if json_:
        for one in texts:
            line: dict[str, Any] = {
                "prompt": one.prompt,
                "text": one.text,
                "tokens": len(one.tokens),
                "complete": one.complete,
            }
            each = zip(one.tokens, one.logprobs, strict=True)
            line["logprobs"] = [{"token": model.tokenizer.token(token), "logprob": logprob} for token, logprob in each]
            print(json_line(line))
    else:  # a text may have several lines
        print("\n\n".join(one.whole for one in texts))


@app.command()
def fill(
    run: RunArgument,
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="Texts with [MASK] in them; without any, lines of standard input."),
    ] = None,
    top: Annotated[int, typer.Option(metavar="N", help="The likeliest N for each gap.")] = 5,
    device: Device = None,
    precision: UsingPrecision = None,
    batch_size: BatchSize = None,
    seed: Seed = None,
    json_: Json = False,
) -> None:
    """Tell what may stand where a text has [MASK]: a token, how likely it is, and the text with it."""
    texts = text or _standard_input()
    found = _load(run, "fill", device, precision).fill(texts, top=top, batch_size=batch_size)
    if cut := sum(several[0].cut for several in found):
        longer = f"{cut:,} of {len(found):,} texts are longer than those of training"
        _note(f"{longer}, and only what stands around their gaps was read")
    for one, several in zip(texts, found, strict=True):
        for each in several:
            line = {"masked": one, **vars(each)}
            print(json_line(line) if json_ else f"{each.token}\t{each.probability:.4f}\t{each.text}")


@app.command()
def classify(
    run: RunArgument,
    text: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT", help="Texts, pairs with a TAB between, or picture files; without any, standard input."
        ),
    ] = None,
    head: Annotated[
        str | None, typer.Option(metavar="NAME", help="next-sentence, of a model that was trained for masked-lm.")
    ] = None,
    top: Annotated[int, typer.Option(metavar="N", help="The likeliest N classes.")] = 1,
    device: Device = None,
    precision: UsingPrecision = None,
    batch_size: BatchSize = None,
    seed: Seed = None,
    json_: Json = False,
) -> None:
    """Say to which class each text or picture belongs, and how likely that is."""
    texts = text or _standard_input()
    model = _load(run, "classify", device, precision)
    found = model.classify(texts, top=top, head=head, details=True, batch_size=batch_size)
    if cut := sum(one.cut for one in found):
        longer = f"{cut:,} of {len(found):,} texts are longer than those of training"
        pairs = model.task.name == "masked-lm"
        read = "what stands where the two of a pair meet was" if pairs else "their beginnings were"
        _note(f"{longer}, and only {read} read")
    _note_empty(texts)
    for one in found:
        shares = "\t".join(f"{label}\t{share:.4f}" for label, share in one.probabilities.items())
        print(json_line(vars(one)) if json_ else shares)


@app.command()
def tag(
    run: RunArgument,
    text: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT", help="Texts; without any, lines of standard input.")
    ] = None,
    device: Device = None,
    precision: UsingPrecision = None,
    batch_size: BatchSize = None,
    seed: Seed = None,
    json_: Json = False,
) -> None:
    """Give every word of a text its tag, as word/TAG."""
    texts = text or _standard_input()
    found = _load(run, "tag", device, precision).tag(texts, details=True, batch_size=batch_size)
    for one, words in zip(texts, found, strict=True):
        line = {"text": one, "words": list(map(vars, words))}
        print(json_line(line) if json_ else " ".join(f"{each.word}/{each.tag}" for each in words))


@app.command()
def answer(
    run: RunArgument,
    question: Annotated[
        list[str] | None, typer.Argument(metavar="QUESTION", help="Questions; without any, lines of standard input.")
    ] = None,
    story: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The story that they are about: a fact a sentence or line.")
    ] = None,
    encoding: Encoding = None,
    device: Device = None,
    precision: UsingPrecision = None,
    batch_size: BatchSize = None,
    seed: Seed = None,
    json_: Json = False,
) -> None:
    """Answer questions on a story, and say which facts were read."""
    from keifu.cli.report import answer_report
    from keifu.data.lines import lines
    from keifu.data.stories import is_json

    if story is None:
        raise ConfigError("no story to ask about; name a file with a fact a line: --story FILE")
    facts = "\n".join(line for _, line in lines(story, encoding or "utf-8"))
    if is_json(story, facts.encode()):
        raise DataError(f"{story}: JSON; expected a text with a fact a sentence or line")
    questions = question or _standard_input()
    model = _load(run, "answer", device, precision)
    for found in model.answer(questions, facts, details=True, batch_size=batch_size):
        print(json_line(_answer_as_json(found)) if json_ else answer_report(found))


@app.command()
def embed(
    run: RunArgument,
    text: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT", help="Texts; without any, lines of standard input.")
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="mean of the tokens' vectors, last, or of some models cls. [default: by model]"
        ),
    ] = None,
    normalise: Annotated[bool, typer.Option("--normalise", help="Make every vector as long as 1.")] = False,
    device: Device = None,
    precision: UsingPrecision = None,
    batch_size: BatchSize = None,
    seed: Seed = None,
    json_: Json = False,
) -> None:
    """Turn texts into vectors; prints a JSON object for each."""
    texts = text or _standard_input()
    model = _load(run, "embed", device, precision)
    vectors = model.embed(texts, pool, normalise=normalise, batch_size=batch_size)
    _note_empty(texts)
    for one, vector in zip(texts, vectors, strict=True):
        print(json_line({"text": one, "vector": vector.tolist()}))


def _load(run: Path, use: str, device: str | None, precision: str | None) -> Any:
    """The model, which can be used so. Raises ConfigError where it cannot."""
    from keifu.session import load

    model = load(run, device or "auto", precision or "auto")
    if use not in model.uses:
        can = ", ".join(model.uses)
        raise ConfigError(f"{run}: a model for {model.task.name} cannot {use}; use one of: {can}")
    return model


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def _note_empty(texts: list[str]) -> None:
    if empty := sum(not one.strip() for one in texts):
        _note(f"{empty:,} of {len(texts):,} texts are empty; what is said of them says nothing")


def _as_json(source: str, best: Any) -> dict[str, Any]:
    return {
        "source": source,
        "translation": best.text,
        "raw": best.raw,
        "score": best.score,
        "complete": best.complete,
    }


def _answer_as_json(found: Any) -> dict[str, Any]:
    hops = [
        [
            {"fact": place, "text": text, "weight": weight}
            for place, (text, weight) in enumerate(zip(found.facts, hop, strict=True), found.left_out + 1)
        ]
        for hop in found.weights
    ]
    others = [{"answer": answer, "probability": probability} for answer, probability in found.others]
    return {
        "question": found.question,
        "answer": found.answer,
        "probability": found.probability if found.answer is not None else None,
        "others": others if found.answer is not None else [],
        "hops": hops,
        "left_out": found.left_out,
        "missing": list(found.missing),
        "unknown": list(found.unknown),
    }


def _standard_input() -> list[str]:
    from keifu.data.lines import text_lines

    return text_lines(sys.stdin.buffer.read(), "standard input")


def _one_line(text: str) -> str:
    return " ".join(text.splitlines()) if "\n" in text or "\r" in text else text
