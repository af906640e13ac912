"""What every step of a matrix of stitches needs: its networks and data, and what is to be made."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn

from frankenstein.catalog import MEASURES
from frankenstein.data import ImageData
from frankenstein.stitches import Stitch
from frankenstein.stitching.matrix.cells import Cells
from frankenstein.stitching.matrix.pair_moments import PairMoments
from frankenstein.stitching.matrix.solve import Pair, make_stitches
from frankenstein.stitching.options import make_stitch
from frankenstein.surgery.layer_set import LayerSet


class Work(NamedTuple):
    """What every step of a run needs."""

    values: Mapping[str, Any]
    networks: tuple[nn.Module, nn.Module]  # sender and receiver
    sides: tuple[LayerSet, LayerSet]
    data: ImageData
    device: torch.device
    cells: Cells
    refused: dict[Pair, str]


def made(
    values: Mapping[str, Any], work: Work, moments: PairMoments, layer: str | None = None
) -> dict[Pair, Stitch]:
    """New stitches of all pairs, or of those that start at a layer."""
    stitches, _ = make_stitches(*work.sides, moments, partial(make_stitch, values))
    return {p: one.to(work.device) for p, one in stitches.items() if layer in (None, p[0])}


def kinds(values: Mapping[str, Any], epochs: int) -> list[tuple[str, int]]:
    """What is made, each with the seed it is made from."""
    seeds = seeds_of(values)
    # Of what is solved, only a random choice of partners is random.
    solved = seeds if values["mask"] == "random-permutation" else seeds[:1]
    found = [*(("solved", seed) for seed in solved), ("untrained", seeds[0])]
    found += [("trained", seed) for seed in seeds if epochs]
    return found + ([("measures", seeds[0])] if measures_of(values) else [])


def debug_images(values: Mapping[str, Any]) -> int | None:
    """How many images are enough to debug; None for all of them."""
    return 3 * values["batch_size"] if values["debug"] else None


def seeds_of(values: Mapping[str, Any]) -> list[int]:
    """Those that stitches are trained from."""
    return list(range(values["seed"], values["seed"] + values["seeds"]))


def measures_of(values: Mapping[str, Any]) -> list[str]:
    """Those that can be had from a pair's second moments."""
    return [measure for measure in values["measures"] if MEASURES[measure].from_second_moments]
