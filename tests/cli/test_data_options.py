"""Data sets that are no tensors of ten classes, through the real command line."""

import json

import pytest
import torch
from PIL import Image

from frankenstein.cli import main
from frankenstein.data import CelebA
from frankenstein.data.preprocessing import IMAGENET
from frankenstein.errors import PlanError
from frankenstein.networks import data_for, open_network
from frankenstein.similarity import ComparePlan
from frankenstein.zoo import Card, build_network, save_network

LENET = ("-m", "lenet", "-b", "4", "-e", "1", "-lr", "0.01")


def save(path, shape=(40, 40)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = torch.randint(256, (*shape, 3), dtype=torch.uint8)
    Image.fromarray(pixels.numpy()).save(path)


@pytest.fixture
def photographs(tmp_path):
    """A folder of images of three classes."""
    for part in ("train", "val"):
        for name in ("ant", "bee", "fly"):
            for i in range(4):
                save(tmp_path / "photographs" / part / name / f"{i}.png")
    return tmp_path / "photographs"


@pytest.fixture
def faces(tmp_path):
    """A folder that holds sixteen faces of CelebA."""
    folder = tmp_path / "faces" / "celeba"
    names = [f"{i:06}.jpg" for i in range(1, 17)]
    for name in names:
        save(folder / "img_align_celeba" / name, (218, 178))
    rows = [
        " ".join(str(sign) for sign in (torch.randint(2, (40,)) * 2 - 1).tolist()) for _ in names
    ]
    attributes = [f"{name} {row}" for name, row in zip(names, rows, strict=True)]
    lines = ["16", " ".join(CelebA.classes), *attributes]
    (folder / "list_attr_celeba.txt").write_text("\n".join(lines))
    parts = [f"{name} {0 if i < 8 else 2}" for i, name in enumerate(names)]
    (folder / "list_eval_partition.txt").write_text("\n".join(parts))
    return folder.parent


def test_the_environment_says_where_data_lies_and_an_option_wins(
    run, photographs, monkeypatch, tmp_path
):
    monkeypatch.setenv("FRANKENSTEIN_DATA", str(photographs))
    run("train", *LENET, "-d", "folder")
    monkeypatch.setenv("FRANKENSTEIN_DATA", str(tmp_path / "nowhere"))
    run("train", *LENET, "-d", "folder", "--data-root", photographs)


def test_a_saved_network_still_sees_what_the_weights_it_started_from_prescribe(
    photographs, tmp_path
):
    name, weights = "torchvision/squeezenet1_1", "SqueezeNet1_1_Weights.IMAGENET1K_V1"
    card = Card(name, 3, 3, "folder", 0, 0, 1, image_size=48, weights=weights)
    path = save_network(tmp_path / "fine.safetensors", build_network(name, 3, 3, 0, 48), card)
    data = data_for(open_network(str(path)), "folder", str(photographs), batch_size=4)
    assert data.preprocessing == IMAGENET
    assert (data.image_size, data.resize) == (48, 55)


def test_an_absent_folder_is_one_line(mistake):
    said = mistake("train", *LENET, "-d", "folder", "--data-root", "nowhere")
    assert "there is no nowhere; --data-root is a folder with images in train/<class>/" in said


def test_networks_of_several_labels_are_trained_and_stitched(run, faces):
    where = ("-d", "celeba", "--data-root", faces)
    few = ("--untrained", "1")
    networks = [run("train", *LENET, *where, "-i", seed) / "network.safetensors" for seed in (0, 1)]
    stitched = run("stitch", *networks, "relu1", "relu1", *where, "-b", "4", "-e", "1", *few)
    scores = json.loads((stitched / "summary.json").read_text())
    for name in ("accuracy/receiver", "accuracy/after", "agreement/ps_inv"):
        assert 0 < scores[name] * 8 * 40 == pytest.approx(round(scores[name] * 8 * 40))
    assert (stitched / "report.md").exists()


@pytest.mark.parametrize("verb", ["train", "stitch", "stitch --all", "analyze"])
def test_a_damaged_photograph_is_told_before_training(mistake, photographs, tmp_path, verb):
    path = photographs / "val" / "bee" / "3.png"
    path.write_bytes(path.read_bytes()[:-40])
    options = ("-b", "4", "-e", "1", "-d", "folder", "--data-root", photographs)
    if verb == "train":
        said = mistake(verb, "-m", "lenet", *options)
    else:
        network = tmp_path / "network.safetensors"
        card = Card("lenet", 3, 3, "folder", 0, 0, 0)
        save_network(network, build_network("lenet", 3, 3), card)
        options = options[4:] if verb == "analyze" else options
        layers = {"stitch": ("pool1", "pool1"), "analyze": ("pool1", "--autoencoder")}
        words = (*verb.split()[:1], network, network, *layers.get(verb, ("--all",)))
        said = mistake(*words, *options)
    assert f"image folder: 1 of 24 images cannot be read: {path} (" in said


def test_photographs_are_read_through_once_with_a_bar(
    photographs, few_digits, capsys, monkeypatch, tmp_path
):
    monkeypatch.setenv("FRANKENSTEIN_CACHE", str(tmp_path / "memory"))
    monkeypatch.setenv("COLUMNS", "80")
    words = ["train", *LENET, "-d", "folder", "--data-root", str(photographs)]
    for times in (1, 0):
        assert main([*words, "--accelerator", "cpu"]) == 0
        said = capsys.readouterr().out
        assert ("reading each new image once" in said) == bool(times)


def test_a_folder_or_a_file_of_sentences_stands_where_data_sets_are_named(tmp_path):
    def plan(dataset, **more):
        return ComparePlan(sender="a", receiver="b", dataset=dataset, **more)

    folder, file = str(tmp_path), str(tmp_path / "some.csv")
    assert (plan(folder).dataset, plan(folder).data_root) == ("folder", folder)
    assert (plan(file).dataset, plan(file).texts) == ("text", [file])
    assert plan("my_data.py:rows").dataset == "my_data.py:rows"
    with pytest.raises(PlanError, match="are two places of one; say one of them"):
        plan(file, text="other.txt")
