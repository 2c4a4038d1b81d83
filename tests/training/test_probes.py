"""Attention along training: kept at the right steps, as the model computes it, without touching the training."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from keifu.errors import CheckpointError, ConfigError
from keifu.session import load
from keifu.tasks.alignment import alignment_errors
from keifu.training.loop import Finished, Step
from keifu.training.probes import FOLDER, MOST_STEPS, steps_to_keep
from keifu.training.start import prepare, resume
from keifu.views.learning import errors_along, read_moments
from tests.tiny import TINY, tiny_run, weights

ALIGNED = "builtin:enja:dev[:6]"


@pytest.mark.parametrize("last", [1, 2, 40, 64, 1_000, 123_456])
def test_the_steps_go_from_the_first_to_the_last_and_grow_apart(last: int) -> None:
    steps = sorted(steps_to_keep(last))
    assert len(steps) <= MOST_STEPS
    assert (steps[0], steps[-1]) == (1, last)
    gaps = [after - before for before, after in pairwise(steps)]
    assert last < 1000 or max(gaps[: len(gaps) // 2]) < min(gaps[-10:])


def test_a_run_keeps_what_its_model_attends_to(tmp_path: Path) -> None:
    data = {"probes": ALIGNED}
    run = tiny_run("builtin:enja:train[:60]", tmp_path / "run", {"max_steps": 8, "average": 0.5}, data=data)
    list(run.events())
    moments = read_moments(tmp_path / "run")
    assert [moment.step for moment in moments] == sorted(steps_to_keep(8))
    model = load(tmp_path / "run" / "last")
    assert len(moments[-1].traces) == 4
    for trace, pair in zip(moments[-1].traces, run.corpus.probes[:4], strict=True):
        again = model.trace(pair.source, pair.target, ["*.weights"])
        assert trace.sequences == again.sequences
        for name, recorded in trace.items():
            torch.testing.assert_close(recorded.value, again[name].value)
            assert recorded.sequences == again[name].sequences
        assert set(trace) == set(again) - {"logits"}
    steps, errors = errors_along(moments)
    assert steps[-1] == 8
    assert {name: values[-1] for name, values in errors.items()} == alignment_errors(
        model.network, model.task, run.corpus.probes
    )
    assert [*errors] == ["decoder.0.cross_attention.weights"]


def test_the_last_look_is_at_what_was_learned_also_where_a_run_ends_early(tmp_path: Path) -> None:
    training = {"max_steps": 1000, "evaluate_every": 90, "patience": 1, "learning_rate": 1e-12}
    run = tiny_run("builtin:enja:train[:60]", tmp_path / "run", training, data={"probes": ALIGNED})
    assert [event.reason for event in run.events() if isinstance(event, Finished)] == ["patience"]
    assert run.learner.step not in steps_to_keep(1000)
    assert read_moments(tmp_path / "run")[-1].step == run.learner.step


def test_what_was_looked_at_after_the_checkpoint_is_forgotten_when_a_run_goes_on(tmp_path: Path) -> None:
    training, data = {"max_steps": 8, "evaluate_every": 4}, {"probes": ALIGNED}
    run = tiny_run("builtin:enja:train[:60]", tmp_path / "run", training, data=data)
    for event in run.events():
        if isinstance(event, Step) and event.step == 7:  # as a process that is killed leaves it
            break
    assert [moment.step for moment in read_moments(tmp_path / "run")][-1] == 7
    again = resume(tmp_path / "run")
    assert again.learner.step == 4
    assert [moment.step for moment in read_moments(tmp_path / "run")] == [1, 2, 3, 4]
    list(again.events())
    assert [moment.step for moment in read_moments(tmp_path / "run")] == list(range(1, 9))


def test_probes_may_be_asked_for_when_a_run_goes_on(tmp_path: Path) -> None:
    run = tiny_run("builtin:enja:train[:60]", tmp_path / "run", {"max_steps": 8, "evaluate_every": 4})
    list(run.events(lambda: run.learner.step == 4))
    path = tmp_path / "run" / "config.yaml"
    path.write_text(re.sub(r"(?m)^  probes:.*$", f"  probes: {ALIGNED}", path.read_text("utf-8")), "utf-8")
    list(resume(tmp_path / "run").events())
    assert [moment.step for moment in read_moments(tmp_path / "run")] == list(range(5, 9))


def test_looking_changes_nothing_that_is_learned(corpus: str, tmp_path: Path) -> None:
    runs = [
        tiny_run(corpus, tmp_path / str(place), {"max_steps": 5}, data=data)
        for place, data in enumerate(({}, {"probes": corpus}))
    ]
    for run in runs:
        list(run.events())
    assert weights(runs[0]) == weights(runs[1])
    assert not (tmp_path / "0" / FOLDER).exists()
    assert read_moments(tmp_path / "1")[0].errors == {}


def test_a_language_models_attention_is_kept_too(corpus: str, tmp_path: Path) -> None:
    text = corpus.split(",")[0]
    sizes = {"d_model": 16, "n_layers": 1}
    overrides = {"model": sizes, "data": {"probes": text}, "training": {"max_steps": 3}}
    run = prepare("language-modeling", text, "lstm-attention", out=tmp_path / "run", overrides=overrides)
    list(run.events())
    moments = read_moments(tmp_path / "run")
    assert [moment.step for moment in moments] == [1, 2, 3]
    weights = moments[0].traces[0]["blocks.0.attention.weights"]
    assert moments[0].traces[0].labels(weights, "S") == moments[0].traces[0].sequences["text"]


def test_a_model_without_attention_is_refused_before_it_trains(corpus: str, tmp_path: Path) -> None:
    overrides = {**TINY, "model": {"d_model": 16, "n_layers": 1}, "data": {"probes": corpus}}
    with pytest.raises(ConfigError, match=r"data\.probes: lstm-seq2seq has no attention"):
        prepare("translation", corpus, "lstm-seq2seq", out=tmp_path / "run", overrides=overrides)
    assert not (tmp_path / "run").exists()


def test_what_is_missing_or_damaged_is_told(corpus: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no attention along training was kept; train with --set data\.probes"):
        read_moments(tmp_path)
    run = tiny_run(corpus, tmp_path / "run", {"max_steps": 2}, data={"probes": corpus})
    list(run.events())
    (tmp_path / "run" / FOLDER / "step-2.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="damaged"):
        read_moments(tmp_path / "run")
