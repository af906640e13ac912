"""How exact a number is: a share of images, two shares of the same images, a mean over runs.

And how often chance is as far out: one number beside few draws of a control, many at once.

Where images have several labels, an accuracy is a mean over labels; images count, for the labels of
one are not independent, and the interval is at least as wide as it should be.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Literal

from frankenstein.catalog import Function
from frankenstein.errors import UserError

# Imported when first called: comparing two networks needs nothing of SciPy. Student's distribution
# and its quantiles, of scipy.special since all of scipy.stats takes a second.
_stdtr, _stdtrit = Function("scipy.special:stdtr"), Function("scipy.special:stdtrit")
_ndtri = statistics.NormalDist().inv_cdf


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
    rate, z = right / n, _ndtri(0.5 + 0.5 * confidence)
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
    half = _ndtri((1 + confidence) / 2) * math.sqrt((first + second - middle**2) / (n + 2))
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
    quantile = _stdtrit(len(values) - 1, (1 + confidence) / 2)
    error = statistics.stdev(values) / math.sqrt(len(values))
    return statistics.fmean(values), float(quantile * error)


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (over n - 1) of those that are numbers; NaN of too few.

    >>> mean_and_spread([1.0, 3.0, math.nan])
    (2.0, 1.4142135623730951)
    """
    known = [value for value in values if not math.isnan(value)]
    spread = statistics.stdev(known) if len(known) > 1 else math.nan
    return statistics.fmean(known or [math.nan]), spread


Tail = Literal["above", "below", "either"]


def chance_of(value: float, controls: Sequence[float], tail: Tail = "above") -> float:
    """How often one more draw of a control would be as far out as a value: its p.

    The t test of a single case against few: t = (value - mean) / (s sqrt(1 + 1/n)), with n - 1
    degrees of freedom. It holds where controls scatter normally. Where all controls are one number
    there is no scale: then p is 1 / (n + 1) if the value lies beyond them, as often as it would be
    the outermost by chance. NaN for fewer than two controls, or no value.

    Source: Crawford & Howell 1998, https://doi.org/10.1076/clin.12.4.482.7241.

    >>> round(chance_of(1.0, [0.1, 0.2, 0.3]), 4), chance_of(0.2, [0.2, 0.2])
    (0.0101, 1.0)
    """
    known = [one for one in controls if not math.isnan(one)]
    if len(known) < 2 or math.isnan(value):
        return math.nan
    mean, spread = mean_and_spread(known)
    away = {"above": value - mean, "below": mean - value, "either": abs(value - mean)}[tail]
    if spread <= 1e-12 * max(map(abs, known)):  # what rounding leaves of none
        return 1 / (len(known) + 1) if away > 1e-9 * max(map(abs, known), default=0) else 1.0
    t = away / (spread * math.sqrt(1 + 1 / len(known)))
    return float(_stdtr(len(known) - 1, -t)) * (2 if tail == "either" else 1)


def family_wise(chances: Mapping[str, float]) -> dict[str, float]:
    """Each p for a reader of all of them: below 0.05 comes up in one table of twenty, by chance.

    However they depend on each other. NaN stays NaN, and is none of the family.

    Source: Holm 1979, https://www.jstor.org/stable/4615733.

    >>> family_wise({"relu1": 0.01, "relu2": 0.04, "relu3": 0.03})
    {'relu1': 0.03, 'relu2': 0.06, 'relu3': 0.06}
    """
    order = sorted(
        (key for key in chances if not math.isnan(chances[key])), key=chances.__getitem__
    )
    adjusted, largest = dict(chances), 0.0
    for i, key in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - i) * chances[key]))
        adjusted[key] = largest
    return adjusted
