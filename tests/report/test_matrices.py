import numpy as np
import pytest
import torch

from frankenstein.report import cells_of, heatmap, png, weight_matrix
from frankenstein.shapes import ShapeError

LAYERS = [f"{kind}{i}" for i in range(1, 9) for kind in ("conv", "bn", "relu")] + ["mean", "fc"]


def matrix(n, m):
    return np.exp(-4 * (np.linspace(0, 1, n)[:, None] - np.linspace(0, 1, m)[None]) ** 2)


def words(figure):
    axes = figure.axes[0]
    return (
        [label.get_text() for label in axes.get_yticklabels()],
        [label.get_text() for label in axes.get_xticklabels()],
    )


def numbers(figure):
    """What is written into the cells, row by row."""
    (outlines,) = figure.axes[0].collections
    return outlines.get_label().split()


def image(figure):
    return figure.axes[0].images[0]


def test_a_heatmap_shows_names_title_limits_and_numbers():
    figure = heatmap(matrix(26, 26), LAYERS, LAYERS, "CKA", "sender", "receiver")
    axes = figure.axes[0]
    assert words(figure) == (LAYERS, LAYERS)
    assert (axes.get_title(), axes.get_ylabel(), axes.get_xlabel()) == ("CKA", "sender", "receiver")
    assert image(figure).get_clim() == (0, 1)
    assert len(numbers(figure)) == 26 * 26
    assert numbers(figure)[0] == "1.00"
    middles = [sum(one.get_extents().intervalx) / 2 for one in axes.collections[0].get_paths()]
    assert np.ptp(middles) < 1
    assert len(figure.axes) == 2  # the second is the colour bar


def test_a_page_can_draw_the_cells_of_any_heatmap():
    figure = heatmap(matrix(3, 2), LAYERS[:3], LAYERS[:2], "CKA", "sender", "receiver")
    cells = cells_of(figure)
    assert (cells.measure, cells.rows, cells.column_label) == ("CKA", tuple(LAYERS[:3]), "receiver")
    assert np.array_equal(cells.array, matrix(3, 2))
    assert cells_of(weight_matrix(torch.ones(2, 2))) is None


@pytest.mark.parametrize("size", [2, 26, 60])
def test_nothing_is_cut_off_at_the_edges(size):
    names = [f"layer{i}.conv" for i in range(size)]
    figure = heatmap(
        matrix(size, size), names, names, "Unbiased linear CKA of two networks", "s", "r"
    )
    png(figure)  # lays it out
    everything = figure.get_tightbbox()
    assert everything.x0 >= 0
    assert everything.y0 >= 0
    assert everything.x1 <= figure.get_figwidth()
    assert everything.y1 <= figure.get_figheight()


def test_numbers_are_left_out_where_they_would_not_fit_and_names_are_thinned():
    names = [str(i) for i in range(200)]
    figure = heatmap(matrix(200, 60), names, names[:60])
    rows, columns = words(figure)
    assert not figure.axes[0].texts
    assert rows == names[::3]
    assert columns == names[:60]
    assert max(figure.get_size_inches()) < 14


def test_cells_that_are_not_finite_are_grey_and_say_so():
    figure = heatmap([[0.5, float("nan")], [float("inf"), 1.0]], ["a", "b"], ["c", "d"])
    assert numbers(figure) == ["0.50", "n/a", "n/a", "1.00"]
    assert image(figure).get_array().mask.tolist() == [[False, True], [True, False]]
    assert image(figure).cmap.get_bad().tolist() == [0.75, 0.75, 0.75, 1.0]
    assert png(heatmap([[float("nan")]], ["a"], ["b"], limits=None))


@pytest.mark.parametrize(
    ("limits", "colours"), [((0, 1), "viridis"), ((-1, 1), "RdBu_r"), (None, "viridis")]
)
def test_limits_symmetric_about_zero_diverge(limits, colours):
    figure = heatmap([[0.2, 0.4]], ["a"], ["b", "c"], limits=limits)
    assert image(figure).cmap.name == colours
    assert image(figure).get_clim() == (limits or (0.2, 0.4))


def test_a_value_outside_the_limits_points_the_colour_bar():
    bars = [
        image(heatmap([[value, 0.5]], ["a"], ["b", "c"])).colorbar for value in (0.1, -0.1, 1.1)
    ]
    assert [bar.extend for bar in bars] == ["neither", "min", "max"]


def test_zero_is_white_in_a_weight_matrix_whatever_its_values():
    figure = weight_matrix(torch.nn.Parameter(torch.tensor([[3.0, 0.0, -1.0]])), "Affine")
    assert image(figure).get_clim() == (-3, 3)
    assert min(image(figure).to_rgba(0.0)[:3]) > 0.96
    assert image(weight_matrix(torch.zeros(2, 2))).get_clim() == (-1, 1)
    assert image(weight_matrix(torch.ones(2, 2), limit=5.0)).get_clim() == (-5, 5)


def test_equal_data_give_equal_bytes():
    first, second = (png(heatmap(matrix(5, 4), LAYERS[:5], LAYERS[:4], "CKA")) for _ in range(2))
    assert first == second
    assert first.startswith(b"\x89PNG")
    assert b"Software" not in first
    assert b"tIME" not in first


def test_wrong_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"got shape \(2, 2\) for 3 rows and 2 columns"):
        heatmap(matrix(2, 2), ["a", "b", "c"], ["a", "b"])
    with pytest.raises(
        ShapeError, match=r"a weight matrix is \(out, in\), got shape \(2, 2, 1, 1\)"
    ):
        weight_matrix(torch.ones(2, 2, 1, 1))


def test_weights_finer_than_the_dots_show_the_largest_of_each_block():
    weight = torch.zeros(2500, 2200)
    weight[1234, 77], weight[2499, 2199], weight[0, 0] = -3.0, 2.0, torch.nan
    figure = weight_matrix(weight)
    shown = image(figure)
    assert max(shown.get_array().shape) <= 1000
    assert shown.get_clim() == (-3, 3)
    assert tuple(shown.get_extent()) == (-0.5, 2199.5, 2499.5, -0.5)
    values = shown.get_array()
    assert (values.min(), values.max(), values.mask.sum()) == (-3, 2, 1)
    assert values[1234 // 3, 77 // 3] == -3
