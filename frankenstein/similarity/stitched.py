"""The stitched representation of a stitching run's folder, and the receiver's own beside it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from frankenstein.errors import UserError
from frankenstein.networks.network import Network
from frankenstein.networks.pair import check_same_answers, open_pair
from frankenstein.runs.run import Run
from frankenstein.stitches import load_stitch, stitch_facts
from frankenstein.surgery import join
from frankenstein.surgery.read import Read, Reader


@dataclass(frozen=True)
class Stitched:
    """Two representations of an image, at the receiver's cut or behind it."""

    networks: tuple[Network, Network]
    stitched: nn.Module  # what a stitch makes of the sender's representation at the cut
    target: nn.Module  # the receiver's own
    behind: nn.Module | None  # from the cut to {layer: representation}; None: at the cut
    kind: str  # of the stitch
    layer: str  # of the receiver
    options: Any  # the plan of the run

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
    kind: str = "after",  # of the run's stitches
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
    options: Any = Run.read(folder).plan
    file = Path(folder) / f"{kind}.safetensors"
    if options.verb != "stitch":
        raise UserError(f"{folder} is a run of {options.verb}; give a run of stitch")
    if options.is_matrix:
        raise UserError(
            f"{folder} is a matrix of stitches, which saves none; stitch one pair of its layers"
        )
    if not file.is_file():
        raise UserError(f"{folder} is no whole run of stitch: there is no {file}")
    networks = open_pair(options.sender, options.receiver, model or options.model)
    check_same_answers(*networks)
    if not other_networks:
        _check_networks(file, networks)
    sender, receiver = (network.module for network in networks)
    joint = join(sender, receiver, options.sender_layer, options.receiver_layer, options.flatten)
    return Stitched(
        networks,
        nn.Sequential(joint.sender.front, joint.align, load_stitch(file)),
        joint.receiver.front,
        None if layer is None else Reader.of_end(joint.receiver.end, [layer]),
        kind,
        layer or options.receiver_layer,
        options,
    )


def _check_networks(file: Path, networks: tuple[Network, Network]) -> None:
    facts = stitch_facts(file)
    for network in networks:
        made_for = facts.get(network.role)
        if made_for != network.sha256:
            raise UserError(
                f"{file} was made for a {network.role} of sha256 {str(made_for)[:12]}..., and "
                f"{network.source} has {network.sha256[:12]}...: put the network back, stitch "
                "again, or say ‹other_networks›"
            )
