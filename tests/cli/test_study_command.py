import json
import re
from pathlib import Path

import pytest
import yaml

TRAIN = "train -m mlp -d digits -e 1 -b 64 --run-name one"
ANALYZE = "analyze {study}/train/one/network.safetensors {network} --weights --run-name weights"


def test_steps_run_one_after_the_other_into_one_folder_with_a_page_that_leads_to_all(run, saved):
    steps = [TRAIN, ANALYZE.replace("{network}", saved("mlp", 1))]
    folder = run("study", *steps, "--run-name", "two")
    assert folder == Path("results/study/two")
    assert (folder / "train/one/network.safetensors").is_file()
    trained = json.loads((folder / "train/one/summary.json").read_text())
    summary = json.loads((folder / "summary.json").read_text())
    assert {
        f"train/one/{name}": value for name, value in trained.items()
    }.items() <= summary.items()
    assert any(name.startswith("analyze/weights/weights/norm/") for name in summary)
    page = (folder / "report.md").read_text()
    links = re.findall(r"\]\((.*?)\)", page)
    assert "analyze/weights/report.md" in links
    assert all((folder / link).is_file() for link in links)
    assert all(f"frankenstein {step}" in page for step in steps)
    assert "frankenstein study --config results/study/two/config.yaml" in page
    replay = yaml.safe_load((folder / "analyze/weights/config.yaml").read_text())
    assert replay["sender"] == "results/study/two/train/one/network.safetensors"

    again = run("study", "--config", folder / "config.yaml")
    assert again.name == "two-2"
    assert json.loads((again / "summary.json").read_text()) == summary


def test_the_studys_own_options_hold_for_every_step(run, saved):
    folder = run("study", f"evaluate {saved('mlp')}", "--data-root", "elsewhere")
    replay = yaml.safe_load(next(folder.glob("evaluate/*/config.yaml")).read_text())
    assert (replay["data_root"], replay["quiet"]) == ("elsewhere", True)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], "missing STEPS (command lines"),
        (["tarin -m mlp"], "begins with no verb that makes runs; known: train, stitch,"),
        (["layers mlp"], "step 'layers mlp' begins with no verb that makes runs"),
        ([TRAIN, "train -m mlpp"], "step 'train -m mlpp': -m takes"),
        ([TRAIN, "compare a 'b"], "is no command line: No closing quotation"),
        (["train -o here"], "step 'train -o here' writes into the study's folder; leave out"),
    ],
)
def test_all_steps_are_checked_before_the_first_runs(mistake, steps, expected):
    assert expected in mistake("study", *steps)


def test_what_was_done_before_a_step_that_fails_stays(few_digits, capsys):
    from frankenstein.cli import main

    steps = [TRAIN, "evaluate {study}/train/two/network.safetensors"]
    assert main(["study", *steps, "--quiet", "--accelerator", "cpu"]) == 2
    assert "no file results/study/study/train/two/network.safetensors" in capsys.readouterr().err
    assert Path("results/study/study/train/one/network.safetensors").is_file()
