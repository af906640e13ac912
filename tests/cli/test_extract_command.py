import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from frankenstein.activations import open_activations
from frankenstein.activations.write import numbers_of, write_activations
from frankenstein.cli import main
from frankenstein.errors import FileError
from frankenstein.runs import Run
from frankenstein.surgery import capture
from frankenstein.zoo import load_network


@pytest.fixture
def extracted(few_digits, saved, capsys):
    """Writes layers of a network of the held-out digits; returns what is printed."""

    def extract(*words):
        words = ["extract", saved("lenet"), *map(str, words), "--accelerator", "cpu"]
        assert main(words) == 0
        return capsys.readouterr().out

    return extract


@pytest.mark.parametrize("name", ["a.safetensors", "a.npz"])
def test_every_kind_of_file_holds_the_layers_in_the_data_sets_own_order(
    name, extracted, saved, few_digits
):
    said = extracted("--layers", "relu2", "fc*", "-o", name, "-b", 25, "-d", "digits")
    told = "relu2, fc1, fc2, fc3 of 60 held-out images, beside 256 for training: 0.4 MB\n"
    assert said.startswith(told)
    assert said.endswith(f"{name}\n")
    images = torch.cat([images for images, _ in few_digits(image_size=32).val_batches()])
    with torch.no_grad():
        expected = capture(load_network(saved("lenet")), ["relu2", "fc1", "fc2", "fc3"])(images)
    found = open_activations(name).of().read(torch.arange(60))
    assert list(found) == list(expected)
    for layer, z in expected.items():
        assert found[layer].dtype == torch.float32
        torch.testing.assert_close(found[layer], z)


def test_one_layer_may_be_an_array_that_numpy_reads(extracted):
    extracted("--layers", "fc1,", "-o", "fc1.npy")
    extracted("--layers", "fc1", "-o", "fc1.npz")
    assert (np.load("fc1.npy") == np.load("fc1.npz")["fc1"]).all()
    assert np.load("fc1.npy").shape == (60, 120)


def test_beside_the_layers_stand_which_examples_they_are_and_their_classes(extracted, few_digits):
    said = extracted("--layers", "fc1", "-o", "a.npz", "-b", 25, "-d", "digits")
    assert "\nindex says which of them each is, and labels of which of 10 classes\n" in said
    found = np.load("a.npz")
    assert found["index"].tolist() == [*range(60)]
    assert found["labels"].tolist() == [*few_digits(image_size=32).val_batches().labels]
    opened = open_activations("a.npz").of()  # without a warning
    assert list(opened.layers) == ["fc1"]
    assert opened.labels.tolist() == found["labels"].tolist()
    extracted("--layers", "fc1", "-o", "a.safetensors", "-d", "digits")
    for name, array in load_file("a.safetensors").items():
        assert np.array_equal(array, found[name])
    assert ".npy does not hold which" in extracted("--layers", "fc1", "-o", "a.npy")


def test_what_is_compared_of_the_file_is_what_is_compared_of_the_network(extracted, run, saved):
    extracted("--layers", "relu2,fc1", "-o", "a.safetensors")
    words = (saved("lenet", 1), "relu2,fc1", "pool1", "unbiased_cka", "mutual_knn", "linear_cka")
    file = Run.read(run("compare", "a.safetensors", *words))
    network = Run.read(run("compare", saved("lenet"), *words))
    kept = {key: value for key, value in network.numbers.items() if key != "accuracy/sender"}
    assert file.numbers == pytest.approx(kept, abs=1e-9)
    made = file.record["activations"]["sender"]["made_by"]
    assert made["network"] == saved("lenet")
    assert made["network_sha256"] == network.networks["sender"]["sha256"]
    assert (made["dataset"], made["part"], made["examples"]) == ("digits", "held-out", 60)


def test_examples_of_another_data_set_are_refused(extracted, mistake, saved):
    extracted("--layers", "fc1", "-o", "a.safetensors")
    said = mistake("compare", "a.safetensors", saved("lenet"), "-d", "synthetic")
    assert "a.safetensors was extracted of digits, and the network sees synthetic" in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-o", "a.csv"], "activations are written as .safetensors, .npz, .npy, got a.csv"),
        (["-o", "there.npz"], "there.npz is there already; name another file, or delete it"),
        (["-o", "link.npz"], "link.npz is there already; name another file, or delete it"),
        (["-o", "a.npy"], "a.npy holds one array, and there are"),
        (["-o", "no/a.npz"], "no folder no to write a.npz into"),
        (["-o", "a.npz", "--layers", "fc9"], "has no layer 'fc9'; did you mean fc"),
        (["-o", "a.npz", "--layers", ""], "--layers names no layer, got ''"),
        (["-o", "a.npz", "--layers", ",", ""], "--layers names no layer, got ',', ''"),
        ([], "missing OUTPUT (-o FILE"),
    ],
)
def test_a_file_that_cannot_be_written_is_one_line(words, expected, mistake, saved, tmp_path):
    (tmp_path / "there.npz").write_text("")
    (tmp_path / "link.npz").symlink_to("gone.npz")
    assert expected in mistake("extract", saved("lenet"), *words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.npz", "there.npz"]


def test_activations_are_told_where_a_network_is_wanted(extracted, mistake, saved):
    extracted("--layers", "fc1", "-o", "a.safetensors")
    said = mistake("extract", "a.safetensors", "-o", "b.npz")
    assert "a.safetensors holds activations, and here a network is wanted; `compare` takes" in said


def test_what_a_kill_left_is_swept_and_what_another_wrote_meanwhile_stays(tmp_path):
    path, z = tmp_path / "a.npy", torch.ones(2, 3)
    (tmp_path / ".a.npy.x.unfinished").write_text("half")

    def blocks():
        path.write_text("another's")
        yield {"z": z}

    with pytest.raises(FileError, match="is there already; name another file"):
        write_activations(path, numbers_of(2, {"z": z}), blocks(), {})
    assert path.read_text() == "another's"
    assert list(tmp_path.iterdir()) == [path]
