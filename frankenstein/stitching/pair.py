"""The two networks of a stitch, checked against each other and joined, before anything runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from frankenstein.data import ImageData
from frankenstein.errors import UserError
from frankenstein.networks.data import check_same_answers, look_of, open_pair
from frankenstein.networks.network import Network
from frankenstein.runs.fields import KINDS, StitchKind
from frankenstein.runs.stitch_run import check_made_for, read_cell, read_stitch_run
from frankenstein.stitches import Stitch, load_stitch
from frankenstein.stitching.plan import StitchPlan
from frankenstein.surgery import Joint, join, shape_after
from frankenstein.surgery.padded import reads_text


@dataclass(frozen=True, eq=False)
class StitchingPair:
    """Two networks, cut and laid so that a stitch fits between them."""

    sender: Network
    receiver: Network
    joint: Joint
    looks: tuple[nn.Module | None, nn.Module | None] = (None, None)  # at the data, see `seeing`

    def seeing(self, data: ImageData) -> "StitchingPair":
        """The same, whose fronts take the batches of the data."""
        looks = look_of(self.sender, data), look_of(self.receiver, data)
        return replace(self, joint=self.joint.seeing(*looks), looks=looks)

    def to(self, device: torch.device) -> "StitchingPair":
        """The same, on a device."""
        joint = self.joint
        parts = [*joint.sender, *joint.receiver, joint.align]
        nn.ModuleList([self.sender.module, self.receiver.module, *parts]).to(device)
        return self


def open_stitching_pair(plan: StitchPlan) -> StitchingPair:
    """The networks of a plan for one stitch, which fit together at its layers.

    Raises:
        FileError: for a file that does not hold a network.
        LayerError: for a layer after which a network cannot be cut.
        ShapeError: if the sender's representation cannot be laid like the receiver's.
        UserError: if the networks tell different numbers of classes apart, or a field is of no use
            to them.
    """
    sender, receiver = open_pair(plan.sender, plan.receiver, plan.model, **plan.told)
    check_same_answers(sender, receiver)
    modules, layers = (sender.module, receiver.module), plan.layers
    joint = join(*modules, *layers, plan.flatten)
    shapes = [shape_after(one, layer) for one, layer in zip(modules, layers, strict=True)]
    if plan.family_name == "conv3x3" and joint.target.kind != "map":
        raise UserError(
            f"a conv3x3 stitch sees neighbours on a grid, and {layers[1]} has none; take affine, "
            "batchnorm or mlp"
        )
    if plan.anchors and not plan.flatten and joint.target.kind != "vector":
        if reads_text(receiver.module):
            raise UserError(
                f"anchors are whole images, and {layers[1]} has the tokens of sentences; leave "
                "‹anchors› out"
            )
        raise UserError(f"anchors are whole images, and {layers[1]} has places; say ‹flatten›, too")
    if plan.flatten and all(len(shape) == 1 for shape in shapes):
        raise UserError(
            f"‹flatten› goes from place to place, and {layers[0]} and {layers[1]} have none; "
            "leave it out"
        )
    return StitchingPair(sender, receiver, joint)


@dataclass(frozen=True, eq=False)
class StitchedRun:
    """What a run of `stitch` left, ready to be used again.

    run = StitchedRun.read("results/stitch/RUN", ["after"])
    stitched = run.aligned("after")(run.pair.joint.sender.front(images))
    logits = run.pair.joint.receiver.end(stitched)
    """

    plan: StitchPlan
    pair: StitchingPair
    stitches: dict[str, Stitch]

    @classmethod
    def read(
        cls,
        folder: str | Path,
        kinds: Sequence[StitchKind] = KINDS,
        other_networks: bool = False,
        **changed: Any,
    ) -> "StitchedRun":
        """The run in a folder, with some fields of its plan changed; frozen, on the CPU.

        Of a run that names code, `allow_code=True` is one of these fields.

        Raises:
            UserError: if it holds no such run, its networks are no longer those it was made for
                and `other_networks` does not allow that, or it names code that may not be run.
        """
        plan, files = read_stitch_run(folder, kinds, **changed)
        pair = open_stitching_pair(plan)
        if not other_networks:
            check_made_for(files.values(), (pair.sender, pair.receiver))
        return cls(plan, pair, {kind: load_stitch(file) for kind, file in files.items()})

    @classmethod
    def read_cell(
        cls,
        folder: str | Path,
        layers: Sequence[str],
        stitch: StitchKind = "after",
        allow_code: bool = False,
    ) -> "StitchedRun":
        """One stitch of a matrix in a folder, as if that pair of layers had been stitched alone.

        Raises:
            UserError: if it holds no such stitch, its networks are no longer those it was made
                for, or it names code and `allow_code` does not say that this may be run.
        """
        plan, file = read_cell(folder, layers, stitch, allow_code)
        pair = open_stitching_pair(plan)
        check_made_for([file], (pair.sender, pair.receiver))
        return cls(plan, pair, {stitch: load_stitch(file)})

    def to(self, device: torch.device) -> "StitchedRun":
        """The same, on a device."""
        self.pair.to(device)
        nn.ModuleList(self.stitches.values()).to(device)
        return self

    def aligned(self, kind: str) -> nn.Module:
        """From the sender's representation to the stitched one."""
        return nn.Sequential(self.pair.joint.align, self.stitches[kind])
