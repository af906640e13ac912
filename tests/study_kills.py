"""kill -9 and signals to every process of a study: nothing is left running, nothing is lost.

    python tests/kills.py --only stud       # prints these tables behind the others

Each study is one of two networks or more on two workers, and ends, once it was gone on with, in the
same files as one that nobody disturbed.
"""

import contextlib
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

FRANKENSTEIN = [sys.executable, "-m", "frankenstein"]
STUDY = """
networks: {train: {model: mlp, dataset: digits, epochs: %d}, seeds: 0..%d}
pairs: chain
compare: {measures: [linear_cka], sender_layer: fc1, receiver_layer: fc1}
"""
POISON = """
import multiprocessing, os, signal, time

def net():
    os.kill(multiprocessing.parent_process().pid, signal.SIGKILL)
    time.sleep(60)
"""
PATIENCE = 20  # seconds that processes may take to end: a server of forks unloads torch
SERVING, SERVER = "cluster.serving", "multiprocessing.forkserver"


def study_kills(kills, draw):
    """All tables."""
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    os.environ["OMP_NUM_THREADS"] = "1"
    Path("small.yaml").write_text(STUDY % (30, 2))
    Path("large.yaml").write_text(STUDY % (10, 9))
    whole = undisturbed("small.yaml")
    print(
        f"\n| killed in a study | times | study ended by | left after {PATIENCE} s | same files |"
    )
    print("| --- | ---: | --- | ---: | ---: |", flush=True)
    for name, struck, signum in (
        ("a worker", SERVING, signal.SIGKILL),
        ("a run", SERVER, signal.SIGKILL),
        ("the study", "", signal.SIGKILL),
        ("Ctrl-C to the study", "", signal.SIGINT),
        ("SIGTERM to the study", "", signal.SIGTERM),
    ):
        row(name, [one_kill(struck, signum, number, whole) for number in range(max(1, kills // 5))])
    row("the scheduler", [scheduler_kill(whole)])
    print(f"\nA run that always kills its worker: {poisoned()}")
    print(f"{kills} kills at random in a study of 19 runs: {at_random(kills, draw)}")
    print(f"Two workers with other working folders: {elsewhere(whole)}")
    print(f"Against fresh processes: {against_fresh()}", flush=True)


def row(name, outcomes):
    codes = ", ".join(sorted({str(code) for code, _, _ in outcomes}))
    left, same = (sum(one[i] for one in outcomes) for i in (1, 2))
    print(
        f"| {name} | {len(outcomes)} | {codes} | {left} | {same} of {len(outcomes)} |", flush=True
    )


def one_kill(struck, signum, number, whole):
    name = f"killed-{number}-{signum}-{struck[:4]}"
    study = begun("small.yaml", name, "--workers", "2")
    until_there(f"results/study/{name}.partial/train/mlp-*.partial/last.ckpt", study)
    targets = [pid for pid, line in below(study.pid).items() if struck in line and is_first(pid)]
    os.kill(targets[0] if struck else study.pid, signum)
    before = time.monotonic()
    kept = [study.pid, *below(study.pid)]
    code, said = ended(study)
    if signum != signal.SIGKILL:
        assert time.monotonic() - before < 10, time.monotonic() - before
        assert said.count("\n") == 1, said
    assert "Traceback" not in said, said
    left = left_of(kept)
    if code:
        assert ended(begun("small.yaml", name, "--workers", "2"))[0] == 0
    return code, left, files(name) == whole


def scheduler_kill(whole):
    scheduler, workers = served("s1.json", [".", "."])
    study = begun("small.yaml", "scheduled", "--scheduler", "s1.json")
    until_there("results/study/scheduled.partial/train/mlp-*.partial/last.ckpt", study)
    scheduler.kill()
    code, said = ended(study)
    assert "the scheduler is gone" in said, said
    left = left_of([one.pid for one in workers])
    Path("s1.json").unlink(missing_ok=True)
    assert ended(begun("small.yaml", "scheduled", "--workers", "2"))[0] == 0
    return code, left, files("scheduled") == whole


def poisoned():
    Path("poison.py").write_text(POISON)
    Path("poisoned.yaml").write_text(
        "networks: ['poison.py:net', 'mlp#0', 'mlp#1']\n"
        "compare: {measures: [linear_cka], sender_layer: fc1, receiver_layer: fc1,\n"
        "  dataset: digits}\n"
    )
    code, said = ended(begun("poisoned.yaml", "poisoned", "--workers", "2", "--allow-code"))
    done = len(list(Path("results/study/poisoned.partial/compare").glob("*/run.json")))
    told = said.count("it ended its worker 3 times")
    return f"ended by {code}, {done} of 1 other run whole, {told} of 2 told"


def at_random(kills, draw):
    expected = undisturbed("large.yaml")
    study, done, again = begun("large.yaml", "random", "--workers", "2"), 0, 0
    while done < kills:
        time.sleep(draw.uniform(0.2, 3))
        if study.poll() is not None:
            break
        targets = [
            pid for pid, line in below(study.pid).items() if is_first(pid) and "python" in line
        ]
        if targets:
            with contextlib.suppress(ProcessLookupError):
                os.kill(draw.choice(targets), signal.SIGKILL)
                done += 1
    code, _ = ended(study)
    while code and again < 5:  # a run that was killed three times was given up
        again += 1
        code, _ = ended(begun("large.yaml", "random", "--workers", "2"))
    return f"{done} kills, gone on with {again} times, same files: {files('random') == expected}"


def elsewhere(whole):
    Path("a").mkdir()
    Path("b").mkdir()
    scheduler, workers = served("s2.json", ["a", "b"])
    code, _ = ended(begun("small.yaml", "elsewhere", "--scheduler", "s2.json"))
    scheduler.terminate()
    scheduler.wait()
    codes = [one.wait(30) for one in workers]
    stray = [*Path("a").iterdir(), *Path("b").iterdir()]
    return (
        f"ended by {code}, workers by {codes}, same files: {files('elsewhere') == whole}, {stray}"
    )


def against_fresh():
    """The runs of a study, made again by their own commands, each in a fresh process."""
    import json

    same = total = 0
    for record in sorted(Path("results/study/small").glob("*/*/run.json")):
        command = shlex.split(json.loads(record.read_text())["command"])
        place = command.index("--out-dir") + 1
        command[place] = "fresh"
        subprocess.run([*FRANKENSTEIN, *command[1:]], check=True, stdout=subprocess.DEVNULL)
        one, other = record.parent, Path("fresh", *record.parent.parts[-2:])
        total, same = total + 1, same + (contents(one) == contents(other))
    return f"{same} of {total} runs have the same files"


def undisturbed(config):
    name = config.partition(".")[0]
    assert ended(begun(config, name, "--workers", "1"))[0] == 0
    return files(name)


def begun(config, name, *words):
    words = ["study", "--config", config, "--run-name", name, *words]
    return subprocess.Popen(
        [*FRANKENSTEIN, *words, "--accelerator", "cpu", "--quiet"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def served(file, folders):
    scheduler = subprocess.Popen(
        [*FRANKENSTEIN, "scheduler", file, "--host", "127.0.0.1"], stdout=subprocess.DEVNULL
    )
    path = str(Path(file).resolve())
    workers = [
        subprocess.Popen(
            [*FRANKENSTEIN, "worker", "--scheduler", path, "--threads", "1"],
            cwd=folder,
            stderr=subprocess.DEVNULL,
        )
        for folder in folders
    ]
    return scheduler, workers


def ended(study):
    said = study.communicate(timeout=900)[1]
    return study.returncode, said


def until_there(pattern, study):
    while not list(Path().glob(pattern)) and study.poll() is None:
        time.sleep(0.02)


def files(name):
    """What the runs of a study hold, by their place."""
    (folder,) = Path("results/study").glob(name)
    runs = sorted(path.parent for path in folder.glob("*/*/run.json"))
    return {run.relative_to(folder): contents(run) for run in runs}


def contents(run):
    """Networks, numbers and tables of a run; metrics lie in a second file after a resume."""
    return {
        path.name: path.read_bytes()
        for path in run.iterdir()
        if path.suffix in {".safetensors", ".csv"} or path.name == "summary.json"
        if "metrics" not in path.name
    }


def below(parent):
    """Processes that this one has started, and theirs, with their command lines."""
    parents, lines = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            lines[int(path.name)] = (path / "cmdline").read_bytes().decode().replace("\0", " ")
    found, new = set(), {parent}
    while new:
        new = {child for child, its in parents.items() if its in new} - found
        found |= new
    return {pid: lines[pid] for pid in found if pid in lines}


def is_first(pid):
    """Whether a process leads a group: a worker and a run do, their servers do not."""
    with contextlib.suppress(OSError):
        return os.getpgid(pid) == pid
    return False


def left_of(processes):
    """How many are there still, once they have had their time; each is named on stderr."""
    until = time.monotonic() + PATIENCE
    while (left := [*filter(alive, processes)]) and time.monotonic() < until:
        time.sleep(0.2)
    for pid in left:
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
            print(f"left: {pid} {line.decode()[:200]}", file=sys.stderr, flush=True)
    return len(left)


def alive(pid):
    with contextlib.suppress(OSError):
        if Path(f"/proc/{pid}/cmdline").read_bytes():  # of one that is ending, its memory is gone
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


if __name__ == "__main__":
    study_kills(int(sys.argv[1]) if len(sys.argv) > 1 else 5, random.Random(0))
