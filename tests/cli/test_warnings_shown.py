import re
import runpy
import warnings
from pathlib import Path

import pytest
import torch

from frankenstein.cli import main
from frankenstein.cli.errors import plain_warnings
from frankenstein.errors import NearlyDependentWarning, whose_units
from frankenstein.runs.provenance import noted
from frankenstein.zoo import load_network


def test_a_run_whose_training_did_not_get_there_warns(run, capsys, monkeypatch):
    trained = run("train", "-m", "lenet", "-d", "digits", "-e", "12", "-b", "32", "-lr", "0.02")
    network = str(trained / "network.safetensors")
    words = [network, network, "fc2", "fc2", "-r", "12", "-e", "0", "--measures", "linear_cka"]
    words += ["--untrained", "1", "--accelerator", "cpu"]
    assert main(["stitch", *words, "--run-name", "a"]) == 0
    lines = capsys.readouterr().out.splitlines()
    line, few = (line for line in lines if line.startswith("warning: "))
    assert "256 rows are few for least squares over 84 units" in few
    assert "is clearly below `solved` (" in line
    assert line.endswith("start it at ps_inv")
    with open("results/stitch/a/report.md") as report:
        assert line.replace("warning:", "**Warning:**") in report.read()
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["evaluate", "results/stitch/a", "--accelerator", "cpu"]) == 0
    said = capsys.readouterr().out
    assert line in said
    rows = [row for row in said.splitlines() if re.search(r"\d %  |itself_ps_inv", row)]
    assert max(map(len, rows)) <= 80
    for name in ("before = after", "ps_inv", "solved_ps_inv", "itself_ps_inv"):  # on one line
        assert any(row.startswith(f" {name} ") for row in rows)


def test_a_run_that_taught_nothing_warns_in_the_terminal_and_in_the_report(few_digits, capsys):
    words = ["-m", "mlp", "-d", "digits", "-e", "1", "-lr", "0", "--run-name", "b"]
    assert main(["train", *words, "--accelerator", "cpu"]) == 0
    assert "warning: the network (" in capsys.readouterr().out
    report = Path("results/train/b/report.md").read_text()
    assert "learned nothing that shows; train it for more epochs" in report


@pytest.mark.parametrize(
    "words",
    [
        "stitch A B fc2 fc2 -e 0 --measures linear_cka --untrained 1",
        "stitch A B --sender-layers fc2 --receiver-layers fc2 -e 0 --untrained 1",
        "compare A B fc2 fc2",
        "analyze A B fc2 --activations",
    ],
)
def test_networks_that_learned_nothing_are_told_of_wherever_their_accuracy_is(
    words, saved, few_digits, capsys
):
    paths = {"A": saved("mlp", 0), "B": saved("mlp", 1)}
    words = [paths.get(word, word) for word in words.split()]
    assert main([*words, "--run-name", "a", "--accelerator", "cpu"]) == 0
    said = capsys.readouterr().out
    report = Path(f"results/{words[0]}/a/report.md").read_text()
    for whose in ("sender", "receiver"):
        assert said.count(f"warning: the {whose} (") == 1
        assert report.count(f"**Warning:** the {whose} (") == 1


def test_a_warning_of_ours_is_one_line_without_a_place_in_our_code(saved, few_digits, capsys):
    tensors = load_network(saved("lenet")).state_dict()
    tensors = {f"net.{name}": one for name, one in tensors.items()} | {"loss.w": torch.ones(2)}
    torch.save(tensors, "x.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["layers", "lenet@x.pt"]) == 0
    assert capsys.readouterr().err == (
        "warning: x.pt holds 1 tensor beside the network's, which are left aside: loss.w\n"
    )


def test_python_m_is_the_command_line(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["frankenstein", "--version"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("frankenstein", run_name="__main__")
    assert capsys.readouterr().out.startswith("frankenstein ")


def test_an_evaluated_network_that_learned_nothing_is_told_of(saved, few_digits, capsys):
    words = ["evaluate", saved("lenet"), "--run-name", "a", "--accelerator", "cpu"]
    assert main(words) == 0
    assert "warning: the network (" in capsys.readouterr().out
    assert "**Warning:** the network (" in Path("results/evaluate/a/report.md").read_text()


def test_dependent_units_are_told_of_once_with_the_networks_and_all_shares(capsys):
    with plain_warnings():
        warnings.simplefilter("always")
        for share in (2e-6, 5e-7):
            with noted(kept := [], ["one", "other"]):
                warnings.warn(NearlyDependentWarning("x", share), stacklevel=1)
                warnings.warn(NearlyDependentWarning("y", share), stacklevel=1)
            assert len(kept) == 2  # each run's page has its own
            assert kept[0].startswith("NearlyDependentWarning: units of one depend on each other")
    (line,) = capsys.readouterr().err.splitlines()
    assert "units of one and other depend on each other but for 5e-07 to 2e-06 of them" in line


def test_units_of_a_stitch_are_not_called_those_of_the_sender():
    with plain_warnings(), noted(kept := [], ["one", "other"]):
        warnings.simplefilter("always")
        with whose_units(x="what the stitch `before` makes"):
            for side in "xy":
                warnings.warn(NearlyDependentWarning(side, 2e-6), stacklevel=1)
        warnings.warn(NearlyDependentWarning("x", 2e-6), stacklevel=1)
    whose = [line.split(" of ")[1].split(" depend")[0] for line in kept]
    assert whose == ["what the stitch `before` makes", "other", "one"]
