"""Every solver over representations that real networks make and textbooks leave out."""

import math
import os

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frankenstein.accumulators.moments import Moments
from frankenstein.catalog import STITCHES
from frankenstein.errors import UserError

# Coordinate descent may not get to its tolerance where source units are dependent.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CASES = int(os.environ.get("FRANKENSTEIN_CASES", 120))  # tests/cases.py counts what comes of it
SHAPES = {"many rows": 40, "fewer rows than units": 3, "one row": 1}
SCALES = (1e-8, 1e-4, 1.0, 1e4, 1e8)
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@st.composite
def sides(draw):
    """A representation (N, 4) and one of the same examples, with what is wrong with them."""
    n = draw(st.sampled_from(list(SHAPES.values())))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    pair = []
    for _ in range(2):
        z = torch.randn(n, 4, generator=generator, dtype=torch.float64)
        kind = draw(
            st.sampled_from(["plain", "dead", "constant", "repeated", "dependent", "offset"])
        )
        if kind == "dead":
            z[:, draw(st.integers(0, 3))] = 0
        elif kind == "constant":
            z[:] = draw(st.sampled_from([0.0, 1.0, 0.1]))
        elif kind == "repeated":
            z = z[torch.zeros(n, dtype=torch.long)] if n < 10 else z[torch.arange(n) % 3]
        elif kind == "dependent":
            z[:, 3] = z[:, 0] - 2 * z[:, 1]
        elif kind == "offset":
            z = z + 1000
        dtype = draw(st.sampled_from(DTYPES))
        scale = draw(st.sampled_from(SCALES))
        pair.append((z * scale).to(dtype))
    return pair


AFFINE = [name for name, row in STITCHES.items() if row.affine]  # others are solved as affine is


def solved(family, x, y, moments=None):
    torch.manual_seed(0)
    size = (x.double().square().mean() * y.double().square().mean()).sqrt().item()
    l1 = 0.01 * size if math.isfinite(size) else 1.0  # of the size of what it is weighed against
    options = {"low_rank": {"rank": 2}, "sparse": {"l1": l1}, "matched": {"rule": "match"}}
    stitch = STITCHES[family](4, 4, **options.get(family, {})).double()
    return stitch.solve(moments or Moments().update(x, y))


def error(stitched, y):
    return (stitched - y).square().sum()


@settings(
    deadline=None, max_examples=CASES, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pair=sides())
def test_a_solver_finds_a_finite_map_or_says_why_not(pair):
    x, y = pair
    wrong = not (x.isfinite().all() and y.isfinite().all())  # 1e8 is Inf in float16
    moments = Moments().update(x, y)
    for family in AFFINE:
        if wrong:
            with pytest.raises(UserError, match=r"NaN or Inf in the (first|second) representation"):
                solved(family, x, y, moments)
            continue
        stitch = solved(family, x, y, moments)
        weight, bias = stitch.affine_map()
        assert weight.isfinite().all(), family
        assert bias is None or bias.isfinite().all(), family
        found = stitch(x.double())
        assert found.isfinite().all()
        if family in ("affine", "low_rank", "matched", "sparse"):
            # No worse than always saying the mean, which a member of the family does.
            least = error(y.double().mean(0), y.double())
            rounding = 1e-9 * error(torch.zeros(4), y.double())
            assert error(found, y.double()) <= least * (1 + 1e-6) + rounding, family


@settings(deadline=None, max_examples=30)
@given(
    pair=sides(),
    value=st.sampled_from([math.nan, math.inf, -math.inf]),
    side=st.integers(0, 1),
    place=st.integers(0, 3),
)
def test_what_is_not_finite_is_refused_by_every_solver(pair, value, side, place):
    pair = [z.float().nan_to_num(0, 1, 1) for z in pair]
    pair[side][-1, place] = value
    for family in AFFINE:
        with pytest.raises(UserError, match=r"NaN or Inf in the (first|second) representation"):
            solved(family, *pair)


def test_no_examples_are_refused_by_every_solver(family):
    nothing = torch.zeros(0, 4)
    with pytest.raises(UserError, match="no examples were given"):
        solved(family.name, nothing, nothing)


def test_one_example_gives_a_map_that_meets_it(family):
    x, y = torch.randn(1, 4).double(), torch.randn(1, 4).double()
    stitch = solved(family.name, x, y)
    if stitch.affine_map()[1] is not None:
        torch.testing.assert_close(stitch(x), y)
