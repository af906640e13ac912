"""Many finished runs as one report: what is shown of them, and the folder that holds it."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from frankenstein.errors import UserError, counted, did_you_mean
from frankenstein.files import write_whole
from frankenstein.report import (
    Picture,
    code,
    format_value,
    intervals,
    markdown_table,
    plain,
    rich_table,
)
from frankenstein.runs.page import write_page
from frankenstein.runs.plan import Command
from frankenstein.runs.run import Run
from frankenstein.stitching.score_table import is_share
from frankenstein.studies.finished import FinishedRun, JoinedRuns, groups, read_finished
from frankenstein.studies.overview import index_table, linked, tidy_csv
from frankenstein.studies.plan import ReportPlan
from frankenstein.studies.sweep import find_sweep, sweep_pictures

_MAIN = (  # what is shown if nothing else is asked for: a stitch beside its control
    "accuracy/held_out",
    "loss/held_out",
    "accuracy/after",
    "accuracy/solved",
    "accuracy/untrained",
    "unbiased_cka/after",
    "unbiased_cka/untrained",
    "agreement/after",
    "accuracy/ps_inv",
)
_MARK = "†"
_FEW = 6  # scores that are shown of runs that have none of these
_DRAWN = 12  # scores that have a figure, at most
_NAME = 16  # letters of a group's name that the terminal keeps on one line


def run_report(plan: ReportPlan, command: Command) -> Run:
    """Run the plan of `report`."""
    runs, partial = read_finished(plan.runs)
    chance = [run for run in runs if run.at_chance]
    if plan.without_chance:
        runs = [run for run in runs if not run.at_chance]
        if not runs:
            raise UserError("every run has a network at chance; leave ‹without_chance› out")
    joined = JoinedRuns(groups(runs), chosen_scores(runs, plan.scores))
    name = plan.run_name or f"{'-'.join(joined.verbs)}-{len(runs)}-runs"
    notes = [f"Left out, for they are not finished: {', '.join(p.name for p in partial)}"]
    notes = notes if partial else []
    notes += _at_chance(chance, plan.without_chance)
    known = {score for run in runs for score in run.scores}
    if plan.scores is None and len(joined.scores) < len(known):
        notes.append("`scores` chooses other numbers, by name or pattern; `study.csv` has all.")
    found = any(run.record.get("finding") for run in runs)
    with Run.write(plan, name, command=command) as run:
        run.numbers |= joined.summary()
        if len(called := {one.record.get("called") for one in runs}) == 1:
            run.record["called"] = called.pop()
        write_whole(run.folder / "scores.csv", csv_of(joined))
        write_whole(run.folder / "study.csv", tidy_csv(runs, run.final))
        run.finding = _finding(runs, joined)
        write_page(
            run,
            f"Report: {name}",
            [
                "A row of the first table is a group of runs that differ in nothing but seeds: "
                "their own, and those that their networks were trained from.",
                "## Scores",
                score_table(joined),
                *(plain(note).replace("\\`", "`") for note in notes),
                *remarks(joined),
                *sweep_figures(joined),
                *pictures(joined),
                "## Runs",
                run_table(joined, run.final),
                *(["What each run found:", index_table(runs, run.final)] if found else []),
                "`study.csv` has a row for each run: seeds, every field in which runs differ, and "
                "all numbers. `scores.csv` holds the numbers of the first table in full. A "
                "network's seeds are those of its weights and of its batch order.",
            ],
        )
    run.shown = [short_score_table(joined, run.name), *notes]
    return run


def _finding(runs: Sequence[FinishedRun], joined: JoinedRuns) -> str:
    """The first of the scores over all runs."""
    told = f"{counted(len(runs), 'run')} of {' and '.join(joined.verbs)}, joined"
    score = next(iter(joined.scores), "")
    known = [value for group in joined.groups for value in joined.values(group, score)]
    if len(known) < 2:
        return f"{told}."
    least, mean, most = (
        format_value(one, percent=is_share(score))
        for one in (min(known), sum(known) / len(known), max(known))
    )
    return f"{told}: {code(score)} is {mean} on average, from {least} to {most}."


def chosen_scores(runs: Sequence[FinishedRun], patterns: Sequence[str] | None = None) -> list[str]:
    """The names of scores that match, in the order of the patterns.

    Raises:
        UserError: if a pattern matches none.
    """
    known = list(dict.fromkeys(name for run in runs for name in run.scores))
    if patterns is None:
        main = [name for name in _MAIN if name in known]
        shared = [name for name in known if all(name in run.scores for run in runs)]
        return main or (shared or known)[:_FEW]
    chosen: dict[str, None] = {}
    for pattern in patterns:
        matching = [name for name in known if fnmatchcase(name, pattern)]
        if not matching:
            near = did_you_mean(pattern, known) or "; summary.json of a run lists them"
            raise UserError(f"no run has a score {pattern!r}{near}")
        chosen |= dict.fromkeys(matching)
    return list(chosen)


def _at_chance(runs: Sequence[FinishedRun], left_out: bool) -> list[str]:
    """A line on runs of networks that are no better than an answer that is always the same."""
    if not runs:
        return []
    named = ", ".join(f"{run.folder.name} ({' and '.join(run.at_chance)})" for run in runs)
    said = "not clearly above the most frequent answer, so nothing was learned that shows"
    if left_out:
        return [f"Left out, for a network is {said}: {named}"]
    return [
        f"{_MARK} of a network that is {said}: {named}. It is in the means; `without_chance` "
        "leaves it out."
    ]


def _marked(name: str, runs: Iterable[FinishedRun]) -> str:
    return f"{name} {_MARK}" if any(run.at_chance for run in runs) else name


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
        names = ", ".join(code(run.folder.name) for run in joined.replays)
        yield f"Run again from the same seeds, and so not counted as further runs: {names}."
    commits = {run.record.get("commit") for run in joined.runs}
    if len(commits) > 1:
        said = ", ".join(code(_short(commit)) for commit in sorted(map(str, commits)))
        yield f"The runs were made by different versions of the code: {said}."
    warned = [
        f"- {code(run.folder.name)}: {plain(w)}"
        for run in joined.runs
        for w in run.record["warnings"]
    ]
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
            linked(run.folder, folder, _marked("", [run])),
            _marked(group, runs),
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
        [
            _marked(group, joined.counted(group)),
            len(joined.counted(group)),
            *(_cell(joined, group, score) for score in scores),
        ]
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
    if not varying:
        return "Within a group no seed varies: the interval says nothing of other seeds."
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
