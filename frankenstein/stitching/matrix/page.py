"""What a matrix of stitches shows: heatmaps, tables, one CSV, TensorBoard's page."""

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from frankenstein.catalog import MEASURES
from frankenstein.errors import counted
from frankenstein.files import write_whole
from frankenstein.networks.accuracy import below_chance_warnings
from frankenstein.report import (
    CellMatrix,
    Fold,
    Picture,
    code,
    format_value,
    heatmap,
    markdown_table,
    plane,
    terminal_matrix,
)
from frankenstein.report.document import Block
from frankenstein.report.matrices import colour_range
from frankenstein.runs.page import log_page, write_page
from frankenstein.runs.run import Run
from frankenstein.runs.schema import options_of
from frankenstein.stitching.matrix.results import FEW, Number, Results
from frankenstein.stitching.matrix.solve import Pair
from frankenstein.stitching.plan import StitchPlan

_SHARES = {
    "accuracy": "Share of held-out images that the grafted network gets right",
    "agreement": "Share of held-out images on which it says what the receiver says",
}
_KINDS = {
    "solved": "solved by direct matching",
    FEW: "solved likewise on the few images of the control, and scored on its",
    "untrained": "solved as these, from senders that have learned nothing (mean over them)",
    "trained": "trained from its start",
}

_COST = (
    "Accuracy and cost of every grafted network: multiplications of convolutions and matrix "
    "products for one example, of front, stitch and end. On the front is what no other stitch "
    "beats: cheaper and as accurate, or more accurate and as cheap (KLAS, ICLR 2026, "
    "https://arxiv.org/abs/2605.29259). Above a network by itself is what a stitch gains on it."
)
_NAMED = 8  # stitches that are named in a sentence
_ON_FRONT = "on the Pareto front"


def write_matrix_page(
    run: Run,
    plan: StitchPlan,
    results: Results,
    remarks: Iterable[str] = (),
    warnings: Sequence[str] = (),  # beside those that follow from the results
) -> None:
    """The run's numbers, `matrix.csv`, its page, the same figures for TensorBoard, the terminal."""
    run.numbers |= results.summary()
    write_whole(run.folder / "matrix.csv", results.to_csv())
    warned = [*warnings_of(plan, results, run.networks), *warnings]
    run.finding = _finding(results)
    blocks: list[Block] = [
        *(["The run was interrupted: n/a is not made yet."] if run.unfinished else []),
        *(f"**Warning:** {line}." for line in warned),
    ]
    pictures = {}
    for kind, what in results.tables():
        picture = Picture(
            f"{what}-{kind}",
            _figure(results, kind, what),
            _caption(kind, what),
            _cells(plan, results, kind, what),
        )
        pictures[f"matrix/{picture.name}"] = picture
        title = _title(kind, what)
        table = Fold(f"The numbers: {title}", _markdown(results, kind, what))
        blocks += [f"## {title}", picture, table]
    if results.costs and results.all_of(results.last):
        picture = Picture("cost", _plane(results), _COST)
        pictures["matrix/cost"] = picture
        blocks += ["## What each grafted network costs", picture, _cost_table(results)]
    blocks += [
        "## How they were stitched",
        f"Every stitch from a layer of `{plan.sender}` (rows) to a layer of `{plan.receiver}` "
        f"(columns). By themselves they are right in {results.networks['sender']:.2%} and "
        f"{results.networks['receiver']:.2%} of the held-out images. Stitches are solved and "
        f"trained on training images and scored on the {results.images:,} held-out ones. Every "
        "number is in `matrix.csv`.",
        *_remarks(plan, results),
        *remarks,
    ]
    title = f"{run.name} (unfinished)" if run.unfinished else run.name
    write_page(run, f"All stitches: {title}", blocks)
    log_page(run, pictures)
    run.shown += _shown(results)
    run.shown += [f"warning: {line}" for line in warned]


def left_out(plan: StitchPlan) -> list[str]:
    """A line on the measures that are asked for and a matrix of stitches has not."""
    if list(plan.measures) == list(options_of(StitchPlan)["measures"].default):
        return []  # nobody asked for them
    missing = [measure for measure in plan.measures if not MEASURES[measure].from_second_moments]
    if not missing:
        return []
    return [
        f"Left out: {', '.join(missing)}, which a matrix of stitches has not. It keeps means and "
        "covariances only; `compare` has every measure of all layers."
    ]


def warnings_of(
    plan: StitchPlan,
    results: Results,
    networks: Mapping[str, Mapping[str, Any]] = {},  # their records, by role
) -> list[str]:
    """Lines on networks that learned nothing, and on training that ended below what is solved."""
    whole = {f"accuracy/{role}": accuracy for role, accuracy in results.networks.items()}
    whole["accuracy/most_frequent"] = results.most_frequent
    lines = below_chance_warnings(whole, results.images, networks)
    if not (short := results.clearly_below("trained", "solved")):
        return lines
    pair, count = short[0][0].pair, len(results.all_of("trained"))
    trained, solved = (format_value(number.mean, percent=True) for number in short[0])
    advice = "take a smaller lr" if plan.init == "ps_inv" else "start them at ps_inv"
    return [
        *lines,
        f"training ended clearly below the closed form in {len(short)} of {count} stitches, such "
        f"as from {pair[0]} to {pair[1]} ({trained}, and the closed form {solved}); {advice}",
    ]


def _beside_control(results: Results) -> list[str]:
    """A line on how many solved stitches show something; nothing if the control is not made yet."""
    controls, solved = results.all_of("untrained"), results.all_of(FEW)
    if not controls or not solved:
        return []
    above = _above(results)
    senders = len(controls[0].values)
    each = f"each of {senders} senders" if senders > 1 else "a sender"
    return [
        f"{len(above)} of {len(solved)} solved stitches are clearly above their control, "
        f"untrained: the same stitches from {each} with random weights, BatchNorm's statistics "
        "counted on training images. Both are solved on the same few training images, and scored "
        f"on the same {controls[0].images:,} held-out ones. What the others reach needs no "
        f"training of the sender.{_which(above, [number.pair for number in solved])}"
    ]


def _above(results: Results) -> list[Pair]:
    """The stitches that are clearly above their control."""
    return [two.pair for _, two in results.clearly_below("untrained", FEW)]


def _which(above: Sequence[Pair], pairs: Sequence[Pair]) -> str:
    """Which they are, or which are not, if either are few."""
    others = [pair for pair in pairs if pair not in above]
    if not above or not others:
        return ""
    few, what = (above, "Above it") if len(above) <= len(others) else (others, "Not above it")
    if len(few) > _NAMED:
        return ""
    named = ", ".join(f"{sender} to {receiver}" for sender, receiver in few)
    return f" {what}: {named}."


def _shown(results: Results) -> Iterator[object]:
    for kind in ("solved", "trained"):
        if numbers := results.all_of(kind):
            yield (
                f"accuracy, {kind}, of {numbers[0].images:,} held-out images; "
                "rows: layers of the sender, columns: of the receiver"
            )
            yield terminal_matrix(results.table(kind, "accuracy"), results.rows, results.columns)
    yield from _beside_control(results)


def _finding(results: Results) -> str:
    """The best of the stitches, and how many are clearly above their control."""
    numbers = results.all_of(results.last)
    if not numbers:
        return ""
    best = max(numbers, key=lambda number: number.mean)
    whole = results.networks["receiver"]
    line = (
        f"The best of {len(numbers)} stitches, from {code(best.pair[0])} to {code(best.pair[1])}, "
        f"is right in {format_value(best.mean, percent=True)} of the images, and the receiver in "
        f"{format_value(whole, percent=True)}."
    )
    controls, few = results.all_of("untrained"), results.all_of(FEW)
    if not controls or not few:
        return line
    above = f"{len(_above(results))} of {len(few)} are clearly above"
    return f"{line} {above} the same stitch from untrained senders."


def _plane(results: Results) -> Figure:
    """Every stitch, the Pareto front and the two networks, accuracy over multiplications."""
    accuracies = {number.pair: number.mean for number in results.all_of(results.last)}
    front = results.pareto

    def points(pairs: Iterable[Pair]) -> tuple[list[int], list[float]]:
        known = list(pairs)
        return (
            [results.costs[pair].multiplications for pair in known],
            [accuracies[pair] for pair in known],
        )

    series = {
        f"stitches, {results.last}": points(accuracies),
        _ON_FRONT: points(front),
        **{
            role: ([cost.multiplications], [results.networks[role]])
            for role, cost in results.own_costs.items()
            if role in results.networks
        },
    }
    return plane(series, "multiplications", "accuracy", [_ON_FRONT])


def _cost_table(results: Results) -> str:
    """The networks by themselves, and the stitches on the front."""
    accuracies = {number.pair: number.mean for number in results.all_of(results.last)}
    rows: list[list[Any]] = [
        [role, "", f"{cost.parameters:,}", f"{cost.multiplications:,}", results.networks.get(role)]
        for role, cost in results.own_costs.items()
    ]
    for pair in results.pareto:
        cost = results.costs[pair]
        numbers = f"{cost.parameters:,}", f"{cost.multiplications:,}"
        rows.append([*pair, *numbers, accuracies[pair]])
    header = ["from", "to", "parameters", "multiplications", "accuracy"]
    return markdown_table(rows, header, ["accuracy"], right=header[2:])


def _cells(plan: StitchPlan, results: Results, kind: str, what: str) -> CellMatrix:
    array = results.table(kind, what)
    numbers = {number.pair: number for number in results.all_of(kind, what)}
    ends = {pair: number.ends for pair, number in numbers.items()}
    low, high = (
        [[_end(ends.get((row, column)), end) for column in results.columns] for row in results.rows]
        for end in (0, 1)
    )
    known = any(ends.values())
    sender, receiver = shlex.quote(plan.sender), shlex.quote(plan.receiver)
    return CellMatrix(
        array,
        results.rows,
        results.columns,
        _limits(what) or colour_range(array),
        what,
        _title(kind, what).removeprefix(f"{what}, "),
        low=low if known else None,
        high=high if known else None,
        command=f"frankenstein stitch {sender} {receiver} {{row}} {{column}}",
    )


def _end(ends: tuple[float, float] | None, which: int) -> float:
    return math.nan if ends is None else ends[which]


def _limits(what: str) -> tuple[float, float] | None:
    """Of the colours; None for those of the values."""
    return (0.0, 1.0) if what in _SHARES or MEASURES[what].range == (0.0, 1.0) else None


def _figure(results: Results, kind: str, what: str) -> Figure:
    table = results.table(kind, what)
    labels = "sender's layer", "receiver's layer"
    title = _title(kind, what)
    return heatmap(table, results.rows, results.columns, title, *labels, limits=_limits(what))


def _markdown(results: Results, kind: str, what: str) -> str:
    above = _above(results) if (kind, what) == (FEW, "accuracy") else []
    cells = {
        number.pair: f"{_cell(number)}{' ✓' if number.pair in above else ''}"
        for number in results.all_of(kind, what)
    }
    rows = [[r, *(cells.get((r, c), "n/a") for c in results.columns)] for r in results.rows]
    table = markdown_table(rows, ["sender \\ receiver", *results.columns], right=results.columns)
    return f"{table}\n\n✓: clearly above its control, untrained." if above else table


def _cell(number: Number) -> str:
    scale, digits = (100, 2) if number.what in _SHARES else (1, 4)
    mean = f"{scale * number.mean:.{digits}f}"
    beside = number.margin if number.spread is None else number.spread
    return mean if beside is None else f"{mean} ± {scale * beside:.{digits}f}"


def _remarks(plan: StitchPlan, results: Results) -> Iterator[str]:
    if plan.seeds > 1 and plan.mask != "random-permutation":
        yield "Solved stitches have nothing random in them: they are not repeated."
    if plan.seeds > 1:
        yield (
            f"± is half the width of the 95 % t interval of the mean over the {plan.seeds} seeds "
            f"{plan.all_seeds[0]} to {plan.all_seeds[-1]}, of the stitch's start and the batch "
            "order."
        )
    if plan.untrained > 1:
        yield f"± of *untrained* is the standard deviation over {plan.untrained} untrained senders."
    yield from left_out(plan)
    if solved := [number.interval for number in results.all_of("solved")]:
        width = max(high - low for low, high in solved)
        yield (
            f"The 95 % interval of an accuracy of one stitch on {results.images:,} images "
            f"(Wilson's) is up to {100 * width:.2f} points wide here; `matrix.csv` has that of "
            "each."
        )
    yield from _beside_control(results)
    if results.refused:
        reason = next(iter(results.refused.values()))
        pairs = counted(len(results.refused), "pair")
        yield f"{pairs} without such a stitch (n/a). The first: {reason}."


def _title(kind: str, what: str) -> str:
    if kind == "measures":
        return f"{what} of source and target"
    return f"{what}, {'solved on few images' if kind == FEW else kind}"


def _caption(kind: str, what: str) -> str:
    if kind == "measures":
        return (
            f"{what} of the sender's layer (row) with the receiver's (column), place by place, "
            "over the images that the stitches are solved on."
        )
    return f"{_SHARES[what]}, each stitch {_KINDS[kind]}."
