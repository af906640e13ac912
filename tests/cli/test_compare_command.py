import csv
import json
import re

import pytest
import torch

from frankenstein.cli import main
from frankenstein.surgery import cut_points
from frankenstein.zoo import load_network, network_sha256


@pytest.fixture
def pair(saved):
    return saved("lenet", 0), saved("lenet", 1)


def matrix(folder):
    with (folder / "matrix.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    return {
        (row[0], column): float(cell)
        for row in rows
        for column, cell in zip(header[1:], row[1:], strict=True)
    }


def test_a_run_writes_the_matrix_and_one_cell_agrees_with_it(run, pair):
    folder = run("compare", *pair, "-d", "digits")
    layers = list(cut_points(load_network(pair[0])))
    everything = matrix(folder)
    assert list(everything) == [(row, column) for row in layers for column in layers]
    summary = json.loads((folder / "summary.json").read_text())
    assert summary == {f"unbiased_cka/{r}/{c}": value for (r, c), value in everything.items()}

    record = json.loads((folder / "run.json").read_text())
    assert record["networks"]["receiver"] == network_sha256(load_network(pair[1]))
    assert (record["examples"], record["block"], record["device"]) == (60, 60, "cpu")

    report = (folder / "report.md").read_text()
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", report)
    assert pictures
    assert all((folder / picture).is_file() for picture in pictures)
    assert any(path.name.startswith("events.out.tfevents") for path in folder.iterdir())

    cell = matrix(run("compare", *pair, "relu2", "pool1"))
    assert list(cell) == [("relu2", "pool1")]
    assert cell["relu2", "pool1"] == pytest.approx(everything["relu2", "pool1"], abs=1e-9)


def test_a_run_is_replayed_by_its_config(run, pair):
    one = run("compare", *pair, "relu1", "-b", "20")
    again = run("compare", "--config", one / "config.yaml")
    assert again.name == f"{one.name}-2"
    assert (again / "matrix.csv").read_text() == (one / "matrix.csv").read_text()
    assert {row for row, _ in matrix(one)} == {"relu1"}
    assert json.loads((one / "run.json").read_text())["block"] == 20


def test_networks_of_unlike_layers_can_be_compared(run, saved):
    found = matrix(run("compare", saved("lenet"), saved("dense")))
    assert ("pool2", "relu3") in found


def test_the_matrix_is_printed_and_what_a_person_wants_comes_last(few_digits, pair, capsys):
    assert main(["compare", *pair, "--run-name", "a", "--accelerator", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "comparing layers" in said
    assert "unbiased_cka, per_sample, 60 held-out images" in said
    *_, report, board = said.strip().splitlines()
    assert report == "report:     results/compare/a/report.md"
    assert board == "look at it: tensorboard --logdir results/compare/a"
    assert "pool2" in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-b 3", "--batch-size must be at least 4, got 3"),
        ("rel2", "LeNet has no layer 'rel2'; did you mean relu2"),
        ("relu2 rleu2", "LeNet has no layer 'rleu2'; did you mean relu2"),
        ("-d cifar10", "cifar10 has images of 3 channels, and the network takes 1; choose"),
        ("a b c", "unexpected 'c'"),
        ("--accelerator brain", "--accelerator takes cpu, gpu or auto here, got 'brain'"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(mistake, pair, words, expected):
    assert expected in mistake("compare", *pair, *words.split())


def test_networks_of_other_images_are_one_line(mistake, saved):
    said = mistake("compare", saved("lenet"), saved("mlp"))
    assert "of (1, 28, 28); take networks that are made for the same images" in said


def test_a_gpu_that_is_not_there_is_one_line(mistake, pair):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    said = mistake("compare", *pair, "--accelerator", "gpu")
    assert "--accelerator gpu: this machine has no GPU that torch can use; choose cpu" in said
