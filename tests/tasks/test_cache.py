import importlib.util
import re
from pathlib import Path

import pytest
import torch

from frankenstein.data.batches import shuffled
from frankenstein.memory import free_memory
from frankenstein.stitches import Affine
from frankenstein.tasks import (
    Stitching,
    Unaugmented,
    cka_regularized,
    direct_mse,
    target_objective,
    task_loss,
)

# Frozen networks are in evaluation mode by design.
pytestmark = pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training")

OBJECTIVES = {
    "task": task_loss,
    "direct": direct_mse,
    "both": cka_regularized(task_loss, -1.0),
    "teachers": target_objective("soft_12"),
}


@pytest.fixture
def pair(small_network):
    return small_network(0), small_network(1)


@pytest.fixture
def stitching(pair):
    def make(objective=task_loss):
        torch.manual_seed(5)
        return Stitching(*pair, "relu1", "relu1", stitch=Affine(4, 4), objective=objective)

    return make


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("batch_size", [32, 48])  # 160 images: a whole number of batches, or not
@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_what_is_kept_changes_no_bit_of_the_stitch(stitching, spots, fit, objective, batch_size):
    plain = stitching(objective)
    fit(plain, spots(batch_size), epochs=2, limit_val_batches=0)  # spots know no augmentation
    for share in (0.5, 0.0):
        task = stitching(objective)
        data = Unaugmented(spots(batch_size), task, share, lambda text: None)
        fit(task, data, epochs=2, limit_val_batches=0)
        assert same(task.stitch, plain.stitch)


def test_a_front_half_sees_each_image_once_and_only_if_it_is_needed(stitching, spots, fit, pair):
    seen = {"sender": 0, "receiver": 0}
    for name, network in zip(seen, pair, strict=True):
        task = stitching(direct_mse)  # making a cut runs the network, too
        network.conv1.register_forward_hook(
            lambda module, images, output, name=name: seen.update({name: seen[name] + len(output)})
        )
    for objective, expected in ((task_loss, [160, 0]), (direct_mse, [160, 160])):
        task = stitching(objective)
        seen.update(sender=0, receiver=0)
        data = Unaugmented(spots(), task, say=lambda text: None)
        fit(task, data, epochs=3, limit_val_batches=0)
        assert list(seen.values()) == expected


def test_validation_sees_the_data_s_own_images(stitching, spots, fit):
    seen = [fit(stitching(), spots(), epochs=2).callback_metrics]
    task = stitching()
    seen.append(fit(task, Unaugmented(spots(), task, say=list), epochs=2).callback_metrics)
    assert seen[0] == seen[1]


@pytest.mark.parametrize("share", [0.5, 0.0])
def test_images_are_never_augmented(stitching, spots, fit, share):
    def refuse(*_):
        raise AssertionError("augmented")

    task, images = stitching(), spots()
    images.augment = refuse
    fit(task, Unaugmented(images, task, share, list), epochs=2)


@pytest.mark.parametrize(
    ("objective", "share", "expected"),
    [
        (task_loss, 0.5, r"the sender's representations of 160 .* x 576 bytes = 0 MB, .*: kept"),
        (direct_mse, 0.5, r"the sender's and the receiver's .* x 1,152 bytes = .*: kept"),
        (task_loss, 0.0, r".*, of 0 MB that may be taken: not kept, computed anew for every batch"),
    ],
)
def test_the_size_is_said_and_whether_it_fits(stitching, spots, fit, objective, share, expected):
    said, task = [], stitching(objective)
    fit(task, Unaugmented(spots(), task, share, said.append), epochs=2, limit_val_batches=0)
    assert len(said) == 1
    assert re.fullmatch(expected, said[0])


def test_one_epoch_needs_nothing_twice(stitching, spots, fit):
    said, task = [], stitching()
    fit(task, Unaugmented(spots(), task, say=said.append), epochs=1)
    assert said == []


def test_memory_is_taken_while_training_lasts_and_no_longer(stitching, spots, fit):
    task = stitching()
    data = Unaugmented(spots(), task, say=list)
    held = []
    task.on_train_start = lambda: held.extend(data._kept)
    fit(task, data, epochs=2)
    assert held == ["source"]
    assert data._kept == {}


def test_there_is_free_memory_for_tests():
    assert free_memory(torch.device("cpu")) > 2**20


def test_the_solved_start_takes_the_data_s_own_images(stitching, spots, fit):
    one, other = stitching(), stitching()
    one.start = other.start = "solved"
    fit(one, spots(), epochs=2)
    fit(other, Unaugmented(spots(), other, say=list), epochs=2)
    assert same(one.stitch, other.stitch)


@pytest.mark.filterwarnings("ignore:.*bf16")
def test_half_precision_is_kept_as_such(stitching, spots, fit):
    said, stitches = [], []
    for share in (0.5, 0.0):
        task = stitching()
        data = Unaugmented(spots(), task, share, said.append)
        fit(task, data, epochs=2, precision="bf16-mixed", limit_val_batches=0)
        stitches.append(task.stitch)
    assert "x 288 bytes" in said[0]
    assert same(*stitches)


def test_halves_and_caches_lead_where_whole_networks_with_hooks_do_bit_for_bit(pair, monkeypatch):
    path = Path(__file__).parents[2] / "benchmarks" / "stitching_step.py"
    monkeypatch.syspath_prepend(path.parent)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    spec.loader.exec_module(benchmark := importlib.util.module_from_spec(spec))
    images, labels = torch.randn(256, 1, 8, 8), torch.arange(256) % 10
    steps, weights = benchmark.ways(*pair, "bn1", images, labels)
    for epoch in range(20):
        for rows in shuffled(256, 128, order_seed=0)(epoch):
            for step in steps.values():
                step(rows)
    whole, *ours = [weight() for weight in weights.values()]
    assert len(ours) == 2
    assert all(torch.equal(weight, whole) for weight in ours)
