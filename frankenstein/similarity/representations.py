"""Any measures of two representations of the same images, in one pass."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from frankenstein.measures.layer_similarities import LayerSimilarities
from frankenstein.surgery.layouts import units_first
from frankenstein.surgery.read import Wanted, reading

Representation = Callable[[Tensor], Tensor]  # images to what a layer makes of them


@torch.no_grad()
def representation_similarities(
    one: Representation,
    other: Representation,
    batches: Iterable[tuple[Tensor, Tensor]],
    measures: Sequence[str],
    flattening: str | None = None,
    limit: int = 2000,  # examples kept for measures that need them
    device: torch.device | str = "cpu",
    watch: Callable[[dict[str, Tensor], dict[str, Tensor], Tensor], object] | None = None,
) -> LayerSimilarities:
    """Two representations, the one layer "one" and the one layer "other" of the answer.

    Unless a flattening is named, each measure takes its own first choice; but maps and tokens are
    pooled over places for measures that count places, if the two do not lie on the same grid.
    Nothing is estimated from blocks. `watch` is told of every batch: both layers, and the images.

    Raises:
        ShapeError: if the two have different numbers of rows.
        UserError: for an unknown measure or a flattening that makes no sense of one.
    """
    kept = _empty(measures, flattening, limit, True)  # first: it says what is wrong
    for count, (images, _) in enumerate(batches):
        images = images.to(device)
        x, y = (units_first(network(images)) for network in (one, other))
        if count == 0:
            kept = _empty(measures, flattening, limit, _places(x) == _places(y))
        kept.update({"one": x}, {"other": y}, images if kept.needs_inputs else None)
        if watch is not None:
            watch({"one": x}, {"other": y}, images)
    return kept


def bytes_of_one(network: nn.Module, layers: Wanted | None = None) -> int:
    """What one example's layers take, in float32, from a look at two black images."""
    shape = tuple(network.input_shape)  # type: ignore[arg-type]
    with reading(network, layers) as read:
        return sum(4 * z[0].numel() for z in read(torch.zeros(2, *shape)).values())


def _empty(
    measures: Sequence[str], flattening: str | None, limit: int, one_grid: bool
) -> LayerSimilarities:
    return LayerSimilarities(
        measures, flattening, block=None, limit=limit, one_grid=one_grid, shared_up_to=0
    )


def _places(z: Tensor) -> tuple[int, ...]:
    """The grid that a representation lies on, as (H, W) or (T,); () for vectors."""
    return z.shape[2:] if z.ndim == 4 else z.shape[1:-1]
