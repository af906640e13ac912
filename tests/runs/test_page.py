import shlex
import warnings

import pytest
import yaml
from frankenstein.cli.entry import verb_function

from frankenstein.cli.parser import parse
from frankenstein.runs.config import dump
from frankenstein.runs.folder import run_folder
from frankenstein.runs.page import command_of, write_run_report
from frankenstein.runs.schema import read_schema


@pytest.fixture(autouse=True)
def _no_shared_folder(monkeypatch):
    """What a run tells its processes is undone after each test."""
    monkeypatch.setenv("FRANKENSTEIN_RUN_FOLDER", "")


def options(command):
    verb, *words = shlex.split(command)
    return verb, parse(read_schema(verb_function(verb)), words)


@pytest.mark.parametrize(
    "command",
    [
        "train",
        "train --model lenet --init-noise 3 --lr 0.2 --resume",
        "stitch a.safetensors b.safetensors bn3 bn5",
        "stitch 'a b.safetensors' \"it's.pt\" 0 1 --low-rank 4 --cka-reg -0.5 --no-augment",
        "stitch A B --all --sender-layers bn1 bn2 --seeds 3 --measures r_squared mean_cca",
        "compare A B bn3 bn3 linear_cka mean_cca --batch-size 50",
        "evaluate results/stitch/a --stitch before after --percentile 90.0",
        "analyze A B --units --more C D",
    ],
)
def test_the_command_of_a_report_says_the_options_and_nothing_else(command):
    verb, values = options(command)
    said = command_of(verb_function(verb), values)
    assert said == shlex.join(["frankenstein", *shlex.split(command)])
    assert options(said.removeprefix("frankenstein ")) == (verb, values)


def reported(folder, command, act=lambda run: None):
    """The folder of a run of some verb that does nothing but write its report."""
    verb, values = options(command)
    with run_folder(folder, verb, "a", dump(verb_function(verb), values)) as run:
        act(run)
        write_run_report(run, "Title", ["What it is.", "What was found."])
    return run.path


def test_a_report_says_what_was_asked_of_which_networks_and_how_to_ask_again(
    tmp_path, saved, check_page
):
    def score(run):
        run.summary |= {"accuracy/sender": 0.5, "accuracy/receiver": 0.25}

    sender, receiver = saved("lenet", 0), saved("lenet", 1)
    folder = reported(tmp_path, f"stitch {sender} {receiver} relu1 relu2 --epochs 3", score)
    text = (folder / "report.md").read_text()
    parts = (
        "What it is.",
        f"frankenstein stitch {sender} {receiver} relu1 relu2 --epochs 3",
        "50.00 %",
        "25.00 %",
        "What was found.",
        f"frankenstein stitch --config {tmp_path / 'stitch' / 'a' / 'config.yaml'}",
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert (folder / "config.yaml").read_text().strip() in text
    assert "## Warnings" not in text
    row = next(line for line in text.splitlines() if line.startswith("| receiver"))
    sha = yaml.safe_load((folder / "run.json").read_text())["cards"]["receiver"]["sha256"]
    for part in ("digits", "0", "1", f"`{sha[:12]}`", f"`{receiver}`"):
        assert f" {part} " in row
    assert [part.text for part in check_page(folder / "report.html").iter("pre")] == [None] * 3


def test_warnings_are_in_the_report_once_and_shown_as_before(tmp_path):
    def warn(run):
        for _ in range(2):
            warnings.warn("a measure is <undefined>", UserWarning, stacklevel=1)

    with pytest.warns(UserWarning, match="a measure is <undefined>"):
        folder = reported(tmp_path, "evaluate x", warn)
    said = "- UserWarning: a measure is <undefined>"
    assert (folder / "report.md").read_text().count(said) == 1
    assert "&lt;undefined&gt;" in (folder / "report.html").read_text()
    record = yaml.safe_load((folder / "run.json").read_text())
    assert record["warnings"] == ["UserWarning: a measure is <undefined>"]
    assert (record["verb"], record["options"]["subject"]) == ("evaluate", "x")


def test_what_is_no_network_has_no_card(tmp_path):
    folder = reported(tmp_path, "compare results/stitch/gone")
    assert yaml.safe_load((folder / "run.json").read_text())["cards"] == {}
