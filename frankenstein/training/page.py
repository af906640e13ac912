"""What a training run shows: how often its network is right, beside chance, and the way there."""

import csv
from contextlib import suppress
from dataclasses import asdict
from math import isfinite, nan
from pathlib import Path
from typing import Any

from frankenstein.data import ImageData
from frankenstein.errors import counted
from frankenstein.files import FileError
from frankenstein.labels import most_frequent
from frankenstein.networks.accuracy import below_chance_warning
from frankenstein.networks.network import Network
from frankenstein.report import Picture, format_value, markdown_table, rich_table
from frankenstein.report.panels import line_panels
from frankenstein.runs.page import trained_on, write_page
from frankenstein.runs.run import Run
from frankenstein.training.plan import TrainPlan

_CAPTION = (
    "Loss (nats) and accuracy while the network was trained, over steps. Training images are a "
    "batch at a time, and changed at random; all held-out images are scored after every epoch. "
    "Dashes are the accuracy of always giving the most frequent answer. Where held-out loss rises "
    "while that of training falls, the network learns its images by heart."
)


def write_train_page(run: Run, plan: TrainPlan, network: Network, data: ImageData) -> None:
    """The page of a run whose numbers and record are complete, and what its terminal shows."""
    card, file = network.card, run.final / "network.safetensors"
    size = sum(parameter.numel() for parameter in network.module.parameters())
    start = "random weights" if card.weights is None else f"the trained weights {card.weights}"
    epochs = counted(card.epochs or 0, "epoch")
    chance, images = most_frequent(data.val_labels), data.num_val
    warnings = below_chance_warning(run.numbers["accuracy/held_out"], chance, images)
    rows = [
        ["the network", run.numbers["accuracy/held_out"], run.numbers["loss/held_out"]],
        ["always the most frequent answer", chance, None],
    ]
    right, least = (
        format_value(one, percent=True) for one in (run.numbers["accuracy/held_out"], chance)
    )
    run.finding = (
        f"Right in {right} of {images:,} held-out images after {epochs}; always the "
        f"most frequent answer would be in {least}."
    )
    blocks: list[str | Picture] = [
        *(f"**Warning:** {line}." for line in warnings),
        *_curves(run.folder, chance),
        markdown_table(rows, ["", "accuracy", "loss"], percent=["accuracy"]),
        f"`{card.architecture}`, {size:,} parameters, trained from {start} for {epochs} "
        f"on {data.num_train} images of {trained_on(asdict(card))}, {plan.batch_size} a "
        f"step, and scored on {images} held-out images after the last epoch.",
        f"The network is in `{file}`; `frankenstein layers {file}` lists where it may be cut.",
    ]
    run.shown.append(rich_table([*run.numbers.items()], ["", "value"], title=run.name))
    run.shown += [f"warning: {line}" for line in warnings]
    write_page(
        run,
        f"Training of {run.name}",
        blocks,
        {network.role: {**network.record(), "file": str(file)}},
    )


def _curves(folder: Path, chance: float) -> list[Picture]:
    """Loss and accuracy over steps, from what the logger wrote; nothing if it wrote nothing."""
    rows = _logged(folder)
    panels: dict[str, dict[str, Any]] = {}
    for what in ("loss", "accuracy"):
        for part, said in (("train", "training"), ("val", "held-out")):
            key = f"{part}/{what}"
            # Steps that a resumed run has done once more stand as they were done last.
            points = {int(row["step"]): row[key] for row in rows if key in row}
            if points:
                steps = sorted(points)
                panels.setdefault(what, {})[said] = steps, [points[step] for step in steps]
    if "accuracy" in panels:
        steps = [step for xs, _ in panels["accuracy"].values() for step in xs]
        panels["accuracy"]["most frequent"] = (min(steps), max(steps)), (chance, chance)
    figure = line_panels(panels, "step", controls=("most frequent",)) if panels else None
    return [Picture("training", figure, _CAPTION)] if figure else []


def _logged(folder: Path) -> list[dict[str, float]]:
    """Every row of the logger's, those from before each resumption first."""
    numbered = {path.stem.removeprefix("metrics-"): path for path in folder.glob("metrics-*.csv")}
    before = [numbered[number] for number in sorted(filter(str.isdecimal, numbered), key=int)]
    files = [path for path in (*before, folder / "metrics.csv") if path.is_file()]
    rows = [_numbers(row) for path in files for row in _rows(path)]
    return [row for row in rows if isfinite(row.get("step", nan))]


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        return list(csv.DictReader(path.read_text().splitlines()))
    except (UnicodeDecodeError, csv.Error):
        raise FileError(f"{path} is damaged: it is no table; delete it, and ‹resume›") from None


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    """What is a number in a row; of the last one a kill may have left a half."""
    found: dict[str, float] = {}
    for name, word in row.items():
        with suppress(ValueError, TypeError):
            found[name] = float(word)
    return found
