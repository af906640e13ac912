import math

import pytest
import torch

from frankenstein.data import ImageData
from frankenstein.stitches import Affine, Identity
from frankenstein.stitching.evaluate import evaluate_stitches
from frankenstein.surgery import cut
from frankenstein.tasks import Classifier, Pass, Stitching, task_loss
from frankenstein.tasks.objectives import target_objective

# Frozen networks are in evaluation mode by design.
pytestmark = pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training")


class Corners(ImageData):
    """Images that have or have not each of three bright corners."""

    name = "corners"
    classes = ("top left", "top right", "bottom left")
    num_classes = len(classes)
    multilabel = True
    in_channels = 1
    native_size = 8
    mean, std = (0.5,), (0.25,)

    def load(self, split):
        size = {"train": 160, "test": 50}[split]
        labels = torch.arange(size)[:, None] // torch.tensor([1, 2, 4]) % 2
        images = torch.randint(60, (size, 1, 8, 8), dtype=torch.uint8)
        bright = 180 * labels.byte()[:, :, None, None]
        for i, (row, column) in enumerate(((0, 0), (0, 5), (5, 0))):
            images[:, 0, row : row + 3, column : column + 3] += bright[:, i]
        return images, labels.float()


@pytest.fixture
def corners():
    return Corners(batch_size=32, eval_batch_size=16)


@pytest.fixture
def network(small_network):
    return small_network(0, num_classes=3)


def whole(data):
    return [torch.cat(part) for part in zip(*data.val_batches(), strict=True)]


def test_a_classifier_learns_several_labels(network, corners, fit):
    task = Classifier(network.train(), lr=0.02, optimizer="adam")
    seen = fit(task, corners, epochs=15).callback_metrics
    assert seen["val/accuracy"] > 0.8  # by chance one half
    assert seen["train/accuracy"] > 0.8


def test_its_held_out_numbers_are_means_over_images_and_labels(network, corners, fit):
    seen = fit(Classifier(network), corners, only_validate=True).callback_metrics
    images, labels = whole(corners)
    with torch.no_grad():
        said = network(images).double().sigmoid()
    right = (said > 0.5) == (labels == 1)
    loss = -torch.where(labels == 1, said, 1 - said).log().mean()
    assert seen["val/accuracy"].item() == pytest.approx(right.double().mean().item())
    assert seen["val/loss"].item() == pytest.approx(loss.item(), rel=1e-5)


def test_a_network_stitched_to_itself_is_as_accurate_label_by_label(network, corners, fit):
    task = Stitching(network, network, "relu1", "relu1", Identity(4, 4))
    seen = fit(task, corners, only_validate=True).callback_metrics
    images, labels = whole(corners)
    right = (network(images) > 0) == (labels == 1)
    assert seen["val/accuracy"].item() == pytest.approx(right.double().mean().item())


@pytest.mark.parametrize("target_type", ["hard", "soft_1", "soft_2", "soft_12", "soft_1_plus_2"])
def test_a_stitch_is_trained_for_several_labels(small_network, corners, fit, target_type):
    pair = [small_network(seed, num_classes=3) for seed in (0, 1)]
    objective = target_objective(target_type)
    task = Stitching(*pair, "relu1", "relu1", Affine(4, 4), objective=objective, lr=0.05)
    before = fit(task, corners, only_validate=True).callback_metrics["val/loss"]
    after = fit(task, corners, epochs=4).callback_metrics["val/loss"]
    assert after < before


def test_teachers_of_several_labels_answer_each_by_itself(small_network):
    pair = [small_network(seed, num_classes=3) for seed in (0, 1)]
    sender, receiver = (cut(network, after="relu1") for network in pair)
    images = torch.randn(5, 1, 8, 8)
    batch = Pass(images, torch.zeros(5, 3), sender, Affine(4, 4), receiver)
    p, q = (logits.double().div(2).sigmoid() for logits in (batch.sender_logits, batch.logits))
    expected = -(p * q.log() + (1 - p) * (1 - q).log()).mean()
    loss = target_objective("soft_1", temperature=2.0)(batch)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_task_loss_of_several_labels_is_binary_cross_entropy(network):
    halves = cut(network, after="relu1")
    batch = Pass(torch.randn(5, 1, 8, 8), torch.ones(5, 3), halves, Identity(4, 4), halves)
    expected = -batch.logits.double().sigmoid().log().mean()
    assert task_loss(batch).item() == pytest.approx(expected.item(), rel=1e-5)


def test_stitches_are_evaluated_label_by_label(small_network):
    pair = [small_network(seed, num_classes=3) for seed in (0, 1)]
    cuts = [cut(network, after="relu1") for network in pair]
    images = torch.randn(20, 1, 8, 8)
    with torch.no_grad():
        hers, its = (network(images) > 0 for network in pair)
    labels = its.clone()
    labels[:5] = ~labels[:5]  # so that the receiver is right in three of four
    batches = [(images[:12], labels[:12].float()), (images[12:], labels[12:].float())]
    answer = evaluate_stitches(*cuts, {"identity": Identity(4, 4)}, batches)
    assert answer["accuracy/receiver"] == pytest.approx(0.75)
    assert answer["accuracy/sender"] == pytest.approx((hers == labels).double().mean().item())
    with torch.no_grad():
        grafted = cuts[1].end(cuts[0].front(images)) > 0
    assert answer["agreement/identity"] == pytest.approx((grafted == its).double().mean().item())
    accuracy = (grafted == labels).double().mean().item()
    assert answer["accuracy/identity"] == pytest.approx(accuracy)
    assert answer["relative_accuracy/identity"] == pytest.approx(accuracy / 0.75)


def test_chance_costs_the_logarithm_of_two_per_label(network):
    for parameter in network.fc.parameters():
        parameter.data.zero_()
    halves = cut(network, after="relu1")
    batches = [(torch.randn(9, 1, 8, 8), torch.randint(2, (9, 3)).float())]
    answer = evaluate_stitches(halves, halves, {"it": Identity(4, 4)}, batches)
    assert answer["loss/it"] == pytest.approx(math.log(2))
