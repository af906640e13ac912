"""The plan of `evaluate`: a saved network, or the stitches of a run, on held-out images."""

from dataclasses import dataclass
from typing import ClassVar

from frankenstein.errors import PlanError
from frankenstein.runs.fields import (
    DataFields,
    DeviceFields,
    MeasureName,
    NetworkFields,
    PlaceName,
    RunFields,
    StitchKind,
)
from frankenstein.runs.schema import option


@dataclass(frozen=True, kw_only=True)
class EvaluatePlan(DeviceFields, RunFields, NetworkFields, DataFields):
    """A network's accuracy and loss, or those of a run's stitches beside their controls."""

    verb: ClassVar[str] = "evaluate"

    subject: str = option(
        about="a network, a graft, or folder of a run of train.py or stitch.py", source=True
    )
    stitch: list[StitchKind] | None = option(
        None,
        "which stitches of the run: before training, after it, or ps_inv, the affine map of least "
        "squares whatever the family; all three if absent",
    )
    dataset: PlaceName | None = option(
        None, "data set; the one of the run, or that the network was trained on, if absent"
    )
    measures: list[MeasureName] | None = option(
        None, "similarity of stitched to target; those of the run if absent"
    )
    untrained: int | None = option(
        None,
        "senders with random weights that the control is a mean and a spread over; as many as of "
        "the run if absent",
        least=1,
    )
    percentile: float = option(
        95.0, "of the receiver's own scores, above which a representation is outside"
    )
    floor: float = option(
        0.01,
        "of the variance in any direction, as a share of the mean one, where outside is told "
        "(docs/stitching.md): how far its shares hang on directions of little variance",
    )
    other_networks: bool = option(
        False, "take a run's networks though they are not those it was made for"
    )
    batch_size: int = option(250, "images a step", least=1)

    def check(self) -> None:
        """Refuse what no threshold can be taken from.

        Raises:
            PlanError: if the percentile or the floor is out of range.
        """
        if not 0 < self.percentile < 100:
            raise PlanError(f"‹percentile› lies between 0 and 100, got {self.percentile:g}")
        if not self.floor > 0:
            raise PlanError(f"‹floor› is a share of the mean variance, above 0, got {self.floor:g}")
