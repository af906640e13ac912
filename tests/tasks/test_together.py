import pytest
import torch
from torch import nn

from frankenstein.stitches import Affine
from frankenstein.surgery import Cut, capture, join
from frankenstein.tasks import Stitching, cka_regularized, target_objective
from frankenstein.tasks.together import StitchingTogether


@pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training")
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("target_type", ["hard", "soft_12"])
def test_trained_together_is_trained_alone_bit_for_bit(
    small_network, spots, fit, target_type, optimizer
):
    sender, receiver = small_network(0), small_network(1)
    objective = cka_regularized(target_objective(target_type), -0.1)
    options = {"objective": objective, "lr": 0.01, "optimizer": optimizer}
    layers = {"bn1": 4, "relu2": 6}

    def stitch(layer):
        torch.manual_seed(7)
        return Affine(4, layers[layer])

    together = {layer: stitch(layer) for layer in layers}
    joints = {layer: join(sender, receiver, "relu1", layer) for layer in layers}
    ran = []
    for network in (sender, receiver):
        network.requires_grad_(False).eval()
    handle = sender.conv1.register_forward_hook(lambda *_: ran.append(1))
    task = StitchingTogether(
        joints["bn1"].sender,
        {layer: Cut(nn.Identity(), joint.receiver.end) for layer, joint in joints.items()},
        {layer: joint.align for layer, joint in joints.items()},
        together,
        capture(receiver, list(layers)),
        **options,
    )
    data = spots()
    fit(task, data, epochs=3, limit_val_batches=0)
    assert len(ran) == 3 * len(data.shuffled_batches())
    handle.remove()
    for layer in layers:
        alone = Stitching(sender, receiver, "relu1", layer, stitch(layer), **options)
        fit(alone, spots(), epochs=3, limit_val_batches=0)
        for mine, theirs in zip(
            together[layer].parameters(), alone.stitch.parameters(), strict=True
        ):
            assert torch.equal(mine, theirs)
        assert not torch.equal(alone.stitch.weight, stitch(layer).weight)
