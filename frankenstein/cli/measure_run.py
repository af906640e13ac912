"""Two layers by any measures, from two files or a stitching run's folder to a folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.table import Table
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from frankenstein.catalog import MEASURES
from frankenstein.cli.checks import at_least, data_for
from frankenstein.cli.compare_words import ALIASES
from frankenstein.cli.joint import load_pair
from frankenstein.cli.run_folder import run_folder, short_name
from frankenstein.cli.run_report import write_run_report
from frankenstein.cli.stitched_run import read_run
from frankenstein.cli.trainer import device_of
from frankenstein.cli.waiting import waiting
from frankenstein.compare import Representation, layer_moments
from frankenstein.measures import correlation_matrix
from frankenstein.moments import Moments
from frankenstein.report import Picture, heatmap, markdown_table, rich_table
from frankenstein.surgery import capture
from frankenstein.zoo import network_sha256, read_card

_HEADER = ["measure", "value", "what it says"]


class Subject(NamedTuple):
    """Two representations of the same images, and what is known of them."""

    one: Representation
    other: Representation
    called: tuple[str, str]
    networks: tuple[nn.Module, nn.Module]
    options: Mapping[str, Any]  # dataset and measures among them


def run_measures(values: dict[str, Any], config: str) -> tuple[Path, bool, Table]:
    """Run `frankenstein compare` with measures; returns its folder, whether quiet, and a table."""
    at_least(batch_size=(values["batch_size"], 1))
    device = device_of(values["accelerator"])
    subject = (_of_run if values["stitch"] else _of_pair)(values, device)
    options, called, networks = subject.options, subject.called, subject.networks
    data = data_for(networks[1], options["dataset"], options, values["batch_size"])
    name = values["run_name"] or "-".join([short_name(values["sender"]), *called])
    with run_folder(values["out_dir"], "compare", name, config) as run:
        batches = waiting(data.val_batches(), f"comparing {name}", values["quiet"])
        moments, flattening = layer_moments(
            subject.one, subject.other, batches, values["flattening"], device
        )
        found = {word: _value(word, moments) for word in options["measures"]}
        run.summary.update({"/".join([word, *called]): value for word, value in found.items()})
        shas = dict(zip(("sender", "receiver"), map(network_sha256, networks), strict=True))
        run.facts |= {"networks": shas, "device": str(device), "dataset": options["dataset"]}
        run.facts |= {"examples": len(data.val_labels), "flattening": flattening}
        about = f"{' against '.join(called)}, {flattening}, {len(data.val_labels)} held-out images"
        rows = [[word, value, _about(word)] for word, value in found.items()]
        blocks: list[str | Picture] = [about, markdown_table(rows, _HEADER)]
        with SummaryWriter(str(run.path)) as writer:
            for word, value in found.items():
                writer.add_scalar(f"similarity/{word}", value)
            if "unit_correlation" in (ALIASES.get(word, word) for word in found):
                picture = _correlations(moments, called)
                blocks.append(picture)
                writer.add_figure("similarity/units", picture.figure)
        write_run_report(run, f"Similarity: {name}", blocks)
    return run.path, values["quiet"], rich_table(rows, _HEADER, title=about)


def _of_pair(values: dict[str, Any], device: torch.device) -> Subject:
    """A layer of each of two networks."""
    sender, receiver = load_pair(values["sender"], values["receiver"], values["model"])
    layers = values["sender_layer"], values["receiver_layer"]
    dataset = values["dataset"] or read_card(values["receiver"], values["model"]).dataset
    one, other = (
        _Reading(network.to(device), layer)
        for network, layer in zip((sender, receiver), layers, strict=True)
    )
    return Subject(one, other, layers, (sender, receiver), values | {"dataset": dataset})


def _of_run(values: dict[str, Any], device: torch.device) -> Subject:
    """What a stitch makes of the source against the target, at the cut or behind it."""
    kept = ("dataset", "model", "measures", "data_root")  # as in the run, unless given
    changed = {option: values[option] for option in kept if values[option]}
    kind = values["stitch"]
    made = read_run(
        values["sender"],
        [kind],
        changed | {"batch_size": values["batch_size"]},
        values["other_networks"],
    )
    made.to(device)
    pair, layer = made.pair, values["layer"]
    behind = nn.Identity() if layer is None else _until(pair.joint.receiver.end, layer)
    stitched = nn.Sequential(pair.joint.sender.front, made.aligned(kind), behind)
    target = nn.Sequential(pair.joint.receiver.front, behind)
    called = kind, layer or made.values["receiver_layer"]
    options = made.values | {"dataset": made.values["dataset"] or pair.card.dataset}
    return Subject(stitched, target, called, (pair.sender, pair.receiver), options)


def _until(end: nn.Module, layer: str) -> nn.Module:
    """An end half up to a layer; what `surgery.join` has put before it stays."""
    if isinstance(end, nn.Sequential):
        return nn.Sequential(*end[:-1], _until(end[-1], layer))
    return _Reading(end, layer)


class _Reading(nn.Module):
    """One layer's representation."""

    def __init__(self, network: nn.Module, layer: str) -> None:
        super().__init__()
        self.layer, self.capture = layer, capture(network, [layer])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.capture(images)[self.layer]


def _value(word: str, moments: Moments) -> float:
    value = float(MEASURES[ALIASES.get(word, word)](moments))
    return value / len(moments.mean("y")) if word == "l2" else value


def _about(word: str) -> str:
    if word == "l2":
        return "mean squared difference per number; 0 is best (a distance)"
    name = ALIASES.get(word, word)
    return MEASURES[name].about if name == word else f"{name}: {MEASURES[name].about}"


def _correlations(moments: Moments, called: tuple[str, str]) -> Picture:
    values = correlation_matrix(moments).cpu()
    rows, columns = ([str(i) for i in range(size)] for size in values.shape)
    figure = heatmap(
        values,
        rows,
        columns,
        title="correlation of units over the held-out images",
        row_label=f"unit of {called[0]}",
        column_label=f"unit of {called[1]}",
        limits=(-1, 1),
    )
    return Picture("units", figure, "Correlation of every unit of one with every unit of the other")
