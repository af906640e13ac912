"""Where directions of one correlation are open to any rotation, a measure does not feel which."""

import pytest
import torch

from frankenstein.measures import pwcca


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_pwcca_of_shared_units_does_not_follow_rounding():
    x = draw(100, 6) @ draw(6, 6, seed=1)
    y = torch.cat([x[:, :3], draw(100, 3, seed=2)], 1)  # three correlations are 1
    expected = pwcca(x, y).item()
    assert 0.3 < expected < 0.99
    for seed in range(50):
        turn = draw(6, 6, seed=seed + 10)
        noisy = x * (1 + 1e-12 * draw(*x.shape, seed=seed))
        assert pwcca(noisy, y @ turn).item() == pytest.approx(expected, rel=1e-7)
