"""Any measures by name, of several representations with the one that all are compared with."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from frankenstein.accumulators.layer_moments import LayerMoments
from frankenstein.accumulators.linear import rank_of
from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.small_sample import WIDE
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError
from frankenstein.measures.similarities import Similarities
from frankenstein.shapes import FLATTENINGS

_TARGET = "target"


class SimilaritiesToOne:
    """What `Similarities` says of each of several representations with one target, in one pass.

    Each measure takes its own first flattening. Sums over few units are made in one product for
    all, and those of the target by itself once; whatever else measures need is kept one by one.
    """

    def __init__(self, measures: Sequence[str]) -> None:
        """Start empty.

        Raises:
            UserError: for an unknown measure.
        """
        self.measures = tuple(measures)
        self._flats = Similarities(measures).flattenings
        self._sums: dict[str, LayerMoments] = {}  # by flattening
        self._each: dict[str, Similarities] = {}  # by representation

    def update(self, xs: Mapping[str, Tensor], y: Tensor, inputs: Tensor | None = None) -> None:
        """Add a batch (N, ...) of all representations, and what they are made of."""
        if not self._each:
            self._start(xs, y)
        for sums in self._sums.values():
            sums.update(xs, {_TARGET: y})
        for name, each in self._each.items():
            each.update(xs[name], y, inputs)

    def values(self) -> dict[str, dict[str, Tensor]]:
        """Every measure of every representation, by name: scalars.

        Raises:
            UserError: for NaN or Inf in the representation that is named.
        """
        known: dict[str, dict[Any, Any]] = {}  # of the target, which is the same for all
        found = {}
        for name, each in self._each.items():
            values = each.values(known)
            for measure in self._summed():
                values[measure] = MEASURES[measure](self._moments(name, measure))
            found[name] = {measure: values[measure] for measure in self.measures}
        return found

    def directions(self, name: str, measure: str) -> int:
        """How many a canonical correlation among `values` is over: of the side with fewer."""
        if measure not in self._summed():
            return self._each[name].directions(measure)
        return min(rank_of(self._moments(name, measure), side) for side in "xy")

    def _moments(self, name: str, measure: str) -> Moments:
        sums = self._sums[self._flats[measure]]
        for side, one in (("x", name), ("y", _TARGET)):
            if not sums.finite(side, one):
                raise UserError(
                    f"NaN or Inf in the representation {one!r}; look at the network that made it"
                )
        return sums.pair(name, _TARGET)

    def _summed(self) -> list[str]:
        return [
            name
            for name, flat in self._flats.items()
            if flat in self._sums and MEASURES[name].kept == "moments"
        ]

    def _start(self, xs: Mapping[str, Tensor], y: Tensor) -> None:
        flats = {flat for one, flat in self._flats.items() if MEASURES[one].kept == "moments"}
        for flat in flats:
            flatten = FLATTENINGS[flat]
            if all(flatten(z[:1]).shape[1] <= WIDE for z in (*xs.values(), y)):
                self._sums[flat] = LayerMoments(flatten)
        rest = [name for name in self.measures if name not in self._summed()]
        self._each = {name: Similarities(rest) for name in xs}
