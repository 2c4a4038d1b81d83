"""README.md of a run folder: what was trained, on what, how well it does, and how to use it."""

import json
from pathlib import Path
from typing import Any

from keifu.training.loop import score_of
from keifu.training.record import read_history
from keifu.training.settings import Settings


def model_card(path: Path, settings: Settings, selects_by: str) -> str:
    """The card in Markdown, from the settings and the run's own data.json and metrics.jsonl."""
    data = json.loads((path / "data.json").read_text("utf-8"))
    model, task = settings.model, settings.training.task
    between = f", {' to '.join(data['languages'])}" if "languages" in data else ""
    train, valid = data["train"], data["valid"]
    lines = [
        f"# {path.name}",
        "",
        f"A `{model.name}` ({layers(model)}, d_model {model.d_model}) for {task}{between}.",
        "",
        f"- Learned from: `{train['spec']}`, {_amount(train)}, SHA-256 `{train['sha256'][:16]}…`",
        f"- Best checkpoint chosen on: {valid['spec']} ({_amount(valid)})",
    ]
    best = best_evaluation(path, selects_by)
    if best is not None:
        scores = scores_in_words(best["valid"], "`")
        lines += [
            f"- Best at step {best['step']:,} of {settings.training.max_steps:,}: {scores}, "
            f"loss {best['valid']['loss']:.3f} nats {_COUNTED.get(task, 'a token')}. These are scores on the data that "
            "it was chosen on; report others.",
        ]
    commands = [command_to_use(path, task), f"keifu resume {path} --max-time +20m"]
    return "\n".join([*lines, "", "```", *commands, "```", ""])


_COUNTED = {"question-answering": "a question"}
"""What a loss is a mean over, where it is not tokens."""


def layers(model: Any) -> str:
    """How many a model has, in words; of a memory network its hops."""
    if not hasattr(model, "n_layers"):
        return f"{model.n_hops} hop{'s' if model.n_hops > 1 else ''}"
    return f"{model.n_layers} layer{'s' if model.n_layers > 1 else ''}"


def command_to_use(path: Path, task: str) -> str:
    """What to type to use a model."""
    use = {"translation": "translate", "language-modeling": "generate", "question-answering": "answer"}[task]
    return f'keifu {use} {path} "..."{" --story FILE" if use == "answer" else ""}'


def scores_in_words(metrics: dict[str, Any], quote: str = "") -> str:
    """The scores of an evaluation beside its loss, whichever the task has."""
    if "bits_per_character" in metrics:
        return f"{metrics['bits_per_character']:.3f} bits per character, perplexity {metrics['perplexity']:,.2f}"
    if "accuracy" in metrics:
        low, high = metrics["accuracy_interval"]
        failed = f", failed: {', '.join(metrics['failed'])}" if metrics["failed"] else ""
        return f"accuracy {metrics['accuracy']:.1%} (95 % interval {low:.1%} to {high:.1%}){failed}"
    signature = f"{quote}{metrics['bleu_signature']}{quote}"
    return f"BLEU {metrics['bleu']:.2f} ({signature}, greedy), chrF {metrics['chrf']:.2f}"


def best_evaluation(path: Path, selects_by: str) -> dict[str, Any] | None:
    """The line of a run's metrics.jsonl with the best score; None before the first evaluation."""
    evaluations = [line for line in read_history(path) if "valid" in line]
    return max(evaluations, key=lambda line: score_of(line["valid"], selects_by), default=None)


def _amount(part: dict[str, Any]) -> str:
    unit = next(unit for unit in ("pairs", "characters", "questions") if unit in part)
    return f"{part[unit]:,} {unit}"
