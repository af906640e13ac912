"""One pass of every network: what it holds at a layer, what it answers, and its end half."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.benchmark.grounded.grounded import Grounded
from frankenstein.benchmark.plan import BenchmarkPlan
from frankenstein.benchmark.statistics import Array
from frankenstein.benchmark.zoo import file_of, groups_of
from frankenstein.data import ImageData
from frankenstein.data.batches import Batches
from frankenstein.data.changes import Changes, marked
from frankenstein.data.seeded import seeded
from frankenstein.errors import UserError
from frankenstein.networks.data import data_for
from frankenstein.networks.network import open_network
from frankenstein.networks.statistics import count_statistics
from frankenstein.surgery import cut
from frankenstein.surgery.blocks import block_layers
from frankenstein.surgery.capture import OUTPUT, capture
from frankenstein.surgery.key_layers import later_layers, penultimate_layer
from frankenstein.surgery.read import Reader

Named = Mapping[str, Tensor]

_MARKER = 2_000_004  # keeps these draws apart
_PART = 250  # images at once


@dataclass(frozen=True)
class Rows:
    """What a network holds of the images that stitches are made on, and of those held out."""

    fit: Tensor  # (n, D), or (n, C, H, W)
    held: Tensor  # (N, ...)


@dataclass(frozen=True)
class Readings:
    """All that is kept of networks that were shown the same images, on the CPU."""

    networks: dict[str, str]  # sha256 of each, in order
    groups: dict[str, str]  # of one test: the group of each
    layer: str
    rows: dict[str, Rows]
    ends: dict[str, nn.Module]
    layers: dict[str, dict[str, Tensor]]  # of held-out images, where a test is of layers
    inputs: Tensor  # (N, C, H, W), held out
    labels: Tensor  # (N,)
    fit_labels: Tensor  # (n,)
    logits: dict[str, Tensor]  # (N, classes)
    classes: int
    later: tuple[str, ...] = ()  # layers behind it that objectives of stitches follow
    # What was said of two networks, which tests share: their names, then a number a measure.
    pairs: dict[tuple[str, str], Array] = field(default_factory=dict)

    def of(self, test: Grounded, seeds: int) -> "Readings":
        """Those of the networks of one test, in its order; what is said of pairs stays shared."""
        groups = groups_of(test, seeds)
        fields: dict[str, Any] = {
            name: {one: getattr(self, name)[one] for one in groups}
            for name in ("networks", "rows", "ends", "logits", "layers")
        }
        return replace(self, groups=groups, **fields)

    def compared_layers(self, test: Grounded) -> list[str]:
        """The layers that a test is about."""
        return [*next(iter(self.layers.values()))] if test.layers else [self.layer]


@torch.no_grad()
def read_networks(
    plan: BenchmarkPlan, tests: Mapping[str, Grounded], device: torch.device
) -> Readings:
    """Run the networks of tests that show the same images, each network once over each image.

    Raises:
        UserError: if the layer is not the same for all, or the images have several labels.
    """
    assert plan.networks is not None
    deep: dict[str, bool] = {}  # whether layers of a network are read
    for test in tests.values():
        for name in groups_of(test, plan.seeds):
            deep[name] = deep.get(name, False) or test.layers
    networks = [open_network(file_of(plan.networks, name), name) for name in deep]
    data = data_for(networks, plan.dataset, plan.data_root)
    if not data.classed:
        raise UserError(f"a benchmark takes one class of each image, and {data.name} has others")
    with_marker = any(test.marked for test in tests.values())
    fit, fit_labels = _shown(data, data.train_batches(plan.images), with_marker)
    held, labels = _shown(data, data.val_batches(plan.images), with_marker)
    layer, between = layers_of(plan, networks[0].module, tests)
    rows, ends, logits, layers = {}, {}, {}, {}
    for network in networks:
        name = network.role
        network.to(device)
        if not network.card.epochs:
            count_statistics(network.module, fit.to(device))
        _, ends[name] = cut(network.module, after=layer)
        points = between if deep[name] else []
        reader = Reader(network.module, dict.fromkeys([layer, *points, OUTPUT]))
        seen = _in_parts(reader.captured, held, device)
        fitted = _in_parts(capture(network.module, [layer]), fit, device)[layer]
        rows[name] = Rows(fitted, seen[layer])
        logits[name] = seen[OUTPUT]
        layers[name] = {one: reader.lays[one](seen[one]) for one in points}
    return Readings(
        *({network.role: network.sha256 for network in networks}, {}, layer, rows, ends, layers),
        *(held, labels, fit_labels, logits, data.num_classes),
        later_layers(networks[0].module, layer),
    )


def layers_of(
    plan: BenchmarkPlan, network: nn.Module, tests: Mapping[str, Grounded]
) -> tuple[str, list[str]]:
    """The layer at which networks are compared, and those of a test of layers, if there is one.

    Raises:
        UserError: if there is none, or there are too few.
        LayerError: if the network cannot be cut there.
    """
    layer = plan.layer or penultimate_layer(network)
    if layer is None:
        raise UserError(f"{plan.model} has no layer in front of its last one; take another ‹model›")
    cut(network, after=layer)
    deep = [name for name, test in tests.items() if test.layers]
    between = [*block_layers(network)] if deep else []
    if deep and len(between) < 3:
        raise UserError(
            f"near and far are of three layers or more, and {plan.model} has {len(between)}; leave "
            f"{deep[0]} out of ‹tests›, or take another ‹model›"
        )
    return layer, between


def _in_parts(read: nn.Module, x: Tensor, device: torch.device) -> dict[str, Tensor]:
    parts = [read(part.to(device)) for part in x.split(_PART)]
    return {name: torch.cat([part[name].cpu() for part in parts]) for name in parts[0]}


def _shown(data: ImageData, batches: Batches, with_marker: bool) -> tuple[Tensor, Tensor]:
    images, labels = map(torch.cat, zip(*batches, strict=True))
    if with_marker:
        places = Changes(marker=0.0).placed(labels, data.num_classes, seeded(_MARKER))
        images = marked(images, places, data.num_classes)
    return images, labels
