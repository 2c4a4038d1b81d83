"""What every lesson has."""

from collections.abc import Callable
from typing import Any, Protocol

from keifu.data.batches import Sampler
from keifu.training.loop import Evaluation, Learner
from keifu.training.settings import Settings


class Lesson(Protocol):
    """The contract. settings: with what the data decided; data: the encoded examples; model_facts: what config.json
    holds of the texts beside the settings. Where the settings name probes, `probes()` gives them.
    """

    settings: Settings
    corpus: Any
    task: Any
    data: Any
    model_facts: dict[str, Any]

    def sampler(self) -> Sampler:
        """A new sampler of the data, at its beginning."""
        ...

    def evaluate(self, learner: Learner, settings: Settings, should_stop: Callable[[], bool]) -> Evaluation:
        """Scores on the validation data. Raises Stopped when asked to stop."""
        ...

    def rehearse(self, trial: Learner, settings: Settings) -> Evaluation:
        """An evaluation by a model that has learned nothing, which takes as long as one of a trained model."""
        ...

    def report(self, sampler: Sampler) -> dict[str, Any]:
        """data.json: what is learned from, with hashes, counts and findings."""
        ...
