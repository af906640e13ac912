"""The two networks of a stitch, checked against each other and joined, before anything runs."""

from dataclasses import dataclass

import torch
from torch import nn

from frankenstein.errors import UserError
from frankenstein.networks.network import Network
from frankenstein.networks.pair import check_same_answers, open_pair
from frankenstein.stitching.plan import StitchPlan
from frankenstein.surgery import Joint, cut_points, join


@dataclass(frozen=True, eq=False)
class StitchingPair:
    """Two networks, cut and laid so that a stitch fits between them."""

    sender: Network
    receiver: Network
    joint: Joint

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
        ShapeError: if the networks see images of other shapes, or the sender's representation
            cannot be laid like the receiver's.
        UserError: if the networks tell different numbers of classes apart, or a field is of no use
            to them.
    """
    sender, receiver = open_pair(plan.sender, plan.receiver, plan.model)
    check_same_answers(sender, receiver)
    modules, layers = (sender.module, receiver.module), plan.layers
    joint = join(*modules, *layers, plan.flatten)
    shapes = [cut_points(one)[layer] for one, layer in zip(modules, layers, strict=True)]
    if plan.flatten and all(len(shape) == 1 for shape in shapes):
        raise UserError(
            f"‹flatten› goes from place to place, and {layers[0]} and {layers[1]} have none; "
            "leave it out"
        )
    return StitchingPair(sender, receiver, joint)
