import pytest
import torch

from frankenstein.shapes import (
    ShapeError,
    Tokens,
    num_units,
    per_location,
    per_sample,
    pooled,
    same_examples,
    same_tokens,
)

MAP = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
TOKENS = torch.arange(2 * 7 * 3.0).reshape(2, 7, 3)
VECTORS = torch.arange(6.0).reshape(2, 3)


def test_a_row_per_location_is_what_one_place_of_the_map_holds():
    rows = per_location(MAP)
    assert rows.shape == (2 * 4 * 5, 3)
    assert torch.equal(rows[1 * 20 + 2 * 5 + 3], MAP[1, :, 2, 3])
    assert torch.equal(per_location(TOKENS)[7 + 4], TOKENS[1, 4])


def test_a_row_per_sample_holds_every_number_of_that_example():
    for z in (MAP, TOKENS, VECTORS):
        assert torch.equal(per_sample(z)[1], z[1].flatten())


def test_pooling_is_the_mean_of_the_rows_per_location():
    for z in (MAP, TOKENS, VECTORS):
        torch.testing.assert_close(pooled(z), per_location(z).reshape(2, -1, 3).mean(1))


def test_vectors_are_their_own_rows():
    for flatten in (per_sample, per_location, pooled):
        assert torch.equal(flatten(VECTORS), VECTORS)


def test_units_are_channels_of_maps_and_the_last_axis_of_the_rest():
    assert [num_units(z.shape) for z in (MAP, TOKENS, VECTORS)] == [3, 3, 3]


@pytest.mark.parametrize("flatten", [per_sample, per_location, pooled])
def test_a_single_example_is_refused(flatten):
    with pytest.raises(ShapeError, match=r"got shape \(5,\); a single example needs z\[None\]"):
        flatten(torch.zeros(5))


def test_different_numbers_of_examples_are_refused():
    with pytest.raises(ShapeError, match="got 3 and 4 rows; use one loader for both"):
        same_examples(torch.zeros(3, 2), torch.zeros(4, 2))


def test_the_same_tokens_may_be_padded_further_in_one_of_two():
    there = torch.tensor([[True, True, False], [True, True, True]])
    x = Tokens(torch.randn(2, 3, 4), there)
    wider = [
        torch.nn.functional.pad(z, pad) for z, pad in ((x.values, (0, 0, 0, 2)), (there, (0, 2)))
    ]
    same_tokens(x, Tokens(*wider))
    wider[1][0, 4] = True
    with pytest.raises(ShapeError, match="other numbers of tokens"):
        same_tokens(Tokens(*wider), x)
