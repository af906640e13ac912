"""Ctrl-C and SIGTERM to a training on two processes (gloo): both stop at one step, and go on."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher
from torch import distributed

from frankenstein import tasks
from frankenstein.cli import main
from frankenstein.files import read_sealed
from frankenstein.runs.run import CHECKPOINT
from frankenstein.stitching import run as stitch_run
from frankenstein.training import run as train_run
from frankenstein.training.processes import all_processes

TWO = ("-e", "2", "-b", "64", "--quiet", "--accelerator", "cpu", "--devices", "2")
TWO = (*TWO, "--strategy", "ddp")
TRAIN = ("train", "-m", "lenet", "-d", "digits", "-lr", "0.02", *TWO)
RUNS = {"train": (train_run, tasks.Classifier), "stitch": (stitch_run, tasks.Stitching)}

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@pytest.fixture
def words(request, saved):
    """A command line of each kind of run that several processes share."""
    pair = saved("lenet", 0), saved("lenet", 1), "pool1", "pool1"
    return {"train": TRAIN, "stitch": ("stitch", *pair, "--measures", "linear_cka", *TWO)}[
        request.param
    ]


@pytest.fixture(autouse=True)
def _heard():
    """Where the tests run in a shell's background, or under nohup, SIGINT is ignored from birth."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def two(few_digits, monkeypatch, tmp_path):
    """Runs a command line on two processes, as `--devices 2` starts them; their exit codes."""
    for name in ("draw_stitch", "log_boards", "write_stitch_page", "controls_for"):
        monkeypatch.setattr(stitch_run, name, lambda *_: None)  # they take most of the time
    numbers = iter(range(9))

    def run(words, name, struck=(), signum=signal.SIGINT, where="training_step", step=6):
        meet = f"file://{tmp_path}/meet{next(numbers)}"
        module, task = RUNS[words[0]]
        children = []
        for rank in (0, 1):
            children.append(os.fork())
            if children[-1] == 0:
                try:
                    os.environ.update(LOCAL_RANK=str(rank), NODE_RANK="0", WORLD_SIZE="2")
                    # Lightning starts the second process once the first has the folder.
                    os.environ["FRANKENSTEIN_RUN_FOLDER"] = f"results/{words[0]}/{name}.partial"

                    def met(trainer, rank=rank):
                        distributed.init_process_group("gloo", meet, rank=rank, world_size=2)
                        return all_processes(trainer)

                    monkeypatch.setattr(module, "all_processes", met)
                    if rank in struck:
                        strike(monkeypatch, task, where, signum, step)
                    os._exit(main([*words, "--run-name", name]))
                finally:
                    os._exit(99)
        return ended(children)

    return run


def strike(monkeypatch, task, where, signum, step):
    """Let this process get a signal where a training comes to."""
    whole = getattr(task, where)

    def struck(self, *arguments, **options):
        if self.trainer.global_step == step:
            os.kill(os.getpid(), signum)
        return whole(self, *arguments, **options)

    monkeypatch.setattr(task, where, struck)


def ended(children, seconds=60):
    """The exit codes; None for a process that hangs."""
    codes, deadline = {}, time.monotonic() + seconds
    while len(codes) < len(children) and time.monotonic() < deadline:
        for child in set(children) - set(codes):
            done, status = os.waitpid(child, os.WNOHANG)
            codes |= {child: os.waitstatus_to_exitcode(status)} if done else {}
        time.sleep(0.05)
    for child in set(children) - set(codes):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return [codes.get(child) for child in children]


def left_by(verb, name):
    folder = Path("results") / verb / name
    weights = {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}
    return json.loads((folder / "summary.json").read_text()), weights


@pytest.mark.parametrize("words", RUNS, indirect=True)
def test_a_signal_to_any_process_ends_all_with_one_checkpoint_and_resumes_to_the_same_bits(
    two, words, capfd
):
    verb = words[0]
    assert two(words, "whole") == [0, 0]
    for name, struck, signum in [
        ("ctrl-c", (0, 1), signal.SIGINT),  # a terminal sends it to both
        ("second", (1,), signal.SIGTERM),
        ("first", (0,), signal.SIGTERM),
    ][: {"train": 3, "stitch": 2}[verb]]:
        capfd.readouterr()
        # Lightning kills the first process if the second ends by any other code than 0.
        assert two(words, name, struck, signum) == [128 + signum, 0]
        said = capfd.readouterr().err
        assert f"interrupted; go on with: frankenstein {' '.join(words)}" in said
        assert said.count("interrupted") == 1
        folder = Path(f"results/{verb}/{name}.partial")
        read_sealed(folder / CHECKPOINT)
        assert "at step 7 of 8" in (folder / "report.md").read_text()
        assert two([*words, "--resume"], name) == [0, 0]
        assert left_by(verb, name) == left_by(verb, "whole")


@pytest.mark.parametrize("where", ["setup", "on_fit_start"])
def test_a_signal_to_the_second_process_before_the_first_step_ends_both_and_leaves_nothing(
    two, where, capfd
):
    assert two(TRAIN, "a", (1,), signal.SIGTERM, where, step=0) == [143, 0]
    said = capfd.readouterr().err
    assert said.endswith("frankenstein train: interrupted; there was nothing to keep yet\n")
    assert said.count("interrupted") == 1
    assert list(Path("results/train").iterdir()) == []


STARTING = """
import sys, time
from frankenstein.errors import Interrupted
from frankenstein.signals import signals_raise
try:
    with signals_raise():
        time.sleep(60)
except Interrupted as error:
    sys.exit(128 + error.signum)
"""


@pytest.fixture
def starts(few_digits, monkeypatch):
    """Lets this program be the second process of a run; what it is, and what happens then."""
    processes = []

    def run(program, then):
        def start(launcher):
            launcher.procs = [subprocess.Popen([sys.executable, "-c", program])]
            processes.extend(launcher.procs)
            then(launcher.procs[0].pid)

        monkeypatch.setattr(_SubprocessScriptLauncher, "_call_children_scripts", start)
        return main(TRAIN)

    yield run
    assert [process.returncode for process in processes if process.returncode is None] == []
    assert list(Path("results/train").iterdir()) == []


@pytest.mark.parametrize("late", [0, 0.5])
@pytest.mark.parametrize("struck", ["first", "second", "both"])
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_second_process_starts_ends_both_and_leaves_nothing(
    starts, struck, signum, late, capfd
):
    def strike(second):
        for process in {"first": [os.getpid()], "second": [second]}.get(
            struck, [os.getpid(), second]
        ):
            threading.Timer(late, send, (process,)).start() if late else send(process)

    def send(process):
        with suppress(ProcessLookupError):  # the first has ended it already
            os.kill(process, signum)

    assert starts(STARTING, strike) == 128 + signum
    assert capfd.readouterr().err == (
        "frankenstein train: interrupted; there was nothing to keep yet\n"
    )


def test_a_second_process_that_cannot_start_is_told_in_one_line(starts, capfd):
    assert starts("raise SystemExit(3)", lambda second: None) == 2
    assert capfd.readouterr().err == (
        "frankenstein train: a further process of this run ended with exit code 3 before the first "
        "step; what it said is above; run with --devices 1 to see whether that works\n"
    )
