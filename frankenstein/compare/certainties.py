"""How sure every cell of layer x layer matrices is, from the examples that one pass has kept."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from frankenstein.catalog import MEASURES
from frankenstein.compare.all_pairs import all_pairs_cka, gram_stack, scaled_gram
from frankenstein.compare.certainty import Certainty, Drawn, certainty
from frankenstein.compare.kept import Kept, Layers
from frankenstein.measures import LayerSimilarities
from frankenstein.measures.dissimilarities import squared_distances
from frankenstein.measures.kernels import linear_gram, without_confounder
from frankenstein.shapes import FLATTENINGS


def certainties(
    kept: Kept,
    flattenings: Mapping[str, str],  # {measure: flattening}
    bootstrap: int = 0,
    permutations: int = 0,
    seed: int = 0,
    after: Callable[[], object] | None = None,  # called after every draw, as by a progress bar
) -> dict[str, Certainty]:  # tensors (L, M), rows and columns as kept
    """Intervals and nulls of every measure, each from the same draws of whole examples.

    CKAs of whole examples come from kernel matrices that are made once, however many pairs and
    draws; the width of a Gaussian and what the inputs explain are those of all kept examples. Other
    measures are taken anew of every draw: name few layers.

    Raises:
        UserError: if draws are too few for an interval.
    """
    return {
        name: certainty(
            _followed(_draws(kept, name, flattening), after),
            len(kept),
            bootstrap,
            permutations,
            seed=seed,
            larger_is_closer=MEASURES[name].perfect != MEASURES[name].range[0],
            limits=MEASURES[name].range,
        )
        for name, flattening in flattenings.items()
    }


def _draws(kept: Kept, measure: str, flattening: str) -> Drawn:
    flat = FLATTENINGS[flattening]
    if measure in _KERNELS and flattening != "per_location":
        kernel, unbiased = _KERNELS[measure]
        x, y = (
            gram_stack([kernel(flat(z), kept.inputs) for z in side.values()])
            for side in (kept.x, kept.y)
        )
        return all_pairs_cka(x, y, unbiased)
    xs, ys, inputs = kept.x, kept.y, kept.inputs
    if flattening == "per_sample" and "rotate" in MEASURES[measure].invariant_to:
        xs, ys = ({name: _turned(flat(z)) for name, z in side.items()} for side in (xs, ys))

    def value(i: Tensor, j: Tensor) -> Tensor:  # (L, M)
        one = LayerSimilarities([measure], flattening, block=len(i), limit=len(i))
        one.update(_of(xs, i), _of(ys, j), None if inputs is None else inputs[i.to(inputs.device)])
        return one.values()[measure]

    return value


def _gaussian(rows: Tensor, inputs: Tensor | None) -> Tensor:
    """As in `rbf_cka`, as wide as the median distance of all kept examples; NaN if that is 0."""
    distances = squared_distances(rows)
    values = distances.flatten()
    median = (values.median() - (-values).median()) / 2  # of an even number both in the middle
    return torch.exp(-distances / (2 * median))


def _deconfounded(rows: Tensor, inputs: Tensor | None) -> Tensor:
    """What the inputs of all kept examples do not explain: each side without its own inputs."""
    assert inputs is not None
    return without_confounder(linear_gram(rows), linear_gram(inputs))


# Measures that are CKA with a kernel, and whether from the unbiased HSIC.
_KERNELS: dict[str, tuple[Callable[[Tensor, Tensor | None], Tensor], bool]] = {
    "linear_cka": (lambda rows, inputs: scaled_gram(rows), False),
    "unbiased_cka": (lambda rows, inputs: scaled_gram(rows), True),
    "rbf_cka": (_gaussian, False),
    "unbiased_rbf_cka": (_gaussian, True),
    "deconfounded_cka": (_deconfounded, False),
}


def _turned(rows: Tensor) -> Tensor:  # (N, min(N, D))
    """The same rows in a basis of their span: as many units as examples will do."""
    return torch.linalg.qr(rows.double().T, mode="r").R.T if rows.shape[1] > len(rows) else rows


def _of(layers: Layers, index: Tensor) -> Layers:
    return {name: z[index.to(z.device)] for name, z in layers.items()}


def _followed(value_of: Drawn, after: Callable[[], object] | None) -> Drawn:
    if after is None:
        return value_of

    def value(i: Tensor, j: Tensor) -> Tensor:
        found = value_of(i, j)
        after()
        return found

    return value
