"""Networks whose training images were changed at random, more or less: told apart by how much?

Held-out images are as they are.
"""

from frankenstein.benchmark.grounded.grounded import RESI, STANDARD, Grounded, levels, separation

TEST = Grounded(
    "Are two networks invariant to the same changes?",
    RESI,
    (STANDARD, *levels("augmentation", "augmentation", (0, 2, 4))),
    separation,
)
