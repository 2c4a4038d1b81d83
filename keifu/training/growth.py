"""Steps that grow: small ones make more of each token at first, larger ones average more noise away at the end.

A step is a number of the sampler's batches: one at first, `training.batch_growth` of them at the end, one more after
each equal share of the steps. (Smith et al. 2018, arXiv:1711.00489, grow batches instead of lowering the rate.)
"""

import bisect


def batches_in_step(step: int, max_steps: int, growth: int) -> int:
    """The batches of step 1, 2, ... max_steps."""
    return min(growth, 1 + (step - 1) * growth // max_steps)


def batches_after(step: int, max_steps: int, growth: int) -> int:
    """The batches of all steps after this one."""
    begins = (-(-level * max_steps // growth) for level in range(growth))  # of those with more than `level` batches
    return sum(max(0, max_steps - max(step, begin)) for begin in begins)


def steps_for(batches: int, growth: int, step: int = 0) -> int:
    """The fewest `max_steps` of a run that is after this step and takes so many more batches."""
    return bisect.bisect_left(range(step + batches), batches, key=lambda most: batches_after(step, most, growth))
