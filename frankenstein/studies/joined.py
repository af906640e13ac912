"""`report`: folders of finished runs as one page, and their means on the terminal."""

import csv
import io
from collections.abc import Sequence
from fnmatch import fnmatchcase

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from frankenstein.errors import UserError, counted, did_you_mean
from frankenstein.files import write_whole
from frankenstein.report import code, format_value, plain, rich_table
from frankenstein.runs.page import write_page
from frankenstein.runs.plan import Command
from frankenstein.runs.run import Run
from frankenstein.stitching.score_table import is_share
from frankenstein.studies.finished import FinishedRun, JoinedRuns, groups, read_finished
from frankenstein.studies.means_files import save_means
from frankenstein.studies.overview import tidy_csv
from frankenstein.studies.page import (
    AT_CHANCE,
    at_chance,
    blocks_of_runs,
    chosen_scores,
    joined_by_verb,
    log_joined,
    named_at_chance,
    networks_found,
    rows_of,
)
from frankenstein.studies.plan import ReportPlan

_NAME = 16  # letters of a group's name that the terminal keeps on one line


def run_report(plan: ReportPlan, command: Command) -> Run:
    """Run the plan of `report`."""
    runs, partial = read_finished(plan.runs)
    chance = [run for run in runs if run.at_chance]
    if plan.without_chance:
        runs = [run for run in runs if not run.at_chance]
        if not runs:
            raise UserError("every run has a network at chance; leave ‹without_chance› out")
    _check_scores(runs, plan.scores or [])
    joined = JoinedRuns(groups(runs), chosen_scores(runs, plan.scores))
    name = plan.run_name or f"{'-'.join(joined.verbs)}-{len(runs)}-runs"
    left_out = (
        [f"they are not finished: {', '.join(path.name for path in partial)}"] if partial else []
    )
    if chance and plan.without_chance:
        left_out.append(f"a network is {AT_CHANCE}: {named_at_chance(chance)}")
    notes = [f"Left out, for {why}" for why in left_out]
    known = {score for run in runs for score in run.scores}
    few = len(joined.scores) < len(known) and plan.scores is None
    with Run.write(plan, name, command=command) as run:
        run.numbers |= joined.summary()
        if len(called := {one.record.get("called") for one in runs}) == 1:
            run.record["called"] = called.pop()
        write_whole(run.folder / "scores.csv", csv_of(joined))
        write_whole(run.folder / "study.csv", tidy_csv(runs, run.final))
        by_verb = joined_by_verb(runs, plan.scores)
        for of_verb in by_verb:
            save_means(of_verb, run.folder)
        run.finding = " ".join([*networks_found(runs), _finding(runs, joined)])
        more = "`scores.csv` has the scores that are shown; `scores` chooses others, by pattern."
        blocks = [*map(plain, notes), *blocks_of_runs(runs, by_verb, run.final), more]
        write_page(run, f"Report: {name}", blocks)
        log_joined(run, blocks, by_verb)
    if few:
        notes.append("`scores` chooses other numbers, by name or pattern; `study.csv` has all.")
    run.shown = [short_score_table(joined, run.name), *at_chance(runs), *notes]
    return run


def _finding(runs: Sequence[FinishedRun], joined: JoinedRuns) -> str:
    """The first of the scores: its range over all runs, and a mean of those alike but for seeds."""
    told = f"{counted(len(runs), 'run')} of {' and '.join(joined.verbs)}, joined"
    score = next(iter(joined.scores), "")
    known = [value for group in joined.groups for value in joined.values(group, score)]
    if len(known) < 2:
        return f"{told}."
    least, most = (format_value(one, percent=is_share(score)) for one in (min(known), max(known)))
    if len(joined.groups) > 1:  # a mean over unlike runs is of nothing
        return (
            f"{told}: {code(score)} is from {least} to {most}, in {len(joined.groups)} groups that "
            "differ in more than seeds."
        )
    mean = format_value(joined.mean(next(iter(joined.groups)), score).value, is_share(score))
    return f"{told}: {code(score)} is {mean} on average, from {least} to {most}."


def _check_scores(runs: Sequence[FinishedRun], patterns: Sequence[str]) -> None:
    """Refuse a pattern that matches no score of any run."""
    known = list(dict.fromkeys(name for run in runs for name in run.scores))
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            near = did_you_mean(pattern, known) or "; summary.json of a run lists them"
            raise UserError(f"no run has a score {pattern!r}{near}")


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
    rows, header = rows_of(joined, scores)
    left = len(joined.scores) - count
    said = f"{title}; {left} more of its scores are in the report"
    table = rich_table(rows, header, title=said if left else title, right=scores)
    table.columns[0].min_width = min(_NAME, max(map(len, joined.groups)))
    return table


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
