import pytest
import torch
from torch.nn import functional

from frankenstein.measures import linear_cka
from frankenstein.stitches import Affine
from frankenstein.surgery import cut
from frankenstein.tasks import Pass, cka_regularized, direct_cka, direct_mse, task_loss

OBJECTIVES = {
    "task_loss": task_loss,
    "direct_mse": direct_mse,
    "direct_cka": direct_cka,
    "rewarded": cka_regularized(task_loss, -2.0),
    "punished": cka_regularized(direct_mse, 0.5),
}


@pytest.fixture
def batch(small_network):
    """A pass in float64 whose receiver is wider than its sender."""
    sender = cut(small_network(0).double(), after="relu1")
    receiver = cut(small_network(1, widths=(5, 6)).double(), after="relu1")
    images, labels = torch.randn(7, 1, 8, 8).double(), torch.arange(7)
    return Pass(images, labels, sender, Affine(4, 5).double(), receiver)


def again(batch):
    """The same pass, nothing computed yet."""
    return Pass(batch.images, batch.labels, batch.sender, batch.stitch, batch.receiver)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_gradient_is_exact(name, batch):
    objective, weight = OBJECTIVES[name], batch.stitch.weight
    objective(batch).backward()
    step = 1e-6
    for _ in range(3):
        direction = torch.randn_like(weight)
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight += sign * step * direction
                values.append(objective(again(batch)).item())
                weight -= sign * step * direction
        expected = (values[0] - values[1]) / (2 * step)
        assert (weight.grad * direction).sum().item() == pytest.approx(expected, rel=1e-6)


def test_what_each_objective_says(batch):
    cka = linear_cka(batch.stitched, batch.target)
    cross_entropy = functional.cross_entropy(batch.receiver.end(batch.stitched), batch.labels)
    assert torch.equal(task_loss(batch), cross_entropy)
    assert torch.equal(direct_mse(batch), (batch.stitched - batch.target).square().mean())
    assert torch.equal(direct_cka(batch), 1 - cka)
    assert torch.equal(cka_regularized(task_loss, -3.0)(batch), cross_entropy - 3 * cka)


def test_only_the_stitch_has_a_gradient(batch):
    assert batch.stitched.requires_grad
    assert not batch.source.requires_grad
    assert not batch.target.requires_grad


def test_each_tensor_is_made_once_and_only_when_read(batch, calls):
    happened = calls(
        sender=batch.sender.front,
        stitch=batch.stitch,
        front=batch.receiver.front,
        end=batch.receiver.end,
    )
    assert happened == []
    for _ in range(2):
        task_loss(batch)
    assert happened == ["sender", "stitch", "end"]
    for _ in range(2):
        direct_cka(batch)
    assert happened == ["sender", "stitch", "end", "front"]
