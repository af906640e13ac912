import pytest
import pytorch_lightning as pl
import torch

from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError
from frankenstein.stitches import Affine, Identity, LowRank, Orthogonal, Permutation, Sparse
from frankenstein.tasks import (
    Stitching,
    cka_regularized,
    direct_cka,
    direct_mse,
    matching_moments,
    task_loss,
)
from frankenstein.zoo import network_sha256

# Frozen networks are in evaluation mode by design.
pytestmark = pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training")


@pytest.fixture
def pair(small_network):
    return small_network(0), small_network(1)


def stitching(pair, stitch=None, layer="relu1", **options):
    stitch = Affine(4, 4) if stitch is None else stitch
    return Stitching(*pair, layer, layer, stitch=stitch, **options)


class Meddler(pl.Callback):
    """Does to the module what user code may do, at every hook."""

    def on_fit_start(self, trainer, module):
        module.unfreeze()

    def on_train_batch_start(self, trainer, module, *_):
        module.train()
        module.frozen.train()

    def on_validation_batch_start(self, trainer, module, *_):
        module.train()


@pytest.mark.parametrize("callbacks", [[], [Meddler()]], ids=["alone", "meddled with"])
@pytest.mark.parametrize("objective", [task_loss, cka_regularized(direct_mse, -1.0)])
def test_both_networks_stay_as_they_are_bit_for_bit(pair, spots, fit, objective, callbacks):
    before = [network_sha256(network) for network in pair]
    task = stitching(pair, objective=objective)
    weight = task.stitch.weight.clone()
    options = {"callbacks": callbacks, "num_sanity_val_steps": 2}
    fit(task, spots(), epochs=2, **options)
    assert [network_sha256(network) for network in pair] == before
    assert not torch.equal(task.stitch.weight, weight)


def test_networks_that_come_in_training_mode_are_frozen_too(pair, spots, fit):
    pair[0].train(), pair[1].train()
    before = [network_sha256(network) for network in pair]
    fit(stitching(pair), spots())
    assert [network_sha256(network) for network in pair] == before


def test_training_mode_is_for_the_stitch_alone(pair):
    task = stitching(pair).train()
    assert task.training
    assert task.stitch.training
    assert not any(m.training for network in pair for m in network.modules())
    assert not any(m.training for m in task.frozen.modules())
    assert not task.eval().training


def test_only_the_stitch_has_gradients_and_is_in_the_optimizer(pair, spots, fit):
    task = stitching(pair)
    trainer = fit(task, spots())
    optimized = [p for group in trainer.optimizers[0].param_groups for p in group["params"]]
    assert {id(p) for p in optimized} == {id(p) for p in task.stitch.parameters()}
    assert [name for name, p in task.named_parameters() if p.requires_grad] == [
        "stitch.weight",
        "stitch.bias",
    ]
    assert all(p.grad is None for network in pair for p in network.parameters())


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (task_loss, {"sender", "receiver's end"}),
        (cka_regularized(task_loss, -1.0), {"sender", "receiver's front", "receiver's end"}),
        (direct_mse, {"sender", "receiver's front"}),
        (direct_cka, {"sender", "receiver's front"}),
    ],
)
def test_training_runs_only_the_halves_that_its_objective_reads(
    pair, spots, fit, calls, objective, expected
):
    happened = calls(
        **{
            "sender": pair[0].conv1,
            "sender's end": pair[0].conv2,
            "receiver's front": pair[1].conv1,
            "receiver's end": pair[1].conv2,
        }
    )
    data = spots()
    trainer = fit(stitching(pair, objective=objective), data, limit_val_batches=0)
    happened = happened[-len(expected) * trainer.global_step :]  # without what making the cut ran
    assert set(happened) == expected
    assert all(happened.count(half) == trainer.global_step for half in expected)


@pytest.mark.parametrize("layer", ["conv1", "bn1", "relu1", "conv2", "bn2", "relu2"])
def test_a_network_stitched_to_itself_with_identity_has_its_own_logits(small_network, layer):
    network, images = small_network(0), torch.randn(9, 1, 8, 8)
    units = 4 if layer.endswith("1") else 6
    task = stitching((network, network), Identity(units, units), layer)
    assert torch.equal(task(images), network(images))


def test_a_network_validated_against_itself_is_as_accurate(small_network, spots, fit):
    network, data = small_network(0), spots()
    task = stitching((network, network), Identity(4, 4))
    seen = fit(task, data, only_validate=True).callback_metrics
    images, labels = (torch.cat(part) for part in zip(*data.val_batches(), strict=True))
    hits = (network(images).argmax(1) == labels).double().mean()
    assert seen["val/accuracy"].item() == pytest.approx(hits.item())


def test_a_checkpoint_holds_the_stitch_alone_and_resumes_it(pair, spots, fit, tmp_path):
    path = tmp_path / "half.ckpt"
    trainer = fit(stitching(pair), spots(), epochs=2, limit_val_batches=0)
    trainer.save_checkpoint(path)
    state = torch.load(path, weights_only=True)["state_dict"]
    assert sorted(state) == ["stitch.bias", "stitch.weight"]

    torch.manual_seed(1)
    resumed = stitching(pair, start="eye")  # is not put back to its start
    assert not torch.equal(resumed.stitch.weight, state["stitch.weight"])
    fit(resumed, spots(), epochs=2, limit_val_batches=0, resume=path)
    assert torch.equal(resumed.stitch.weight, state["stitch.weight"])


def test_the_solved_start_is_direct_matching_over_all_training_images(pair, spots, fit):
    data = spots(eval_batch_size=48)
    task = stitching(pair, start="solved")
    fit(task, data, epochs=0)
    moments = Moments()
    for images, _ in data.train_batches():
        moments.update(task.sender.front(images), task.receiver.front(images))
    expected = Affine(4, 4).solve(moments)
    assert torch.equal(task.stitch.weight, expected.weight)
    assert torch.equal(task.stitch.bias, expected.bias)
    assert torch.equal(
        matching_moments(task.sender.front, task.receiver.front, data.train_batches()).covariance(
            "xy"
        ),
        moments.covariance("xy"),
    )


@pytest.mark.filterwarnings("ignore:You defined a `validation_step`")
def test_the_solved_start_takes_a_plain_loader_as_it_takes_a_data_module(pair, spots, fit):
    data, maps = spots(), []
    data.setup()
    for given in (data, data.train_batches()):
        task = stitching(pair, start="solved", lr=0.0)
        fit(task, given)
        maps.append(torch.cat([part.flatten() for part in task.stitch.affine_map()]))
    torch.testing.assert_close(*maps)


def test_an_unknown_start_is_refused(pair, spots, fit):
    with pytest.raises(UserError, match="unknown start 'zero'; known: random, "):
        fit(stitching(pair, start="zero"), spots())


def test_the_same_seed_gives_the_same_stitch_bit_for_bit(pair, spots, fit):
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        task = stitching(pair, LowRank(4, 4, rank=2), objective=cka_regularized(task_loss, -1.0))
        fit(task, spots(), epochs=2)
        found.append(task.stitch.state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_an_orthogonal_stitch_stays_orthogonal(pair, spots, fit, optimizer):
    task = stitching(pair, Orthogonal(4, 4), lr=0.05, optimizer=optimizer)
    start = task.stitch.weight.detach().clone()
    fit(task, spots(), epochs=2, limit_val_batches=0)
    weight = task.stitch.weight.detach()
    torch.testing.assert_close(weight @ weight.T, torch.eye(4), atol=1e-5, rtol=0)
    assert (weight - start).abs().max() > 0.01


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_sparse_stitch_gets_exact_zeros(pair, spots, fit, optimizer):
    l1 = {"sgd": 2.0, "adam": 0.5}[optimizer]
    task = stitching(pair, Sparse(4, 4, l1), lr=0.03, optimizer=optimizer)
    assert (task.stitch.weight == 0).sum() == 0
    fit(task, spots(), epochs=6, limit_val_batches=0)
    zeros = (task.stitch.weight == 0).sum()
    assert 0 < zeros < 16


@pytest.mark.parametrize("objective", [direct_mse, direct_cka])
def test_direct_matching_by_gradient_comes_nearer_to_the_target(pair, spots, fit, objective):
    data, task = spots(), stitching(pair, objective=objective, lr=0.1)
    before = fit(task, data, only_validate=True).callback_metrics["val/loss"]
    after = fit(task, data, epochs=5).callback_metrics["val/loss"]
    assert after < 0.95 * before


def test_a_family_without_parameters_is_not_trained_but_can_be_validated(pair, spots, fit):
    task = stitching(pair, Permutation(4, 4))
    assert "val/accuracy" in fit(task, spots(), only_validate=True).callback_metrics


def test_representations_are_stitched_and_target(pair):
    task, batch = stitching(pair), (torch.randn(3, 1, 8, 8), torch.arange(3))
    stitched, target = task.representations(batch)
    source, expected = task.sender.front(batch[0]), task.receiver.front(batch[0])
    torch.testing.assert_close(stitched, task.stitch(source))
    assert torch.equal(target, expected)
