"""How a representation lies (map, tokens, vector), and what lays one like another."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from frankenstein.shapes import ShapeError
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


def layout_of(shape: tuple[int, ...]) -> Layout:
    """The layout of one example of this shape; a map's channels come first or, as in Swin, last.

    A map is taken for channels-last if its first two axes are equal and its last two are not.
    Tokens are patches of a square, or those and a class token before them; failing both, a line.

    Raises:
        ShapeError: if it has more than three axes, or none.

    >>> layout_of((32, 13, 13)).units, layout_of((7, 7, 96)).units, layout_of((197, 768)).grid
    (32, 96, (14, 14))
    """
    if len(shape) == 1:
        return Layout("vector", shape[0], ())
    if len(shape) == 2:
        return Layout("tokens", shape[1], *_patches(shape[0]))
    if len(shape) == 3:
        if is_channels_last(shape):
            return Layout("map", shape[2], shape[:2])
        return Layout("map", shape[0], shape[1:])
    raise ShapeError(f"a representation is a map, tokens or a vector, got shape {shape}")


def is_channels_last(shape: tuple[int, ...]) -> bool:
    """Whether one example of this shape is a map whose channels come last."""
    return len(shape) == 3 and shape[0] == shape[1] != shape[2]


def units_first(z: Tensor) -> Tensor:
    """A batch of maps whose channels come last with their channels first; all else as it is."""
    return z.movedim(-1, 1) if is_channels_last(z.shape[1:]) else z


def laid(halves: Cut, shape: tuple[int, ...]) -> tuple[Cut, Layout]:
    """The halves of a cut whose representation has this shape, units where stitches want them.

    A map's channels come first between them and those of tokens last: what lies otherwise is turned
    on leaving the front, and back on entering the end.
    """
    if is_channels_last(shape):
        return _turned(halves, (-1, 1)), layout_of(shape)
    if len(shape) == 2 and _turns_first(halves.end):  # as behind the patches of torchvision's ViT
        return _turned(halves, (1, 2)), layout_of(shape[::-1])
    return halves, layout_of(shape)


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

    def forward(self, z: Tensor) -> Tensor:
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


def _turns_first(end: nn.Module) -> bool:
    """Whether all that an end half does with its input is to exchange its two axes."""
    graph = getattr(end, "graph", None)
    if not isinstance(graph, fx.Graph):
        return False
    entrance = next(node for node in graph.nodes if node.op == "placeholder")
    users = [node for node in entrance.users if node.target != "size"]  # how many examples
    does = [(str(node.target), tuple(node.args[1:])) for node in users]
    return does in ([("permute", (0, 2, 1))], [("transpose", (1, 2))], [("transpose", (2, 1))])


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
