"""What several folders of tests share: one tiny run that was really trained."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models are fastest so, and other processes disturb them less


import hypothesis
import pytest

from keifu.config import merge
from keifu.session import Model, TrainedRun, load, train
from tests.tiny import TINY, pairs, write

hypothesis.settings.register_profile("keifu", deadline=None)  # other processes may use the machine at the same time
hypothesis.settings.load_profile("keifu")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The SPEC of 120 pairs, of which a run holds the last 6 out."""
    return write(tmp_path_factory.mktemp("corpus"), pairs(120))


@pytest.fixture(scope="session")
def trained(corpus: str, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """A run that has learned the tiny language."""
    more = {
        "model": {"d_model": 32, "d_ff": 64},
        "training": {"batch_tokens": 1000, "evaluate_every": 40, "evaluate_on": 6},
    }
    out = tmp_path_factory.mktemp("runs") / "trained"
    return train("translation", corpus, out=out, max_steps=120, overrides=merge(TINY, more))


@pytest.fixture(scope="session")
def model(trained: TrainedRun) -> Model:
    return load(trained.path, "cpu")
