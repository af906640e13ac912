"""Names of the catalog as types of fields: `model: NetworkName = option("tiny10", ...)`."""

from typing import Annotated, Literal

from frankenstein.catalog import ARCHITECTURES, DATASETS, MEASURES, STITCHES

NetworkName = Annotated[str, tuple(ARCHITECTURES)]
DatasetName = Annotated[str, tuple(DATASETS)]
StitchName = Annotated[str, tuple(STITCHES)]
MeasureName = Annotated[str, tuple(MEASURES)]

# The stitches that a run saves: at its start, trained, and the affine map of least squares.
StitchKind = Literal["before", "after", "ps_inv"]
