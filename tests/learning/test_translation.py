"""What a small model must be able to learn, it learns to the ceiling: unseen inputs, written out by greedy search."""

import random
from collections.abc import Callable

import pytest
import torch

from keifu.data.batches import Sampler
from keifu.data.examples import Pair
from keifu.generation.translation import Decoding, translate
from keifu.models import LINEAGE, architecture
from keifu.tasks.translation import Translation
from keifu.text import Tokenizer
from keifu.training.loop import Learner, take_step
from keifu.training.network import make_model, named_parameters
from keifu.training.optimiser import make_optimizers, peak_learning_rate
from keifu.training.settings import Training, resolve_settings

LETTERS = "abcdefgh"
DIGITS = "31602574"
MODELS = [name for name, ancestor in LINEAGE.items() if "translation" in ancestor.tasks]


SIZES = {"d_model": 64, "n_layers": 2, "n_heads": 4, "d_ff": 128, "dropout": 0.0}


def copied(word: str) -> str:
    """The same again: attention must find its own place."""
    return word


def reversed_(word: str) -> str:
    """From the last to the first: attention must walk backwards from an end that it has to find."""
    return word[::-1]


def looked_up(word: str) -> str:
    """Each letter's digit: a table that only the weights can hold."""
    return "".join(DIGITS[LETTERS.index(letter)] for letter in word)


def _words(rng: random.Random, longest: int, draws: int) -> list[str]:
    """Different words of 1 to `longest` letters."""
    words = list({"".join(rng.choices(LETTERS, k=rng.randint(1, longest))): None for _ in range(draws)})
    rng.shuffle(words)  # short ones come up first
    return words


TASKS = ((copied, 500), (reversed_, 800), (looked_up, 600))
CASES = [
    (model, task, steps)
    for model in MODELS
    for task, steps in TASKS
    if task is copied or "language-modeling" not in LINEAGE[model].tasks  # those learn their tasks from one text too
]


@pytest.mark.parametrize(("model", "task", "steps"), CASES)
def test_a_small_model_learns(model: str, task: Callable[[str], str], steps: int) -> None:
    # Through a single vector pass shorter words, and it takes more of them to learn what all have in common.
    single = model.endswith("-seq2seq") and model != "bert-seq2seq"
    longest, draws = (4, 40_000) if single else (7, 5_000)
    pairs = [Pair(word, task(word)) for word in _words(random.Random(0), longest, draws)]
    held_out, pairs = pairs[:200], pairs[200:]
    tokenizer = Tokenizer.train([LETTERS + DIGITS], "character", 100)
    fields = architecture(model).Config.model_fields
    overrides = {
        "model": {key: value for key, value in SIZES.items() if key in fields},
        "training": {"max_steps": steps, "learning_rate": 0.002, "label_smoothing": 0.0},
    }
    settings = resolve_settings("translation", model, overrides=overrides).with_model(vocab_size=tokenizer.vocab_size)
    learner = _learner(settings.model, settings.training, tokenizer, pairs)
    losses = [take_step(learner, settings.training).loss for _ in range(steps)]
    assert losses[-1] < 0.05 * losses[0]

    learner.network.eval()
    found = translate(
        learner.model, learner.head, tokenizer, [pair.source for pair in held_out], Decoding(beam=1, max_ratio=1.0)
    )
    right = sum(best.text == pair.target for [best], pair in zip(found, held_out, strict=True))
    lowest = 0.95 if single else 0.98 if model == "transformer" else 0.9
    assert right >= lowest * len(held_out), f"{right} of {len(held_out)} right"


def _learner(config: object, training: Training, tokenizer: Tokenizer, pairs: list[Pair]) -> Learner:
    torch.manual_seed(0)
    network = make_model(config)
    task = Translation.for_model(network, tokenizer)
    head = task.head(network)
    peak = peak_learning_rate(training, 64)
    optimizers = make_optimizers(named_parameters(network, head), training, peak, torch.float32)
    data = task.encode(pairs)
    sampler = Sampler(task.sizes_read(data), 500, seed=0)
    return Learner(task, network, head, optimizers, peak, sampler, data, torch.device("cpu"), torch.float32)
