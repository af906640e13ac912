"""What a benchmark shows: which measure to take for which question, ranks, scores, controls."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from frankenstein.benchmark.compare import CONTROLS, ORACLE, RANDOM
from frankenstein.benchmark.grounded.grounded import Grounded
from frankenstein.benchmark.plan import BenchmarkPlan
from frankenstein.benchmark.scored import Scored, mean_ranks
from frankenstein.benchmark.zoo import tests_of
from frankenstein.errors import counted
from frankenstein.report import Picture, code, heatmap, markdown_table, rich_table
from frankenstein.report.document import Block
from frankenstein.runs.page import write_page
from frankenstein.runs.run import Run
from frankenstein.studies.graph_run import what_failed

_NAMED = 8  # measures that a sentence names
Scores = Mapping[str, Sequence[Scored]]  # by test; the first score of each is its own


def write_benchmark_page(
    run: Run, plan: BenchmarkPlan, scores: Scores, failures: Mapping[str, str] | None = None
) -> None:
    """The page of all tests: answers, one figure, one table, controls, what failed.

    Failures are those of the runs inside; None of tests that were run by themselves.
    """
    blocks: list[Block] = []
    if scores:
        run.finding = _finding(scores)
        blocks += _joined(run, tests_of(plan), scores)
    if failures is not None:
        blocks += [
            *what_failed(failures),
            "Each run has a folder of its own below this one: the networks in `train/`, the tests "
            "in `benchmark/`, with every value between two networks.",
        ]
    write_page(run, f"Benchmark: {run.name}", blocks)


def _finding(scores: Scores) -> str:
    first = {name: several[0] for name, several in scores.items()}
    mean, low, high, _ = mean_ranks(first)
    if np.isnan(mean).all():
        return "No measure is defined for all pairs of a test."
    best, rows = int(np.nanargmin(mean)), next(iter(first.values())).rows
    ranked = int((~np.isnan(mean)).sum())
    over = counted(len(first), "test")
    return (
        f"Over {over} {code(rows[best])} ranks best of {ranked}: {mean[best]:.1f} in the mean "
        f"(95 %: {low[best]:.1f} to {high[best]:.1f})."
    )


def _joined(run: Run, tests: Mapping[str, Grounded], scores: Scores) -> Iterator[Block]:
    yield "## Which measure for which question"
    for name, several in scores.items():
        rests = _rests_on(run.record["tests"][name])
        source = f"Source: {tests[name].source}."
        yield f"**{tests[name].question}** ({name}) {_answer(several[0])} {rests} {source}"
    yield _figure(scores)
    yield "## Scores and ranks"
    yield (
        "A cell is the score [95 % interval] and the rank (95 % interval) among measures and "
        "stitches; n/a where a measure is undefined for some pair. Networks are drawn anew within "
        "their groups, pairs with them; the interval is the middle 95 % of draws, and with few "
        "seeds it is too narrow rather than too wide. Controls have no rank."
    )
    yield _table(scores)
    yield "`scores.csv` has all of it, a line a number."
    yield "## Controls of the benchmark itself"
    for name, several in scores.items():
        yield f"{name}: {_controls(tests[name], several)}"
    rows = [
        [code(name), mean, ends, count] if count else [code(name), None, None, 0]
        for name, mean, ends, count in _overall(scores).values()
    ]
    run.shown.append(rich_table(rows, ["measure", "mean rank", "95 % interval", "tests"]))


def _answer(score: Scored) -> str:
    if score.best is None:
        return "No measure is defined for all pairs."
    m = score.rows.index(score.best)
    text = f"Take {code(score.best)}: {score.name} {_with_interval(score, m)}"
    low, high = (end[m] for end in score.ends)
    beyond = low > score.chance if score.larger else high < score.chance
    others = score.as_good()
    text += "." if beyond else f", which is no better than chance ({score.chance:.2f})."
    if not others:
        return f"{text} No other is as good."
    named = ", ".join(map(code, others[:_NAMED]))
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    return f"{text} Not told apart from it: {named}{more}."


def _rests_on(told: Mapping[str, Any]) -> str:
    groups = counted(len(told["groups"]), "condition")
    return (
        f"Rests on {told['networks']} networks: {told['seeds']} seeds of {groups} "
        f"({', '.join(told['groups'])}), {told['images']} held-out images of {told['dataset']}, "
        f"{'layers' if len(told['layers']) > 1 else 'layer'} {', '.join(told['layers'])}."
    )


def _table(scores: Scores) -> str:
    header = ["measure", "mean rank", "tests"]
    header += [f"{test}: {one.name}" for test, several in scores.items() for one in several]
    columns = [[_cell(one, m) for m in range(len(one.rows))] for s in scores.values() for one in s]
    rows = [
        [code(name), f"{mean:.1f} {ends}" if count else None, count, *(c[m] for c in columns)]
        for m, (name, mean, ends, count) in _overall(scores).items()
    ]
    of_all = next(iter(scores.values()))[0].rows
    for control in CONTROLS:
        cells = (column[of_all.index(control)] for column in columns)
        rows.append([code(f"{control} (control)"), None, None, *cells])
    return markdown_table(rows, header, right=header[3:])


def _overall(scores: Scores) -> dict[int, tuple[str, float, str, int]]:
    """By place, the best mean rank over tests first: name, that rank, its interval, the tests."""
    first = {name: several[0] for name, several in scores.items()}
    mean, low, high, count = mean_ranks(first)
    rows = next(iter(first.values())).rows
    return {
        int(m): (rows[m], float(mean[m]), f"({low[m]:.1f} to {high[m]:.1f})", int(count[m]))
        for m in np.argsort(mean)
        if rows[m] not in CONTROLS
    }


def _figure(scores: Scores) -> Picture:
    ordered = _overall(scores)
    order = [*ordered]
    columns = [one for several in scores.values() for one in several]
    names = [f"{test}: {one.name}" for test, several in scores.items() for one in several]
    ranks = np.stack([one.ranks[order] for one in columns], 1)
    figure = heatmap(
        ranks,
        [name for name, *_ in ordered.values()],
        names,
        title="rank among measures and stitches; 1 is best",
        limits=(1.0, float(len(order))),
    )
    return Picture(
        "ranks",
        figure,
        "Ranks of measures (rows, the best mean rank on top) in every test (columns): dark and "
        "bright are the two ends. Grey: undefined. The table has every interval.",
    )


def _cell(score: Scored, m: int) -> str | None:
    if np.isnan(score.values[m]):
        return None
    text = _with_interval(score, m)
    if np.isnan(score.ranks[m]):
        return text
    low, high = score.rank_ends
    return f"{text} #{score.ranks[m]:.0f} ({low[m]:.0f} to {high[m]:.0f})"


def _with_interval(score: Scored, m: int) -> str:
    low, high = score.ends
    return f"{score.values[m]:.2f} [{low[m]:.2f}, {high[m]:.2f}]"


def _controls(test: Grounded, scores: Sequence[Scored]) -> str:
    """Whether random numbers are at chance, and similarity of answers where it must be."""
    said = []
    for one in scores:
        m = one.rows.index(RANDOM)
        low, high = one.ends
        there = low[m] <= one.chance <= high[m]
        said.append(
            f"random numbers have a {one.name} of {_with_interval(one, m)}, and chance is "
            f"{one.chance:.2f}" + ("" if there else ": **outside of its interval**")
        )
        m = one.rows.index(ORACLE)
        if test.knows:
            better = np.nanmax(one.values) if one.larger else np.nanmin(one.values)
            top = one.values[m] == better
            said.append(
                f"similarity of answers has {_with_interval(one, m)}"
                + (", the best" if top else ": **not the best**")
            )
    return "; ".join(said) + "."
