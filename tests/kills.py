"""kill -9 at random moments: what is left is whole, and goes on to the same bits.

    python tests/kills.py --kills 20        # prints the tables of docs/reliability.md
    python tests/kills.py --only unasked    # one of them

Behind these, Ctrl-C and SIGTERM to train and stitch on two processes, as `--devices 2` starts them.

Not collected by pytest: tests/cli/test_interruption.py kills at a few chosen moments instead. Runs
are forks of this process, so that each moment is one of work and not of importing torch.
"""

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from lightning_fabric.plugins.io import TorchCheckpointIO

from frankenstein.callbacks import WholeCheckpoints
from frankenstein.cli import main as command_line
from frankenstein.files import load_tensors, read_sealed
from frankenstein.zoo import Card, build_network, save_network

sys.path.insert(0, str(Path(__file__).parent))
from study_kills import study_kills  # it lies beside this file

EPOCHS = ("-e", "4", "-b", "64", "--quiet", "--accelerator", "cpu")
OFTEN = ("-s", "5")
ROOT = Path(__file__).parents[1]
TWO = ("--devices", "2", "--strategy", "ddp", "-e", "20")
SIGNALLED = "ended by it, none left", "before the first step", "went on to the same bits"
LISTS = ("--sender-layers", "fc1", "fc2", "--receiver-layers", "fc1", "fc2")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="of each kind of run")
    parser.add_argument("--signals", type=int, default=4, help="to each of two processes, and both")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="tables whose names this expression finds")
    options = parser.parse_args()
    torch.set_num_threads(1)
    draw = random.Random(options.seed)
    tables = {
        "resumed": resumed,
        "unasked": unasked,
        "saves": saved,
        "together": of_one_name,
        "signals": signalled,
        "studies": studies,
    }
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        pair = networks()
        runs = {
            "train": ("train", "-m", "lenet", "-d", "digits", "-lr", "0.02", *EPOCHS, *OFTEN),
            "stitch": ("stitch", *pair, "pool1", "pool1", *EPOCHS, *OFTEN),
            "stitch, a matrix": ("stitch", *pair, *LISTS, *EPOCHS, "--measures", "linear_cka"),
        }
        for name, table in tables.items():
            if re.search(options.only, name):
                table(runs, pair, options, draw)


def resumed(runs, pair, options, draw):
    print("| run | seconds | kills | before any work | went on to the same bits |")
    print("| --- | ---: | ---: | ---: | ---: |", flush=True)
    for name, words in runs.items():
        with in_a_folder():
            row = campaign(words, options.kills, draw)
        print(f"| {name} | {' | '.join(map(str, row))} |", flush=True)


def unasked(runs, pair, options, draw):
    print("\n| no --resume | seconds | kills | left something | the same line then made it |")
    print("| --- | ---: | ---: | ---: | ---: |", flush=True)
    study = "train -m lenet -d digits -e 2 -b 64 --accelerator cpu --run-name one"
    weights = "analyze {study}/train/one/network.safetensors " + f"{pair[0]} --weights"
    quiet = ("--quiet", "--accelerator", "cpu")
    # Of a run there is a report; in a process of its own, as all that trains before a fork.
    assert ended(forked([*runs["train"], "-e", "0"], "of")) == 0
    rows = {
        "study": ("study", study, f"{weights} --run-name two", *quiet),
        "analyze": ("analyze", *pair, "--weights", *quiet),
        "report": ("report", str(Path("results/train/of").resolve()), "--quiet"),
    }
    for name, words in rows.items():
        with in_a_folder():
            row = unasked_campaign(words, options.kills, draw)
        print(f"| {name} | {' | '.join(map(str, row))} |", flush=True)


def saved(runs, pair, options, draw):
    print("\n| checkpoints saved by | kills in a save | damaged |\n| --- | ---: | ---: |")
    for writer in (WholeCheckpoints(), TorchCheckpointIO()):
        damaged = saves(writer, options.kills, draw)
        print(f"| {type(writer).__name__} | {options.kills} | {damaged} |", flush=True)


def of_one_name(runs, pair, options, draw):
    print(f"\nTen pairs of runs of one name: {together(runs['train'])} folders.", flush=True)


def signalled(runs, pair, options, draw):
    print(f"\n| two processes | to | signals | {' | '.join(SIGNALLED)} |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for name in ("train", "stitch"):
        verb, *words = runs[name]
        command = [sys.executable, str(ROOT / f"{verb}.py"), *words, *TWO]
        for to in ("both", "first", "second"):
            row = signals(command, f"{name}-{to}", to, options.signals, draw)
            print(f"| {name} | {to} | {' | '.join(map(str, row))} |", flush=True)


def studies(runs, pair, options, draw):
    with in_a_folder():
        study_kills(options.kills, draw)


@contextlib.contextmanager
def in_a_folder():
    before = os.getcwd()
    with tempfile.TemporaryDirectory(dir=before) as folder:
        os.chdir(folder)
        yield
        os.chdir(before)


def networks():
    for seed in (0, 1):
        network = build_network("lenet", 10, 1, init_seed=seed)
        save_network(f"in{seed}.safetensors", network, Card("lenet", 10, 1, "digits", 0, 0, 0))
    return [str(Path(f"in{seed}.safetensors").resolve()) for seed in (0, 1)]


def campaign(words, kills, draw):
    """Seconds of a whole run, kills, how many came before any work, and how many left no trace."""
    began = time.monotonic()
    assert ended(forked(words, "whole")) == 0
    seconds = time.monotonic() - began
    whole, same, early = left_by("whole"), 0, 0
    done = 0
    while done < kills:
        name = f"killed-{done}"
        child = forked(words, name)
        time.sleep(draw.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
        if ended(child) == 0:
            continue  # it was done already
        check_readable()
        unfinished = list(Path("results").glob(f"*/{name}.partial"))
        early += not unfinished
        if unfinished or not list(Path("results").glob(f"*/{name}")):
            more = ["--resume"] if unfinished else []
            assert ended(forked([*words, *more], name)) == 0
        same += left_by(name) == whole
        halves = list(Path("results").rglob("*.unfinished"))
        assert not halves, (halves, unfinished)
        done += 1
    return f"{seconds:.1f}", kills, early, f"{same} of {kills}"


def unasked_campaign(words, kills, draw):
    """Seconds of a whole run, kills, what they left, and how often the same line then made it."""
    began = time.monotonic()
    assert ended(forked(words, "whole")) == 0
    seconds = time.monotonic() - began
    expected = json.loads(next(Path("results").glob("*/whole/summary.json")).read_text())
    same = left = 0
    for number in range(kills):
        name = f"killed-{number}"
        child = forked(words, name)
        time.sleep(draw.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
        ended(child)
        check_readable()
        if not list(Path("results").glob(f"*/{name}")):  # it was not done already
            left += bool(list(Path("results").glob(f"*/{name}.partial")))
            assert ended(forked(words, name)) == 0
        (folder,) = Path("results").glob(f"*/{name}")
        same += json.loads((folder / "summary.json").read_text()) == expected
        assert not list(Path("results").rglob(f"{name}*.partial"))
    return f"{seconds:.1f}", kills, left, f"{same} of {kills}"


def saves(writer, kills, draw):
    """How many of so many kills in the middle of a save leave a file that cannot be read."""
    content = {"state_dict": {"w": torch.zeros(3_000_000)}, "global_step": 1}
    path, damaged = Path("saved.ckpt").resolve(), 0
    read = writer.load_checkpoint
    for _ in range(kills):
        path.unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            tempfile.tempdir = "/dev/shm"  # another file system than the target's
            while True:
                writer.save_checkpoint(content, path)
        time.sleep(0.05 + draw.uniform(0, 0.4))
        os.kill(child, signal.SIGKILL)
        ended(child)
        if not path.exists():
            continue
        try:
            read(path, weights_only=True)
        except Exception:  # damage can do anything
            damaged += 1
    for half in [*Path().glob(".saved.ckpt*"), path, *Path("/dev/shm").glob("tmp*")]:
        half.unlink(missing_ok=True)
    return damaged


def together(words):
    """How many folders ten pairs of runs make that are started together under one name."""
    for number in range(10):
        pair = [forked([*words, "-e", "0"], f"pair-{number}") for _ in range(2)]
        assert [ended(child) for child in pair] == [0, 0]
    folders = list(Path("results/train").glob("pair-*"))
    assert all((folder / "summary.json").exists() for folder in folders)
    return len(folders)


def signals(command, name, to, count, draw):
    """Signals at random moments after the second process is there, to both or one of them."""
    began, whole = time.monotonic(), left_by_run(command, f"{name}-whole")
    seconds = time.monotonic() - began
    done, ended, early, same = 0, 0, 0, 0
    while done < count:
        again = [*command, "--run-name", f"{name}-{done}"]
        signum = draw.choice([signal.SIGINT, signal.SIGTERM])
        code, said, left = struck(again, to, signum, draw.uniform(0, seconds))
        if late := list(Path("results").glob(f"*/{again[-1]}")):
            shutil.rmtree(late[0])  # it was whole already, or had no more need of the second
            continue
        unfinished = list(Path("results").glob(f"*/{again[-1]}.partial"))
        line = " --resume" if unfinished else "interrupted; there was nothing to keep yet"
        # The first process tells it, and of the second knows only that it stops, once both train.
        told = {128 + signum, *([143] if to == "second" else [])}
        good = code in told and said.endswith(f"{line}\n") and not left
        if not good:
            print(again[-1], signum, code, left, unfinished, said, file=sys.stderr)
        ended += good
        early += not unfinished
        check_readable()
        same += left_by_run([*command, *(["--resume"] if unfinished else [])], again[-1]) == whole
        done += 1
    return str(count), f"{ended} of {count}", str(early), f"{same} of {count}"


def left_by_run(command, name):
    subprocess.run([*command, "--run-name", name], capture_output=True, check=True)
    return left_by(name)


def struck(command, to, signum, seconds):
    """The exit code of a run that gets a signal, what it says, and which processes are left."""
    first = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # In a shell's background it is ignored from birth.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while (second := second_of(first)) is None and first.poll() is None:
        time.sleep(0.01)
    with contextlib.suppress(subprocess.TimeoutExpired):
        first.wait(seconds)
    with contextlib.suppress(ProcessLookupError):  # it is done
        if to == "both":  # as a terminal does
            os.killpg(first.pid, signum)
        else:
            os.kill(first.pid if to == "first" else second, signum)
    try:
        said = first.communicate(timeout=60)[1]
    except subprocess.TimeoutExpired:
        os.killpg(first.pid, signal.SIGKILL)
        said = first.communicate()[1]
    time.sleep(1)
    return first.returncode, said, alive(second)


def second_of(first):
    """The process that Lightning started; None as long as there is none."""
    with contextlib.suppress(OSError):  # one is gone
        for child in Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split():
            if b"\0LOCAL_RANK=1\0" in Path(f"/proc/{child}/environ").read_bytes():
                return int(child)
    return None


def alive(process):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def forked(words, name):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                code = command_line([*words, "--run-name", name])
        finally:
            sys.stderr.flush()
            os._exit(code)
    return child


def ended(child):
    return os.waitpid(child, 0)[1]


def left_by(name):
    (folder,) = Path("results").glob(f"*/{name}")
    files = [path for path in folder.rglob("*.safetensors") if path.parent.name != "snapshots"]
    weights = {path.name: path.read_bytes() for path in files}
    return json.loads((folder / "summary.json").read_text()), weights


def check_readable():
    """Every file with a final name can be read."""
    readers = {".safetensors": load_tensors, ".ckpt": read_sealed, ".json": check_json}
    for path in Path("results").rglob("*"):
        if not path.name.startswith(".") and path.suffix in readers:
            readers[path.suffix](path)


def check_json(path):
    try:
        json.loads(path.read_text())
    except ValueError:
        read_sealed(path)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
