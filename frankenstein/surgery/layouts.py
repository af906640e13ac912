"""How a representation lies (map, tokens, vector), and what lays one like another."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from frankenstein.shapes import ShapeError, Tokens, pooled
from frankenstein.surgery.cut import Cut


class Layout(NamedTuple):
    """What the axes of one example are."""

    kind: str  # "map" (C, H, W), "tokens" (T, C) or "vector" (C,)
    units: int
    grid: tuple[int, ...]  # (H, W) of a map, or of the patches among tokens; () of a vector
    extra: int = 0  # tokens in front that are no patch, such as a class token

    @property
    def places(self) -> str:
        """Where each unit has a value, in words; nothing of a vector.

        >>> layout_of((197, 768)).places
        '14 x 14 and a class token'
        """
        return " x ".join(map(str, self.grid)) + (" and a class token" if self.extra else "")


def layout_of(shape: tuple[int, ...], axis: int | None = None) -> Layout:
    """The layout of one example of this shape, whose units lie on an axis (counted with the batch).

    If that is not known, a map is taken for channels-last, as in Swin, if its first two axes are
    equal and its last two are not, and tokens for units-last. Tokens are patches of a square, or
    those and a class token before them; failing both, a line.

    Raises:
        ShapeError: if it has more than three axes, or none.

    >>> layout_of((32, 13, 13)).units, layout_of((7, 7, 96)).units, layout_of((197, 768)).grid
    (32, 96, (14, 14))
    """
    axis = _guess(shape) if axis is None else axis
    if not 1 <= len(shape) <= 3:
        raise ShapeError(f"a representation is a map, tokens or a vector, got shape {shape}")
    units, places = shape[axis - 1], shape[: axis - 1] + shape[axis:]
    if len(shape) == 1:
        return Layout("vector", units, ())
    if len(shape) == 2:
        return Layout("tokens", units, *_patches(*places))
    return Layout("map", units, places)


def is_channels_last(shape: tuple[int, ...]) -> bool:
    """Whether one example of this shape is a map whose channels come last."""
    return len(shape) == 3 and shape[0] == shape[1] != shape[2]


def units_in_place(z: Tensor, axis: int | None = None) -> Tensor:
    """A batch with its units where measures and stitches want them: of maps first, else last."""
    axis, place = _guess(z.shape[1:]) if axis is None else axis, _place(z.shape[1:])
    return z if axis == place else z.movedim(axis, place)


def laid(halves: Cut, shape: tuple[int, ...], axis: int | None = None) -> tuple[Cut, Layout]:
    """The halves of a cut whose representation has this shape, units where stitches want them.

    A map's channels come first between them and those of tokens last: what lies otherwise is turned
    on leaving the front, and back on entering the end. `axis` is that of units, of `unit_axis`.
    """
    layout, place = layout_of(shape, axis), _place(shape)
    axis = _guess(shape) if axis is None else axis
    return (halves if axis == place else _turned(halves, (axis, place))), layout


def _place(shape: Sequence[int]) -> int:
    return 1 if len(shape) == 3 else len(shape)


def _guess(shape: Sequence[int]) -> int:
    return 3 if is_channels_last(tuple(shape)) else _place(shape)


def flattened(halves: Cut, layout: Layout) -> tuple[Cut, Layout]:
    """The halves with every place of a unit as a unit of its own between them."""
    if layout.kind == "vector":
        return halves, layout
    tokens = math.prod(layout.grid) + layout.extra
    shape = (tokens, layout.units) if layout.kind == "tokens" else (layout.units, *layout.grid)
    front = nn.Sequential(halves.front, nn.Flatten())
    end = nn.Sequential(nn.Unflatten(1, shape), halves.end)
    return Cut(front, end), Layout("vector", math.prod(shape), ())


def alignment(source: Layout, target: Layout) -> tuple[nn.Module, str | None]:
    """A module without parameters that lays source like target, and what it does in words.

    Maps and the patches among tokens are resized bilinearly; a class token that only the target has
    is the mean of the patches, one that only the source has is dropped; a vector takes the mean
    over places. None where there is nothing to do.

    Raises:
        ShapeError: from a vector to places: it has none to give.
    """
    if source[0] == target[0] and source[2:] == target[2:]:
        return nn.Identity(), None
    if source.kind == "vector":
        raise ShapeError(
            f"the source is a vector and the target has places {target.grid}; "
            "cut the receiver where it has a vector, too"
        )
    how_laid = f"the source, {_in_words(source)}, is laid like the target, {_in_words(target)}"
    return _Align(source, target), how_laid


def _resized(
    z: Tensor,  # (N, C, H, W)
    grid: tuple[int, ...],
) -> Tensor:  # (N, C, H', W')
    """A map on another grid, bilinear, each new place a mean of all that it covers."""
    # Where no place covers several, antialiasing changes nothing, and without it and with channels
    # last in memory a CPU takes a ninth of the time.
    narrows = any(new < old for new, old in zip(grid, z.shape[2:], strict=True))
    if not narrows:
        z = z.contiguous(memory_format=torch.channels_last)
    return functional.interpolate(z, grid, mode="bilinear", antialias=narrows)


class _Align(nn.Module):
    def __init__(self, source: Layout, target: Layout) -> None:
        super().__init__()
        self.source, self.target = source, target

    def forward(self, z: Any) -> Tensor:
        if isinstance(z, Tokens):
            if self.target.kind == "vector":
                return pooled(z)  # type: ignore[arg-type]
            raise ShapeError("tokens of a sentence are laid like no grid; stitch tokens to tokens")
        first = None
        if self.source.kind == "tokens":
            first, z = z[:, : self.source.extra], z[:, self.source.extra :]
            z = z.transpose(1, 2).unflatten(2, self.source.grid)  # (N, C, H, W)
        if self.target.kind == "vector":
            return z.mean((2, 3))
        if self.target.grid == (1, 1):
            z = z.mean((2, 3), keepdim=True)  # bilinear weights would favour the middle
        elif self.source.grid != self.target.grid:
            z = _resized(z, self.target.grid)
        if self.target.kind == "map":
            return z
        z = z.flatten(2).transpose(1, 2)  # (N, T, C)
        if first is None or self.source.extra != self.target.extra:
            first = z.mean(1, keepdim=True).expand(-1, self.target.extra, -1)
        return torch.cat([first, z], 1)


def _turned(halves: Cut, axes: tuple[int, int]) -> Cut:
    there, back = _Move(*axes), _Move(*axes[::-1])
    return Cut(nn.Sequential(halves.front, there), nn.Sequential(back, halves.end))


class _Move(nn.Module):
    def __init__(self, axis: int, to: int) -> None:
        super().__init__()
        self.axis, self.to_axis = axis, to

    def forward(self, z: Tensor) -> Tensor:
        return z.movedim(self.axis, self.to_axis)


def _patches(tokens: int) -> tuple[tuple[int, int], int]:
    """The grid of patches among tokens, and how many tokens stand before them."""
    for extra in (0, 1):
        side = math.isqrt(tokens - extra)
        if side > 0 and side * side == tokens - extra:
            return (side, side), extra
    return (1, tokens), 0


def _in_words(layout: Layout) -> str:
    if layout.kind == "vector":
        return "a vector"
    return f"{'a map' if layout.kind == 'map' else 'tokens'} of {layout.places}"
