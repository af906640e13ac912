import csv
import json
import re
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from frankenstein.accumulators.moments import Moments
from frankenstein.cli import main
from frankenstein.measures import (
    linear_cka,
    mean_squared_distance,
    r_squared,
    unit_correlation,
)
from frankenstein.networks.accuracy import evaluate_network
from frankenstein.stitches import load_stitch
from frankenstein.surgery import capture, cut, cut_points
from frankenstein.zoo import load_network, network_sha256


@pytest.fixture
def pair(saved):
    return saved("lenet", 0), saved("lenet", 1)


def matrix(folder, measure="unbiased_cka"):
    with (folder / f"{measure}.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    return {
        (row[0], column): float(cell)
        for row in rows
        for column, cell in zip(header[1:], row[1:], strict=True)
    }


def test_a_run_writes_the_matrix_and_one_cell_agrees_with_it(run, pair, few_digits):
    folder = run("compare", *pair, "-d", "digits")
    layers = list(cut_points(load_network(pair[0])))
    everything = matrix(folder)
    assert list(everything) == [(row, column) for row in layers for column in layers]
    summary = json.loads((folder / "summary.json").read_text())
    accuracies = {role: summary.pop(f"accuracy/{role}") for role in ("sender", "receiver")}
    assert summary.pop("accuracy/most_frequent") == 10 / 60
    assert summary == {f"unbiased_cka/{r}/{c}": value for (r, c), value in everything.items()}
    batches = list(few_digits(image_size=32).val_batches())
    for role, path in zip(accuracies, pair, strict=True):
        expected = evaluate_network(load_network(path), batches)["accuracy"]
        assert accuracies[role] == pytest.approx(expected)

    record = json.loads((folder / "run.json").read_text())
    assert record["networks"]["receiver"] == network_sha256(load_network(pair[1]))
    assert (record["examples"], record["block"], record["device"]) == (60, 60, "cpu")

    report = (folder / "report.md").read_text()
    assert "measured by this run, on 60 held-out images of digits." in report
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", report)
    assert pictures
    assert all((folder / picture).is_file() for picture in pictures)
    assert any(path.name.startswith("events.out.tfevents") for path in folder.iterdir())

    cell = matrix(run("compare", *pair, "relu2", "pool1"))
    assert list(cell) == [("relu2", "pool1")]
    assert cell["relu2", "pool1"] == pytest.approx(everything["relu2", "pool1"], abs=1e-9)


def test_what_chance_gives_takes_no_pass_through_a_network(run, pair, at):
    passes, counts = at(nn.Conv2d), []
    for words in ((), ("--permutations", "19")):
        folder = run("compare", *pair, "relu1", "relu*", "unbiased_cka", *words)
        counts.append(len(passes) - sum(counts))
    assert counts[0] == counts[1] > 0
    assert summary(folder)["unbiased_cka_family_p/relu1/relu2"] > 0


def test_a_run_is_replayed_by_its_config(run, pair):
    one = run("compare", *pair, "relu1", "--block", "20")
    again = run("compare", "--config", one / "config.yaml")
    assert again.name == f"{one.name}-2"
    assert (again / "unbiased_cka.csv").read_text() == (one / "unbiased_cka.csv").read_text()
    assert {row for row, _ in matrix(one)} == {"relu1"}
    assert json.loads((one / "run.json").read_text())["block"] == 20


def test_the_matrix_is_printed_and_what_a_person_wants_comes_last(few_digits, pair, capsys):
    assert main(["compare", *pair, "--run-name", "a", "--accelerator", "cpu"]) == 0
    text = capsys.readouterr().out
    assert "comparing layers" in text
    assert "unbiased_cka, per_sample, 60 held-out images" in text
    *_, report, board = text.strip().splitlines()
    assert report == "report:     results/compare/a/report.html"
    assert board == "look at it: tensorboard --logdir results/compare/a"
    assert "pool2" in text


def test_likeness_within_classes_stands_beside_that_of_few_layers(few_digits, pair, capsys, run):
    words = ["compare", *pair, "relu*", "pool*"]
    assert main([*words, "--run-name", "a", "--accelerator", "cpu"]) == 0
    assert "the report has within_class_unbiased_cka, too" in capsys.readouterr().out
    named = run(*words, "within_class_unbiased_cka")
    assert matrix(Path("results/compare/a"), "within_class_unbiased_cka") == matrix(
        named, "within_class_unbiased_cka"
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--block 3", "--block must be at least 4, got 3"),
        ("rel2", "LeNet has no layer 'rel2'; did you mean relu2"),
        ("relu2 rleu2", "LeNet has no layer 'rleu2'; did you mean relu2"),
        ("a b c", "'c' is no measure; layers go before measures"),
        ("relu1 relu2 cifar10 cka", "'cifar10' is no measure; say -d cifar10"),
        ("cka relu1", "'relu1' is no measure; layers go before measures"),
        ("relu1 relu2 unbised_cka", "is no measure; did you mean unbiased_cka"),
        ("unbised_cka", "no layer and no measure is called 'unbised_cka'; did you mean unbia"),
        ("cka layer", "'layer' is no measure; layers go before measures"),
        ("relu1 relu1 cka --layer conv2", "--layer is for the folder of a run, and"),
        ("--stitch after", "--stitch is for the folder of a run, and"),
        ("relu1 l2", "l2 is of two single layers: name SENDER_LAYER and RECEIVER_LAYER, or take"),
        ("relo*", "LeNet has no layer 'relo*'; did you mean relu"),
        ("relu1,rel2", "LeNet has no layer 'rel2'; did you mean relu2"),
        ("--bootstrap 20", "--bootstrap must be at least 39 for the ends of 95 %, or 0 for none"),
        ("--permutations -1", "--permutations must be at least 0, got -1"),
        ("--keep 7", "--keep must be at least 8, got 7"),
        ("rel1 relu1 cka", "LeNet has no layer 'rel1'; did you mean relu1"),
        ("relu1 conv2 l2", "unit i must have its like: x has 6 units and y has 16"),
        ("--accelerator brain", "--accelerator takes cpu, gpu or auto here, got 'brain'"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(mistake, pair, words, expected):
    assert expected in mistake("compare", *pair, *words.split())


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def similarities(folder):
    return {k: value for k, value in summary(folder).items() if not k.startswith("accuracy/")}


def test_networks_that_tell_other_classes_apart_have_no_accuracy(run, saved):
    folder = run("compare", saved("lenet"), saved("lenet", 1, num_classes=7), "relu1", "relu1")
    numbers = summary(folder)
    assert ("accuracy/sender" in numbers, "accuracy/receiver" in numbers) == (True, False)
    row = next(r for r in (folder / "report.md").read_text().splitlines() if r[:6] == "| rece")
    assert "n/a" in row


def test_two_layers_by_measures_and_dr_frankensteins_words(run, pair, few_digits):
    words = ("-d", "digits", "cka", "l2", "ps_inv", "corr", "linear_cka", "mean_squared_distance")
    folder = run("compare", *pair, "relu2", "relu2", *words)
    assert folder.name == "lenet-10-1-in0-10-1-in1-digits-relu2-relu2"
    networks = [capture(load_network(path), ["relu2"]) for path in pair]
    data = few_digits(image_size=32)
    moments = Moments()
    with torch.no_grad():
        for images, _ in data.val_batches():
            moments.update(*(network(images)["relu2"] for network in networks))
    expected = {
        "cka": linear_cka(moments),
        "linear_cka": linear_cka(moments),
        "ps_inv": r_squared(moments),
        "corr": unit_correlation(moments),
        "mean_squared_distance": mean_squared_distance(moments),
        "l2": mean_squared_distance(moments) / 16,
    }
    assert similarities(folder) == {
        f"{word}/relu2/relu2": pytest.approx(float(value)) for word, value in expected.items()
    }
    record = json.loads((folder / "run.json").read_text())
    assert (record["flattening"], record["examples"]) == ("per_location", 60)
    report = (folder / "report.md").read_text()
    assert (folder / re.search(r"!\[.*?\]\((.*?)\)", report).group(1)).is_file()
    assert "r_squared: share of the second" in report
    tags = EventAccumulator(str(folder)).Reload().Tags()
    assert (tags["scalars"], tags["images"]) == ([], ["similarity/units"])  # no dot at step 0
    assert {"finding/text_summary", "numbers/text_summary"} <= set(tags["tensors"])
    again = run("compare", "--config", folder / "config.yaml")
    assert summary(again) == summary(folder)


def test_layers_on_other_grids_are_pooled_and_the_flattening_is_named(run, pair):
    folder = run("compare", *pair, "relu1", "fc1", "cka")
    assert json.loads((folder / "run.json").read_text())["flattening"] == "pooled"
    assert "relu1 against fc1, pooled, 60 held-out images" in (folder / "report.md").read_text()
    folder = run("compare", *pair, "relu2", "relu2", "cka", "--flattening", "per_sample")
    assert json.loads((folder / "run.json").read_text())["flattening"] == "per_sample"


def test_a_runs_stitch_is_compared_with_the_target_at_the_cut_and_behind(
    run, pair, few_digits, capsys
):
    words = ("pool1", "pool1", "-e", "1", "-b", "32", "--run-name", "made", "--untrained", "1")
    made = run("stitch", *pair, *words)
    known = summary(made)
    folder = run("compare", made, "--stitch", "ps_inv", "cka", "l2")
    numbers = summary(folder)
    assert list(numbers)[:2] == ["cka/ps_inv/pool1", "l2/ps_inv/pool1"]
    for role in ("sender", "receiver"):
        assert numbers[f"accuracy/{role}"] == pytest.approx(known[f"accuracy/{role}"])
    assert numbers["cka/ps_inv/pool1"] == pytest.approx(known["linear_cka/ps_inv"], abs=1e-6)
    assert summary(run("compare", "--config", folder / "config.yaml")) == numbers
    assert f"`{pair[0]}`" in (folder / "report.md").read_text()  # of which networks it is

    # Without more words it is the stitch as trained, by the measures of the run.
    numbers = similarities(run("compare", made))
    assert numbers == {
        f"{measure}/after/pool1": pytest.approx(known[f"{measure}/after"], abs=1e-6)
        for measure in ("unbiased_cka", "linear_cka", "mean_cca")
    }

    behind = similarities(run("compare", made, "--layer", "relu2", "l2"))
    assert list(behind) == ["l2/after/relu2"]
    front, end = cut(load_network(pair[1]), after="pool1")
    stitch = load_stitch(made / "after.safetensors")
    sender = cut(load_network(pair[0]), after="pool1").front
    until = capture(end, ["relu2"])
    with torch.no_grad():
        images = torch.cat([images for images, _ in few_digits(image_size=32).val_batches()])
        stitched, target = until(stitch(sender(images)))["relu2"], until(front(images))["relu2"]
    expected = (stitched - target).square().mean().item()
    assert behind["l2/after/relu2"] == pytest.approx(expected, rel=1e-4)
    assert (
        "null mean"
        in (run("compare", made, "cka", "--permutations", "19") / "report.md").read_text()
    )

    for words, expected in {
        "ckaa": "there are measures only, got 'ckaa'; did you mean cka",
        "--layer relu1 cka": "'relu1' of LeNet does not lie behind 'pool1'; did you mean relu2",
    }.items():
        assert main(["compare", str(made), *words.split(), "--accelerator", "cpu"]) == 2
        assert expected in capsys.readouterr().err


def test_a_gpu_that_is_not_there_is_one_line(mistake, pair):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    text = mistake("compare", *pair, "--accelerator", "gpu")
    assert "--accelerator gpu: this machine has no GPU that torch can use; choose cpu" in text
