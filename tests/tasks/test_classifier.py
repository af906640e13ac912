import pytest
import torch
from torch.nn import functional

from frankenstein.tasks import Classifier
from frankenstein.zoo import build_network, network_sha256


def trained(spots, fit, init_seed=0, order_seed=0, epochs=2):
    """Fingerprints of a network before and after training."""
    network = build_network("mlp", init_seed=init_seed)
    network.fc1 = network.fc1.__class__(64, 32)  # for images of 8x8 pixels
    torch.nn.init.normal_(
        network.fc1.weight, std=0.1, generator=torch.Generator().manual_seed(init_seed)
    )
    torch.nn.init.zeros_(network.fc1.bias)
    before = network_sha256(network)
    fit(Classifier(network), spots(order_seed=order_seed), epochs=epochs)
    return before, network_sha256(network)


def test_the_same_seeds_give_the_same_weights_bit_for_bit(spots, fit):
    first = trained(spots, fit)
    torch.rand(7)
    assert trained(spots, fit) == first


def test_another_order_seed_starts_alike_and_ends_elsewhere(spots, fit):
    one, other = trained(spots, fit), trained(spots, fit, order_seed=1)
    assert one[0] == other[0]
    assert one[1] != other[1]


def test_another_init_seed_starts_elsewhere(spots, fit):
    assert trained(spots, fit, epochs=1)[0] != trained(spots, fit, init_seed=1, epochs=1)[0]


def test_it_learns(small_network, spots, fit):
    task = Classifier(small_network(0).train(), lr=0.02, optimizer="adam")
    trainer = fit(task, spots(), epochs=15)
    assert trainer.callback_metrics["val/accuracy"] > 0.8
    assert trainer.callback_metrics["train/accuracy"] > 0.8


def test_its_held_out_numbers_are_those_of_all_examples_together(small_network, spots, fit):
    network, data = small_network(0), spots(eval_batch_size=16)  # 50 of them: uneven batches
    seen = fit(Classifier(network), data, only_validate=True).callback_metrics
    images, labels = (torch.cat(part) for part in zip(*data.val_batches(), strict=True))
    with torch.no_grad():
        logits = network(images)
    assert seen["val/accuracy"].item() == pytest.approx(
        (logits.argmax(1) == labels).double().mean().item()
    )
    assert seen["val/loss"].item() == pytest.approx(functional.cross_entropy(logits, labels).item())


def test_it_calls_its_network(small_network):
    network, images = small_network(0), torch.randn(3, 1, 8, 8)
    assert torch.equal(Classifier(network)(images), network(images))
