"""Two layers by any measures, from two files or a stitching run's folder to a folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.table import Table
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from frankenstein.accumulators.moments import Moments
from frankenstein.catalog import MEASURES
from frankenstein.cli.verbs.compare_words import ALIASES
from frankenstein.measures import correlation_matrix
from frankenstein.networks.accuracy import accuracies, accuracy_line
from frankenstein.networks.cards import cards_of
from frankenstein.networks.checks import at_least, data_for
from frankenstein.report import Picture, markdown_table, rich_table, unit_correlations
from frankenstein.report.progress import progress
from frankenstein.runs.folder import run_folder
from frankenstein.runs.names import networks_name, run_label
from frankenstein.runs.page import write_run_report
from frankenstein.similarity.how_sure import (
    announce,
    check_options,
    columns,
    drawn,
    explained,
    kept_for,
)
from frankenstein.similarity.pair_similarities import PairSimilarities, pair_similarities
from frankenstein.similarity.representations import Representation
from frankenstein.similarity.resampling import Certainty
from frankenstein.stitching.pair import check_model, load_pair
from frankenstein.stitching.saved import read_run
from frankenstein.surgery import capture
from frankenstein.training.trainer import device_of
from frankenstein.zoo import network_sha256, read_card


class Subject(NamedTuple):
    """Two representations of the same images, and what is known of them."""

    one: Representation
    other: Representation
    name: str  # of the networks and the data, or of the run
    called: tuple[str, str]
    networks: tuple[nn.Module, nn.Module]
    options: Mapping[str, Any]  # dataset and measures among them


def run_measures(values: dict[str, Any], config: str) -> tuple[Path, bool, str, Table]:
    """Run `frankenstein compare` with measures; its folder, whether quiet, and what to show."""
    at_least(batch_size=(values["batch_size"], 1))
    check_options(values)
    device = device_of(values["accelerator"])
    subject = (_of_run if values["stitch"] else _of_pair)(values, device)
    options, called, networks = subject.options, subject.called, subject.networks
    words = {word: ALIASES.get(word, word) for word in options["measures"]}
    measures = list(dict.fromkeys(words.values()))
    data = data_for(networks[1], options["dataset"], options, values["batch_size"])
    images = len(data.val_labels)
    name = values["run_name"] or "-".join([subject.name, *called])
    kept = kept_for(values, measures)
    if kept is not None:
        black = torch.zeros(2, *networks[1].input_shape, device=device)  # type: ignore[misc]
        with torch.no_grad():
            size = sum(4 * one(black)[0].numel() for one in (subject.one, subject.other))
        announce(kept, size, images, values["quiet"])
    with run_folder(values["out_dir"], "compare", name, config) as run:
        run.say_name()
        found = pair_similarities(
            subject.one,
            subject.other,
            progress(data.val_batches(), "comparing", values["quiet"]),
            measures,
            values["flattening"],
            values["keep"],
            device,
            None if kept is None else kept.update,
        )
        sure = {} if kept is None else drawn(kept, found.flattenings, values)
        rows = {word: _row(word, measure, found, sure) for word, measure in words.items()}
        run.summary.update({f"{word}/{'/'.join(called)}": row[1] for word, row in rows.items()})
        named = dict(zip(("sender", "receiver"), networks, strict=True))
        cards = run.cards or cards_of(options)  # of a stitching run's networks
        right = accuracies(named, cards, data, device, values["quiet"])
        run.summary |= right
        shas = {side: network_sha256(network) for side, network in named.items()}
        run.facts |= {"networks": shas, "device": str(device), "dataset": options["dataset"]}
        flattenings = " or ".join(dict.fromkeys(found.flattenings.values()))
        run.facts |= {"examples": images, "flattening": flattenings}
        run.facts |= {"flattenings": found.flattenings, "kept": None if kept is None else len(kept)}
        about = f"{' against '.join(called)}, {flattenings}, {images} held-out images"
        more = [*columns(next(iter(sure.values()), None))]
        head, table = ["measure", "value", *more, "what it says"], [*rows.values()]
        blocks: list[str | Picture] = [about, markdown_table(table, head)]
        blocks += [*_flattenings(found), *explained(values, sure, images)]
        with SummaryWriter(str(run.path)) as writer:
            for word, measure in words.items():
                tag = f"similarity/{word}/{found.flattenings[measure]}"
                writer.add_scalar(tag, rows[word][1])
            if "unit_correlation" in measures and found.moments is not None:
                picture = _correlations(found.moments, called)
                blocks.append(picture)
                writer.add_figure("similarity/units", picture.figure)
        write_run_report(run, f"Similarity: {name}", blocks, cards)
    if kept is not None:  # a terminal has no room for words beside so many numbers
        left = [i for i, name in enumerate(head) if not _is_spare(name, len(kept) < images)]
        head, table = [head[i] for i in left], [[row[i] for i in left] for row in table]
    said = accuracy_line(right, images, options["dataset"])
    return run.path, values["quiet"], said, rich_table(table, head, title=about)


def _is_spare(column: str, fewer: bool) -> bool:
    """Whether a column can be missed: of fewer images than all the measure is another one."""
    return column == "what it says" or (column == "of the kept" and not fewer)


def _of_pair(values: dict[str, Any], device: torch.device) -> Subject:
    """A layer of each of two networks."""
    check_model(values["model"], values["sender"], values["receiver"])
    sender, receiver = load_pair(values["sender"], values["receiver"], values["model"])
    layers = values["sender_layer"], values["receiver_layer"]
    dataset = values["dataset"] or read_card(values["receiver"], values["model"]).dataset
    one, other = (
        _Reading(network.to(device), layer)
        for network, layer in zip((sender, receiver), layers, strict=True)
    )
    name = networks_name((values["sender"], values["receiver"]), dataset, values["model"])
    return Subject(one, other, name, layers, (sender, receiver), values | {"dataset": dataset})


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
    name = run_label(values["sender"], values["dataset"])
    return Subject(stitched, target, name, called, (pair.sender, pair.receiver), options)


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


def _row(
    word: str, measure: str, found: PairSimilarities, sure: Mapping[str, Certainty]
) -> list[Any]:
    """A line of the table: the value, what is known of it, and what it says."""
    units = len(found.moments.mean("y")) if word == "l2" and found.moments is not None else 1
    more = columns(sure.get(measure), units)
    value = float(found.values[measure]) / units
    return [word, value, *(float(part) for part in more.values()), _about(word)]


def _flattenings(found: PairSimilarities) -> list[str]:
    """Which measure flattens how, where they differ."""
    if len(set(found.flattenings.values())) == 1:
        return []
    return [", ".join(f"{name}: {flat}" for name, flat in found.flattenings.items()) + "."]


def _about(word: str) -> str:
    if word == "l2":
        return "mean squared difference per number; 0 is best (a distance)"
    name = ALIASES.get(word, word)
    return MEASURES[name].about if name == word else f"{name}: {MEASURES[name].about}"


def _correlations(moments: Moments, called: tuple[str, str]) -> Picture:
    values = correlation_matrix(moments).cpu()
    labels = [f"unit of {name}" for name in called]
    figure = unit_correlations(values, *labels)
    return Picture("units", figure, "Correlation of every unit of one with every unit of the other")
