"""Both networks are what they were, to the last bit, whatever stitch is trained between them."""

import copy

import pytest
import pytorch_lightning as pl
import torch

from frankenstein.catalog import STITCHES
from frankenstein.surgery import join
from frankenstein.tasks import Stitching, StitchingTogether
from frankenstein.zoo import network_sha256

OPTIONS = {"low_rank": {"rank": 2}, "sparse": {"l1": 0.1}, "matched": {"rule": "match"}}

# Frozen networks are in evaluation mode by design.
pytestmark = pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training")


class Meddler(pl.Callback):
    """User code that calls train(), and asks for gradients, wherever it can."""

    def on_fit_start(self, trainer, module):
        module.train()
        for parameter in module.parameters():
            parameter.requires_grad_(True)

    def on_train_batch_start(self, trainer, module, *_):
        module.train()

    def on_validation_batch_start(self, trainer, module, *_):
        module.train()


def stitch(family, in_channels, out_channels):
    return STITCHES[family](in_channels, out_channels, **OPTIONS.get(family, {}))


@pytest.mark.parametrize("start", ["random", "solved"])
@pytest.mark.parametrize("family", [name for name, row in STITCHES.items() if row.from_sums])
def test_frozen_networks_are_hash_equal_after_every_kind_of_stitch(
    small_network, spots, fit, family, start
):
    pair = small_network(0), small_network(1)
    before = [network_sha256(network) for network in pair]
    task = Stitching(
        *pair, "relu1", "bn1", stitch(family, 4, 4), start=start, optimizer="sgd", weight_decay=0.1
    )
    start = copy.deepcopy(task.stitch.state_dict())
    trainable = STITCHES[family].trainable
    fit(task, spots(), epochs=2, only_validate=not trainable, callbacks=[Meddler()])
    assert [network_sha256(network) for network in pair] == before
    same = [torch.equal(one, start[name]) for name, one in task.stitch.state_dict().items()]
    assert all(same) != trainable


@pytest.mark.parametrize("family", [name for name, row in STITCHES.items() if row.trainable])
def test_and_after_stitches_that_are_trained_together(small_network, spots, fit, family):
    pair = small_network(0), small_network(1)
    before = [network_sha256(network) for network in pair]
    layers = ("bn1", "relu1")
    for network in pair:
        network.requires_grad_(False).eval()
    joints = {layer: join(*pair, "relu1", layer) for layer in layers}
    task = StitchingTogether(
        joints["bn1"].sender,
        {layer: joint.receiver for layer, joint in joints.items()},
        {layer: joint.align for layer, joint in joints.items()},
        {layer: stitch(family, 4, 4) for layer in layers},
        torch.nn.Identity(),
        optimizer="sgd",
        weight_decay=0.1,
    )
    fit(task, spots(), epochs=2, callbacks=[Meddler()])
    assert [network_sha256(network) for network in pair] == before
