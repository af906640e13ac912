"""How sure a similarity is: its spread over examples, and what shuffled examples would give."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor

from frankenstein.accumulators.layer_reservoir import LayerReservoir, Layers
from frankenstein.accumulators.small_sample import rotate_to_span, whiten_rows
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError
from frankenstein.measures.draws import Draw, ValueOfDraw, halves, shuffles
from frankenstein.measures.layer_similarities import LayerSimilarities
from frankenstein.measures.undefined import UndefinedSimilarityWarning
from frankenstein.shapes import FLATTENINGS


@dataclass(frozen=True)
class Certainty:
    """What is known of a value besides itself; a tensor has the value's shape, NaN if undefined.

    The interval is for what the measure gives on average on so many examples. How far a biased
    measure is from its limit is not in it: the null's mean shows that.
    """

    value: Tensor  # of these examples
    examples: int
    low: Tensor | None = None  # ends of the interval; None if no halves were drawn
    high: Tensor | None = None
    null_mean: Tensor | None = None  # over shuffled examples; None if none were shuffled
    p_value: Tensor | None = None  # share of shuffles at least as alike, this one counted
    family_p: Tensor | None = None  # likewise, of shuffles whose likest value is as alike
    calibrated: Tensor | None = None  # 0: family_p is above 0.05; 1: perfect


@torch.no_grad()
def certainty(
    value_of: ValueOfDraw,
    examples: int,
    bootstrap: int = 0,
    permutations: int = 0,
    *,
    seed: int = 0,
    confidence: float = 0.95,
    larger_is_closer: bool | Tensor = True,
    perfect: float | Tensor = 1.0,
    limits: tuple[float, float] | tuple[Tensor, Tensor] = (-math.inf, math.inf),
) -> Certainty:
    """A confidence interval from `bootstrap` halves of the examples, a null from `permutations`.

    `value_of(i, j)` measures x[i] against y[j], whole examples: see `of_examples` and
    `resampled_cka`. Options may differ from value to value: tensors that broadcast.

    Each bootstrap draw is half of the examples, none twice: an example counts 0 or 2 times. The
    spread of such halves is that of the whole, as with draws with replacement; but an example
    drawn twice is perfectly like itself, which pulls unbiased CKA, neighbours and correlations of
    distances upwards. The interval holds the percentiles of the draws, moved so that the draws'
    mean is the value (half the examples have more bias), and cut at `limits`. Near 0 the
    interval of an unbiased measure is too wide rather than too narrow.

    The null pairs each x with the y of another, random example. p is (1 + count) / (1 + shuffles),
    so that it is never 0; small means: unrelated representations would hardly be as alike.

    Many values of the same examples fall together, so that one of them is small by chance more
    often than its p says. `family_p` is held against the likest of all values in each shuffle: of
    unrelated pairs of networks at most 5 % have any value with a `family_p` of 0.05 or less.
    `calibrated` is max(0, (s - t) / (perfect - t)), where t is the 95 % order statistic of these;
    above 0 where `family_p` is 0.05 or less. It is NaN for fewer than 19 shuffles, and
    where `perfect` is.

    Source: Præstgaard & Wellner 1993, https://doi.org/10.1214/aop/1176989011, on bootstraps whose
    counts are exchangeable, as 0 or 2 for halves are; Booth & Hall 1993,
    https://doi.org/10.1214/aos/1176349268, on a jackknife that leaves out a share of the
    examples (after Wu 1990); Phipson & Smyth 2010, https://doi.org/10.2202/1544-6115.1585, for p;
    Westfall & Young 1993, section 2.3, for the largest of all; Gröger, Wen & Brbić 2026,
    https://arxiv.org/abs/2602.14486, for the calibrated score.

    Raises:
        UserError: if halves are too few for the ends of the interval, or examples are; for a
            negative number of draws, or a confidence that is no share.
    """
    if examples < 2:
        raise UserError(f"certainty needs at least 2 examples, got {examples}")
    if min(bootstrap, permutations) < 0:
        raise UserError(f"draws are counted from 0 on, got {bootstrap} and {permutations}")
    if not 0 < confidence < 1:
        raise UserError(f"the confidence is a share, such as 0.95, got {confidence:g}")
    tail = (1 - confidence) / 2
    if 0 < bootstrap < (least := math.ceil(round(1 / tail, 9)) - 1):
        raise UserError(f"the ends of {confidence:.0%} need {least} draws or more, got {bootstrap}")
    everyone = torch.arange(examples)
    value = _values(value_of, iter([(everyone, everyone)]))[0]
    low = high = null_mean = p_value = family_p = calibrated = None
    if bootstrap:
        draws = _values(value_of, halves(examples, bootstrap, seed))
        moved = draws + (value - draws.mean(0))
        place = max(1, math.floor(round(tail * (bootstrap + 1), 9)))
        low, high = (
            _unless_nan(moved.kthvalue(k, dim=0).values, draws).clamp(*limits)
            for k in (place, bootstrap + 1 - place)
        )
        _warn(draws, value, f"interval: among the halves of {examples // 2} examples")
    if permutations:
        null = _values(value_of, shuffles(examples, permutations, seed))
        null_mean = null.mean(0)
        sign = 2 * torch.as_tensor(larger_is_closer).double() - 1
        close = _as_close(sign * null, sign * value)
        p_value = _unless_nan((1 + close.sum(0)).double() / (1 + permutations), null)
        p_value = torch.where(value.isnan(), torch.nan, p_value)
        family_p, calibrated = _family(sign * null, sign * value, sign * perfect)
        _warn(null, value, "null: among the shuffles")
    return Certainty(value, examples, low, high, null_mean, p_value, family_p, calibrated)


def _as_close(null: Tensor, value: Tensor) -> Tensor:
    """Sums in another order differ in their last digits (of float32 perhaps), and a tie counts."""
    return null >= value - 1e-6 * value.abs()


def _family(
    null: Tensor,  # (shuffles, ...), larger is closer, as everywhere here
    value: Tensor,  # (...)
    perfect: float | Tensor,
) -> tuple[Tensor, Tensor]:
    """Each value's p against the largest of all in a shuffle, and its calibrated score."""
    known = ~(value.isnan() | null.isnan().any(0))
    if not known.any():
        return torch.full_like(value, torch.nan), torch.full_like(value, torch.nan)
    largest = null[:, known].reshape(len(null), -1).amax(1).sort().values
    close = _as_close(largest.reshape(-1, *[1] * value.ndim), value)
    p = (1 + close.sum(0)).double() / (1 + len(null))
    rank = math.ceil(round(0.95 * (len(null) + 1), 9))
    least = largest[rank - 1] if rank <= len(null) else value.new_tensor(torch.nan)
    room = torch.as_tensor(perfect - least)  # NaN where nothing is perfect
    calibrated = torch.where(p > 0.05, 0.0, (value - least) / room)
    calibrated = torch.where(room.isnan(), torch.nan, calibrated.clamp(min=0))
    return torch.where(known, p, torch.nan), torch.where(known, calibrated, torch.nan)


def _values(value_of: ValueOfDraw, draws: Iterator[Draw]) -> Tensor:  # (draws, ...)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedSimilarityWarning)  # `_warn` says it once
        return torch.stack([value_of(i, j).double() for i, j in draws])


def _unless_nan(result: Tensor, draws: Tensor) -> Tensor:
    return torch.where(draws.isnan().any(0), torch.nan, result)


def _warn(draws: Tensor, value: Tensor, where: str) -> None:
    """Warn of draws that are NaN where the value is not; the measure itself warns of the value."""
    lost = (draws.isnan() & ~value.isnan()).reshape(len(draws), -1).any(1).sum()
    if lost:
        warnings.warn(
            f"no {where} {int(lost)} of {len(draws)} have no value; keep more examples",
            UndefinedSimilarityWarning,
            stacklevel=3,
        )


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
    if by_class := [name for name in given if MEASURES[name].needs == "classes"]:
        raise UserError(
            f"{by_class[0]} has no intervals and no null: draws keep no labels; leave it out of a "
            "comparison with draws"
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
            perfect=math.nan if (one := MEASURES[name].perfect) is None else one,
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
