"""How sure every cell of layer x layer matrices is, from the examples that one pass has kept."""

from collections.abc import Callable, Mapping

from torch import Tensor

from frankenstein.catalog import MEASURES
from frankenstein.compare.all_pairs import all_pairs_cka, gram_stack
from frankenstein.compare.certainty import Certainty, Drawn, certainty
from frankenstein.compare.kept import Kept, Layers
from frankenstein.measures import LayerSimilarities
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

    Linear CKAs of whole examples come from Gram matrices that are made once, however many pairs
    and draws. All other measures are taken anew of every draw: name few layers.

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
    if measure in ("linear_cka", "unbiased_cka") and flattening != "per_location":
        flat = FLATTENINGS[flattening]
        x, y = (gram_stack([flat(z) for z in side.values()]) for side in (kept.x, kept.y))
        return all_pairs_cka(x, y, unbiased=measure == "unbiased_cka")
    xs, ys, inputs = kept.x, kept.y, kept.inputs

    def value(i: Tensor, j: Tensor) -> Tensor:  # (L, M)
        one = LayerSimilarities([measure], flattening, block=len(i), limit=len(i))
        one.update(_of(xs, i), _of(ys, j), None if inputs is None else inputs[i.to(inputs.device)])
        return one.values()[measure]

    return value


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
