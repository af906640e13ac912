"""What every stitch family is, an affine map over units, and where a stitch starts."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError, counted, did_you_mean
from frankenstein.shapes import ShapeError, Tokens, num_units

STARTS = ("random", "eye", "perm", "ones-zeros", "solved")


class Stitch(nn.Module):
    """A map from source units to target units; families differ in which maps they can be.

    A family says what its map is (`affine_map`), how to find its best member in closed form
    (`solve`), and which member is nearest to a given map (`approximate`). A family whose members
    a gradient step can leave mends that in `after_step`. One of more than affine maps says its
    `forward` and `approximate`; it is solved as the affine map of least squares is.
    """

    # Whether it is one affine map at every place: then it may go before a resize or behind it.
    affine: ClassVar[bool] = True

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels

    @property
    def options(self) -> dict[str, Any]:
        """What its constructor takes beside the numbers of units."""
        return {}

    def affine_map(self) -> tuple[Tensor, Tensor | None]:
        """Weight (E, D) and bias (E,), differentiable; not of a family of more than that."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its map is")

    def prepare(self, moments: Moments) -> "Stitch":
        """Learn what the family has to know of the data wherever it starts; most need nothing."""
        return self

    def solve(self, moments: Moments) -> "Stitch":
        """Become the family's member of least squared error from x to y; returns self.

        Raises:
            ShapeError: if the moments are of other numbers of units.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it is solved")

    def approximate(self, weight: Tensor, bias: Tensor) -> "Stitch":
        """Become the family's member nearest to an affine map (E, D), (E,); returns self."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it approximates")

    def follow(self, matrix: Tensor, bias: Tensor) -> "Stitch":
        """Become a matrix (E, E) behind the own one, with a bias (E,); returns self.

        Raises:
            UserError: if the family has no such member.
        """
        raise UserError(
            f"a stitch of the family {type(self).__name__.lower()} cannot be scaled: its size is "
            "fixed; take affine, low_rank, sparse or matched"
        )

    def after_step(self, optimizer: Optimizer) -> None:
        """Return to the family after a gradient step; most families have nothing to do."""

    def __call__(self, source: Any) -> Any:
        """What it makes of a representation; of padded text token by token."""
        if isinstance(source, Tokens):
            return Tokens(self(source.values), source.there)
        return super().__call__(source)

    def forward(
        self,
        source: Tensor,  # (N, D), (N, T, D) or (N, D, H, W)
    ) -> Tensor:  # the same with E for D
        """The stitched representation."""
        self.check(source)
        return placewise(source, *self.affine_map())

    def check(self, source: Tensor) -> None:
        """Refuse a representation with another number of units."""
        if num_units(source.shape) != self.in_channels:
            raise ShapeError(
                f"this stitch takes {counted(self.in_channels, 'unit')}, got a representation of "
                "shape "
                f"{tuple(source.shape)}; cut at the layer that it was made for"
            )

    def check_moments(self, moments: Moments) -> None:
        """Refuse moments of other numbers of units."""
        shape = len(moments.mean("x")), len(moments.mean("y"))
        if shape != (self.in_channels, self.out_channels):
            raise ShapeError(
                f"this stitch goes from {self.in_channels} to "
                f"{counted(self.out_channels, 'unit')}, got "
                f"moments of {shape[0]} and {shape[1]}"
            )


def placewise(source: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """An affine map (E, D), (E,) of the units at every place."""
    if source.ndim == 4:
        return functional.conv2d(source, weight[:, :, None, None], bias)
    return functional.linear(source, weight, bias)


def only_scales(matrix: Tensor) -> Tensor:  # (E,), of (E, E)
    """The diagonal of a matrix that has nothing beside it.

    Raises:
        UserError: if it mixes units.
    """
    scales = matrix.diagonal()
    if not torch.equal(matrix, torch.diag(scales)):
        raise UserError(
            "the whole covariance is put right by mixing target units, and this family keeps them "
            "apart; take ‹match_spread›, or an affine stitch"
        )
    return scales


def same_number_of_units(family: str, in_channels: int, out_channels: int) -> None:
    """Refuse a family that needs as many target units as source units."""
    if in_channels != out_channels:
        raise ShapeError(
            f"an {family} stitch needs as many target units as source units, got {in_channels} "
            f"and {out_channels}; use affine or low_rank"
        )


def start(stitch: Stitch, how: str, moments: Moments | None = None) -> Stitch:
    """Put a stitch at its start; returns it.

    "random" leaves it as it was made; "eye", "perm" and "ones-zeros" take the member of its family
    nearest to the unit matrix, a random permutation and a matrix of ones (with zero bias);
    "solved" is direct matching. With moments, a family that needs to know the data first does.

    Raises:
        UserError: for an unknown start, or "solved" without moments.
    """
    if how not in STARTS:
        known = ", ".join(STARTS)
        raise UserError(f"unknown start {how!r}; known: {known}{did_you_mean(how, STARTS)}")
    if how == "solved":
        if moments is None:
            raise UserError('the start "solved" needs moments of source and target')
        return stitch.solve(moments)
    if moments is not None:
        stitch.prepare(moments)
    if how == "random":
        return stitch
    matrix = torch.eye(stitch.out_channels, stitch.in_channels)
    if how == "perm":
        matrix = matrix[:, torch.randperm(stitch.in_channels)]
    if how == "ones-zeros":
        matrix = torch.ones_like(matrix)
    return stitch.approximate(matrix, torch.zeros(stitch.out_channels))
