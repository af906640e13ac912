"""One pass of every network: what it holds at a layer, what it answers, and its end half."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from frankenstein.benchmark.grounded.grounded import Grounded
from frankenstein.benchmark.plan import BenchmarkPlan
from frankenstein.benchmark.zoo import file_of, groups_of
from frankenstein.data import ImageData
from frankenstein.data.batches import Batches
from frankenstein.data.changes import Changes, marked
from frankenstein.data.seeded import seeded
from frankenstein.errors import UserError
from frankenstein.networks.data import data_for
from frankenstein.networks.network import Network, open_network
from frankenstein.networks.statistics import count_statistics
from frankenstein.surgery import cut
from frankenstein.surgery.blocks import block_layers
from frankenstein.surgery.key_layers import penultimate_layer
from frankenstein.surgery.read import reading

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
    """All that is kept of the networks of a test, on the CPU."""

    networks: tuple[Network, ...]
    groups: dict[str, str]  # by network, in order
    layer: str
    rows: dict[str, Rows]
    ends: dict[str, nn.Module]
    layers: dict[str, dict[str, Tensor]]  # of held-out images, where a test is of layers
    inputs: Tensor  # (N, C, H, W), held out
    labels: Tensor  # (N,)
    fit_labels: Tensor  # (n,)
    logits: dict[str, Tensor]  # (N, classes)
    classes: int


@torch.no_grad()
def read_networks(plan: BenchmarkPlan, test: Grounded, device: torch.device) -> Readings:
    """Run the networks of a test, once each, over the images that it shows.

    Raises:
        UserError: if the layer is not the same for all, or the images have several labels.
    """
    assert plan.networks is not None
    groups = groups_of(test, plan.seeds)
    networks = [open_network(file_of(plan.networks, name), name) for name in groups]
    data = data_for(networks, plan.dataset, plan.data_root)
    if not data.classed:
        raise UserError(f"a benchmark takes one class of each image, and {data.name} has others")
    fit, fit_labels = _shown(data, data.train_batches(plan.images), test.marked)
    held, labels = _shown(data, data.val_batches(plan.images), test.marked)
    first = networks[0].module
    layer = plan.layer or penultimate_layer(first)
    if layer is None:
        raise UserError(f"{plan.model} has no layer in front of its last one; take another ‹model›")
    between = [*block_layers(first)] if test.layers else []
    if test.layers and len(between) < 3:
        raise UserError(
            f"near and far are of three layers or more, and {plan.model} has {len(between)}; leave "
            "out this test, or take another ‹model›"
        )
    rows, ends, logits, layers = {}, {}, {}, {}
    for network in networks:
        network.to(device)
        if not network.card.epochs:
            count_statistics(network.module, fit.to(device))
        front, end = cut(network.module, after=layer)
        kept = [_in_parts(front, images, device) for images in (fit, held)]
        rows[network.role] = Rows(*kept)
        logits[network.role] = _in_parts(end, kept[1], device)
        ends[network.role] = end
        if test.layers:
            with reading(network.module, between, device) as read:
                parts = [read(part.to(device)) for part in held.split(_PART)]
            layers[network.role] = {s: torch.cat([p[s].cpu() for p in parts]) for s in parts[0]}
    return Readings(
        *(tuple(networks), groups, layer, rows, ends, layers),
        *(held, labels, fit_labels, logits, data.num_classes),
    )


def _in_parts(module: nn.Module, x: Tensor, device: torch.device) -> Tensor:
    return torch.cat([module(part.to(device)).cpu() for part in x.split(_PART)])


def _shown(data: ImageData, batches: Batches, with_marker: bool) -> tuple[Tensor, Tensor]:
    images, labels = map(torch.cat, zip(*batches, strict=True))
    if with_marker:
        places = Changes(marker=0.0).placed(labels, data.num_classes, seeded(_MARKER))
        images = marked(images, places, data.num_classes)
    return images, labels
