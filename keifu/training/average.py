"""A running mean of the weights along training, which is evaluated and saved in their place.

The weight of step t in the mean is proportional to t^n (Karras et al. 2024, "Analyzing and Improving the Training
Dynamics of Diffusion Models", equation 2): it reaches over the same share of the steps done, however many these are,
so it fits a run of any length and one that goes on.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """The mean of parameters; its weights are on average `share` of all steps old, at most half."""

    def __init__(self, parameters: Iterable[nn.Parameter], share: float) -> None:
        self._parameters = list(parameters)
        self._exponent = 1 / share - 2
        self.begin()

    def begin(self) -> None:
        """Makes the present weights the mean."""
        self.mean: list[Tensor] = [parameter.detach().clone() for parameter in self._parameters]

    def update(self, step: int) -> None:
        """Takes in the weights after step 1, 2, ..."""
        present = [parameter.detach() for parameter in self._parameters]
        torch._foreach_lerp_(self.mean, present, 1 - (1 - 1 / step) ** (self._exponent + 1))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Exchanges the weights for their mean inside the block."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for parameter, mean in zip(self._parameters, self.mean, strict=True):
            parameter.data, mean.data = mean.data, parameter.data
