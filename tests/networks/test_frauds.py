"""Networks that know nothing: trained for what they are asked to see, and for nobody's run."""

from itertools import islice

import pytest
import torch
from torch import nn

from frankenstein.networks import frauds
from frankenstein.networks.frauds import learned_fraud
from frankenstein.networks.network import Network
from frankenstein.zoo import Card


@pytest.fixture
def weights(small_network, spots, monkeypatch, tmp_path):
    """Makes the weights of a fraud for spots, out of the cache if they are there."""
    monkeypatch.setattr(frauds, "_STEPS", 3)
    monkeypatch.setenv("FRANKENSTEIN_CACHE", str(tmp_path / "one"))
    card = Card("small", 10, 1, "spots", 0, 0, 0)

    def build(seed):  # draws as it learns
        return nn.Sequential(small_network(seed), nn.Dropout(0.2))

    network = Network(build(0), card, "small", build=build)

    def make(change=lambda data: None, look=None, kind="marker", **options):
        data = spots(**options)
        data.setup()
        change(data)
        fraud, _ = learned_fraud(kind, network, look, data, torch.device("cpu"))
        return torch.cat([z.flatten() for z in fraud.state_dict().values()])

    return make


def _negative(data):
    data.train_images = 255 - data.train_images


def _one_pixel(data):
    data.train_images[77, 0, 3, 3] += 1


def _brighter(data):
    data.mean = (0.3,)


@pytest.mark.parametrize("kind", ["marker", "random_labels"])
@pytest.mark.parametrize("change", [_negative, _one_pixel, _brighter])
def test_other_images_or_another_look_at_them_is_another_fraud(weights, kind, change):
    first = weights(kind=kind)
    assert not weights(change, kind=kind).equal(first)
    assert weights(kind=kind).equal(first)


def test_a_fraud_looks_as_its_network_does(weights):
    class Half(nn.Module):
        def forward(self, images):
            return images / 2

    first = weights()
    assert not weights(look=Half()).equal(first)


@pytest.mark.parametrize("kind", ["marker", "random_labels", "other_data"])
def test_no_run_changes_a_fraud_whatever_the_cache_holds(weights, kind, monkeypatch, tmp_path):
    first = weights(kind=kind)
    for cache in ("one", "other"):  # warm and cold
        monkeypatch.setenv("FRANKENSTEIN_CACHE", str(tmp_path / cache))
        torch.manual_seed(7)
        assert weights(kind=kind, batch_size=16, order_seed=3, eval_batch_size=8).equal(first)


@pytest.mark.parametrize("relabelled", [False, True])
def test_a_fraud_sees_each_epoch_in_another_order(spots, relabelled):
    data = spots(batch_size=128)
    data.setup()
    course = frauds._relabelled(data) if relabelled else frauds._prepared(data)
    one, other = (next(islice(course, 0, 1))[0] for _ in range(2))  # 160 images fill one batch
    assert not one.equal(other)
