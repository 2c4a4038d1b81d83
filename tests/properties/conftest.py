"""Every test that takes a `case` runs on every model of the lineage, with several random configurations."""

import pytest
import torch

from tests.properties.cases import CONFIGURATIONS, Case
from tests.properties.families import FAMILIES, make_case

CASES = [(name, seed) for name in FAMILIES for seed in range(CONFIGURATIONS)]


@pytest.fixture(params=CASES, ids=lambda param: f"{param[0]}-{param[1]}")
def case(request: pytest.FixtureRequest) -> Case:
    return make_case(*request.param)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)
