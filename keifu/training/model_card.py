"""README.md of a run folder: what was trained, on what, how well it does, and how to use it."""

import json
from pathlib import Path
from typing import Any

from keifu.training.loop import score_of
from keifu.training.record import read_history
from keifu.training.settings import MaskedTraining, Settings, Training


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
    commands = [command_to_use(path, settings.training), f"keifu resume {path} --max-time +20m"]
    return "\n".join([*lines, "", "```", *commands, "```", ""])


_COUNTED = {
    "question-answering": "a question",
    "image-classification": "a picture",
    "classification": "a text",
    "tagging": "a word",
    "masked-lm": "a token, or a pair, that was told",
}
"""What a loss is a mean over, where it is not tokens."""


def layers(model: Any) -> str:
    """How many a model has, in words; of a memory network its hops."""
    if not hasattr(model, "n_layers"):
        return f"{model.n_hops} hop{'s' if model.n_hops > 1 else ''}"
    return f"{model.n_layers} layer{'s' if model.n_layers > 1 else ''}"


def command_to_use(path: Path, training: Training) -> str:
    """What to type to use a model that was so trained."""
    task = training.task
    if isinstance(training, MaskedTraining) and not training.masked:
        return f"printf 'I like cats.\\tI see cats.\\n' | keifu classify {path} --head next-sentence"
    use = {"translation": "translate", "language-modeling": "generate", "masked-lm": "fill"}
    use |= {"classification": "classify", "tagging": "tag", "question-answering": "answer"}
    if task == "image-classification":
        return f"keifu classify {path} picture.png"
    if task == "question-answering":
        return f'keifu answer {path} "..." --story FILE'
    return f'keifu {use[task]} {path} "{"... [MASK] ..." if task == "masked-lm" else "..."}"'


def scores_in_words(metrics: dict[str, Any], quote: str = "") -> str:
    """The scores of an evaluation beside its loss, whichever the task has."""
    if "bits_per_character" in metrics:
        return f"{metrics['bits_per_character']:.3f} bits per character, perplexity {metrics['perplexity']:,.2f}"
    if "accuracy" in metrics:
        if "failed" in metrics:
            failed = f", failed: {', '.join(metrics['failed'])}" if metrics["failed"] else ""
            return f"accuracy {with_interval(metrics, 'accuracy')}{failed}"
        accuracy, f1 = (with_interval(metrics, name) for name in ("accuracy", "macro_f1"))
        return f"accuracy {accuracy}, macro F1 {f1}"
    told = {"masked_accuracy": "of masked tokens", "next_sentence_accuracy": "of pairs"}
    if right := [f"{with_interval(metrics, name)} {what}" for name, what in told.items() if name in metrics]:
        return f"right: {', '.join(right)}"
    signature = f"{quote}{metrics['bleu_signature']}{quote}"
    return f"BLEU {metrics['bleu']:.2f} ({signature}, greedy), chrF {metrics['chrf']:.2f}"


def with_interval(metrics: dict[str, Any], name: str) -> str:
    """A share with its 95 % interval: "81.2 % (79.9 to 82.4)"."""
    low, high = metrics[f"{name}_interval"]
    return f"{100 * metrics[name]:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def best_evaluation(path: Path, selects_by: str) -> dict[str, Any] | None:
    """The line of a run's metrics.jsonl with the best score; None before the first evaluation."""
    evaluations = [line for line in read_history(path) if "valid" in line]
    return max(evaluations, key=lambda line: score_of(line["valid"], selects_by), default=None)


def _amount(part: dict[str, Any]) -> str:
    unit = next(unit for unit in ("pairs", "characters", "examples", "questions", "pictures") if unit in part)
    return f"{part[unit]:,} {unit}"
