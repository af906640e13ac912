"""Ctrl-C and SIGTERM to a training on two processes (gloo): both stop at one step, and go on."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from torch import distributed

from frankenstein.cli import main, train_run  # noqa: F401  (imported once, before the forks)
from frankenstein.cli.run_folder import CHECKPOINT
from frankenstein.files import read_sealed
from frankenstein.tasks import Classifier

TRAIN = ("train", "-m", "lenet", "-d", "digits", "-lr", "0.02", "-e", "3", "-b", "64")
WORDS = (*TRAIN, "--quiet", "--accelerator", "cpu", "--devices", "2", "--strategy", "ddp")

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@pytest.fixture
def two(few_digits, monkeypatch, tmp_path):
    """Runs a command line on two processes, as `--devices 2` starts them; their exit codes."""
    # Where the tests run in a shell's background, or under nohup, SIGINT is ignored from birth.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    numbers = iter(range(9))

    def run(words, name, struck=(), signum=signal.SIGINT, step=6):
        meet = f"file://{tmp_path}/meet{next(numbers)}"
        children = []
        for rank in (0, 1):
            children.append(os.fork())
            if children[-1] == 0:
                try:
                    os.environ.update(LOCAL_RANK=str(rank), NODE_RANK="0", WORLD_SIZE="2")
                    # Lightning starts the second process once the first has the folder.
                    os.environ["FRANKENSTEIN_RUN_FOLDER"] = f"results/train/{name}.partial"
                    distributed.init_process_group("gloo", meet, rank=rank, world_size=2)
                    if rank in struck:
                        strike(monkeypatch, signum, step)
                    os._exit(main([*words, "--run-name", name]))
                finally:
                    os._exit(99)
        return ended(children)

    yield run
    signal.signal(signal.SIGINT, before)


def strike(monkeypatch, signum, step):
    """Let this process get a signal in a training step."""
    whole = Classifier.training_step

    def struck(self, *arguments):
        if self.trainer.global_step == step:
            os.kill(os.getpid(), signum)
        return whole(self, *arguments)

    monkeypatch.setattr(Classifier, "training_step", struck)


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


def left_by(name):
    folder = Path("results/train") / name
    weights = (folder / "network.safetensors").read_bytes()
    return json.loads((folder / "summary.json").read_text()), weights


def test_a_signal_to_any_process_ends_all_with_one_checkpoint_and_resumes_to_the_same_bits(
    two, capfd
):
    assert two(WORDS, "whole") == [0, 0]
    for name, struck, signum in [
        ("ctrl-c", (0, 1), signal.SIGINT),  # a terminal sends it to both
        ("first", (0,), signal.SIGTERM),
        ("second", (1,), signal.SIGTERM),
    ]:
        capfd.readouterr()
        # Lightning kills the first process if the second ends by any other code than 0.
        assert two(WORDS, name, struck, signum) == [128 + signum, 0]
        said = capfd.readouterr().err
        assert f"interrupted; go on with: frankenstein {' '.join(WORDS)}" in said
        assert said.count("interrupted") == 1
        folder = Path(f"results/train/{name}.partial")
        read_sealed(folder / CHECKPOINT)
        assert "at step 7 of 12" in (folder / "report.md").read_text()
        assert two([*WORDS, "--resume"], name) == [0, 0]
        assert left_by(name) == left_by("whole")
