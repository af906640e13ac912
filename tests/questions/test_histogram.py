import numpy as np
import pytest
import torch

from frankenstein.errors import UserError
from frankenstein.questions.streams import Histogram


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 3e4])
def test_counts_are_numpys_in_the_same_bins_however_the_range_grows(dtype, scale):
    generator = torch.Generator().manual_seed(0)
    batches = [
        scale * (i**3 * torch.randn(50, 3, generator=generator, dtype=dtype) - i) for i in range(6)
    ]
    histogram = Histogram(bins=64)
    for batch in batches:
        histogram.update(batch)
    counts, edges = (part.numpy() for part in histogram.result())
    values = torch.cat(batches).flatten().numpy()
    expected, _ = np.histogram(values.astype(np.float64), edges)
    np.testing.assert_array_equal(counts, expected)
    assert counts.sum() == values.size
    assert edges[0] <= values.min()
    assert values.max() < edges[-1]
    assert 20 <= len(counts) <= 64
    assert np.log2(np.diff(edges)).round() == pytest.approx(np.log2(np.diff(edges)))


def test_bins_do_not_depend_on_the_batches():
    values = torch.randn(90).relu() * 7
    whole, parts = Histogram(32).update(values), Histogram(32)
    for part in values.sort().values.split(7):
        parts.update(part)
    for one, other in zip(whole.result(), parts.result(), strict=True):
        assert torch.equal(one, other)


def test_a_constant_is_one_bin_around_it():
    for value in (0.0, 0.3, -5.0):
        counts, edges = Histogram().update(torch.full((4,), value)).update(torch.ones(0)).result()
        assert counts.tolist() == [4]
        assert edges[0] <= value < edges[1]


def test_nothing_and_what_is_not_finite_are_refused():
    with pytest.raises(UserError, match="a histogram needs at least one number, got none"):
        Histogram().result()
    for bad in (torch.nan, torch.inf):
        with pytest.raises(UserError, match="there are NaN or Inf among the numbers"):
            Histogram().update(torch.tensor([1.0, bad])).update(torch.ones(3)).result()
