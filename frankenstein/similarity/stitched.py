"""The stitched representation of a stitching run's folder, and the receiver's own beside it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.errors import UserError
from frankenstein.networks.network import Network
from frankenstein.networks.pair import check_same_answers, open_pair
from frankenstein.runs.run import Run
from frankenstein.stitches import load_stitch, stitch_facts
from frankenstein.surgery import capture, join


@dataclass(frozen=True)
class Stitched:
    """Two representations of an image, at the receiver's cut or behind it."""

    networks: tuple[Network, Network]
    stitched: nn.Module  # what a stitch makes of the sender's representation
    target: nn.Module  # the receiver's own
    layer: str  # of the receiver
    options: Any  # the plan of the run

    def to(self, device: torch.device) -> "Stitched":
        """The same, on a device."""
        nn.ModuleList([self.stitched, self.target]).to(device)
        return self


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
        raise UserError(f"{folder} is a run of {options.verb}, not of stitch; give one of stitch")
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
    behind = nn.Identity() if layer is None else _until(joint.receiver.end, layer)
    return Stitched(
        networks,
        nn.Sequential(joint.sender.front, joint.align, load_stitch(file), behind),
        nn.Sequential(joint.receiver.front, behind),
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


def _until(end: nn.Module, layer: str) -> nn.Module:
    """An end half up to a layer; what `surgery.join` has put before it stays."""
    if isinstance(end, nn.Sequential):
        return nn.Sequential(*end[:-1], _until(end[-1], layer))
    return Layer(end, layer)


class Layer(nn.Module):
    """One layer's representation."""

    def __init__(self, network: nn.Module, layer: str) -> None:
        super().__init__()
        self.layer, self.capture = layer, capture(network, [layer])

    def forward(self, images: Tensor) -> Tensor:
        """What the layer makes of images."""
        return self.capture(images)[self.layer]
