"""A bounded sample of the examples of all layers of two networks, their units side by side."""

from collections.abc import Callable, Mapping
from itertools import accumulate, pairwise

import torch
from torch import Tensor, distributed

from frankenstein.accumulators.reservoir import Reservoir
from frankenstein.errors import UserError
from frankenstein.shapes import Layers, layers_of, per_sample, where_float64_is


class LayerReservoir:
    """A uniform sample of at most `limit` examples of a pass, the first that are seen included.

    Whole examples are kept, in the shapes in which they came, unless there is a flattening. Memory
    is `limit` times the bytes of all layers of one row.
    """

    def __init__(
        self,
        limit: int = 500,
        inputs: bool = False,
        flatten: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        """Start empty; `inputs` says whether to keep what representations are made of, too."""
        self.examples = Reservoir(limit)
        self.with_inputs, self.flatten = inputs, flatten
        self._shapes: list[dict[str, torch.Size]] = [{}, {}]

    def update(self, xs: Layers, ys: Layers, inputs: Tensor | None = None) -> "LayerReservoir":
        """Add a batch of all layers; returns self.

        Raises:
            UserError: if layers have different numbers of rows.
        """
        sides = [{s: self._rows(z) for s, z in layers_of(side).items()} for side in (xs, ys)]
        if len({len(rows) for side in sides for rows in side.values()}) > 1:
            raise UserError(
                "layers have different numbers of rows an example; take pooled or per_sample"
                if self.flatten
                else "layers have different numbers of examples; use one loader for both"
            )
        self._shapes = [{s: rows.shape[1:] for s, rows in side.items()} for side in sides]
        x, y = (torch.cat([per_sample(rows) for rows in side.values()], 1) for side in sides)
        self.examples.update(x, y, inputs if self.with_inputs else None)
        return self

    def all_reduce(self) -> "LayerReservoir":
        """Become the sample of all processes together, on each of them; returns self."""
        if distributed.is_available() and distributed.is_initialized():
            everyone: list = [None] * distributed.get_world_size()
            distributed.all_gather_object(everyone, self._shapes)
            self._shapes = next((shapes for shapes in everyone if shapes[0]), self._shapes)
            self.examples.all_reduce()
        return self

    def __len__(self) -> int:
        return self.examples.n_kept

    @property
    def x(self) -> dict[str, Tensor]:
        """The first network's layers, each as it came, or its rows."""
        return _apart(self.examples.x, self._shapes[0])

    @property
    def y(self) -> dict[str, Tensor]:
        """The second network's layers, each as it came, or its rows."""
        return _apart(self.examples.y, self._shapes[1])

    @property
    def inputs(self) -> Tensor | None:  # (n, pixels)
        """What the kept examples are made of, if that is kept."""
        return self.examples.inputs if self.with_inputs else None

    def pair(self, row: str, column: str) -> Reservoir:
        """The examples of one layer with another.

        Raises:
            UserError: for NaN or Inf in a layer, which is named.
        """
        self.examples.check_some()
        of_x, of_y = map(_spans, self._shapes)
        pair = self.examples.of_units(of_x[row], of_y[column])
        for side, layer, name in (("x", row, "first"), ("y", column, "second")):
            if not pair.finite(side):
                raise UserError(f"NaN or Inf in the {name} representation, {layer!r}")
        return pair

    def _rows(self, z: Tensor) -> Tensor:
        """Half precision as float32: means over places are not to be rounded to it."""
        z = where_float64_is(z)
        z = z.float() if z.dtype in (torch.float16, torch.bfloat16) else z
        return self.flatten(z) if self.flatten else z


def kept_between(one: LayerReservoir, row: str, other: LayerReservoir, column: str) -> Reservoir:
    """The examples of the first network's layer in one reservoir with that in another.

    Reservoirs of one limit that have seen the same batches hold the same examples, in one order.

    Raises:
        UserError: for NaN or Inf in a layer, which is named.
    """
    both = []
    for kept, layer, name in ((one, row, "first"), (other, column, "second")):
        kept.examples.check_some()
        span = _spans(kept._shapes[0])[layer]
        some = kept.examples.of_units(span, slice(0))
        if not some.finite("x"):
            raise UserError(f"NaN or Inf in the {name} representation, {layer!r}")
        both.append(some)
    return both[0].beside(both[1])


def _spans(shapes: Mapping[str, torch.Size]) -> dict[str, slice]:
    edges = accumulate((shape.numel() for shape in shapes.values()), initial=0)
    return {s: slice(*edge) for s, edge in zip(shapes, pairwise(edges), strict=True)}


def _apart(rows: Tensor, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    return {s: rows[:, span].unflatten(1, shapes[s]) for s, span in _spans(shapes).items()}
