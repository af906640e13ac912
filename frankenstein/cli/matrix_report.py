"""What a matrix of stitches shows: heatmaps, tables, one CSV, TensorBoard's page."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from frankenstein.catalog import MEASURES
from frankenstein.cli.run_folder import RunFolder
from frankenstein.cli.run_report import write_run_report
from frankenstein.compare.repeats import mean_and_margin
from frankenstein.compare.stitching_matrix import Pair, from_second_moments
from frankenstein.files import write_whole
from frankenstein.report import Picture, heatmap, markdown_table

_SHARES = ("accuracy", "agreement")


@dataclass(frozen=True)
class Results:
    """Every number of a run, by kind ("solved", "trained", "measures"), name and pair."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    found: dict[str, dict[str, dict[Pair, list[float]]]]  # a value for each seed
    refused: dict[Pair, str]

    def table(self, kind: str, what: str) -> Tensor:  # (L, M), NaN where there is no stitch
        """Means over the seeds."""
        cells = self.found[kind].get(what, {})
        rows = [
            [
                mean_and_margin(cells[r, c])[0] if (r, c) in cells else torch.nan
                for c in self.columns
            ]
            for r in self.rows
        ]
        return torch.tensor(rows, dtype=torch.float64)

    def whole(self, side: str) -> float:
        """Accuracy of the sender or the receiver by itself."""
        return next(iter(self.found["solved"][side].values()))[0]

    def summary(self) -> dict[str, float]:
        """One flat record."""
        record = {f"accuracy/{side}": self.whole(side) for side in ("sender", "receiver")}
        for kind, what, (s, t), values in self._numbers():
            place = what if kind == "measures" else f"{what}/{kind}"
            mean, margin = mean_and_margin(values)
            record[f"{place}/{s}/{t}"] = mean
            if len(values) > 1:
                record[f"{place}_margin/{s}/{t}"] = margin
        return record

    def to_csv(self) -> str:
        """One line for each number: long, as data frames like it."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(
            ["kind", "sender_layer", "receiver_layer", "what", "value", "margin", "seeds"]
        )
        for kind, what, (s, t), values in self._numbers():
            mean, margin = mean_and_margin(values)
            several = repr(margin) if len(values) > 1 else ""
            writer.writerow([kind, s, t, what, repr(mean), several, len(values)])
        return text.getvalue()

    def pictures(self) -> Iterator[tuple[str, str]]:
        """Kind and name of every table."""
        for kind, named in self.found.items():
            yield from ((kind, what) for what in named if what not in ("sender", "receiver"))

    def _numbers(self) -> Iterator[tuple[str, str, Pair, list[float]]]:
        for kind, what in self.pictures():
            for pair, values in self.found[kind][what].items():
                yield kind, what, pair, values


def write_matrix(run: RunFolder, name: str, values: Mapping[str, Any], results: Results) -> None:
    """`matrix.csv`, `report.md` with its figures, and the same figures for TensorBoard."""
    write_whole(run.path / "matrix.csv", results.to_csv())
    pictures = {key: _figure(results, *key) for key in results.pictures()}
    blocks: list[str | Picture] = [
        f"Every stitch from a layer of `{values['sender']}` (rows) to a layer of "
        f"`{values['receiver']}` (columns). By themselves they are right in "
        f"{results.whole('sender'):.2%} and {results.whole('receiver'):.2%} of the held-out "
        "images. Stitches are solved and trained on training images and scored on held-out ones.",
        *_remarks(values, results),
    ]
    for (kind, what), figure in pictures.items():
        blocks.append(f"## {_title(kind, what)}")
        blocks.append(_markdown(results, kind, what))
        blocks.append(Picture(f"{what}-{kind}", figure, _caption(kind, what)))
    blocks.append("Every number is in `matrix.csv`.")
    write_run_report(run, f"All stitches: {name}", blocks)
    with SummaryWriter(str(run.path)) as writer:
        for (kind, what), figure in pictures.items():
            writer.add_figure(f"matrix/{what}-{kind}", figure)


def left_out(values: Mapping[str, Any]) -> list[str]:
    """A line on the measures that a matrix of stitches has not; nothing if it has all."""
    gone = [measure for measure in values["measures"] if not from_second_moments(measure)]
    if not gone:
        return []
    return [
        f"Left out: {', '.join(gone)}, which a matrix of stitches has not, for it keeps means and "
        "covariances only; compare.py has every measure of all layers."
    ]


def _figure(results: Results, kind: str, what: str) -> Figure:
    limits = (0.0, 1.0) if what in _SHARES or MEASURES[what].range == (0.0, 1.0) else None
    table = results.table(kind, what)
    labels = "sender's layer", "receiver's layer"
    title = _title(kind, what)
    return heatmap(table, results.rows, results.columns, title, *labels, limits=limits)


def _markdown(results: Results, kind: str, what: str) -> str:
    cells, share = results.found[kind][what], what in _SHARES
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
    return markdown_table(rows, ["sender \\ receiver", *results.columns])


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
    if results.refused:
        reason = next(iter(results.refused.values()))
        yield f"{len(results.refused)} pairs have no such stitch (n/a). The first: {reason}."


def _title(kind: str, what: str) -> str:
    if kind == "measures":
        return f"{what} of source and target"
    return f"{what}, {kind}{' (%)' if what in _SHARES else ''}".replace(" (%)", "")


def _caption(kind: str, what: str) -> str:
    if kind == "measures":
        return (
            f"{what} of the sender's layer (row) with the receiver's (column), place by place, "
            "over the images that the stitches are solved on."
        )
    how = "solved by direct matching" if kind == "solved" else "trained from its start"
    said = {
        "accuracy": "Share of held-out images that the grafted network gets right",
        "agreement": "Share of held-out images on which it says what the receiver says",
    }[what]
    return f"{said}, each stitch {how}."
