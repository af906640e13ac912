"""Objectives that are taught by the whole networks, against float64 NumPy and by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit, log_expit, log_softmax, softmax
from torch import nn
from torch.nn import functional

from frankenstein.errors import UserError
from frankenstein.stitches import Affine
from frankenstein.surgery import Cut, cut
from frankenstein.tasks import (
    TARGET_TYPES,
    Pass,
    Stitching,
    soft_cross_entropy,
    target_objective,
    task_loss,
)

# Frozen networks are in evaluation mode by design.
pytestmark = pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training")

TEACHERS = {
    "hard": set(),
    "soft_1": {"sender's end"},
    "soft_2": {"receiver's front"},
    "soft_12": {"sender's end", "receiver's front"},
    "soft_1_plus_2": {"sender's end", "receiver's front"},
}


def reference(logits, teacher, temperature=1.0):
    """Mean cross entropy of softmax(teacher / T) with softmax(logits / T), by SciPy."""
    logits, teacher = logits.numpy() / temperature, teacher.numpy() / temperature
    return -(softmax(teacher, 1) * log_softmax(logits, 1)).sum(1).mean()


@pytest.fixture
def batch(small_network):
    sender = cut(small_network(0).double(), after="relu1")
    receiver = cut(small_network(1, widths=(5, 6)).double(), after="relu1")
    images, labels = torch.randn(7, 1, 8, 8).double(), torch.arange(7)
    return Pass(images, labels, sender, Affine(4, 5).double(), receiver)


class Says(nn.Module):
    """Answers always the same."""

    def __init__(self, *logits):
        super().__init__()
        self.logits = torch.tensor([logits])

    def forward(self, images):
        return self.logits


@pytest.fixture
def by_hand():
    """A pass of one image: the grafted network and both teachers answer what is given here."""
    halves = Cut(nn.Identity(), Says(math.log(3), 0.0))
    grafted, label = torch.tensor([[0.0, 0.0]], requires_grad=True), torch.tensor([1])
    batch = Pass(torch.zeros(1, 2), label, halves, nn.Identity(), halves)
    answers = {"logits": grafted, "receiver_logits": torch.tensor([[-math.log(9), 0.0]])}
    vars(batch).update(answers)  # as if they had been read already
    return batch


@pytest.mark.parametrize("temperature", [0.5, 1, 4])
def test_soft_cross_entropy_is_its_definition(temperature):
    logits, teacher = torch.randn(2, 20, 10, dtype=torch.float64) * 5
    found = soft_cross_entropy(logits, teacher, temperature)
    assert found.item() == pytest.approx(reference(logits, teacher, temperature), rel=1e-12)


def test_it_is_least_where_the_answers_agree_and_the_gradient_vanishes_there():
    teacher = torch.randn(6, 4, dtype=torch.float64)
    same = (teacher + 3).requires_grad_()  # logits count up to a constant
    least = soft_cross_entropy(same, teacher, 2.0)
    least.backward()
    assert same.grad.abs().max() < 1e-12
    entropy = torch.distributions.Categorical(logits=teacher / 2).entropy().mean()
    assert least.item() == pytest.approx(entropy.item())
    for _ in range(10):
        assert soft_cross_entropy(teacher + torch.randn(6, 4), teacher, 2.0) > least


def test_a_sure_teacher_is_a_label():
    logits, labels = torch.randn(8, 10), torch.randint(10, (8,))
    teacher = 1e4 * functional.one_hot(labels, 10).float()
    expected = functional.cross_entropy(logits, labels)
    torch.testing.assert_close(soft_cross_entropy(logits, teacher), expected)


def test_temperature_divides_both_logits():
    logits, teacher = torch.randn(2, 8, 10)
    found = soft_cross_entropy(logits, teacher, 4.0)
    torch.testing.assert_close(found, soft_cross_entropy(logits / 4, teacher / 4))
    cool = soft_cross_entropy(logits, teacher, 1e-3)
    warm = soft_cross_entropy(logits, teacher, 1e6)
    assert cool > 100
    assert warm.item() == pytest.approx(math.log(10), abs=1e-4)


@pytest.mark.parametrize("temperature", [0.1, 1, 10])
def test_sure_and_contrary_answers_give_finite_losses_and_gradients(temperature):
    teacher = torch.tensor([[1e4, -1e4, 0.0]])
    for logits in (teacher.clone(), -teacher):
        loss = soft_cross_entropy(logits.requires_grad_(), teacher, temperature)
        loss.backward()
        assert loss.isfinite()
        assert logits.grad.isfinite().all()
    assert loss.item() == pytest.approx(2e4 / temperature)


def test_each_type_by_hand(by_hand):
    """The sender answers 3 to 1, the receiver 1 to 9, the grafted network 1 to 1, then 3 to 1."""
    assert target_objective("soft_1")(by_hand).item() == pytest.approx(math.log(2))
    vars(by_hand)["logits"] = torch.tensor([[math.log(3), 0.0]])  # answers 3/4 and 1/4
    likely, unlikely = -math.log(3 / 4), -math.log(1 / 4)
    sender = 3 / 4 * likely + 1 / 4 * unlikely
    receiver = 1 / 10 * likely + 9 / 10 * unlikely
    # The mean of the logits is (log 3 - log 9) / 2 to 0, which is 1 to √3.
    share = 1 / (1 + math.sqrt(3))
    both = share * likely + (1 - share) * unlikely
    expected = {
        "hard": unlikely,
        "soft_1": sender,
        "soft_2": receiver,
        "soft_12": (sender + receiver) / 2,
        "soft_1_plus_2": both,
    }
    assert both != pytest.approx((sender + receiver) / 2, rel=1e-2)
    for target_type, loss in expected.items():
        assert target_objective(target_type)(by_hand).item() == pytest.approx(loss, rel=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_each_type_on_networks(batch, temperature):
    with torch.no_grad():
        one = batch.sender.end(batch.sender.front(batch.images))
        two = batch.receiver.end(batch.receiver.front(batch.images))
        logits = batch.receiver.end(batch.stitch(batch.sender.front(batch.images)))
    teachers = {
        "soft_1": [one],
        "soft_2": [two],
        "soft_12": [one, two],
        "soft_1_plus_2": [(one + two) / 2],
    }
    for target_type, taught_by in teachers.items():
        found = target_objective(target_type, temperature)(batch)
        expected = np.mean([reference(logits, teacher, temperature) for teacher in taught_by])
        assert found.item() == pytest.approx(expected, rel=1e-12)


def test_the_gradient_reaches_the_stitch_and_no_teacher(batch):
    for target_type in TARGET_TYPES:
        batch.stitch.zero_grad()
        target_objective(target_type, 2.0)(batch).backward(retain_graph=True)
        assert batch.stitch.weight.grad.abs().max() > 0
    assert not batch.sender_logits.requires_grad
    assert not batch.receiver_logits.requires_grad


def test_hard_is_task_loss():
    assert target_objective("hard") is task_loss


@pytest.mark.parametrize("target_type", TARGET_TYPES)
def test_only_the_halves_that_a_teacher_needs_are_run_and_once(batch, calls, target_type):
    happened = calls(
        **{
            "sender's front": batch.sender.front,
            "sender's end": batch.sender.end,
            "stitch": batch.stitch,
            "receiver's front": batch.receiver.front,
        }
    )
    for _ in range(2):
        target_objective(target_type)(batch)
    assert set(happened) == {"sender's front", "stitch"} | TEACHERS[target_type]
    assert len(happened) == len(set(happened))


@pytest.mark.parametrize("target_type", TARGET_TYPES)
def test_training_runs_a_teacher_only_for_the_types_that_ask_it(
    small_network, spots, fit, calls, target_type
):
    pair = small_network(0), small_network(1)
    task = Stitching(
        *pair, "relu1", "relu1", Affine(4, 4), objective=target_objective(target_type, 2.0)
    )
    happened = calls(**{"sender's end": pair[0].conv2, "receiver's front": pair[1].conv1})
    trainer = fit(task, spots(), limit_val_batches=0)
    assert set(happened) == TEACHERS[target_type]
    assert len(happened) == len(TEACHERS[target_type]) * trainer.global_step


def test_a_receiver_that_is_its_own_sender_teaches_what_it_says(small_network):
    network, images = small_network(0), torch.randn(5, 1, 8, 8)
    halves = cut(network, after="relu1")
    batch = Pass(images, torch.zeros(5).long(), halves, nn.Identity(), halves)
    losses = {name: target_objective(name)(batch).item() for name in TARGET_TYPES[1:]}
    entropy = torch.distributions.Categorical(logits=network(images)).entropy().mean().item()
    assert losses == {name: pytest.approx(entropy, abs=1e-6) for name in losses}


def test_unknown_types_are_refused():
    with pytest.raises(UserError, match=r"unknown target type 'soft1'; known: hard, .*mean soft_1"):
        target_objective("soft1")


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_several_labels_per_image_are_each_a_yes_or_no_by_itself(batch, temperature):
    several = replace(batch, labels=torch.randint(2, (7, 10)).double())
    found = target_objective("soft_1", temperature)(several)
    answers = (several.sender_logits / temperature).numpy()
    logits = (several.logits / temperature).detach().numpy()
    losses = expit(answers) * log_expit(logits) + expit(-answers) * log_expit(-logits)
    assert found.item() == pytest.approx(-losses.mean(), rel=1e-12)
    sure = target_objective("soft_1", 1e-4)(several)
    assert sure.isfinite()


@pytest.mark.parametrize("temperature", [0, -1, math.nan, math.inf])
def test_temperatures_that_soften_nothing_are_refused(temperature):
    with pytest.raises(UserError, match=f"a temperature is above 0.*, got {temperature}"):
        target_objective("soft_1", temperature)
