"""What is wrong with layers, or seems to be: examples or their order differ, axes have moved."""

import warnings
from collections.abc import Mapping
from math import prod

import torch
from torch import Tensor

from frankenstein.errors import UserError
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


def check_same_labels(
    ours: Tensor,  # (N,)
    theirs: Tensor,  # (N,)
    sources: tuple[str, str],
) -> None:
    """Refuse rows whose labels are those of the other side in another order; warn of other labels.

    Raises:
        UserError: if they are.
    """
    differ = (ours != theirs).nonzero().flatten().tolist()
    if not differ:
        return
    if torch.equal(ours.sort().values, theirs.sort().values):
        raise UserError(
            f"labels of {sources[0]} are those of {sources[1]} in another order, and so are its "
            f"rows: row {differ[0]} is of class {ours[differ[0]]:g} here and {theirs[differ[0]]:g} "
            "there; save both in one order"
        )
    warnings.warn(
        f"labels of {sources[0]} and {sources[1]} differ in {len(differ):,} of {len(ours):,} rows: "
        "these are other examples, it seems, or their classes have other numbers",
        ActivationsWarning,
        stacklevel=4,
    )


def check_same_order(
    ours: Tensor,  # (N, ...)
    theirs: Tensor,  # (N, ...)
    sources: tuple[str, str],
) -> None:
    """Refuse a layer that has the rows of another, each to the last bit, in another order.

    Raises:
        UserError: if it does.
    """
    if ours.shape != theirs.shape or torch.equal(ours, theirs):
        return
    one, other = (sorted(row.numpy().tobytes() for row in z.contiguous()) for z in (ours, theirs))
    if one == other:
        raise UserError(
            f"{sources[0]} and {sources[1]} hold the same rows in another order; rows of both must "
            "be the same examples, in the same order"
        )


def tell_maps_and_vectors(ours: Shapes, theirs: Shapes, sources: tuple[str, str]) -> None:
    """Warn where one file has maps alone and the other vectors alone: what a row is must be chosen.

    The numbers of units often tell whether the vectors are maps that were flattened or averaged.
    """
    for (maps, vectors), (of_maps, of_vectors) in (
        ((ours, theirs), sources),
        ((theirs, ours), sources[::-1]),
    ):
        (first, shape), (other, flat) = next(iter(maps.items())), next(iter(vectors.items()))
        if {len(one) for one in maps.values()} != {4} or {len(z) for z in vectors.values()} != {2}:
            continue
        hint = "choose the flattening, per_sample (all places) or pooled (means over places)"
        if flat[1] == prod(shape[1:]):
            hint = "flattened ones, it seems; choose the flattening per_sample"
        elif flat[1] == shape[1]:
            hint = "their means over places, it seems; choose the flattening pooled"
        warnings.warn(
            f"{first!r} of {of_maps} holds maps {shape}, and {other!r} of {of_vectors} vectors "
            f"{flat}: {hint}",
            ActivationsWarning,
            stacklevel=4,
        )
