"""How well the labels can be read out of every layer, beside random labels and random weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from frankenstein.intervals import mean_and_margin
from frankenstein.questions.probes.readout import Readout

Mean = tuple[float, float]  # over seeds, and half of its 95 % interval


@dataclass(frozen=True)
class Probe:
    """Means over seeds of one kind of probe at one layer of one network."""

    accuracy: Mean  # on held-out examples
    control: Mean | None = None  # of random labels; of untrained networks there is none
    control_held_out: Mean | None = None  # of random labels on other examples
    selectivity: Mean | None = None  # accuracy less control

    @classmethod
    def of(cls, readout: Readout) -> "Probe":
        """The means of a readout."""
        several = (
            readout.accuracy,
            readout.control,
            readout.control_held_out,
            readout.selectivity,
        )
        return cls(*(mean_and_margin(values) if values else None for values in several))  # type: ignore[arg-type]


@dataclass(frozen=True)
class ProbesAnswer:
    """Every kind of probe at every layer of two networks and of their untrained twins."""

    probes: Mapping[tuple[str, str, str], Probe]  # kind, role, layer
    twins: Mapping[str, str]  # role: that of its untrained twin
    kinds: tuple[str, ...]
    layers: tuple[str, ...]
    seeds: int
    hidden: int  # units of the layer that a hidden probe has
    examples: tuple[int, int]  # training images that probes learn from, held-out ones
    most_frequent: float  # accuracy of the best answer that is always the same

    @cached_property
    def numbers(self) -> Mapping[str, float]:
        """Such as {"linear/sender/relu3": ..., "linear_control/sender/relu3": ...}."""
        numbers = {"most_frequent": self.most_frequent}
        for (kind, role, layer), probe in self.probes.items():
            place = f"{role}/{layer}"
            numbers[f"{kind}/{place}"], numbers[f"{kind}_margin/{place}"] = probe.accuracy
            if role not in self.twins:
                continue
            untrained = self.probes[kind, self.twins[role], layer].accuracy[0]
            numbers[f"{kind}_excess/{place}"] = probe.accuracy[0] - untrained
            for name in ("control", "control_held_out", "selectivity"):
                numbers[f"{kind}_{name}/{place}"] = getattr(probe, name)[0]
        return numbers
