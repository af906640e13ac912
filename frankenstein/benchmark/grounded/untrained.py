"""Trained networks have something in common that networks of random weights have not.

Two trained networks should be more alike than a trained one and one of random weights, or two of
these: untrained networks of one architecture have much in common, but nothing that was learned.

Source: the sanity check of Ding et al. 2021, https://arxiv.org/abs/2108.01661, by layers; here by
networks.
"""

from frankenstein.benchmark.grounded.grounded import STANDARD, Grounded, Group, separation

TEST = Grounded(
    "Have two networks learned anything alike?",
    "Ding et al. 2021, https://arxiv.org/abs/2108.01661",
    (STANDARD, Group("untrained", {"epochs": 0}, alike=False)),
    separation,
)
