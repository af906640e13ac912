"""Several runs of one thing as a mean and how far it can be trusted."""

import math
import statistics
from collections.abc import Sequence

from scipy.stats import t

from frankenstein.errors import UserError


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
    quantile = t.ppf((1 + confidence) / 2, len(values) - 1)
    error = statistics.stdev(values) / math.sqrt(len(values))
    return statistics.fmean(values), float(quantile * error)
