"""Whatever comes: a value in its range, NaN with a warning, or an error; for every measure."""

import math
import os
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frankenstein.accumulators.classes import ByClass
from frankenstein.accumulators.folds import Folds
from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.reservoir import Reservoir
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError
from frankenstein.measures import UndefinedSimilarityWarning

# tests/cases.py counts what comes of it.
CASES = int(os.environ.get("FRANKENSTEIN_CASES", 60))
SETTINGS = settings(max_examples=CASES, deadline=None, derandomize=True, database=None)
KINDS = ("plain", "dead units", "repeated units", "rows of zeros", "constant", "nan", "inf")
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


@st.composite
def representations(draw, n, seed):
    """One of n examples: of any number of units, size, precision and kind."""
    d = draw(st.integers(1, 12))
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, d, dtype=torch.float64, generator=generator)
    kind = draw(st.sampled_from(KINDS))
    if kind == "dead units":
        z[:, draw(st.integers(0, d - 1)) :] = 0
    elif kind == "repeated units":
        z[:, -1] = z[:, 0]
    elif kind == "rows of zeros":
        z[: n // 3] = 0
    elif kind == "constant":
        z[:] = 0.1
    z = (z + draw(st.sampled_from([0, 0, 3]))) * 10.0 ** draw(st.integers(-8, 8))
    z = z.to(draw(st.sampled_from(DTYPES)))
    if kind in ("nan", "inf") and n:
        z[-1, -1] = float(kind)
    return z


@st.composite
def pairs(draw):
    """Two unrelated representations of the same examples, which may come again."""
    n = draw(st.sampled_from([0, 1, 2, 3, 5, 12, 20, 40]))
    seed = draw(st.integers(0, 10_000))
    x, y = (draw(representations(n, 2 * seed + i)) for i in range(2))
    repeats = draw(st.sampled_from([1, 1, 2, 3]))
    return x.repeat(repeats, 1), y.repeat(repeats, 1)


@pytest.fixture(scope="session")
def outcomes(inputs_of, labels_of):
    """Each measure's value, NaN that a warning has told of, or the text of its error."""

    def measures(x, y, names=tuple(MEASURES)):
        examples = Reservoir(limit=max(1, len(x))).update(x, y, inputs_of(len(x)))
        kept = {"moments": Moments().update(x, y), "folds": Folds().update(x, y)}
        kept["classes"] = ByClass().update(x, y, labels_of(len(x)))
        return {name: one(name, kept.get(MEASURES[name].needs, examples)) for name in names}

    def one(name, kept):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                kept = kept.frozen() if isinstance(kept, ByClass) else kept
                found = MEASURES[name](kept).item()
            except UserError as error:
                return str(error)
        assert all(one.category is UndefinedSimilarityWarning for one in told)
        assert len(told) == math.isnan(found), name
        return found

    return measures


def varies(z):
    return bool((z != z[0]).any())


def expected_error(name, x, y):
    if len(x) == 0:
        return "no examples were given"
    called = [name for name, z in (("first", x), ("second", y)) if not z.isfinite().all()]
    if called:  # of both, sums of classes name that whose class comes first
        which = called[0] if len(called) == 1 or "within_class" not in name else ""
        return f"NaN or Inf in the {which}"
    if name in ("unit_correlation", "mean_squared_distance") and x.shape != y.shape:
        return "unit i must have its like"
    return None


@SETTINGS
@given(case=pairs())
def test_whatever_comes_every_measure_gives_what_it_says(case, outcomes):
    x, y = case
    for name, found in outcomes(x, y).items():
        if error := expected_error(name, x, y):
            assert isinstance(found, str), name
            assert error in found, name
            continue
        assert not isinstance(found, str), (name, found)
        low, high = MEASURES[name].range
        assert math.isnan(found) or low - 1e-9 <= found <= high + 1e-9, name
        if name != "mean_squared_distance" and (len(x) < 3 or not varies(x) or not varies(y)):
            assert math.isnan(found), name
        # With fewer distinct examples than directions, one explains the other by chance.
        distinct = len(torch.cat([x.double(), y.double()], 1).unique(dim=0))
        if distinct > 2 + x.shape[1] + y.shape[1] and distinct >= 12:
            check_unrelated(name, x, y, found)


@SETTINGS
@given(case=pairs())
def test_whatever_comes_is_as_like_another_as_that_is_like_it(case, outcomes):
    x, y = case
    if len(x) and x.isfinite().all() and y.isfinite().all():
        symmetric = [name for name, row in MEASURES.items() if row.symmetric]
        forth, back = outcomes(x, y, symmetric), outcomes(y, x, symmetric)
        for name in symmetric:
            if not isinstance(forth[name], str):
                close = pytest.approx(forth[name], rel=1e-9, abs=1e-9, nan_ok=True)
                assert back[name] == close, name


@SETTINGS
@given(case=pairs())
def test_whatever_comes_is_perfectly_like_itself_or_undefined(case, outcomes):
    x, *_ = case
    if len(x) and x.isfinite().all():
        for name, found in outcomes(x, x).items():
            check_itself(name, x, found)


def check_unrelated(name, x, y, found):
    if "scale" not in MEASURES[name].invariant_to:
        assert math.isnan(found) or found > 0 or torch.equal(x, y)
    else:
        perfect = MEASURES[name].perfect
        assert math.isnan(found) or perfect is None or abs(found - perfect) > 1e-6, name


def check_itself(name, x, found):
    assert not isinstance(found, str), name
    if MEASURES[name].needs == "folds":  # what is left out may vary as nothing else does
        assert not found > 1
        return
    if MEASURES[name].perfect is None:
        return
    rounding = 1e-9 * max(1, x.double().square().mean())
    assert math.isnan(found) or abs(found - MEASURES[name].perfect) < rounding, name
    if len(x) > 3 and varies(x) and name in ("linear_cka", "procrustes_similarity"):
        assert not math.isnan(found), name
