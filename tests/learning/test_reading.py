"""What a small model that reads must be able to learn, it learns to the ceiling."""

import random
from pathlib import Path

import pytest

from keifu.models import LINEAGE
from keifu.session import train
from tests.small_reading import ORDER, TAGS
from tests.small_text import write_text

LETTERS = "abcdefgh"
CLASSIFIERS = [name for name, ancestor in LINEAGE.items() if "classification" in ancestor.tasks]
SETTINGS = {
    "data": {"tokenizer": "character"},
    "training": {"batch_tokens": 500, "learning_rate": 0.004, "device": "cpu", "precision": "fp32"},
}


def overrides(model: str, steps: int) -> dict[str, dict[str, object]]:
    sizes = {"n_heads": 4, "d_ff": 128} if model in ("bert", "transformer") else {"direction": "bidirectional"}
    return {
        **SETTINGS,
        "model": {"d_model": 64, "n_layers": 1, "dropout": 0.0, **sizes},
        "training": {**SETTINGS["training"], "evaluate_every": steps},
    }


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_a_small_model_learns_which_of_two_letters_stands_first(model: str, tmp_path: Path) -> None:
    rng, steps = random.Random(0), 250
    lines = []
    for _ in range(3000):
        others = rng.choices(LETTERS[2:], k=4)
        first, second = sorted(rng.sample(range(5), 2))
        word = [*others[:first], "a", *others[first : second - 1], "b", *others[second - 1 :]]
        swap = rng.random() < 0.5
        text = "".join(word).translate(str.maketrans("ab", "ba")) if swap else "".join(word)
        lines.append(f"{text}\t{'b' if swap else 'a'}\n")
    spec = write_text(tmp_path / "a.tsv", "".join(lines))
    held_out = write_text(tmp_path / "b.tsv", "".join(lines[-200:]))
    run = train(
        "classification", f"{spec}[:2800]", model, valid=held_out, out=tmp_path / "run", max_steps=steps,
        overrides=overrides(model, steps),
    )  # fmt: skip
    assert run.metrics["accuracy"] >= 0.98


def test_bert_learns_which_of_two_texts_comes_first_in_the_alphabet(tmp_path: Path) -> None:
    """Neither text says so alone, nor both do without their order."""
    rng, steps = random.Random(0), 500
    lines = []
    for _ in range(4000):
        first, second = (rng.choice(LETTERS[:4]) * rng.randint(1, 4) for _ in range(2))
        lines.append(f"{first}\t{second}\t{'second' if second[0] < first[0] else 'first'}\n")
    spec = write_text(tmp_path / "a.tsv", "".join(lines))
    held_out = write_text(tmp_path / "b.tsv", "".join(lines[-300:]))
    run = train(
        "classification", f"{spec}[:3700]", valid=held_out, out=tmp_path / "run", max_steps=steps,
        overrides=overrides("bert", steps),
    )  # fmt: skip
    assert run.metrics["accuracy"] >= 0.98


@pytest.mark.parametrize("model", ["bert", "lstm"])
def test_a_small_model_learns_tags_that_hang_on_what_stands_around(model: str, tmp_path: Path) -> None:
    """A word that has two tags: what comes after it decides."""
    rng, steps = random.Random(0), 200
    sentences = []
    for _ in range(800):
        rows = [(rng.choice(TAGS[tag]), tag) for tag in ORDER]
        at = rng.randrange(len(rows))
        verb = rng.random() < 0.5
        rows[at : at + 1] = [("saw", "VERB"), ("it", "PRON")] if verb else [("saw", "NOUN"), ("cuts", "VERB")]
        sentences.append("".join(f"{word}\t{tag}\n" for word, tag in rows))
    spec = write_text(tmp_path / "a.txt", "\n".join(sentences))
    run = train("tagging", spec, model, out=tmp_path / "run", max_steps=steps, overrides=overrides(model, steps))
    assert run.metrics["accuracy"] >= 0.98


def test_bert_learns_what_is_masked_and_what_follows(tmp_path: Path) -> None:
    """In a document all sentences repeat one letter, so a masked one and a true neighbour can be told."""
    rng, steps = random.Random(0), 300
    documents = ["".join(f"{sign * 6}.\n" for _ in range(3)) for sign in rng.choices(LETTERS, k=1500)]
    spec = write_text(tmp_path / "a.txt", "\n".join(documents))
    settings = overrides("bert", steps)
    settings["data"] = {"tokenizer": "character", "max_tokens": 20}
    run = train("masked-lm", spec, out=tmp_path / "run", max_steps=steps, overrides=settings)
    assert run.metrics["masked_accuracy"] > 0.97
    low, _ = run.metrics["next_sentence_accuracy_interval"]
    assert low > 0.85  # one stranger in eight has the same letter
    assert run.model.fill("bbb[MASK]bb.", top=1)[0].token == "b"
    assert run.model.classify(["cccccc.\tcccccc.", "cccccc.\tdddddd."]) == ["next", "random"]
