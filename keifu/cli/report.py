"""Evaluation reports as text."""

from typing import Any

_UNNAMED = "source to target"  # of data that does not name its languages


def evaluation_report(report: dict[str, Any]) -> str:
    """A line a metric; what has to be known of the data stands first."""
    return _language_report(report) if "bits_per_character" in report else _translation_report(report)


def _language_report(report: dict[str, Any]) -> str:
    read = "as one text" if report["reading"] == "stream" else "document by document"
    if "context" in report:
        read += f", each token from at least {report['context']} before it where there are so many"
    lines = [f"{report['data']}: {report['characters']:,} characters, {report['tokens']:,} tokens, read {read}"]
    lines += _role(report)
    if report["unknown"]:
        lines.append(f"note: {report['unknown']:.2%} of its tokens are unknown to the vocabulary, which flatters it")
    lines.append(f"bits per character {report['bits_per_character']:9.3f}")
    lines.append(f"loss               {report['loss']:9.3f}   nats a token")
    lines.append(f"perplexity         {report['perplexity']:9,.2f}   a token")
    lines.append(f"speed              {report['tokens_per_second']:9,.0f}   tokens/s")
    if "experts" in report:
        lines += _experts(report["experts"])
    return "\n".join(lines)


def _experts(load: dict[str, Any]) -> list[str]:
    """A line a layer, and a line a kind of token in the last one. --json has all."""
    lines = [f"experts            their shares of the choices, over {load['tokens']:,} tokens"]
    lines += [f"  {f'layer {number}':22} {_percent(shares)}" for number, shares in enumerate(load["layers"])]
    last = len(load["layers"]) - 1
    lines.append(f"by kind of token   in layer {last}")
    for kind, of in load["kinds"].items():
        lines.append(f"  {kind:13} {of['tokens']:8,} {_percent(of['layers'][last])}")
    return lines


def _percent(shares: list[float]) -> str:
    return " ".join(f"{share:5.1%}" for share in shares)


def _role(report: dict[str, Any]) -> list[str]:
    lines = []
    if report["selected_on"]:
        lines.append("note: the best checkpoint was chosen on this very data; report a score on other data")
    if report["trained_on"]:
        lines.append("note: the model was trained on this very data; report a score on other data")
    return lines


def _translation_report(report: dict[str, Any]) -> str:
    """With signatures."""
    lines = [f"{report['data']}: {report['sentences']:,} sentences, beam {report['beam']}"]
    data, model = (" to ".join(report[name]) for name in ("languages", "model_languages"))
    if data != model and _UNNAMED not in (data, model):
        lines.append(f"note: the data go from {data}, the model from {model}; name both alike, or choose other data")
    lines += _role(report)
    lines.append(f"BLEU           {report['bleu']:6.2f}   {report['bleu_signature']}")
    if "bleu_note" in report:
        lines.append(f"               {report['bleu_note']}")
    if "bleu_as_given" in report:
        lines.append(f"BLEU as given  {report['bleu_as_given']:6.2f}   {report['bleu_as_given_signature']}")
    lines.append(f"chrF           {report['chrf']:6.2f}   {report['chrf_signature']}")
    lines.append(f"exact match    {report['exact_match']:6.1%}")
    for name, share in report.get("exact_match_by_construction", {}).items():
        lines.append(f"  {name:16} {share:6.1%}")
    if "alignment_error" in report:
        chosen = f"decoder layer {report['alignment_layer']}, chosen on {report['alignment_layer_chosen_on']}"
        lines.append(f"alignment error {report['alignment_error']:5.1%}   {chosen}")
    lines.append(f"speed          {report['sentences_per_second']:6.1f}   sentences/s")
    return "\n".join(lines)
