"""How alike two networks' activations of an image are, beside what chance gives."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from frankenstein.questions.units.raw_and_sorted import KINDS

NETWORKS = "networks"
CONTROLS = ("units_shuffled", "values_shuffled", "other_images", "untrained")
_NULLS = {  # what a number has to stand above: the highest of these
    "raw": ("units_shuffled",),
    "sorted": ("values_shuffled", "other_images", "untrained"),
}
Spread = tuple[float, float]  # mean and standard deviation


@dataclass(frozen=True)
class UnitsAnswer:
    """Every kind of likeness, of the two networks and of each control, by layer."""

    images: int
    orders: int  # of units, that *units shuffled* is the mean of
    layers: Mapping[str, Mapping[str, Mapping[str, Spread]]]  # layer: NETWORKS or control: kind

    def excess(self, layer: str, kind: str) -> float:
        """How far the networks' mean stands above the highest control's; NaN without one."""
        values = self.layers[layer]
        nulls = [values[name][kind][0] for name in _NULLS[kind.partition("_")[0]]]
        highest = max((null for null in nulls if not math.isnan(null)), default=math.nan)
        return values[NETWORKS][kind][0] - highest

    @cached_property
    def numbers(self) -> Mapping[str, float]:
        """Such as {"raw_cosine/relu3": ..., "raw_cosine/untrained/relu3": ...}."""
        numbers: dict[str, float] = {}
        for layer, values in self.layers.items():
            for kind in KINDS:
                mean, spread = values[NETWORKS][kind]
                numbers |= {f"{kind}/{layer}": mean, f"{kind}_spread/{layer}": spread}
                numbers[f"{kind}_excess/{layer}"] = self.excess(layer, kind)
                for control in CONTROLS:
                    numbers[f"{kind}/{control}/{layer}"] = values[control][kind][0]
                if kind in ("raw_cosine", "raw_pearson"):
                    stray = values["units_shuffled"][kind][1]
                    numbers[f"{kind}/units_shuffled_spread/{layer}"] = stray
        return numbers
