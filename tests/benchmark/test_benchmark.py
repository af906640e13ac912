"""A benchmark from its command to its page: once, gone on with, and refused."""

import json
from pathlib import Path

import pytest
import torch

from frankenstein.benchmark import readings
from frankenstein.benchmark import run as benchmark
from frankenstein.benchmark.grounded.grounded import STANDARD
from frankenstein.benchmark.plan import BenchmarkPlan
from frankenstein.benchmark.table import TESTS
from frankenstein.benchmark.zoo import file_of, graph_of, members
from frankenstein.cli import main
from frankenstein.errors import PlanError, UserError
from frankenstein.networks.network import open_network
from frankenstein.surgery import cut
from frankenstein.zoo import Card, build_network, save_network

WORDS = ["benchmark", "-m", "mlp", "-e", "1", "--seeds", "3", "--draws", "100", "--workers", "0"]
WORDS += ["--tests", "moved_points", "class_noise", "--measures", "linear_cka"]
WORDS += ["--images", "60", "--accelerator", "cpu"]


def test_every_network_has_a_seed_of_its_own_and_is_trained_once():
    plan = BenchmarkPlan()
    nodes = graph_of(plan, "results")
    trained = [node.plan for node in nodes if node.name.startswith("train/")]
    assert len(trained) == 2 * 5 + 4 * 5 + 5 * 5 + 3 * 5 + 5
    assert len({one.init_noise for one in trained}) == len(trained)
    assert all(one.init_noise == one.gradient_noise for one in trained)
    tests = [node for node in nodes if node.name.startswith("benchmark/")]
    assert [node.name for node in tests] == ["benchmark/plain", "benchmark/marked"]
    assert tests[1].plan.tests == ["shortcuts"]
    assert [*TESTS] == sorted(tests[0].plan.tests + tests[1].plan.tests, key=[*TESTS].index)
    assert {*tests[0].after} | {*tests[1].after} == {f"train/{one.run_name}" for one in trained}
    assert all(one.startswith("train/marker") for one in tests[1].after)


@pytest.mark.parametrize("name", TESTS)
def test_every_test_says_its_question_and_source(name):
    test = TESTS[name].target
    assert test.question.endswith("?")
    assert "20" in test.source
    assert name != "accuracy", "numbers of this name are shares, and a score may be below 0"


def test_a_benchmark_goes_on_with_what_is_missing(few_digits, monkeypatch, capsys):
    def full(*_):
        raise UserError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(benchmark, "tell_failures", full)
        assert main(WORDS) == 2
    said = capsys.readouterr()
    assert "3 networks of mlp to train for 1 epoch on 256 images, 3 pairs" in said.out
    assert "go on with: frankenstein benchmark --config" in said.err
    folder = Path("results/benchmark/mlp-digits")
    made = sorted(Path(f"{folder}.partial").glob("*/*/run.json"))
    assert len(made) == 4
    seconds = [json.loads(path.read_text())["seconds"] for path in made]
    assert main(WORDS) == 0
    assert "; 4 are there already" in capsys.readouterr().out
    kept = [json.loads(path.read_text())["seconds"] for path in sorted(folder.glob("*/*/run.json"))]
    assert kept == seconds
    numbers = json.loads((folder / "summary.json").read_text())
    assert numbers["moved_points/violation rate/random_numbers/rank"] is None
    assert 1 <= numbers["moved_points/violation rate/linear_cka/rank_low"] <= 3
    page = (folder / "report.md").read_text()
    assert "**Do two networks share more than the classes?** (class_noise) Take `" in page
    assert "Rests on 3 networks: 3 seeds of 1 condition (standard), 60 held-out images" in page
    assert "random numbers have a violation rate of" in page
    assert (folder / "figures/ranks.png").is_file()
    lines = (folder / "scores.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * (1 + 2 + 2)  # scores by measures, stitches and controls
    assert main(WORDS) == 0
    assert "results/benchmark/mlp-digits is finished" in capsys.readouterr().out
    assert (folder / "benchmark/plain/moved_points-values.csv").is_file()


def test_every_network_sees_every_image_once_whatever_the_tests(few_digits, tmp_path, monkeypatch):
    plan = BenchmarkPlan(model="lenet", seeds=3, images=60, networks=str(tmp_path))
    for name in members(STANDARD, plan.seeds):
        file = Path(file_of(str(tmp_path), name))
        file.parent.mkdir()
        save_network(file, build_network("lenet"), Card("lenet", 10, 1, "digits", 0, 0, 1))
    tests = {name: TESTS[name].target for name in ("layers", "moved_points", "class_noise")}
    passes, in_parts = [], readings._in_parts
    monkeypatch.setattr(readings, "_in_parts", lambda *a: passes.append(len(a[1])) or in_parts(*a))
    read = readings.read_networks(plan, tests, torch.device("cpu"))
    assert passes == [60, 60] * 3  # held-out images, and those that stitches are made on
    network = open_network(file_of(str(tmp_path), "standard-1"), "one").module
    assert torch.equal(read.rows["standard-1"].held, cut(network, after="relu4")[0](read.inputs))
    assert torch.equal(read.logits["standard-1"], network(read.inputs))
    assert torch.equal(read.layers["standard-1"]["conv1"], network.conv1(read.inputs))
    alone = read.of(tests["class_noise"], 3)
    assert [*alone.groups.values()] == ["standard"] * 3
    assert alone.pairs is read.pairs


def test_a_network_with_too_few_layers_is_refused_before_it_is_trained(few_digits, capsys):
    assert main(["benchmark", "-m", "mlp", "--tests", "layers", "answers"]) == 2
    said = capsys.readouterr().err
    assert "mlp has 2; leave layers out of --tests, or take another --model" in said
    assert not Path("results").exists()


def test_a_dry_run_says_what_it_would_cost(few_digits, capsys):
    assert main([*WORDS, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "mlp-digits: 4 runs, 0 of them there" in said
    assert "at least" in said.splitlines()[-1]
    assert not Path("results").exists()


@pytest.mark.parametrize("dataset", ["text", "celeba", "code.py:loader"])
def test_data_without_one_class_of_an_image_are_refused(dataset):
    with pytest.raises(PlanError, match=r"one class each.*got " + dataset[:4]):
        BenchmarkPlan(dataset=dataset)
