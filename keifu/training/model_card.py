"""README.md of a run folder: what was trained, on what, how well it does, and how to use it."""

import json
from pathlib import Path
from typing import Any

from keifu.tasks.translation import Translation
from keifu.training.record import read_history
from keifu.training.settings import Settings


def model_card(path: Path, settings: Settings) -> str:
    """The card in Markdown, from the settings and the run's own data.json and metrics.jsonl."""
    data = json.loads((path / "data.json").read_text("utf-8"))
    source, target = data["languages"]
    model = settings.model
    lines = [
        f"# {path.name}",
        "",
        f"A `{model.name}` ({model.n_layers} layers, d_model {model.d_model}) "
        f"for {settings.training.task}, {source} to {target}.",
        "",
        f"- Learned from: `{data['train']['spec']}`, {data['train']['pairs']:,} pairs, "
        f"SHA-256 `{data['train']['sha256'][:16]}…`",
        f"- Best checkpoint chosen on: {data['valid']['spec']} ({data['valid']['pairs']:,} pairs)",
    ]
    best = best_evaluation(path)
    if best is not None:
        scores = best["valid"]
        lines += [
            f"- Best at step {best['step']:,} of {settings.training.max_steps:,}: BLEU {scores['bleu']:.2f} "
            f"(`{scores['bleu_signature']}`, greedy), chrF {scores['chrf']:.2f}, "
            f"loss {scores['loss']:.3f} nats a token. These are scores on the data that it was chosen "
            "on; report others.",
        ]
    return "\n".join(
        [*lines, "", "```", f'keifu translate {path} "..."', f"keifu resume {path} --max-time +20m", "```", ""]
    )


def best_evaluation(path: Path) -> dict[str, Any] | None:
    """The line of a run's metrics.jsonl with the best score; None before the first evaluation."""
    evaluations = [line for line in read_history(path) if "valid" in line]
    return max(evaluations, key=lambda line: float(line["valid"][Translation.selects_by]), default=None)
