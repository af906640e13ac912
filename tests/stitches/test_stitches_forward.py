import pytest
import torch

from frankenstein.catalog import STITCHES
from frankenstein.errors import UserError
from frankenstein.shapes import ShapeError, per_location
from frankenstein.stitches import Affine, Identity, LowRank, Orthogonal, Permutation, Sparse, Stitch

D = 6
SHAPES = {"vectors": (4, D), "tokens": (4, 5, D), "maps": (4, D, 3, 2)}


@pytest.mark.parametrize("kind", SHAPES)
def test_every_place_is_stitched_alike_by_the_affine_map(family, kind):
    stitch, z = family(D, D), torch.randn(SHAPES[kind], dtype=torch.float64)
    weight, bias = stitch.affine_map()
    expected = per_location(z) @ weight.to(z).T + (0 if bias is None else bias)
    found = stitch(z)
    assert found.shape == z.shape
    torch.testing.assert_close(per_location(found), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(per_location(found), stitch(per_location(z)), rtol=0, atol=1e-12)


def test_identity_returns_its_input():
    z = torch.randn(2, D)
    assert Identity(D, D)(z) is z


def test_a_permutation_moves_units_bit_for_bit():
    stitch, z = Permutation(D, 4), torch.randn(2, D, 3, 3)
    assert torch.equal(stitch(z), z[:, stitch.order])
    assert len(set(stitch.order.tolist())) == 4


@pytest.mark.parametrize(
    "stitch", [Affine(D, 3), LowRank(D, 3, 2), Sparse(D, 3, 0.1), Permutation(D, 3)]
)
def test_the_numbers_of_units_may_differ(stitch):
    assert stitch(torch.zeros(2, D)).shape == (2, 3)
    assert stitch(torch.zeros(2, D, 5, 5)).shape == (2, 3, 5, 5)
    assert stitch.affine_map()[0].shape == (3, D)


def test_low_rank_maps_have_that_rank():
    assert torch.linalg.matrix_rank(LowRank(D, 5, 3).affine_map()[0]) == 3


def test_families_with_a_gradient_to_follow_are_those_that_have_parameters(any_family):
    assert bool(list(any_family(D, D).parameters())) == STITCHES[any_family.name].trainable


def test_representations_of_other_units_are_refused(any_family):
    stitch = any_family(D, D)
    with pytest.raises(ShapeError, match=r"takes 6 units, got a representation of shape \(2, 5\)"):
        stitch(torch.zeros(2, 5))
    with pytest.raises(ShapeError, match=r"takes 6 units, got .* \(2, 5, 6, 6\); cut at the layer"):
        stitch(torch.zeros(2, 5, 6, 6))


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Identity(3, 4), ShapeError, "an identity stitch needs as many .* got 3 and 4"),
        (lambda: Orthogonal(4, 3), ShapeError, "an orthogonal stitch .*; use affine or low_rank"),
        (lambda: Permutation(3, 4), ShapeError, "got 3 for 4; swap sender and receiver"),
        (lambda: LowRank(3, 4, 0), UserError, "from 3 to 4 units has a rank of 1 to 3, got 0"),
        (lambda: LowRank(3, 4, 4), UserError, "has a rank of 1 to 3, got 4"),
        (lambda: Sparse(3, 4, -0.1), UserError, r"l1 penalty is a number from 0 .*, got -0\.1"),
        (lambda: Sparse(3, 4, float("nan")), UserError, "got nan"),
        (lambda: Sparse(3, 4, float("inf")), UserError, "got inf"),
    ],
)
def test_what_a_family_cannot_be_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_a_family_that_is_not_finished_says_so():
    class Half(Stitch):
        pass

    with pytest.raises(NotImplementedError, match="Half does not say what its map is"):
        Half(2, 2)(torch.zeros(1, 2))
