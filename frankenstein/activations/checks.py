"""What is wrong with the shapes of layers, or seems to be: examples differ, axes have moved."""

import warnings
from collections.abc import Mapping
from math import prod

from frankenstein.shapes import ShapeError

Shapes = Mapping[str, tuple[int, ...]]  # by layer


class ActivationsWarning(UserWarning):
    """Part of a file is no layer, or its axes may be in another order."""


def check_layers(shapes: Shapes, source: str) -> None:
    """Refuse layers that are not of the same examples, or of fewer than two.

    Raises:
        ShapeError: with the layers that differ, and whether they seem to lie units x examples.
    """
    (first, shape), *others = shapes.items()
    n = shape[0]
    if differing := next(((s, one[0]) for s, one in others if one[0] != n), None):
        widths = {one[1:] for one in shapes.values()}
        turned = len(widths) == 1 and len(shape) == 2
        hint = (
            "they lie units x examples, it seems; save them transposed, a row for each example"
            if turned
            else "name layers of the same examples"
        )
        raise ShapeError(
            f"layers of {source} hold different numbers of examples, {n} ({first!r}) and "
            f"{differing[1]} ({differing[0]!r}): {hint}"
        )
    for name, shape in shapes.items():
        if n < 2 or not prod(shape):
            raise ShapeError(
                f"{name!r} of {source} has shape {shape}; a layer is (N, ...) of two examples or "
                "more, and of a unit at least"
            )
        if len(shape) == 4 and shape[1] == shape[2] != shape[3]:
            warnings.warn(
                f"{name!r} of {source} has shape {shape}: maps have their units on the second "
                "axis, (N, C, H, W), and these seem to have them last; move that axis",
                ActivationsWarning,
                stacklevel=4,
            )


def check_same_examples(ours: Shapes, theirs: Shapes, sources: tuple[str, str]) -> None:
    """Refuse two files of different numbers of examples, and say if one lies units x examples.

    Raises:
        ShapeError: if they are.
    """
    counts = [next(iter(shapes.values()))[0] for shapes in (ours, theirs)]
    if counts[0] == counts[1]:
        return
    told = f"{sources[0]} holds {counts[0]} examples and {sources[1]} {counts[1]}"
    for shapes, source, other in zip((ours, theirs), sources, reversed(counts), strict=True):
        for name, shape in shapes.items():
            if shape[1:] == (other,):
                raise ShapeError(
                    f"{told}, and {name!r} of {source} is {shape}: it lies units x examples, it "
                    "seems; save it transposed, a row for each example"
                )
    raise ShapeError(f"{told}; rows of both must be the same examples, in the same order")
