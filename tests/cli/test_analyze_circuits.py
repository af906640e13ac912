import inspect
import json
from pathlib import Path

import pytest
import torch

from frankenstein.questions import AnalyzePlan
from frankenstein.questions.circuits import effects as circuit_effects
from frankenstein.questions.circuits.find import METHODS, SIMILARITIES, find_circuits
from frankenstein.runs.schema import choices, options_of
from frankenstein.shapes import pooled
from frankenstein.surgery import capture
from frankenstein.zoo import load_network

TRAINED = [
    Path(__file__).parents[2] / "model_weights" / "tiny10" / "digits" / f"in{i}-gn{i}.safetensors"
    for i in (0, 1)
]

FEW = ("--untrained", "1")


def scores(folder):
    found = json.loads((folder / "summary.json").read_text())
    return {key.removeprefix("circuits/"): value for key, value in found.items()}


def test_the_circuits_of_a_network_are_all_found_in_itself_and_grafts_change_nothing(run):
    folder = run("analyze", TRAINED[0], TRAINED[0], "relu8", "--circuits", "-n", "60", *FEW)
    found = scores(folder)
    groups = found["groups/sender/relu8"]
    assert groups > 1
    assert found["groups/receiver/relu8"] == found["matched/relu8"] == groups
    assert found["matched_similarity/relu8"] == pytest.approx(1)
    assert found["null_groups/sender/relu8"] == 0
    grafted = [value for key, value in found.items() if key.startswith("grafted_agreement/")]
    assert len(grafted) == min(groups, circuit_effects._GROUPS)
    assert grafted == [1.0] * len(grafted)
    assert found["mean_ablated/sender/relu8"] == found["mean_ablated/receiver/relu8"]
    report = (folder / "report.md").read_text()
    assert "60 training images" in report
    assert "S1 into R1" in report


def test_circuits_are_matched_across_any_number_of_networks(run):
    words = ("relu7", "relu8", "--circuits", "--more", TRAINED[0], "-n", "60", *FEW)
    folder = run("analyze", *TRAINED, *words)
    found = scores(folder)
    third = "in0-gn0"
    assert found[f"groups/{third}/relu7-relu8"] > 0
    report = (folder / "report.md").read_text()
    assert f"| {third} " in report
    assert "more 1" not in report
    assert f"ablated/{third}/relu7-relu8/1" in found


def test_a_layer_that_cannot_be_cut_has_circuits_but_nothing_is_silenced(run, saved):
    path = saved("resnet20_w1", in_channels=1)
    folder = run("analyze", path, path, "layer1.0.relu", "--circuits", "-n", "40", *FEW)
    report = (folder / "report.md").read_text()
    assert "Nothing was silenced: cannot cut ResNet20 after 'layer1.0.relu'" in report
    assert not [key for key in scores(folder) if key.startswith(("ablated", "grafted"))]


def test_what_links_units_from_which_similarity_and_how_are_options(run, few_digits):
    words = ("--similarity", "cosine", "--threshold", "0.9", "--grouping", "average")
    folder = run("analyze", *TRAINED, "relu8", "--circuits", "-n", "60", *words, *FEW)
    options = json.loads((folder / "run.json").read_text())["options"]
    assert (options["similarity"], options["threshold"], options["grouping"]) == (
        "cosine",
        0.9,
        "average",
    )
    found = scores(folder)
    data, network = few_digits(image_size=32), load_network(TRAINED[0])
    data.setup()
    images = torch.cat([images for images, _ in data.train_batches(60)])
    z = pooled(capture(network, ["relu8"])(images)["relu8"]).detach()
    expected = find_circuits(z, 0.9, "average", "cosine")
    assert found["groups/sender/relu8"] == len(expected.groups) > 1
    assert found["grouped_units/sender/relu8"] == sum(map(len, expected.groups))
    assert found["threshold/sender/relu8"] == found["threshold/receiver/relu8"] == 0.9
    report = (folder / "report.md").read_text()
    assert "Similarity is the cosine, the threshold 0.9, as asked" in report
    assert "while the mean similarity between the two is at least a threshold" in report


def test_the_options_are_those_of_the_function():
    options = options_of(AnalyzePlan)
    assert choices(options["similarity"].hint) == list(SIMILARITIES)
    assert choices(options["grouping"].hint) == list(METHODS)
    signature = inspect.signature(find_circuits).parameters
    assert options["similarity"].default == signature["similarity"].default
    assert options["grouping"].default == signature["method"].default
