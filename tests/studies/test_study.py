import json
import re
from pathlib import Path

import pytest
import yaml

from frankenstein.errors import PlanError
from frankenstein.studies import StudyPlan

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


def test_a_step_in_yaml_may_be_a_verb_with_its_fields(run, tmp_path):
    config = tmp_path / "study.yaml"
    config.write_text(
        "steps:\n"
        "  - train: {model: mlp, dataset: digits, epochs: 1, batch_size: 64, run_name: one}\n"
        "  - evaluate: {subject: '{study}/train/one', run_name: two}\n"
    )
    folder = run("study", "--config", config)
    trained, evaluated = (
        json.loads((folder / place / "summary.json").read_text())
        for place in ("train/one", "evaluate/two")
    )
    assert evaluated["accuracy"] == pytest.approx(trained["accuracy/held_out"], abs=1e-6)
    assert (
        "frankenstein evaluate results/study/study/train/one" in (folder / "report.md").read_text()
    )


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("{trian: {}}", "step 'trian' is no verb that makes runs; known: train, stitch,"),
        ("{train: 3}", "step train takes {field: value}, got 3"),
        ("{train: hello}", "step train takes {field: value}, got 'hello'"),
        ("{train: {3: 4}}", "step train has no field 3"),
        ("{train: {}, stitch: {}}", "a step has one verb, got train, stitch"),
        ("{train: {epoch: 1}}", "step train has no field epoch; did you mean epochs?"),
        ("{train: {epochs: many}}", "epochs of step train takes a whole number, got 'many'"),
        ("{train: {out_dir: here}}", "step train writes into the study's folder; leave out_dir"),
        ("3", "a step is a command line or {verb: {field: value}}, got 3"),
    ],
)
def test_a_step_in_yaml_is_checked_before_the_first_runs(mistake, tmp_path, step, expected):
    config = tmp_path / "study.yaml"
    config.write_text(f"steps:\n  - {step}\n")
    assert expected in mistake("study", "--config", config)


def test_a_study_in_python_has_steps_that_are_fields(few_digits):
    train = {"model": "mlp", "dataset": "digits", "epochs": 1, "batch_size": 64}
    plan = StudyPlan(steps=[{"train": {**train, "run_name": "one"}}], quiet=True)
    run = plan.run()
    assert run.folder == Path("results/study/study")
    assert "train/one/accuracy/held_out" in run.numbers
    with pytest.raises(PlanError, match=r"in Python a step is .*, got the command line"):
        StudyPlan(steps=["train -m mlp"]).run()


def test_what_was_done_before_a_step_that_fails_stays(few_digits, capsys):
    from frankenstein.cli import main

    steps = [TRAIN, "evaluate {study}/train/two/network.safetensors"]
    assert main(["study", *steps, "--quiet", "--accelerator", "cpu"]) == 2
    assert "no file results/study/study/train/two/network.safetensors" in capsys.readouterr().err
    assert Path("results/study/study/train/one/network.safetensors").is_file()
