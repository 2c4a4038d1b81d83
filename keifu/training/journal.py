"""Training events as lines to read: for train.log, and for whoever watches."""

import time
from typing import Any

from keifu.training.growth import batches_after
from keifu.training.loop import Checkpoint, Evaluation, Event, Planned, Step
from keifu.training.settings import Training


class Journal:
    """Turns events into lines; a line for steps only every `interval` seconds, with the rate since the line before.

    settings: of the run, where they are known; what is left of it is told by them.
    """

    def __init__(self, settings: Training | None = None, interval: float = 5.0) -> None:
        self._settings, self._interval = settings, interval
        self._last = time.monotonic()
        self._tokens, self._batches, self._seconds = 0, 0, 0.0
        self._loss = 0.0

    def line(self, event: Event) -> str | None:
        """The line for an event, if it is due one."""
        if isinstance(event, Step):
            return self._step(event)
        if isinstance(event, Evaluation):
            self._last = time.monotonic()
            loss = f"valid loss {event.metrics['loss']:.3f}"
            return f"step {event.step:,}  {loss}  {_scores(event.metrics)}  ({event.seconds:.1f} s)"
        if isinstance(event, Planned):
            if self._settings:
                self._settings = self._settings.model_copy(update={"max_steps": event.max_steps})
            return f"step {event.step:,}  planned anew: {event.max_steps:,} steps fit into the time"
        if isinstance(event, Checkpoint):
            return f"step {event.step:,}  saved {event.path}{'  (best so far)' if event.best else ''}"
        return f"step {event.step:,}  {_ENDS[event.reason]}"

    def _step(self, event: Step) -> str | None:
        self._tokens += event.tokens
        self._seconds += event.seconds
        self._batches += event.batches
        self._loss += event.loss * event.tokens
        now = time.monotonic()
        if now - self._last < self._interval and event.step > 1:
            return None
        of = left = ""
        if self._settings and (steps := self._settings.max_steps):
            batches = batches_after(event.step, steps, self._settings.batch_growth)
            of, left = f"/{steps:,}", f"  left {clock(batches * self._seconds / self._batches)}"
        line = (
            f"step {event.step:,}{of}  epoch {event.epoch + 1}  loss {self._loss / self._tokens:.3f}  "
            f"{self._tokens / self._seconds:,.0f} tokens/s{left}"
        )
        self._last, self._tokens, self._batches, self._seconds, self._loss = now, 0, 0, 0.0, 0.0
        return line


def _scores(metrics: dict[str, Any]) -> str:
    """The metrics beside the loss, in short, whichever the task has."""
    if "bits_per_character" in metrics:
        return f"perplexity {metrics['perplexity']:,.2f}  bits per character {metrics['bits_per_character']:.3f}"
    if "accuracy" in metrics:
        f1 = f"  macro F1 {metrics['macro_f1']:.3f}" if "macro_f1" in metrics else ""
        return f"accuracy {metrics['accuracy']:.1%}{f1}"
    told = [f"{_SHORT[name]} {metrics[name]:.1%}" for name in _SHORT if name in metrics]
    if told:
        return "  ".join(told)
    return f"BLEU {metrics['bleu']:.2f}  chrF {metrics['chrf']:.2f}  exact {metrics['exact_match']:.1%}"


_SHORT = {"masked_accuracy": "masked tokens right", "next_sentence_accuracy": "pairs right"}

_ENDS = {
    "steps": "done",
    "patience": "ended early: training.patience evaluations brought no better score",
    "time": "stopped: the time is up before the last step; keifu resume does the rest",
    "interrupted": "stopped as asked; go on with keifu resume",
}


def clock(seconds: float) -> str:
    """A duration to read: "45s", "12m05s", "3h07m"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"
