"""`frankenstein report`: many runs as one."""

from pathlib import Path
from typing import Annotated


def report(
    runs: list[str],
    *,
    scores: list[str] | None = None,
    out_dir: Annotated[str, "-o"] = "results",
    run_name: str | None = None,
    quiet: bool = False,
) -> Path:
    """Join finished runs into one report: a seed study, a sweep over layers or ranks.

    Runs that differ in nothing but seeds, their own and those that their networks were trained
    from, are one row: a mean with its 95 % interval. Over layers, or over a number such as a rank,
    scores are drawn as curves. Everything is read from the runs' run.json and summary.json; runs
    that are not finished are left out.

    Args:
        runs: folders of runs, of any verb
        scores: names in summary.json, such as accuracy/after, or patterns, such as 'accuracy/*';
            the verb's main ones if absent
        out_dir: folder of results
        run_name: folder of this report in OUT_DIR/report; made from the runs' verb if absent
        quiet: print the folder only

    Examples:
        frankenstein report results/stitch/*
        frankenstein report results/stitch/bn3-* results/stitch/bn5-* --scores 'accuracy/*'
        frankenstein report results/train/* --run-name seeds
    """
    values = dict(locals())

    from frankenstein.cli.print_result import tell
    from frankenstein.runs.config import dump
    from frankenstein.studies.joined import run_report

    folder, shown = run_report(values, dump(report, values))
    return tell(folder, quiet, *shown)
