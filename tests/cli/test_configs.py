from fnmatch import filter as matching
from pathlib import Path

import pytest
import yaml

from frankenstein.cli.commands import check_step
from frankenstein.cli.parser import parse
from frankenstein.cli.words import spoken
from frankenstein.stitching.pair import open_stitching_pair
from frankenstein.stitching.recipe import make_stitch
from frankenstein.zoo import build_network

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
FILES = sorted(path for path in CONFIGS.rglob("*.yaml") if not path.is_symlink())
TINY10 = [name for name, _ in build_network("tiny10").named_modules()]


def verb_of(path):
    return {"studies": "study"}.get(path.parent.name, path.parent.name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONFIGS)))
def test_a_config_is_the_plan_that_it_says_of_networks_that_are_here(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    said, config = spoken(verb_of(path)), yaml.safe_load(path.read_text())
    plan = said.plan(**said.words.sort(parse(said, ["--config", str(path)])))
    assert {key: plan.values()[key] for key in config} == config
    assert all(Path(config[whose]).is_file() for whose in {"sender", "receiver"} & {*config})
    for side in {"sender_layer", "receiver_layer"} & {*config}:
        assert all(matching(TINY10, layer) for layer in config[side].split(","))
    for step in config.get("steps", ()):
        if isinstance(step, str):
            check_step(step)
    if said.verb == "stitch" and not plan.is_matrix:  # all that a run checks before it computes
        joint = open_stitching_pair(plan).joint
        make_stitch(plan, joint.source.units, joint.target.units)


# One of each verb, run as it is but for the time that it takes; tests/studies has the demo's.
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("train/tiny10_digits", ["-e", "1"]),
        ("stitch/low_rank", ["-e", "1", "--untrained", "1"]),
        ("compare/measures_sure", ["--bootstrap", "39", "--permutations", "19"]),
        ("analyze/units", ["relu3,relu6", "--untrained", "1", "-n", "60"]),
    ],
)
def test_a_config_runs_through_the_real_command_line(run, saved, name, words):
    path, verb = CONFIGS / f"{name}.yaml", name.partition("/")[0]
    pair = [] if verb == "train" else [saved("tiny10", 0), saved("tiny10", 1)]
    folder = run(verb, *pair, *words, "--config", path)
    assert (folder / "summary.json").is_file()
    replay, config = (yaml.safe_load(p.read_text()) for p in (folder / "config.yaml", path))
    told = {"sender", "receiver", "epochs", "bootstrap", "permutations"}
    assert {key: replay[key] for key in config if key not in told} == {
        key: value for key, value in config.items() if key not in told
    }


def test_the_config_of_seeds_runs_with_fewer_of_them(run, tmp_path):
    path = CONFIGS / "studies" / "seeds.yaml"
    text = path.read_text()
    for dear, cheap in (
        ("epochs: 20}, seeds: 0..4", "epochs: 1}, seeds: 0..1"),
        ("all: true,", "sender_layer: pool1, receiver_layer: pool1, untrained: 1,"),
        ("units: true", "units: true, untrained: 1, examples: 60, sender_layer: pool1"),
    ):
        assert dear in text
        text = text.replace(dear, cheap)
    (tmp_path / path.name).write_text(text)
    folder = run("study", "--config", path.name, "--workers", "0")
    assert (folder / "study.csv").is_file()


def test_there_is_a_config_for_each_kind_of_stitch_and_each_verb_that_makes_runs():
    verbs = {verb_of(path) for path in FILES}
    assert verbs == {"train", "stitch", "compare", "analyze", "study"}
    assert {path.stem for path in FILES if path.parent.name == "stitch"} >= {
        "identity",
        "permutation",
        "pseudo_inverse",
        "low_rank",
        "sparse",
        "cka_regularized",
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONFIGS)))
def test_a_config_says_what_it_is_and_the_command_that_runs_it(path):
    about, command, *_ = path.read_text().splitlines()
    assert about.startswith("# ")
    name = path.relative_to(CONFIGS.parent)
    verb = verb_of(path)
    program = (
        f"python {verb}.py" if verb in ("train", "stitch", "compare") else f"frankenstein {verb}"
    )
    assert command.startswith(f"# {program} --config {name.as_posix()}")


def test_what_lay_beside_compare_can_still_be_named_there():
    old = ["activations", "autoencoder", "circuits", "merge", "probes", "units", "weights"]
    for name in old:
        path = CONFIGS / "compare" / f"{name}.yaml"
        assert path.read_text() == (CONFIGS / "analyze" / f"{name}.yaml").read_text()
