"""Data with several labels for an image, and networks that tell classes apart, or the other way."""

import json

import pytest
import yaml
from PIL import Image

from frankenstein.stitches import Affine, save_stitch
from frankenstein.zoo import Card, build_network, read_card, save_network

LAYERS = ("relu1", "relu1")


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Makes files of networks of 40 outputs, by what they say that they were trained on."""
    folder = tmp_path_factory.mktemp("kinds")

    def make(dataset, num_classes=40, seed=0):
        path = folder / f"{dataset}-{num_classes}-{seed}.safetensors"
        card = Card("lenet", num_classes, 3, dataset, seed, seed, 1)
        return save_network(path, build_network("lenet", num_classes, 3, seed), card)

    return make


@pytest.fixture
def forty(tmp_path, monkeypatch):
    """Where folders of 40 classes lie, as many as CelebA has labels."""
    image = Image.new("RGB", (4, 4))
    for part in ("train", "val"):
        for i in range(40):
            (tmp_path / "forty" / part / f"{i:02}").mkdir(parents=True)
            image.save(tmp_path / "forty" / part / f"{i:02}" / "a.png")
    monkeypatch.setenv("FRANKENSTEIN_DATA", str(tmp_path / "forty"))


@pytest.fixture
def no_work(forty, tmp_path):
    """Nothing of a data set can be read: images are none, and of CelebA there is nothing."""
    for path in (tmp_path / "forty").rglob("a.png"):
        path.write_text("no image")


WORK = {
    "stitch": lambda one, other: ("stitch", one, other, *LAYERS),
    "matrix": lambda one, other: ("stitch", one, other, "--all", "-e", "0"),
    "evaluate": lambda one, _: ("evaluate", one),
    "circuits": lambda one, other: ("analyze", one, other, "--circuits"),
    "merge": lambda one, other: ("analyze", one, other, "--merge"),
    "autoencoder": lambda one, other: ("analyze", one, other, "--autoencoder"),
    "all": lambda one, other: ("analyze", one, other, "--all"),
}


@pytest.mark.parametrize(("data", "trained_on"), [("folder", "celeba"), ("celeba", "folder")])
@pytest.mark.parametrize("work", WORK)
def test_data_of_another_kind_of_label_is_refused_before_it_is_read(
    mistake, networks, no_work, work, data, trained_on
):
    pair = networks(trained_on), networks(trained_on, seed=1)
    said = mistake(*WORK[work](*pair), "-d", data)
    kinds = {"celeba": "several labels for each image", "folder": "one class for each image"}
    assert f"{data} has {kinds[data]}, and the " in said
    assert f" was trained on {trained_on}, which has {kinds[trained_on]}; choose the" in said


@pytest.mark.parametrize("kinds", [("celeba", "folder"), ("folder", "celeba")])
def test_networks_of_two_kinds_of_label_are_not_stitched(mistake, networks, no_work, kinds):
    pair = [networks(dataset) for dataset in kinds]
    for words in (LAYERS, ("--all",)):
        said = mistake("stitch", *pair, *words)
        assert f"the sender was trained on {kinds[0]}, which has " in said
        assert f"and the receiver on {kinds[1]}, which has " in said
    said = mistake("analyze", *pair, "--merge")
    assert f"{kinds[1]} has " in said
    assert f"and the sender was trained on {kinds[0]}, which has " in said


def test_a_run_is_not_evaluated_on_data_of_another_kind_of_label(
    mistake, networks, no_work, tmp_path
):
    pair = [str(networks("celeba", seed=seed)) for seed in (0, 1)]
    folder = tmp_path / "made"
    folder.mkdir()
    options = dict(zip(("sender", "receiver", "sender_layer"), (*pair, "relu1"), strict=True))
    (folder / "config.yaml").write_text(yaml.safe_dump(options | {"receiver_layer": "relu1"}))
    for kind in ("before", "after", "ps_inv"):
        save_stitch(folder / f"{kind}.safetensors", Affine(6, 6), {})
    words = ("evaluate", folder, "--other-networks", "-d", "folder")
    assert "folder has one class for each image, and the receiver was" in mistake(*words)


def test_analyze_refuses_data_of_other_classes_than_a_network_tells_apart(mistake, networks):
    pair = networks("cifar10", 10), networks("cifar100", 100)
    said = mistake("analyze", *pair, "--circuits", "-d", "cifar100")
    assert "cifar100 has 100 classes, and the sender tells 10 apart; choose the --dataset" in said


def test_networks_of_two_kinds_are_compared_and_only_one_of_them_has_an_accuracy(
    run, saved, tmp_path
):
    digits = saved("lenet")
    card = Card("lenet", 10, 1, "celeba", 0, 0, 1)  # as many labels as digits has classes
    other = save_network(tmp_path / "a.safetensors", build_network("lenet", 10, 1, 0), card)
    folder = run("compare", digits, other, *LAYERS, "linear_cka", "-d", "digits")
    scores = json.loads((folder / "summary.json").read_text())
    accuracies = {"accuracy/sender", "accuracy/most_frequent"}
    assert set(scores) == {"linear_cka/relu1/relu1", *accuracies}


def test_a_network_is_trained_with_as_many_outputs_as_the_data_asks_and_says_which(run, forty):
    words = ("-m", "lenet", "-d", "folder", "-b", "4", "-e", "1", "-lr", "0.01")
    card = read_card(run("train", *words) / "network.safetensors")
    assert (card.dataset, card.num_classes) == ("folder", 40)
