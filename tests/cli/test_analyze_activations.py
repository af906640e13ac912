import numpy as np
import pytest
import torch

from frankenstein.questions.activations.facts import class_variance, participation_ratio
from frankenstein.runs import Run


@pytest.fixture
def files(few_digits):
    """Two files of 60 examples in three classes, the first with a unit that is dead."""
    rng = np.random.default_rng(0)
    classes = np.arange(60) % 3
    z = np.maximum(rng.standard_normal((60, 5)) + 2 * np.eye(5)[classes], 0).astype("f4")
    z[:, 4] = 0
    np.savez("one.npz", fc=z, maps=rng.standard_normal((60, 3, 2, 2)))
    np.save("other.npy", rng.standard_normal((60, 4)))
    np.save("classes.npy", classes)
    return "one.npz", "other.npy"


def test_two_files_of_activations_are_asked_what_their_units_do(run, files):
    folder = run("analyze", *files, "--activations", "--labels", "classes.npy")
    found = Run.read(folder).numbers
    z, labels = torch.from_numpy(np.load("one.npz")["fc"]), torch.from_numpy(np.load("classes.npy"))
    expected = {
        "dead": 0.2,
        "zeros": float((z == 0).double().mean()),
        "rms": float(z.double().square().mean().sqrt()),
        "class_variance": float(class_variance(z, labels).nanmean()),
        "dimension": float(participation_ratio(z)),
    }
    for name, value in expected.items():
        assert found[f"activations/{name}/sender/fc"] == pytest.approx(value)
    assert found["activations/class_variance_shuffled/sender/fc"] < 0.2
    assert found["activations/dimension/receiver/other"] > 3
    report = (folder / "report.md").read_text()
    assert "`one.npz` (sender), 60 of 60 examples and `other.npy` (receiver)" in report


def test_without_labels_nothing_is_said_of_classes_and_other_questions_are_left_out(run, files):
    folder = run("analyze", *files, "--all", "-n", 50, "fc", "other")
    numbers = Run.read(folder).numbers
    assert all(np.isnan(value) for name, value in numbers.items() if "class" in name)
    assert (
        "Not asked, for there are no networks: units, weights" in (folder / "report.md").read_text()
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--probes"], "--probes asks networks, and one.npz and other.npy hold activations"),
        (["--activations", "-d", "digits"], "--dataset is for networks"),
        (["--activations", "--labels", "other.npy"], "a whole number for every row of both files"),
        (["--activations", "fc9"], "one.npz has no layer 'fc9'"),
        (["NETWORK", "--activations"], "holds activations, and here a network is wanted"),
    ],
)
def test_what_cannot_be_asked_of_activations_is_one_line(mistake, files, saved, words, expected):
    sides = (files[0], saved("lenet")) if words[0] == "NETWORK" else files
    assert expected in mistake("analyze", *sides, *[word for word in words if word != "NETWORK"])
