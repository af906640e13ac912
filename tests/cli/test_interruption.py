"""What a run survives: kill -9 anywhere, Ctrl-C and SIGTERM. (tests/kills.py kills at random.)"""

import json
import os
import pkgutil
import signal
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

from frankenstein.callbacks import WholeCheckpoints
from frankenstein.cli import main
from frankenstein.files import load_tensors, read_sealed
from frankenstein.stitching.page import log_boards
from frankenstein.tasks import Classifier, Stitching
from frankenstein.zoo import load_network

# Said by Python 3.12 and newer; a child here is one thread, which ends by a kill or by os._exit.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

TRAIN = ("train", "-m", "lenet", "-d", "digits", "-lr", "0.02", "-e", "3", "-b", "64", "-s", "5")
STITCH = ("-e", "3", "-b", "64", "-lr", "0.01", "--measures", "linear_cka")
LISTS = ("--sender-layers", "fc1", "fc2", "--receiver-layers", "fc1", "fc2")


@pytest.fixture
def pair(saved):
    return saved("lenet", 0), saved("lenet", 1)


@pytest.fixture
def words(request, pair):
    """A command line of each kind of run that can be resumed."""
    return {
        "train": TRAIN,
        "stitch": ("stitch", *pair, "pool1", "pool1", *STITCH, "-s", "5"),
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


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    """Most of a short run's time goes to figures, and to controls, which other tests look at."""
    for name in ("draw_stitch", "log_boards", "write_stitch_page"):
        monkeypatch.setattr(f"frankenstein.stitching.run.{name}", lambda *_: None)
    monkeypatch.setattr("frankenstein.stitching.run.controls_for", lambda *_: None)
    monkeypatch.setattr("frankenstein.callbacks.similarity.add_figure", lambda *_: None)
    monkeypatch.setattr("frankenstein.report.document.png", lambda *_: b"")
    monkeypatch.setattr("frankenstein.stitching.matrix.page._figure", lambda *_: Figure())
    monkeypatch.setattr("frankenstein.stitching.matrix.page.log_page", lambda *_: None)


def call_at(where, number, act, patch=setattr):
    """Act when the function of that name is called for the n-th time, and then call it."""
    owner, _, name = where.rpartition(".")
    owner, calls = pkgutil.resolve_name(owner), []
    function = getattr(owner, name)

    def counted(*arguments, **options):
        calls.append(name)
        if len(calls) == number:
            act()
        return function(*arguments, **options)

    patch(owner, name, counted)


@pytest.fixture
def killed(few_digits):
    """Runs a command line in a process that is killed when a function is called the n-th time."""

    def run(words, where, number):
        child = os.fork()
        if child == 0:
            try:
                call_at(where, number, lambda: os.kill(os.getpid(), signal.SIGKILL))
                main([*words, "--quiet", "--accelerator", "cpu"])
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL, f"{where} was not called {number} times"

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
        [("frankenstein.tasks.Classifier.training_step", 6), ("os.replace", 5)],
        [("frankenstein.tasks.Classifier.validation_step", 3), ("pathlib.Path.rename", 2)],
    ],
    "stitch": [
        [("frankenstein.tasks.Stitching.training_step", 11)],
        [("os.fsync", 4), ("frankenstein.stitching.run.save_stitch", 2)],
    ],
    "matrix": [
        [
            ("frankenstein.tasks.together.StitchingTogether.training_step", 6),
            ("frankenstein.stitching.matrix.run.write_matrix_page", 1),
        ],
    ],
}


@pytest.fixture(scope="module")
def wholes():
    """What runs that nothing interrupts leave, by kind."""
    return {}


@pytest.fixture
def whole(request, wholes, run, words):
    """The same of this kind, made once."""
    kind = request.node.callspec.params["words"]
    if kind not in wholes:
        wholes[kind] = left_by(run(*words, "--run-name", "whole"))
    return wholes[kind]


@pytest.mark.parametrize("words", POINTS, indirect=True)
def test_a_killed_run_goes_on_and_ends_with_the_bits_of_one_that_was_not(
    run, killed, words, whole, request
):
    for number, points in enumerate(POINTS[request.node.callspec.params["words"]]):
        command = [*words, "--run-name", f"{number}"]
        for where, count in points:
            killed(command, where, count)
            check_readable(Path("results"))
            if "--resume" not in command:
                command.append("--resume")
        folder = run(*command)
        assert folder.name == f"{number}"
        assert left_by(folder) == whole, points
        assert not [path for path in folder.rglob("*") if path.name.endswith(".unfinished")]
        assert not list(Path("results").glob("*/*.partial"))


def test_a_run_that_is_killed_while_it_is_shown_shows_it_anew(run, killed, pair, monkeypatch):
    monkeypatch.setattr("frankenstein.stitching.run.log_boards", log_boards)
    words = ["stitch", *pair, "pool1", "pool1", *STITCH, "-e", "1", "--run-name", "a"]
    killed(words, "frankenstein.stitching.run.write_stitch_page", 1)
    folder = run(*words, "--resume")
    assert list(folder.rglob("projector_config.pbtxt"))


def test_a_checkpoint_is_kept_until_the_run_has_its_final_name(killed):
    killed([*TRAIN, "--run-name", "a"], "pathlib.Path.rename", 1)
    read_sealed("results/train/a.partial/last.ckpt")


def test_a_damaged_checkpoint_is_named_and_nothing_is_trained_from_it(killed, capsys, steps):
    killed([*TRAIN, "--run-name", "a"], "frankenstein.tasks.Classifier.training_step", 6)
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
    killed([*TRAIN, "--run-name", "a"], "frankenstein.runs.run.remove", 1)
    load_network(Path("results/train/a/network.safetensors"))
    assert (Path("results/train/a/summary.json")).exists()


@pytest.fixture
def steps(monkeypatch):
    """The steps that are trained, by number."""
    seen = []
    for task in (Classifier, Stitching):

        def noted(self, *arguments, step=task.training_step):
            seen.append(self.trainer.global_step)
            return step(self, *arguments)

        monkeypatch.setattr(task, "training_step", noted)
    return seen


@pytest.mark.parametrize(
    ("words", "where", "count", "signum"),
    [
        ("train", "frankenstein.tasks.Classifier.training_step", 6, signal.SIGTERM),
        ("train", "frankenstein.tasks.Classifier.validation_step", 2, signal.SIGINT),
        ("stitch", "frankenstein.tasks.Stitching.training_step", 6, signal.SIGINT),
        ("stitch", "frankenstein.tasks.Stitching.validation_step", 2, signal.SIGTERM),
    ],
    indirect=["words"],
)
def test_a_signal_ends_a_run_with_a_checkpoint_a_report_and_the_line_that_resumes(
    run, words, where, count, signum, whole, steps, monkeypatch, capsys
):
    steps.clear()
    command = [*words, "--run-name", "a", "--quiet", "--accelerator", "cpu"]
    with monkeypatch.context() as patch:
        call_at(where, count, lambda: os.kill(os.getpid(), signum), patch.setattr)
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
    assert steps == list(range(12))  # none twice, none left out
    assert left_by(resumed) == whole
    assert signal.getsignal(signum) not in (signal.SIG_IGN, None)


def test_a_terminal_that_is_gone_is_answered_as_a_signal(few_digits, monkeypatch, capsys):
    where = "frankenstein.tasks.Classifier.training_step"
    call_at(where, 6, lambda: os.kill(os.getpid(), signal.SIGHUP), monkeypatch.setattr)
    words = [*TRAIN, "--run-name", "a", "--quiet", "--accelerator", "cpu"]
    assert main(words) == 128 + signal.SIGHUP
    assert capsys.readouterr().err.endswith("--quiet --accelerator cpu --resume\n")
    read_sealed("results/train/a.partial/last.ckpt")


def test_a_signal_before_training_leaves_nothing(few_digits, pair, monkeypatch, capsys):
    where = "frankenstein.stitching.run.matching_moments"
    call_at(where, 1, lambda: os.kill(os.getpid(), signal.SIGTERM), monkeypatch.setattr)
    words = ["stitch", *pair, "pool1", "pool1", "--quiet", "--accelerator", "cpu"]
    assert main(words) == 143
    assert capsys.readouterr().err == (
        "frankenstein stitch: interrupted; there was nothing to keep yet\n"
    )
    assert list(Path("results/stitch").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (("analyze", "--autoencoder"), "frankenstein.tasks.SparseAutoencoder.training_step"),
        (
            ("compare", "pool1", "pool1"),
            "frankenstein.similarity.run.measure_layers",
        ),
        (("evaluate",), "frankenstein.stitching.evaluate_run.evaluate_network"),
    ],
)
def test_a_signal_to_what_has_nothing_to_go_on_from_leaves_nothing(
    few_digits, pair, monkeypatch, capsys, words, where
):
    verb, *more = words
    files = pair[:1] if verb == "evaluate" else pair
    measure = ["linear_cka"] if verb == "compare" else []
    call_at(where, 1, lambda: os.kill(os.getpid(), signal.SIGTERM), monkeypatch.setattr)
    assert main([verb, *files, *more, *measure, "--quiet", "--accelerator", "cpu"]) == 143
    assert capsys.readouterr().err == f"frankenstein {verb}: interrupted\n"
    assert list(Path("results", verb).iterdir()) == []


def test_a_second_signal_does_not_wait(few_digits, monkeypatch, capsys):
    twice = [os.getpid(), signal.SIGINT]
    call_at(
        "frankenstein.tasks.Classifier.training_step",
        6,
        lambda: [os.kill(*twice), os.kill(*twice)],
        monkeypatch.setattr,
    )
    assert main([*TRAIN, "--quiet", "--accelerator", "cpu"]) == 130
    assert "go on with: frankenstein train" in capsys.readouterr().err
    (path,) = Path("results").rglob("last.ckpt")
    assert WholeCheckpoints().load_checkpoint(path)["global_step"] == 4  # the first epoch's end


def test_an_interrupted_matrix_shows_the_rows_that_are_done(few_digits, pair, monkeypatch, capsys):
    where = "frankenstein.tasks.together.StitchingTogether.training_step"
    call_at(where, 6, lambda: os.kill(os.getpid(), signal.SIGTERM), monkeypatch.setattr)
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


def test_a_run_that_is_under_way_is_not_resumed_by_another(few_digits, monkeypatch, capsys):
    codes = []
    words = [*TRAIN, "--quiet", "--accelerator", "cpu"]
    call_at(
        "frankenstein.tasks.Classifier.training_step",
        6,
        lambda: codes.append(main([*words, "--resume"])),
        monkeypatch.setattr,
    )
    assert main(words) == 0
    assert codes == [2]
    assert "in0-gn0.partial is being written by a run that is under way; wait" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("words", ["train", "stitch"], indirect=True)
def test_a_run_is_resumed_with_its_own_options_and_networks_only(
    few_digits, killed, words, capsys, pair
):
    name = "Classifier" if words[0] == "train" else "Stitching"
    words = [*words, "--run-name", "own"]
    killed(words, f"frankenstein.tasks.{name}.training_step", 6)
    command = [*words, "--resume", "--quiet", "--accelerator", "cpu", "-lr", "0.3"]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "has lr 0.0" in said
    assert "this one 0.3; resume it with its own options, or choose --run-name" in said
    if words[0] == "stitch":
        swapped = ["stitch", pair[1], pair[1], *words[3:], "--run-name", "x"]
        killed([*words, "--run-name", "x"], "frankenstein.tasks.Stitching.training_step", 6)
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
    assert f"report:     {folder}/report.md\n" in said or words[0] == "stitch"
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
    killed(TRAIN, "frankenstein.tasks.Classifier.training_step", 6)
    assert run(*TRAIN, "--resume").name == "lenet-digits-in0-gn0-2"


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
