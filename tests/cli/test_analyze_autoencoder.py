import json

import pytest
import torch

from frankenstein.dictionaries import dictionary_facts, load_dictionary
from frankenstein.surgery import capture
from frankenstein.zoo import load_network, network_sha256


@pytest.fixture
def asked(run, saved):
    """Asks of one layer with few steps; returns the folder and its scores."""

    def ask(*words):
        few = ["--steps", 12, "-n", 40, "--untrained", 1, *words]
        pair = saved("lenet", 0), saved("lenet", 1)
        folder = run("analyze", *pair, "relu2", "--autoencoder", *few)
        scores = json.loads((folder / "summary.json").read_text())
        return folder, {key.removeprefix("autoencoder/"): value for key, value in scores.items()}

    return ask


def test_the_dictionaries_of_a_run_are_in_its_folder_and_are_those_that_were_scored(asked, saved):
    folder, scores = asked()
    network = load_network(saved("lenet", 0))
    dictionary = load_dictionary(folder / "dictionary-sender.safetensors")
    facts = dictionary_facts(folder / "dictionary-sender.safetensors")
    assert facts == {"network": network_sha256(network), "layer": "relu2"}
    assert dictionary.options == {"units": 16, "features": 64, "k": 4}
    assert torch.allclose(dictionary.decoder.norm(dim=0), torch.ones(64))
    images = torch.rand(8, *network.input_shape)
    strength = dictionary.encode(capture(network, ["relu2"])(images)["relu2"])
    assert (strength > 0).sum(1).max() == 4
    assert 0 < scores["l0/sender/relu2"] <= 4
    assert scores["explained/sender/relu2"] > scores["random/explained/sender/relu2"]
    for way in ("carried", "trained", "raw", "untrained"):
        assert scores[f"carried_{way}/explained/relu2"] <= 1
    assert "carried, trained" in (folder / "report.md").read_text()


def test_an_l1_penalty_takes_the_place_of_k(asked):
    folder, _ = asked("--l1", "0.1", "--features", "20")
    options = load_dictionary(folder / "dictionary-receiver.safetensors").options
    assert options == {"units": 16, "features": 20, "k": None}
    assert "ReLU and an L1 penalty of 0.1" in (folder / "report.md").read_text()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--k 0", "--k must be at least 1, got 0"),
        ("--steps 0", "--steps must be at least 1, got 0"),
        ("--l1 -1", "--l1 must be at least 0, got -1"),
        ("--features 0", "--features must be at least 1, got 0"),
    ],
)
def test_numbers_that_make_no_dictionary_are_refused(mistake, saved, words, expected):
    pair = saved("lenet", 0), saved("lenet", 1)
    assert expected in mistake("analyze", *pair, "--autoencoder", *words.split())
