"""Any measures by name, of two representations that come in batches."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from frankenstein.accumulators.folds import Folds
from frankenstein.accumulators.linear import rank_of
from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.reservoir import Reservoir
from frankenstein.accumulators.small_sample import AdaptiveMoments, ranked_moments
from frankenstein.catalog import MEASURES, find_measure
from frankenstein.shapes import FLATTENINGS


class Similarities:
    """Keeps of two representations what the named measures need, each once, in one pass.

    Memory does not grow with the number of examples: sums for some measures, at most `limit` kept
    examples for others.
    """

    def __init__(
        self, measures: Sequence[str], flattening: str | None = None, limit: int = 2000
    ) -> None:
        """Start empty; each measure takes its own first flattening unless one is named.

        Raises:
            UserError: for an unknown measure, or a flattening that makes no sense of one.
        """
        measures = [measures] if isinstance(measures, str) else measures
        rows = {name: find_measure(name, flattening) for name in measures}
        self.flattenings = {name: flattening or row.flattenings[0] for name, row in rows.items()}
        makers: dict[str, Callable[..., Any]] = {
            "moments": AdaptiveMoments,
            "folds": Folds,
            "examples": partial(Reservoir, limit),
        }
        self._kept: dict[tuple[str, str], Any] = {}
        for name, flat in self.flattenings.items():
            kind = MEASURES[name].kept
            self._kept.setdefault((kind, flat), makers[kind](flatten=FLATTENINGS[flat]))
        self._last: dict[tuple[str, str], Any] = {}
        self.needs_inputs = any(row.needs == "inputs" for row in rows.values())

    @property
    def moments(self) -> Moments | None:
        """The sums, if a measure needs them: per location, if one is asked for.

        Of whole examples, fewer than units, there are none, unless a measure goes unit by unit.
        """
        sums = {flat: kept for (kind, flat), kept in self._kept.items() if kind == "moments"}
        flat = "per_location" if "per_location" in sums else next(iter(sums), None)
        by_unit = any("permute" not in MEASURES[one].invariant_to for one in self.flattenings)
        if flat is None or (flat == "per_sample" and sums[flat].few and not by_unit):
            return None
        return sums[flat].frozen()

    def update(
        self,
        x: Tensor,  # (N, ...)
        y: Tensor,  # (N, ...)
        inputs: Tensor | None = None,  # (N, ...), what both are made of
    ) -> "Similarities":
        """Add a batch; returns self. Inputs are kept only if `needs_inputs`."""
        for kept in self._kept.values():
            if isinstance(kept, Reservoir) and self.needs_inputs:
                kept.update(x, y, inputs)
            else:
                kept.update(x, y)
        return self

    def all_reduce(self) -> "Similarities":
        """Become what all processes have seen together, on each of them; returns self."""
        for kept in self._kept.values():
            kept.all_reduce()
        return self

    def values(self, known: dict[str, dict[Any, Any]] | None = None) -> dict[str, Tensor]:
        """Every measure's value, a scalar each.

        Those that have seen the same y may share what is `known` of it: give them one empty dict.
        """
        # An example flattened as a whole may have more units than there are rows.
        found_of = {
            key: kept.frozen() if isinstance(kept, AdaptiveMoments) else kept
            for key, kept in self._kept.items()
        }
        self._last = found_of  # with what was made of them on the way
        for (_, flat), kept in found_of.items():
            if known is not None and isinstance(kept, Moments):
                kept.cache["y"] = known.setdefault(flat, {})
        found = {}
        for name, flat in self.flattenings.items():
            kept = found_of[MEASURES[name].kept, flat]
            found[name] = MEASURES[name](kept)
        return found

    def directions(self, measure: str) -> int:
        """How many a canonical correlation among the last `values` is over: of the side with fewer.

        It takes next to nothing, for the measure has counted them.
        """
        moments = ranked_moments(self._last["moments", self.flattenings[measure]])
        return min(rank_of(moments, side) for side in "xy")
