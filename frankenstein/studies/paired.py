"""Differences between groups of runs on the same networks, pair by pair of these."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from frankenstein.studies.finished import FinishedRun, JoinedRuns
from frankenstein.studies.means import Mean, limits_of, mean_of


@dataclass(frozen=True)
class PairedDifference:
    """Scores of a group of runs less those of another, of the same networks and seeds."""

    group: str
    less: str
    means: Mapping[str, Mean]  # by score


def paired_differences(joined: JoinedRuns) -> list[PairedDifference]:
    """The mean difference of any two groups that differ in one field and share networks.

    What networks differ in falls out of it, so it is told where the groups' own intervals overlap.
    The interval is that of `mean_of`, over differences. Scores that do not differ are left out.
    """
    found = []
    for less, group in combinations(joined.groups, 2):
        first, second = ({_key(run): run for run in joined.counted(one)} for one in (less, group))
        shared = [key for key in first if key in second]
        if len(shared) < 2 or not _differ_in_one(joined.groups[less][0], joined.groups[group][0]):
            continue
        runs = [(first[key], second[key]) for key in shared]
        means = {score: _mean_of_difference(runs, score) for score in joined.scores}
        if told := {score: mean for score, mean in means.items() if any(mean.values)}:
            found.append(PairedDifference(group, less, told))
    return found


def _key(run: FinishedRun) -> str:
    return json.dumps([run.networks, run.seeds], sort_keys=True)


def _differ_in_one(one: FinishedRun, other: FinishedRun) -> bool:
    fields = one.asked.keys() | other.asked.keys()
    return sum(one.asked.get(field) != other.asked.get(field) for field in fields) == 1


def _mean_of_difference(runs: Sequence[tuple[FinishedRun, FinishedRun]], score: str) -> Mean:
    """Of the later of each two less the earlier."""
    differences = []
    for before, after in runs:
        a, b = before.scores.get(score), after.scores.get(score)
        differences.append(replace(after, scores={score: None if None in (a, b) else b - a}))  # type: ignore[operator]
    low, high = limits_of(score)
    span = high - low if math.isfinite(high - low) else math.inf
    return replace(mean_of(differences, score), limits=(-span, span))
