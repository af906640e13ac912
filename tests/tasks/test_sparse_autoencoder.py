import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn import functional

from frankenstein.data.batches import Batches, in_order, shuffled
from frankenstein.dictionaries import Dictionary, resample
from frankenstein.errors import UserError
from frankenstein.shapes import ShapeError
from frankenstein.surgery import LayerError
from frankenstein.tasks import SparseAutoencoder
from frankenstein.zoo import network_sha256

UNITS, TRUE = 24, 36
pytestmark = pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training")


class Planted(pl.LightningDataModule):
    """Rows that are sums of three out of many unit directions, which a network hands through."""

    def __init__(self):
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.directions = functional.normalize(torch.randn(TRUE, UNITS, generator=draw))
        chosen = torch.rand(8192, TRUE, generator=draw).topk(3).indices
        strength = torch.zeros(len(chosen), TRUE)
        strength.scatter_(1, chosen, 0.5 + torch.rand(chosen.shape, generator=draw))
        self.rows = strength @ self.directions
        self.labels = torch.zeros(len(self.rows), dtype=torch.long)

    def train_batches(self, examples=None):
        return Batches(self.rows, self.labels, in_order(len(self.rows), 1024, examples))

    def train_dataloader(self):
        return Batches(self.rows, self.labels, shuffled(len(self.rows), 512, 0))

    def val_dataloader(self):
        return self.train_batches(1024)


class Bare(pl.LightningDataModule):
    def train_dataloader(self):
        return [(torch.randn(4, 1, 8, 8), torch.zeros(4, dtype=torch.long))]

    val_dataloader = train_dataloader


def through():
    network = nn.Sequential(nn.Identity(), nn.Linear(UNITS, 2))
    network.input_shape = (UNITS,)
    return network


@pytest.mark.parametrize(("k", "penalty"), [(3, 0.0), (None, 0.1)])
def test_planted_directions_are_found(fit, k, penalty):
    data = Planted()
    dictionary = Dictionary(UNITS, 2 * TRUE, k=k)
    task = SparseAutoencoder(through(), "0", dictionary, penalty=penalty, lr=0.01)
    trainer = fit(task, data, epochs=20)
    likeness = (data.directions @ dictionary.decoder.detach()).max(1).values
    assert likeness.min() > 0.95
    assert trainer.callback_metrics["val/unexplained"] < 0.1


class Lengths(pl.Callback):
    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, trainer, module, *_):
        self.seen.append(module.dictionary.decoder.detach().norm(dim=0))


def test_directions_have_length_one_after_every_step_and_the_network_stays(
    small_network, spots, fit
):
    network, lengths = small_network(0), Lengths()
    before = network_sha256(network)
    task = SparseAutoencoder(network, "bn1", Dictionary(4, 12), rows=100)
    trainer = fit(task, spots(), epochs=3, callbacks=[lengths])
    assert torch.allclose(torch.stack(lengths.seen), torch.ones(len(lengths.seen), 12))
    assert len(lengths.seen) == 15
    assert network_sha256(network) == before
    assert not any(module.training for module in network.modules())
    assert trainer.callback_metrics["val/unexplained"] > 0


def trained(small_network, spots, fit, seed=0, **options):
    dictionary = Dictionary(6, 18, k=3, seed=seed)
    fit(SparseAutoencoder(small_network(0), "bn2", dictionary, seed=seed, **options), spots(), 3)
    return dictionary.decoder.detach()


def test_the_same_seed_gives_the_same_dictionary_bit_for_bit(small_network, spots, fit):
    first = trained(small_network, spots, fit, rows=50)
    torch.rand(3)
    assert torch.equal(trained(small_network, spots, fit, rows=50), first)
    assert not torch.equal(trained(small_network, spots, fit, rows=50, seed=1), first)


def test_features_that_an_epoch_did_not_need_are_resampled_until_the_last_third(fit):
    data, revived = Planted(), []

    class Kill(pl.Callback):
        """Makes one feature dead at the start of each epoch."""

        def on_train_epoch_start(self, trainer, module):
            module.dictionary.encoder_bias.data[5] = -100

        def on_train_epoch_end(self, trainer, module):
            revived.append(module.dictionary.encoder_bias[5].item() == 0)

    task = SparseAutoencoder(through(), "0", Dictionary(UNITS, 40, k=4))
    fit(task, data, epochs=6, callbacks=[Kill()], limit_train_batches=4)
    assert revived == [True] * 4 + [False] * 2


@pytest.mark.parametrize("k", [3, None])
def test_resampled_features_disturb_nothing_at_first(fit, k):
    data = Planted()
    dictionary = Dictionary(UNITS, 2 * TRUE, k=k)
    fit(SparseAutoencoder(through(), "0", dictionary, lr=0.01), data, epochs=3)

    def error():
        return ((data.rows - dictionary(data.rows)) / dictionary.scale).square().sum(1).mean()

    dead = torch.arange(2 * TRUE) % 3 == 0
    with torch.no_grad():
        dictionary.encoder_bias[dead] = -100
        before = error()
        resample(dictionary, dead, data.rows, generator=torch.Generator().manual_seed(0))
        assert error() < 1.05 * before


@pytest.mark.parametrize("steps", [2, 8])
def test_short_training_ends_no_worse_with_resampling_than_without(fit, monkeypatch, steps):
    def unexplained():
        task = SparseAutoencoder(through(), "0", Dictionary(UNITS, 4 * UNITS, k=3))
        trainer = fit(task, Planted(), epochs=6, limit_train_batches=steps)
        return trainer.callback_metrics["val/unexplained"]

    with_it = unexplained()
    monkeypatch.setattr("frankenstein.tasks.sparse_autoencoder.resample", lambda *_: None)
    assert with_it <= 1.01 * unexplained()


def test_a_checkpoint_holds_the_dictionary_alone(small_network, spots, fit):
    task = SparseAutoencoder(small_network(0), "bn1", Dictionary(4, 12))
    trainer = fit(task, spots())
    assert all(
        name.split(".")[0] in ("dictionary", "active")
        for name in trainer._checkpoint_connector.dump_checkpoint()["state_dict"]
    )


def test_a_dictionary_of_other_units_and_a_layer_that_is_none_are_refused(small_network):
    with pytest.raises(ShapeError, match="layer 'bn1' has 4 units and the dictionary 5"):
        SparseAutoencoder(small_network(0), "bn1", Dictionary(5, 12))
    with pytest.raises(LayerError, match="no layer"):
        SparseAutoencoder(small_network(0), "bn9", Dictionary(4, 12))


def test_data_that_cannot_say_its_mean_are_refused(small_network, fit):
    task = SparseAutoencoder(small_network(0), "bn1", Dictionary(4, 12))
    with pytest.raises(UserError, match="come from the data module's train_batches"):
        fit(task, Bare())
