"""What a comparison of layers shows: heatmaps, tables, CSVs, TensorBoard's page, the terminal."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from frankenstein.accumulators.linear import first_best
from frankenstein.catalog import MEASURES
from frankenstein.files import write_whole
from frankenstein.networks.network import told_name
from frankenstein.report import (
    CellMatrix,
    Fold,
    Picture,
    cells_of,
    code,
    heatmap,
    markdown_table,
    rich_table,
    terminal_matrix,
    unit_correlations,
)
from frankenstein.report.document import Block
from frankenstein.report.labelled import LabelledMatrix
from frankenstein.runs.page import log_page, write_page
from frankenstein.runs.run import Run
from frankenstein.similarity.certainty_page import (
    certainty_columns,
    certainty_csv,
    certainty_in_short,
    clears,
    explain_columns,
    finite_range,
)
from frankenstein.similarity.compared import Compared
from frankenstein.similarity.files_page import files_blocks
from frankenstein.similarity.plan import ComparePlan, measure_of
from frankenstein.similarity.resampling import Certainty

_UNITS = "Correlation of every unit of one with every unit of the other"


def write_compare_page(run: Run, plan: ComparePlan, compared: Compared) -> None:
    """The page, its tables and CSVs, and what the terminal shows of a run that has its numbers."""
    scalars: dict[str, float] = {}
    if plan.is_table:
        title, blocks = "Similarity", _table(run, plan, compared)
        scalars = {f"similarity/{name}": value for name, value in _by_flattening(run, compared)}
    else:
        title, blocks = "Similarity of layers", _matrices(run, plan, compared)
    write_page(run, f"{title}: {run.name}", blocks)
    pictures = [block for block in blocks if isinstance(block, Picture)]
    sources = {role: getattr(plan, role) for role in ("sender", "receiver")}
    facts = {role: told_name(source) for role, source in sources.items() if source}
    if plan.is_table:
        facts |= dict(zip(("sender_layer", "receiver_layer"), compared.layers, strict=True))
    log_page(run, {f"similarity/{one.name}": one for one in pictures}, scalars, facts)


def _matrices(run: Run, plan: ComparePlan, compared: Compared) -> list[Block]:
    """A section for every measure, its matrix as CSV, and `certainty.csv` if there is any."""
    matrices, certainties = compared.matrices, compared.certainties
    run.finding = _finding(run, [*matrices.values()])
    pair = f"frankenstein compare {shlex.quote(plan.sender)} {shlex.quote(str(plan.receiver))}"
    blocks: list[Block] = [
        f"{code(plan.sender)} (rows) against {code(str(plan.receiver))} (columns), "
        f"over {_over(run)}: {', '.join(matrices)}.",
        *files_blocks(run),
    ]
    asked = [*matrices] if plan.measures else [*matrices][:1]
    for measure, matrix in matrices.items():
        matrix.to_csv(run.folder / f"{measure}.csv")
        command = f"{pair} {{row}} {{column}}" if plan.receiver else ""
        blocks += _section(matrix, certainties.get(measure), command)
        if measure in asked:
            run.shown += _shown(run, matrix, certainties.get(measure), len(asked))
    run.shown += [f"the report has {one}, too" for one in matrices if one not in asked]
    more = explain_columns(plan, certainties, run.record["examples"], run.called)
    blocks += [Fold("How to read these columns", text) for text in more]
    files = ", ".join(f"`{measure}.csv`" for measure in matrices)
    blocks.append(f"Every value is in {files}{', and `certainty.csv`' if certainties else ''}.")
    if certainties:
        write_whole(run.folder / "certainty.csv", certainty_csv(matrices, certainties))
    return blocks


def _finding(run: Run, matrices: Sequence[LabelledMatrix]) -> str:
    """Which layers are most alike, by the first measure."""
    matrix = matrices[0]
    values = matrix.values if _larger_is_closer(matrix) else -matrix.values
    known = int(values.isfinite().sum())
    if not known:
        return f"No pair of layers has a defined {matrix.measure}."
    place = int(values.nan_to_num(-torch.inf).argmax())
    i, j = divmod(place, len(matrix.columns))
    best = f"{round(float(matrix.values[i, j]), 2) + 0.0:.2f}, of {code(matrix.rows[i])} and "
    best += code(matrix.columns[j])
    if known == 1:
        return f"The {matrix.measure} of the two layers is {best}, over {_over(run)}."
    middle = float(matrix.values[matrix.values.isfinite()].median())
    kind = "highest" if _larger_is_closer(matrix) else "lowest"
    return (
        f"The {kind} {matrix.measure} of {known:,} pairs of layers is {best}; the median is "
        f"{middle:.2f}."
    )


def _table(run: Run, plan: ComparePlan, compared: Compared) -> list[Block]:
    """A row for every measure of two single representations, and the correlations of units."""
    certainties, count = compared.certainties, run.record["examples"]
    about = f"{' against '.join(compared.layers)}, {run.record['flattening']}, {_over(run)}"
    first = next(iter(certainties.values()), None)
    head = ["measure", "value", *certainty_columns(first), "what it says"]
    rows = []
    for word in compared.words:
        more = certainty_columns(certainties.get(measure_of(word)), compared.divisor(word))
        value = run.numbers[compared.key(word, *compared.layers)]
        rows.append([word, value, *(float(part) for part in more.values()), _about(word)])
    word, layers = compared.words[0], compared.layers
    number = run.numbers[compared.key(word, *layers)]
    named = " and ".join(map(code, layers))
    word = word if measure_of(word) == word else f"{word} ({measure_of(word)})"
    run.finding = f"The {word} of {named} is {_number(torch.tensor(number))}, over {_over(run)}."
    blocks: list[Block] = [markdown_table(rows, head), about, *files_blocks(run)]
    flattenings = run.record["flattenings"]
    if len(set(flattenings.values())) > 1:
        blocks.append(", ".join(f"{name}: {flat}" for name, flat in flattenings.items()) + ".")
    told = explain_columns(plan, certainties, count, run.called)
    blocks += [Fold("How to read these columns", text) for text in told]
    for values in compared.of_units().values():
        figure = unit_correlations(values, *(f"unit of {name}" for name in compared.layers))
        blocks.append(Picture("units", figure, _UNITS, cells_of(figure)))
    if first is not None:  # a terminal has no room for words beside so many numbers
        whole = first.examples == count  # then `of the kept` is the value once more
        spare = {"what it says", "of the kept"} if whole else {"what it says"}
        left = [i for i, name in enumerate(head) if name not in spare]
        head, rows = [head[i] for i in left], [[row[i] for i in left] for row in rows]
    run.shown.append(rich_table(rows, head, title=about))
    return blocks


def _by_flattening(run: Run, compared: Compared) -> Iterator[tuple[str, float]]:
    """The values of a table, as TensorBoard names them."""
    for word in compared.words:
        flattening = compared.matrices[measure_of(word)].flattening
        yield f"{word}/{flattening}", run.numbers[compared.key(word, *compared.layers)]


def _about(word: str) -> str:
    if word == "l2":
        return "mean squared difference per number; 0 is best (a distance)"
    name = measure_of(word)
    other = ", not the default unbiased_cka" if word == "cka" else ""
    return MEASURES[name].about if name == word else f"{name}{other}: {MEASURES[name].about}"


def _over(run: Run) -> str:
    """The examples, with their number."""
    held_out = "held-out " if run.record["dataset"] else ""
    return f"{run.record['examples']} {held_out}{run.called}"


def _shown(
    run: Run, matrix: LabelledMatrix, certainty: Certainty | None, sharing: int
) -> Iterator[Any]:
    """What the terminal shows of a measure."""
    held_out = f"held-out {run.called}" if run.record["dataset"] else run.called
    yield (
        f"{matrix.title.replace('examples', held_out)}; "
        "rows: layers of the sender, columns: of the receiver"
    )
    yield terminal_matrix(matrix.values, matrix.rows, matrix.columns, _limits(matrix), sharing)
    if certainty is not None:
        yield certainty_in_short(certainty, run.called)


def _section(matrix: LabelledMatrix, certainty: Certainty | None, command: str) -> Iterator[Block]:
    measure = matrix.measure
    yield f"## {measure}"
    perfect = MEASURES[measure].perfect
    itself = "its own value" if perfect is None else f"{perfect:g}"
    caption = (
        f"{measure} of every layer of the sender with every layer of the receiver; a "
        f"representation with itself has {itself}. A "
        "diagonal that stands out says that layers at the same depth are alike."
    )
    more = certainty_columns(certainty)
    cells = CellMatrix(
        matrix.values,
        matrix.rows,
        matrix.columns,
        _limits(matrix),
        measure,
        low=more.get("low"),
        high=more.get("high"),
        null=more.get("null mean"),
        command=command,
    )
    yield Picture(measure, matrix.plot(), caption, cells)
    if certainty is not None and certainty.null_mean is not None:
        yield _null(matrix, certainty, cells)
        yield Picture(
            f"{measure}-calibrated",
            heatmap(
                more["calibrated"],
                matrix.rows,
                matrix.columns,
                title=f"{measure}, calibrated, {certainty.examples} examples",
                row_label="sender",
                column_label="receiver",
                limits=(0.0, 1.0),
            ),
            f"The same above what chance gives any pair: 0 where the family p of {measure} is over "
            "0.05, 1 for a representation with itself.",
            replace(
                cells,
                values=more["calibrated"],
                limits=(0.0, 1.0),
                kind="calibrated",
                low=None,
                null=None,
            ),
        )
    yield markdown_table(*_best(matrix, more))
    values, of_kept = _all_cells(matrix, more, clears(certainty)), ""
    if certainty is not None and certainty.examples < matrix.examples:
        of_kept = f", of the {certainty.examples} kept examples"
        values = (
            "Intervals and nulls belong to these values, of the kept examples. The one to quote is "
            f"that of all {matrix.examples}, in the matrix and `{measure}.csv`.\n\n{values}"
        )
    yield Fold(f"All values of {measure}{of_kept}", values)
    yield f"{MEASURES[measure].about}. {matrix.title}. {MEASURES[measure].source}"


def _null(matrix: LabelledMatrix, certainty: Certainty, cells: CellMatrix) -> Block:
    """What shuffled examples give: a sentence where all pairs have the same at two digits."""
    assert certainty.null_mean is not None
    measure, values = matrix.measure, certainty.null_mean
    says = "A value that is no larger than this says nothing."
    shown = {f"{round(float(value), 2) + 0.0:.2f}" for value in values.flatten()}
    if len(shown) == 1 and values.numel() > 1:
        told = f"With the examples of one side shuffled, {measure} is {shown.pop()} on average"
        return f"{told}, of every pair. {says}"
    figure = heatmap(
        values,
        matrix.rows,
        matrix.columns,
        title=f"{measure} of shuffled examples, mean, {certainty.examples} examples",
        row_label="sender",
        column_label="receiver",
        limits=_limits(matrix),
    )
    return Picture(
        f"{measure}-null",
        figure,
        f"{measure} of the same layers when the examples of one are shuffled. {says}",
        replace(cells, values=values, kind="shuffled", low=None, null=None),
    )


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


def _all_cells(matrix: LabelledMatrix, more: Mapping[str, Tensor], marked: Tensor | None) -> str:
    """Every value, with its interval and the null's mean where they are known.

    Beside these it is that of the kept examples, as they are. Those that clear the null of all
    pairs are marked.
    """
    values = more.get("of the kept", matrix.values)
    rows: list[list[Any]] = []
    for i, layer in enumerate(matrix.rows):
        line: list[Any] = [layer]
        for j in range(len(matrix.columns)):
            text = _number(values[i, j])
            if "low" in more:
                text += f" [{_number(more['low'][i, j])}, {_number(more['high'][i, j])}]"
            if "null mean" in more:
                text += f" null {_number(more['null mean'][i, j])}"
            line.append(f"{text} ✓" if marked is not None and marked[i, j] else text)
        rows.append(line)
    table = markdown_table(rows, ["sender \\ receiver", *matrix.columns], right=matrix.columns)
    return table if marked is None else f"{table}\n\n✓: the family p is 0.05 or less."


def _limits(matrix: LabelledMatrix) -> tuple[float, float]:
    """Of the colours: the measure's range from 0 on, or that of the values if it has no end."""
    low, high = MEASURES[matrix.measure].range
    if high < float("inf"):
        return max(low, 0.0), high
    least, most = finite_range(matrix.values)
    return (least, most) if least < most else (least, least + 1)


def _larger_is_closer(matrix: LabelledMatrix) -> bool:
    return MEASURES[matrix.measure].perfect != MEASURES[matrix.measure].range[0]


def _number(value: Tensor) -> str:
    return "n/a" if value.isnan() else f"{round(float(value), 3) + 0.0:.3f}"  # no -0.000
