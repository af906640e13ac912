"""Randomness that depends on what it is for, never on what was drawn before it."""

import numpy as np
import torch

_AUGMENTATION = 1  # keeps these draws apart from those of other purposes, of the same seed


def seeded(*key: int) -> torch.Generator:
    """A generator of its own for this key; neighbouring keys are unrelated.

    It draws on the CPU, so that every device gets the same numbers.

    >>> draw = torch.rand(3, generator=seeded(1, 2))
    >>> draw.equal(torch.rand(3, generator=seeded(1, 2)))
    True
    >>> draw.equal(torch.rand(3, generator=seeded(2, 1)))
    False
    """
    return torch.Generator().manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))


def of_step(order_seed: int, step: int, rank: int = 0) -> torch.Generator:
    """What a step of training draws its augmentation from, so that a resumed run makes the same."""
    return seeded(order_seed, _AUGMENTATION, step, rank)
