"""What a comparison of layers shows: heatmaps, tables, CSVs, TensorBoard's page, the terminal."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from frankenstein.catalog import MEASURES
from frankenstein.files import write_whole
from frankenstein.report import (
    Picture,
    heatmap,
    markdown_table,
    rich_table,
    terminal_matrix,
    unit_correlations,
)
from frankenstein.report.labelled import LabelledMatrix
from frankenstein.runs.page import log_page, write_page
from frankenstein.runs.run import Run
from frankenstein.similarity.compared import Compared
from frankenstein.similarity.plan import ComparePlan, measure_of
from frankenstein.similarity.resampling import Certainty

Matrices = Mapping[str, LabelledMatrix]
Sure = Mapping[str, Certainty]
_UNITS = "Correlation of every unit of one with every unit of the other"


def write_compare_page(run: Run, plan: ComparePlan, compared: Compared) -> None:
    """The page, its tables and CSVs, and what the terminal shows of a run that has its numbers."""
    if plan.is_table:
        title, scalars, blocks = "Similarity", _scalars(run, compared), _table(run, plan, compared)
    else:
        title, scalars, blocks = "Similarity of layers", {}, _matrices(run, plan, compared)
    write_page(run, f"{title}: {run.name}", blocks)
    pictures = [block for block in blocks if isinstance(block, Picture)]
    log_page(run, {f"similarity/{one.name}": one for one in pictures}, scalars)


def _matrices(run: Run, plan: ComparePlan, compared: Compared) -> list[str | Picture]:
    """A section for every measure, its matrix as CSV, and `certainty.csv` if there is any."""
    matrices, sure, images = compared.matrices, compared.certainties, run.record["examples"]
    blocks: list[str | Picture] = [
        f"`{plan.sender}` (rows) against `{plan.receiver}` (columns), over "
        f"{images} held-out images: {', '.join(matrices)}.",
        *_explained(plan, sure, images),
    ]
    for measure, matrix in matrices.items():
        matrix.to_csv(run.folder / f"{measure}.csv")
        blocks += _section(matrix, sure.get(measure))
        run.shown += _shown(matrix, sure.get(measure))
    files = ", ".join(f"`{measure}.csv`" for measure in matrices)
    blocks.append(f"Every value is in {files}" + (", and `certainty.csv`." if sure else "."))
    if sure:
        write_whole(run.folder / "certainty.csv", _certainty_csv(matrices, sure))
    return blocks


def _table(run: Run, plan: ComparePlan, compared: Compared) -> list[str | Picture]:
    """A row for every measure of two single representations, and the correlations of units."""
    sure, images = compared.certainties, run.record["examples"]
    called = [*compared.similarities.rows, *compared.similarities.columns]
    about = f"{' against '.join(called)}, {run.record['flattening']}, {images} held-out images"
    head = ["measure", "value", *_columns(next(iter(sure.values()), None)), "what it says"]
    rows = []
    for word in compared.words:
        more = _columns(sure.get(measure_of(word)), compared.divisor(word))
        value = run.numbers["/".join([word, *called])]
        rows.append([word, value, *(float(part) for part in more.values()), _about(word)])
    blocks: list[str | Picture] = [about, markdown_table(rows, head)]
    flattenings = run.record["flattenings"]
    if len(set(flattenings.values())) > 1:
        blocks.append(", ".join(f"{name}: {flat}" for name, flat in flattenings.items()) + ".")
    blocks += _explained(plan, sure, images)
    for values in compared.of_units().values():
        figure = unit_correlations(values, *(f"unit of {name}" for name in called))
        blocks.append(Picture("units", figure, _UNITS))
    if sure:  # a terminal has no room for words beside so many numbers
        whole = next(iter(sure.values())).examples == images  # then it is the value once more
        spare = {"what it says", "of the kept"} if whole else {"what it says"}
        left = [i for i, name in enumerate(head) if name not in spare]
        head, rows = [head[i] for i in left], [[row[i] for i in left] for row in rows]
    run.shown.append(rich_table(rows, head, title=about))
    return blocks


def _scalars(run: Run, compared: Compared) -> dict[str, float]:
    """What TensorBoard has of a table."""
    called = [*compared.similarities.rows, *compared.similarities.columns]
    return {
        f"similarity/{word}/{compared.matrices[measure_of(word)].flattening}": run.numbers[
            "/".join([word, *called])
        ]
        for word in compared.words
    }


def _about(word: str) -> str:
    if word == "l2":
        return "mean squared difference per number; 0 is best (a distance)"
    name = measure_of(word)
    return MEASURES[name].about if name == word else f"{name}: {MEASURES[name].about}"


def _shown(matrix: LabelledMatrix, sure: Certainty | None) -> Iterator[Any]:
    """What the terminal shows of a measure."""
    yield (
        f"{matrix.title.replace('examples', 'held-out images')}; "
        "rows: layers of the sender, columns: of the receiver"
    )
    yield terminal_matrix(matrix.values, matrix.rows, matrix.columns, _limits(matrix))
    if sure is not None:
        yield _in_short(sure)


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
    more = _columns(sure)
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
    best = alike.nan_to_num(-torch.inf).argmax(1).tolist()
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
    more = _columns(next(iter(sure.values())))
    head = [name.replace(" ", "_") for name in more]
    writer.writerow(["measure", "sender_layer", "receiver_layer", "value", *head, "kept"])
    for measure, matrix in matrices.items():
        parts = [matrix.values.tolist(), *(p.tolist() for p in _columns(sure[measure]).values())]
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


def _columns(sure: Certainty | None, scale: float = 1.0) -> dict[str, Tensor]:
    """What is known of a value besides itself, by column, in the order shown."""
    if sure is None:
        return {}
    found = {"of the kept": sure.value / scale}
    if sure.low is not None and sure.high is not None:
        found |= {"low": sure.low / scale, "high": sure.high / scale}
    if sure.null_mean is not None and sure.p_value is not None:
        found |= {"null mean": sure.null_mean / scale, "p": sure.p_value}
    return found


def _explained(plan: ComparePlan, sure: Sure, images: int) -> list[str]:
    """How to read these columns, for a report; nothing if there are none."""
    if not sure:
        return []
    n = next(iter(sure.values())).examples
    of_all = f"{n} of the {images} images, drawn uniformly" if n < images else f"all {n} images"
    text = [
        f"How sure: `of the kept` is the measure of {of_all}, and what stands behind it is of "
        "these."
    ]
    if plan.bootstrap:
        text.append(
            f"`low` to `high` is a 95 % interval over examples: percentiles of "
            f"{plan.bootstrap} random halves of them (half of the examples, none twice, "
            "spread as much as redrawn ones do), moved so that their mean is the value. It holds "
            "what the measure gives on average on so many examples, its bias included."
        )
        if n < images:
            text.append(f"It is as wide as for {n} images: wider than the whole value deserves.")
    if plan.permutations:
        text.append(
            f"`null mean` is what the measure gives on average over {plan.permutations} "
            "shuffles of the receiver's examples, when the two have nothing in common; `p` is the "
            "share of shuffles, with the value itself counted, that are at least as alike. It is "
            "of each pair by itself."
        )
    return [" ".join(text)]
