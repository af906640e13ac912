"""The mean of a score over runs, with an interval that knows which networks the runs share."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import torch

from frankenstein.catalog import MEASURES
from frankenstein.errors import counted
from frankenstein.intervals import mean_and_margin
from frankenstein.similarity.networks.estimates import estimate
from frankenstein.stitching.evaluate import SAMPLED
from frankenstein.stitching.score_table import is_share

if TYPE_CHECKING:
    from frankenstein.studies.finished import FinishedRun

_ALONE = ("sender", "receiver", "subject")  # rows of one network, whatever the run
_DIFFERENCES = ("difference", "stitching_penalty")  # shares that may be below 0


@dataclass(frozen=True)
class Mean:
    """A mean over runs."""

    value: float
    margin: float  # half the width of its 95 % interval; NaN where there is none
    values: tuple[float, ...]  # what it is over
    networks: int  # different ones behind it; 0 of runs that were given none
    limits: tuple[float, float] = (-math.inf, math.inf)  # of such a score

    @property
    def n(self) -> int:
        """How many values it is over."""
        return len(self.values)

    @property
    def words(self) -> str:
        """What it is over."""
        of = f" of {counted(self.networks, 'network')}" if self.networks else ""
        return f"{counted(self.n, 'run')}{of}"

    @property
    def low(self) -> float:
        """The lower end of its interval, in the limits of the score."""
        return max(self.value - self.margin, self.limits[0])  # NaN stays NaN

    @property
    def high(self) -> float:
        """The upper end of its interval, in the limits of the score."""
        return min(self.value + self.margin, self.limits[1])

    @property
    def is_clipped(self) -> bool:
        """Whether its interval would reach beyond the limits of the score."""
        return self.high - self.low < 2 * self.margin * (1 - 1e-9)


def mean_of(runs: Sequence["FinishedRun"], score: str) -> Mean:
    """The mean of a score of runs that differ in seeds alone; NaN if none has it.

    All scores are over the same runs, a receiver's own accuracy and its controls, too, so that a
    stitch is held against what the same networks have. Where networks are in several runs, as in
    all pairs of them, the interval is that of leaving out one network at a time, with all of its
    runs (`estimate`); where they are in one each, and where seeds of the run alone vary, it is
    Student's.
    """
    found = [(run, value) for run in runs if (value := run.scores.get(score)) is not None]
    limits = limits_of(score)
    if not found:
        return Mean(math.nan, math.nan, (), 0, limits)
    groups: dict[tuple[str, ...], list[float]] = {}
    roles = _varying([run for run, _ in found])
    for run, value in found:
        groups.setdefault(tuple(run.networks[role] for role in roles), []).append(value)
    known = {sha for run, _ in found for sha in run.networks.values()}
    if len(groups) == 1 and _row(score) not in _ALONE:
        values = [value for _, value in found]  # seeds of the runs are all that varies
        return Mean(*mean_and_margin(values), tuple(values), len(known), limits)
    means = {key: fmean(values) for key, values in groups.items()}
    value, margin = mean_and_margin([*means.values()])
    if len({sha for key in means for sha in key}) < sum(map(len, means)):
        margin = _without_each(means, value)
    return Mean(value, margin, tuple(means.values()), len(known), limits)


def limits_of(score: str) -> tuple[float, float]:
    """Where a score lies.

    >>> limits_of("accuracy/after"), limits_of("unbiased_cka/after"), limits_of("loss/after")
    ((0.0, 1.0), (-1.0, 1.0), (-inf, inf))
    """
    what = score.partition("/")[0]
    if what in MEASURES:
        return MEASURES[what].range
    if is_share(score) and what != "relative_accuracy":
        return (-1.0 if what in _DIFFERENCES else 0.0), 1.0
    return -math.inf, math.inf


def _row(score: str) -> str:
    return [*score.split("/"), ""][1].removesuffix(SAMPLED)


def _varying(runs: Iterable["FinishedRun"]) -> list[str]:
    """The roles whose networks are not the same in all runs."""
    seen: dict[str, set[str]] = {}
    for run in runs:
        for role, sha in run.networks.items():
            seen.setdefault(role, set()).add(sha)
    return [role for role, shas in seen.items() if len(shas) > 1]


def _without_each(means: Mapping[tuple[str, ...], float], value: float) -> float:
    """Half the width of the interval of leaving out one network at a time; NaN of too few."""
    networks = dict.fromkeys(sha for key in means for sha in key)
    left = [[one for key, one in means.items() if sha not in key] for sha in networks]
    without = torch.tensor([fmean(some or [math.nan]) for some in left], dtype=torch.float64)
    low, high = estimate(torch.tensor(value).double(), without, pairs=len(means))
    return float(high - low) / 2
