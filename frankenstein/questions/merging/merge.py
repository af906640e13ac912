"""One network out of two: their weights averaged, and its activations given their size back."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from frankenstein.accumulators.moments import Moments
from frankenstein.networks.statistics import count_statistics, keeps_statistics
from frankenstein.questions.merging.unit_orders import layers_moments, same_architecture
from frankenstein.surgery import find_streams

Batches = Iterable[tuple[Tensor, Tensor]]
_NORMS: dict[type, Any] = {
    nn.Conv1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.Linear: nn.BatchNorm1d,
}


@torch.no_grad()
def interpolate(one: nn.Module, other: nn.Module, share: float = 0.5) -> nn.Module:
    """A new network with weights (1 - share) · one + share · other, statistics included.

    Two networks that do the same with units in another order have first to be brought into one:
    `permute(one, orders_by_activations(one, other, batches))`.

    Raises:
        UserError: if the two are not of one architecture.
    """
    same_architecture(one, other)
    merged = copy.deepcopy(one)
    theirs = other.state_dict()
    for name, tensor in merged.state_dict().items():
        if tensor.is_floating_point():
            tensor.lerp_(theirs[name], share)
    return merged


def renormalize(
    merged: nn.Module,
    moments: Mapping[str, Moments],  # of `parent_moments`
    share: float,
    images: Tensor,  # (N, ...), on its device
) -> nn.Module:
    """The merged network with activations as large as those of the two that it is made of.

    The mean of two weights that agree in part is smaller than either, and what it makes dies out
    from layer to layer. Where there is BatchNorm its statistics are counted anew; where there is
    none, every layer is scaled and shifted so that each of its units has the mean and the standard
    deviation between those in the two networks. One pass over training images either way, the same
    ones as of `parent_moments`: then a network merged with itself is itself. `merged` changes.

    Source: Jordan et al. 2022 (REPAIR), https://arxiv.org/abs/2211.08403.
    """
    if keeps_statistics(merged):
        return count_statistics(merged, images)
    return _repair(merged, moments, share, images)


@torch.no_grad()
def parent_moments(
    one: nn.Module, other: nn.Module, batches: Batches, device: torch.device | str = "cpu"
) -> dict[str, Moments]:
    """What `renormalize` takes of two networks, whatever the share: none where there is BatchNorm.

    Moments of every layer whose units can be reordered, in one pass over training images.
    """
    if keeps_statistics(one):
        return {}
    streams = find_streams(one)
    hidden = [
        axis.tensor.removesuffix(".weight")
        for axis in streams.axes
        if axis.axis == 0 and axis.tensor.endswith(".weight") and axis.streams[0] in streams.movable
    ]
    return layers_moments(one, other, hidden, batches, device)


@torch.no_grad()
def _repair(
    merged: nn.Module,
    moments: Mapping[str, Moments],
    share: float,
    images: Tensor,
) -> nn.Module:
    """Put a BatchNorm with the wanted mean and deviation behind every layer, and fold it in."""
    for path, layer in moments.items():
        module: Any = merged.get_submodule(path)
        norm = _NORMS[type(module)](len(layer.mean("x"))).to(images.device)
        norm.bias.copy_(torch.lerp(layer.mean("x"), layer.mean("y"), share))
        # With what it adds to the variance, so that a layer that has it already stays as it is.
        one, other = ((layer.variance(side) + norm.eps).sqrt() for side in "xy")
        norm.weight.copy_(torch.lerp(one, other, share))
        merged.set_submodule(path, nn.Sequential(module, norm))
    count_statistics(merged, images)
    for path in moments:
        both: Any = merged.get_submodule(path)
        module, norm = both
        fuse = fuse_linear_bn_eval if isinstance(module, nn.Linear) else fuse_conv_bn_eval
        merged.set_submodule(path, fuse(module, norm))
    return merged.requires_grad_(False)
