import numpy as np
import pytest
import torch

from frankenstein.accumulators import grams
from frankenstein.accumulators.grams import Grams
from frankenstein.errors import UserError
from frankenstein.shapes import ShapeError


def song_hsic(x, y):
    """Song et al. 2012, eq. 5, as it is written there; x and y are rows in float64."""
    n, one = len(x), np.ones(len(x))
    kx, ky = ((z - z.mean(0)) @ (z - z.mean(0)).T for z in (x, y))
    np.fill_diagonal(kx, 0)
    np.fill_diagonal(ky, 0)
    total = np.trace(kx @ ky) + one @ kx @ one * (one @ ky @ one) / ((n - 1) * (n - 2))
    return (total - 2 / (n - 2) * (one @ kx @ ky @ one)) / (n * (n - 3))


def reference(blocks):
    """CKA of the pairs of layers, of HSICs summed over blocks before the ratio."""
    blocks = [[[z.flatten(1).double().numpy() for z in side] for side in block] for block in blocks]

    def total(pick_x, pick_y):
        sums = 0.0
        for block in blocks:
            x, y = pick_x(block), pick_y(block)
            sums += len(x) * (len(x) - 3) * song_hsic(x, y)
        return sums

    rows, columns = (range(len(side)) for side in blocks[0])
    found = np.empty((len(rows), len(columns)))
    for i in rows:
        for j in columns:
            x, y = (lambda block, i=i: block[0][i]), (lambda block, j=j: block[1][j])
            found[i, j] = total(x, y) / np.sqrt(total(x, x) * total(y, y))
    return found


def block(n=40, offset=0.0, scale=1.0):
    """Layers of two networks: all of them see the same hidden causes, each in its own way."""
    causes = torch.randn(n, 8)

    def layer(*shape):
        size = int(np.prod(shape))
        seen = causes @ torch.randn(8, size) + torch.randn(n, size)
        return (offset + scale * seen).view(n, *shape)

    return [layer(5), layer(3, 4, 4), layer(2, 70)], [layer(6, 2, 2), layer(30)]


def named(layers):
    return {str(i): z for i, z in enumerate(layers)}


def cka(*blocks):
    grams = Grams()
    for xs, ys in blocks:
        grams.update(named(xs), named(ys))
    return grams.unbiased_cka()


def test_one_block_is_songs_definition():
    one = block()
    torch.testing.assert_close(cka(one), torch.tensor(reference([one])), atol=1e-6, rtol=0)


def test_blocks_add_up_before_the_ratio():
    several = [block(40), block(25), block(4)]
    torch.testing.assert_close(cka(*several), torch.tensor(reference(several)), atol=1e-6, rtol=0)


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1.0, 1e8])
@pytest.mark.parametrize("offset", [0.0, 100.0, -3e3])
def test_offset_and_scale_cost_no_digits(offset, scale):
    one = block(offset=offset * scale, scale=scale)
    torch.testing.assert_close(cka(one), torch.tensor(reference([one])), atol=1e-6, rtol=0)


def test_numbers_below_the_least_normal_one_are_numbers():
    xs, ys = block()
    tiny = [z * 1e-40 for z in xs]
    torch.testing.assert_close(cka((tiny, ys)), cka((xs, ys)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_enter_as_they_are(dtype):
    xs, ys = ([z.to(dtype) for z in side] for side in block())
    expected = torch.tensor(reference([(xs, ys)]))
    torch.testing.assert_close(cka((xs, ys)), expected, atol=1e-6, rtol=0)


def test_a_layer_with_itself_is_1_and_the_matrix_is_symmetric():
    xs, _ = block()
    matrix = cka((xs, xs))
    torch.testing.assert_close(matrix.diagonal(), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(matrix, matrix.T)


def test_rotated_shifted_and_rescaled_is_the_same():
    xs, ys = block()
    rotation = torch.linalg.qr(torch.randn(5, 5)).Q
    moved = [7 * xs[0] @ rotation - 20]
    torch.testing.assert_close(cka((moved, ys)), cka((xs[:1], ys)), atol=1e-6, rtol=0)


@pytest.mark.parametrize("features", [10, 5000])
def test_unrelated_layers_are_near_0_where_the_biased_estimate_is_not(features):
    unrelated = [([torch.randn(100, features)], [torch.randn(100, features)]) for _ in range(4)]
    assert cka(*unrelated).abs() < 0.03


# 0.1 has no exact mean in float32, and a hundred features make its rounding look like a pattern.
@pytest.mark.parametrize("value", [0.0, 0.1, 1e8 / 3, -1e-8])
def test_a_constant_layer_is_nan_and_leaves_the_others_alone(value):
    xs, ys = block(37)
    matrix = cka(([torch.full((37, 100), value), *xs], ys))
    assert matrix[0].isnan().all()
    # A product of more rows adds up in another order on some processors.
    torch.testing.assert_close(matrix[1:], cka((xs, ys)), rtol=1e-13, atol=0)


@pytest.mark.parametrize(
    "rows",
    [torch.eye(30), torch.eye(30)[:, :1], 1e-3 * torch.eye(30) + 5],
    ids=["one-hot", "a unit that fires once", "one-hot, shifted"],
)
def test_rounding_is_not_taken_for_similarity(rows):
    matrix = cka(([rows], [rows, torch.randn(30, 3)]))
    assert matrix.isnan().all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize(("side", "name"), [(0, "first"), (1, "second")])
def test_nan_and_inf_are_refused_with_the_layer_that_holds_them(side, name, bad):
    one = block()
    one[side][1].view(-1)[0] = bad
    with pytest.raises(UserError, match=f"NaN or Inf in the {name} representation, '1'"):
        cka(one)


@pytest.mark.parametrize("units", [1, 63, 4097, 20_000])
def test_products_are_those_of_float64_with_onednn_and_without(units, monkeypatch):
    x = torch.randn(16, units, generator=torch.Generator().manual_seed(0)) + 3
    rows = x.double().numpy()
    rows = rows - rows.mean(0)
    exact = rows @ rows.T
    for way in (grams._ONEDNN, None):
        monkeypatch.setattr(grams, "_ONEDNN", way)
        found = grams._gram(x, torch.ones(())).numpy()
        assert np.linalg.norm(found - exact) < 1e-6 * np.linalg.norm(exact)


def test_onednn_gets_no_rows_that_it_is_slow_on():
    rows = torch.randn(64, 5000)
    assert grams._suit_onednn(rows)
    for other in (rows[:, :4096], rows[:8], rows[:, :64].clone(), rows.double(), rows.half()):
        assert not grams._suit_onednn(other)


def test_blocks_under_four_examples_are_left_out():
    whole, rest = block(20), block(3)
    grams = Grams()
    for some in (rest, whole, rest):
        grams.update(*map(named, some))
    assert grams.n == 20
    assert torch.equal(grams.unbiased_cka(), cka(whole))


def test_without_a_whole_block_there_is_nothing_to_say():
    assert cka(block(3)).isnan().all()
    with pytest.raises(UserError, match="no examples were given; is the data set empty"):
        cka(block(0))


def test_layers_hold_the_same_examples():
    with pytest.raises(ShapeError, match="got 5 and 4 rows; use one loader for both"):
        Grams().update({"a": torch.randn(5, 2)}, {"b": torch.randn(4, 2)})


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_float64_representations_keep_nine_digits(offset, scale):
    xs, ys = ([scale * (z.double() + offset) for z in side] for side in block())
    torch.testing.assert_close(
        cka((xs, ys)), torch.from_numpy(reference([(xs, ys)])), rtol=1e-9, atol=1e-12
    )
