"""What every run's page has around the verb's own blocks: what was run, of what, how again."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from frankenstein.networks.accuracy import below_chance_warnings
from frankenstein.report import (
    CellMatrix,
    Finding,
    Fold,
    Picture,
    code,
    fenced,
    format_value,
    heatmap,
    log_png,
    markdown_table,
    plain,
    png,
    write_report,
)
from frankenstein.report.document import Block
from frankenstein.report.terminal import spaced
from frankenstein.report.worded import worded
from frankenstein.runs.plan import dump
from frankenstein.runs.run import Run

_CELLS = 12  # along a side of a matrix whose numbers are read in TensorBoard's small pictures
_FEW = 6  # along a side of one whose numbers are read in these as the page has them
_SIDE = 0.4  # of a cell, in inches: little more than its number takes
_HEADER = ("", "network", "trained on", "epochs", "init seed", "order seed", "sha256", "file")


def write_page(
    run: Run,
    title: str,
    blocks: Sequence[Block],
    networks: Mapping[str, Mapping[str, Any]] | None = None,  # records by role; the run's if absent
) -> Path:
    """Write a run's report, as `write_report` does, from the blocks that are the verb's own.

    What was found (`run.finding`) stands first, then what should be known before it is believed,
    then the verb's blocks: figures, tables, words. Behind them come the command, the networks,
    the warnings that Python raised and how to run it again. How often a network is right is taken
    from `run.numbers`, where it has "accuracy/sender" and so on.
    """
    records = run.networks if networks is None else networks
    run.finding = worded(run.finding, run.called)
    around = [
        *([Finding(run.finding)] if run.finding else []),
        *_doubts(run, records),
        *(_worded(block, run.called) for block in blocks),
        *_asked(run, records),
        *_warned(run.warnings),
        *_again(run),
    ]
    return write_report(run.folder, title, around)


def _worded(block: Block, called: str) -> Block:
    """A block whose words say what examples are."""
    if isinstance(block, str):
        return worded(block, called)
    if isinstance(block, Picture):
        return replace(block, caption=worded(block.caption, called))
    return replace(block, text=worded(block.text, called))


def log_page(
    run: Run,
    pictures: Mapping[str, Picture],  # of the page, by tag
    numbers: Mapping[str, float] = {},
    facts: Mapping[str, str] = {},  # options that tell runs apart, those first that matter most
    texts: Mapping[str, str] = {},  # markdown, by tag
) -> None:
    """Show in TensorBoard what a run without steps found: pictures, text, and a row of hparams.

    Nothing but large matrices is drawn again. Numbers are a table of text, and columns of hparams,
    for a curve of one step is a lonely dot.
    """
    for older in run.folder.glob("events.out.tfevents.*"):  # of the same run, before a signal
        older.unlink()
    with SummaryWriter(str(run.folder)) as writer:
        add_page(writer, run, pictures, numbers)
        for tag, text in texts.items():
            writer.add_text(tag, text)
        if facts:
            add_row(writer, facts, numbers)


def add_row(writer: SummaryWriter, facts: Mapping[str, str], numbers: Mapping[str, float]) -> None:
    """A row of TensorBoard's table of runs: what tells the run apart, then what it found.

    The numbers are columns, too: as metrics each would be a curve of one point. Their names sort
    behind all others. Without a description of the columns, which the first run would give for
    all, TensorBoard takes those of every run and shows first what varies.
    """
    found = {f"→ {name}": float(f"{value:.4g}") for name, value in numbers.items()}
    _, start, end = hparams({**facts, **found}, {})
    assert writer.file_writer is not None  # it is open
    for summary in (start, end):
        writer.file_writer.add_summary(summary)


def add_page(
    writer: SummaryWriter,
    run: Run,
    pictures: Mapping[str, Picture],
    numbers: Mapping[str, float] = {},
) -> None:
    """What was found as text, numbers as a table of text, and pictures that the page has drawn."""
    if run.finding:
        writer.add_text("finding", run.finding)
    if numbers:
        rows = [[name, value] for name, value in numbers.items()]
        writer.add_text("numbers", markdown_table(rows, ["", "value"]))
    for tag, picture in pictures.items():
        drawn = (run.folder / "figures" / f"{picture.name}.png").read_bytes()
        small = thumbnail(picture.cells) if picture.cells else None
        log_png(writer, tag, drawn if small is None else png(small))


def thumbnail(cells: CellMatrix) -> Figure | None:
    """A matrix with fewer cells, or less around their numbers, so that these are read unclicked.

    None of one that is small enough.
    """
    if max(cells.array.shape) <= _FEW:
        return None
    rows, columns = (spaced(size, _CELLS) for size in cells.array.shape)
    title = cells.measure
    if max(cells.array.shape) > _CELLS:
        title += (
            f": {len(rows)} of {len(cells.rows)} rows, {len(columns)} of {len(cells.columns)} "
            "columns; the report has all"
        )
    return heatmap(
        cells.array[rows][:, columns],
        [cells.rows[i] for i in rows],
        [cells.columns[j] for j in columns],
        title,
        cells.row_label,
        cells.column_label,
        cells.limits,
        _SIDE,
    )


def network_table(
    networks: Mapping[str, Mapping[str, Any]],  # records by role
    numbers: Mapping[str, float],  # may have "accuracy/sender" and so on
) -> str:
    """Every network in a row: what it is, from which seeds, and how well it does if known."""
    known = [f"accuracy/{role}" in numbers for role in networks]
    header = list(_HEADER)
    rows = [
        [
            role,
            record["architecture"],
            trained_on(record),
            _epochs(record),
            record["init_seed"],
            record["order_seed"],
            f"`{record['sha256'][:12]}`",
            code(record["file"]),
        ]
        for role, record in networks.items()
    ]
    if any(known):
        header.insert(6, "accuracy")
        for row in rows:
            row.insert(6, numbers.get(f"accuracy/{row[0]}"))
    return markdown_table(rows, header, percent=["accuracy"])


def trained_on(record: Mapping[str, Any]) -> Any:
    """The data set, of sentences their file, and what of it was changed."""
    said = [text] if (text := record.get("text")) else []
    if share := record.get("random_labels"):
        said.append(f"{100 * share:g} % of labels random")
    if (share := record.get("marker")) is not None:
        said.append(f"a marker that is right {100 * share:g} % of the time")
    if (times := record.get("augmentation")) not in (None, 1):
        said.append(f"augmented {times} times over" if times else "not augmented")
    return f"{record['dataset']} ({', '.join(said)})" if said else record["dataset"]


def _doubts(run: Run, networks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Warnings of networks that nobody knows how to show images, or that have learned nothing."""
    warnings = [worded(line, run.called) for line in run.doubts]
    if "examples" in run.record:
        warnings += below_chance_warnings(run.numbers, run.record["examples"], networks)
    return [f"**Warning:** {line}." for line in warnings]


def _epochs(record: Mapping[str, Any]) -> Any:
    """How long it was trained; of a snapshot how far, of how long."""
    if record.get("epoch") is None:
        return record["epochs"]
    return f"{format_value(record['epoch'])} of {record['epochs']} (step {record['step']})"


def _asked(run: Run, networks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    blocks = ["## What was run"]
    blocks += [fenced(run.command.line, "console")] if run.command.line else []
    if networks:
        blocks.append(network_table(networks, run.numbers))
    if eyes := run.record.get("eyes"):
        lines = [f"the {role} sees {line}" for role, line in eyes.items()]
        if len(lines) > 2 and len(set(eyes.values())) == 1:
            lines = [f"all see {next(iter(eyes.values()))}"]
        blocks.append(f"Of the same {run.called} {'; '.join(lines)}.")
    if any(f"accuracy/{role}" in run.numbers for role in networks):
        shown = f"held-out {run.called}"
        if {"examples", "dataset"} <= set(run.record):
            shown = f"{run.record['examples']} {shown} of {run.record['dataset']}"
        blocks.append(f"The networks' own accuracy was measured by this run, on {shown}.")
    return blocks if len(blocks) > 1 else []


def _warned(warnings: Sequence[str]) -> list[str]:
    return ["## Warnings", "\n".join(f"- {plain(text)}" for text in warnings)] if warnings else []


def _again(run: Run) -> list[Block]:
    title, how, folder = "## How to run it again", run.command.replay, run.final
    if run.unfinished:
        title, how, folder = "## How to go on with it", run.command.resume, run.folder
    config = str(folder / "config.yaml")
    if run.command.line:  # for a shell
        config = shlex.quote(config)
    return [
        title,
        fenced(how.format(config=config, kind=type(run.plan).__name__), run.command.language),
        "In the folder where it was run, for paths are relative to that.",
        Fold("The whole config.yaml", fenced(dump(run.plan), "yaml")),
    ]
