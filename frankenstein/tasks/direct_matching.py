"""The moments of source and target at two cuts: one pass, from which every stitch is solved."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.small_sample import AdaptiveMoments
from frankenstein.shapes import per_location

_ON_CPU = 50  # images at once: what a layer makes of them stays in the cache for the next


@torch.no_grad()
def matching_moments(
    sender_front: nn.Module,
    receiver_front: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device | str = "cpu",
) -> Moments:
    """Moments of the two representations, place by place, over all batches."""
    rows = AdaptiveMoments(per_location)
    for images, _ in batches:
        images = images.to(device)
        for part in images.split(_ON_CPU if images.device.type == "cpu" else len(images)):
            rows.update(sender_front(part), receiver_front(part))
    return rows.all_reduce().frozen()
