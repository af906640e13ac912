"""A network with its hidden units in another order: the same function from other weights."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from frankenstein.errors import UserError, did_you_mean
from frankenstein.surgery.streams import Streams, find_streams


@torch.no_grad()
def permute(
    network: nn.Module,
    orders: Mapping[str, Tensor],  # by stream, each (units,)
    streams: Streams | None = None,  # of the network, where they are known
) -> nn.Module:
    """A copy in which unit i of a stream is what was unit `orders[stream][i]`.

    It computes what the network does, up to rounding: sums over units are added up in another
    order. Streams that are not named stay as they are. `find_streams` tells which there are.

    Raises:
        LayerError: if it is not known what a step of the network does to units.
        UserError: for a stream that is not there, or no order of its units.

    >>> network = nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 3))
    >>> swapped = permute(network, {"0": torch.tensor([1, 0])})
    >>> torch.equal(swapped[0].weight, network[0].weight.flip(0))
    True
    """
    streams = streams or find_streams(network)
    orders = {stream: order.cpu() for stream, order in orders.items()}
    for stream, order in orders.items():
        _check(stream, order, streams)
    permuted = copy.deepcopy(network)
    state = permuted.state_dict()
    for axis in streams.axes:
        if orders.keys() & set(axis.streams):
            tensor = state[axis.tensor]
            index = streams.entries(axis, tensor.shape[axis.axis], orders)
            tensor.copy_(tensor.index_select(axis.axis, index.to(tensor.device)))
    return permuted


def _check(stream: str, order: Tensor, streams: Streams) -> None:
    if stream not in streams.movable:
        hint = did_you_mean(stream, streams.movable)
        raise UserError(f"no units to reorder are made by {stream!r}{hint}")
    units = streams.units[stream]
    if order.sort().values.tolist() != list(range(units)):
        raise UserError(
            f"an order of {stream!r} has each of its units 0 to {units - 1} once, got "
            f"{order.tolist()}"
        )
