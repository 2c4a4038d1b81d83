"""The diagnosis of a model as text: verdict and advice first, the worst sentences last."""

from typing import Any

from keifu.cli.columns import wrapped

_SCORES = {"chrf": "chrF", "bleu": "BLEU"}
_REPETITIONS = {"repeating": "repeat themselves", "distinct": "distinct", "copies": "copy the source"}


def diagnosis_report(report: dict[str, Any]) -> str:
    """Lines to read. Texts of the data stay within the width, whatever they hold."""
    parts = [_head(report), _advice(report), _fit(report["fit"]), _measures(report), _worst(report["worst"])]
    return "\n\n".join("\n".join(lines) for lines in parts)


def _head(report: dict[str, Any]) -> list[str]:
    all_of = "all" if report["pairs"] == report["of"] else f"{report['pairs']:,} of"
    lines = [*wrapped(f"{report['data']}: {all_of} {report['of']:,} pairs, beam {report['decoding']['beam']}", "")]
    if report["too_long"]:
        lines.append(f"note: {report['too_long']:,} pairs were left out: the model does not read texts that long")
    if report["trained_on"]:
        lines.append("note: the model was trained on this very data; name other data for its outputs on new text")
    return [*lines, f"verdict: {report['verdict']}"]


def _advice(report: dict[str, Any]) -> list[str]:
    lines = ["what to try, most important first"]
    for number, text in enumerate(report["advice"], 1):
        lines += wrapped(text, f"{number:3}. ")
    return lines


def _fit(fit: dict[str, Any]) -> list[str]:
    lines = ["losses, nats a token"]
    lines.append(f"  training        {_number(fit['training_loss'])}   {fit['training_loss_is']}")
    lines.append(f"  validation      {_number(fit['validation_loss'])}   of the run")
    lines.append(
        f"  these texts     {_number(fit['loss'])}   {_number(fit['unigram_entropy']).strip()} by frequencies alone"
    )
    if fit["evaluations"]:
        lines.append(f"  lowest          {_number(fit['lowest_validation_loss'])}   at step {fit['lowest_step']:,}")
        lines.append(f"  best score      at step {fit['best_step']:,} of {fit['last_step']:,}")
    return lines


def _number(value: float | None) -> str:
    return "      -" if value is None else f"{value:7.3f}"


def _measures(report: dict[str, Any]) -> list[str]:
    scores, unknown = report["scores"], report["unknown"]
    lengths, repetitions = report["lengths"], report["repetitions"]
    lines = [f"{title:17} {scores[name]:6.2f}   {scores[f'{name}_signature']}" for name, title in _SCORES.items()]
    for name, of in scores["by_length"].items():
        low, high = of["tokens"]
        lines.append(f"chrF, {name:11} {of['chrf']:6.2f}   {of['sentences']:,} sources of {low:,} to {high:,} tokens")
    shares = ", ".join(f"{name} {unknown[name]:.1%}" for name in ("sources", "references", "outputs"))
    lines.append(f"unknown tokens    {shares} ({unknown['tokens']})")
    if unknown["most_frequent"]:
        lines += wrapped("  ".join(f"{text} {count:,}" for text, count in unknown["most_frequent"]), " " * 18)
    by_tokens = f"{lengths['tokens']:.2f} of their tokens"
    lines.append(f"length            {lengths['characters']:.2f} of the references' characters, {by_tokens}")
    lines.append(f"                  cut at the limit {lengths['cut']:.1%}, empty {lengths['empty']:.1%}")
    for name, title in _REPETITIONS.items():
        of = repetitions[name]
        lines.append(f"{title:17} outputs {of['outputs']:.1%}, references {of['references']:.1%}")
    for output, count in repetitions["most_frequent"][:3]:
        lines += wrapped(output or "(empty)", f"  {count:5,} sources:  ")
    return lines


def _worst(sentences: list[dict[str, Any]]) -> list[str]:
    lines = [f"the {len(sentences)} worst sentences by chrF"]
    for each in sentences:
        cut = "" if each["complete"] else ", output cut at the limit"
        place = each["place"] or f"line {each['line']:,}"
        lines += wrapped(f"{place}  chrF {each['chrf']:.1f}, {each['tokens']} tokens{cut}", "  ")
        for name in ("source", "reference", "output"):
            lines += wrapped(each[name] or "(empty)", f"    {name:11}")
    return lines
