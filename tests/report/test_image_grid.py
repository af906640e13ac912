import pytest
import torch

from frankenstein.report import png
from frankenstein.report.image_grid import image_grid
from frankenstein.shapes import ShapeError


def test_every_image_stands_in_its_row_and_block_with_white_between():
    grey = torch.randint(200, (2, 3, 1, 4, 5), dtype=torch.uint8)
    colour = torch.randint(200, (2, 2, 3, 4, 5), dtype=torch.uint8)
    figure = image_grid({"sender": grey, "receiver": colour}, ["unit 1", "unit 7"], "Top images")
    left, right = (axes.images[0].get_array() for axes in figure.axes)
    assert (left.shape, right.shape) == ((10, 18, 3), (10, 12, 3))
    for channel in range(3):
        assert (left[5:9, 12:17, channel] == grey[1, 2, 0].numpy()).all()
        assert (right[0:4, 6:11, channel] == colour[0, 1, channel].numpy()).all()
    assert (left[4] == 255).all()
    assert [axes.get_title() for axes in figure.axes] == ["sender", "receiver"]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["unit 1", "unit 7"]
    assert png(figure)[1:4] == b"PNG"


@pytest.mark.parametrize(
    "images", [torch.zeros(1, 3, 1, 4, 4, dtype=torch.uint8), torch.zeros(2, 3, 1, 4, 4)]
)
def test_a_block_that_does_not_fit_is_refused(images):
    with pytest.raises(ShapeError, match=r"block 'a' must be uint8 images \(2, K, 1 or 3, H, W\)"):
        image_grid({"a": images}, ["one", "two"])
