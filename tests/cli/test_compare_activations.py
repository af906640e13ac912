import json
from pathlib import Path

import numpy as np
import pytest
import torch

from frankenstein.activations import open_activations
from frankenstein.cli import main
from frankenstein.runs import Run
from frankenstein.similarity import similarity_matrix
from frankenstein.similarity.matrices import similarity_matrices
from frankenstein.surgery import capture
from frankenstein.zoo import load_network


@pytest.fixture
def files(few_digits):
    """Two files of the same 50 examples, with something in common."""
    rng = np.random.default_rng(0)
    early, late = rng.standard_normal((50, 3, 2, 2)), rng.standard_normal((50, 6))
    np.savez("v1.npz", early=early, late=late)
    np.save("it.npy", np.concatenate([late[:, :3], rng.standard_normal((50, 2))], 1))
    np.save("labels.npy", np.arange(50) % 3)
    return "v1.npz", "it.npy"


def test_two_files_are_compared_like_networks(run, files):
    sure = ("--bootstrap", 39, "--permutations", 19)
    folder = run("compare", *files, "unbiased_cka", "mutual_knn", *sure)
    assert folder.name == "v1-vs-it"
    found = Run.read(folder)
    saved = [open_activations(file) for file in files]
    for measure, matrix in similarity_matrices(*saved, None, found.plan.measures).items():
        torch.testing.assert_close(found.matrices()[measure].values, matrix.values)
        assert found.numbers[f"{measure}/late/it"] == matrix["late", "it"]
    assert found.numbers["unbiased_cka_family_p/late/it"] == 0.05
    assert not any(key.startswith("accuracy") for key in found.numbers)
    assert found.networks == {}
    assert found.record["activations"]["sender"]["layers"] == {"early": [3, 2, 2], "late": [6]}
    report = (folder / "report.md").read_text()
    assert "`v1.npz` (rows) against `it.npy` (columns), over 50 examples: unbiased_cka" in report
    assert "image" not in report.partition("## How to run it again")[0]


def test_single_layers_come_as_a_table(run, files):
    folder = run("compare", *files, "late", "it", "cka", "mean_cca")
    assert folder.name == "v1-it-late-it"
    assert list(Run.read(folder).numbers) == ["cka/late/it", "mean_cca/late/it"]
    assert "late against it, per_location, 50 examples" in (folder / "report.md").read_text()


def test_confounders_are_taken_out(run, files):
    rng = np.random.default_rng(1)
    labels = np.eye(3)[np.load("labels.npy")]
    for name in "xy":
        means, _ = np.linalg.qr(rng.standard_normal((4, 3)))
        np.save(f"{name}.npy", 20 * labels @ means.T + rng.standard_normal((50, 4)))
    words = ("linear_cka", "deconfounded_cka", "--confounders", "labels.npy")
    numbers = Run.read(run("compare", "x.npy", "y.npy", *words)).numbers
    assert numbers["linear_cka/x/y"] > 0.9
    assert numbers["deconfounded_cka/x/y"] < 0.3


def test_what_lies_within_classes_takes_a_file_of_these(run, files):
    words = ("late", "it", "within_class_linear_cka", "--labels", "labels.npy")
    found = Run.read(run("compare", *files, *words)).numbers["within_class_linear_cka/late/it"]
    classes = np.load("labels.npy")
    x, y = np.load("v1.npz")["late"], np.load("it.npy")
    for k in range(3):
        for z in (x, y):
            z[classes == k] -= z[classes == k].mean(0)
    expected = np.linalg.norm(y.T @ x) ** 2 / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y)
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_file_beside_a_network_holds_the_held_out_images_in_their_own_order(
    run, saved, few_digits
):
    networks = [saved("lenet", seed) for seed in (0, 1)]
    images = torch.cat([images for images, _ in few_digits(image_size=32).val_batches()])
    with torch.no_grad():
        torch.save(capture(load_network(networks[1]), ["relu3"])(images), "other.pt")
    both = Run.read(run("compare", *networks, "relu2", "relu3"))
    folder = run("compare", networks[0], "other.pt", "relu2")
    beside = Run.read(folder)
    key = "unbiased_cka/relu2/relu3"
    assert beside.numbers[key] == pytest.approx(both.numbers[key], abs=1e-12)
    assert beside.numbers["accuracy/sender"] == both.numbers["accuracy/sender"]
    assert "accuracy/receiver" not in beside.numbers
    assert list(beside.networks) == ["sender"]
    assert json.loads((folder / "run.json").read_text())["networks"].keys() == {
        "sender",
        "receiver",
    }
    report = (folder / "report.md").read_text()
    assert "Their rows are the held-out images of digits, in the data set's own order." in report


def test_runs_of_files_are_joined_in_a_report(run, files, capsys):
    folders = [run("compare", *files, "late", "it", "cka", "--seed", seed) for seed in (0, 1)]
    assert main(["report", *map(str, folders), "--quiet"]) == 0
    assert "cka" in (Path(capsys.readouterr().out.strip()) / "report.md").read_text()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["it.npy", "-d", "digits"], "--dataset is for networks, and v1.npz and it.npy are"),
        (["it.npy", "erly"], "v1.npz has no layer 'erly'; did you mean early?"),
        (["it.npy", "unbiased_ca"], "no layer and no measure is called 'unbiased_ca'; did you"),
        (["it.npy", "deconfounded_cka"], "name a file of them, or of labels: --confounders"),
        (["it.npy", "cka", "--confounders", "labels.npy"], "linear_cka has none; leave it out"),
        (["it.npy", "cka", "--labels", "labels.npy"], "no measure here takes them; leave it out"),
        (["it.npy", "within_class_linear_cka"], "name a file of them: --labels"),
        (["it.npy", "within_class_linear_cka", "--labels", "nan1.npy"], "a whole number for every"),
        (["it.npy", "deconfounded_cka", "--confounders", "nan1.npy"], "confounders nan1.npy"),
        (
            ["it.npy", "deconfounded_cka", "--confounders", "nan.npy"],
            "confounders nan.npy, ",
        ),
        (["labels.npy"], "labels.npy holds no layer (N, ...), a row for each example: 'labels'"),
        (["NETWORK", "-d", "digits"], "v1.npz holds 50 examples, and the data set has 60"),
        (["NETWORK", "-d", "digits"], "write a file of each network, and compare the two files"),
        (["NETWORK", "-d", "digits", "--confounders", "labels.npy"], "a network's are its inputs"),
        (["no.npy"], "no file no.npy"),
        (["turned.npy"], "'turned' of turned.npy is (5, 50): it lies units x examples, it seems"),
        (["nan.npy"], "NaN or Inf in the second representation, 'nan'"),
        ([], "missing RECEIVER"),
    ],
)
def test_what_files_cannot_give_is_one_line(mistake, files, saved, words, expected):
    np.save("turned.npy", np.zeros((5, 50)))
    np.save("nan.npy", np.full((50, 2), np.nan))
    np.save("nan1.npy", np.full(50, np.nan))
    words = [saved("lenet") if word == "NETWORK" else word for word in words]
    assert expected in mistake("compare", files[0], *words)


def test_a_file_that_lies_units_by_examples_is_suspected_beside_a_network(mistake, files, saved):
    np.save("turned.npy", np.zeros((5, 60)))
    said = mistake("compare", "turned.npy", saved("lenet"), "-d", "digits")
    assert "it lies units x examples, it seems; save it transposed" in said


def test_a_file_of_activations_is_no_network_of_a_stitch(mistake, files, saved):
    said = mistake("stitch", files[0], saved("lenet"), "late", "relu3")
    assert "v1.npz holds activations, and here a network is wanted" in said


def test_a_matrix_in_python_is_that_of_the_command_line(run, files):
    matrix = similarity_matrix(np.load("v1.npz")["late"], np.load("it.npy"))
    numbers = Run.read(run("compare", *files, "late")).numbers
    assert numbers["unbiased_cka/late/it"] == pytest.approx(float(matrix.values), abs=1e-12)
