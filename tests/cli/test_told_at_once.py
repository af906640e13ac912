"""What is misspelt is told in one line, with the nearest name, before torch is imported."""

import json
import subprocess
import sys

import pytest

SAYS = """
import io, json, sys, time
from contextlib import redirect_stderr, redirect_stdout
from frankenstein.cli import main
for words in json.load(sys.stdin):
    err, began = io.StringIO(), time.process_time()
    with redirect_stderr(err), redirect_stdout(io.StringIO()):
        code = main(words)
    print(json.dumps([code, err.getvalue(), time.process_time() - began, "torch" in sys.modules]))
"""

PAIR = ["a.safetensors", "b.safetensors"]
MISSPELT = [  # words, what they should have been
    (["trian"], "train"),
    (["train", "-m", "tiny1"], "tiny10"),
    (["train", "-d", "digit"], "digits"),
    (["train", "--epoch", "3"], "--epochs"),
    (["train", "-opt", "sdg"], "sgd"),
    (["train", "-e", "many"], "a whole number"),
    (["train", "--run-name", "a/b"], "one folder"),
    (["stitch", *PAIR, "bn3", "bn3", "--run-name", ".."], "one folder"),
    (["train", "--config", "CONFIG"], "epochs"),
    (["stitch", *PAIR, "bn3", "bn3", "--family", "afine"], "affine"),
    (["stitch", *PAIR, "bn3", "bn3", "--lowrank", "3"], "--low-rank"),
    (["stitch", *PAIR, "bn3", "bn3", "-d", "fasion"], "fashion"),
    (["stitch", *PAIR, "bn3", "bn3", "--measures", "linear_cak"], "linear_cka"),
    (["stitch", "--config", "CONFIG"], "epochs"),
    (["compare", *PAIR, "bn3", "bn3", "linear_cak"], "linear_cka"),
    (["compare", *PAIR, "-d", "minst"], "mnist"),
    (["compare", *PAIR, "--flatening", "pooled"], "--flattening"),
    (["compare", "--config", "CONFIG"], "epoch"),
    (["evaluate", "a", "--measures", "mean_cac"], "mean_cca"),
    (["evaluate", "a", "--stich", "after"], "--stitch"),
    (["evaluate", "a", "--model", "lenett"], "lenet"),
    (["evaluate", "--config", "CONFIG"], "epoch"),
    (["analyze", *PAIR, "--unit"], "--units"),
    (["analyze", *PAIR], "--units"),
    (["analyze", *PAIR, "--units", "-d", "digit"], "digits"),
    (["analyze", "--config", "CONFIG"], "epoch"),
    (["layers", "tiny1"], "tiny10"),
    (["layers", "tiny10", "--num-clases", "3"], "--num-classes"),
    (["study", "--confg", "CONFIG"], "--config"),
    (["study", "trian -m lenet"], "train"),
    (["study", "train --help"], "asks for help"),
    (["study", "train -m lenet", "train -m tiny1 --run-name two"], "tiny10"),
    (["study", "--config", "CONFIG"], "epoch"),
    (["report", "results/a", "--score", "accuracy"], "--scores"),
    (["report", "--config", "CONFIG"], "epoch"),
    (["demo", "-d", "digit"], "digits"),
    (["demo", "--dateset", "digits"], "--dataset"),
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What one process says to all of them."""
    config = tmp_path_factory.mktemp("config") / "run.yaml"
    config.write_text("epoch: 3\n")
    lines = [[str(config) if w == "CONFIG" else w for w in words] for words, _ in MISSPELT]
    done = subprocess.run(
        [sys.executable, "-c", SAYS],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("number", range(len(MISSPELT)), ids=lambda i: " ".join(MISSPELT[i][0]))
def test_what_is_misspelt_is_told_at_once(outcomes, number):
    code, said, seconds, imported_torch = outcomes[number]
    assert code == 2
    assert said.count("\n") == 1
    assert MISSPELT[number][1] in said
    assert not imported_torch
    assert seconds < 1  # of processor time: a busy machine is not our fault
