"""Networks that see in other ways look at the same images, each as it does by itself."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2.functional import resize

from frankenstein.accumulators.moments import Moments
from frankenstein.catalog import DATASETS
from frankenstein.cli import main
from frankenstein.data import Digits, Preprocessing, preprocessing_from
from frankenstein.data.folder import Folder
from frankenstein.data.images import recoloured, recoloured_numbers
from frankenstein.data.preprocessing import processor_preprocessing
from frankenstein.data.shared import SharedImages
from frankenstein.errors import DataError
from frankenstein.measures import linear_cka
from frankenstein.networks import data_for, open_network
from frankenstein.networks.data import look_of
from frankenstein.questions import open_subject
from frankenstein.similarity.matrices import input_of, similarity_matrix
from frankenstein.surgery import capture

OTHER = Preprocessing(28, 28, (0.2,), (0.7,))
SQUASHED = Preprocessing(20, 20, (0.5,) * 3, (0.25,) * 3, Image.Resampling.BICUBIC, squash=True)
WIDE = Preprocessing(40, 28, (0.4,) * 3, (0.2,) * 3)


@pytest.fixture
def photographs(tmp_path):
    """A folder of images of two classes and several sizes."""
    for part in ("train", "val"):
        for name in ("ant", "bee"):
            for i, size in enumerate([(40, 50), (61, 48), (45, 45)]):
                path = tmp_path / part / name / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = torch.randint(256, (*size, 3), dtype=torch.uint8)
                Image.fromarray(pixels.numpy()).save(path)
    return tmp_path


def alone(make, ways):
    return [make(image_size=size, preprocessing=how) for size, how in ways]


@pytest.mark.parametrize(
    ("ways", "shape"),
    [
        ([(32, None), (28, None)], (1, 8, 8)),
        ([(28, None), (28, OTHER), (8, None)], (1, 8, 8)),
        ([(32, None), (32, OTHER)], (1, 32, 32)),  # one size: resized once
    ],
)
def test_each_network_sees_digits_to_the_last_bit_as_by_itself(ways, shape):
    data = SharedImages(alone(Digits, ways))
    raw, labels = next(iter(data.val_batches(60)))
    assert (
        (raw.dtype, tuple(raw.shape[1:])) == (torch.uint8, data.seen_shape) == (torch.uint8, shape)
    )
    for (size, how), one in zip(ways, alone(Digits, ways), strict=True):
        expected, own_labels = next(iter(one.val_batches(60)))
        assert torch.equal(data.look(size, how)(raw), expected)
        assert torch.equal(labels, own_labels)


def test_a_photograph_is_decoded_once_for_all_networks(photographs, monkeypatch):
    ways = [(28, WIDE), (20, SQUASHED), (28, None)]
    make = partial(Folder, data_root=photographs)
    data = SharedImages(alone(make, ways))
    expected = [next(iter(one.val_batches()))[0] for one in alone(make, ways)]
    opened = []
    opening = Image.open
    monkeypatch.setattr(
        Image, "open", lambda path, **how: opened.append(path) or opening(path, **how)
    )
    raw, _ = next(iter(data.val_batches()))
    assert len(opened) == len(raw) == 6
    assert data.seen_shape == raw.shape[1:]
    for (size, how), images in zip(ways, expected, strict=True):
        assert torch.equal(data.look(size, how)(raw), images)
    assert torch.equal(data.pictures(raw[:2]).float().mean(), raw[:2, : 3 * 1600].float().mean())


def test_images_are_changed_at_random_before_networks_look_at_them(photographs):
    ways = [(28, WIDE), (28, Preprocessing(40, 28, (0.1,) * 3, (0.9,) * 3))]
    data = SharedImages(alone(partial(Folder, data_root=photographs), ways))
    changed = data.augment(next(iter(data.val_batches()))[0], torch.Generator().manual_seed(0))
    one, other = (data.look(size, how)(changed) for size, how in ways)
    assert one.shape == other.shape == (6, 3, 28, 28)
    torch.testing.assert_close(one * 0.2 + 0.4, other * 0.9 + 0.1)
    several = SharedImages(
        alone(partial(Folder, data_root=photographs), [(28, WIDE), (20, SQUASHED)])
    )
    several.setup()
    with pytest.raises(
        DataError, match="read in 2 sizes for these networks, and cannot be changed"
    ):
        several.augment(changed, torch.Generator())


def test_data_of_one_network_are_refused_to_another():
    data = Digits(image_size=32)
    assert data.look(32, None) is data.look(32, Preprocessing(32, 32, data.mean, data.std)) is None
    with pytest.raises(
        DataError, match=r"prepared as 32 x 32 pixels, mean 0\.3054, std 0\.376, and a n"
    ):
        data.look(32, OTHER)
    with pytest.raises(DataError, match="is not shared by a network that sees 8 x 8"):
        SharedImages(alone(Digits, [(32, None), (28, None)])).look(8, None)


def accuracies(folder):
    numbers = json.loads((folder / "summary.json").read_text())
    return numbers["accuracy/sender"], numbers["accuracy/receiver"]


def test_every_verb_takes_networks_of_other_sizes_and_each_is_as_good_as_by_itself(run, saved):
    pair, few = (saved("lenet", 0), saved("mlp", 1)), ("--untrained", "1")
    expected = tuple(
        json.loads((run("evaluate", one) / "summary.json").read_text())["accuracy"] for one in pair
    )
    assert accuracies(run("compare", *pair, "fc1,relu1", "fc1", "deconfounded_cka")) == expected
    assert accuracies(run("analyze", *pair, "fc1", "fc1", "--units", "-n", "60", *few)) == expected
    stitched = run("stitch", *pair, "fc1", "fc2", "-e", "1", *few)
    assert accuracies(stitched) == expected
    assert accuracies(run("evaluate", stitched)) == expected
    assert run("compare", stitched, "linear_cka").is_dir()
    lists = ("--sender-layers", "fc1", "--receiver-layers", "fc2")
    run("stitch", *pair, *lists, "-e", "1", *few)


def test_a_network_of_grey_and_one_of_colours_see_the_same_images(run, saved):
    pair = saved("lenet", 0), saved("lenet", 1, in_channels=3, dataset="cifar10")
    words = "compare", *pair, "relu1", "relu1", "linear_cka", "-d", "digits"
    record = json.loads((run(*words) / "run.json").read_text())
    sender, receiver = record["eyes"]["sender"], record["eyes"]["receiver"]
    assert sender == "32 x 32 pixels, mean 0.3054, std 0.376 (the data set's own)"
    assert receiver.endswith("std 0.376, 0.376, 0.376, grey in all channels (the data set's own)")
    networks = [open_network(path, role) for path, role in zip(pair, ("a", "b"), strict=True)]
    data = data_for(networks, "digits")
    grey, _ = next(iter(DATASETS["digits"](image_size=32).val_batches(20)))
    raw, _ = next(iter(data.val_batches(20)))
    looks = [look_of(network, data)(raw) for network in networks]
    assert torch.equal(looks[0], grey)
    assert torch.equal(looks[1], grey.expand(-1, 3, -1, -1))
    run("stitch", *pair, "relu1", "relu1", "-d", "digits", "-e", "0", "--untrained", "1")


def test_a_subject_of_files_reads_each_network_as_it_sees(saved):
    pair = saved("lenet", 0), saved("mlp", 1)
    subject = open_subject(*pair, "fc1", "fc1", dataset="digits", examples=40)
    images, _ = next(iter(Digits(image_size=28, eval_batch_size=40).val_batches(40)))
    expected = open_network(pair[1]).module.fc1(images.flatten(1))
    torch.testing.assert_close(subject.val.of["receiver"]["fc1"], expected)


def test_networks_and_their_data_make_a_matrix_in_which_each_sees_as_it_does(saved):
    pair = open_network(saved("lenet", 0), "sender"), open_network(saved("mlp", 1), "receiver")
    data = data_for(pair, "digits")
    of_both = similarity_matrix(*pair, data, "linear_cka", "fc1", "fc1")
    moments = Moments()
    ours, theirs = (data_for(one, "digits").val_batches() for one in pair)
    read = capture(pair[0].module, "fc1"), capture(pair[1].module, "fc1")
    for (images, _), (others, _) in zip(ours, theirs, strict=True):
        moments.update(read[0](images)["fc1"], read[1](others)["fc1"])
    assert of_both["fc1", "fc1"] == pytest.approx(float(linear_cka(moments)), abs=1e-6)


def test_data_are_shared_by_networks_that_see_in_other_ways(saved):
    one = open_network(saved("lenet", 0), "sender")
    other = replace(one, sees=OTHER)
    data = data_for([one, other], "digits")
    expected, _ = next(iter(data_for(other, "digits").val_batches(20)))
    raw, _ = next(iter(data.val_batches(20)))
    assert torch.equal(look_of(other, data)(raw), expected)


def test_a_mask_goes_with_its_tokens():
    batch = {"input_ids": torch.ones(4, 3).long(), "attention_mask": torch.ones(4, 3)}
    assert input_of(batch).kwargs == batch


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ([0.5, 0.5], "mine is a dict of mean and std .* got list"),
        ({"mean": 0.5, "std": 0.5}, "mine has no size, and no data set says it: add size"),
        ({"mean": 0.5, "size": 8}, "got mean, size"),
        ({"mean": 0.5, "std": 0.0, "size": 8}, "stds above 0"),
        ({"mean": [0.5, 0.5], "std": 0.5, "size": 8}, "as many means as stds"),
        ({"mean": "grey", "std": 0.5, "size": 8}, "could not convert"),
        ({"mean": 0.5, "std": 0.5, "size": 8, "crop": 7}, "got mean, std, size, crop"),
    ],
)
def test_a_preprocessing_that_says_too_little_or_too_much_is_one_line(facts, text):
    with pytest.raises(DataError, match=text):
        preprocessing_from(facts, "mine")


def test_image_processors_of_transformers_are_understood():
    said = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "resample": 3}
    squash = processor_preprocessing(said | {"size": {"height": 24, "width": 24}}, "it")
    assert (squash.resize, squash.crop, squash.squash) == (24, 24, True)
    assert squash.resampling is Image.Resampling.BICUBIC
    crop = {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": {"height": 224}}
    cropped = processor_preprocessing(said | crop, "it")
    assert (cropped.resize, cropped.crop, cropped.squash) == (256, 224, False)
    convnext = processor_preprocessing(
        said | {"size": {"shortest_edge": 224}, "crop_pct": 0.875}, "it"
    )
    assert (convnext.resize, convnext.crop) == (256, 224)
    plain = processor_preprocessing({"size": 32, "do_normalize": False}, "it")
    assert (plain.mean, plain.std) == ((0.0,), (1.0,))
    with pytest.raises(DataError, match="it pads images"):
        processor_preprocessing(said | {"size": 32, "do_pad": True}, "it")


def test_the_accuracy_of_a_network_of_ones_own_is_that_of_ones_own_loop(run, tmp_path):
    """Its normalisation is its own, its size another, and its channels are those of colours."""
    (tmp_path / "nets.py").write_text(
        "from torch import nn\n"
        'preprocessing = {"mean": [0.2, 0.4, 0.6], "std": [0.25, 0.5, 1], "size": 12, '
        '"resampling": "bicubic"}\n'
        "def make():\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(400, 10))\n"
    )
    folder = run("evaluate", "nets.py:make#3", "-d", "digits")
    found = json.loads((folder / "summary.json").read_text())
    network = open_network("nets.py:make#3", dataset="digits").module
    digits = DATASETS["digits"]()
    digits.setup()
    x = resize(digits.val_images, [12, 12], InterpolationMode.BICUBIC, antialias=True)
    x = x.expand(-1, 3, -1, -1).float() / 255
    mean, std = (torch.tensor(one).view(3, 1, 1) for one in ([0.2, 0.4, 0.6], [0.25, 0.5, 1.0]))
    x = (x - mean) / std
    with torch.no_grad():
        logits = network(x)
    assert found["accuracy"] == (logits.argmax(1) == digits.val_labels).double().mean().item()
    loss = torch.nn.functional.cross_entropy(logits, digits.val_labels)
    assert found["loss"] == pytest.approx(float(loss), rel=1e-5)


def test_photographs_are_seen_in_grey_beside_colours(photographs):
    make = partial(Folder, data_root=photographs)
    ways = [
        {"image_size": 28, "preprocessing": WIDE},
        {"image_size": 28, "preprocessing": WIDE, "channels": 1},
        {"image_size": 20, "channels": 1},
    ]
    expected = [next(iter(make(**way).val_batches()))[0] for way in ways]
    assert [x.shape[1] for x in expected] == [3, 1, 1]
    pixels = make(**ways[0])
    raw = next(iter(pixels.val_batches()))[0] * 0.2 + 0.4  # between 0 and 1
    grey = recoloured((255 * raw).round().to(torch.uint8), 1)
    mean, std = (recoloured_numbers(one, 1)[0] for one in (Folder.mean, Folder.std))
    torch.testing.assert_close(expected[1] * std + mean, grey / 255)
    data = SharedImages([make(**way) for way in ways])
    batch, _ = next(iter(data.val_batches()))
    for way, images in zip(ways, expected, strict=True):
        look = data.look(way["image_size"], way.get("preprocessing"), way.get("channels"))
        assert torch.equal(look(batch), images)


_PLAIN = (
    "from torch import nn\ndef make():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
)


@pytest.mark.parametrize(
    ("beside", "words", "warned"),
    [
        ("", (), True),
        ("", ("--normalize", "0.5", "0.25"), False),
        ('preprocessing = {"mean": 0.5, "std": 0.25}\n', (), False),  # as large as digits are
    ],
)
def test_weights_whose_normalisation_nobody_says_are_warned_of_above_every_number(
    beside, words, warned, few_digits, monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(_PLAIN + beside)
    torch.save(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).state_dict(), "one.pt")
    command = ["evaluate", "nets.py:make@one.pt", "-d", "digits", "--run-name", "one", *words]
    assert main(command) == 0
    said = capsys.readouterr().out
    line = "does not say how images were normalised in training, and is shown digits with mean 0.3"
    page = Path("results/evaluate/one/report.md").read_text()
    assert (line in said) == (line in page) == warned
    assert not warned or said.index("say --normalize MEAN STD") < said.index(" % of ")
