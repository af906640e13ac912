import json
import os
import re
import signal
from pathlib import Path

import pytest
import yaml

from frankenstein.cli import main
from frankenstein.errors import PlanError
from frankenstein.studies import StudyPlan

pytestmark = pytest.mark.forks

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
        ("{stitch: }", "step stitch does not say sender; add `sender: ...`"),
        ("{compare: {receiver: a}}", "step compare does not say sender; add"),
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


def test_what_was_done_before_a_step_that_fails_stays_and_is_gone_on_with(few_digits, capsys):
    steps = [TRAIN, "evaluate {study}/train/two/network.safetensors"]
    assert main(["study", *steps, "--quiet", "--accelerator", "cpu"]) == 2
    said = capsys.readouterr().err
    assert "no file results/study/study.partial/train/two/network.safetensors" in said
    again = "frankenstein study --config results/study/study.partial/config.yaml\n"
    assert said.endswith(f"; then go on with: {again}")
    trained = Path("results/study/study.partial/train/one/network.safetensors")
    before = trained.stat().st_mtime_ns
    (trained.parents[1] / "two").mkdir()
    trained.with_name("copy").write_bytes(trained.read_bytes())
    trained.with_name("copy").rename(trained.parents[1] / "two" / "network.safetensors")
    assert main(["study", *steps, "--quiet", "--accelerator", "cpu"]) == 0  # goes on
    folder = Path("results/study/study")
    assert [path.name for path in folder.parent.iterdir()] == ["study"]
    assert (folder / "train/one/network.safetensors").stat().st_mtime_ns == before
    assert "train/one/accuracy/held_out" in json.loads((folder / "summary.json").read_text())


def left_by(folder):
    """All that a study says, without what differs between two that were run alike."""
    texts = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".yaml", ".json", ".md", ".csv"} and "metrics" not in path.name:
            text = path.read_text()
            texts[path.relative_to(folder)] = re.sub(r'"(seconds|command)": .*', "", text)
    return texts


@pytest.fixture
def killed(few_digits, at):
    """Runs a command line in a process that is killed at the n-th time of a moment, as `at` has."""

    def run(words, moment, number=1):
        child = os.fork()
        if child == 0:
            try:
                at(moment, number, lambda: os.kill(os.getpid(), signal.SIGKILL))
                device = [] if words[0] == "report" else ["--accelerator", "cpu"]
                main([*map(str, words), "--quiet", *device])
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL, f"{moment} was not {number} times"

    return run


def test_a_study_that_is_killed_anywhere_goes_on_and_ends_as_one_that_was_not(run, killed, saved):
    name = "it's é & <b>"  # which stands in each file as that spells it
    steps = [TRAIN.replace("-e 1", "-e 2"), ANALYZE.replace("{network}", saved("mlp", 1))]
    words = ["study", *steps, "--run-name", name]
    whole = run(*words, "-o", "whole")
    expected = {
        path: text.replace("out_dir: whole", "out_dir: results").replace("whole/", "results/")
        for path, text in left_by(whole).items()
    }
    for moment, number in (
        ("os.rename last.ckpt", 2),
        ("os.rename weights.partial/report.md", 1),
        (f"os.rename {name}.partial/report.md", 1),
        (f"os.rename study/{name}", 1),
    ):
        killed(words, moment, number)
        assert [path.name for path in Path("results/study").iterdir()] == [f"{name}.partial"]
    folder = run(*words)
    assert folder == Path("results/study") / name
    assert list(folder.parent.iterdir()) == [folder]
    assert not list(folder.rglob("*.partial"))
    found = left_by(folder)
    assert found.keys() == expected.keys()
    for path, text in found.items():
        assert ".partial" not in text, path
        if path.suffix in {".yaml", ".csv"} or path.name == "summary.json":
            assert text == expected[path], path


@pytest.mark.parametrize("verb", ["analyze", "report", "evaluate"])
def test_what_has_nothing_to_go_on_from_is_swept_and_found_under_its_name(run, killed, saved, verb):
    words = {
        "analyze": ["analyze", saved("mlp"), saved("mlp", 1), "--weights"],
        "evaluate": ["evaluate", saved("mlp")],
        "report": ["report", run("evaluate", saved("mlp"), "--run-name", "one")],
    }[verb]
    words = [*map(str, words), "--run-name", "a"]
    killed(words, "os.rename a.partial/report.md")
    (left,) = Path("results", verb).glob("a*")
    assert left.name == "a.partial"
    (left / "figures").mkdir(exist_ok=True)
    (left / "figures" / "old.png").touch()
    assert main([*words, "--quiet", *([] if verb == "report" else ["--accelerator", "cpu"])]) == 0
    folder = Path("results", verb, "a")
    assert [path.name for path in folder.parent.glob("a*")] == ["a"]
    assert not (folder / "figures" / "old.png").exists()
