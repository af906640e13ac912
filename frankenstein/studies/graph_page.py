"""The page of a study that is a graph: runs with their findings, failures, and what joins them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from frankenstein.errors import counted
from frankenstein.files import write_whole
from frankenstein.report.document import Block, Picture
from frankenstein.report.tables import code, markdown_table, plain
from frankenstein.runs.page import write_page
from frankenstein.runs.run import Run
from frankenstein.similarity.networks.page import joined_pictures
from frankenstein.similarity.plan import ComparePlan
from frankenstein.studies.finished import FinishedRun, JoinedRuns, groups, read_finished
from frankenstein.studies.graph import Node
from frankenstein.studies.joined import (
    chosen_scores,
    remarks,
    run_table,
    score_table,
    sweep_figures,
)
from frankenstein.studies.overview import index_table, tidy_csv


def write_graph_page(
    study: Run, nodes: Sequence[Node], done: Mapping[str, Run], failures: Mapping[str, str]
) -> None:
    """Write the numbers of all runs into the study's, `study.csv`, and its page."""
    study.numbers |= {
        f"{name}/{key}": number for name, run in done.items() for key, number in run.numbers.items()
    }
    told = f"{counted(len(nodes), 'run')}, each in a folder of its own with a report."
    if failures:
        told = told.replace(",", f", of which {len(failures)} failed,", 1)
    beside = [run.finding for run in done.values() if _of_many(run) and run.finding]
    study.finding = " ".join([*beside, told])
    blocks: list[Block] = []
    if failures:
        rows = [[code(name), plain(line)] for name, line in failures.items()]
        blocks += ["## What failed", markdown_table(rows, ["run", "why"])]
    if done:
        runs, _ = read_finished([str(run.folder) for run in done.values()])
        write_whole(study.folder / "study.csv", tidy_csv(runs, study.folder))
        blocks += _of_networks(done)
        blocks += ["## Runs", index_table(runs, study.folder)]
        blocks.append("`study.csv` has a row for each run: seeds, fields that vary, all numbers.")
        for verb in dict.fromkeys(run.verb for run in runs):
            blocks += _of_verb([run for run in runs if run.verb == verb], study)
    write_page(study, f"Study: {study.name}", blocks)


def _of_many(run: Run) -> bool:
    return isinstance(run.plan, ComparePlan) and bool(run.plan.more)


def _of_networks(done: Mapping[str, Run]) -> Iterator[Block]:
    """All networks beside each other, as comparisons of more than two have them."""
    for number, (name, run) in enumerate(done.items(), start=1):
        if _of_many(run):
            yield f"## All networks: {code(name.partition('/')[2])}"
            for block in joined_pictures(run):
                if isinstance(block, Picture):
                    block = replace(block, name=f"{number}-{block.name}")
                yield block


def _of_verb(runs: Sequence[FinishedRun], study: Run) -> Iterator[Block]:
    """Means over seeds of the runs of one verb, and curves over the grid."""
    if len(runs) < 2:
        return
    joined = JoinedRuns(groups(runs), chosen_scores(runs))
    verb = joined.verbs[0]
    yield f"## {counted(len(runs), 'run')} of {verb}, joined"
    if joined.scores:
        yield score_table(joined)
        yield from remarks(joined)
    for picture in sweep_figures(joined):
        yield replace(picture, name=f"{verb}-{picture.name}")
    yield "The runs of every group:"
    yield run_table(joined, study.folder)
