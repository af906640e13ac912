import json
import random
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from frankenstein.cli import main
from frankenstein.errors import UserError
from frankenstein.networks.accuracy import HITS
from frankenstein.stitching import StitchedRun
from frankenstein.stitching.controls import CONTROLS
from frankenstein.stitching.frauds import FRAUDS
from frankenstein.zoo import (
    Card,
    build_network,
    load_network,
    network_sha256,
    read_card,
    save_network,
)

KINDS = ("before", "after", "ps_inv")


@pytest.fixture
def pair(saved):
    return saved("lenet", 0), saved("lenet", 1)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("run") / "made"


@pytest.fixture
def stitched(run, pair, kept):
    """A finished run of stitch.py, which runs once."""
    if not kept.exists():
        words = ("pool1", "pool1", "-e", "1", "-b", "32", "--run-name", "made")
        words = (*words, "--untrained", "2")
        shutil.copytree(run("stitch", *pair, *words), kept)
        shutil.rmtree("results")
    return Path(shutil.copytree(kept, Path("results", "stitch", "made")))


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def test_a_network_of_chance_has_the_loss_of_chance(run, saved, tmp_path):
    path = saved("lenet")
    network = load_network(path)
    with torch.no_grad():
        for parameter in list(network.parameters())[-2:]:
            parameter.zero_()
    chance = save_network(tmp_path / "chance.safetensors", network, read_card(path))
    folder = run("evaluate", chance)
    assert folder.as_posix() == "results/evaluate/lenet-chance-digits"
    scores = summary(folder)
    assert set(scores) == {"accuracy", "loss", "n", "accuracy_low", "accuracy_high"}
    assert scores["n"] == 60
    assert round(scores["loss"], 3) == 2.303
    assert "2.303" in (folder / "report.md").read_text()
    record = json.loads((folder / "run.json").read_text())
    assert record["network"] == network_sha256(network)
    assert [*record["cards"]] == ["subject"]  # the plan's field, by which reports find its seeds
    assert (record["dataset"], record["examples"]) == ("digits", 60)


def test_a_folder_of_train_stands_for_its_network(run):
    trained = run("train", "-m", "lenet", "-d", "digits", "-e", "1", "-b", "64")
    scores = summary(run("evaluate", trained, "-b", "7"))
    expected = summary(trained)
    assert scores["accuracy"] == pytest.approx(expected["accuracy/held_out"])
    assert scores["loss"] == pytest.approx(expected["loss/held_out"], rel=1e-5)


def test_a_run_is_evaluated_as_it_was_with_controls(run, stitched):
    folder = run("evaluate", stitched)
    scores, expected = summary(folder), summary(stitched)
    for kind in KINDS:
        for what in ("accuracy", "loss", "agreement", "unbiased_cka", "mean_cca"):
            assert scores[f"{what}/{kind}"] == pytest.approx(expected[f"{what}/{kind}"], abs=1e-5)
        assert sum(scores[f"{what}/{kind}"] for what in HITS) == pytest.approx(1)
        assert 0 <= scores[f"outside/{kind}"] <= 1
    # Of an affine stitch `untrained` and `solved` are these.
    more = (*FRAUDS, "untrained_trained")
    controls = {row for row in CONTROLS if not row.startswith(more)}
    controls -= {"untrained_ps_inv", "solved_ps_inv"}
    pairs = {"after-before", "ps_inv-before", "ps_inv-after"}
    whose = {"sender", "receiver", "most_frequent", *KINDS, *controls, *pairs}
    assert {key.partition("/")[2] for key in scores} == whose
    assert scores["accuracy/itself"] == scores["accuracy/receiver"]
    report = (folder / "report.md").read_text()
    for said in ("outside", "Controls", "only receiver", *controls):
        assert said in report


def test_an_evaluation_is_replayed_by_its_config(run, stitched):
    words = ("--stitch", "ps_inv", "before", "--measures", "r_squared", "--percentile", "50")
    one = run("evaluate", stitched, *words)
    again = run("evaluate", "--config", one / "config.yaml")
    assert (one / "summary.json").read_text() == (again / "summary.json").read_text()
    assert "accuracy/before" in summary(one)
    assert "r_squared/ps_inv" in summary(one)
    assert not any(key.endswith("/after") or key.startswith("unb") for key in summary(one))
    assert summary(one)["outside/receiver"] > 0.2


def test_its_tables_are_printed_and_fit_80_columns(stitched, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    words = ["evaluate", str(stitched), "--stitch", "after", "--accelerator", "cpu"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert said.startswith("made\n")
    for part in ("solving controls", "evaluating", "agreement", "untrained", "interval"):
        assert part in said
    lines = said.splitlines()
    assert max(len(line) for line in lines if not line.startswith("warning: ")) <= 80
    assert "…" not in said
    assert not re.search(r"^ ps_inv", said, re.MULTILINE)
    assert len([line for line in lines if line and "━" not in line]) <= 22
    assert said.strip().splitlines()[-1] == "report:     results/evaluate/made/report.html"


@pytest.mark.filterwarnings("ignore::frankenstein.measures.UndefinedSimilarityWarning")
def test_a_run_between_other_grids_or_places_is_read_as_it_was_made(run, pair):
    layers = {"resized": ("conv1", "pool1"), "flattened": ("pool2", "pool2", "-f")}
    for name, words in layers.items():
        words = (*words, "-e", "0", "--measures", "linear_cka", "--run-name", name)
        words = (*words, "--untrained", "1")
        made = run("stitch", *pair, *words)
        scores, expected = summary(run("evaluate", made, "--stitch", "ps_inv")), summary(made)
        for what in ("accuracy", "loss", "linear_cka"):
            key = f"{what}/ps_inv"
            assert scores[key] == pytest.approx(expected[key], abs=1e-5)
        assert scores["agreement/itself"] == 1
        behind = summary(run("compare", made, "--stitch", "ps_inv", "--layer", "fc1", "l2"))
        assert behind["l2/ps_inv/fc1"] > 0


def test_networks_that_have_changed_are_refused_unless_they_are_wanted(
    stitched, saved, capsys, tmp_path, monkeypatch
):
    config = yaml.safe_load((stitched / "config.yaml").read_text())
    other = tmp_path / "other.safetensors"
    network = load_network(saved("lenet", 3))
    save_network(other, network, Card("lenet", 10, 1, "digits", 3, 3, 0))
    config["receiver"] = str(other)
    (stitched / "config.yaml").write_text(yaml.safe_dump(config))
    assert main(["evaluate", str(stitched), "--accelerator", "cpu"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "before.safetensors was made for a receiver of sha256" in said
    assert f"other.safetensors has {network_sha256(network)[:12]}...: put the network back" in said

    monkeypatch.chdir(tmp_path)
    words = ["--other-networks", "--quiet", "--accelerator", "cpu"]
    assert main(["evaluate", str(stitched), *words]) == 0


@pytest.mark.filterwarnings("ignore:.*has no checksum")
def test_an_old_state_dict_that_is_damaged_once_it_was_stitched_is_refused(few_digits, tmp_path):
    paths = [tmp_path / f"in{seed}.pt" for seed in (0, 1)]
    for seed, path in enumerate(paths):
        state = build_network("mlp", init_seed=seed).state_dict()
        torch.save(state, path, _use_new_zipfile_serialization=False)
    words = [*map(str, paths), "fc1", "fc1", "--model", "mlp", "-d", "digits", "-e", "0"]
    words += ["--measures", "linear_cka", "--untrained", "1"]
    assert main(["stitch", *words, "--run-name", "made", "--quiet", "--accelerator", "cpu"]) == 0
    StitchedRun.read("results/stitch/made", ["after"])
    whole, draw = paths[1].read_bytes(), random.Random(0)
    for _ in range(30):
        content = bytearray(whole)
        content[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        paths[1].write_bytes(content)
        with pytest.raises(UserError, match=r"in1\.pt (has|cannot be read|is damaged|holds)"):
            StitchedRun.read("results/stitch/made", ["after"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "missing SUBJECT (a network"),
        ("absent.safetensors", "no file absent.safetensors"),
        ("FOLDER", "to evaluate a network in it, name its file, such as FOLDER/"),
        (".", ". is no run of stitch.py: there is no config.yaml"),
        ("NETWORK --stitch after", "--stitch chooses among the stitches of a run, and"),
        ("NETWORK --stitch aftre", "got 'aftre'; did you mean after"),
        ("NETWORK --model tiny10", "--model tiny10 says what a .pt file holds, and"),
        ("NETWORK --percentile 101", "--percentile lies between 0 and 100, got 101; see"),
        ("NETWORK -b 0", "-b must be at least 1, got 0"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(mistake, saved, words, expected):
    network = saved("lenet")
    folder = str(Path(network).parent)
    given = words.replace("NETWORK", network).replace("FOLDER", folder)
    assert expected.replace("FOLDER", folder) in mistake("evaluate", *given.split())
