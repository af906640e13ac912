"""What became of images that were made the same to layers of several networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from frankenstein.intervals import mean_and_spread, share_interval

UNTRAINED, MARKER = "untrained_sender", "marker"  # whose layers are controls


@dataclass(frozen=True)
class Alike:
    """What the receiver says of images that are the same to a layer of some network."""

    as_goal: float  # share of images that it answers as it does the goal
    as_start: float  # likewise the image that each was begun from
    left: float  # of the squared distance at the start, median over images
    images: Tensor  # (R, C, H, W) uint8, of the first ones


@dataclass(frozen=True)
class InvariancesAnswer:
    """Every layer asked about, by its label and by whose it is."""

    layers: tuple[str, ...]
    images: int
    steps: int
    before: float  # share of the others that the receiver answers as the goal, unchanged
    alike: Mapping[tuple[str, str], Alike]  # by layer and network
    untrained: Mapping[str, Sequence[Alike]]  # by layer
    pairs: tuple[str, ...]  # classes of the images shown: the goal's, the other's
    shown: Mapping[str, Tensor]  # "goal" and "begun from": (R, C, H, W) uint8

    @cached_property
    def numbers(self) -> Mapping[str, float]:
        """Such as {"as_goal/sender/bn3": ..., "as_goal_low/sender/bn3": ...}."""
        numbers = {"as_goal/before": self.before}
        for (layer, who), one in self.alike.items():
            place = f"{who}/{layer}"
            low, high = share_interval(one.as_goal, self.images)
            numbers |= {
                f"as_goal/{place}": one.as_goal,
                f"as_goal_low/{place}": low,
                f"as_goal_high/{place}": high,
                f"as_start/{place}": one.as_start,
                f"left/{place}": one.left,
            }
        for layer, twins in self.untrained.items():
            place = f"{UNTRAINED}/{layer}"
            mean, spread = mean_and_spread([twin.as_goal for twin in twins])
            numbers |= {f"as_goal/{place}": mean, f"as_goal_spread/{place}": spread}
            for what in ("as_start", "left"):
                values = [getattr(twin, what) for twin in twins]
                numbers[f"{what}/{place}"] = mean_and_spread(values)[0]
        return numbers
