"""The stitched representation of a stitching run's folder, and the receiver's own beside it."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from frankenstein.networks.network import Network
from frankenstein.networks.pair import check_same_answers, open_pair
from frankenstein.runs.stitch_run import check_made_for, read_stitch_run
from frankenstein.runs.types import StitchKind
from frankenstein.stitches import load_stitch
from frankenstein.surgery import join
from frankenstein.surgery.read import Read, Reader


@dataclass(frozen=True)
class Stitched:
    """Two representations of an image, at the receiver's cut or behind it."""

    networks: tuple[Network, Network]
    stitched: nn.Module  # what a stitch makes of the sender's representation at the cut
    target: nn.Module  # the receiver's own
    behind: nn.Module | None  # from the cut to {layer: representation}; None: at the cut
    kind: StitchKind
    layer: str  # of the receiver
    plan: Any  # of the run

    def readers(self, device: torch.device) -> tuple[Read, Read]:
        """Functions from images to {kind: the stitched} and to {layer: the receiver's own}."""
        parts = [part for part in (self.stitched, self.target, self.behind) if part is not None]
        nn.ModuleList(parts).to(device)

        def reader(module: nn.Module, name: str) -> Read:
            def read(images: torch.Tensor) -> dict[str, torch.Tensor]:
                at_cut = module(images.to(device))
                return {name: at_cut if self.behind is None else self.behind(at_cut)[self.layer]}

            return read

        return reader(self.stitched, self.kind), reader(self.target, self.layer)


def read_stitched(
    folder: str,
    kind: StitchKind = "after",
    layer: str | None = None,  # of the receiver, behind the cut; the cut itself if absent
    model: str | None = None,  # network in a .pt file; as the run has it if absent
    other_networks: bool = False,
) -> Stitched:
    """The stitched representation of a run, from its folder.

    Raises:
        UserError: if it holds no such run, or its networks are no longer those it was made for and
            `other_networks` does not allow that.
        LayerError: if the receiver has no such layer behind the cut.
    """
    plan, files = read_stitch_run(folder, [kind])
    networks = open_pair(plan.sender, plan.receiver, model or plan.model)
    check_same_answers(*networks)
    if not other_networks:
        check_made_for(files.values(), networks)
    sender, receiver = (network.module for network in networks)
    joint = join(sender, receiver, plan.sender_layer, plan.receiver_layer, plan.flatten)
    return Stitched(
        networks,
        nn.Sequential(joint.sender.front, joint.align, load_stitch(files[kind])),
        joint.receiver.front,
        None if layer is None else Reader.of_end(joint.receiver.end, [layer]),
        kind,
        layer or plan.receiver_layer,
        plan,
    )
