"""Any measures of two representations of the same images, in one pass."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from frankenstein.accumulators.moments import Moments
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError
from frankenstein.measures import Similarities
from frankenstein.similarity.representations import Representation, places, units_first


class PairSimilarities(NamedTuple):
    """What was found, by measure."""

    values: dict[str, Tensor]
    flattenings: dict[str, str]
    moments: Moments | None  # if a measure needs them


@torch.no_grad()
def pair_similarities(
    one: Representation,
    other: Representation,
    batches: Iterable[tuple[Tensor, Tensor]],
    measures: Sequence[str],
    flattening: str | None = None,
    limit: int = 2000,  # examples kept for measures that need them
    device: torch.device | str = "cpu",
    watch: Callable[[dict[str, Tensor], dict[str, Tensor], Tensor], object] | None = None,
) -> PairSimilarities:
    """Measures of two representations; unless one is named, each flattens as suits it.

    That is its own first choice; but maps and tokens are pooled over places where the two do not
    lie on the same grid, and measures count places. `watch` is told of every batch: layers
    "one" and "other", and the images.

    Raises:
        ShapeError: if the two have different numbers of rows, or of units where they must be equal.
        UserError: for an unknown measure or a flattening that makes no sense of one.
    """
    kept = {"": Similarities(measures, flattening, limit)}  # first: it says what is wrong
    for count, (images, _) in enumerate(batches):
        images = images.to(device)
        x, y = (units_first(network(images)) for network in (one, other))
        if count == 0 and flattening is None:
            kept = _by_flattening(measures, places(x) == places(y), limit)
        for similarities in kept.values():
            similarities.update(x, y, images if similarities.needs_inputs else None)
        if watch is not None:
            watch({"one": x}, {"other": y}, images)
    found: dict[str, Tensor] = {}
    for similarities in kept.values():
        found |= similarities.values()
    flattenings = {name: flat for s in kept.values() for name, flat in s.flattenings.items()}
    sums = [s.moments for s in kept.values() if s.moments is not None]
    return PairSimilarities(
        {name: found[name] for name in measures},
        {name: flattenings[name] for name in measures},
        sums[0] if sums else None,
    )


def _by_flattening(measures: Sequence[str], same_grid: bool, limit: int) -> dict[str, Similarities]:
    names: dict[str, list[str]] = {}
    for name in dict.fromkeys(measures):
        known = MEASURES[name].flattenings
        fitting = [flat for flat in known if same_grid or flat != "per_location"]
        if not fitting:
            raise UserError(f"{name} takes {' or '.join(known)}, and the two lie on other grids")
        # Pooled, because sums over units at every place of a map are too many to hold.
        change = known[0] == "per_location" and not same_grid and "pooled" in fitting
        names.setdefault("pooled" if change else fitting[0], []).append(name)
    return {flat: Similarities(some, flat, limit) for flat, some in names.items()}
