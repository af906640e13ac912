"""What a matrix of stitches shows: heatmaps, tables, one CSV, TensorBoard's page."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from frankenstein.catalog import MEASURES
from frankenstein.files import write_whole
from frankenstein.intervals import mean_and_margin
from frankenstein.networks.doubts import unlearned
from frankenstein.report import Picture, format_value, heatmap, markdown_table
from frankenstein.runs.folder import RunFolder
from frankenstein.runs.page import write_run_report
from frankenstein.stitching.matrix.results import SHARES, Results


def write_matrix(run: RunFolder, name: str, values: Mapping[str, Any], results: Results) -> None:
    """`matrix.csv`, `report.md` with its figures, and the same figures for TensorBoard."""
    write_whole(run.path / "matrix.csv", results.to_csv())
    pictures = {key: _figure(results, *key) for key in results.pictures()}
    blocks: list[str | Picture] = [
        f"Every stitch from a layer of `{values['sender']}` (rows) to a layer of "
        f"`{values['receiver']}` (columns). By themselves they are right in "
        f"{results.whole('sender'):.2%} and {results.whole('receiver'):.2%} of the held-out "
        f"images. Stitches are solved and trained on training images and scored on the "
        f"{results.images['solved']:,} held-out ones.",
        *(["The run was interrupted: n/a is not made yet."] if run.unfinished else []),
        *_remarks(values, results),
    ]
    for (kind, what), figure in pictures.items():
        blocks.append(f"## {_title(kind, what)}")
        blocks.append(_markdown(results, kind, what))
        blocks.append(Picture(f"{what}-{kind}", figure, _caption(kind, what)))
    blocks.append("Every number is in `matrix.csv`.")
    write_run_report(run, f"All stitches: {name}", blocks)
    for older in run.path.glob("events.out.tfevents.*"):  # of the same run, before a signal
        older.unlink()
    with SummaryWriter(str(run.path)) as writer:
        for (kind, what), figure in pictures.items():
            writer.add_figure(f"matrix/{what}-{kind}", figure)


def left_out(values: Mapping[str, Any]) -> list[str]:
    """A line on the measures that a matrix of stitches has not; nothing if it has all."""
    gone = [measure for measure in values["measures"] if not MEASURES[measure].from_second_moments]
    if not gone:
        return []
    return [
        f"Left out: {', '.join(gone)}, which a matrix of stitches has not, for it keeps means and "
        "covariances only; compare.py has every measure of all layers."
    ]


def beside_control(results: Results) -> list[str]:
    """A line on how many solved stitches show something; nothing if the control is not made yet."""
    if "untrained" not in results.found:
        return []
    above = len(results.clearly_below("untrained", "solved"))
    return [
        f"{above} of {len(results.found['solved']['accuracy'])} solved stitches are clearly above "
        "their control, untrained: the same stitches, solved on some training images from a sender "
        f"with random weights, scored on {results.images['untrained']:,} held-out images. What the "
        "others reach needs no training of the sender."
    ]


def warned(values: Mapping[str, Any], results: Results) -> list[str]:
    """Lines on networks that learned nothing, and on training short of what is solved."""
    whose = {f"accuracy/{side}": results.whole(side) for side in ("sender", "receiver")}
    whose["accuracy/most_frequent"] = results.most_frequent
    told = unlearned(whose, results.images["solved"])
    if not (short := results.clearly_below("trained", "solved")):
        return told
    pair, count = short[0], len(results.found["trained"]["accuracy"])
    means = [results.mean(kind, "accuracy", pair) for kind in ("trained", "solved")]
    trained, solved = (format_value(mean, percent=True) for mean in means)
    tried = "a smaller -lr" if values["init"] == "ps_inv" else "-i ps_inv"
    return [
        *told,
        f"training fell clearly short of what is solved in {len(short)} of {count} "
        f"stitches, as from {pair[0]} to {pair[1]} ({trained} where {solved} is solved); "
        f"try {tried}",
    ]


def _figure(results: Results, kind: str, what: str) -> Figure:
    limits = (0.0, 1.0) if what in SHARES or MEASURES[what].range == (0.0, 1.0) else None
    table = results.table(kind, what)
    labels = "sender's layer", "receiver's layer"
    title = _title(kind, what)
    return heatmap(table, results.rows, results.columns, title, *labels, limits=limits)


def _markdown(results: Results, kind: str, what: str) -> str:
    cells, share = results.found[kind][what], what in SHARES
    rows = []
    for r in results.rows:
        line: list[str] = [r]
        for c in results.columns:
            mean, margin = mean_and_margin(cells[r, c]) if (r, c) in cells else (None, torch.nan)
            scale, digits = (100, 2) if share else (1, 4)
            text = "n/a" if mean is None else f"{scale * mean:.{digits}f}"
            several = (r, c) in cells and len(cells[r, c]) > 1
            line.append(f"{text} ± {scale * margin:.{digits}f}" if several else text)
        rows.append(line)
    return markdown_table(rows, ["sender \\ receiver", *results.columns], right=results.columns)


def _remarks(values: Mapping[str, Any], results: Results) -> Iterator[str]:
    seeds = values["seeds"]
    if seeds > 1 and values["mask"] != "random-permutation":
        yield "Solved stitches have nothing random in them: they are not repeated."
    if seeds > 1:
        first = values["seed"]
        yield (
            f"± is half the width of the 95 % t interval of the mean over the {seeds} seeds "
            f"{first} to {first + seeds - 1}, of the stitch's start and the batch order."
        )
    yield from left_out(values)
    yield from (f"**Warning:** {line}." for line in warned(values, results))
    solved = results.found["solved"]["accuracy"]
    ends = [results.interval("solved", mean_and_margin(found)[0]) for found in solved.values()]
    yield (
        f"The 95 % interval of an accuracy of one stitch on {results.images['solved']:,} images "
        f"(Wilson's) is up to {100 * max(high - low for low, high in ends):.2f} points wide here; "
        "`matrix.csv` has that of each."
    )
    yield from beside_control(results)
    if results.refused:
        reason = next(iter(results.refused.values()))
        yield f"{len(results.refused)} pairs have no such stitch (n/a). The first: {reason}."


def _title(kind: str, what: str) -> str:
    if kind == "measures":
        return f"{what} of source and target"
    return f"{what}, {kind}"


def _caption(kind: str, what: str) -> str:
    if kind == "measures":
        return (
            f"{what} of the sender's layer (row) with the receiver's (column), place by place, "
            "over the images that the stitches are solved on."
        )
    how = {
        "solved": "solved by direct matching",
        "untrained": "solved likewise, from a sender that has learned nothing",
        "trained": "trained from its start",
    }[kind]
    said = {
        "accuracy": "Share of held-out images that the grafted network gets right",
        "agreement": "Share of held-out images on which it says what the receiver says",
    }[what]
    return f"{said}, each stitch {how}."
