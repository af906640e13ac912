"""A study that is a graph: what is missing is run, whatever fails is told, one page joins all."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from frankenstein.catalog import Function
from frankenstein.errors import AlreadyDone, Interrupted, RunsFailed, counted
from frankenstein.files import write_whole
from frankenstein.report.document import Block
from frankenstein.report.tables import code, markdown_table, plain
from frankenstein.runs.fields import PARTIAL
from frankenstein.runs.page import write_page
from frankenstein.runs.plan import Command
from frankenstein.runs.run import Run
from frankenstein.studies.clock import Clock, in_words
from frankenstein.studies.cluster.connection import has_cluster, need_cluster
from frankenstein.studies.cluster.shares import shares_of
from frankenstein.studies.engine import Engine, Outcome
from frankenstein.studies.finished import JoinedRuns, read_finished
from frankenstein.studies.folder import begin, finished_study, there
from frankenstein.studies.graph import Node
from frankenstein.studies.joined import short_score_table
from frankenstein.studies.means_files import save_means
from frankenstein.studies.one_by_one import OneByOne
from frankenstein.studies.overview import tidy_csv
from frankenstein.studies.page import (
    at_chance,
    blocks_of_runs,
    joined_by_verb,
    log_joined,
    networks_found,
)
from frankenstein.studies.plan import EngineFields, StudyPlan, nodes_of

_FOLDER = "{study}"
_ON_THIS_MACHINE = Function("frankenstein.studies.cluster.engine:on_this_machine")
_ON_A_SCHEDULER = Function("frankenstein.studies.cluster.engine:on_a_scheduler")


def run_graph(plan: StudyPlan, command: Command) -> Run | None:
    """Run the plan of a study of networks; None of a dry run.

    Raises:
        RunsFailed: once all others are done, if a run failed.
        AlreadyDone: if there is a finished study of the same name and graph.
    """
    nodes = nodes_of(plan, _FOLDER)  # all are checked before the first one runs
    name = plan.run_name or plan.verb
    whole = finished_study(plan, name)
    if plan.dry_run:
        folder = whole or Path(plan.out_dir, plan.verb, name + PARTIAL)
        print_graph(name, nodes_of(plan, str(folder)), folder)
        return None
    if whole:
        raise AlreadyDone(whole)
    with begin(plan, name, command, goes_on_from="*/*") as study:
        nodes = nodes_of(plan, str(study.folder))
        done, failures = run_nodes(plan, study, nodes, plan.accelerator, plan.quiet)
        _write(study, nodes, done, failures, plan.scores)
        tell_failures(study, len(nodes), failures)
    return study


def run_nodes(
    plan: EngineFields, study: Run, nodes: Sequence[Node], accelerator: str, quiet: bool
) -> tuple[dict[str, Run], dict[str, str]]:
    """Run what is missing of a graph: the runs that are whole by now, and why the others are not.

    Both are by the names of the nodes.
    """
    console = Console(quiet=quiet)
    known = there(nodes, study.folder)
    with _engine(plan, study, len(nodes) - len(known), accelerator) as engine:
        console.print(_work_in_words(nodes, known, engine), highlight=False, soft_wrap=True)
        try:
            outcomes = _work(nodes, known, engine, console)
        except Interrupted:
            console.print("ending: runs under way are stopped, and can be gone on with")
            raise
        console.print("writing the page of all runs")
    done = {one.name: Run.read(one.folder) for one in outcomes if one.folder}
    return done, {one.name: one.failure for one in outcomes if not one.folder}


def tell_failures(study: Run, total: int, failures: Mapping[str, str]) -> None:
    """Print why runs have failed, if any has.

    Raises:
        RunsFailed: then.
    """
    if failures:
        sys.stderr.write("".join(f"{run}: {line}\n" for run, line in failures.items()))
        raise RunsFailed(
            f"{len(failures)} of {counted(total, 'run')} failed; "
            f"{study.folder / 'report.md'} has the others",
            failures,
        )


def what_failed(failures: Mapping[str, str]) -> list[Block]:
    """The part of a page that says which runs failed, and why; none if none has."""
    rows = [[code(name), plain(line)] for name, line in failures.items()]
    return ["## What failed", markdown_table(rows, ["run", "why"])] if rows else []


def _write(
    study: Run,
    nodes: Sequence[Node],
    done: Mapping[str, Run],
    failures: Mapping[str, str],
    scores: Sequence[str] | None,  # names and patterns
) -> None:
    """Write the numbers of all runs into the study's, `study.csv`, and its page."""
    study.numbers |= {
        f"{name}/{key}": number for name, run in done.items() for key, number in run.numbers.items()
    }
    study.finding = f"{counted(len(nodes), 'run')}, each in a folder of its own with a report."
    blocks: list[Block] = []
    joined: list[JoinedRuns] = []
    if failures:
        failed = f", of which {len(failures)} failed,"
        study.finding = study.finding.replace(",", failed, 1)
        blocks += what_failed(failures)
    if done:
        runs, _ = read_finished([str(run.folder) for run in done.values()])
        study.finding = " ".join([*networks_found(runs), study.finding])
        write_whole(study.folder / "study.csv", tidy_csv(runs, study.folder))
        joined = joined_by_verb(runs, scores)
        for of_verb in joined:
            save_means(of_verb, study.folder)
        blocks += blocks_of_runs(runs, joined, study.folder)
        asked = [one for one in joined if one.verbs != ["train"]]
        study.shown += [short_score_table(one, f"means of {one.verbs[0]}") for one in asked]
        study.shown += at_chance(runs)
    write_page(study, f"Study: {study.name}", blocks)
    log_joined(study, blocks, joined)


def _engine(
    plan: EngineFields, study: Run, missing: int, accelerator: str
) -> AbstractContextManager[Engine]:
    """What runs the nodes: workers, if Dask is there for them, or else this process."""
    if plan.scheduler is not None:
        need_cluster("scheduler")
        gpus = plan.gpus_per_run or 0
        return _ON_A_SCHEDULER(study, plan.scheduler, plan.insecure, gpus)
    if plan.workers == 0 or (plan.workers is None and not has_cluster()) or not missing:
        return nullcontext(OneByOne(study))
    need_cluster("workers")
    gpus, workers = shares_of(plan.workers, plan.gpus_per_run, accelerator)
    return _ON_THIS_MACHINE(study, min(workers, missing), gpus)


def _work(
    nodes: Sequence[Node], known: Mapping[str, Path], engine: Engine, console: Console
) -> list[Outcome]:
    """Run what is missing; what waits for a run that failed is not begun."""
    outcomes = {name: Outcome(name, folder) for name, folder in known.items()}
    waiting = {node.name: node for node in nodes if node.name not in outcomes}
    running, clock, told = 0, Clock(nodes, known), False
    with _bar(console) as bar:
        task = bar.add_task("runs", total=len(nodes), completed=len(outcomes), left="starting")
        while waiting or running:
            for node in [*waiting.values()]:
                ended = [outcomes[name] for name in node.after if name in outcomes]
                lost = next((one.name for one in ended if one.folder is None), None)
                if lost is not None:
                    outcomes[node.name] = Outcome(node.name, failure=f"not run, for {lost} failed")
                elif len(ended) == len(node.after):
                    engine.start(node)
                    running += 1
                else:
                    continue
                del waiting[node.name]
            if running:
                if not clock.seconds:
                    bar.update(task, left=f"the first {min(running, max(1, engine.workers))} begun")
                one = engine.wait()
                outcomes[one.name], running = one, running - 1
                clock.ended(one)
            rest = [node for node in nodes if node.name not in outcomes]
            left = clock.left(rest, engine.workers)
            words = f"about {in_words(left)} left" if left else ""
            bar.update(task, completed=len(outcomes), left=words)
            if words and not told and clock.knows(rest) and not console.is_terminal:  # sees no bar
                console.print(f"{words}, by what such runs took", highlight=False)
                told = True
    return [outcomes[node.name] for node in nodes]


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}"),
        console=console,
        disable=console.quiet,
        refresh_per_second=4,
    )


def _work_in_words(nodes: Sequence[Node], known: Mapping[str, Path], engine: Engine) -> str:
    """How many runs there are, and how many of them are there already."""
    verbs = Counter(node.name.partition("/")[0] for node in nodes)
    said = ", ".join(f"{count} {verb}" for verb, count in verbs.items())
    already = f"; {len(known)} are there already" if known else ""
    workers = engine.workers
    at_once = f"{workers} at a time" if workers > 1 else "one after the other"
    at_once = at_once if workers else "once there is a worker: `frankenstein worker` starts one"
    return f"{counted(len(nodes), 'run')} ({said}){already}; {at_once}"


def print_graph(name: str, nodes: Sequence[Node], folder: Path) -> None:
    """Every run of a graph, what it waits for, and whether it is there; names are never broken."""
    known, console = there(nodes, folder), Console()
    rows = [
        (node.name + (", there" if node.name in known else ""), ", ".join(node.after))
        for node in nodes
    ]
    longest = max(len(run) for run, _ in rows)
    fits = longest + max(len(f"  after {after}") for _, after in rows) < console.width
    lines = [f"{name}: {counted(len(nodes), 'run')}, {len(known)} of them there"]
    for run, after in rows:
        if after and fits:
            lines.append(f"{run:{longest}}  after {after}")
        else:
            lines += [run, f"    after {after}"] if after else [run]
    console.print(*map(Text, lines), sep="\n", soft_wrap=True)
