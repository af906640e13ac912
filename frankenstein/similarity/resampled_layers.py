"""How sure every cell of layer x layer matrices is, from the examples that one pass has kept."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from time import perf_counter

from torch import Tensor

from frankenstein.accumulators.layer_reservoir import LayerReservoir, Layers
from frankenstein.accumulators.small_sample import rotate_to_span, whiten_rows
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError
from frankenstein.measures import LayerSimilarities, UndefinedSimilarityWarning
from frankenstein.measures.kernels import gaussian_gram, linear_gram, without_confounder
from frankenstein.measures.resampled_cka import all_pairs_cka, gram_stack, scaled_gram
from frankenstein.measures.resampled_knn import all_pairs_knn
from frankenstein.measures.resampled_rsa import all_pairs_rsa
from frankenstein.shapes import FLATTENINGS
from frankenstein.similarity.resampling import Certainty, Draw, Drawn, certainty, halves, shuffles


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


def _draws(kept: LayerReservoir, measure: str, flattening: str) -> Drawn:
    flat = FLATTENINGS[flattening]
    xs, ys, inputs = kept.x, kept.y, kept.inputs
    if flattening != "per_location":
        xs, ys = ({name: flat(z) for name, z in side.items()} for side in (xs, ys))
        if measure in _KERNELS:
            kernel, unbiased = _KERNELS[measure]
            x, y = (
                gram_stack([kernel(rows, inputs) for rows in side.values()]) for side in (xs, ys)
            )
            return all_pairs_cka(x, y, unbiased)
        if measure in _OF_DISTANCES:
            return _OF_DISTANCES[measure](xs.values(), ys.values())
        if "rotate" in MEASURES[measure].invariant_to:
            xs, ys = ({name: _turned(z) for name, z in side.items()} for side in (xs, ys))

    def value(i: Tensor, j: Tensor) -> Tensor:  # (L, M)
        one = LayerSimilarities([measure], flattening, block=len(i), limit=len(i))
        one.update(_of(xs, i), _of(ys, j), None if inputs is None else inputs[i.to(inputs.device)])
        return one.values()[measure]

    return value


def _seconds(
    value_of: Drawn, examples: int, counts: Mapping[Callable[..., Iterator[Draw]], int]
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


def _deconfounded(rows: Tensor, inputs: Tensor | None) -> Tensor:
    """What the inputs of all kept examples do not explain: each side without its own inputs."""
    assert inputs is not None
    return without_confounder(linear_gram(rows), linear_gram(inputs))


# Measures that are CKA with a kernel, and whether from the unbiased HSIC.
_KERNELS: dict[str, tuple[Callable[[Tensor, Tensor | None], Tensor], bool]] = {
    "linear_cka": (lambda rows, inputs: scaled_gram(rows), False),
    "unbiased_cka": (lambda rows, inputs: scaled_gram(rows), True),
    "rbf_cka": (lambda rows, inputs: gaussian_gram(rows), False),
    "unbiased_rbf_cka": (lambda rows, inputs: gaussian_gram(rows), True),
    "deconfounded_cka": (_deconfounded, False),
}


_OF_DISTANCES: dict[str, Callable[[Iterable[Tensor], Iterable[Tensor]], Drawn]] = {
    "mutual_knn": all_pairs_knn,
    "rsa_pearson": partial(all_pairs_rsa, ranked=False),
    "rsa_spearman": partial(all_pairs_rsa, ranked=True),
}


def _turned(rows: Tensor) -> Tensor:  # (N, min(N, D))
    """Rows in a basis of their span, unless they are of a lower rank, which rounding would hide."""
    few = rows.shape[1] > len(rows)
    return rotate_to_span(rows) if few and whiten_rows(rows).shape[1] >= len(rows) - 1 else rows


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
