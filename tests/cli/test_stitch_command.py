import json
import re
from pathlib import Path

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from frankenstein.cli import main
from frankenstein.stitches import Affine, load_stitch, save_stitch, stitch_facts
from frankenstein.zoo import load_network, network_sha256

KINDS = ("before", "after", "ps_inv")


@pytest.fixture
def pair(saved):
    return saved("lenet", 0), saved("lenet", 1)


@pytest.mark.parametrize(
    "layers", [["0", "fc1"], ["--sender-layers", "0", "--receiver-layers", "fc1"]]
)
def test_a_sender_that_has_no_control_is_refused_before_anything_is_solved(layers, mistake, saved):
    Path("mine.py").write_text(
        "import torch\n\ndef net():\n    torch.manual_seed(0)\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))\n"
        "net.input_shape = (1, 28, 28)\n"
    )
    said = mistake("stitch", "mine.py:net", saved("mlp"), *layers, "-d", "digits", "-e", "1")
    assert "mine.py:net cannot be had with random weights, which a control takes" in said
    assert not list(Path("results").rglob("*.partial"))


def weight(folder, kind):
    return load_stitch(folder / f"{kind}.safetensors").affine_map()[0]


@pytest.mark.drawn
def test_a_run_prints_what_a_person_wants_and_leaves_the_folder_of_the_design(
    few_digits, pair, capsys
):
    words = [*pair, "pool1", "pool1", "-e", "2", "-b", "25", "--untrained", "1"]
    assert main(["stitch", *words, "--accelerator", "cpu"]) == 0
    name = "lenet-10-1-in0-10-1-in1-digits-pool1-pool1-random-e2-b25-untrained1"
    folder, said = Path("results/stitch", name), capsys.readouterr().out
    assert said.startswith(f"{name}\n")
    for bar in ("solving ", "training ", "evaluating "):
        assert bar in said
    *_, last, board = said.strip().splitlines()
    assert last == f"report:     {folder}/report.html"
    assert board == f"look at it: tensorboard --logdir {folder}"
    assert all(part in said for part in ("sender", "receiver", *KINDS, "relative"))
    assert [path for path in folder.rglob("*") if path.suffix in (".ckpt", ".partial")] == []

    sha = {side: network_sha256(load_network(path)) for side, path in zip(
        ("sender", "receiver"), pair, strict=True
    )}  # fmt: skip
    for kind in KINDS:
        path = folder / f"{kind}.safetensors"
        assert path.stat().st_size < 4000
        assert load_stitch(path).affine_map()[0].shape == (6, 6)
        assert stitch_facts(path) == {**sha, "sender_layer": "pool1", "receiver_layer": "pool1"}
    assert not torch.equal(weight(folder, "before"), weight(folder, "after"))

    record = json.loads((folder / "run.json").read_text())
    assert {"commit", "versions", "seconds", "joins", "seeds", "device"} <= set(record)
    assert yaml.safe_load((folder / "config.yaml").read_text())["sender"] == pair[0]

    summary = json.loads((folder / "summary.json").read_text())
    whose = ("sender", "receiver", *KINDS)
    measures = ("unbiased_cka", "linear_cka", "mean_cca")
    expected = [f"{what}/{name}" for what in ("accuracy", "loss") for name in whose]
    columns = ("relative_accuracy", "agreement", "stitching_penalty", *measures)
    expected += [f"{what}/{kind}" for what in columns for kind in KINDS]
    assert set(expected) <= set(summary)
    assert all(isinstance(value, float | int) for value in summary.values())
    assert {summary[f"n/{name}"] for name in whose} == {60}
    assert summary["linear_cka/ps_inv"] > summary["linear_cka/before"]

    report = (folder / "report.md").read_text()
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", report)
    assert len(pictures) == 6  # accuracies, two curves behind the cut, three matrices
    assert all((folder / picture).is_file() for picture in pictures)
    assert "relative" in report

    events = EventAccumulator(str(folder)).Reload()
    scalars = {"train/loss", "val/loss", "val/accuracy"}
    scalars |= {f"similarity/{measure}/per_location" for measure in measures}
    assert scalars <= set(events.Tags()["scalars"])
    assert not [tag for tag in events.Tags()["scalars"] if tag.endswith("/after")]  # lonely dots
    assert {"stitch/weight", "similarity/units"} <= set(events.Tags()["images"])
    assert len(events.Images("stitch/weight")) == 2  # at the start and every 10 * 2 steps
    assert list(folder.rglob("projector_config.pbtxt"))


def test_a_run_is_replayed_by_its_config_bit_for_bit(run, pair):
    words = ("-e", "1", "-r", "2", "--seed", "4", "--cka-reg", "-1", "-lr", "0.01")
    one = run("stitch", *pair, "conv1", "relu1", *words, "--untrained", "1")
    again = run("stitch", "--config", one / "config.yaml")
    assert again.name == f"{one.name}-2"
    for kind in KINDS:
        assert torch.equal(weight(one, kind), weight(again, kind))
    assert (one / "summary.json").read_text() == (again / "summary.json").read_text()
    assert torch.linalg.matrix_rank(weight(one, "after")) == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("relu2 relu2 -e -1", "-e must be at least 0, got -1; see"),
        ("relu2 relu2 -lr -1", "-lr must be at least 0, got -1.0"),
        ("fc1 fc1 -f", "--flatten goes from place to place, and fc1 and fc1 have none; leave it"),
        ("relu2 relu2 --precision 64-true", "would change the frozen networks, too; take 32-true"),
        ("relu2 relu2 --precision bf16-true", "--precision bf16-true would change the frozen net"),
        ("relu2 relu2 --model tiny10", "--model tiny10 says what a .pt file holds, and "),
        ("relu2 relu2 -s 0", "-s must be at least 1, got 0"),
        ("-e 0", "missing SENDER_LAYER (layer of the sender after which it is cut)"),
        ("rel2 relu2", "LeNet has no layer 'rel2'; did you mean relu2"),
        ("relu2 rleu2", "LeNet has no layer 'rleu2'; did you mean relu2"),
        ("relu2 xyz", "LeNet has no layer 'xyz'; `frankenstein layers NETWORK` lists those where"),
        ("fc1 relu2", "the source is a vector and the target has places (10, 10)"),
        ("fc1 fc2 --family identity", "as many target units as source units, got 120 and 84"),
        ("fc1 fc2 --family orthogonal", "as many target units as source units, got 120 and 84"),
        ("fc2 fc1 --family permutation", "got 84 for 120; swap sender and receiver or use affine"),
        ("relu2 relu2 --family low_rank", "a low_rank stitch needs --low-rank"),
        ("relu2 relu2 --family sparse", "a sparse stitch needs --l1"),
        ("relu2 relu2 --family permutation -r 4", "--low-rank belongs to a low_rank stitch"),
        ("relu2 relu2 --l1 1 -r 4", "--l1 belongs to a sparse stitch, and this one is low_rank"),
        ("relu2 relu2 --family permutation --cka-reg 1", "a stitch of family permutation has none"),
        ("relu2 relu2 -r 0", "rank"),
        ("relu2 relu2 -r 17", "rank"),
        ("relu2 relu2 --l1 -1", "the l1 penalty is a number from 0 upwards, got -1"),
        ("relu2 relu2 -i zero", "-i takes random, perm, eye, ps_inv or ones-zeros, got 'zero'"),
        ("relu2 relu2 --measures mean_cka", "did you mean mean_cca"),
        ("relu2 relu2 -b 300", "256 training images do not fill one batch of 300"),
        ("relu2 relu2 --strategy magic", "the Trainer refuses"),
        ("relu2 relu2 -e 0 --devices 2", "not trained is made on one device, got --devices 2; "),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(mistake, pair, words, expected):
    assert expected in mistake("stitch", *pair, *words.split())


def test_networks_that_do_not_fit_together_are_one_line(mistake, saved):
    lenet, layers = saved("lenet"), ("fc1", "fc1")
    said = mistake("stitch", lenet, saved("lenet", num_classes=7), *layers)
    assert "the sender tells 10 classes apart and the receiver 7; take networks of one" in said
    said = mistake("stitch", lenet, saved("lenet", in_channels=4), *layers)
    assert "images of 1 channel cannot become images of 4: only grey (1) and colour (3)" in said


def test_files_that_hold_no_network_are_one_line(mistake, pair, tmp_path):
    layers = ("relu2", "relu2")
    (tmp_path / "text.safetensors").write_text("hello")
    assert "no file absent.safetensors" in mistake("stitch", "absent.safetensors", pair[1], *layers)
    said = mistake("stitch", pair[0], "text.safetensors", *layers)
    assert "text.safetensors is not a whole safetensors file" in said


def test_a_stitch_is_no_network(mistake, pair, tmp_path):
    path = tmp_path / "after.safetensors"
    save_stitch(path, Affine(6, 6))
    said = mistake("stitch", path, pair[1], "relu2", "relu2")
    assert "holds no network but something else; give a file that train.py wrote" in said


def test_a_stitch_of_low_rank_says_over_how_many_directions_its_cca_is(
    saved, few_digits, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "80")
    words = ["stitch", saved("lenet", 0), saved("lenet", 1), "conv1", "conv1", "-r", "2"]
    words += ["-i", "ps_inv", "-e", "0", "--run-name", "a", "--accelerator", "cpu"]
    words += ["--measures", "linear_cka", "mean_cca", "mutual_knn", "--untrained", "1"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "60 held-out images; measures per_location, mutual_knn per_sample" in said
    (line,) = [line for line in said.splitlines() if line.startswith("mean cca: ")]
    assert "over 2 to 6 directions" in line
    assert "ps_inv," not in line
    report = Path("results/stitch/a/report.md").read_text()
    for part in ("| directions |", "`per_location`", "outside", "docs/stitching.md"):
        assert part in report
    assert re.search(r"Controls are solved on \d+ training images", report)
    # `before` is the closed form; `solved` is one on the images of the control beside it.
    numbers = json.loads(Path("results/stitch/a/summary.json").read_text())
    assert numbers["accuracy/solved"] == pytest.approx(numbers["accuracy/before"], abs=0.1)
    words = ["evaluate", "results/stitch/a", "--floor", "0.5", "--stitch", "before", "--quiet"]
    assert main([*words, "--accelerator", "cpu"]) == 0
    folder = Path("results/evaluate/a")
    assert "with 0.5 of the mean variance" in (folder / "report.md").read_text()
    higher = json.loads((folder / "summary.json").read_text())
    assert higher["outside/before"] < numbers["outside/before"]
