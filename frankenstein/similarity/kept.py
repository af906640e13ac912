"""Whole representations of some examples, of all layers of two networks: what is drawn from."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from frankenstein.accumulators.reservoir import Examples
from frankenstein.shapes import layers_of, per_sample
from frankenstein.surgery.read import Wanted, reading

Layers = Mapping[str, Tensor]  # {layer: (N, ...)}, the same examples


class Kept:
    """A uniform sample of at most `limit` examples of a pass, the first that are seen included.

    Memory: `limit` times the bytes of all layers of one example; `bytes_of_one` tells.
    """

    def __init__(self, limit: int = 500, inputs: bool = False) -> None:
        """Start empty; `inputs` says whether to keep what representations are made of, too."""
        self.examples = Examples(limit)
        self.with_inputs = inputs
        self._shapes: list[dict[str, torch.Size]] = [{}, {}]

    def update(self, xs: Layers, ys: Layers, inputs: Tensor | None = None) -> "Kept":
        """Add a batch of all layers; returns self."""
        sides = [{s: _whole(z) for s, z in layers_of(side).items()} for side in (xs, ys)]
        self._shapes = [{name: z.shape[1:] for name, z in side.items()} for side in sides]
        x, y = (torch.cat([per_sample(z) for z in side.values()], 1) for side in sides)
        self.examples.update(x, y, inputs if self.with_inputs else None)
        return self

    def __len__(self) -> int:
        return self.examples.n_kept

    @property
    def x(self) -> dict[str, Tensor]:
        """The first network's layers, each as it came."""
        return _apart(self.examples.x, self._shapes[0])

    @property
    def y(self) -> dict[str, Tensor]:
        """The second network's layers, each as it came."""
        return _apart(self.examples.y, self._shapes[1])

    @property
    def inputs(self) -> Tensor | None:  # (n, pixels)
        """What the kept examples are made of, if that is kept."""
        return self.examples.inputs if self.with_inputs else None


def bytes_of_one(network: nn.Module, layers: Wanted | None = None) -> int:
    """What one example's layers take, in float32, from a look at two black images."""
    shape = tuple(network.input_shape)  # type: ignore[arg-type]
    with reading(network, layers) as read:
        return sum(4 * z[0].numel() for z in read(torch.zeros(2, *shape)).values())


def _whole(z: Tensor) -> Tensor:
    return z.float() if z.dtype in (torch.float16, torch.bfloat16) else z


def _apart(rows: Tensor, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    parts = rows.split([shape.numel() for shape in shapes.values()], dim=1)
    return {
        name: part.unflatten(1, shape)
        for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }
