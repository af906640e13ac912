"""How sure every cell of layer x layer matrices is, from the examples that one pass has kept."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import perf_counter

from torch import Tensor

from frankenstein.accumulators.layer_reservoir import LayerReservoir, Layers
from frankenstein.accumulators.small_sample import rotate_to_span, whiten_rows
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError
from frankenstein.measures.draws import Draw, ValueOfDraw, halves, shuffles
from frankenstein.measures.layer_similarities import LayerSimilarities
from frankenstein.measures.undefined import UndefinedSimilarityWarning
from frankenstein.shapes import FLATTENINGS
from frankenstein.similarity.resampling import Certainty, certainty


def certainties(
    kept: LayerReservoir,
    measures: Sequence[str] | Mapping[str, str],  # names, or {name: flattening}
    bootstrap: int = 0,
    permutations: int = 0,
    seed: int = 0,
    before: Callable[[dict[str, float]], object] | None = None,  # of the seconds it will take
    after: Callable[[], object] | None = None,  # called after every draw, as by a progress bar
) -> dict[str, Certainty]:  # tensors (L, M), rows and columns as kept
    """Intervals and nulls of every measure, each from the same draws of whole examples.

    Of whole examples CKAs come from kernel matrices, RSA and neighbours from distances, which are
    made once, however many pairs and draws; the width of a Gaussian and what the inputs explain
    are those of all kept examples. Measures of sums are taken anew of every draw: sums by one
    product for all pairs, and each layer whitened once. `before` is told how long each will take,
    by one draw of each kind. Unless one is named, each measure flattens as `LayerSimilarities`
    says.

    Raises:
        UserError: if draws are too few for an interval; for an unknown measure, or a flattening
            that makes no sense of one; if a measure needs inputs that were not kept.
    """
    names = [measures] if isinstance(measures, str) else measures
    given = names if isinstance(names, Mapping) else dict.fromkeys(names)
    flattenings = {name: LayerSimilarities([name], given[name]).flattenings[name] for name in given}
    if kept.inputs is None and (needy := [m for m in given if MEASURES[m].needs == "inputs"]):
        raise UserError(
            f"{needy[0]} needs the inputs: LayerReservoir(inputs=True).update(xs, ys, inputs)"
        )
    draws = {name: _draws(kept, name, flattening) for name, flattening in flattenings.items()}
    if before is not None:
        counts = {halves: bootstrap, shuffles: permutations}
        before({name: _seconds(draw, len(kept), counts) for name, draw in draws.items()})
    return {
        name: certainty(
            _followed(draw, after),
            len(kept),
            bootstrap,
            permutations,
            seed=seed,
            larger_is_closer=MEASURES[name].perfect != MEASURES[name].range[0],
            limits=MEASURES[name].range,
        )
        for name, draw in draws.items()
    }


def _draws(kept: LayerReservoir, measure: str, flattening: str) -> ValueOfDraw:
    flat = FLATTENINGS[flattening]
    xs, ys, inputs = kept.x, kept.y, kept.inputs
    if flattening != "per_location":
        xs, ys = ({name: flat(z) for name, z in side.items()} for side in (xs, ys))
        if resampled := MEASURES[measure].resampled:
            return resampled(xs.values(), ys.values(), inputs)
        if "rotate" in MEASURES[measure].invariant_to:
            xs, ys = ({name: _rotated(z) for name, z in side.items()} for side in (xs, ys))

    def value(i: Tensor, j: Tensor) -> Tensor:  # (L, M)
        one = LayerSimilarities([measure], flattening, block=len(i), limit=len(i))
        one.update(_of(xs, i), _of(ys, j), None if inputs is None else inputs[i.to(inputs.device)])
        return one.values()[measure]

    return value


def _seconds(
    value_of: ValueOfDraw, examples: int, counts: Mapping[Callable[..., Iterator[Draw]], int]
) -> float:
    """How long so many draws will take, from one of each kind."""
    total = 0.0
    for kind, count in counts.items():
        for i, j in kind(examples, min(count, 1)):
            began = perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UndefinedSimilarityWarning)
                float(value_of(i, j).sum())  # waits for a GPU
            total += count * (perf_counter() - began)
    return total


def _rotated(rows: Tensor) -> Tensor:  # (N, min(N, D))
    """Rows in a basis of their span, unless they are of a lower rank, which rounding would hide."""
    few = rows.shape[1] > len(rows)
    return rotate_to_span(rows) if few and whiten_rows(rows).shape[1] >= len(rows) - 1 else rows


def _of(layers: Layers, index: Tensor) -> Layers:
    return {name: z[index.to(z.device)] for name, z in layers.items()}


def _followed(value_of: ValueOfDraw, after: Callable[[], object] | None) -> ValueOfDraw:
    if after is None:
        return value_of

    def value(i: Tensor, j: Tensor) -> Tensor:
        result = value_of(i, j)
        after()
        return result

    return value
