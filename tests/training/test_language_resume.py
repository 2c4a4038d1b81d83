"""A language model's run that was stopped goes on exactly: what it remembered of the text before goes on with it."""

from pathlib import Path
from typing import Any

import pytest

from keifu.checkpoint import load_training_state
from keifu.config import merge
from keifu.errors import ConfigError
from keifu.training.growth import batches_in_step
from keifu.training.loop import Checkpoint, Finished, Step, Stopped
from keifu.training.run import Run
from keifu.training.start import resume
from tests.resuming import assert_ends_equal, fingerprints, stopped_everywhere, stops
from tests.small_text import language_run, running, sentences, write_text

STEPS, EVERY, PARTS = 16, 5, 3
TRAINING = {"max_steps": STEPS, "evaluate_every": EVERY, "accumulate": PARTS}
DROPOUT = {"model": {"dropout": 0.3, "n_layers": 2}}
READINGS = {"stream": running(40), "documents": "".join(f"{line}\n" for line in sentences(40))}


def settings(name: str) -> dict[str, Any]:
    """What a run of the model has beside small sizes; experts keep count of their load."""
    return merge(DROPOUT, {"model": {"balance_step": 0.01}}) if name == "moe" else DROPOUT


CASES = [
    ("stream", "lstm", 1),
    ("stream", "lstm", 3),
    ("stream", "gru-attention", 1),
    ("documents", "rnn", 1),
    ("stream", "gpt", 1),
    ("documents", "llama", 2),
    ("stream", "moe", 1),
]
Whole = tuple[Run, dict[int, dict[str, str]], str]


@pytest.fixture(scope="module", params=CASES, ids=str)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A run that never stopped, its fingerprints and its data."""
    reading, model, growth = request.param
    folder = tmp_path_factory.mktemp("whole")
    spec = write_text(folder / "a.txt", READINGS[reading])
    run = language_run(spec, folder / "run", {**TRAINING, "batch_growth": growth}, model, **settings(model))
    assert run.settings.data.reading == reading
    return run, dict(fingerprints(run)), spec


def begun(whole: Whole, out: Path) -> Run:
    model, growth = whole[0].settings.model.name, whole[0].settings.training.batch_growth
    return language_run(whole[2], out, {**TRAINING, "batch_growth": growth}, model, **settings(model))


def test_a_run_may_be_stopped_at_every_step(whole: Whole, tmp_path: Path) -> None:
    run = begun(whole, tmp_path / "run")
    batches = run.learner.sampler.batches_per_epoch
    assert 2 < batches < STEPS  # stops in the middle and at the end of an epoch
    assert stopped_everywhere(run, stops(STEPS, EVERY)) == whole[1]
    assert_ends_equal(tmp_path / "run", whole[0].folder.path)


@pytest.mark.parametrize("part", range(PARTS))
def test_a_run_that_was_stopped_within_a_step_takes_it_anew(part: int, whole: Whole, tmp_path: Path) -> None:
    run = begun(whole, tmp_path / "run")
    asked, batches = 0, batches_in_step(7, STEPS, run.settings.training.batch_growth)
    earlier = (batches - 1) * PARTS  # parts of the batches before its last one

    def should_stop() -> bool:  # once before the step, then in each of its parts
        nonlocal asked
        asked += run.learner.step == 6
        return asked > earlier + part + 1

    before = [event.step for event in run.events(should_stop) if isinstance(event, Step)]
    assert before == list(range(1, 7))
    found = dict(fingerprints(resume(tmp_path / "run")))
    assert found == {number: each for number, each in whole[1].items() if number > 6}
    assert_ends_equal(tmp_path / "run", whole[0].folder.path)


def test_a_run_that_was_stopped_in_an_evaluation_makes_it_first(whole: Whole, tmp_path: Path) -> None:
    run = begun(whole, tmp_path / "run")
    events = list(run.events(lambda: run.learner.step == EVERY))
    assert [type(event) for event in events[-2:]] == [Checkpoint, Finished]
    list(resume(tmp_path / "run").events())
    assert_ends_equal(tmp_path / "run", whole[0].folder.path)


def test_an_evaluation_can_be_stopped_wherever_the_text_that_it_writes_goes_on(tmp_path: Path) -> None:
    spec = write_text(tmp_path / "a.txt", READINGS["stream"])
    run = language_run(spec, tmp_path / "run", TRAINING, "lstm", decoding={"max_tokens": 50})
    next(iter(run.events()))
    asked: list[int] = []
    run.evaluate(lambda: bool(asked.append(0)))
    assert len(asked) > 20
    left = iter(asked[1:])
    with pytest.raises(Stopped):
        run.evaluate(lambda: next(left, None) is None)


@pytest.mark.parametrize(("name", "value"), [("batch_tokens", 64), ("accumulate", 1), ("seed", 5)])
def test_a_run_goes_on_with_the_batches_that_it_began_with(name: str, value: int, tmp_path: Path) -> None:
    spec = write_text(tmp_path / "a.txt", READINGS["stream"])
    run = language_run(spec, tmp_path / "run", TRAINING, "lstm")
    list(run.events(should_stop=lambda: run.learner.step == 3))
    path = tmp_path / "run" / "config.yaml"
    before = getattr(run.settings.training, name)
    path.write_text(path.read_text("utf-8").replace(f"  {name}: {before}\n", f"  {name}: {value}\n"), "utf-8")
    with pytest.raises(ConfigError, match=rf"training\.{name} is {value}, and was {before} when the run stopped"):
        resume(tmp_path / "run")


def test_what_is_remembered_lies_in_the_checkpoint_and_counts(tmp_path: Path) -> None:
    spec = write_text(tmp_path / "a.txt", READINGS["stream"])
    run = language_run(spec, tmp_path / "run", {**TRAINING, "max_steps": 20}, **DROPOUT)
    list(run.events(should_stop=lambda: run.learner.step == 3))
    state = load_training_state(tmp_path / "run" / "last")
    carried = {name: tensor for name, tensor in state.tensors.items() if name.startswith("carried.")}
    assert sorted(carried) == [f"carried.{part}.{layer}.{k}" for part in range(3) for layer in (0, 1) for k in (0, 1)]
    again, other = resume(tmp_path / "run"), resume(tmp_path / "run")
    other.learner.carried = []
    losses = [next(event.loss for event in each.events() if isinstance(event, Step)) for each in (again, other)]
    assert losses[0] != losses[1]


def test_the_state_of_a_window_is_that_of_reading_everything_before_it(tmp_path: Path) -> None:
    """Without dropout and with weights that stand still, windows come to what the whole stream does."""
    spec = write_text(tmp_path / "a.txt", READINGS["stream"])
    still: dict[str, Any] = {"learning_rate": 1e-12, "max_steps": 100, "accumulate": 2, "weight_decay": 0}
    run = language_run(spec, tmp_path / "run", still, model={**DROPOUT["model"], "dropout": 0.0})
    learner = run.learner
    batches = learner.sampler.batches_per_epoch
    total = 0.0
    for event in run.events(should_stop=lambda: learner.step == batches):
        if isinstance(event, Step):
            total += event.loss * event.tokens
    pieces = run.task.pieces(run.corpus.train.text, learner.data.streams)
    learner.network.eval()
    assert total == pytest.approx(run.task.surprise(learner.model, learner.head, pieces), rel=1e-5)
