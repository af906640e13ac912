"""Networks of one recipe: is it read from their similarity how differently they answer?

The answers of networks are compared image by image: by the mean Jensen-Shannon divergence of their
distributions, and by how often the likeliest class differs.
"""

from functools import partial

from frankenstein.benchmark.grounded.grounded import RESI, Compared, Grounded, Group, Score
from frankenstein.benchmark.statistics import Array, Index, pairs_of, spearman


def _scores(found: Compared) -> list[Score]:
    def correlation(apart: Array, index: Index) -> Array:
        i, j = pairs_of(index)
        return spearman(found.values[:, i, j], -apart[i, j])

    return [
        Score("Spearman, divergence", partial(correlation, found.divergence), 0.0),
        Score("Spearman, disagreement", partial(correlation, found.disagreement), 0.0),
    ]


TEST = Grounded(
    "Do two networks answer alike?",
    RESI,
    (Group("standard", {}, times=2),),
    _scores,
    knows=True,
)
