"""What a comparison of several networks shows: matrices, a map, a tree, groups, curves, tables."""

import math
from collections.abc import Iterator, Mapping, Sequence
from os.path import abspath, relpath
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch
from torch import Tensor

from frankenstein.catalog import MEASURES
from frankenstein.errors import counted
from frankenstein.report import (
    Picture,
    cells_of,
    code,
    curves,
    heatmap,
    markdown_table,
)
from frankenstein.report.networks import network_map, network_tree
from frankenstein.report.tables import format_value
from frankenstein.report.terminal import FittingRows, terminal_matrix
from frankenstein.runs.page import log_page, write_page
from frankenstein.runs.run import Run
from frankenstein.similarity.networks.between import Between
from frankenstein.similarity.networks.cards import properties
from frankenstein.similarity.networks.estimates import (
    Estimate,
    Grouping,
    grouping,
    over_pairs,
)
from frankenstein.similarity.networks.layout import distances_of, map_of, order_of, tree_of
from frankenstein.similarity.networks.tables import MEAN, ROWS, path_rows, save_tables
from frankenstein.similarity.plan import ComparePlan

_ENDS = ("mean", "low", "high", "spread")
_HEAD = ["layer", "mean over pairs", "95 % interval", "spread over pairs"]
_OF_PAIRS = (
    "A network is in many pairs, so pairs are no independent draws: the 95 % interval is that of "
    "leaving out one network at a time, with all of its pairs."
)


def write_networks_page(
    run: Run, plan: ComparePlan, found: Between, draws: Mapping[str, Tensor]
) -> None:
    """The page and its tables, the numbers, and what the terminal shows."""
    run.finding = _finding(found)
    run.record["layers"] = list(found.layers)
    blocks: list[str | Picture] = []
    for measure in found.values:
        blocks += _section(run, found, measure, draws.get(measure), plan.seed)
    saved = save_tables(run, found, draws)
    blocks += ["## What was compared", _about(run, found)]
    blocks += _how_sure(found, draws, run.record["kept"])
    blocks.append(f"Every value is in {', '.join(f'`{name}`' for name in saved)}.")
    if draws and found.across:
        blocks.append(
            "In `layers.csv` the interval of a layer with another one is over networks alone; "
            "`interval_over` says so."
        )
    if len(found.across) and "pairs.csv" not in saved:
        blocks.append(
            f"Layers against layers of every single pair would be more than {ROWS:,} lines, and "
            "are not written; `layers.csv` has their means and spreads."
        )
    write_page(run, f"Similarity of networks: {run.name}", blocks)
    pictures = [block for block in blocks if isinstance(block, Picture)]
    log_page(run, {f"networks/{one.name}": one for one in pictures})


def joined_blocks(run: Run, folder: Path) -> Iterator[str | Picture]:
    """What a finished run has of all of its networks, for the page of a study in a folder."""
    matrices, layers = run.matrices(), run.record["layers"]
    for measure in [name for name in matrices if name in MEASURES]:
        whole = matrices[measure]
        cards = {name: run.networks.get(name, {}) for name in whole.rows}
        called = _called(measure, run.record.get("flattenings", {}))
        yield from layout(whole.values, measure, len(layers), cards, called, folder)
        pairs = len(whole.rows) * (len(whole.rows) - 1) // 2
        estimates = {}
        for name in (*layers, MEAN):
            numbers = (run.numbers.get(f"{measure}_{what}/{name}", math.nan) for what in _ENDS)
            mean, low, high, spread = numbers
            estimates[name] = Estimate(mean, low, high, pairs), spread
        yield f"{called} of networks with each other:"
        yield estimates_table(estimates)
        yield f"Over {counted(pairs, 'pair')} of {len(whole.rows)} networks. {_OF_PAIRS}"
        if f"{measure}-mean" in matrices:
            both = [matrices[f"{measure}-{what}"].values for what in ("mean", "spread")]
            yield from layers_of_pairs(both, measure, layers, len(whole.rows), called)


def estimates_table(estimates: Mapping[str, tuple[Estimate, float]]) -> str:
    """A row for each layer, as `layer_estimates` gives them."""
    rows = [[name, one.value, _interval(one), spread] for name, (one, spread) in estimates.items()]
    return markdown_table(rows, _HEAD)


def _called(measure: str, flattenings: Mapping[str, str]) -> str:
    """A measure with its flattening, for on one page it may be there with two."""
    return f"{measure} ({flattenings[measure]})" if measure in flattenings else measure


def layer_estimates(
    found: Between, measure: str, draws: Tensor | None = None
) -> dict[str, tuple[Estimate, float]]:
    """Mean over pairs with its interval, and the spread of pairs, of each layer and of their mean.

    The spread is the root mean square distance of pairs from their mean.
    """
    names, count = (*found.layers, MEAN), len(found.networks)
    parts = over_pairs(
        _and_mean(found.values[measure]),
        None if draws is None else _and_mean(draws),
        MEASURES[measure].range,
    )
    return {
        name: (Estimate(mean, low, high, count * (count - 1) // 2), spread)
        for name, mean, low, high, spread in zip(names, *(p.tolist() for p in parts), strict=True)
    }


def _and_mean(of_layers: Tensor) -> Tensor:  # (..., L) to (..., L + 1)
    return torch.cat([of_layers, of_layers.mean(-1, keepdim=True)], -1)


def groupings(
    run: Run, found: Between, measure: str, draws: Tensor | None, seed: int
) -> list[Grouping]:
    """Networks by what their cards say, at the mean over layers."""
    cards = {name: run.networks.get(name, {}) for name in found.networks}
    values = found.values[measure].mean(2)
    some = None if draws is None else draws.mean(3)
    limits = MEASURES[measure].range
    made = [
        grouping(name, one, values, some, seed, limits=limits)
        for name, one in properties(cards).items()
    ]
    return [one for one in made if one is not None]


def _about(run: Run, found: Between) -> str:
    called = f"held-out {run.called}" if run.record["dataset"] else run.called
    count = len(found.networks)
    return (
        f"{count} networks, each run once over {run.record['examples']} {called}, and all "
        f"{count * (count - 1) // 2} pairs of them compared at the layers that stand for each "
        f"other: {', '.join(f'`{layer}`' for layer in found.layers)}."
    )


def _finding(found: Between) -> str:
    """The mean over pairs, and which networks are most and least alike, by the first measure."""
    measure = next(iter(found.values))
    values, names = found.matrix(measure).values, found.networks
    pairs = [(i, j) for i in range(len(names)) for j in range(i)]
    of = {pair: float(values[pair] + values[pair[::-1]]) / 2 for pair in pairs}
    known = {pair: value for pair, value in of.items() if math.isfinite(value)}
    if not known:
        return f"No pair of networks has a defined {measure}."
    mean = sum(known.values()) / len(known)
    said = f"The mean {measure} of {counted(len(known), 'pair')} of networks is {mean:.2f}"
    if min(known.values()) == max(known.values()):
        return f"{said}."
    larger = MEASURES[measure].perfect != MEASURES[measure].range[0]
    best, worst = (
        pick(known, key=known.__getitem__) for pick in ((max, min)[:: 1 if larger else -1])
    )
    ends = [f"{code(names[j])} and {code(names[i])} ({known[i, j]:.2f})" for i, j in (best, worst)]
    return f"{said}: the most alike are {ends[0]}, the least {ends[1]}."


def _how_sure(found: Between, draws: Mapping[str, Tensor], kept: int | None) -> Iterator[str]:
    drawn = next(iter(draws.values()), None)
    over = "networks"
    if drawn is not None:
        over = f"networks and over examples ({len(drawn)} random halves of {kept} of them)"
    yield (
        f"Intervals are of 95 %, over {over}: what other networks of this kind would give on "
        f"average. {_OF_PAIRS}" + ("" if drawn is not None else " ‹bootstrap› adds other examples.")
    ).replace("‹bootstrap›", "`bootstrap`")


def _section(
    run: Run, found: Between, measure: str, draws: Tensor | None, seed: int
) -> Iterator[str | Picture]:
    row = MEASURES[measure]
    yield f"## {measure}"
    title = found.matrix(measure).title
    estimates = layer_estimates(found, measure, draws)
    run.shown.append(f"{title}; mean over {len(found.layers)} layers, network by network")
    whole = found.matrix(measure)
    limits = _limits(measure, whole.values)
    run.shown.append(terminal_matrix(whole.values, found.networks, found.networks, limits))
    rows = [[name, one.value, _interval(one), spread] for name, (one, spread) in estimates.items()]
    run.shown.append(FittingRows(rows, _HEAD))
    for name, (one, spread) in estimates.items():
        numbers = {"mean": one.value, "low": one.low, "high": one.high, "spread": spread}
        run.numbers |= {f"{measure}_{what}/{name}": value for what, value in numbers.items()}
    grouped = groupings(run, found, measure, draws, seed)
    cards = {name: run.networks.get(name, {}) for name in found.networks}
    called = _called(measure, found.flattenings)
    yield from layout(whole.values, measure, len(found.layers), cards, called, run.folder)
    yield estimates_table(estimates)
    yield f"{row.about}. {title}. {row.source}"
    if grouped:
        yield from _groups(run, measure, grouped)
    if found.across:
        both = [of(measure).values for of in (found.mean_over_pairs, found.spread_over_pairs)]
        yield from layers_of_pairs(both, measure, found.layers, len(found.networks), called)
    yield from _curves(run, found, measure)


def layout(
    values: Tensor,
    measure: str,
    layers: int,
    cards: Mapping[str, Mapping[str, Any]],
    called: str,  # the measure with its flattening
    folder: Path,  # of the page
) -> Iterator[str | Picture]:
    """Network against network, the mean over layers: matrix in the order of a tree, tree, map."""
    names = [*cards]
    apart = distances_of(values, measure)
    known = bool(apart.isfinite().all())
    order, tree = list(range(len(names))), None
    if known:
        tree = tree_of(apart)
        order = order_of(tree)
    ordered = [names[i] for i in order]
    figure = heatmap(
        values[order][:, order],
        ordered,
        ordered,
        title=f"{called}, mean over {layers} layers",
        limits=_limits(measure, values),
    )
    caption = f"{called} of every network with every other, mean over layers that match"
    caption += ". Neighbours are those of the tree."
    yield Picture(f"{measure}-networks", figure, caption, cells_of(figure))
    if tree is None:
        yield "There is no tree and no map: some values are undefined, or nothing is perfect."
        return
    distance = measure if MEASURES[measure].perfect == MEASURES[measure].range[0] else None
    label = distance or f"1 - {measure}"
    yield Picture(
        f"{measure}-tree",
        network_tree(tree, names, label),
        "Which networks join first (average linkage). Two branches meet at the mean distance of "
        "their networks.",
    )
    points, stress = map_of(apart)
    groups = properties(cards)
    colours = next(iter(groups.values()), [])
    about = f" Colours: {next(iter(groups))}." if groups else ""
    metric = "" if distance else f" {measure} is no distance: shown is its perfect value less it."
    yield Picture(
        f"{measure}-map",
        network_map(
            points, names, colours, f"{label}, stress {stress:.2f}", pages_of(cards, folder)
        ),
        f"Networks on a map: near is alike (metric scaling). Stress {stress:.3f}: 0 is exact, and "
        f"above 0.2 distances on the map say little. Axes may be turned and mirrored.{about}"
        f"{metric}",
    )


def pages_of(cards: Mapping[str, Mapping[str, Any]], folder: Path) -> dict[str, str]:
    """Where the pages of the runs lie that have made the networks, from a folder; by name."""
    pages = {}
    for name, card in cards.items():
        file = Path(abspath(card.get("file") or ""))
        for made in (file.parent, file.parent.parent):  # a snapshot lies in a folder of its run
            if (made / "run.json").is_file() and (made / "report.html").is_file():
                pages[name] = quote(Path(relpath(made / "report.html", folder)).as_posix())
                break
    return pages


def _groups(run: Run, measure: str, grouped: Sequence[Grouping]) -> Iterator[str]:
    rows = []
    for one in grouped:
        groups = ", ".join(f"{name} ({count})" for name, count in one.groups.items())
        cells = [_with_interval(part) for part in (one.within, one.between, one.difference)]
        rows.append([one.name, groups, *cells, one.p])
        for what, part in (
            ("within", one.within),
            ("between", one.between),
            ("difference", one.difference),
        ):
            run.numbers[f"{measure}_{what}/{one.name}"] = part.value
        run.numbers[f"{measure}_p/{one.name}"] = one.p
        means = [format_value(part.value) for part in (one.within, one.between)]
        run.shown.append(
            f"by {one.name} ({groups}): {measure} {means[0]} within, {means[1]} between, "
            f"p {format_value(one.p)}"
        )
    head = ["networks by", "groups (networks)", "within", "between", "between less within", "p"]
    yield "Networks that have a property in common, against networks that differ in it:"
    yield markdown_table(rows, head, right=head[2:5])
    yield (
        "Of the mean over layers; pairs of one group, and of two. `p` is the share of orders of "
        "the networks (999 at random, and this one) whose difference is as large, either way: "
        "small means that the property tells networks apart. Few networks have few orders."
    )


def layers_of_pairs(
    mean_and_spread: Sequence[Tensor],
    measure: str,
    layers: Sequence[str],
    networks: int,
    called: str,
) -> Iterator[Picture]:
    """Layer against layer of networks with the same layers, over all pairs of them, both ways."""
    pairs = counted(networks * (networks - 1) // 2, "pair")
    captions = {
        "mean": f"{called} of every layer of one network with every layer of another, mean over "
        f"{pairs} of networks, each looked at both ways.",
        "spread": "How far pairs of networks lie from that mean (root mean square).",
    }
    for what, values in zip(captions, mean_and_spread, strict=True):
        figure = heatmap(
            values,
            layers,
            layers,
            title=f"{called}, {what} over {pairs}, both ways",
            row_label="layer of one network",
            column_label="layer of another",
            limits=_limits(measure, values) if what == "mean" else None,
        )
        yield Picture(f"{measure}-{what}", figure, captions[what], cells_of(figure))


def _curves(run: Run, found: Between, measure: str) -> Iterator[Picture]:
    """Of trainings: every state to the last one of its own training, and of the others'."""
    rows = [row for row in path_rows(run, found, measure) if row[5] == MEAN]
    own: dict[str, list[tuple[float, float]]] = {}
    other: dict[str, dict[float, list[float]]] = {}
    for training, _, _, step, end, _, value in rows:
        if training == end:
            own.setdefault(f"{training} to its end", []).append((step, value))
        else:
            points = other.setdefault(f"{training} to other ends", {})
            points.setdefault(step, []).append(value)
    series = {name: tuple(zip(*points, strict=True)) for name, points in own.items()}
    for name, by_step in other.items():
        means = [sum(values) / len(values) for values in by_step.values()]
        series[name] = (tuple(by_step), tuple(means))
    if series:
        yield Picture(
            f"{measure}-path",
            curves(series, f"{measure}, mean over layers", rows[0][2], measure),  # type: ignore
            f"{measure} over training: of every saved state with the last one of its own training, "
            "and with the last ones of the others (their mean). `path.csv` has it layer by layer.",
        )


def _interval(one: Estimate) -> str:
    if math.isnan(one.low):
        return "n/a"
    return f"{format_value(one.low)} to {format_value(one.high)}"


def _with_interval(one: Estimate) -> str:
    ends = "" if math.isnan(one.low) else f" [{format_value(one.low)}, {format_value(one.high)}]"
    return f"{format_value(one.value)}{ends}"


def _limits(measure: str, values: Tensor) -> tuple[float, float]:
    """Of the colours: the measure's range from 0 on, or that of the values if it has no end."""
    low, high = MEASURES[measure].range
    if high < math.inf:
        return max(low, 0.0), high
    known = values[values.isfinite()]
    if not len(known):
        return 0.0, 1.0
    least, most = float(known.min()), float(known.max())
    return (least, most) if least < most else (least, least + 1)
