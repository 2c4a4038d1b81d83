"""Watching a training run: a moving line on a terminal, plain lines elsewhere, and a stop that saves first."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

from keifu.text.normalisation import PairNormalisation
from keifu.training.journal import Journal
from keifu.training.loop import Event, Finished, Step
from keifu.training.model_card import best_evaluation
from keifu.training.run import Run

_INTERRUPTED = 130
_TERMINAL_INTERVAL, _PLAIN_INTERVAL = 0.5, 10.0  # seconds between two lines on the progress of steps


def watch(run: Run, quiet: bool, as_json: bool) -> int:
    """Trains to the end and returns the exit code. Ctrl-C and SIGTERM save a checkpoint and end the run."""
    say = _Output()
    if not quiet and not as_json:
        say(_introduction(run))
    terminal = sys.stdout.isatty()
    journal = Journal(run.settings.training.max_steps, _TERMINAL_INTERVAL if terminal else _PLAIN_INTERVAL)
    reason = ""
    with stop_requests() as requests:
        for event in run.events(should_stop=lambda: bool(requests) or say.closed):
            reason = event.reason if isinstance(event, Finished) else reason
            if as_json:
                say(_as_json(event))
            elif not quiet and (line := journal.line(event)):
                moving = terminal and isinstance(event, Step)
                # On a terminal the progress of steps overwrites itself; everything else stays.
                say(f"\r\x1b[K{line}" if terminal else line, "" if moving else "\n")
    if not as_json:
        say(_result(run))
    return _INTERRUPTED if reason == "interrupted" else 0


class _Output:
    """Standard output; once nobody reads it any more (a pipe that closed), `closed` is true and lines are dropped."""

    closed = False

    def __call__(self, text: str, end: str = "\n") -> None:
        if not self.closed:
            try:
                print(text, end=end, flush=True)
            except BrokenPipeError:
                self.closed = True
                sys.stdout = open(os.devnull, "w")  # noqa: SIM115


@contextmanager
def stop_requests() -> Iterator[list[int]]:
    """A list that receives SIGINT and SIGTERM instead of the process; a second SIGINT ends it at once."""
    received: list[int] = []

    def note(number: int, frame: object) -> None:
        received.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with suppress(OSError):
            print(
                "\nstopping after this step, saving first (once more to stop at once) ...", file=sys.stderr, flush=True
            )

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _introduction(run: Run) -> str:
    data, training = run.data_report(), run.settings.training
    model = run.settings.model
    count = sum(parameter.numel() for parameter in run.learner.network.parameters())
    precision = str(run.learner.dtype).removeprefix("torch.")
    source, target = data["languages"]
    lines = [
        f"run      {run.folder.path}",
        f"data     {data['train']['pairs']:,} pairs, {source} to {target}, {data['tokens']['target']:,} target tokens; "
        f"best model chosen on {data['valid']['spec']}",
        f"model    {model.name}, {model.n_layers} layers, d_model {model.d_model}, {count:,} parameters, "
        f"{run.task.tokenizer.vocab_size:,} tokens in the vocabulary ({run.task.tokenizer.kind})",
        f"training {training.max_steps:,} steps, evaluated every {training.evaluate_every:,}; "
        f"{run.learner.device}, {precision}",
    ]
    if run.history:
        lines.append(f"resumed  {run.history}")
    lines += _habits(run.normalisation)
    if run.left_out:
        lines.append(
            f"left out {run.left_out:,} pairs with more than {run.settings.data.max_tokens} tokens (data.max_tokens)"
        )
    return "\n".join(lines)


def _habits(normalisation: PairNormalisation) -> Iterator[str]:
    """How the texts are written, and what follows for texts to translate and for translations."""
    source, target = normalisation.source, normalisation.target
    if habits := source.applied.describe():
        yield f"source   is written {habits}; texts to translate will be rewritten the same way"
    if source.spaces_between_words:
        yield "source   is written with spaces between words; texts to translate need them too, from the same analyser"
    if habits := target.undone.describe():
        as_it_is = "(--raw leaves them as the model writes them)"
        yield f"target   is written {habits}; translations are given in ordinary writing {as_it_is}"


def _as_json(event: Event) -> str:
    values: dict[str, Any] = asdict(event)
    return json.dumps({"event": type(event).__name__.lower(), **values}, ensure_ascii=False, default=str)


def _result(run: Run) -> str:
    best = best_evaluation(run.folder.path)
    if best is None:
        return f"{run.folder.path}: no evaluation yet"
    scores = best["valid"]
    return (
        f"best at step {best['step']:,}: BLEU {scores['bleu']:.2f} ({scores['bleu_signature']}, greedy), "
        f"chrF {scores['chrf']:.2f}, on {run.corpus.valid_is}, which it was chosen on\n"
        f'use it: keifu translate {run.folder.path} "..."'
    )
