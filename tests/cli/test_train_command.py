import json
import os
import signal

import pytest
import torch
import yaml

from frankenstein.cli import main
from frankenstein.errors import PlanError
from frankenstein.training.plan import TrainPlan
from frankenstein.zoo import load_network, network_sha256, read_card

TRAIN = ("train", "-m", "lenet", "-d", "digits", "-lr", "0.02")


def fingerprint(folder):
    return network_sha256(load_network(folder / "network.safetensors"))


def test_a_run_leaves_the_folder_of_the_design(run):
    folder = run(*TRAIN, "-i", "3", "-g", "4", "-e", "2", "-b", "25", "-s", "8")
    assert str(folder) == "results/train/lenet-digits-in3-gn4"
    names = {path.name for path in folder.iterdir()}
    assert {
        "config.yaml",
        "run.json",
        "summary.json",
        "metrics.csv",
        "network.safetensors",
        "snapshots",
    } < names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert not [path for path in folder.parent.rglob("*") if path.suffix in (".ckpt", ".partial")]
    assert list(folder.parent.iterdir()) == [folder]

    card = read_card(folder / "network.safetensors")
    assert (card.architecture, card.dataset) == ("lenet", "digits")
    assert (card.init_seed, card.order_seed, card.epochs) == (3, 4, 2)

    record = json.loads((folder / "run.json").read_text())
    assert {"command", "commit", "python", "versions", "machine", "seconds"} < set(record)
    assert record["seeds"] == {"init": 3, "order": 4}
    assert record["device"] == "cpu"
    assert record["network"] == fingerprint(folder)
    assert "torch" in record["versions"]

    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert (config["model"], config["epochs"], config["batch_size"]) == ("lenet", 2, 25)

    metrics = (folder / "metrics.csv").read_text()
    assert {"train/loss", "val/accuracy", "epoch"} < set(metrics.splitlines()[0].split(","))

    report = (folder / "report.md").read_text()
    assert "on 256 images of digits, 25 a step, and scored on 60 held-out images" in report
    assert "| always the most frequent answer |" in report
    assert "frankenstein train --config results/train/lenet-digits-in3-gn4/config.yaml" in report
    assert f"`{record['network'][:12]}`" in report
    assert (folder / "figures" / "training.png").is_file()

    snapshots = sorted(path.name for path in (folder / "snapshots").iterdir())
    # Of 20 steps.
    assert snapshots == ["step0.safetensors", "step16.safetensors", "step8.safetensors"]


def test_the_summary_is_what_the_saved_network_does(run, few_digits):
    folder = run(*TRAIN, "-e", "1")
    network = load_network(folder / "network.safetensors")
    images, labels = next(iter(few_digits(image_size=32).val_batches()))
    with torch.no_grad():
        logits = network(images)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary == pytest.approx(
        {
            "accuracy/held_out": (logits.argmax(1) == labels).float().mean().item(),
            "loss/held_out": torch.nn.functional.cross_entropy(logits, labels).item(),
        }
    )


def test_without_epochs_the_network_is_its_start(run):
    one = run(*TRAIN, "-e", "0", "-i", "5", "-g", "1")
    other = run(*TRAIN, "-e", "0", "-i", "5", "-g", "2")
    assert fingerprint(one) == fingerprint(other)
    assert json.loads((one / "summary.json").read_text())["accuracy/held_out"] < 0.4


def test_the_two_seeds_act_independently_and_a_run_is_replayed_by_its_config(run):
    one = run(*TRAIN, "-e", "1")
    assert "held-out images after 1 epoch; always" in (one / "report.md").read_text()
    again = run("train", "--config", one / "config.yaml")
    assert again.name == f"{one.name}-2"  # never overwritten
    assert fingerprint(again) == fingerprint(one)
    assert fingerprint(run(*TRAIN, "-e", "1", "-g", "1")) != fingerprint(one)
    assert fingerprint(run(*TRAIN, "-e", "1", "-i", "1")) != fingerprint(one)


def test_what_is_printed_last_is_what_a_person_wants(few_digits, capsys):
    assert main([*TRAIN, "-e", "1", "--accelerator", "cpu"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("lenet-digits-in0-gn0\n")
    assert "\n━ training (" in said
    *_, network, report, board = said.strip().splitlines()
    assert report == "report:     results/train/lenet-digits-in0-gn0/report.html"
    assert network == "network:    results/train/lenet-digits-in0-gn0/network.safetensors"
    assert board == "look at it: tensorboard --logdir results/train/lenet-digits-in0-gn0"
    assert "accuracy/held_out" in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-e -1", "-e must be at least 0, got -1"),
        ("-s 0", "-s must be at least 1, got 0"),
        ("-lr -0.1", "-lr must be at least 0, got -0.1"),
        ("-lr nan", "-lr takes a number, got 'nan'"),
        ("-wd -1", "-wd must be at least 0, got -1.0"),
        ("-b 0", "-b must be at least 1, got 0"),
        ("-b 300", "256 training images do not fill one batch of 300"),
        ("-g -1", "order_seed must not be negative, got -1"),
        ("-m tiny1", "or torchvision/<name>, got 'tiny1'; did you mean tiny10?"),
        ("-d digit", "did you mean digits?"),
        ("--resume", "nothing to resume: no results/train/lenet-digits-in0-gn0.partial; run"),
        ("-d fashion --data-root nowhere", "Fashion-MNIST: no train-images-idx3-ubyte.gz"),
        ("--precision 3", "the Trainer refuses"),
        ("--accelerator brain", "the Trainer refuses"),
        ("--strategy magic", "the Trainer refuses"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(mistake, monkeypatch, words, expected):
    monkeypatch.setattr("torchvision.datasets.FashionMNIST.mirrors", [])  # no network in tests
    assert expected in mistake(*TRAIN, *words.split())


def test_a_gpu_that_is_not_there_is_one_line(mistake):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert "the Trainer refuses" in mistake(*TRAIN, "--accelerator", "gpu")


def test_a_folder_that_cannot_be_written_to_is_one_line(mistake, tmp_path):
    (tmp_path / "taken").write_text("a file")
    said = mistake(*TRAIN, "-o", "taken")
    assert "cannot write results to taken/train" in said
    assert "choose --out-dir" in said


def test_the_curves_of_a_resumed_run_begin_where_it_began(run, at, capsys):
    words = ("train", "-m", "mlp", "-d", "digits", "-e", "3", "-b", "32", "--run-name")
    whole = run(*words, "whole")
    at("step", 21, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert main([*words, "cut", "--quiet", "--accelerator", "cpu"]) == 143
    capsys.readouterr()
    cut = run(*words, "cut", "--resume")
    assert len(list(cut.glob("metrics*.csv"))) == 2
    pictures = [folder / "figures" / "training.png" for folder in (whole, cut)]
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


def test_snapshots_say_their_step_and_epoch_wherever_they_lie(run, mistake, tmp_path):
    folder = run(*TRAIN, "-e", "2", "--keep-epochs", "0,1,2", "-s", "4", "-b", "25")
    names = {path.stem: path for path in (folder / "snapshots").iterdir()}
    # Of 20 steps. No state is there twice, such as step0 and step20.
    assert names.keys() == {"epoch0", "epoch1", "epoch2", *(f"step{i}" for i in (4, 8, 12, 16))}
    copy = tmp_path / "somewhere.safetensors"
    copy.write_bytes(names["step4"].read_bytes())
    assert (read_card(copy).step, read_card(copy).epoch, read_card(copy).epochs) == (4, 0.4, 2)
    assert (read_card(names["epoch1"]).step, read_card(names["epoch1"]).epoch) == (10, 1)
    assert read_card(folder / "network.safetensors").step is None
    last, whole = (load_network(one) for one in (names["epoch2"], folder / "network.safetensors"))
    assert network_sha256(last) == network_sha256(whole)
    page = run("evaluate", copy) / "report.md"
    assert "| 0.4000 of 2 (step 4) |" in page.read_text()


@pytest.mark.parametrize("words", ["3", "1,x", "-1", ""])
def test_epochs_that_are_none_are_refused(words):
    with pytest.raises(PlanError, match="from 0 to epochs 2"):
        TrainPlan(model="lenet", dataset="digits", epochs=2, keep_epochs=words)
    assert TrainPlan(epochs=2, keep_epochs="every").keeps(1)
    assert TrainPlan(epochs=2, keep_epochs=2).keeps(2)
