import json
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from frankenstein.networks import frauds
from frankenstein.questions.activations.facts import (
    class_selectivity,
    class_variance,
    participation_ratio,
)
from frankenstein.questions.table import QUESTIONS
from frankenstein.surgery import capture
from frankenstein.zoo import load_network, network_sha256


@pytest.fixture
def pair(saved):
    return saved("lenet", 0), saved("lenet", 1)


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


@pytest.mark.drawn
def test_all_questions_make_one_report_with_its_figures(run, pair, monkeypatch):
    monkeypatch.setattr(frauds, "_STEPS", 2)
    words = ("--all", "-n", "50", "--untrained", "1", "--steps", "20", "--run-name", "everything")
    few = ("--goals", "6", "--inversion-steps", "2")
    folder = run("analyze", *pair, "relu3", *words, *few)
    report = (folder / "report.md").read_text()
    assert "| receiver's own " in report
    assert "1 network of the same kinds" in report
    assert (folder / "figures/probes-carried.csv").read_text().startswith("layer,way,accuracy,")
    assert report.count("\n## ") == len(QUESTIONS) + 2  # what was run, and how to run it again
    pictures = re.findall(r"!\[.*?\]\((figures/.*?)\)", report)
    assert pictures
    assert all((folder / picture).is_file() for picture in pictures)
    assert {key.partition("/")[0] for key in summary(folder)} == {"accuracy", *QUESTIONS}
    assert "measured by this run, on 50 held-out images of digits." in report
    record = json.loads((folder / "run.json").read_text())
    assert record["networks"]["receiver"] == network_sha256(load_network(pair[1]))
    assert record["questions"] == list(QUESTIONS)
    assert any(path.name.startswith("events.out.tfevents") for path in folder.iterdir())


def test_a_run_is_replayed_by_its_config(run, pair):
    words = ("relu3", "--units", "-n", "50", "--seed", "3", "--untrained", "1")
    folder = run("analyze", *pair, *words)
    again = run("analyze", "--config", folder / "config.yaml")
    assert again.name == f"{folder.name}-2"
    assert summary(again) == summary(folder)


def test_layers_may_be_named_and_the_excess_is_over_the_highest_control(run, pair):
    few = ("--units", "-n", "40", "--untrained", "1")
    folder = run("analyze", *pair, "relu1,fc*", "relu4,fc*", *few)
    record = json.loads((folder / "run.json").read_text())
    assert record["layers"] == [["relu1", "relu4"], ["fc1", "fc1"], ["fc2", "fc2"], ["fc3", "fc3"]]
    folder = run("analyze", *pair, "relu3", *few)
    assert json.loads((folder / "run.json").read_text())["layers"] == [["relu3", "relu3"]]
    found = summary(folder)
    controls = ("values_shuffled", "other_images", "untrained")
    highest = max(found[f"units/sorted_pearson/{control}/relu3"] for control in controls)
    excess = found["units/sorted_pearson/relu3"] - highest
    assert found["units/sorted_pearson_excess/relu3"] == pytest.approx(excess)
    chance = found["units/raw_cosine/units_shuffled/relu3"]
    assert found["units/raw_cosine_excess/relu3"] == pytest.approx(
        found["units/raw_cosine/relu3"] - chance
    )
    for kind in ("sorted_cosine", "sorted_pearson"):
        shuffled = found[f"units/{kind}/units_shuffled/relu3"]
        assert shuffled == pytest.approx(found[f"units/{kind}/relu3"])
    assert yaml.safe_load((folder / "config.yaml").read_text())["receiver_layer"] == "relu3"


def test_what_is_kept_is_said_first_and_a_summary_is_shown(few_digits, pair, capsys):
    from frankenstein.cli import main

    words = [*pair, "--units", "--run-name", "a", "--untrained", "1", "--accelerator", "cpu"]
    assert main(["analyze", *words]) == 0
    said = capsys.readouterr().out
    record = json.loads(Path("results/analyze/a/run.json").read_text())
    assert record["layers"] == [[layer] * 2 for layer in ("relu1", "relu2", "relu3", "relu4")]
    assert re.search(r"^[\d.]+ MB for rows of 60 held-out images", said)
    assert "accuracy, measured on 60 held-out images of digits: sender " in said
    assert re.search(r"^ +untrained( +0\.\d{3}){4} *$", said, re.MULTILINE)
    lines = said.splitlines()[said.splitlines().index("Units, raw and sorted") : -3]
    assert max(map(len, lines)) <= 80
    kept = len(json.loads(Path("results/analyze/a/summary.json").read_text()))
    assert f"all {kept} numbers, of every layer, are in summary.json; the report shows" in said
    assert said.strip().splitlines()[-2] == "report:     results/analyze/a/report.html"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "nothing is asked; choose among --units"),
        ("--units -n 1", "-n must be at least 2, got 1"),
        ("--units --seed -1", "--seed must be at least 0, got -1"),
        ("relu* relu1,relu2 --units", "paired one by one, got 4 of the sender (relu1, relu2, "),
        ("rel[1-2] --units", "LeNet has no layer 'rel[1-2]'"),
        ("--units rel1", "LeNet has no layer 'rel1'; did you mean relu1"),
        ("--unit", "unknown option --unit; did you mean --units"),
        ("--units --threshold 0.9", "--threshold belongs to --circuits; say that, too"),
        ("--circuits --l1 0.1", "--l1 belongs to --autoencoder or --crosscoder; say that, too"),
        ("--circuits --threshold 1.5", "--threshold is a similarity, from -1 to 1, got 1.5"),
        ("--circuits --grouping mean", "--grouping takes components or average, got 'mean'"),
        ("--all --k 0", "--k must be at least 1, got 0"),
        ("--units --more nowhere.safetensors", "nowhere.safetensors"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(mistake, pair, words, expected):
    assert expected in mistake("analyze", *pair, *words.split())


def test_networks_without_layers_of_one_name_are_asked_for_some(mistake, saved):
    said = mistake("analyze", saved("tiny10"), saved("resnet20_w1"), "--units")
    assert "no layers of the same name; choose SENDER_LAYER and RECEIVER_LAYER" in said


def test_weights_need_no_data_and_no_like_architecture_and_say_what_has_no_like(run, saved):
    words = ("--weights", "--data-root", "nowhere", "-d", "fashion", "--untrained", "1")
    folder = run("analyze", saved("mlp"), saved("mlp", 1, num_classes=7), *words)
    found = summary(folder)
    assert found["weights/distance_after/sender-receiver/fc1"] < 1
    assert found["weights/distance_after/untrained/fc1"] < 1
    assert "weights/distance_after/sender-receiver/fc3" not in found
    report = (folder / "report.md").read_text()
    assert "each layer's rows are matched by themselves" in report

    folder = run(
        "analyze",
        saved("lenet"),
        saved("dense"),
        "--weights",
        "--run-name",
        "unlike",
        "--untrained",
        "1",
    )
    report = (folder / "report.md").read_text()
    assert "Layers that only the sender has: conv1, conv2." in report
    assert not [key for key in summary(folder) if key.startswith("weights/distance")]
    assert json.loads((folder / "run.json").read_text())["layers"] == []


def test_a_file_may_be_called_like_a_role(run, saved, tmp_path):
    name = "untrained_net"
    more = shutil.copy(saved("mlp", 2), tmp_path / f"{name}.safetensors")
    words = ("tanh1", "tanh2", "--activations", "--weights", "--more", more, "-n", "40")
    words += ("--untrained", "2", "--units")
    folder = run("analyze", saved("mlp", 0), saved("mlp", 1), *words)
    found = summary(folder)
    assert f"activations/dead/{name}/tanh1" in found
    assert f"accuracy/{name}" in found
    report = (folder / "report.md").read_text()
    assert report.count("Of the sender and the receiver alone, not of the 1 further network.") == 1
    assert "Every two of the networks, each in the receiver's order of units." in report
    assert len(re.findall(r"\| fc1 +\| untrained +\| 32 x 784", report)) == 1
    assert len(re.findall(rf"\| fc1 +\| {name} +\| 32 x 784", report)) == 1


def test_numbers_of_activations_are_those_of_the_layer_itself(run, pair, few_digits):
    words = ("relu2", "--activations", "--seed", "1", "--untrained", "1")
    folder = run("analyze", *pair, *words)
    found = summary(folder)
    images, labels = (torch.cat(parts) for parts in zip(*few_digits(32).val_batches(), strict=True))
    for whose, path in zip(("sender", "receiver"), pair, strict=True):
        with torch.no_grad():
            z = capture(load_network(path), ["relu2"])(images)["relu2"]
        rows, units = z.mean((2, 3)), z.movedim(1, 0).flatten(1)
        expected = {
            "dead": (units.amax(1) == units.amin(1)).double().mean(),
            "zeros": (z == 0).double().mean(),
            "selectivity": class_selectivity(rows, labels).nanmean(),
            "class_variance": class_variance(rows, labels).nanmean(),
            "dimension": participation_ratio(rows),
        }
        for name, value in expected.items():
            assert found[f"activations/{name}/{whose}/relu2"] == pytest.approx(
                value.item(), rel=1e-4
            )
    assert found["activations/saturated_values/sender/relu2"] is None
    assert found["activations/class_variance_shuffled/sender/relu2"] > 0
    assert (folder / "figures" / "activations-top-relu2.png").is_file()


def test_layers_of_unlike_width_and_sign_have_the_numbers_that_are_defined(run, saved):
    asked = "--units", "--activations", "--untrained", "1"
    found = summary(run("analyze", saved("mlp"), saved("mlp", 1), "tanh1", "tanh2", *asked))
    assert found["activations/saturated_values/sender/tanh1"] < 1
    assert found["activations/selectivity/sender/tanh1"] is None
    assert found["units/raw_cosine/tanh1-tanh2"] is None
    assert found["units/sorted_cosine/tanh1-tanh2"] > 0
