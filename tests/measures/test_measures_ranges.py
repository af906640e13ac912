import pytest
import torch

from frankenstein.catalog import MEASURES
from frankenstein.measures import rank_similarity
from frankenstein.measures.cka import (
    gram_stack,
    resampled_angular_cka,
    resampled_cka,
    scaled_gram,
)
from frankenstein.measures.undefined import in_range


def test_what_rounding_takes_out_of_a_range_is_put_at_its_end_and_errors_are_left():
    values = torch.tensor([1 + 1e-13, 1.001, -1e-13, -0.001, 0.5, torch.nan], dtype=torch.float64)
    expected = torch.tensor([1.0, 1.001, 0.0, -0.001, 0.5, torch.nan], dtype=torch.float64)
    assert torch.equal(in_range(values).nan_to_num(7), expected.nan_to_num(7))


@pytest.mark.filterwarnings("ignore::frankenstein.measures.UndefinedSimilarityWarning")
@pytest.mark.parametrize("name", MEASURES)
def test_no_measure_of_a_representation_with_itself_leaves_its_range(name, labels_of):
    low, high = MEASURES[name].range
    draw = torch.Generator().manual_seed(0)
    times = 1 if MEASURES[name].needs == "folds" else 5
    for n, d in [(12, 3), (30, 7), (60, 20), (40, 5)] * times:
        z = torch.randn(n, d, generator=draw, dtype=torch.float64) * 10.0 ** (d - 8) + d
        for other in (z, 2 * z + 1, -z):
            more = {"inputs": [z.cos()], "classes": [labels_of(n)]}.get(MEASURES[name].needs, [])
            value = MEASURES[name](z, other, *more)
            assert value.isnan() or low <= value <= high
            assert value.isnan() or high > 1 or value.arccos().isfinite()


def test_equal_ranks_add_up_to_1_and_no_more():
    for seed in (17, 109, 121):  # whose sums in another order are 1 + 2e-16
        draw = torch.Generator().manual_seed(seed)
        z = torch.randn(40, 2, generator=draw, dtype=torch.float64).relu()
        assert rank_similarity(z, z) == 1


def test_a_representation_is_at_no_angle_from_itself_in_any_draw():
    draw = torch.Generator().manual_seed(0)
    for d in (3, 10, 50):
        z = torch.randn(100, d, generator=draw)
        half = torch.randperm(100, generator=draw)[:50]
        for rows in (torch.arange(100), half):
            assert resampled_angular_cka([z], [z])(rows, rows) == 0


def test_no_draw_of_a_representation_with_itself_leaves_its_range():
    for unbiased in (False, True):
        for dtype in (torch.float32, torch.float64):
            stack = gram_stack([scaled_gram(torch.randn(30, d)) for d in (2, 5, 9)], dtype)
            half = torch.randperm(30)[:15]
            values = resampled_cka(stack, stack, unbiased)(half, half)
            assert values.max() <= 1
