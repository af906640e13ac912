import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from frankenstein.accumulators.moments import Moments
from frankenstein.shapes import ShapeError, Tokens
from frankenstein.stitches import MLP, Affine, BatchNormed, Conv3x3, load_stitch, save_stitch
from frankenstein.stitches.put_right import match_spread
from frankenstein.stitching.recipe import Solving


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def by_hand(stitch, x, eps=1e-5):
    """BatchNorm, matrix, BatchNorm over all rows (N, D), in NumPy, from the batch alone."""
    x, weight = x.numpy(), stitch.weight.detach().numpy()
    x = (x - x.mean(0)) / np.sqrt(x.var(0) + eps)
    y = x @ weight.T
    y = (y - y.mean(0)) / np.sqrt(y.var(0) + eps)
    return y * stitch.after.weight.detach().numpy() + stitch.after.bias.detach().numpy()


@pytest.mark.parametrize("shape", [(40, 3), (8, 5, 3), (8, 3, 4, 2)])
def test_batchnorm_is_that_of_the_batch_in_training(shape):
    stitch = BatchNormed(3, 5).double().train()
    stitch.after.weight.data.copy_(normal(5))
    z = 0.004 * normal(*shape) + 7
    rows = z.movedim(1, -1) if len(shape) == 4 else z
    found = stitch(z)
    found = found.movedim(1, -1) if len(shape) == 4 else found
    expected = by_hand(stitch, rows.reshape(-1, 3))
    np.testing.assert_allclose(found.detach().reshape(-1, 5), expected, atol=1e-10)


@pytest.mark.parametrize(
    ("dtype", "scales", "bound"),
    [(torch.float32, [0.3, 1, 3, 1], 2e-6), (torch.float64, [0.004, 1, 30, 0], 1e-11)],
)
def test_batchnorm_folded_is_what_it_was(dtype, scales, bound):
    def batch(n):
        return torch.randn(n, 4, dtype=dtype) * torch.tensor(scales).to(dtype) + 0.5

    stitch, z = BatchNormed(4, 6).to(dtype).train(), batch(20)
    for _ in range(50):
        stitch(batch(64))
    unfolded = stitch.eval().after(stitch.before(z) @ stitch.weight.T)
    torch.testing.assert_close(stitch(z), unfolded, rtol=1e-6, atol=bound)


def test_a_prepared_batchnorm_stitch_is_in_evaluation_what_it_is_in_training():
    x = normal(500, 4) @ normal(4, 4) + 3
    y = x @ normal(4, 6) + normal(500, 6)
    moments = Moments().update(x, y)
    for stitch in (BatchNormed(4, 6).double().prepare(moments), BatchNormed(4, 6).double()):
        if stitch.after.bias.abs().sum() == 0 and stitch.before.running_mean.abs().sum() == 0:
            match_spread(stitch.solve(moments), moments)
            torch.testing.assert_close(stitch(x).std(0), y.std(0))
        evaluated = stitch(x)
        torch.testing.assert_close(stitch.train()(x), evaluated, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("what", ["spread", "covariance"])
@pytest.mark.parametrize("family", [Conv3x3, MLP])
def test_what_is_solved_as_an_affine_map_is_put_right_as_one(family, what):
    x = normal(500, 4)
    moments = Moments().update(x, x @ normal(4, 6) + normal(500, 6)).frozen()
    solving = Solving(puts_right=what)
    z = torch.randn(8, 4, 3, 3)
    expected = solving(Affine(4, 6), moments)(z)
    torch.testing.assert_close(solving(family(4, 6), moments)(z), expected)
    assert not torch.allclose(Solving()(family(4, 6), moments)(z), expected, rtol=0.05)


def test_a_batch_of_one_row_goes_by_the_running_statistics():
    stitch = BatchNormed(3, 2)
    z = torch.randn(1, 3)
    expected = stitch(z)
    assert torch.equal(stitch.train()(z), expected)


def test_batchnorm_does_not_count_padding():
    stitch, there = BatchNormed(3, 2).train(), torch.tensor([[True, True], [True, False]])
    values = torch.randn(2, 2, 3)
    rows = BatchNormed(3, 2).train()
    rows.load_state_dict(stitch.state_dict())
    values[1, 1] = torch.nan
    made = stitch(Tokens(values, there))
    torch.testing.assert_close(made.values[there], rows(values[there]))
    assert made.values.isfinite().all()
    torch.testing.assert_close(stitch.before.running_var, rows.before.running_var)


def test_a_3x3_convolution_is_scipys_with_zeros_around():
    stitch, z = Conv3x3(2, 3).double(), normal(1, 2, 5, 4)
    weight = stitch.weight.detach().numpy()
    for j, found in enumerate(stitch(z)[0].detach().numpy()):
        sums = [correlate2d(z[0, i].numpy(), weight[j, i], mode="same") for i in range(2)]
        np.testing.assert_allclose(found, sum(sums) + stitch.bias[j].item(), atol=1e-12)
    with pytest.raises(ShapeError, match=r"neighbours on a grid, got .* \(4, 2\); take affine"):
        stitch(normal(4, 2))


@pytest.mark.parametrize("shape", [(7, 3), (7, 4, 3), (7, 3, 2, 2)])
def test_an_mlp_is_its_formula_at_every_place(shape):
    stitch, z = MLP(3, 5).double(), normal(*shape)
    (w1, b1), (w2, b2) = (
        (one.weight.detach().numpy(), one.bias.detach().numpy())
        for one in (stitch.first, stitch.second)
    )
    rows, found = (one.movedim(1, -1) if one.ndim == 4 else one for one in (z, stitch(z)))
    expected = np.maximum(rows.numpy() @ w1.T + b1, 0) @ w2.T + b2
    np.testing.assert_allclose(found.detach(), expected, atol=1e-12)


@pytest.mark.parametrize("make", [BatchNormed, Conv3x3, MLP])
@pytest.mark.parametrize(("d", "e"), [(3, 5), (5, 3)])
def test_every_affine_map_is_a_member_and_least_squares_the_closed_form(make, d, e):
    x = normal(50, d, 4, 4) + 2
    y = normal(50, e, 4, 4) + x[:, :1]
    moments = Moments().update(x, y)
    expected = Affine(d, e).double().solve(moments)(x)
    stitch = make(d, e).double()
    torch.testing.assert_close(stitch.solve(moments)(x), expected, rtol=0, atol=1e-9)
    with pytest.raises(ShapeError, match="got moments of"):
        make(d, e + 1).solve(moments)


@pytest.mark.parametrize("make", [BatchNormed, Conv3x3, MLP])
def test_they_come_back_from_a_file_as_they_are_used(make, tmp_path):
    stitch = make(3, 5).train()
    z = torch.randn(6, 3, 4, 4)
    stitch(z)
    loaded = load_stitch(save_stitch(tmp_path / "a.safetensors", stitch))
    assert torch.equal(loaded(z), stitch.eval()(z))
