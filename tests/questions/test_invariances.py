"""Images that are the same to a layer."""

import json

import pytest
import torch
from torch import nn

from frankenstein.errors import UserError
from frankenstein.networks import frauds
from frankenstein.questions.invariances import alike
from frankenstein.questions.invariances.alike import made_alike

BLACK, WHITE = torch.full((1, 1, 4, 4), -1.0), torch.full((1, 1, 4, 4), 2.0)
FEW = ("--goals", "10", "--inversion-steps", "4", "--untrained", "2")


@pytest.fixture
def pair():
    """Images to begin from, and goals."""
    return torch.rand(6, 1, 4, 4), torch.rand(6, 1, 4, 4)


class Columns(nn.Module):
    """Sees the first columns of an image, as many as it is told."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def forward(self, images):
        return 3 * images[..., : self.seen] + 1


def test_images_become_their_goals_where_a_layer_sees_everything(pair):
    start, goal = pair
    images, left = made_alike(Columns(4), start, goal, BLACK, WHITE, 200)
    assert left.max() < 1e-5
    assert torch.allclose(images, goal, atol=0.01)


def test_what_a_layer_does_not_see_stays_as_it_was(pair):
    start, goal = pair
    images, left = made_alike(Columns(2), start, goal, BLACK, WHITE, 200)
    assert torch.allclose(images[..., 2:], start[..., 2:], atol=1e-6)
    assert torch.allclose(images[..., :2], goal[..., :2], atol=0.01)
    assert left.max() < 1e-5


def test_what_is_left_is_the_squared_distance_over_that_at_the_start(pair):
    start, goal = (one.double() for one in pair)
    front = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh()).double().requires_grad_(False)
    images, left = made_alike(front, start, goal, BLACK.double(), WHITE.double(), 5)
    now, wanted, was = (front(one).flatten(1).numpy() for one in (images, goal, start))
    expected = ((now - wanted) ** 2).sum(1) / ((was - wanted) ** 2).sum(1)
    assert left.numpy() == pytest.approx(expected, rel=1e-10)
    assert (left < 1).all()
    assert not front[0].weight.requires_grad


def test_a_constant_layer_is_there_at_once_and_changes_nothing(pair):
    images, left = made_alike(Columns(0), *pair, BLACK, WHITE, 3)
    assert torch.allclose(images, pair[0], atol=1e-6)
    assert not left.any()


def test_pixels_stay_between_black_and_white(pair):
    start, goal = pair
    images, left = made_alike(Columns(4), start, goal + 5, BLACK, WHITE, 100)
    assert torch.allclose(images, WHITE.expand_as(images))
    assert (left > 0.1).all()


def test_each_image_is_by_itself(pair, monkeypatch):
    front = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh()).double().requires_grad_(False)
    given = [one.double() for one in (*pair, BLACK, WHITE)]
    whole, _ = made_alike(front, *given, 10)
    monkeypatch.setattr(alike, "_CHUNK", 4)
    parts, _ = made_alike(front, *given, 10)
    assert torch.allclose(whole, parts, atol=1e-6)


def test_a_representation_that_is_no_number_is_refused(pair):
    start, goal = pair
    with pytest.raises(UserError, match="NaN or Inf in a representation"):
        made_alike(Columns(4), start, goal * torch.nan, BLACK, WHITE, 3)


@pytest.mark.drawn
def test_a_network_is_its_own_best_sender_and_the_page_has_the_images(run, saved, monkeypatch):
    monkeypatch.setattr(frauds, "_STEPS", 3)
    one = saved("lenet", 0)
    folder = run("analyze", one, one, "pool1,pool2", "--invariances", *FEW)
    numbers = json.loads((folder / "summary.json").read_text())
    for layer in ("pool1", "pool2"):
        for what in ("as_goal", "as_start", "left"):
            own = numbers[f"invariances/{what}/receiver/{layer}"]
            assert numbers[f"invariances/{what}/sender/{layer}"] == own
            assert f"invariances/{what}/marker/{layer}" in numbers
            assert f"invariances/{what}/untrained_sender/{layer}" in numbers
        assert numbers[f"invariances/left/receiver/{layer}"] < 1
        assert (folder / "figures" / f"invariances-images-{layer}.png").exists()
    assert "these images are not the same to the layer yet" in (folder / "report.md").read_text()


def test_data_whose_images_have_no_one_class_are_refused(mistake, saved, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "def rows():\n"
        "    images = torch.zeros(8, 1, 32, 32, dtype=torch.uint8)\n"
        "    batches = [(images, torch.arange(8))]\n"
        "    return {'train': batches, 'val': batches}\n"
    )
    monkeypatch.chdir(tmp_path)
    pair = saved("lenet", 0), saved("lenet", 1)
    said = mistake("analyze", *pair, "pool2", "--invariances", "-d", "mine.py:rows")
    assert "--invariances changes images of a data set by name" in said
