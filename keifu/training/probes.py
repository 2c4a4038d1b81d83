"""Attention while learning: of a few sentences, what a model attends to at up to 64 steps, ever further apart.

The folder `attention` of a run holds probes.json (the sentences' tokens, and what the axes of each value run over) and,
for each step, a file of tensors, named by the sentence's number and the value's path. views/learning.py reads them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from keifu.checkpoint import write_atomically
from keifu.errors import ConfigError
from keifu.trace import Recorded, Recorder, bound
from keifu.training.loop import Learner

FOLDER, PROBES = "attention", "probes.json"
ERRORS = "alignment_error"  # in a file's metadata
MOST_STEPS = 64


@dataclass(frozen=True)
class Probes:
    """What is looked at.

    batches: of one row each. sequences: of each, the tokens by the names of their sequences. errors: of a model, the
    alignment error of each attention from target to source, where the words' alignment is known.
    """

    batches: Sequence[Any]
    sequences: Sequence[Mapping[str, Sequence[str]]]
    errors: Callable[[Any], Mapping[str, float]] = lambda model: {}

    def attention(self, learner: Learner) -> list[dict[str, Recorded]]:
        """Every attention's weights for each sentence, by their path."""
        learner.network.eval()
        found = []
        for batch in self.batches:
            with torch.no_grad(), Recorder(learner.model, ("*.weights",)) as recorder:
                learner.model(batch.to(learner.device).inputs)
            found.append(recorder.values())
        return found

    def refuse_without_attention(self, learner: Learner) -> None:
        """Raises ConfigError for a model that has no attention to look at."""
        if not any(self.attention(learner)):
            name = learner.model.config.name
            raise ConfigError(f"data.probes: {name} has no attention; leave it away, or choose a model with attention")

    def begin(self, learner: Learner, run: Path) -> None:
        """Makes the folder, with what is the same at all steps."""
        folder = run / FOLDER
        folder.mkdir(exist_ok=True)
        values = bound(self.attention(learner)[0], learner.model.axis_sequences)
        axes = {name: {"axes": value.axes, "sequences": value.sequences} for name, value in values.items()}
        content = json.dumps({"sequences": self.sequences, "values": axes}, ensure_ascii=False, indent=1)
        write_atomically(folder / PROBES, content + "\n")

    def go_on(self, learner: Learner, run: Path) -> None:
        """Forgets what was looked at after the step that the run goes on from."""
        if not (run / FOLDER / PROBES).exists():  # asked for only now
            self.begin(learner, run)
        for path in (run / FOLDER).glob("step-*.safetensors"):
            if int(path.stem.removeprefix("step-")) > learner.step:
                path.unlink()

    def keep(self, learner: Learner, run: Path) -> None:
        """Writes down what the model attends to now."""
        with learner.used_weights():
            looks = self.attention(learner)
            errors = self.errors(learner.model)
        tensors = {
            f"{place}.{name}": recorded.value.float().cpu().contiguous()
            for place, values in enumerate(looks)
            for name, recorded in values.items()
        }
        content = safetensors.torch.save(tensors, {ERRORS: json.dumps(errors)})
        write_atomically(run / FOLDER / f"step-{learner.step}.safetensors", content)


def steps_to_keep(max_steps: int) -> frozenset[int]:
    """At most 64 steps from the first to the last, each about as many times further than the one before."""
    ratio = max_steps ** (1 / (MOST_STEPS - 1))
    return frozenset(round(ratio**place) for place in range(MOST_STEPS)) | {max_steps}
