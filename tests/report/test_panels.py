import base64
import io
import re

import numpy as np
import PIL.Image
import pytest
import torch

from frankenstein.report import Picture, bars, curves, png, write_report
from frankenstein.report.figure_values import figure_csv, points_svg
from frankenstein.report.panels import histogram_line, line_panels, point_panels
from frankenstein.shapes import ShapeError


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_panel_for_each_layer_with_a_line_for_each_series_and_one_legend():
    x = torch.arange(4)
    panels = {
        f"conv{i}": {"sender": (x, x * i), "untrained": (x, x), "receiver": (x, x)}
        for i in range(6)
    }
    del panels["conv0"]["sender"]
    figure = line_panels(panels, "value", "density", steps=True, controls=("untrained",))
    assert [axes.get_title() for axes in figure.axes] == list(panels)
    assert [len(axes.lines) for axes in figure.axes] == [2, 3, 3, 3, 3, 3]
    assert sorted(legend(figure)) == ["receiver", "sender", "untrained"]
    colours = {line.get_label(): line.get_color() for line in figure.axes[1].lines}
    assert all(
        line.get_color() == colours[line.get_label()] for axes in figure.axes for line in axes.lines
    )
    assert {line.get_label() for line in figure.axes[1].lines if line.get_linestyle() == "--"} == {
        "untrained"
    }
    assert png(figure)[1:4] == b"PNG"


def test_clouds_of_points_share_their_panel():
    figure = point_panels({"fc": {"sender": torch.randn(5, 2), "receiver": torch.randn(3, 2)}})
    offsets = [len(cloud.get_offsets()) for cloud in figure.axes[0].collections]
    assert offsets == [5, 3]
    assert legend(figure) == ["sender", "receiver"]


def test_points_of_a_map_have_their_names_where_they_are_drawn():
    points, names = {"fc": {"sender": torch.randn(3, 2)}}, {"fc": {"sender": ["S1", "S2", "<3>"]}}
    figure = point_panels(points, names=names)
    png(figure)
    drawn = points_svg(figure)
    assert re.findall("<title>(.*?)</title>", drawn) == ["S1", "S2", "&lt;3&gt;"]
    (axes,) = figure.axes
    x, y = axes.transData.transform(points["fc"]["sender"][1].numpy())
    assert f'cx="{x:.1f}" cy="{figure.bbox.height - y:.1f}"' in drawn
    assert figure_csv(figure).splitlines()[1].startswith("fc,S1,")
    assert "<title>sender 2</title>" in points_svg(point_panels(points))


def test_images_of_a_point_stand_once_on_a_page_however_many_maps_it_is_in(tmp_path):
    places = {"fc": {"sender": torch.randn(2, 2)}}
    greys = 40 * torch.arange(6, dtype=torch.uint8)
    images = {"fc": {"sender": greys[None, :, None, None, None].expand(2, 6, 1, 8, 8)}}
    maps = [point_panels(places, images=images) for _ in range(2)]
    write_report(
        tmp_path, "maps", [Picture(f"map{i}", one, "A map.") for i, one in enumerate(maps)]
    )
    page = (tmp_path / "report.html").read_text()
    for point in ("fc, sender 0", "fc, sender 1"):
        assert page.count(f'data-point="{point}"') == 2
        assert page.count(f'<li data-of="{point}">') == 1
    strip = base64.b64decode(re.findall(r'"data:image/webp;base64,([^"]+)" alt="6 images', page)[0])
    shown = np.asarray(PIL.Image.open(io.BytesIO(strip)).convert("L"))
    assert shown.shape == (9, 6 * 9)  # a white line between two
    middles = shown[4, 4::9].astype(int)
    np.testing.assert_allclose(middles, greys, atol=12)  # a little is lost
    assert "data-point" not in points_svg(point_panels(places))


def test_a_histogram_as_a_line_has_an_area_of_one():
    values = np.random.default_rng(0).normal(size=500)
    counts, edges = np.histogram(values, 13)
    x, y = histogram_line(counts, edges)
    expected, _ = np.histogram(values, 13, density=True)
    np.testing.assert_allclose(y[:-1], expected)
    assert (np.diff(x) * y[:-1]).sum() == pytest.approx(1)
    assert histogram_line([0, 0], [0, 1, 2])[1].tolist() == [0, 0, 0]


def test_no_panel_is_refused():
    with pytest.raises(ShapeError, match="panels need at least one chart, got none"):
        line_panels({})


@pytest.mark.parametrize("name", ["_under", "cost $1$2", r"$\bad", "{x} %s"])
def test_series_may_be_called_anything(name):
    cloud = torch.randn(5, 2)
    for figure in (
        point_panels({name: {"sender": cloud, name: cloud}}),
        line_panels({name: {"sender": cloud.T, name: cloud.T}}, controls=(name,)),
        curves({"sender": cloud.T, name: cloud.T}, name, "x", "y"),
        bars({name: {"sender": 0.5, name: 0.4}}, name),
    ):
        assert [text.strip() for text in legend(figure)] == ["sender", name]
        assert png(figure)[1:4] == b"PNG"
