"""Networks of one recipe: is the difference of their accuracies read from their similarity?

Source: Ding, Denain & Steinhardt 2021, https://arxiv.org/abs/2108.01661; in ReSi the first test.
"""

import numpy as np

from frankenstein.benchmark.grounded.grounded import RESI, Compared, Grounded, Group, Score
from frankenstein.benchmark.statistics import Array, Index, pairs_of, spearman


def _scores(found: Compared) -> list[Score]:
    apart = np.abs(found.accuracy[:, None] - found.accuracy)

    def correlation(index: Index) -> Array:
        i, j = pairs_of(index)
        return spearman(found.values[:, i, j], -apart[i, j])

    return [Score("Spearman", correlation, 0.0)]


TEST = Grounded(
    "Are two networks as good as each other?",
    f"Ding et al. 2021, https://arxiv.org/abs/2108.01661; {RESI}",
    (Group("standard", {}, times=2),),
    _scores,
)
