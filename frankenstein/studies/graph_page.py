"""The page of a study that is a graph: every run with its finding, and what failed."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from frankenstein.errors import counted
from frankenstein.report.tables import code, markdown_table, plain
from frankenstein.runs.page import write_page
from frankenstein.runs.run import Run
from frankenstein.studies.graph import Node

_MAIN = ("accuracy/held_out", "accuracy/after", "accuracy/solved")  # of a run's row, if it has them


def write_graph_page(
    study: Run, nodes: Sequence[Node], done: Mapping[str, Run], failures: Mapping[str, str]
) -> None:
    """Write the numbers of all runs into the study's, and its page."""
    study.numbers |= {
        f"{name}/{key}": number for name, run in done.items() for key, number in run.numbers.items()
    }
    first = f"{counted(len(nodes), 'run')}, each in a folder of its own with a report."
    blocks = [first]
    if failures:
        rows = [[code(name), plain(line)] for name, line in failures.items()]
        blocks += ["## What failed", markdown_table(rows, ["run", "why"])]
    blocks.append("## Runs")
    found = [[_link(name, run, study), *map(run.numbers.get, _MAIN)] for name, run in done.items()]
    blocks.append(markdown_table(found, ["run", *_MAIN], percent=_MAIN))
    write_page(study, f"Study: {study.name}", blocks)


def _link(name: str, run: Run, study: Run) -> str:
    place = run.folder.relative_to(study.folder).as_posix()
    page = "/report.md" if (run.folder / "report.md").is_file() else ""
    return f"[{plain(name)}]({quote(place)}{page})"
