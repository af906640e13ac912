"""A benchmark: its zoo and its tests as a graph, and the page that joins them; or one test."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console

from frankenstein.benchmark.compare import compared, rows_of
from frankenstein.benchmark.cost import cost, new_network
from frankenstein.benchmark.grounded.grounded import Compared
from frankenstein.benchmark.page import write_benchmark_page
from frankenstein.benchmark.plan import BenchmarkPlan
from frankenstein.benchmark.readings import layers_of, read_networks
from frankenstein.benchmark.scored import Scored, read_scores, save_scores, scored
from frankenstein.benchmark.zoo import graph_of, shown_alike, tests_of
from frankenstein.catalog import MEASURES
from frankenstein.errors import AlreadyDone
from frankenstein.files import write_whole
from frankenstein.runs.fields import PARTIAL
from frankenstein.runs.folder import finished_run
from frankenstein.runs.plan import Command
from frankenstein.runs.run import Run
from frankenstein.studies.folder import begin
from frankenstein.studies.graph_run import print_graph, run_nodes, tell_failures
from frankenstein.training.device import device_of


def run_benchmark(plan: BenchmarkPlan, command: Command) -> Run | None:
    """Run the plan of `benchmark`; None of a dry run.

    Raises:
        RunsFailed: once all others are done, if a run failed.
        AlreadyDone: if there is a finished benchmark of the same name and options.
    """
    if plan.networks is not None:
        return _run_tests(plan, command)
    name = plan.run_name or f"{plan.model}-{plan.dataset}".replace("/", "-")
    network = new_network(plan)
    layers_of(plan, network, tests_of(plan))
    nodes = graph_of(plan, "{study}")  # all are checked before the first one runs
    parent = Path(plan.out_dir, plan.verb)
    whole = finished_run(parent, name, plan)
    if plan.dry_run:
        folder = whole or parent / (name + PARTIAL)
        print_graph(name, graph_of(plan, str(folder)), folder)
        Console().print(cost(plan, network), highlight=False, soft_wrap=True)
        return None
    if whole:
        raise AlreadyDone(whole)
    with begin(plan, name, command, goes_on_from="*/*") as run:
        run.say_name(plan.quiet)
        if not plan.quiet:
            Console().print(cost(plan, network), highlight=False, soft_wrap=True)
        nodes = graph_of(plan, str(run.folder))
        done, failures = run_nodes(plan, run, nodes, plan.accelerator, plan.quiet)
        told = {name: one for one in done.values() for name in one.record.get("tests", ())}
        tests = {name: told[name] for name in plan.asked if name in told}
        scores = {name: read_scores(one.folder, name, one.record) for name, one in tests.items()}
        _keep(run, scores)
        run.record |= {"dataset": plan.dataset, "called": "images"}
        run.record["tests"] = {name: one.record["tests"][name] for name, one in tests.items()}
        write_benchmark_page(run, plan, scores, failures)
        tell_failures(run, len(nodes), failures)
    return run


def _run_tests(plan: BenchmarkPlan, command: Command) -> Run:
    """Tests of networks that are there; those that show the same images read each network once."""
    measures, device = plan.measures or [*MEASURES], device_of(plan.accelerator)
    tests = tests_of(plan)
    with Run.write(plan, plan.run_name or "-".join(tests), command=command) as run:
        run.say_name(plan.quiet)
        every: dict[str, list[Scored]] = {}
        run.record |= {"dataset": plan.dataset, "called": "images"}
        run.record |= {"tests": {}, "networks": {}, "device": str(device)}
        for several in shown_alike(tests).values():
            everyone = read_networks(plan, several, device)
            run.record["networks"] |= everyone.networks
            run.record["rows"] = rows = rows_of(measures, everyone.later)
            for name, test in several.items():
                readings = everyone.of(test, plan.seeds)
                found = compared(readings, test, measures, name)
                every[name] = scored(found, test.scores(found), rows, plan.draws)
                run.record["tests"][name] = {
                    "networks": len(readings.networks),
                    "groups": [group.name for group in test.groups],
                    "seeds": plan.seeds * max(group.times for group in test.groups),
                    "layers": readings.compared_layers(test),
                    "images": len(readings.labels),
                    "dataset": plan.dataset,
                    "accuracy": dict(zip(readings.groups, found.accuracy.tolist(), strict=True)),
                    "undefined": undefined(found, rows),
                    "scores": [
                        {"name": one.name, "chance": one.chance, "larger": one.larger}
                        for one in every[name]
                    ],
                }
                _save_values(run.folder / f"{name}-values.csv", [*readings.groups], rows, found)
                save_scores(run.folder, name, every[name])
        every = {name: every[name] for name in tests}
        _keep(run, every)
        write_benchmark_page(run, plan, every)
    return run


def undefined(found: Compared, rows: list[str]) -> dict[str, int]:
    """How many values of a measure are not defined, where any is."""
    if found.more is not None and found.more.ndim == 4:
        lost = np.isnan(found.more[:, :, *np.triu_indices(found.more.shape[-1], 1)]).sum((1, 2))
    else:
        lost = np.isnan(found.values[:, *np.triu_indices(len(found.groups), 1)]).sum(1)
        lost += 0 if found.more is None else np.isnan(found.more).sum(1)
    return {row: int(count) for row, count in zip(rows, lost, strict=True) if count}


def _keep(run: Run, scores: Mapping[str, list[Scored]]) -> None:
    """All numbers of the summary, and `scores.csv`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    ends = ["value", "low", "high", "rank", "rank_low", "rank_high"]
    writer.writerow(["test", "score", "chance", "measure", *ends])
    for test, several in scores.items():
        for one in several:
            rank_ends = one.rank_ends
            for m, row in enumerate(one.rows):
                numbers = [one.values[m], one.ends[0][m], one.ends[1][m], one.ranks[m]]
                numbers += [rank_ends[0][m], rank_ends[1][m]]
                writer.writerow([test, one.name, one.chance, row, *map(float, numbers)])
                for what, number in zip(ends, numbers, strict=True):
                    run.numbers[f"{test}/{one.name}/{row}/{what}"] = float(number)
    write_whole(run.folder / "scores.csv", text.getvalue())


def _save_values(file: Path, names: list[str], rows: list[str], found: Compared) -> None:
    """Every value between two networks, larger for more alike: a line a pair and measure."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["measure", "network", "other", "value"])
    for m, row in enumerate(rows):
        for i, j in zip(*np.triu_indices(len(names), 1), strict=True):
            writer.writerow([row, names[i], names[j], float(found.values[m, i, j])])
        if found.more is not None and found.more.ndim == 2:
            writer.writerows(
                [row, name, "other", float(value)]
                for name, value in zip(names, found.more[m], strict=True)
            )
    write_whole(file, text.getvalue())
