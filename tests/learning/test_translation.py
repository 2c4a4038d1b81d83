"""What a small model must be able to learn, it learns to the ceiling: unseen inputs, written out by greedy search."""

import random
from collections.abc import Callable

import pytest
import torch

from keifu.data.batches import Sampler
from keifu.data.examples import Pair
from keifu.generation.translation import Decoding, translate
from keifu.models import LINEAGE
from keifu.tasks.translation import Translation
from keifu.text import Tokenizer
from keifu.training.loop import Learner, take_step
from keifu.training.network import make_model, named_parameters
from keifu.training.optimiser import make_optimizers, peak_learning_rate
from keifu.training.settings import Training, resolve_settings

LETTERS = "abcdefgh"
DIGITS = "31602574"
MODELS = [name for name, ancestor in LINEAGE.items() if "translation" in ancestor.tasks]


def _word(rng: random.Random) -> str:
    return "".join(rng.choice(LETTERS) for _ in range(rng.randint(1, 7)))


def copied(rng: random.Random) -> Pair:
    """The same again: attention must find its own place."""
    word = _word(rng)
    return Pair(word, word)


def reversed_(rng: random.Random) -> Pair:
    """From the last to the first: attention must walk backwards from an end that it has to find."""
    word = _word(rng)
    return Pair(word, word[::-1])


def looked_up(rng: random.Random) -> Pair:
    """Each letter's digit: a table that only the weights can hold."""
    word = _word(rng)
    return Pair(word, "".join(DIGITS[LETTERS.index(letter)] for letter in word))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("task", "steps"), [(copied, 400), (reversed_, 500), (looked_up, 400)])
def test_a_small_model_learns(model: str, task: Callable[[random.Random], Pair], steps: int) -> None:
    rng = random.Random(0)
    pairs = list({pair.source: pair for pair in (task(rng) for _ in range(5000))}.values())
    held_out, pairs = pairs[:200], pairs[200:]
    tokenizer = Tokenizer.train([LETTERS + DIGITS], "character", 100)
    overrides = {
        "model": {"d_model": 64, "n_layers": 2, "n_heads": 4, "d_ff": 128, "dropout": 0.0},
        "training": {"max_steps": steps, "learning_rate": 0.003, "label_smoothing": 0.0},
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
    assert right >= 0.98 * len(held_out), f"{right} of {len(held_out)} right"


def _learner(config: object, training: Training, tokenizer: Tokenizer, pairs: list[Pair]) -> Learner:
    torch.manual_seed(0)
    task = Translation(tokenizer)
    network = make_model(config)
    head = task.head(network)
    peak = peak_learning_rate(training, 64)
    optimizers = make_optimizers(named_parameters(network, head), training, peak, torch.float32)
    data = task.encode(pairs)
    sampler = Sampler(data.sizes, 500, seed=0)
    return Learner(task, network, head, optimizers, peak, sampler, data, torch.device("cpu"), torch.float32)
