import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from frankenstein.cli import main
from frankenstein.errors import AlreadyDone, RunsFailed
from frankenstein.runs.plan import read_plan
from frankenstein.studies import Study, StudyPlan
from frankenstein.studies.folder import finished_study

NETWORKS = {"train": {"model": "mlp", "dataset": "digits", "epochs": 1}, "seeds": "0..1"}
COMPARE = {"measures": ["linear_cka"], "sender_layer": "fc1", "receiver_layer": "fc1"}


@pytest.fixture
def config(tmp_path):
    """Writes a study as YAML."""

    def write(**fields):
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump(fields))
        return path

    return write


def study(config, *words):
    return main(
        ["study", "--config", str(config), "--accelerator", "cpu", "--workers", "0", *words]
    )


def test_a_graph_is_run_goes_on_with_what_is_missing_and_is_not_run_twice(
    few_digits, config, capsys
):
    """A comparison of a layer that is not there fails; the others are done."""
    compare = {**COMPARE, "receiver_layer": ["fc1", "fc9"]}
    path = config(networks=NETWORKS, compare=compare, run_name="two")
    assert study(path) == 1
    said = capsys.readouterr()
    assert "4 runs (2 train, 2 compare); one after the other" in said.out
    first, last = said.err.splitlines()
    assert first.startswith("compare/mlp-0-vs-mlp-1-fc9: ")
    folder = Path("results/study/two.partial")
    again = f"go on with: frankenstein study --config {folder}/config.yaml"
    assert last.startswith("frankenstein study: 1 of 4 runs failed; ")
    assert last.endswith(again)
    page = (folder / "report.md").read_text()
    assert "## What failed" in page
    assert "(compare/mlp-0-vs-mlp-1-fc1/report.md)" in page
    record = json.loads((folder / "train/mlp-1/run.json").read_text())
    assert record["command"].startswith("frankenstein train --model mlp ")
    assert (record["options"]["init_noise"], record["options"]["gradient_noise"]) == (1, 1)
    made = [json.loads(path.read_text())["seconds"] for path in sorted(folder.glob("*/*/run.json"))]

    compare["receiver_layer"] = ["fc1", "fc2"]  # the mistake is mended, and what is there stays
    path = config(networks=NETWORKS, compare=compare, run_name="two")
    assert study(path) == 0
    assert "; 3 are there already" in capsys.readouterr().out
    whole = Path("results/study/two")
    kept = [path for path in sorted(whole.glob("*/*/run.json")) if "fc2" not in str(path)]
    assert [json.loads(path.read_text())["seconds"] for path in kept] == made
    numbers = json.loads((whole / "summary.json").read_text())
    assert any(name.startswith("compare/mlp-0-vs-mlp-1-fc2/") for name in numbers)
    assert not [path for path in whole.rglob("*.yaml") if ".partial" in path.read_text()]
    assert study(path) == 0
    assert "results/study/two is finished" in capsys.readouterr().out
    assert [path.name for path in whole.parent.iterdir()] == ["two"]
    assert finished_study(read_plan(StudyPlan, path), "two") == whole
    assert finished_study(read_plan(StudyPlan, path), "tw") is None  # another name is another study


def test_all_networks_stand_on_the_page_of_a_study(run, saved, config):
    networks = [saved("mlp", seed) for seed in range(3)]
    folder = run(
        "study",
        "--config",
        config(networks=networks, compare={"measures": ["linear_cka"]}),
        "--workers",
        0,
    )
    page = (folder / "report.md").read_text()
    assert "## All networks: `3-networks`" in page
    assert "The mean linear_cka of 3 pairs of networks is 0." in page
    for picture in ("networks", "tree", "map", "mean", "spread"):
        assert (folder / f"figures/1-linear_cka-{picture}.png").is_file()
    assert len((folder / "study.csv").read_text().splitlines()) == 2


def test_what_waits_for_a_run_that_failed_is_not_begun(few_digits, config, capsys):
    networks = {"train": {**NETWORKS["train"], "model": "torchvision/nosuch"}, "seeds": "0..1"}
    assert study(config(networks=networks, compare=COMPARE), "--quiet") == 1
    *_, third, last = capsys.readouterr().err.splitlines()
    assert third == ("compare/nosuch-0-vs-nosuch-1: not run, for train/nosuch-0 failed")
    assert last.startswith("frankenstein study: 3 of 3 runs failed")


def test_a_dry_run_prints_the_graph_and_writes_nothing(few_digits, config, capsys):
    assert study(config(networks=NETWORKS, compare=COMPARE), "--dry-run") == 0
    said = capsys.readouterr().out
    assert "study: 3 runs, 0 of them there" in said
    assert "train/mlp-0, train/mlp-1" in said
    assert not Path("results").exists()
    assert main(["study", "train -m lenet", "--dry-run"]) == 0
    assert capsys.readouterr().out == "frankenstein train -m lenet\n"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"networks": "no.safetensors"}, "no file no.safetensors, which a network of this study"),
        ({"compare": COMPARE}, "--compare is of the pairs of --networks; say these, too"),
        ({"networks": "lenet", "steps": ["train"]}, "a list of STEPS or a graph of --networks"),
        ({"networks": NETWORKS, "compare": {"measure": []}}, "no field measure; did you mean"),
        ({"networks": "code.py:net"}, "names code, code.py:net, which would be run"),
        ({"steps": ["compare a.safetensors b.safetensors"]}, "no file a.safetensors"),
        ({"steps": [{"evaluate": {"subject": "results/no"}}]}, "no file results/no"),
    ],
)
def test_a_study_that_cannot_begin_is_told_before_anything_runs(mistake, config, fields, expected):
    assert expected in mistake("study", "--config", config(**fields))


def test_a_report_in_a_step_takes_globs(run, saved, config):
    folder = run(
        "study",
        f"evaluate {saved('mlp')} --run-name one",
        f"evaluate {saved('mlp', 1)} --run-name two",
        "report '{study}/evaluate/*' --run-name both",
    )
    assert "2 runs of evaluate" in (folder / "report/both/report.md").read_text()


def test_a_study_in_python(few_digits):
    study = Study(networks=NETWORKS, compare=COMPARE, accelerator="cpu", quiet=True, workers=0)
    assert [node.name for node in study.graph()] == [
        "train/mlp-0",
        "train/mlp-1",
        "compare/mlp-0-vs-mlp-1",
    ]
    run = study.run()
    assert run.folder == Path("results/study/study")
    assert [*study.runs()] == ["train/mlp-0", "train/mlp-1", "compare/mlp-0-vs-mlp-1"]
    assert study.runs()["train/mlp-1"].numbers["accuracy/held_out"] > 0
    with pytest.raises(AlreadyDone):
        study.run()
    other = replace(study, compare={**COMPARE, "receiver_layer": "fc9"}, run_name="other")
    with pytest.raises(RunsFailed) as told:
        other.run()
    assert [*told.value.failures] == ["compare/mlp-0-vs-mlp-1"]
