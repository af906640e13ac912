"""The receiver's end with the statistics of its BatchNorms counted anew on what is stitched.

A stitched representation has other means and variances than the target, and BatchNorm behind the
cut takes them for the target's. Counting them anew puts that right without labels, for a stitch
and for a control alike.
"""

import copy
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from frankenstein.data import ImageData
from frankenstein.data.text import Text
from frankenstein.errors import UserError
from frankenstein.networks.statistics import count_statistics, keeps_statistics
from frankenstein.stitching.controls import Controls, Route
from frankenstein.stitching.depths import End, reader_behind
from frankenstein.surgery import Cut
from frankenstein.surgery.lighten import fold

_IMAGES, _NUMBERS = 1000, 2**24  # images, and numbers of all of them together


def check_recount(receiver: Cut, data: ImageData) -> None:
    """Refuse where there is nothing to count.

    Raises:
        UserError: if nothing behind the cut keeps statistics, or for sentences.
    """
    if isinstance(data, Text):
        raise UserError("BatchNorm is not counted on padded sentences; leave ‹recount› out")
    if not keeps_statistics(receiver.end):
        raise UserError(
            "nothing behind the receiver's cut keeps statistics to count anew (no BatchNorm); "
            "leave ‹recount› out"
        )


@torch.no_grad()
def recounted_ends(
    sender: Cut,
    receiver: Cut,
    stitches: Mapping[str, nn.Module],
    controls: Controls,
    data: ImageData,
    device: torch.device,
    followed: tuple[nn.Module, str] | None = None,  # the receiver, and the layer it is cut after
) -> dict[str, End]:
    """For every stitch and control an end of its own, counted on the same training images."""
    images, labels = _images(data, device)
    sources = {"sender": sender.front, "receiver": receiver.front, **controls.untrained}
    routes = {name: Route("sender", stitch) for name, stitch in stitches.items()}
    routes |= controls.routes
    ends: dict[str, End] = {}
    for name, route in routes.items():
        if route.source in controls.frauds:
            source = controls.frauds[route.source](images, labels)
        else:
            source = sources[route.source](images)
        end = _counted(receiver.end, route.through(source))
        behind = reader_behind(*followed, end) if followed else None
        ends[name] = End(Cut(receiver.front, fold(end)), behind)
    return ends


def _counted(end: nn.Module, stitched: Tensor) -> nn.Module:
    """A copy of the end that shares the weights, with statistics of its own."""
    weights = {id(one): one for one in end.parameters()}
    return count_statistics(copy.deepcopy(end, weights), stitched)


def _images(data: ImageData, device: torch.device) -> tuple[Tensor, Tensor]:
    """The same training images for all, with their labels."""
    many = max(2, min(_IMAGES, _NUMBERS // data.blank(1).numel()))
    batches: Iterator[tuple[Tensor, Tensor]] = iter(data.train_batches(many))
    images, labels = (torch.cat(some) for some in zip(*batches, strict=True))
    return images.to(device), labels.to(device)
