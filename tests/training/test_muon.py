"""Muon against torch's own, and what its directions are."""

import pytest
import torch
from torch import nn

from keifu.training import muon
from keifu.training.muon import Muon, orthogonalised


@pytest.mark.parametrize("together", [2**21, 100, 1])
def test_steps_are_those_of_torchs_muon(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(muon, "_TOGETHER", {"cpu": together})
    torch.manual_seed(0)
    shapes = [(6, 6), (4, 12), (12, 4), (4, 12), (1, 5), (4, 12)]
    mine = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [nn.Parameter(matrix.detach().clone()) for matrix in mine]
    options = {"lr": 0.1, "momentum": 0.95, "weight_decay": 0.3}
    optimizers = [
        Muon(mine, dtype=torch.bfloat16, **options),
        torch.optim.Muon(theirs, **options, adjust_lr_fn="match_rms_adamw"),
    ]
    for _ in range(5):
        for here, there in zip(mine, theirs, strict=True):
            here.grad = torch.randn(here.shape)
            there.grad = here.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for here, there in zip(mine, theirs, strict=True):
        assert torch.allclose(here, there, atol=2e-3)  # both multiply in bfloat16


@pytest.mark.parametrize("shape", [(8, 8), (5, 20)])
def test_all_directions_become_about_equally_long_and_stay_what_they_were(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    u, _, vt = torch.linalg.svd(torch.randn(shape, dtype=torch.float64), full_matrices=False)
    lengths = torch.logspace(0, -2, min(shape), dtype=torch.float64)
    matrix = u * lengths @ vt
    found = u.T @ orthogonalised(torch.stack([matrix, 3 * matrix]))[1] @ vt.T
    assert torch.allclose(found, torch.diag(found.diag()), atol=1e-9)
    assert 0.6 < found.diag().min() < found.diag().max() < 1.25


def test_a_matrix_without_a_gradient_and_one_of_zeros_stay() -> None:
    still, zero = nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(2, 3))
    zero.grad = torch.zeros(2, 3)
    Muon([still, zero], lr=1.0).step()
    assert torch.equal(still, torch.ones(2, 3))
    assert torch.equal(zero, torch.ones(2, 3))
