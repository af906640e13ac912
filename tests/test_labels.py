import math

import pytest
import torch

from frankenstein.labels import decisions, hits, label_loss
from frankenstein.shapes import ShapeError

# Logits whose sigmoids are 3/4, 1/2, 1/5 and 9/10, 1/3, 1/2.
LOGITS = torch.tensor([[math.log(3), 0.0, -math.log(4)], [math.log(9), -math.log(2), 0.0]])
SEVERAL = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
CLASSES = torch.tensor([0, 2])


def test_the_loss_of_several_labels_is_the_mean_over_images_and_labels():
    said = [3 / 4, 1 / 2, 4 / 5, 1 / 10, 1 / 3, 1 / 2]  # the probability of what is so
    expected = -sum(map(math.log, said)) / 6
    assert label_loss(LOGITS, SEVERAL).item() == pytest.approx(expected)
    assert label_loss(LOGITS, SEVERAL, reduction="sum").item() == pytest.approx(6 * expected)


def test_the_loss_of_one_class_per_image_is_the_cross_entropy():
    said = [3 / (3 + 1 + 1 / 4), 1 / (9 + 1 / 2 + 1)]
    expected = -sum(map(math.log, said)) / 2
    assert label_loss(LOGITS, CLASSES).item() == pytest.approx(expected)
    assert label_loss(LOGITS, CLASSES, reduction="sum").item() == pytest.approx(2 * expected)


def test_hits_are_counted_label_by_label():
    assert hits(LOGITS, SEVERAL).tolist() == [[True, False, True], [False, False, True]]
    assert hits(LOGITS, CLASSES).tolist() == [True, False]


def test_decisions_have_the_form_of_the_labels():
    assert decisions(LOGITS, SEVERAL).equal(torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    assert decisions(LOGITS, CLASSES).equal(torch.tensor([0, 0]))


@pytest.mark.parametrize("labels", [SEVERAL, CLASSES])
def test_logits_are_always_right_about_what_they_decide(labels):
    assert hits(LOGITS, decisions(LOGITS, labels)).all()


@pytest.mark.parametrize("labels", [SEVERAL, CLASSES])
def test_the_loss_is_finite_for_confident_logits(labels):
    assert label_loss(1e4 * LOGITS, labels).isfinite()


@pytest.mark.parametrize("ask", [label_loss, hits])
def test_another_number_of_logits_than_labels_is_refused(ask):
    with pytest.raises(
        ShapeError, match=r"\(2, 3\) need as many logits, got \(2, 10\); train .* 3"
    ):
        ask(torch.zeros(2, 10), SEVERAL)
