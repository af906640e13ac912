"""How exact a number is: a share of images, two shares of the same images, a mean over runs.

Where images have several labels, an accuracy is a mean over labels; images count, for the labels of
one are not independent, and the interval is at least as wide as it should be.
"""

import math
import statistics
from collections.abc import Sequence

from scipy.special import ndtri, stdtrit  # quantiles; all of scipy.stats takes a second to import

from frankenstein.errors import UserError


def share_interval(
    share: float,
    n: int,  # images
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Wilson's score interval of a share, as of images told right; it stays within 0 and 1.

    Source: Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953, as scipy's `proportion_ci`.

    >>> [round(end, 3) for end in share_interval(1.0, 360)]
    [0.989, 1.0]
    """
    # Of several labels the share may be of no whole number of images.
    right = round(share * n)
    rate, z = right / n, ndtri(0.5 + 0.5 * confidence)
    width = 2 * (n + z**2)
    centre = (2 * n * rate + z**2) / width
    half = z / width * math.sqrt(4 * n * rate * (1 - rate) + z**2)
    low = 0.0 if right == 0 else centre - half
    high = 1.0 if right == n else centre + half
    return float(low), float(high)


def difference_interval(
    only_first: float,  # share of images that the first alone tells right
    only_second: float,
    n: int,  # images
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Interval of the first accuracy less the second, on the same n images.

    It comes from the images that one of the two alone tells right: those that both do, or neither,
    say nothing of a difference. It is Wald's interval of paired shares with one image of each kind
    added, which holds where they are few.

    Source: Bonett & Price 2012, as Fagerland et al. 2014 recommend it,
    https://doi.org/10.1002/sim.6148.

    >>> [round(end, 4) for end in difference_interval(0.01, 0.05, 1000)]
    [-0.0551, -0.0247]
    """
    first, second = ((share * n + 1) / (n + 2) for share in (only_first, only_second))
    middle = first - second
    half = ndtri((1 + confidence) / 2) * math.sqrt((first + second - middle**2) / (n + 2))
    return float(middle - half), float(middle + half)


def mean_and_margin(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Mean, and half the width of its t confidence interval; NaN for a single value.

    Source: Student 1908; assumes that runs scatter normally about the mean.

    Raises:
        UserError: for no values.

    >>> mean, margin = mean_and_margin([0.8, 0.9, 1.0])
    >>> round(mean, 3), round(margin, 3)
    (0.9, 0.248)
    """
    if not values:
        raise UserError("a mean needs at least one value, got none")
    if len(values) == 1:
        return values[0], math.nan
    quantile = stdtrit(len(values) - 1, (1 + confidence) / 2)
    error = statistics.stdev(values) / math.sqrt(len(values))
    return statistics.fmean(values), float(quantile * error)
