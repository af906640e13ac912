import numpy as np
import pytest
import torch
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from torch.utils.tensorboard import SummaryWriter

from frankenstein.report import framed, log_projector
from frankenstein.shapes import ShapeError

LABELS = ["cat", "dog"] * 5
NETWORKS = ["sender"] * 5 + ["receiver"] * 5


@pytest.fixture
def writer(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        yield writer


def listed(folder):
    config = text_format.Parse((folder / "projector_config.pbtxt").read_text(), ProjectorConfig())
    return {known.tensor_name.rpartition(":")[0]: known for known in config.embeddings}


def test_every_tag_is_listed_with_files_that_exist(writer, tmp_path, capsys):
    images = torch.randint(256, (10, 1, 8, 8), dtype=torch.uint8)
    columns = {"class": LABELS, "network": NETWORKS}
    assert log_projector(writer, "sender/bn3", torch.randn(10, 4), columns, images) == 10
    assert log_projector(writer, "receiver/bn3", torch.randn(10, 6), columns) == 10
    with SummaryWriter(tmp_path) as later:  # a resumed run
        log_projector(later, "stitched", torch.randn(10, 4), {"class": LABELS})
    known = listed(tmp_path)
    assert set(known) == {"sender/bn3", "receiver/bn3", "stitched"}
    for entry in known.values():
        assert (tmp_path / entry.tensor_path).is_file()
        assert (tmp_path / entry.metadata_path).is_file()
    assert (tmp_path / known["sender/bn3"].sprite.image_path).is_file()
    assert capsys.readouterr().out == ""  # TensorBoard's writer prints its warnings


def test_points_and_labels_are_the_ones_given(writer, tmp_path):
    points = torch.randn(10, 4, requires_grad=True)
    log_projector(writer, "both", points, {"class": LABELS, "network": NETWORKS})
    log_projector(writer, "one", points, {"class": torch.arange(10)})
    both, one = listed(tmp_path)["both"], listed(tmp_path)["one"]
    assert np.allclose(np.loadtxt(tmp_path / both.tensor_path), points.detach().numpy())
    lines = (tmp_path / both.metadata_path).read_text().splitlines()
    assert lines[:2] == ["class\tnetwork", "cat\tsender"]
    assert len(lines) == 11
    assert (tmp_path / one.metadata_path).read_text().splitlines() == [str(i) for i in range(10)]


def test_of_many_points_some_are_taken_evenly(writer, tmp_path):
    points = torch.arange(1000.0)[:, None].expand(-1, 2)
    assert log_projector(writer, "many", points, {"row": range(1000)}, limit=4) == 4
    entry = listed(tmp_path)["many"]
    assert (tmp_path / entry.metadata_path).read_text().split() == ["0", "333", "666", "999"]
    assert np.loadtxt(tmp_path / entry.tensor_path)[:, 0].tolist() == [0, 333, 666, 999]


@pytest.mark.parametrize(("shape", "side"), [((1, 8, 8), 8), ((3, 64, 48), 32), ((1, 20, 10), 20)])
def test_the_sprite_shows_the_images_as_small_squares(writer, tmp_path, shape, side):
    images = torch.zeros(10, *shape, dtype=torch.uint8)
    images[3] = 128
    log_projector(writer, "images", torch.randn(10, 2), {"class": LABELS}, images)
    entry = listed(tmp_path)["images"].sprite
    sprite = np.asarray(Image.open(tmp_path / entry.image_path))
    assert list(entry.single_image_dim) == [side, side]
    assert sprite.shape == (4 * side, 4 * side, 3)
    middle = sprite[side // 2 :: side, side // 2 :: side, 0]
    assert middle[0].tolist() == [0, 0, 0, 128]
    assert middle[1:].max() == 0


def test_a_tab_in_a_label_does_not_become_a_cell(writer, tmp_path):
    log_projector(writer, "t", torch.randn(1, 2), {"class": ["a\tb\n"], "network": ["x"]})
    assert (
        tmp_path / listed(tmp_path)["t"].metadata_path
    ).read_text() == "class\tnetwork\na b\tx\n"


def test_what_cannot_be_shown_is_refused(writer):
    points = torch.randn(10, 2)
    classes = {"class": LABELS}
    with pytest.raises(ShapeError, match=r"points must be \(N, D\), got \(10, 2, 1\)"):
        log_projector(writer, "t", points[..., None], classes)
    with pytest.raises(ShapeError, match="column 'class' has 3 labels for 10 points"):
        log_projector(writer, "t", points, {"class": LABELS[:3]})
    with pytest.raises(ShapeError, match="at least one column"):
        log_projector(writer, "t", points, {})
    with pytest.raises(
        ShapeError, match=r"images must be \(10, 1 or 3, H, W\), got \(9, 1, 8, 8\)"
    ):
        log_projector(writer, "t", points, classes, torch.zeros(9, 1, 8, 8, dtype=torch.uint8))
    with pytest.raises(ShapeError, match=r"images must be uint8, got torch\.float32"):
        log_projector(writer, "t", points, classes, torch.zeros(10, 1, 8, 8))
    with pytest.raises(ValueError, match="not finite"):
        log_projector(writer, "t", points / 0, classes)
    log_projector(writer, "t", points, classes)
    with pytest.raises(ValueError, match="already shows 't' in this folder; use another tag"):
        log_projector(writer, "t", points, classes)


def test_a_frame_has_the_colour_of_the_class_and_leaves_the_inside_alone():
    images = torch.randint(0, 256, (4, 1, 20, 20), dtype=torch.uint8)
    pictures = framed(images, torch.tensor([0, 1, 0, 1]))
    assert pictures.shape == (4, 3, 20, 20)
    assert pictures.dtype == torch.uint8
    assert torch.equal(pictures[:, :, 2:-2, 2:-2], images[:, :, 2:-2, 2:-2].expand(-1, 3, -1, -1))
    assert torch.equal(pictures[0, :, 0, 0], pictures[2, :, 0, 5])
    assert not torch.equal(pictures[0, :, 0, 0], pictures[1, :, 0, 0])
