"""What a report of many runs shows: a row for each group, a figure for each score, every run."""

import csv
import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from frankenstein.intervals import mean_and_margin
from frankenstein.report import Picture, format_value, intervals, markdown_table, rich_table
from frankenstein.stitching.score_table import is_share
from frankenstein.studies.finished import FinishedRun, replays
from frankenstein.studies.sweep import find_sweep, sweep_pictures

_DRAWN = 12  # scores that have a figure, at most
_NAME = 16  # letters of a group's name that the terminal keeps on one line


@dataclass(frozen=True, eq=False)
class JoinedRuns:
    """Groups of runs by name, and the names of the scores that are shown of them."""

    groups: Mapping[str, Sequence[FinishedRun]]
    scores: Sequence[str]

    @property
    def runs(self) -> list[FinishedRun]:
        """All of them."""
        return [run for group in self.groups.values() for run in group]

    @property
    def verbs(self) -> list[str]:
        """What was run."""
        return list(dict.fromkeys(run.verb for run in self.runs))

    @cached_property
    def replays(self) -> list[FinishedRun]:
        """Runs that repeat another; a mean does not count them again."""
        return replays(self.runs)

    def counted(self, group: str) -> list[FinishedRun]:
        """The runs that a group's mean is over."""
        return [run for run in self.groups[group] if run not in self.replays]

    def values(self, group: str, score: str) -> list[float]:
        """A score of the runs that are counted and have it."""
        found = [run.scores.get(score) for run in self.counted(group)]
        return [value for value in found if value is not None]

    def mean(self, group: str, score: str) -> tuple[float, float]:
        """Mean and half the width of its 95 % interval; NaN where there is none."""
        values = self.values(group, score)
        return mean_and_margin(values) if values else (math.nan, math.nan)

    def summary(self) -> dict[str, float]:
        """All means and margins as one flat record."""
        record = {}
        for group in self.groups:
            for score in self.scores:
                mean, margin = self.mean(group, score)
                record[f"{score}/{group}"] = mean
                if math.isfinite(margin):
                    record[f"{score}_margin/{group}"] = margin
        return record


def score_table(joined: JoinedRuns) -> str:
    """A row for each group: how many runs, and each score's mean ± margin."""
    return markdown_table(*_rows(joined, joined.scores), right=joined.scores)


def short_score_table(joined: JoinedRuns, title: str) -> Table:
    """The same for the terminal: as many scores as fit whole beside the names of groups."""
    width, endless = Console().width, Console(width=10_000)
    count = len(joined.scores)
    table = _first_scores(joined, count, title)
    while count > 1 and Measurement.get(endless, endless.options, table).minimum > width:
        count -= 1
        table = _first_scores(joined, count, title)
    return table


def _first_scores(joined: JoinedRuns, count: int, title: str) -> Table:
    scores = joined.scores[:count]
    rows, header = _rows(joined, scores)
    left = len(joined.scores) - count
    said = f"{title}; {left} more of its scores are in the report and in scores.csv"
    table = rich_table(rows, header, title=said if left else title, right=scores)
    table.columns[0].min_width = min(_NAME, max(map(len, joined.groups)))
    return table


def remarks(joined: JoinedRuns) -> Iterator[str]:
    """How to read the table, and what makes its intervals say less than they seem to."""
    repeated = [group for group in joined.groups if len(joined.counted(group)) > 1]
    if repeated:
        yield (
            "± is half the width of the 95 % t interval of the mean over a group's runs. "
            + _said_of(joined, repeated)
        )
    else:
        yield "No two of these runs differ in seeds alone, so there is no interval."
    if joined.replays:
        names = ", ".join(f"`{run.folder.name}`" for run in joined.replays)
        yield f"Run again from the same seeds, and so not counted as further runs: {names}."
    commits = {run.record.get("commit") for run in joined.runs}
    if len(commits) > 1:
        said = ", ".join(f"`{_short(str(commit))}`" for commit in sorted(map(str, commits)))
        yield f"The runs were made by different versions of the code: {said}."
    warned = [f"- `{run.folder.name}`: {w}" for run in joined.runs for w in run.record["warnings"]]
    if warned:
        yield "Python warned in these runs:\n\n" + "\n".join(warned)


def sweep_figures(joined: JoinedRuns) -> Iterator[Picture]:
    """Scores over layers or over a number, if that is what the groups differ in."""
    sweep = find_sweep(joined.groups)
    means = {
        score: {
            group: joined.mean(group, score)
            for group in joined.groups
            if joined.values(group, score)
        }
        for score in joined.scores[:_DRAWN]
    }
    return iter(()) if sweep is None else sweep_pictures(sweep, means)


def pictures(joined: JoinedRuns) -> Iterator[Picture]:
    """The first scores, each with all groups below each other."""
    for i, score in enumerate(joined.scores[:_DRAWN], start=1):
        values = {group: found for group in joined.groups if (found := joined.values(group, score))}
        if values:
            means = {group: joined.mean(group, score) for group in values}
            yield Picture(
                f"score-{i}",
                intervals(values, means, score, percent=is_share(score)),
                f"`{score}` of every group. A dot is a run; where a group has several, the upright "
                "line is their mean and the bar its 95 % interval. Groups whose bars lie far apart "
                "differ by more than their seeds.",
            )


def run_table(joined: JoinedRuns, folder: Path) -> str:
    """Every run with a link to its report, for a page that lies in the folder."""
    seeds = list(dict.fromkeys(name for run in joined.runs for name in run.seeds))
    rows = [
        [
            _linked(run.folder, folder),
            group,
            *(run.seeds.get(name) for name in seeds),
            *(run.scores.get(score) for score in joined.scores),
        ]
        for group, runs in joined.groups.items()
        for run in runs
    ]
    header = ["run", "group", *(name.replace("_", " ") for name in seeds), *joined.scores]
    return markdown_table(rows, header, percent=[*filter(is_share, joined.scores)])


def csv_of(joined: JoinedRuns) -> str:
    """A line for each run, with its seeds and scores."""
    seeds = list(dict.fromkeys(name for run in joined.runs for name in run.seeds))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "group", *(f"seed of {name}" for name in seeds), *joined.scores])
    for group, runs in joined.groups.items():
        for run in runs:
            numbers = [run.scores.get(score) for score in joined.scores]
            writer.writerow([run.folder, group, *(run.seeds.get(n) for n in seeds), *numbers])
    return text.getvalue()


def _rows(joined: JoinedRuns, scores: Sequence[str]) -> tuple[list[list[Any]], list[str]]:
    rows = [
        [group, len(joined.counted(group)), *(_cell(joined, group, score) for score in scores)]
        for group in joined.groups
    ]
    return rows, ["group", "runs", *scores]


def _cell(joined: JoinedRuns, group: str, score: str) -> str:
    (mean, margin), share = joined.mean(group, score), is_share(score)
    found, all_runs = len(joined.values(group, score)), len(joined.counted(group))
    text = format_value(mean, share)
    if math.isfinite(margin):
        text = f"{text.removesuffix(' %')} ± {format_value(margin, share)}"
    return f"{text} ({found} of {all_runs})" if 0 < found < all_runs else text


def _said_of(joined: JoinedRuns, groups: Sequence[str]) -> str:
    """What varies within the groups, and whether their runs are independent."""
    varying, shared = set(), False
    for group in groups:
        runs = joined.counted(group)
        first = runs[0].seeds
        varying |= {name for run in runs for name, seed in run.seeds.items() if seed != first[name]}
        pairs = {tuple(run.networks.values()) for run in runs}
        networks = [sha for pair in pairs for sha in set(pair)]
        shared |= len(networks) > len(set(networks))
    said = f"Within a group these seeds vary: {', '.join(sorted(varying))}."
    if not varying & {"sender", "receiver", "subject", "init_noise", "gradient_noise"}:
        return f"{said} The networks are the same, so it says nothing of other networks."
    if shared:
        return (
            f"{said} Some of these runs share a network: they are not independent, and the "
            "interval is narrower than it should be."
        )
    return said


def _short(commit: str) -> str:
    name, dirty, _ = commit.partition("-")
    return name[:12] + dirty + ("dirty" if dirty else "")


def _linked(target: Path, folder: Path) -> str:
    way = quote(os.path.relpath(target.resolve(), folder.resolve()))
    page = "/report.md" if (target / "report.html").is_file() else ""
    return f"[{target.name}]({way}{page})"
