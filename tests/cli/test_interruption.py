"""What a run survives: kill -9 anywhere, Ctrl-C and SIGTERM. (tests/kills.py kills at random.)"""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from frankenstein.callbacks import WholeCheckpoints
from frankenstein.catalog import DATASETS
from frankenstein.cli import main
from frankenstein.data import Digits
from frankenstein.files import load_tensors, read_sealed
from frankenstein.runs.folder import ORIGIN
from frankenstein.stitches import Affine
from frankenstein.zoo import build_network, load_network

pytestmark = [
    pytest.mark.forks,
    # Said by Python 3.12 and newer; a child here is one thread, which a kill or os._exit ends.
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]

TRAIN = ("train", "-m", "mlp", "-d", "digits", "-lr", "0.02", "-e", "3", "-b", "64", "-s", "5")
STITCH = ("-e", "3", "-b", "64", "-lr", "0.01", "--measures", "linear_cka", "--untrained", "1")
LISTS = ("--sender-layers", "fc1", "fc2", "--receiver-layers", "fc1", "fc2")
MLP = type(build_network("mlp"))


@pytest.fixture
def pair(saved):
    return saved("mlp", 0), saved("mlp", 1)


@pytest.fixture
def words(request, pair):
    """A command line of each kind of run that can be resumed."""
    return {
        "train": TRAIN,
        "stitch": ("stitch", *pair, "fc1", "fc1", *STITCH, "-s", "5"),
        "matrix": ("stitch", *pair, *LISTS, *STITCH, "-e", "1"),
    }[request.param]


@pytest.fixture(autouse=True)
def _heard():
    """Where the tests run in a shell's background, or under nohup, SIGINT is ignored from birth."""
    heard = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {signum: signal.signal(signum, handler) for signum, handler in heard.items()}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


def send(*signums):
    for signum in signums:
        os.kill(os.getpid(), signum)


@pytest.fixture
def killed(few_digits, at):
    """Runs a command line in a process that is killed at the n-th time of a moment, as `at` has."""

    def run(words, moment, number=1):
        child = os.fork()
        if child == 0:
            try:
                at(moment, number, lambda: send(signal.SIGKILL))
                main([*words, "--quiet", "--accelerator", "cpu"])
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL, f"{moment} was not {number} times"

    return run


def left_by(folder):
    """What a run's numbers and weights are, to the last bit."""
    files = [path for path in folder.rglob("*.safetensors") if path.parent.name != "snapshots"]
    weights = {path.name: path.read_bytes() for path in files}
    return json.loads((folder / "summary.json").read_text()), weights


def check_readable(folder):
    for path in folder.rglob("*.safetensors"):
        load_tensors(path)
    for path in folder.rglob("*.json"):
        read_sealed(path) if path.parent.name == "cells" else json.loads(path.read_text())
    for path in folder.rglob("*.ckpt"):
        read_sealed(path)


POINTS = {  # of runs of 12 steps in 3 epochs, and of 2 rows of 4 steps; each list is one run's fate
    "train": [
        [("step", 6), ("os.rename last.ckpt", 1)],
        [(MLP, 3), ("os.rename train/1", 1)],
    ],
    "stitch": [
        [("step", 11)],
        [
            ("os.rename last.ckpt", 2),
            ("os.rename after.safetensors", 1),
            ("os.rename report.md", 1),  # all else is shown by then, and is shown anew
        ],
    ],
    "matrix": [[("step", 12), ("os.rename matrix.csv", 1)]],  # each step is one of two stitches
}


@pytest.fixture(scope="module")
def wholes():
    """What runs that nothing interrupts leave, by kind."""
    return {}


@pytest.fixture
def whole(request, wholes, run, words, steps):
    """The same of this kind, made once, and its steps."""
    kind = request.node.callspec.params["words"]
    if kind not in wholes:
        wholes[kind] = left_by(run(*words, "--run-name", "whole")), [*steps]
    steps.clear()
    return wholes[kind]


@pytest.mark.parametrize("words", POINTS, indirect=True)
def test_a_killed_run_goes_on_and_ends_with_the_bits_of_one_that_was_not(
    run, killed, words, whole, request
):
    kind = request.node.callspec.params["words"]
    for number, points in enumerate(POINTS[kind]):
        command = [*words, "--run-name", f"{number}"]
        for moment, count in points:
            killed(command, moment, count)
            check_readable(Path("results"))
            if "--resume" not in command:
                command.append("--resume")
        folder = run(*command)
        assert folder.name == f"{number}"
        assert left_by(folder) == whole[0], points
        assert not [path for path in folder.rglob("*") if path.name.endswith(".unfinished")]
        assert not list(Path("results").glob("*/*.partial"))
        assert any(folder.rglob("projector_config.pbtxt")) == (kind == "stitch")


def test_a_checkpoint_is_kept_until_the_run_has_its_final_name(killed):
    killed([*TRAIN, "--run-name", "a"], "os.rename train/a")
    read_sealed("results/train/a.partial/last.ckpt")


def test_a_damaged_checkpoint_is_named_and_nothing_is_trained_from_it(killed, capsys, steps):
    killed([*TRAIN, "--run-name", "a"], "step", 6)
    path = Path("results/train/a.partial/last.ckpt")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    words = [*TRAIN, "--run-name", "a", "--resume", "--quiet", "--accelerator", "cpu"]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("frankenstein train: results/train/a.partial/last.ckpt is damaged: its")
    assert said.count("\n") == 1
    assert said.endswith("; delete it: --resume then makes it anew\n")
    assert steps == []
    path.unlink()
    assert main(words) == 0


def test_a_run_that_is_killed_under_its_final_name_is_whole(killed):
    killed([*TRAIN, "--run-name", "a"], f"os.remove train/a/{ORIGIN}")
    load_network(Path("results/train/a/network.safetensors"))
    assert (Path("results/train/a/summary.json")).exists()


@pytest.fixture
def steps():
    """The weights before each step that is trained."""
    seen = []

    def note(optimizer, *_):
        weights = [w for group in optimizer.param_groups for w in group["params"]]
        seen.append([w.detach().numpy().tobytes() for w in weights])

    handle = register_optimizer_step_pre_hook(note)
    yield seen
    handle.remove()


@pytest.mark.parametrize(
    ("words", "moment", "count", "signum"),
    [
        ("train", "step", 6, signal.SIGTERM),
        ("train", MLP, 2, signal.SIGINT),
        ("stitch", "step", 6, signal.SIGINT),
        ("stitch", Affine, 3, signal.SIGTERM),  # twice in a validation
    ],
    indirect=["words"],
)
def test_a_signal_ends_a_run_with_a_checkpoint_a_report_and_the_line_that_resumes(
    run, words, moment, count, signum, whole, steps, at, capsys
):
    command = [*words, "--run-name", "a", "--quiet", "--accelerator", "cpu"]
    at(moment, count, lambda: send(signum))
    assert main(command) == 128 + signum
    said = capsys.readouterr()
    line = f"interrupted; go on with: frankenstein {' '.join(command)} --resume\n"
    assert said.err == f"frankenstein {words[0]}: {line}"
    (folder,) = Path("results").glob("*/a.partial")
    report = (folder / "report.md").read_text()
    assert "a (unfinished)" in report
    assert f"{signal.Signals(signum).name} ended the training in epoch" in report
    assert "of 3, at step" in report

    line = next(line for line in report.splitlines() if line.endswith(" --resume"))
    assert Path(line.split()[3]) == folder / "config.yaml"
    resumed = run(*line.split()[1:])
    assert len(steps) == 12
    assert (left_by(resumed), steps) == whole  # none twice, none left out
    assert signal.getsignal(signum) not in (signal.SIG_IGN, None)


def test_a_terminal_that_is_gone_is_answered_as_a_signal(few_digits, at, capsys):
    at("step", 6, lambda: send(signal.SIGHUP))
    words = [*TRAIN, "--run-name", "a", "--quiet", "--accelerator", "cpu"]
    assert main(words) == 128 + signal.SIGHUP
    assert capsys.readouterr().err.endswith("--quiet --accelerator cpu --resume\n")
    read_sealed("results/train/a.partial/last.ckpt")


class Striking(Digits):
    """Digits of which the first to be prepared bring a signal."""

    def prepare(self, images):
        send(signal.SIGTERM)
        return super().prepare(images)


@pytest.mark.parametrize(
    ("words", "moment"),
    [
        ("stitch A B fc1 fc1", None),  # before it is trained
        ("analyze A B --autoencoder", "step"),
        ("compare A B fc1 fc1 linear_cka", None),
        ("evaluate A", None),
    ],
)
def test_a_signal_to_what_has_nothing_to_go_on_from_leaves_nothing(
    few_digits, pair, monkeypatch, capsys, at, words, moment
):
    if moment:
        at(moment, 1, lambda: send(signal.SIGTERM))
    else:
        row = replace(DATASETS["digits"], where=f"{__name__}:{Striking.__name__}")
        monkeypatch.setitem(DATASETS, "digits", row)
    files = dict(zip("AB", pair, strict=True))
    verb, *words = [files.get(word, word) for word in words.split()]
    assert main([verb, *words, "--quiet", "--accelerator", "cpu"]) == 143
    more = "; there was nothing to keep yet" if verb == "stitch" else ""
    assert capsys.readouterr().err == f"frankenstein {verb}: interrupted{more}\n"
    assert list(Path("results", verb).iterdir()) == []


def test_a_second_signal_does_not_wait(few_digits, at, capsys):
    at("step", 6, lambda: send(signal.SIGINT, signal.SIGINT))
    assert main([*TRAIN, "--quiet", "--accelerator", "cpu"]) == 130
    assert "go on with: frankenstein train" in capsys.readouterr().err
    (path,) = Path("results").rglob("last.ckpt")
    assert WholeCheckpoints().load_checkpoint(path)["global_step"] == 4  # the first epoch's end


def test_an_interrupted_matrix_shows_the_rows_that_are_done(few_digits, pair, at, capsys):
    at("step", 12, lambda: send(signal.SIGTERM))
    words = ["stitch", *pair, *LISTS, *STITCH, "-e", "1", "--quiet", "--accelerator", "cpu"]
    assert main(words) == 143
    assert capsys.readouterr().err.endswith(" --resume\n")
    (folder,) = Path("results/stitch").glob("*.partial")
    report = (folder / "report.md").read_text()
    assert "(unfinished)" in report
    assert f"--config {folder}/config.yaml --resume" in report
    rows = [line.split(",") for line in (folder / "matrix.csv").read_text().splitlines()]
    assert {row[1] for row in rows if row[0] == "trained"} == {"fc1"}
    assert {row[1] for row in rows if row[0] == "solved"} == {"fc1", "fc2"}
    assert "The run was interrupted: n/a is not made yet." in report
    assert main([*words, "--resume"]) == 0
    (whole,) = Path("results/stitch").iterdir()
    assert "interrupted" not in (whole / "report.md").read_text()


def test_a_run_that_is_under_way_is_not_resumed_by_another(few_digits, at, capsys):
    codes = []
    words = [*TRAIN, "--quiet", "--accelerator", "cpu"]
    at("step", 6, lambda: codes.append(main([*words, "--resume"])))
    assert main(words) == 0
    assert codes == [2]
    assert "in0-gn0.partial is being written by a run that is under way; wait" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("words", ["train", "stitch"], indirect=True)
def test_a_run_is_resumed_with_its_own_options_and_networks_only(
    few_digits, killed, words, capsys, pair
):
    words = [*words, "--run-name", "own"]
    killed(words, "step", 6)
    command = [*words, "--resume", "--quiet", "--accelerator", "cpu", "-lr", "0.3"]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "has lr 0.0" in said
    assert "this one 0.3; resume it with its own options, or choose --run-name" in said
    if words[0] == "stitch":
        swapped = ["stitch", pair[1], pair[1], *words[3:], "--run-name", "x"]
        killed([*words, "--run-name", "x"], "step", 6)
        assert main([*swapped, "--resume", "--quiet", "--accelerator", "cpu"]) == 2
        assert "has sender" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["train", "stitch", "matrix"], indirect=True)
def test_resuming_a_finished_run_says_where_it_is_and_does_nothing(run, words, capsys):
    words = [*words, "--run-name", "whole"]
    folder = run(*words)
    before = {path: path.stat().st_mtime_ns for path in folder.parent.rglob("*")}
    assert run(*words, "--resume") == folder
    assert main([*words, "--resume", "--accelerator", "cpu"]) == 0
    said = capsys.readouterr().out
    assert f"{folder} is finished; there was nothing left to do\n" in said
    assert f"report:     {folder}/report.html\n" in said or words[0] == "stitch"
    assert {path: path.stat().st_mtime_ns for path in folder.parent.rglob("*")} == before
    other = [*words, "--resume", "--quiet", "--accelerator", "cpu", "-lr", "0.3"]
    assert main(other) == 2
    assert f"and the finished run in {folder} has lr 0.0" in capsys.readouterr().err
    (folder / "run.json").write_text("{")
    assert main(other) == 2
    said = capsys.readouterr().err
    assert said.endswith(
        f"the finished run in {folder} has a damaged run.json; run without --resume\n"
    )
    assert said.count("\n") == 1


def test_a_numbered_run_is_found_again(run, killed):
    run(*TRAIN)
    killed(TRAIN, "step", 6)
    assert run(*TRAIN, "--resume").name == "mlp-digits-in0-gn0-2"


def test_what_dropout_draws_depends_on_the_seed_and_the_step_alone():
    from types import SimpleNamespace

    from frankenstein.callbacks import SeededSteps

    def draw(seed, step, rank=0):
        trainer = SimpleNamespace(global_step=step, global_rank=rank)
        SeededSteps(seed).on_train_batch_start(trainer)
        return torch.rand(3).tolist()

    one = draw(0, 5)
    torch.rand(7)
    assert draw(0, 5) == one
    others = [draw(1, 5), draw(0, 6), draw(0, 5, rank=1)]
    assert one not in others
