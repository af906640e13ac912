"""The controls of a stitching run: what its stitches are held against."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from frankenstein.data import ImageData
from frankenstein.report.progress import progress
from frankenstein.stitching.controls import Controls, solve_controls
from frankenstein.stitching.off_distribution import FLOOR
from frankenstein.stitching.options import family_of, make_stitch
from frankenstein.stitching.pair import Pair
from frankenstein.surgery import join
from frankenstein.zoo import read_card, untrained

SCORED_ON = 1_000  # images at least: controls cost less than the stitches do
_SOLVED_ON = 1_000  # likewise
_PER_UNIT = 10  # more to solve on where there are many units
_SEED = 1_000_003  # one that nobody trains from: an untrained sender must not be this one's start


def controls_for(
    values: Mapping[str, Any],
    pair: Pair,
    data: ImageData,
    device: torch.device,
    few: int | None = None,
    floor: float = FLOOR,
) -> Controls:
    """Controls for stitches between a pair that lies on the device; `few` limits the images.

    `floor` is that of `compare.outside`. The stitch from the untrained sender is of the family,
    rank and seed of the run's own; so is the solved one, which is left out where `ps_inv` or
    `before` is that.
    """
    known = family_of(values) == "affine" or values["init"] == "ps_inv"
    joint = join(
        untrained_sender(values, device),
        pair.receiver,
        values["sender_layer"],
        values["receiver_layer"],
        values["flatten"],
    )
    wanted = solved_on(joint.source.units, joint.target.units)
    return solve_controls(
        joint.sender.front,
        joint.receiver.front,
        joint.align,
        progress(data.train_batches(few or wanted), "solving controls", values["quiet"]),
        device,
        every=max(1, len(data.val_labels) // SCORED_ON),
        make=partial(make_stitch, values),
        sender=None if known else pair.joint.sender.front,
        floor=floor,
    )


def untrained_sender(values: Mapping[str, Any], device: torch.device) -> nn.Module:
    """A network like the sender that has learned nothing, in evaluation mode."""
    card = read_card(values["sender"], values["model"])
    return untrained(card, _SEED).eval().to(device)


def solved_on(*units: int) -> int:
    """How many training images controls between so many units are solved on."""
    return max(_SOLVED_ON, _PER_UNIT * max(units))
