"""Every kind of file that is read, mutated: one line and code 2, or the same numbers, quickly.

    python tests/fuzz.py                 # 2,000 of each kind: the table of docs/reliability.md
    python tests/fuzz.py 200 config      # so many, of the kinds that this expression finds

Not collected by pytest; tests/test_fuzz.py runs a few of each kind. A kind is read by what its verb
reads it with, within 10 seconds and 2 GB, in one process after the other.
"""

import contextlib
import gzip
import io
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import h5py
import numpy as np
import torch
from PIL import Image
from safetensors.numpy import save_file

from frankenstein.activations import open_activations
from frankenstein.callbacks import WholeCheckpoints
from frankenstein.cli import main as command_line
from frankenstein.cli.errors import one_line
from frankenstein.cli.verbs.study import WORDS as STUDY
from frankenstein.data.files import ImageFiles, central_square
from frankenstein.data.idx import read_idx
from frankenstein.data.text import Text
from frankenstein.data.tokenizers import Bytes
from frankenstein.dictionaries import Dictionary, load_dictionary, save_dictionary
from frankenstein.errors import AlreadyDone, DataError
from frankenstein.files import tensors_sha256
from frankenstein.report.labelled import LabelledMatrix
from frankenstein.runs.folder import find_unfinished, remove, unlock, write_origin
from frankenstein.runs.plan import dump, read_plan, read_values
from frankenstein.runs.run import Run
from frankenstein.similarity.plan import ComparePlan
from frankenstein.stitches import Affine, load_stitch, save_stitch
from frankenstein.stitching.matrix.results import Cells
from frankenstein.studies.cluster.connection import Address, read_address
from frankenstein.studies.finished import JoinedRuns, groups, read_finished
from frankenstein.studies.folder import finished_study, there
from frankenstein.studies.graph import Node
from frankenstein.studies.joined import csv_of
from frankenstein.studies.page import run_table, score_table
from frankenstein.studies.plan import StudyPlan, nodes_of
from frankenstein.training.plan import TrainPlan
from frankenstein.zoo import Card, build_network, save_network

SECONDS, GIGABYTES = 10, 2
TIMERS = (
    (signal.ITIMER_PROF, signal.SIGPROF, SECONDS),
    (signal.ITIMER_REAL, signal.SIGALRM, 12 * SECONDS),
)
PLAN = TrainPlan(model="mlp", dataset="digits", epochs=3)
GRAPH = StudyPlan(
    networks={"train": {"model": "mlp", "dataset": "digits"}, "seeds": "0..2"},
    pairs="chain",
    compare={"measures": ["linear_cka"], "sender_layer": "fc1", "receiver_layer": ["fc1", "fc2"]},
    stitch=[{"sender_layer": "fc1", "receiver_layer": "fc1", "family": ["affine", "low_rank"],
             "low_rank": "1..3"}],
    out_dir="run",
)  # fmt: skip
PAIR = ComparePlan(sender="a", receiver="b", dataset="digits", run_name="one")
SNAPSHOT = Card("mlp", 10, 1, "digits", 0, 0, 2, step=30, epoch=1.5)
NAMED = "<img src=x onerror=alert(1)>|*_[x](y)"
NASTY = [
    *("null", "true", "-1", "0", "1e999", "NaN", "9" * 5000, "1:30", "010", "2001-99-99", '"', "'"),
    *("[", "]", "{", "}", "[]", "{}", "[" * 600, "{" * 600, ":", ": ", ",", "\n", "\n  - ", "\t"),
    *("&a ", "*a", "&a [*a, *a]", "<<: *a", "!!int x", "!!python/name:os.system", "? ", "| ", "%"),
    *("\0", "\x1b[31m", "é", "\u2028", "\ud7ff", "resnet20_w100000", "torchvision/x", "/dev/zero"),
]
VALUE = re.compile(r'(?<=: )[^\n,}]+|"[^"\n]*"|\b\d+\b')


def seen(path):
    pixels = ImageFiles(path.parent, [path.name], lambda image: central_square(image, 8, 8, 2))
    if damage := pixels.unreadable():
        raise DataError(damage[0])
    return pixels[:].tolist()


def images(path, kind):
    levels = np.arange(16 * 12 * 3, dtype=np.uint8).reshape(16, 12, 3)
    Image.fromarray(levels).save(path, kind)


def finished(path):
    """A run whose record or summary the file is."""
    network = {"file": "a", "sha256": "b" * 64, **vars(Card("mlp", 10, 1, "digits", 0, 0, 1))}
    with Run.write(TrainPlan(out_dir="results", dataset="digits"), "a") as run:
        run.networks["subject"] = network
        run.numbers |= {"accuracy/held_out": 0.5, "loss/held_out": 1.25}
    os.replace(run.folder, path.parent)


def joined(path):
    runs, _ = read_finished([str(path.parent)])
    both = JoinedRuns(groups(runs), ["accuracy/held_out"])
    return both.summary(), csv_of(both), run_table(both, path.parent), score_table(both)


def unfinished(path):
    write_origin(path.parent, PLAN, {"sender": "a" * 64})
    (path.parent / "last.ckpt").touch()


def resumed(path):
    try:
        folder, lock = find_unfinished(
            path.parents[1], "run", PLAN, {"sender": "a" * 64}, "last.ckpt"
        )
    except AlreadyDone as done:
        return str(done.folder)
    unlock(lock)
    return str(folder)


def study(path):
    plan = read_plan(StudyPlan, path)
    STUDY.sort(plan.values())
    return


def graph(path):
    nodes_of(read_plan(StudyPlan, path), "{study}")


def whole(path, plan, node):
    """A finished run of a graph, and a finished study, at the places where they are looked for."""
    with Run.write(plan, node) as run:
        pass
    remove(path.parent)
    os.replace(run.folder, path.parent)


def known(path):
    there([Node("compare/one", PAIR)], path.parents[2])


def study_is_whole(path):
    finished_study(GRAPH, "one")


def sentences(path):
    data = Text([path])
    data.look_for(Bytes(12))


def said(*words):
    """What a command line prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = command_line([*map(str, words)])
    if code == 2:
        raise SystemExit(2)
    return out.getvalue()


def cell(path):
    Cells(path.parents[1])["solved", 0, "a"] = {"b": {"accuracy": 0.5}, "c": {"accuracy": 0.25}}


def weights(module):
    return tensors_sha256(module.state_dict())


def activations(path, save):
    save(path, {"early": np.arange(56, dtype="f4").reshape(7, 2, 4), "late": np.eye(7, 5)})


def as_h5(path, arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


def rows(path):
    read = open_activations(path).of()
    return [z.tolist() for z in read.read(torch.arange(len(read))).values()]


TEXT, SUMMED = "text", "summed"  # what is edited by words; what has a checksum
KINDS = {  # name of the file, what writes it, what reads it, what it is
    "config": ("a.yaml", lambda p: p.write_text(dump(PLAN)),
               lambda p: read_values(TrainPlan, p) and read_plan(TrainPlan, p) and None, {TEXT}),
    "config of layers": ("b.yaml", lambda p: p.write_text("name: mlp\nnum_classes: 10\n"),
                         lambda p: said("layers", "--config", p) and None, {TEXT}),
    "study": ("a.yaml", lambda p: p.write_text(dump(StudyPlan(
        steps=["train -m mlp -d digits", {"evaluate": {"subject": "{study}/train/a"}}]))),
              study, {TEXT}),
    "study, a graph": ("a.yaml", lambda p: p.write_text(dump(GRAPH)), graph, {TEXT}),
    "config of a run in a study": ("compare/one/config.yaml",
                                   lambda p: whole(p, PAIR, "one"), known, {TEXT}),
    "config of a whole study": ("study/one/config.yaml", lambda p: whole(p, GRAPH, "one"),
                                study_is_whole, {TEXT}),
    "file of a scheduler": ("a.json", lambda p: Address("tls://127.0.0.1:8786", "k", "c").write(p),
                            lambda p: read_address(str(p)) and None, {TEXT}),
    "record of a run": ("run.json", finished, joined, {TEXT}),
    "summary of a run": ("summary.json", finished, joined, {TEXT}),
    "config of an unfinished run": ("config.yaml", unfinished, resumed, {TEXT}),
    "origin of an unfinished run": ("origin.json", unfinished, resumed, {TEXT}),
    "network": ("a.safetensors", lambda p: save_network(
        p, build_network("mlp", init_seed=0), Card("mlp", 10, 1, "digits", 0, 0, 1)),
                lambda p: said("layers", p), {SUMMED}),
    "snapshot": ("a.safetensors", lambda p: save_network(
        p, build_network("mlp", init_seed=0), SNAPSHOT), lambda p: said("layers", p), {SUMMED}),
    "state dict": ("a.pt", lambda p: torch.save(build_network("mlp", init_seed=0).state_dict(), p),
                   lambda p: said("layers", p), {SUMMED}),
    "stitch": ("a.safetensors", lambda p: save_stitch(p, Affine(5, 3)),
               lambda p: weights(load_stitch(p)), {SUMMED}),
    "dictionary": ("a.safetensors", lambda p: save_dictionary(p, Dictionary(4, 8, k=2)),
                   lambda p: weights(load_dictionary(p)), {SUMMED}),
    "checkpoint": ("last.ckpt", lambda p: WholeCheckpoints().save_checkpoint(
        {"state_dict": {"w": torch.arange(40.0)}, "global_step": 3}, p),
                   lambda p: repr(WholeCheckpoints().load_checkpoint(p)), {SUMMED}),
    "cell of a matrix": ("cells/solved-0-a.json", cell,
                         lambda p: Cells(p.parents[1])["solved", 0, "a"], {SUMMED}),
    "matrix of layers": ("a.csv", lambda p: LabelledMatrix(
        torch.eye(3), tuple("abc"), tuple("def"), "linear_cka", "pooled", 9).to_csv(p),
                         lambda p: LabelledMatrix.from_csv(p) and None, {TEXT}),
    "image, PNG": ("a.png", lambda p: images(p, "PNG"), seen, {SUMMED}),
    "image, JPEG": ("a.jpg", lambda p: images(p, "JPEG"), lambda p: seen(p) and None, set()),
    "image, TIFF": ("a.tif", lambda p: images(p, "TIFF"), lambda p: seen(p) and None, set()),
    "text": ("a.txt", lambda p: p.write_text("a sentence, é\nanother one\n" * 4),
             sentences, {TEXT}),
    "text, a table": ("a.csv", lambda p: p.write_text(
        "text,label\n" + f'"{NAMED}, and so on",1\nb,0\n' * 4), sentences, {TEXT}),
    "text, a table of tabs": ("a.tsv", lambda p: p.write_text(
        "label\tsentence\n" + "x\tone is\ny\ttwo\n" * 4), sentences, {TEXT}),
    "array, packed": ("a.gz", lambda p: p.write_bytes(gzip.compress(
        bytes([0, 0, 8, 1, 0, 0, 0, 200]) + bytes(range(200)))),
                      lambda p: read_idx(p, 1).tolist(), {SUMMED}),
    "activations, npz": ("a.npz", lambda p: activations(p, lambda p, z: np.savez(p, **z)),
                         rows, {SUMMED}),
    "activations, npy": ("a.npy", lambda p: activations(p, lambda p, z: np.save(p, z["early"])),
                         lambda p: rows(p) and None, set()),
    "activations, safetensors": ("a.safetensors", lambda p: activations(
        p, lambda p, z: save_file(z, p)),
                                 lambda p: rows(p) and None, set()),
    "activations, pt": ("a.pt", lambda p: activations(p, lambda p, z: torch.save(
        {k: torch.from_numpy(v) for k, v in z.items()}, p)), rows, {SUMMED}),
    "activations, pt of before 1.6": ("a.pt", lambda p: activations(p, lambda p, z: torch.save(
        {k: torch.from_numpy(v) for k, v in z.items()}, p,
        _use_new_zipfile_serialization=False)), lambda p: rows(p) and None, set()),
    "activations, h5": ("a.h5", lambda p: activations(p, as_h5),
                        lambda p: rows(p) and None, set()),
}  # fmt: skip


def mutated(whole, draw, is_text):
    """The file with one to three things done to it."""
    content = bytearray(whole)
    for _ in range(draw.choice((1, 1, 2, 3))):
        place = draw.randrange(len(content) + 1)
        if is_text and draw.random() < 0.7:
            words = content.decode("utf-8", "surrogateescape")
            at = draw.randrange(len(words) + 1)
            end = min(len(words), at + draw.choice((0, 0, 1, 5, 20)))
            values = [one.span() for one in VALUE.finditer(words)]
            if values and draw.random() < 0.6:  # in its place a value of another kind
                at, end = draw.choice(values)
            new = words[:at] + draw.choice(NASTY) + words[end:]
            content = bytearray(new.encode("utf-8", "surrogateescape"))
            continue
        how = draw.randrange(6)
        if how == 0 and content:
            content[place % len(content)] ^= 1 << draw.randrange(8)
        elif how == 1 and content:
            content[place % len(content)] = draw.choice((0, 255, 127, 128, 1))
        elif how == 2:
            content[place : place + draw.choice((1, 4, 30))] = b""
        elif how == 3:
            content[place:place] = draw.randbytes(draw.choice((1, 8, 40)))
        elif how == 4:
            content[place:place] = content[place : place + draw.choice((4, 40))]
        else:
            del content[place:]
    return bytes(content)


def late(*_):
    raise TimeoutError(f"more than {SECONDS} seconds")


def outcome(kind, path, read, expected):
    """What became of a file: "refused", "the same", "read", or what it did that none may."""
    # Of the processor, which others may keep busy; what waits for ever is ended, too.
    for timer, signum, seconds in TIMERS:
        signal.signal(signum, late)
        signal.setitimer(timer, seconds)
    err, found = io.StringIO(), None
    try:
        with contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with one_line("fuzz", "fuzz") as ended:
                found = read(path)
    except SystemExit:  # of a command line, which has said why
        ended.code = 2
    except BaseException as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    finally:
        for timer, *_ in TIMERS:
            signal.setitimer(timer, 0)
    if ended.code:
        told = err.getvalue()
        return "refused" if told.count("\n") == 1 and len(told) < 3000 else f"said {told[:300]!r}"
    if SUMMED in KINDS[kind][3]:
        return "the same" if found in (expected, None) else f"other numbers: {str(found)[:200]}"
    return "read"


def campaign(kind, count, seed=0):
    """Outcomes of so many mutants of a kind, how many of each, with what none may do."""
    name, write, read, what = KINDS[kind]
    draw, counts, bad, slowest = random.Random(seed), {}, [], 0.0
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            path = Path(folder, "run.partial" if "unfinished" in kind else "run", name)
            path.parent.mkdir(parents=True)
            write(path)
            whole = path.read_bytes()
            expected = read(path)
            for number in range(count):
                content = mutated(whole, draw, TEXT in what)
                path.write_bytes(content)
                began = time.process_time()
                came = outcome(kind, path, read, expected)
                slowest = max(slowest, time.process_time() - began)
                counts[came] = counts.get(came, 0) + 1
                if came not in ("refused", "the same", "read"):
                    bad.append((number, came, content[:2000]))
        finally:
            os.chdir(before)
    return counts, bad, slowest


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    word = sys.argv[2] if len(sys.argv) > 2 else ""
    os.environ["FRANKENSTEIN_CACHE"] = tempfile.mkdtemp()
    print("| file | mutants | refused in one line | read | none may | slowest, s | MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    failed = 0
    for kind in KINDS:
        if re.search(word, kind):
            failed |= in_a_process(kind, count)
    raise SystemExit(failed)


def in_a_process(kind, count):
    """One kind in a process of its own, which may take 2 GB more than it has begun with."""
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + GIGABYTES * 2**30
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        code = 1
        try:
            counts, bad, slowest = campaign(kind, count)
            whole = counts.get("the same", 0) + counts.get("read", 0)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000
            row = (kind, f"{count:,}", f"{counts.get('refused', 0):,}", f"{whole:,}", len(bad))
            print(f"| {' | '.join(map(str, row))} | {slowest:.1f} | {peak:,} |", flush=True)
            for number, came, content in bad[:5]:
                print(kind, number, came, content[-600:], file=sys.stderr, flush=True)
            code = int(bool(bad))
        except BaseException:  # which os._exit would not tell
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitpid(child, 0)[1] != 0


if __name__ == "__main__":
    main()
