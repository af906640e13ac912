"""What is compared: layers of two networks, or two single representations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frankenstein.catalog import MEASURES
from frankenstein.data import ImageData
from frankenstein.errors import PlanError
from frankenstein.networks.network import Network
from frankenstein.networks.pair import open_pair
from frankenstein.report.labelled import LabelledMatrix
from frankenstein.report.progress import progress
from frankenstein.runs.names import networks_name, run_label
from frankenstein.similarity.matrices import Layers, similarity_matrices
from frankenstein.similarity.plan import ComparePlan, measure_of
from frankenstein.similarity.representations import (
    Representation,
    bytes_of_one,
    representation_similarities,
)
from frankenstein.similarity.stitched import Layer, read_stitched

Watch = Callable[[Layers, Layers, Tensor], object]


@dataclass(frozen=True)
class Compared:
    """What one pass has measured: a matrix a measure, of one row and one column in a table."""

    matrices: Mapping[str, LabelledMatrix]  # by measure
    words: Mapping[str, str]  # measures, by what summaries and tables call them
    units: int = 1  # of the receiver's single layer, over which "l2" is a mean
    correlations: Tensor | None = None  # of every unit of one single layer with every of the other

    def scale(self, word: str) -> int:
        """What values of the measure are divided by where it is called so."""
        return self.units if word == "l2" else 1

    def numbers(self) -> dict[str, float]:
        """Every value, by measure and layers."""
        return {
            f"{word}/{row}/{column}": matrix[row, column] / self.scale(word)
            for word, name in self.words.items()
            for matrix in [self.matrices[name]]
            for row in matrix.rows
            for column in matrix.columns
        }


@dataclass(frozen=True)
class Subject:
    """Two networks, and which of their representations are held against each other."""

    networks: tuple[Network, Network]
    name: str  # of a run about it
    words: list[str]  # measures, as they are asked for
    dataset: str | None
    data_root: str | None
    layers: tuple[list[str] | None, list[str] | None]

    @property
    def measures(self) -> list[str]:
        """What the catalog calls them, each once."""
        return list(dict.fromkeys(map(measure_of, self.words)))

    def bytes_of_one(self, device: torch.device) -> int:
        """What one example's representations take."""
        modules = (network.module for network in self.networks)
        return sum(map(bytes_of_one, modules, self.layers))

    def measure(
        self, plan: ComparePlan, data: ImageData, device: torch.device, watch: Watch | None
    ) -> Compared:
        """One pass over held-out images; `watch` is told of every batch."""
        sender, receiver = self.networks
        matrices = similarity_matrices(
            sender.module,
            receiver.module,
            progress(data.val_batches(), "comparing layers", plan.quiet),
            self.measures,
            self.layers[0],
            self.layers[1],
            flattening=plan.flattening,
            block=plan.block,
            limit=plan.keep,
            device=device,
            watch=watch,
        )
        return Compared(matrices, {name: name for name in matrices})


@dataclass(frozen=True)
class Single(Subject):
    """One representation a side."""

    representations: tuple[Representation, Representation]
    called: tuple[str, str]

    def bytes_of_one(self, device: torch.device) -> int:
        """What one example's representations take, from a look at two black images."""
        black = torch.zeros(2, *self.networks[1].input_shape, device=device)
        with torch.no_grad():
            return sum(4 * one(black)[0].numel() for one in self.representations)

    def measure(
        self, plan: ComparePlan, data: ImageData, device: torch.device, watch: Watch | None
    ) -> Compared:
        """One pass over held-out images; `watch` is told of every batch."""
        kept = representation_similarities(
            *self.representations,
            progress(data.val_batches(), "comparing", plan.quiet),
            self.measures,
            plan.flattening,
            plan.keep,
            device,
            watch,
        )
        row, column = self.called
        images = len(data.val_labels)
        matrices = {
            name: LabelledMatrix(
                kept.value(name, "one", "other").reshape(1, 1).double(),
                (row,),
                (column,),
                name,
                flattening,
                images,
            )
            for name, flattening in kept.flattenings.items()
        }
        words = {word: measure_of(word) for word in self.words}
        units = len(kept.pair(words["l2"], "one", "other").mean("y")) if "l2" in words else 1
        correlations = [
            MEASURES[name].of_units(kept.pair(name, "one", "other")).cpu()
            for name in self.measures
            if MEASURES[name].of_units
        ]
        return Compared(matrices, words, units, next(iter(correlations), None))


def subject_of(plan: ComparePlan, device: torch.device) -> Subject:
    """What a plan is about: its files opened, its layers not looked at yet.

    Raises:
        UserError: if files do not hold networks that see the same images, or no stitching run.
    """
    if plan.of_run:
        return _of_run(plan, device)
    networks = open_pair(plan.sender, str(plan.receiver), plan.model)
    words = plan.measures or ["unbiased_cka"]
    dataset = plan.dataset or networks[1].dataset
    given: dict[str, Any] = {"networks": networks, "words": words, "dataset": plan.dataset}
    given |= {"data_root": plan.data_root, "layers": plan.layers}
    if not plan.is_table:
        return Subject(name=networks_name(networks, dataset, "-vs-"), **given)
    called = str(plan.sender_layer), str(plan.receiver_layer)
    one, other = (
        Layer(network.to(device).module, layer)
        for network, layer in zip(networks, called, strict=True)
    )
    name = "-".join([networks_name(networks, dataset), *called])
    return Single(name=name, representations=(one, other), called=called, **given)


def _of_run(plan: ComparePlan, device: torch.device) -> Single:
    if not Path(plan.sender).is_dir():
        raise PlanError("missing ‹receiver› (file of the second network)")
    made = read_stitched(plan.sender, plan.kind, plan.layer, plan.model, plan.other_networks)
    made.to(device)
    called = plan.kind, made.layer
    return Single(
        made.networks,
        "-".join([run_label(plan.sender, plan.dataset), *called]),
        plan.measures or made.options.measures,
        plan.dataset or made.options.dataset,
        plan.data_root or made.options.data_root,
        ([called[0]], [called[1]]),
        (made.stitched, made.target),
        called,
    )
