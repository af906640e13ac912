"""In what order do one network's units do what another's do: by activations or by weights."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from frankenstein.accumulators.assignment import assignment
from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError
from frankenstein.measures import correlation_matrix
from frankenstein.surgery import Streams, find_streams, permute
from frankenstein.surgery.read import Reader

Orders = dict[str, Tensor]  # by stream: (units,), for `permute`
STARTS = 5  # of weight matching, which ends in local optima
_SWEEPS = 100  # it ends by itself, mostly after fewer than ten


@torch.no_grad()
def orders_by_activations(
    sender: nn.Module,
    receiver: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device | str = "cpu",
) -> Orders:
    """Orders of the sender's units in which they are most alike the receiver's, one to one.

    For each stream the assignment of largest total correlation, place by place and added up over
    the layers that weights read it at; one pass for all. Dead units correlate 0 and take what is
    left. `permute(sender, orders)` is the same function as the sender.

    Source: activation matching of Ainsworth et al. 2022, section 3.1,
    https://arxiv.org/abs/2209.04836, with the correlations of Li et al. 2016,
    https://arxiv.org/abs/1511.07543, and Jordan et al. 2022, https://arxiv.org/abs/2211.08403,
    in place of inner products: a unit of large size counts no more than others.

    Raises:
        LayerError: if it is not known what a step of the networks does to units.
        UserError: if the two are not of one architecture.
    """
    same_architecture(sender, receiver)
    streams = find_streams(sender)
    places = {layer: stream for stream, layers in streams.layers.items() for layer in layers}
    moments = layers_moments(sender, receiver, places, batches, device)
    gains: dict[str, Tensor] = {}
    for layer, stream in places.items():
        gain = correlation_matrix(moments[layer]).T.nan_to_num(0)
        gains[stream] = gains.get(stream, 0) + gain
    return {stream: assignment(gain)[1] for stream, gain in gains.items()}


@torch.no_grad()
def orders_by_weights(sender: nn.Module, receiver: nn.Module, seed: int = 0) -> Orders:
    """Orders of the sender's units in which its weights are nearest to the receiver's.

    The best of `optima_by_weights`, and no more than that: nobody knows the best of all.
    """
    return optima_by_weights(sender, receiver, seed)[0]


@torch.no_grad()
def optima_by_weights(
    sender: nn.Module, receiver: nn.Module, seed: int = 0, starts: int = STARTS
) -> list[Orders]:  # one for each start, the best first
    """Orders of the sender's units in which its weights are near the receiver's.

    No data: stream after stream, in random order, takes the assignment of largest inner product of
    all weights and biases that its units have, the others' orders being what they are, until no
    stream gains. The distance of all weights never grows on the way, and ends in a local optimum;
    so there are several starts, the first from the order that the units have, the others from
    random ones. What scatters over these is how exact the best of them is.

    Source: Ainsworth et al. 2022, algorithm 1, https://arxiv.org/abs/2209.04836.

    Raises:
        LayerError: if it is not known what a step of the networks does to units.
        UserError: if the two are not of one architecture.
    """
    same_architecture(sender, receiver)
    streams = find_streams(sender)
    ours, theirs = (
        {k: v.double().cpu() for k, v in n.named_parameters()} for n in (sender, receiver)
    )
    generator = torch.Generator().manual_seed(seed)
    found = []
    for start in range(starts):
        orders = {
            stream: torch.randperm(streams.units[stream], generator=generator)
            if start
            else torch.arange(streams.units[stream])
            for stream in streams.movable
        }
        found.append(_descend(streams, orders, ours, theirs, generator))
    alike = [_alike(permute(sender, orders), theirs) for orders in found]
    # Of equals the first, which starts from the order that there is; rounding makes no difference.
    return [found[i] for i in sorted(range(starts), key=lambda i: (-round(alike[i], 9), i))]


def _alike(network: nn.Module, theirs: Mapping[str, Tensor]) -> float:
    """Inner product of all weights over what it would be if they were alike."""
    products = [float((p.double().cpu() * theirs[k]).sum()) for k, p in network.named_parameters()]
    return sum(products) / sum(float(w.square().sum()) for w in theirs.values())


def _descend(
    streams: Streams,
    orders: Orders,
    ours: Mapping[str, Tensor],
    theirs: Mapping[str, Tensor],
    generator: torch.Generator,
) -> Orders:
    """From a start to where no stream by itself gains."""
    for _ in range(_SWEEPS):
        gained = False
        for i in torch.randperm(len(streams.movable), generator=generator).tolist():
            stream = streams.movable[i]
            gain = _inner_products(streams, stream, orders, ours, theirs)
            order = assignment(gain)[1]
            rows = torch.arange(len(order))
            if gain[rows, order].sum() > gain[rows, orders[stream]].sum() * (1 + 1e-12):
                orders[stream], gained = order, True
        if not gained:
            break
    return orders


def _inner_products(
    streams: Streams,
    stream: str,
    orders: Mapping[str, Tensor],
    ours: Mapping[str, Tensor],
    theirs: Mapping[str, Tensor],
) -> Tensor:  # (units, units): receiver's unit by sender's unit
    """Of all that the units of one stream are connected by, the others being in their order."""
    units = streams.units[stream]
    total = torch.zeros(units, units, dtype=torch.float64)
    for axis in streams.axes:
        if stream not in axis.streams or axis.tensor not in ours:
            continue
        mine, yours = ours[axis.tensor], theirs[axis.tensor]
        for other in streams.axes:
            if other.tensor == axis.tensor and other.axis != axis.axis:
                index = streams.entries(other, mine.shape[other.axis], orders)
                mine = mine.index_select(other.axis, index)
        mine, yours = mine.movedim(axis.axis, 0), yours.movedim(axis.axis, 0)
        sizes = [streams.units[part] for part in axis.streams]
        places = len(mine) // sum(sizes)
        parts = (z.split([size * places for size in sizes]) for z in (mine, yours))
        for part, a, b in zip(axis.streams, *parts, strict=True):
            if part == stream:
                total += b.reshape(units, -1) @ a.reshape(units, -1).T
    return total


def same_architecture(sender: nn.Module, receiver: nn.Module) -> None:
    """Refuse networks whose weights have other names or shapes.

    Raises:
        UserError: if they differ, with the first that does.
    """
    shapes = [
        {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        for network in (sender, receiver)
    ]
    for name in [*shapes[0], *shapes[1]]:
        one, other = (of_name.get(name, "none") for of_name in shapes)
        if one != other:
            raise UserError(
                f"networks of one architecture can be merged, got {name!r} of shape {one} and "
                f"{other}; take two that differ in their seeds only"
            )


@torch.no_grad()
def layers_moments(
    one: nn.Module,
    other: nn.Module,
    layers: Iterable[str],  # that both networks have by the same name
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device | str = "cpu",
) -> dict[str, Moments]:
    """Moments of every layer in the one and in the other, place by place, in one pass."""
    moments = {layer: Moments() for layer in layers}
    readers = Reader(one, moments), Reader(other, moments)
    for images, _ in batches:
        x, y = (reader(images.to(device)) for reader in readers)
        for layer, kept in moments.items():
            kept.update(x[layer], y[layer])
    return moments
