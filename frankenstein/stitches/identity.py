"""The stitch that changes nothing."""

import torch
from torch import Tensor

from frankenstein.accumulators.moments import Moments
from frankenstein.stitches.stitch import Stitch, same_number_of_units


class Identity(Stitch):
    """Passes the source on; the control that every other stitch is held against."""

    unit: Tensor

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        same_number_of_units("identity", in_channels, out_channels)
        self.register_buffer("unit", torch.eye(out_channels), persistent=False)

    def affine_map(self) -> tuple[Tensor, None]:
        """The unit matrix."""
        return self.unit, None

    def solve(self, moments: Moments) -> "Identity":
        """Nothing to find."""
        self.check_moments(moments)
        return self

    def approximate(self, weight: Tensor, bias: Tensor) -> "Identity":
        """The family has one member."""
        return self

    def forward(self, source: Tensor) -> Tensor:
        """The source itself."""
        self.check(source)
        return source
