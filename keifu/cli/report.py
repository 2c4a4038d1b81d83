"""Evaluation reports as text."""

from typing import Any

from keifu.training.model_card import with_interval

_MOST_FACTS, _LEAST_READ = 3, 0.05  # that are shown of what a hop read
_SHOWN = 12  # classes of a confusion matrix
_UNNAMED = "source to target"  # of data that does not name its languages


def evaluation_report(report: dict[str, Any]) -> str:
    """A line a metric; what has to be known of the data stands first."""
    kinds = {"bits_per_character": _language_report, "macro_f1": _decision_report, "sequences": _masked_report}
    kinds |= {"questions": _answers_report}
    return next((kind for mark, kind in kinds.items() if mark in report), _translation_report)(report)


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


def _masked_report(report: dict[str, Any]) -> str:
    """With 95 % intervals."""
    lines = [f"{report['data']}: {report['documents']:,} documents, read in {report['sequences']:,} sequences"]
    lines += _role(report)
    if report["unknown"]:
        lines.append(f"note: {report['unknown']:.2%} of its tokens are unknown to the vocabulary")
    if "masked_accuracy" in report:
        told = with_interval(report, "masked_accuracy")
        lines.append(f"masked tokens right  {told}, of {report['masked_tokens']:,}")
    if "next_sentence_accuracy" in report:
        told = with_interval(report, "next_sentence_accuracy")
        lines.append(f"pairs right          {told}, of {report['pairs']:,}, half of which are true")
    lines.append(f"loss                 {report['loss']:.3f} nats")
    lines.append(f"speed                {report['sequences_per_second']:,.1f} sequences/s")
    return "\n".join(lines)


def _decision_report(report: dict[str, Any]) -> str:
    """With 95 % intervals; the confusion matrix where it is small."""
    lines = [f"{report['data']}: {report['examples']:,} {report['unit']}s", *_role(report)]
    if "left_out" in report:
        lines.append(f"note: left out: {report['left_out']:,} lines without a text or without a class")
    if report.get("cut"):
        lines.append(f"note: {report['cut']:,} texts are longer than the model can read, and were cut")
    if report.get("unread"):
        lines.append(f"note: words that were cut off with them, and are not in the scores: {report['unread']:,}")
    lines.append(f"accuracy  {with_interval(report, 'accuracy')}")
    lines.append(f"macro F1  {with_interval(report, 'macro_f1')}")
    width = max(map(len, report["labels"]))
    for label, score in report["labels"].items():
        rates = "  ".join(f"{name} {100 * score[name]:5.1f} %" for name in ("precision", "recall", "f1"))
        lines.append(f"  {label:{width}}  {rates}  of {score['examples']:,}")
    if len(report["labels"]) <= _SHOWN:
        lines.append("confusion: a row for each true class, a column for each that was found")
        rows = zip(report["labels"], report["confusion"], strict=True)
        lines += [f"  {label:{width}}  {' '.join(f'{count:7,}' for count in counts)}" for label, counts in rows]
    lines.append(f"loss      {report['loss']:.3f} nats")
    for unit in ("texts", "pictures"):
        if f"{unit}_per_second" in report:
            lines.append(f"speed     {report[f'{unit}_per_second']:,.1f} {unit}/s")
    return "\n".join(lines)


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
    if "left_out_as_too_long" in report:
        left_out = f"{report['left_out_as_too_long']:,} pairs were left out"
        lines.append(f"note: {left_out}: the model does not read sources that long")
    lines.append(f"BLEU           {report['bleu']:6.2f}   {report['bleu_signature']}")
    if "bleu_note" in report:
        lines.append(f"               {report['bleu_note']}")
    if "bleu_as_given" in report:
        lines.append(f"BLEU as given  {report['bleu_as_given']:6.2f}   {report['bleu_as_given_signature']}")
    lines.append(f"chrF           {report['chrf']:6.2f}   {report['chrf_signature']}")
    lines.append(f"exact match    {report['exact_match']:6.1%}")
    if "loss" in report:
        without = f", but for {report['too_long']:,} that are too long" if "too_long" in report else ""
        lines.append(f"loss           {report['loss']:6.3f}   nats a token of the references{without}")
        lines.append(f"perplexity     {report['perplexity']:6.2f}   a token")
    for name, share in report.get("exact_match_by_construction", {}).items():
        lines.append(f"  {name:16} {share:6.1%}")
    if "alignment_error" in report:
        chosen = f"decoder layer {report['alignment_layer']}, chosen on {report['alignment_layer_chosen_on']}"
        lines.append(f"alignment error {report['alignment_error']:5.1%}   {chosen}")
    lines.append(f"speed          {report['sentences_per_second']:6.1f}   sentences/s")
    return "\n".join(lines)


def _answers_report(report: dict[str, Any]) -> str:
    low, high = report["accuracy_interval"]
    lines = [f"{report['data']}: {report['questions']:,} questions", *_role(report)]
    if unknown := report["unknown_answers"]:
        lines.append(f"note: answers that the model was not taught: {unknown:,}; it is wrong there in any case")
    lines.append(f"accuracy       {report['accuracy']:6.1%}   95 % interval {low:.1%} to {high:.1%}")
    kinds = report["accuracy_by_kind"]
    if len(kinds) > 1:
        for kind, accuracy in kinds.items():
            lines.append(f"  {kind:12} {accuracy:6.1%}{'   failed' if kind in report['failed'] else ''}")
        failed = f"{len(report['failed'])} of {len(kinds)} kinds failed (over 5 % wrong)"
        lines.append(f"mean error     {report['mean_error']:6.1%}   {failed}")
    lines.append(f"loss           {report['loss']:6.3f}   nats a question")
    for hop, share in enumerate(report.get("supported_by_hop", []), 1):
        lines.append(f"hop {hop}          {share:6.1%}   read most of a fact that leads to the answer")
    lines.append(f"speed          {report['questions_per_second']:6,.0f}   questions/s")
    return "\n".join(lines)


def answer_report(found: Any) -> str:
    """An answer with its probability, and below it, for each hop, the facts that it read most of."""
    notes = [f"  note: no training text has {', '.join(map(repr, found.unknown))}"] if found.unknown else []
    told = "the story says"
    if found.left_out:
        notes.append(f"  note: {found.left_out:,} earlier facts are more than the model reads, and were left out")
        told = "the facts that were read say"
    if found.answer is None:
        lacking = ", ".join(map(repr, found.missing))
        return "\n".join([f"{found.question}  no answer: {told} nothing of {lacking}", *notes])
    lines = [f"{found.question}  {found.answer}  ({found.probability:.1%})", *notes]
    for number, hop in enumerate(found.weights, 1):
        order = sorted(range(len(hop)), key=lambda place: -hop[place])[:_MOST_FACTS]
        read = [place for place in order if hop[place] >= _LEAST_READ] or order[:1]
        for place in read:
            name = f"hop {number}" if place == read[0] else ""
            lines.append(f"  {name:6} {hop[place]:6.1%}  {found.left_out + place + 1:3}  {found.facts[place]}")
    return "\n".join(lines)
