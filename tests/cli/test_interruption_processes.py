"""Ctrl-C and SIGTERM to a training on two processes (gloo): both stop at one step, and go on."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from lightning_fabric.plugins.environments import LightningEnvironment
from lightning_fabric.plugins.environments.lightning import find_free_network_port
from pytorch_lightning import LightningModule
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher

from frankenstein.callbacks import Resumable
from frankenstein.cli import main
from frankenstein.cli.errors import one_line
from frankenstein.errors import Interrupted
from frankenstein.files import read_sealed
from frankenstein.runs.run import CHECKPOINT, Run
from frankenstein.training.plan import TrainPlan
from frankenstein.training.processes import all_processes

TWO = ("-e", "2", "-b", "64", "--quiet", "--accelerator", "cpu", "--devices", "2")
TWO = (*TWO, "--strategy", "ddp")
TRAIN = ("train", "-m", "mlp", "-d", "digits", "-lr", "0.02", *TWO)

pytestmark = [
    pytest.mark.forks,
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


@pytest.fixture
def words(request, saved):
    """A command line of each kind of run that several processes share."""
    pair = saved("mlp", 0), saved("mlp", 1), "fc1", "fc1"
    few = "--measures", "linear_cka", "--untrained", "1"
    return {"train": TRAIN, "stitch": ("stitch", *pair, *few, *TWO)}[request.param]


@pytest.fixture(autouse=True)
def _heard():
    """Where the tests run in a shell's background, or under nohup, SIGINT is ignored from birth."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def two(few_digits, at):
    """Runs a command line on two processes, as `--devices 2` starts them; their exit codes."""

    def run(words, name, struck=(), signum=signal.SIGINT, after=0):
        port = str(find_free_network_port())
        children = []
        for rank in (0, 1):
            children.append(os.fork())
            if children[-1] == 0:
                try:
                    os.environ.update(LOCAL_RANK=str(rank), NODE_RANK="0", WORLD_SIZE="2")
                    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
                    # Lightning starts the second process once the first has the folder.
                    os.environ["FRANKENSTEIN_RUN_FOLDER"] = f"results/{words[0]}/{name}.partial"
                    if rank in struck:
                        at("step", after, lambda: os.kill(os.getpid(), signum))
                    os._exit(main([*words, "--run-name", name]))
                finally:
                    os._exit(99)
        return ended(children)

    return run


def ended(children, seconds=600):
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


@pytest.mark.parametrize("words", ["train", "stitch"], indirect=True)
def test_signals_to_any_process_end_all_with_one_checkpoint_and_it_resumes_to_the_same_bits(
    two, words, capfd
):
    verb = words[0]
    assert two(words, "whole") == [0, 0]
    again, step = words, 0
    # One run, struck again each time that it goes on: a terminal sends Ctrl-C to both.
    for after, struck, signum in [
        (3, (1,), signal.SIGTERM),
        (2, (0, 1), signal.SIGINT),
        (2, (0,), signal.SIGTERM),
    ][: {"train": 3, "stitch": 2}[verb]]:
        step += after
        capfd.readouterr()
        # Lightning kills the first process if the second ends by any other code than 0.
        assert two(again, "a", struck, signum, after) == [128 + signum, 0]
        said = capfd.readouterr().err
        assert f"interrupted; go on with: frankenstein {' '.join(words)}" in said
        assert said.count("interrupted") == 1
        folder = Path(f"results/{verb}/a.partial")
        read_sealed(folder / CHECKPOINT)
        assert f"at step {step} of 8" in (folder / "report.md").read_text()
        again = [*words, "--resume"]
    assert two(again, "a") == [0, 0]
    assert left_by(verb, "a") == left_by(verb, "whole")


@pytest.mark.parametrize("hook", ["setup", "on_fit_start"])
def test_a_signal_to_the_second_process_before_the_first_step_ends_both_and_leaves_nothing(
    two, hook, monkeypatch, capfd
):
    def struck(*_, **__):
        if os.environ["LOCAL_RANK"] == "1":
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(LightningModule, hook, struck)  # Lightning's own does nothing
    assert two(TRAIN, "a") == [143, 0]
    said = capfd.readouterr().err
    assert said.endswith("frankenstein train: interrupted; there was nothing to keep yet\n")
    assert said.count("interrupted") == 1
    assert list(Path("results/train").iterdir()) == []


# What a second process is here. It is sent signals, or sends them, at its very start or when it is
# ready for them.
STARTING = """
import os, sys, time
from contextlib import suppress

def strike():
    for process in {processes}:
        with suppress(ProcessLookupError):
            os.kill(process, {signum})

first, second = os.getppid(), os.getpid()
if not {late}:
    strike()
sys.path[:] = {path}
from frankenstein.errors import Interrupted
from frankenstein.signals import signals_raise
try:
    with signals_raise():
        time.sleep({late})
        if {late}:
            strike()
        time.sleep(60)
except Interrupted as error:
    sys.exit(128 + error.signum)
"""


@pytest.fixture
def starts(few_digits, monkeypatch, tmp_path):
    """Runs `train` with this program in place of Python, which Lightning calls for the second."""
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children")

    def run(program):
        python = tmp_path / "python"
        python.write_text(f"#!{sys.executable}\n{program}")
        python.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(python))
        return main(TRAIN)

    before, environment = children.read_text(), dict(os.environ)
    yield run
    os.environ.clear()
    os.environ.update(environment)  # which says by now that all processes are there
    assert children.read_text() == before
    assert list(Path("results/train").iterdir()) == []


@pytest.mark.parametrize("late", [0, 0.5])
@pytest.mark.parametrize("struck", ["first", "second", "first, second"])
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_second_process_starts_ends_both_and_leaves_nothing(
    starts, struck, signum, late, capfd
):
    program = STARTING.format(
        processes=f"({struck},)", signum=int(signum), late=late, path=sys.path
    )
    assert starts(program) == 128 + signum
    assert capfd.readouterr().err == (
        "frankenstein train: interrupted; there was nothing to keep yet\n"
    )


READY = """
import os, pathlib, time
pathlib.Path(os.environ["FRANKENSTEIN_MEETING"], os.environ["LOCAL_RANK"]).touch()
time.sleep(60)
"""


def trainer(launcher):
    return SimpleNamespace(
        callbacks=[Resumable("last.ckpt")], strategy=SimpleNamespace(launcher=launcher)
    )


def test_a_second_process_that_is_killed_ends_the_first_in_one_line(monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\n{READY}")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.setenv(name, "0")  # so that they are as before in the end
        monkeypatch.delenv(name)
    launcher = _SubprocessScriptLauncher(LightningEnvironment(), num_processes=2, num_nodes=1)

    def lose_the_second():
        with all_processes(trainer(launcher)):
            launcher.procs[0].kill()
            raise RuntimeError("Connection closed by peer")  # as gloo says

    with pytest.raises(Interrupted) as told:
        lose_the_second()
    assert (told.value.signum, told.value.of_another) == (signal.SIGKILL, True)
    assert launcher.procs == []


@pytest.fixture
def further(monkeypatch, tmp_path):
    """This process is a further one of a run that has a checkpoint, and hears of no other."""

    def fail(first):
        monkeypatch.setenv("FRANKENSTEIN_FIRST", str(first))
        with one_line("train", "") as outcome:
            outcome.again = "go on in {}".format
            with Run.write(TrainPlan(dataset="digits"), "a"), all_processes(trainer(None)):
                raise RuntimeError("Connection closed by peer")
        return outcome.code

    monkeypatch.setenv("FRANKENSTEIN_RUN_FOLDER", str(tmp_path))
    monkeypatch.setenv("LOCAL_RANK", "1")
    (tmp_path / CHECKPOINT).touch()
    return fail


def test_a_further_process_whose_first_one_is_gone_tells_it(further, capsys, tmp_path):
    assert further(first=0) == 128 + signal.SIGKILL
    told = f"ended by SIGKILL; go on with: go on in {tmp_path}\n"
    assert capsys.readouterr().err == f"train: another process of this run was {told}"


def test_what_fails_beside_a_first_process_that_is_there_is_its_own_fault(further):
    with pytest.raises(RuntimeError, match="closed by peer"):
        further(first=os.getppid())


def test_a_second_process_that_cannot_start_is_told_in_one_line(starts, capfd):
    assert starts("raise SystemExit(3)") == 2
    assert capfd.readouterr().err == (
        "frankenstein train: a further process of this run ended with exit code 3 before the first "
        "step; what it said is above; run with --devices 1 to see whether that works\n"
    )
