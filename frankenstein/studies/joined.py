"""Many finished runs as one report: what is shown of them, and the folder that holds it."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from frankenstein.errors import UserError, did_you_mean
from frankenstein.files import write_whole
from frankenstein.runs.page import write_page
from frankenstein.runs.plan import Command
from frankenstein.runs.run import Run
from frankenstein.studies.finished import FinishedRun, groups, read_finished
from frankenstein.studies.joined_page import (
    JoinedRuns,
    csv_of,
    pictures,
    remarks,
    run_table,
    score_table,
    short_score_table,
    sweep_figures,
)
from frankenstein.studies.plan import ReportPlan

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
_FEW = 6  # scores that are shown of runs that have none of these


def run_report(plan: ReportPlan, command: Command) -> Run:
    """Run the plan of `report`."""
    runs, partial = read_finished(plan.runs)
    joined = JoinedRuns(groups(runs), _chosen(runs, plan.scores))
    name = plan.run_name or f"{'-'.join(joined.verbs)}-{len(runs)}-runs"
    notes = [f"Left out, for they are not finished: {', '.join(p.name for p in partial)}"]
    notes = notes if partial else []
    known = {score for run in runs for score in run.scores}
    if plan.scores is None and len(joined.scores) < len(known):
        notes.append(
            f"{len(joined.scores)} of {len(known)} scores are shown; `scores` chooses "
            "others, by name or pattern."
        )
    plural = "runs" if len(runs) > 1 else "run"
    with Run.write(plan, name, command=command) as run:
        run.numbers |= joined.summary()
        write_whole(run.folder / "scores.csv", csv_of(joined))
        write_page(
            run,
            f"Report: {name}",
            [
                f"{len(runs)} {plural} of {' and '.join(joined.verbs)}, joined. A row of the first "
                "table is a group of runs that differ in nothing but seeds: their own, and those "
                "that their networks were trained from.",
                "## Scores",
                score_table(joined),
                *notes,
                *remarks(joined),
                *sweep_figures(joined),
                *pictures(joined),
                "## Runs",
                run_table(joined, run.final),
                "`scores.csv` holds the same numbers in full. A network's seeds are those of its "
                "weights and of its batch order.",
            ],
        )
    run.shown = [*notes, short_score_table(joined, run.name)]
    return run


def _chosen(runs: Sequence[FinishedRun], patterns: Sequence[str] | None) -> list[str]:
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
