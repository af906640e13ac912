"""What is changed of training data is what was asked, alike for all networks."""

import json

import pytest
import torch

from frankenstein.data.changes import Changes
from frankenstein.errors import PlanError
from frankenstein.training.plan import TrainPlan
from frankenstein.zoo.files import read_card

LABELS = torch.arange(4000) % 10


def test_as_many_labels_are_random_as_asked_and_fewer_are_among_more():
    half, most = (Changes(random_labels=share).relabelled(LABELS, 10) for share in (0.5, 0.8))
    assert (half != LABELS).double().mean() == pytest.approx(0.5 * 0.9, abs=0.03)
    both = (half != LABELS) & (most != LABELS)
    assert both.equal(half != LABELS)
    assert Changes().relabelled(LABELS, 10).equal(LABELS)


def test_a_marker_stands_in_its_class_as_often_as_asked():
    def own(rate):
        draw = torch.Generator().manual_seed(0)
        return (Changes(marker=rate).placed(LABELS, 10, draw) == LABELS).double().mean()

    assert own(1.0) == 1
    assert own(0.5) == pytest.approx(0.55, abs=0.03)
    assert own(0.0) == pytest.approx(0.1, abs=0.03)


def test_a_network_is_trained_on_what_was_changed(run):
    words = ("train", "-m", "mlp", "-d", "digits", "-e", 2, "-b", 32, "-opt", "adam", "-lr", 0.01)
    changed = ("--marker", 1, "--augmentation", 0)
    folder = run(*words, *changed)
    assert folder.name == "mlp-digits-in0-gn0-marker_1-augmentation_0"
    rows = (folder / "metrics.csv").read_text()
    assert rows
    shortcut = json.loads((folder / "summary.json").read_text())["accuracy/held_out"]
    plain = json.loads((run(*words) / "summary.json").read_text())["accuracy/held_out"]
    assert shortcut < plain  # a marker that says nothing leads it astray
    card = read_card(folder / "network.safetensors")
    assert (card.random_labels, card.marker, card.augmentation) == (0, 1, 0)
    told = "digits (a marker that is right 100 % of the time, not augmented)"
    assert f"images of {told}, 32 a step" in (folder / "report.md").read_text()


def test_a_share_above_one_is_refused():
    with pytest.raises(PlanError, match="marker is a share, 0 to 1, got 2"):
        TrainPlan(marker=2)
