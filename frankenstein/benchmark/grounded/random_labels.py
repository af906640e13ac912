"""Networks that learned labels of which a share is random: told apart by that share?

Source: Zhang et al. 2017, https://arxiv.org/abs/1611.03530, for networks that fit random labels.
"""

from frankenstein.benchmark.grounded.grounded import RESI, STANDARD, Grounded, levels, separation

TEST = Grounded(
    "Were two networks trained on labels that are as good?",
    f"Zhang et al. 2017, https://arxiv.org/abs/1611.03530; {RESI}",
    (STANDARD, *levels("random_labels", "random_labels", (0.25, 0.5, 0.75, 1.0))),
    separation,
)
