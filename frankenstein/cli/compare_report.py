"""What a comparison of layers shows: heatmaps, tables, CSVs, TensorBoard's page, the terminal."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from rich.console import RenderableType
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from frankenstein.assignment import first_best
from frankenstein.catalog import MEASURES
from frankenstein.cli.how_sure import columns, explained
from frankenstein.cli.run_folder import RunFolder
from frankenstein.cli.run_report import write_run_report
from frankenstein.compare import Certainty, LabelledMatrix
from frankenstein.files import write_whole
from frankenstein.report import Picture, heatmap, markdown_table, terminal_matrix

Matrices = Mapping[str, LabelledMatrix]
Sure = Mapping[str, Certainty]


def write_comparison(
    run: RunFolder, name: str, values: Mapping[str, Any], matrices: Matrices, sure: Sure
) -> None:
    """A CSV, heatmaps, tables of every measure, `certainty.csv` if there is any, the report."""
    blocks: list[str | Picture] = [
        f"`{values['sender']}` (rows) against `{values['receiver']}` (columns), over "
        f"{run.facts['examples']} held-out images: {', '.join(matrices)}.",
        *explained(values, sure, run.facts["examples"]),
    ]
    for measure, matrix in matrices.items():
        matrix.to_csv(run.path / f"{measure}.csv")
        blocks += _section(matrix, sure.get(measure))
    files = ", ".join(f"`{measure}.csv`" for measure in matrices)
    blocks.append(f"Every value is in {files}" + (", and `certainty.csv`." if sure else "."))
    if sure:
        write_whole(run.path / "certainty.csv", _certainty_csv(matrices, sure))
    write_run_report(run, f"Similarity of layers: {name}", blocks)
    with SummaryWriter(str(run.path)) as writer:
        for block in blocks:
            if isinstance(block, Picture):
                writer.add_figure(f"similarity/{block.name}", block.figure)


def shown(matrices: Matrices, sure: Sure) -> Iterator[RenderableType]:
    """What the terminal shows of every measure."""
    for measure, matrix in matrices.items():
        yield (
            f"{matrix.title.replace('examples', 'held-out images')}; "
            "rows: layers of the sender, columns: of the receiver"
        )
        yield terminal_matrix(matrix.values, matrix.rows, matrix.columns, _limits(matrix))
        if measure in sure:
            yield _in_short(sure[measure])


def _section(matrix: LabelledMatrix, sure: Certainty | None) -> Iterator[str | Picture]:
    measure = matrix.measure
    yield f"## {measure}"
    yield f"{MEASURES[measure].about}. {matrix.title}. {MEASURES[measure].source}"
    perfect = f"{MEASURES[measure].perfect:g} is a representation with itself"
    caption = (
        f"{measure} of every layer of the sender with every layer of the receiver; {perfect}. A "
        "diagonal that stands out says that the networks do alike things at alike depths."
    )
    yield Picture(measure, matrix.plot(), caption)
    more = columns(sure)
    if sure is not None and sure.null_mean is not None:
        figure = heatmap(
            sure.null_mean,
            matrix.rows,
            matrix.columns,
            title=f"{measure} of shuffled examples, mean, {sure.examples} examples",
            row_label="sender",
            column_label="receiver",
            limits=_limits(matrix),
        )
        yield Picture(
            f"{measure}-null",
            figure,
            f"{measure} of the same layers when the examples of one are shuffled; what is no "
            "larger than this says nothing.",
        )
    yield markdown_table(*_best(matrix, more))
    yield _all_cells(matrix, more)


def _best(matrix: LabelledMatrix, more: Mapping[str, Tensor]) -> tuple[list[list[Any]], list[str]]:
    """For every layer of the sender the one of the receiver that is most like it."""
    alike = matrix.values if _larger_is_closer(matrix) else -matrix.values
    best = first_best(alike.nan_to_num(-torch.inf)).tolist()
    rows = [
        [layer, matrix.columns[j], float(matrix.values[i, j])]
        + [float(part[i, j]) for part in more.values()]
        for i, (layer, j) in enumerate(zip(matrix.rows, best, strict=True))
    ]
    return rows, ["sender's layer", "most alike in the receiver", matrix.measure, *more]


def _all_cells(matrix: LabelledMatrix, more: Mapping[str, Tensor]) -> str:
    """Every value, with its interval and the null's mean where they are known."""
    rows: list[list[Any]] = []
    for i, layer in enumerate(matrix.rows):
        line: list[Any] = [layer]
        for j in range(len(matrix.columns)):
            text = _number(matrix.values[i, j])
            if "low" in more:
                text += f" [{_number(more['low'][i, j])}, {_number(more['high'][i, j])}]"
            if "null mean" in more:
                text += f" null {_number(more['null mean'][i, j])}"
            line.append(text)
        rows.append(line)
    return markdown_table(rows, ["sender \\ receiver", *matrix.columns], right=matrix.columns)


def _certainty_csv(matrices: Matrices, sure: Sure) -> str:
    """One line for each pair of each measure: long, as data frames like it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    more = columns(next(iter(sure.values())))
    head = [name.replace(" ", "_") for name in more]
    writer.writerow(["measure", "sender_layer", "receiver_layer", "value", *head, "kept"])
    for measure, matrix in matrices.items():
        parts = [matrix.values.tolist(), *(p.tolist() for p in columns(sure[measure]).values())]
        for i, row in enumerate(matrix.rows):
            for j, column in enumerate(matrix.columns):
                numbers = [repr(part[i][j]) for part in parts]
                writer.writerow([measure, row, column, *numbers, sure[measure].examples])
    return text.getvalue()


def _in_short(sure: Certainty) -> str:
    said = [f"of {sure.examples} kept images:"]
    if sure.low is not None and sure.high is not None:
        widths = (sure.high - sure.low).nan_to_num(0)
        said.append(f"95 % intervals up to {float(widths.max()):.3f} wide;")
    if sure.null_mean is not None and sure.p_value is not None:
        low, high = (round(float(end), 3) + 0.0 for end in _ends(sure.null_mean))
        above = int((sure.p_value > 0.05).sum())
        said.append(f"shuffled examples give {low:.3f} to {high:.3f};")
        said.append(f"{above} of {sure.p_value.numel()} pairs may be chance (p > 0.05);")
    return " ".join(said).rstrip(";")


def _ends(values: Tensor) -> tuple[Tensor, Tensor]:
    known = values[values.isfinite()]
    return (known.min(), known.max()) if len(known) else (values.sum(), values.sum())


def _limits(matrix: LabelledMatrix) -> tuple[float, float]:
    """Of the colours: the measure's range from 0 on, or that of the values if it has no end."""
    low, high = MEASURES[matrix.measure].range
    if high < float("inf"):
        return max(low, 0.0), high
    least, most = (float(end) for end in _ends(matrix.values))
    return (least, most) if least < most else (least, least + 1)


def _larger_is_closer(matrix: LabelledMatrix) -> bool:
    return MEASURES[matrix.measure].perfect != MEASURES[matrix.measure].range[0]


def _number(value: Tensor) -> str:
    return "n/a" if value.isnan() else f"{float(value):.3f}"
