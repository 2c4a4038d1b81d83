"""What a run is about to do, as text: its data, model and plan, what stands out in the data, and what it will take."""

import os
from collections.abc import Callable, Iterator
from typing import Any, cast

from keifu.cli.columns import wrapped
from keifu.tasks.translation import limit_name
from keifu.training.journal import clock
from keifu.training.lessons.translation import TranslationLesson
from keifu.training.memory import gigabytes
from keifu.training.model_card import layers
from keifu.training.run import Run

_LONGEST = 10_000  # columns of an entry; paths may be long
_CLASSES = 20  # that are named
_PLACES = 3  # of a finding, that are shown; data.json has five


def introduction(run: Run) -> str:
    """Lines to read before training. Of a run that goes on, the data have been reported on before."""
    if not run.new:
        return "\n".join(_model(run))
    data, habits = _PARTS[run.settings.training.task]
    lines = [*data(run), *_model(run), *habits(run)]
    return "\n".join([*lines, *_findings(run.data_report["findings"])])


def expectation(estimated: dict[str, Any]) -> str:
    """A line on what training will take, as `training.start.estimate` says."""
    time = f"about {clock(estimated['seconds'])} for {estimated['steps']:,} steps ({estimated['epochs']:.1f} epochs)"
    memory = f"{gigabytes(estimated['memory'])} of memory, {gigabytes(estimated['memory_free'])} are free"
    return "\n".join(_entry("estimate", f"{time} with their evaluations; {memory}"))


def _pair_data(run: Run) -> Iterator[str]:
    report, lesson = run.data_report, cast(TranslationLesson, run.lesson)
    tokens, longest, unknown = report["tokens"], report["longest"], report["unknown"]["valid"]
    pairs, about = report["train"]["pairs"], "about " if report["estimated"] else ""
    each = " and ".join(f"{tokens[side] / pairs:.1f}" for side in tokens)
    languages = " to ".join(report["languages"])
    yield from _entry(
        "data",
        f"{report['train']['spec']}: {_several(pairs, 'pair')}, {languages}; {about}{tokens['source']:,} and "
        f"{tokens['target']:,} tokens ({each} a pair, at most {longest['source']} and {longest['target']}), "
        f"{report['padding']:.1%} padding beside them",
    )
    if lesson.left_out:
        asked, side = run.settings.data.max_tokens, run.task.longest_side(run.settings.model.max_length)
        name = "data.max_tokens" if asked <= side else limit_name(run.task.takes)
        limit = f"{min(asked, side)} tokens ({name})"
        yield from _entry("left out", f"{_several(lesson.left_out, 'pair')} with more than {limit}")
    marks = report["vocabulary"]["unknown"]
    known = f"; unknown to the vocabulary: {unknown['source']:.2%} and {unknown['target']:.2%} of its tokens ({marks})"
    yield from _entry(
        "valid", f"{report['valid']['spec']}: {_several(len(lesson.valid), 'pair')}, to choose the best model on{known}"
    )


def _text_data(run: Run) -> Iterator[str]:
    report, data = run.data_report, run.settings.data
    train, tokens, unknown = report["train"], report["tokens"], report["unknown"]["valid"]
    read = "as one long text" if data.reading == "stream" else f"as {train['documents']:,} documents, a line each"
    read += ", packed" if data.packed else ""
    if data.reading == "stream" or data.packed:
        order = f"{report['streams']} streams of" if report["streams"] else "a random order, in"
        read += f", in {order} windows of {data.window} tokens"
    amount = f"{train['characters']:,} characters, {tokens['train']:,} tokens"
    yield from _entry("data", f"{train['spec']}: {amount}, read {read} (data.reading)")
    marks = report["vocabulary"]["unknown"]
    known = f"; unknown to the vocabulary: {unknown:.2%} of its tokens ({marks})"
    valid = report["valid"]
    yield from _entry(
        "valid", f"{valid['spec']}: {valid['characters']:,} characters, to choose the best model on{known}"
    )


def _passage_data(run: Run) -> Iterator[str]:
    report, training = run.data_report, run.settings.training
    train, valid, tokens = report["train"], report["valid"], report["tokens"]
    read = "a line each" if report["reading"] == "documents" else "between blank lines"
    amount = f"{_several(train['documents'], 'document')} ({read}) of {_several(train['sentences'], 'sentence')}"
    sequences = _several(train["sequences"], "sequence")
    yield from _entry("data", f"{train['spec']}: {amount}, {tokens['train']:,} tokens, read in {sequences}")
    learned = [f"{training.mask_share:.0%} of the tokens, masked"] if training.masked else []
    learned += ["whether one text follows another"] if training.next_sentence else []
    yield from _entry("to tell", " and ".join(learned))
    marks = report["vocabulary"]["unknown"]
    known = f"; unknown to the vocabulary: {report['unknown']['valid']:.2%} of its tokens ({marks})"
    sequences = _several(valid["sequences"], "sequence")
    yield from _entry("valid", f"{valid['spec']}: {sequences}, to choose the best model on{known}")


def _example_data(run: Run) -> Iterator[str]:
    report = run.data_report
    train, valid = report["train"], report["valid"]
    counts = [f"{label} ({count:,})" for label, count in list(train["labels"].items())[:_CLASSES]]
    more = " ..." if len(train["labels"]) > _CLASSES else ""
    amount = f"{train['examples']:,} examples, {report['tokens']['train']:,} tokens"
    yield from _entry(
        "data", f"{train['spec']}: {amount}, of {len(train['labels'])} classes: {', '.join(counts)}{more}"
    )
    if train["cut"]:
        yield from _entry("cut", f"{train['cut']:,} examples of more than data.max_tokens")
    marks = report["vocabulary"]["unknown"]
    known = f"; unknown to the vocabulary: {report['unknown']['valid']:.2%} of its tokens ({marks})"
    yield from _entry("valid", f"{valid['spec']}: {valid['examples']:,} examples, to choose the best model on{known}")


def _story_data(run: Run) -> Iterator[str]:
    report = run.data_report
    train, valid, facts, unknown = report["train"], report["valid"], report["facts"], report["unknown"]["valid"]
    amount = f"{train['questions']:,} questions with {report['answers']} answers"
    length = f"stories of {facts['each']:.1f} facts, at most {facts['longest']}"
    yield from _entry("data", f"{train['spec']}: {amount}; {length}")
    if report["cut"]:
        yield from _entry("cut", f"{report['cut']:,} stories to their latest facts (data.max_facts, model.max_length)")
    known = f"; unknown to the vocabulary: {unknown:.2%} of its words"
    yield from _entry("valid", f"{valid['spec']}: {valid['questions']:,} questions, to choose the best model on{known}")


def _picture_data(run: Run) -> Iterator[str]:
    report = run.data_report
    train, valid, size = report["train"], report["valid"], report["size"]
    counts = [f"{label} ({count:,})" for label, count in list(train["labels"].items())[:_CLASSES]]
    more = " ..." if len(train["labels"]) > _CLASSES else ""
    look = f"{size['height']} by {size['width']} pixels, {'in colour' if size['channels'] > 1 else 'grey'}"
    amount = f"{train['pictures']:,} pictures of {look}, of {len(train['labels'])} classes"
    yield from _entry("data", f"{train['spec']}: {amount}: {', '.join(counts)}{more}")
    yield from _entry("valid", f"{valid['spec']}: {valid['pictures']:,} pictures, to choose the best model on")


def _model(run: Run) -> Iterator[str]:
    model, training, tokenizer = run.settings.model, run.settings.training, run.task.tokenizer
    words = f", {tokenizer.vocab_size:,} tokens in the vocabulary ({tokenizer.kind})" if tokenizer else ""
    count = sum(parameter.numel() for parameter in run.learner.network.parameters())
    yield from _entry(
        "model",
        f"{model.name}, {layers(model)}, d_model {model.d_model}, {count:,} parameters{words}",
    )
    precision = str(run.learner.dtype).removeprefix("torch.")
    yield from _entry(
        "training",
        f"{training.max_steps:,} steps, evaluated every {training.evaluate_every:,}; {run.learner.device}, {precision}",
    )
    if training.init is not None:
        taken = f"; {run.beginning}" if run.beginning else ""
        yield from _entry("begins", f"with the weights of {training.init}{taken}")


def _pair_habits(run: Run) -> Iterator[str]:
    """How the texts are written, and what follows for texts to translate and for translations."""
    normalisation = cast(TranslationLesson, run.lesson).normalisation
    source, target = normalisation.source, normalisation.target
    if habits := source.applied.describe():
        yield from _entry("source", f"is written {habits}; texts to translate will be rewritten the same way")
    if source.spaces_between_words:
        rest = "texts to translate need them too, from the same analyser"
        yield from _entry("source", f"is written with spaces between words; {rest}")
    if habits := target.undone.describe():
        rest = "translations are given in ordinary writing (--raw leaves them as the model writes them)"
        yield from _entry("target", f"is written {habits}; {rest}")


_PARTS: dict[str, tuple[Callable[[Run], Iterator[str]], Callable[[Run], Iterator[str]]]] = {
    "translation": (_pair_data, _pair_habits),
    "language-modeling": (_text_data, lambda run: iter(())),
    "masked-lm": (_passage_data, lambda run: iter(())),
    "classification": (_example_data, lambda run: iter(())),
    "tagging": (_example_data, lambda run: iter(())),
    "question-answering": (_story_data, lambda run: iter(())),
    "image-classification": (_picture_data, lambda run: iter(())),
}
"""What is said of each task's data, and of how they are written."""


def _findings(findings: list[dict[str, Any]]) -> Iterator[str]:
    """What stands out, each with places and a remedy."""
    for each in findings:
        places = ", ".join(map(_short, each["places"][:_PLACES]))
        more = " ..." if each["count"] > _PLACES and places else ""
        yield from _entry("note", f"{each['text']}; {each['advice']}")
        if places:
            yield from wrapped(places + more, " " * 13, _LONGEST)


def _short(place: str) -> str:
    """The place with each file named from the folder where the user is, where that is shorter."""
    words = place.split(" ")
    return " ".join(min(word, os.path.relpath(word), key=len) if os.path.isabs(word) else word for word in words)


def _several(count: int, name: str) -> str:
    return f"{count:,} {name}{'s' if count != 1 else ''}"


def _entry(name: str, text: str) -> list[str]:
    return wrapped(text, f"{name:9}", _LONGEST)
