"""Objectives that follow a stitch behind the cut, and training by one objective after another."""

import pytest
import torch
from torch import nn

from frankenstein.errors import UserError
from frankenstein.stitches import Affine
from frankenstein.surgery import cut, join
from frankenstein.surgery.capture import OUTPUT, capture
from frankenstein.surgery.key_layers import later_layers, penultimate_layer
from frankenstein.surgery.read import Reader
from frankenstein.tasks import Pass, Stitching, Unaugmented, cka_regularized, direct_mse, task_loss
from frankenstein.tasks.objectives.final_features import final_features
from frankenstein.tasks.objectives.latent_alignment import latent_alignment
from frankenstein.tasks.objectives.unexplained import unexplained
from frankenstein.tasks.together import StitchingTogether

pytestmark = pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training")
LATER = ("bn2", "flatten")


@pytest.fixture
def networks(small_network):
    return small_network(0).double(), small_network(1, widths=(5, 6)).double()


@pytest.fixture
def batch(networks):
    """A pass in float64 that follows the receiver to its logits."""
    sender, receiver = (cut(network, after="relu1") for network in networks)
    images, labels = torch.randn(7, 1, 8, 8).double(), torch.arange(7)
    behind = Reader.of_end(receiver.end, [*LATER, OUTPUT])
    stitch = Affine(4, 5).double()
    return Pass(images, labels, sender, stitch, receiver, nn.Identity(), behind)


def share_left(stitched, target):
    """Squared error over variance about units' means, from the definition."""
    x, y = (z.movedim(1, -1).reshape(-1, z.shape[1]) for z in (stitched, target))
    return ((x - y) ** 2).sum() / ((y - y.mean(0)) ** 2).sum()


def by_hand(network, z):
    """The layers that follow relu1, by the network's own modules."""
    bn2 = network.bn2(network.conv2(z))
    features = network.relu2(bn2).flatten(1)
    return bn2, features, network.fc(features)


def test_the_layers_behind_a_cut_end_with_those_that_answers_are_read_from(networks):
    receiver = networks[1]
    assert penultimate_layer(receiver) == "flatten"
    assert later_layers(receiver, "relu1") == LATER
    assert later_layers(receiver, "bn2") == ("flatten",)
    assert later_layers(receiver, "flatten") == later_layers(receiver, "fc") == ()


def test_the_whole_output_can_be_captured_beside_layers(networks):
    images = torch.randn(3, 1, 8, 8).double()
    found = capture(networks[0], ["bn1", OUTPUT])(images)
    assert torch.equal(found[OUTPUT], networks[0](images))
    assert [*found] == ["bn1", OUTPUT]


def test_objectives_are_shares_of_variance_left_at_each_layer(batch, networks):
    with torch.no_grad():
        stitched = by_hand(networks[1], batch.stitched)
        target = by_hand(networks[1], batch.target)
        left = [share_left(*pair) for pair in zip(stitched, target, strict=True)]
        left.insert(0, share_left(batch.stitched, batch.target))
    torch.testing.assert_close(final_features(LATER)(batch), left[2], check_dtype=False)
    found = latent_alignment(LATER)(batch)
    torch.testing.assert_close(found, sum(left) / 4)
    found = latent_alignment(LATER, [3, 1, 0, 0.5])(batch)
    torch.testing.assert_close(found, (3 * left[0] + left[1] + 0.5 * left[3]) / 4.5)
    torch.testing.assert_close(batch.logits, stitched[2])


@pytest.mark.parametrize(
    "objective",
    [final_features(LATER), latent_alignment(LATER), latent_alignment(LATER, [0, 2, 1, 1])],
    ids=["final", "all", "weighted"],
)
def test_the_gradient_is_exact(objective, batch):
    weight = batch.stitch.weight

    def again():
        parts = batch.images, batch.labels, batch.sender, batch.stitch, batch.receiver
        return Pass(*parts, batch.align, batch.behind)

    objective(batch).backward()
    direction, values = torch.randn_like(weight), []
    for sign in (1, -1):
        with torch.no_grad():
            weight += sign * 1e-6 * direction
            values.append(objective(again()).item())
            weight -= sign * 1e-6 * direction
    expected = (values[0] - values[1]) / 2e-6
    assert (weight.grad * direction).sum().item() == pytest.approx(expected, rel=1e-6)


def test_a_target_that_does_not_vary_gives_the_plain_error():
    x, y = torch.full((4, 2), 3.0), torch.ones(4, 2)
    assert unexplained(x, y) == 4


def test_later_layers_come_from_the_pass_that_the_logits_need(small_network, calls):
    sender, receiver = small_network(0), small_network(1)
    task = Stitching(
        sender,
        receiver,
        "relu1",
        "relu1",
        Affine(4, 4),
        objective=cka_regularized(latent_alignment(LATER), -0.1),
        later=LATER,
    )
    happened = calls(sender=sender.conv1, front=receiver.conv1, end=receiver.conv2)
    now = task.one_pass((torch.randn(4, 1, 8, 8), torch.arange(4)))
    task.objective(now) + task_loss(now)
    assert sorted(happened) == ["end", "end", "front", "sender"]


def test_weights_are_one_for_each_layer_and_not_all_0(batch):
    with pytest.raises(UserError, match=r"the cut, bn2, flatten, the logits: 4, got 2"):
        latent_alignment(LATER, [1, 2])
    with pytest.raises(UserError, match="not all 0"):
        latent_alignment(LATER, [0, 0, 0, 0])
    alone = Pass(batch.images, batch.labels, batch.sender, batch.stitch, batch.receiver)
    with pytest.raises(UserError, match="follows 'flatten' behind the cut; name it in `later`"):
        final_features(LATER)(alone)


@pytest.mark.parametrize("layer", ["flatten", "fc"])
def test_where_no_key_layer_lies_behind_the_cut_and_the_logits_are_aligned(networks, layer):
    sender, receiver = (cut(network, after=layer) for network in networks)
    units = [
        halves.front(torch.zeros(1, 1, 8, 8).double()).shape[1] for halves in (sender, receiver)
    ]
    images, labels = torch.randn(7, 1, 8, 8).double(), torch.arange(7)
    now = Pass(images, labels, sender, Affine(*units).double(), receiver)
    answers = receiver.end(now.stitched), receiver.end(now.target)
    left = share_left(now.stitched, now.target), share_left(*answers)
    torch.testing.assert_close(latent_alignment(())(now), sum(left) / 2)


@pytest.mark.parametrize(
    ("objective", "kept"),
    [
        (final_features(LATER), ["source", *(f"target_later/{s}" for s in (*LATER, OUTPUT))]),
        (
            latent_alignment(LATER),
            ["source", "target", *(f"target_later/{s}" for s in (*LATER, OUTPUT))],
        ),
    ],
    ids=["final", "all"],
)
def test_what_is_kept_of_later_layers_changes_no_bit_and_is_no_more_than_needed(
    small_network, spots, fit, objective, kept
):
    def made():
        torch.manual_seed(5)
        pair = small_network(0), small_network(1)
        options = {"objective": (objective, task_loss), "later": LATER}
        return Stitching(*pair, "relu1", "relu1", Affine(4, 4), **options)

    plain, task = made(), made()
    fit(plain, spots(), epochs=2, limit_val_batches=0)
    data, held = Unaugmented(spots(), task, say=list), []
    task.on_train_start = lambda: held.extend(data._kept)
    fit(task, data, epochs=2, limit_val_batches=0)
    assert held == kept
    assert torch.equal(task.stitch.weight, plain.stitch.weight)


def test_one_objective_follows_the_other_from_a_fresh_optimizer_and_the_whole_rate(
    small_network, spots, fit
):
    happened, rates, states = [], [], []

    def named(name, objective):
        def told(batch):
            happened.append(name)
            return objective(batch)

        return told

    stages = named("direct", direct_mse), named("task", task_loss)
    pair = small_network(0), small_network(1)
    task = Stitching(*pair, "relu1", "relu1", Affine(4, 4), objective=stages, lr=0.01)

    def began(_, index):
        if index == 0:
            optimizer = task.optimizers(use_pl_optimizer=False)
            rates.append(optimizer.param_groups[0]["lr"])
            states.append(len(optimizer.state))

    task.on_train_batch_start = began
    data = spots()
    steps = len(data.shuffled_batches())
    fit(task, data, epochs=4, limit_val_batches=0)
    assert happened == ["direct"] * 2 * steps + ["task"] * 2 * steps
    assert rates == pytest.approx([0.01, 0.001, 0.01, 0.001])
    assert states == [0, 2, 0, 2]


def test_followed_together_is_followed_alone_bit_for_bit(small_network, spots, fit):
    sender, receiver = small_network(0), small_network(1)
    for network in (sender, receiver):
        network.requires_grad_(False).eval()
    layers = {"bn1": 4, "relu2": 6}
    later = {layer: later_layers(receiver, layer) for layer in layers}
    objectives = {layer: (latent_alignment(later[layer]), task_loss) for layer in layers}

    def stitch(layer):
        torch.manual_seed(7)
        return Affine(4, layers[layer])

    joints = {layer: join(sender, receiver, "relu1", layer) for layer in layers}
    together = {layer: stitch(layer) for layer in layers}
    task = StitchingTogether(
        joints["bn1"].sender,
        {layer: joint.receiver for layer, joint in joints.items()},
        {layer: joint.align for layer, joint in joints.items()},
        together,
        capture(receiver, list(layers)),
        objective=objectives,
        later=later,
    )
    fit(task, spots(), epochs=2, limit_val_batches=0)
    for layer in layers:
        options = {"objective": objectives[layer], "later": later[layer]}
        alone = Stitching(sender, receiver, "relu1", layer, stitch(layer), **options)
        fit(alone, spots(), epochs=2, limit_val_batches=0)
        assert torch.equal(together[layer].weight, alone.stitch.weight)
        assert not torch.equal(alone.stitch.weight, stitch(layer).weight)
