"""What a training run shows: how often its network is right, beside chance, and the way there."""

import csv
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from frankenstein.data import ImageData
from frankenstein.labels import most_frequent
from frankenstein.networks.doubts import untaught
from frankenstein.report import Picture, markdown_table
from frankenstein.report.panels import line_panels
from frankenstein.runs.folder import RunFolder
from frankenstein.runs.page import write_run_report
from frankenstein.zoo import Card

_CAPTION = (
    "Loss (nats) and accuracy while the network was trained, over steps. Training images are a "
    "batch at a time, and changed at random; all held-out images are scored after every epoch. "
    "Dashes are the accuracy of always giving the most frequent answer. Where held-out loss rises "
    "while that of training falls, the network learns its images by heart."
)


def write_train_report(
    run: RunFolder,
    name: str,
    values: Mapping[str, Any],
    network: nn.Module,
    card: Card,
    data: ImageData,
) -> list[str]:
    """The report of a run whose `run.summary` and `run.facts` are complete; returns warnings."""
    size = sum(parameter.numel() for parameter in network.parameters())
    start = "random weights" if card.weights is None else f"the trained weights {card.weights}"
    chance = most_frequent(data.val_labels)
    warnings = untaught(run.summary["accuracy/held_out"], chance, len(data.val_labels))
    file = run.final / "network.safetensors"
    rows = [
        ["the network", run.summary["accuracy/held_out"], run.summary["loss/held_out"]],
        ["always the most frequent answer", chance, None],
    ]
    blocks: list[str | Picture] = [
        f"`{card.architecture}`, {size:,} parameters, trained from {start} for {card.epochs} "
        f"epochs on {len(data.train_labels)} images of {card.dataset}, {values['batch_size']} a "
        f"step, and scored on {len(data.val_labels)} held-out images after the last epoch.",
        markdown_table(rows, ["", "accuracy", "loss"], percent=["accuracy"]),
        *(f"**Warning:** {line}." for line in warnings),
        *_curves(run.path / "metrics.csv", chance),
        f"The network is in `{file}`; `frankenstein layers {file}` lists where it may be cut.",
    ]
    known = {"sha256": run.facts["network"], "file": str(file)}
    write_run_report(run, f"Training of {name}", blocks, {"trained": asdict(card) | known})
    return warnings


def _curves(metrics: Path, chance: float) -> list[Picture]:
    """Loss and accuracy over steps, from what the logger wrote; nothing if it wrote nothing."""
    rows = list(csv.DictReader(metrics.read_text().splitlines())) if metrics.is_file() else []
    panels: dict[str, dict[str, Any]] = {}
    for what in ("loss", "accuracy"):
        for part, said in (("train", "training"), ("val", "held-out")):
            key = f"{part}/{what}"
            points = [(int(row["step"]), float(row[key])) for row in rows if row.get(key)]
            if points:
                panels.setdefault(what, {})[said] = tuple(zip(*points, strict=True))
    if "accuracy" in panels:
        steps = [step for xs, _ in panels["accuracy"].values() for step in xs]
        panels["accuracy"]["most frequent"] = (min(steps), max(steps)), (chance, chance)
    figure = line_panels(panels, "step", controls=("most frequent",)) if panels else None
    return [Picture("training", figure, _CAPTION)] if figure else []
