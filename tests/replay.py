"""Records the numbers of many small runs, and shows which of them another version moves.

    python tests/replay.py record FOLDER [--package CHECKOUT] [--only PATTERN]
    python tests/replay.py check BEFORE AFTER [--words]
    python tests/replay.py read BEFORE [--package CHECKOUT] [--only PATTERN]

`record` runs every line of the tables below, or those that fit a regular expression; lines that
have been run in that folder are left as they are. CHECKOUT is a clone of this repository, the one
that this file lies in if absent. `check` prints a line for each difference of two such folders, bit
for bit: exit codes, names of files, `summary.json`, CSV and TSV files, tensors, and what `layers`
and mistakes print. Lines that only one of the two has run are counted, and no difference. `read`
repeats the lines that take a recorded run or network as input, with their results elsewhere, and
checks that they find the same. With --words, differences in reports, options and the rest of what
is printed are counted, too, but are no difference.

Left out, for they are not the same twice: TensorBoard's events and `run.json`'s time, command,
commit and machine (times and places); and what training prints of a run that a signal ended, for
the signal comes at another step each time. Pictures are left out because they show numbers that are
compared as numbers.

Not collected by pytest. All runs take one thread, and come from a fork of this process, so that
torch is imported once. Numbers are those of one machine: record both versions on the same one.
"""

import argparse
import csv
import difflib
import gzip
import importlib.util
import json
import math
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

# A line is a verb, the name of the run, and words. net:NAME is the network of a run of train,
# run:VERB/NAME the folder of a run, and tiny:DATA/N one of the networks that ship. A line that
# begins with "cut" is ended by SIGTERM once there is a checkpoint; a later one goes on with it.
COMMANDS = """
train lenet0 -m lenet -d mnist -e 4 -lr 0.05 -b 32 -s 10
train lenet1 -m lenet -d mnist -i 1 -g 1 -e 4 -lr 0.05 -b 32 -s 10
train lenet2 -m lenet -d mnist -i 2 -g 2 -e 4 -lr 0.05 -b 32 -s 10
train adam -m lenet -d fashion -e 2 -opt adam -lr 0.001 -wd 0.01 -b 50
train untrained -m dense -d mnist -e 0 -i 7
train dense0 -m dense -d mnist -e 2 -b 32 -lr 0.05
train dense1 -m dense -d mnist -e 2 -b 32 -lr 0.05 -i 1
train mlp0 -m mlp -d mnist -e 6 -b 16
train mlp1 -m mlp -d mnist -e 6 -b 16 -i 1 -g 1
train nbn0 -m nbn_tiny10 -d mnist -e 1 -lr 0.01
train nbn1 -m nbn_tiny10 -d mnist -e 1 -lr 0.01 -i 1
train res0 -m resnet20_w1 -d mnist -e 1 -b 64
train res1 -m resnet20_w1 -d mnist -e 1 -b 64 -i 1
train wide -m resnet20_w2 -d folder --data-root data/shapes -e 1 -b 16 -lr 0.01
train shapes0 -m lenet -d folder --data-root data/shapes -e 3 -b 8 -lr 0.01
train shapes1 -m lenet -d folder --data-root data/shapes -e 3 -b 8 -lr 0.01 -i 1 -g 1
train vision0 -m torchvision/resnet18 -d folder --data-root data/shapes --image-size 32 \
    -e 1 -b 16 -lr 0.01
train vision1 -m torchvision/resnet18 -d folder --data-root data/shapes --image-size 32 \
    -e 1 -b 16 -lr 0.01 -i 1
train squeeze -m torchvision/squeezenet1_1 -d folder --data-root data/shapes --image-size 48 \
    -e 1 -b 12
train inception -m inceptionv1 -d folder --data-root data/shapes --image-size 64 -e 1 -b 16
train faces0 -m lenet -d celeba -e 2 -b 8 -lr 0.001
train faces1 -m lenet -d celeba -e 2 -b 8 -lr 0.001 -i 1 -g 1
train synthetic0 -m lenet -d synthetic -e 1 -lr 0.02
train digits0 -m lenet -d digits -e 1 -lr 0.05 --image-size 32
train bf16 -m lenet -d mnist -e 2 -b 32 -lr 0.05 --precision bf16-mixed
train yaml --config configs/train/tiny10_digits.yaml -m mlp -e 1
train again --config run:train/lenet0/config.yaml
train two -m mlp -d mnist -e 2 -b 32 --devices 2 --strategy ddp
cut train stopped -m lenet -d mnist -e 12 -b 16 -lr 0.01
train stopped -m lenet -d mnist -e 12 -b 16 -lr 0.01 --resume
train lenet0 -m lenet -d mnist -e 4 -lr 0.05 -b 32 -s 10 --resume

stitch solved net:lenet0 net:lenet1 pool1 pool1 -i ps_inv -e 0
stitch random net:lenet0 net:lenet1 pool1 pool1 -e 2 -b 32 -lr 0.01 --seed 5 --measures linear_cka
stitch perm net:lenet0 net:lenet1 relu2 relu2 -e 1 -i perm --measures unit_correlation
stitch eye net:lenet0 net:lenet1 relu2 relu2 -e 1 -i eye -opt sgd -wd 0.01
stitch ones net:lenet0 net:lenet1 fc1 fc1 -e 1 -i ones-zeros --measures r_squared
stitch across net:lenet0 net:lenet2 fc1 fc2 -e 1 -b 64 --no-augment
stitch identity net:lenet0 net:lenet1 relu3 relu3 --family identity
stitch permutation net:lenet0 net:lenet1 relu3 relu3 --family permutation -i ps_inv
stitch orthogonal net:lenet0 net:lenet1 fc2 fc2 --orthogonal -e 1 -i ps_inv
stitch turned net:lenet0 net:lenet1 pool2 pool2 --family orthogonal -e 1
stitch rank2 net:lenet0 net:lenet1 pool2 pool2 -r 2 -e 1 -i ps_inv
stitch rank4 net:lenet0 net:lenet1 pool2 pool2 -r 4 -e 1 -i ps_inv
stitch rank_random net:lenet0 net:lenet1 pool2 pool2 --low-rank 4 -e 1 -lr 0.01
stitch sparse net:lenet0 net:lenet1 pool2 pool2 --l1 0.5 -e 1 -i ps_inv
stitch lasso net:mlp0 net:mlp1 fc1 fc1 --l1 0.1 -e 0 -i ps_inv
stitch match net:lenet0 net:lenet1 fc2 fc2 -m match -e 1 -i ps_inv
stitch semi net:lenet0 net:lenet1 fc2 fc2 -m semi-match -e 1
stitch abs_semi net:lenet0 net:lenet1 fc2 fc1 -m abs-semi-match -e 0 -i ps_inv
stitch drawn net:lenet0 net:lenet1 fc2 fc2 -m random-permutation -e 1 --seed 2
stitch flat net:lenet0 net:lenet1 pool1 pool1 -f -e 1 -i ps_inv --solve-on 100
stitch flat_same net:lenet0 net:lenet1 pool2 pool2 -f --family identity
stitch mse net:lenet0 net:lenet1 relu2 relu2 --direct mse -e 1 -lr 0.01
stitch cka net:lenet0 net:lenet1 relu2 relu2 --direct cka -e 1 -lr 0.01
stitch mse_reg net:mlp0 net:mlp1 fc2 fc2 --direct mse --cka-reg -1 -e 1
stitch rewarded net:lenet0 net:lenet1 pool1 pool1 --cka-reg -1 -e 1 -b 64 -s 1
stitch soft_1 net:lenet0 net:lenet1 fc2 fc2 --target-type soft_1 -e 1
stitch soft_2 net:lenet0 net:lenet1 fc2 fc2 --target-type soft_2 --temperature 3 -e 1
stitch soft_1_plus_2 net:lenet0 net:lenet1 fc2 fc2 --target-type soft_1_plus_2 -e 1
stitch widths net:lenet0 net:lenet1 pool1 fc2 -e 1 --debug
stitch bf16 net:lenet0 net:lenet1 pool1 pool1 -e 1 --precision bf16-mixed
stitch residual net:res0 net:res1 layer2.1.relu_1 layer2.2.add -e 1 -i ps_inv --debug
stitch vision net:vision0 net:vision1 layer2.0.add layer2.0.add -e 1 -b 16 \
    --data-root data/shapes
stitch faces net:faces0 net:faces1 pool1 pool1 -e 1 -b 8 -i ps_inv
stitch shapes net:shapes0 net:shapes1 relu2 relu2 --data-root data/shapes -e 1 -b 16
stitch tiny tiny:digits/0 tiny:digits/1 bn3 bn5 -e 0 -i ps_inv
stitch old old/one.pt old/two.pt bn5 bn5 --model tiny10 -d mnist -e 1 -i ps_inv
stitch other_data tiny:fashion/0 tiny:fashion/1 bn3 bn3 -d mnist -e 0 -i ps_inv
stitch measured net:mlp0 net:mlp1 fc2 fc2 -e 1 \
    --measures rbf_cka svcca pwcca mutual_knn rsa_spearman
stitch yaml --config configs/stitch/permutation.yaml --dataset mnist
stitch again --config run:stitch/rank2/config.yaml
cut stitch stopped net:lenet0 net:lenet1 pool1 pool1 -e 8 -b 16 --measures linear_cka
stitch stopped net:lenet0 net:lenet1 pool1 pool1 -e 8 -b 16 --measures linear_cka --resume

stitch all net:lenet0 net:lenet1 --all -e 0
stitch all_rank net:lenet0 net:lenet1 --all -e 0 -r 2 --measures linear_cka r_squared
stitch all_faces net:faces0 net:faces1 --all -e 0
stitch all_flat net:lenet0 net:lenet1 --sender-layers pool2 relu2 --receiver-layers pool2 -f -e 0
stitch trained net:lenet0 net:lenet1 --sender-layers fc1 fc2 --receiver-layers fc1 fc2 -e 1 -b 64
stitch seeds net:mlp0 net:mlp1 --sender-layers fc1 fc2 --receiver-layers fc1 --seeds 3 -e 1 -i perm
stitch all_mse net:mlp0 net:mlp1 --all -e 1 --direct mse -i ps_inv
stitch all_soft net:mlp0 net:mlp1 --all -e 1 --target-type soft_2 --cka-reg -0.5 --no-augment
stitch all_sparse net:mlp0 net:mlp1 --all --l1 0.1 -e 1 -i ps_inv
stitch all_drawn net:mlp0 net:mlp1 --all -m random-permutation -e 0 --seeds 2
stitch all_turned net:mlp0 net:mlp1 --sender-layers fc1 --receiver-layers fc1 tanh1 -e 1 \
    --orthogonal
cut stitch all_stopped net:lenet0 net:lenet1 --sender-layers pool1 relu2 --receiver-layers fc1 -e 4
stitch all_stopped net:lenet0 net:lenet1 --sender-layers pool1 relu2 --receiver-layers fc1 -e 4 \
    --resume

evaluate network net:lenet0
evaluate trained run:train/lenet0 -d fashion -b 7
evaluate faces net:faces0
evaluate shapes net:shapes0 --data-root data/shapes
evaluate tiny tiny:digits/0
evaluate old old/one.pt --model tiny10 -d digits
evaluate rank2 run:stitch/rank2
evaluate after run:stitch/random --stitch after ps_inv --measures r_squared mean_cca
evaluate outside run:stitch/solved --percentile 90 --floor 0.1 -d fashion
evaluate cut_faces run:stitch/faces --stitch before
evaluate flat run:stitch/flat
evaluate vision run:stitch/vision

compare all net:lenet0 net:lenet1
compare pair net:lenet0 net:lenet1 relu2 relu2
compare words net:lenet0 net:lenet1 relu2 relu2 cka cca l2 ps_inv corr
compare sums net:lenet0 net:lenet1 fc1 fc1 linear_cka unbiased_cka mean_cca mean_squared_cca svcca \
    pwcca decoding_agreement procrustes_similarity angular_shape_distance r_squared \
    reverse_r_squared cross_validated_r_squared unit_correlation best_match_correlation \
    matched_correlation mean_squared_distance
compare kept net:lenet0 net:lenet1 pool2 pool2 rbf_cka unbiased_rbf_cka deconfounded_cka \
    rsa_pearson rsa_spearman mutual_knn
compare pooled net:lenet0 net:lenet1 relu* fc* unbiased_cka mutual_knn r_squared --flattening pooled
compare by_image net:lenet0 net:lenet1 pool1,relu2 pool1,relu2 linear_cka --flattening per_sample
compare sure net:lenet0 net:lenet1 relu2,fc1 relu2,fc1 unbiased_cka mutual_knn mean_cca \
    --bootstrap 99 --permutations 99 --keep 60 --seed 4
compare sure_pair net:lenet0 net:lenet1 fc2 fc2 cka rsa_pearson l2 --bootstrap 60 --permutations 40
compare blocks net:lenet0 net:lenet1 relu2 relu2,fc1 --block 20 -b 40
compare modules net:mlp0 net:mlp1 modules modules linear_cka
compare kinds net:lenet0 net:dense0 fc1,fc2 fc* linear_cka cka
compare faces net:faces0 net:faces1 pool1,fc1 pool1,fc1
compare shapes net:shapes0 net:shapes1 --data-root data/shapes
compare tiny tiny:digits/0 tiny:digits/1 bn*
compare old old/one.pt tiny:digits/0 bn3,fc bn3,fc linear_cka --model tiny10 -d mnist
compare run run:stitch/random
compare run_after run:stitch/rank2 --stitch after cka l2 mutual_knn
compare run_behind run:stitch/rank2 --stitch ps_inv --layer fc1 cka cca
compare run_sure run:stitch/flat --stitch before cka --bootstrap 50 --permutations 50
compare again --config run:compare/sure/config.yaml

analyze units net:lenet0 net:lenet1 --units -n 80
analyze weights net:lenet0 net:lenet1 --weights
analyze activations net:lenet0 net:lenet1 --activations -n 80
analyze circuits net:lenet0 net:lenet1 --circuits -n 80
analyze merge net:lenet0 net:lenet1 --merge -n 80
analyze probes net:mlp0 net:mlp1 --probes -n 60
analyze autoencoder net:mlp0 net:mlp1 fc1 --autoencoder --steps 30 -n 80
analyze crosscoder net:lenet0 net:lenet1 relu3 --crosscoder --steps 20 -n 80
analyze sparse net:lenet0 net:lenet1 relu3 relu4 --autoencoder --l1 0.1 --features 40 --steps 20
analyze families net:lenet0 net:lenet1 relu3 --circuits --more net:lenet2 net:adam -n 100
analyze average net:lenet0 net:lenet1 relu2,relu3 --circuits --threshold 0.6 --grouping average
analyze cosine net:lenet0 net:lenet1 relu* --circuits --similarity cosine --seed 2
analyze named net:lenet0 net:lenet1 relu2,fc1 relu2,fc2 --units --activations --seed 1 -n 50
analyze invariances net:lenet0 net:lenet1 pool2 --invariances --goals 8 --inversion-steps 5
analyze all net:mlp0 net:mlp1 --all -n 40 --steps 10 --goals 8 --inversion-steps 5 --more net:mlp1
analyze shapes net:shapes0 net:shapes1 --units --activations --probes --data-root data/shapes
analyze faces net:faces0 net:faces1 --units --weights --activations
analyze tiny tiny:digits/0 tiny:digits/1 bn3,bn8 --units --weights -n 60
analyze again --config run:analyze/units/config.yaml

report trains run:train/lenet0 run:train/lenet1 run:train/lenet2 run:train/mlp0 run:train/mlp1
report ranks run:stitch/rank2 run:stitch/rank4 run:stitch/solved
report layers run:stitch/solved run:stitch/perm run:stitch/ones run:stitch/soft_1 \
    --scores accuracy/*
report mixed run:compare/pair run:compare/sure_pair run:evaluate/network run:analyze/units
report matrices run:stitch/all run:stitch/trained run:stitch/seeds --scores *
study small --config study.yaml --data-root data
study words 'train -m mlp -d mnist -e 1 --run-name a' 'evaluate {study}/train/a/network.safetensors'
demo lenet-fashion -d fashion -m lenet --layer relu2 -e 2 --data-root data
"""

# Command lines that only print: held against each other word by word.
LISTS = """
layers tiny10
layers resnet20_w1 -c 3
layers lenet
layers mlp --num-classes 3
layers inceptionv1 -c 3
layers torchvision/resnet18 --size 64
layers torchvision/vit_b_16 -c 3
layers tiny:digits/0
layers old/one.pt -m tiny10
layers net:shapes0
"""

# Command lines that cannot be done: one line on stderr, and exit code 2.
MISTAKES = """
sew one two
train -m lenett -d mnist
train -m lenet -d mnist -e -1
train -m lenet -d folder --data-root data/nowhere
train -m lenet -d mnist --resume
stitch net:lenet0 net:lenet1 pool1
stitch net:lenet0 net:lenet1 pool1 poll2
stitch net:lenet0 net:lenet1 pool1 pool1 -r 2 --orthogonal
stitch net:lenet0 net:lenet1 pool1 pool1 --direct mse -e 0
stitch net:lenet0 net:lenet1 pool1 pool1 --temperature 2
stitch net:lenet0 net:faces1 pool1 pool1
stitch net:res0 net:res1 layer1.0.bn1 layer1.0.bn1
stitch net:lenet0 net:lenet1 --all -e 0 -i eye
stitch net:lenet0 net:lenet1 fc1 pool2 -m semi-match
evaluate net:nobody
evaluate run:stitch/solved --other
compare net:lenet0 net:lenet1 relu9 relu2
compare net:lenet0 net:lenet1 relu2 relu2 cca kca
compare net:lenet0 net:mlp0
compare net:lenet0 net:lenet1 --bootstrap 20
analyze net:lenet0 net:lenet1
analyze net:lenet0 net:lenet1 --units --threshold 0.5
report results/nowhere
study 'trian -m lenet'
layers lenet5
"""

STUDY = """
steps:
  - train -m mlp -d mnist -e 2 -b 16 --run-name one
  - train -m mlp -d mnist -e 2 -b 16 -i 1 -g 1 --run-name two
  - >-
    stitch {study}/train/one/network.safetensors {study}/train/two/network.safetensors
    fc1 fc1 -i ps_inv -e 1 --run-name fc1
  - >-
    compare {study}/train/one/network.safetensors {study}/train/two/network.safetensors
    --run-name layers
  - >-
    analyze {study}/train/one/network.safetensors {study}/train/two/network.safetensors
    --weights --run-name questions
"""

ROOT = Path(__file__).resolve().parents[1]
# Imported before the forks: everything slow that is not the package itself.
SLOW = (
    "torch.fx",
    "torchvision",
    "pytorch_lightning.loggers",
    "torchmetrics",
    "torch.utils.tensorboard",
    "matplotlib.pyplot",
    "scipy.optimize",
    "scipy.cluster.hierarchy",
    "scipy.stats",
    "sklearn.datasets",
    "sklearn.manifold",
    "sklearn.model_selection",
    "jsonargparse",
    "docstring_parser",
    "rich.progress",
    "markdown_it",
    "safetensors.torch",
)
PLACES = ("time", "seconds", "command", "commit", "python", "versions", "machine")  # of run.json
GOES_ON_FROM = ("last.ckpt", "cells")  # a stopped run, and a matrix of stitches
SHOWN = 6  # differences of one file that have a line each


def main() -> int:
    """The exit code: 0 if nothing moved."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    modes = parser.add_subparsers(dest="mode", required=True)
    modes_take = {"record": ["folder"], "check": ["before", "after"], "read": ["before"]}
    for mode, folders in modes_take.items():
        options = modes.add_parser(mode)
        for folder in folders:
            options.add_argument(folder, type=Path)
        if mode == "check":
            options.add_argument("--words", action="store_true", help="count others, too")
        else:
            options.add_argument("--package", type=Path, default=ROOT, help="checkout to run")
            options.add_argument(
                "--only", default="", help="the lines that this finds something in"
            )
    given = parser.parse_args()
    if given.mode == "check":
        return check(given.before, given.after, given.words)
    _prepare_process(given.package.resolve())
    if given.mode == "record":
        return record(given.folder, given.package.resolve(), given.only)
    return read(given.before.resolve(), given.package.resolve(), given.only)


# Recording


def record(folder: Path, package: Path, only: str = "") -> int:
    """Run the lines of the tables in a folder, and write down what each said."""
    folder, began = folder.absolute(), time.monotonic()
    if not folder.exists():
        _make_inputs(_made(folder), package)
    lines = [(line, name) for line, name in _lines() if re.search(only, line)]
    count = 0
    for number, (line, name) in enumerate(lines, 1):
        if (folder / f"said/{name}.code").exists():
            continue
        for place in [] if "--resume" in line else _places(name)[1:]:  # of a record cut short
            shutil.rmtree(folder / place, ignore_errors=True)
        _run(folder, package, line, folder / "said" / name, f"{number}/{len(lines)}")
        count += 1
    print(f"{count} of {len(lines)} command lines, {time.monotonic() - began:.0f} s")
    return 0


def _lines() -> Iterator[tuple[str, str]]:
    """Every command line, and a name of its own for what it said."""
    for kind, table in (("run", COMMANDS), ("list", LISTS), ("mistake", MISTAKES)):
        lines = [line for line in table.replace("\\\n", " ").splitlines() if line.strip()]
        for number, line in enumerate(lines):
            verb, rest = line.removeprefix("cut ").split(maxsplit=1)
            if kind == "run":
                cut, again = line.startswith("cut "), "--resume" in rest
                stage = "-cut" if cut else "-resume" if again else ""
                yield line, f"run/{verb}-{rest.split()[0]}{stage}"
            else:  # a dash stands for the name of the run
                yield f"{verb} - {rest}", f"{kind}/{number:02}-{verb}"


def _words(line: str, out_dir: str | None = None) -> list[str]:
    """A line of a table as words of the command line."""
    verb, name, *rest = shlex.split(line.removeprefix("cut "))
    words = [verb, *map(_path, rest)]
    if name != "-" and verb != "demo":  # which names its folder itself
        words += ["--run-name", name]
        words += [] if verb == "report" else ["--accelerator", "cpu"]
    return words if out_dir is None else [*words, "--out-dir", out_dir]


def _path(word: str) -> str:
    """What net:, run: and tiny: stand for."""
    word = re.sub(r"^net:(.+)", r"results/train/\1/network.safetensors", word)
    word = re.sub(r"^tiny:(\w+)/(\d)", r"model_weights/tiny10/\1/in\2-gn\2.safetensors", word)
    return re.sub(r"^run:", "results/", word)


def _prepare_process(package: Path) -> None:
    """One thread, no folder of the user's, everything slow imported, the package's checkout first.

    The package itself is imported by every fork anew, as by every command line.
    """
    os.environ |= {
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "100",
        "MPLBACKEND": "agg",
        "PYTHONPATH": str(package),  # for the further processes of a run on two devices
        "FRANKENSTEIN_CACHE": tempfile.mkdtemp(),
    }
    os.environ.pop("FRANKENSTEIN_DATA", None)
    sys.path.insert(0, str(package))
    found = importlib.util.find_spec("frankenstein")
    if found is None or not Path(str(found.origin)).is_relative_to(package):
        raise SystemExit(f"frankenstein comes from {found and found.origin}, not from {package}")
    for name in SLOW:
        import_module(name)
    import_module("torch").set_num_threads(1)


def _run(
    folder: Path, package: Path, line: str, said: Path, number: str, out_dir: str | None = None
) -> int:
    """Run one line in a fork; its exit code. What it printed lies at `said` then."""
    said.parent.mkdir(parents=True, exist_ok=True)
    words = _words(line, out_dir)
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _become(folder, package, words, said)
    if line.startswith("cut "):
        name = words[words.index("--run-name") + 1]
        _end_at_checkpoint(child, folder / "results" / words[0] / f"{name}.partial")
    _, status, used = os.wait4(child, 0)
    code, seconds = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
    said.with_suffix(".code").write_text(f"{code}\n")
    print(f"{number:>7} {seconds:5.1f} s of CPU, exit {code}: {line}", flush=True)
    return code


def _become(folder: Path, package: Path, words: list[str], said: Path) -> None:
    """What the fork does: the command line, with its output in files, and no return."""
    code = 70
    try:
        os.chdir(folder)
        for number, suffix in ((1, ".out"), (2, ".err")):
            with said.with_suffix(suffix).open("wb") as file:
                os.dup2(file.fileno(), number)
        script = package / f"{words[0]}.py"
        if script.exists():
            sys.argv = [str(script), *words[1:]]
        else:
            sys.argv = ["frankenstein", *words]
        command_line = import_module("frankenstein.cli").main
        code = command_line(verb=words[0]) if script.exists() else command_line()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _end_at_checkpoint(child: int, folder: Path) -> None:
    """Send SIGTERM once the run has something to go on from, or leave it if it ends before."""
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if any(path.name in GOES_ON_FROM for path in folder.glob("*")):
            os.kill(child, signal.SIGTERM)
            return
        time.sleep(0.01)


def _make_inputs(folder: Path, package: Path) -> None:
    """Networks, options and data: the same bytes wherever it is run."""
    import torch
    from safetensors.torch import load_file

    for name in ("model_weights", "configs"):
        shutil.copytree(package / name, folder / name)
    (folder / "study.yaml").write_text(STUDY)
    (folder / "old").mkdir()
    for name, number in (("one", 0), ("two", 1)):
        tensors = load_file(folder / _path(f"tiny:digits/{number}"))
        torch.save(tensors, folder / "old" / f"{name}.pt")
    _make_idx(folder / "data" / "MNIST" / "raw", first=0)
    _make_idx(folder / "data" / "FashionMNIST" / "raw", first=600)
    _make_shapes(folder / "data" / "shapes")
    _make_faces(folder / "data" / "celeba")


def _make_idx(folder: Path, first: int) -> None:
    """Archives in MNIST's format, of 320 and 120 of the digits that ship with scikit-learn."""
    import numpy as np
    from sklearn.datasets import load_digits

    digits, folder = load_digits(), _made(folder)
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    images = np.pad(np.kron(images, np.ones((1, 3, 3), np.uint8)), ((0, 0), (2, 2), (2, 2)))
    for part, begin, end in (("train", first, first + 320), ("t10k", first + 320, first + 440)):
        for kind, array in (("images", images), ("labels", digits.target.astype(np.uint8))):
            some = array[begin:end]
            sizes = b"".join(size.to_bytes(4, "big") for size in some.shape)
            content = bytes([0, 0, 8, some.ndim]) + sizes + some.tobytes()
            name = f"{part}-{kind}-idx{some.ndim}-ubyte.gz"
            (folder / name).write_bytes(gzip.compress(content, mtime=0))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _make_shapes(folder: Path) -> None:
    """An image folder of three classes, which differ in where they are bright."""
    import numpy as np
    from PIL import Image

    draw = np.random.default_rng(0)
    for part, count in (("train", 16), ("val", 10)):
        for number, name in enumerate(("left", "middle", "right")):
            for i in range(count):
                pixels = draw.integers(120, size=(40, 48, 3), dtype=np.uint8)
                pixels[8:32, 16 * number : 16 * number + 16, number] += 100
                path = _made(folder / part / name) / f"{i:02}.png"
                Image.fromarray(pixels).save(path)


def _make_faces(folder: Path) -> None:
    """Files as those of CelebA: 24 images to train with, one of "valid", 12 held out."""
    import numpy as np
    from PIL import Image

    attributes = import_module("frankenstein.data").CelebA.classes
    draw, pixels = np.random.default_rng(1), _made(folder / "img_align_celeba")
    names = [f"{i:06}.jpg" for i in range(1, 38)]
    for name in names:
        noise = draw.integers(256, size=(22, 18, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((178, 218)).save(pixels / name)
    signs = draw.integers(2, size=(37, 40)) * 2 - 1
    rows = [f"{name} {' '.join(map(str, row))}" for name, row in zip(names, signs, strict=True)]
    header = [str(len(names)), " ".join(attributes)]
    (folder / "list_attr_celeba.txt").write_text("\n".join([*header, *rows]) + "\n")
    parts = [0] * 24 + [1] + [2] * 12
    lines = [f"{name} {part}" for name, part in zip(names, parts, strict=True)]
    (folder / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")


# Comparing


def check(before: Path, after: Path, words: bool = False) -> int:
    """Print every difference of two recorded folders; 0 if there is none."""
    one, other = _files(before), _files(after)
    codes = {name for _, name in _lines() if f"said/{name}.code" in one}
    unlike = sorted(codes ^ {name for _, name in _lines() if f"said/{name}.code" in other})
    left_out = tuple(place for name in unlike for place in _places(name))
    names = {name for name in one.keys() | other.keys() if not name.startswith(left_out)}
    count = 0
    for name in sorted(names):
        count += _tell(name, _differences(name, one.get(name), other.get(name)))
    if unlike:
        print(f"{len(unlike)} lines that only one has run, such as {unlike[0]}, are left out")
    print(f"{len(names)} files: {count or 'no'} differences")
    if words:
        _tell_words(one, other, names)
    return 1 if count else 0


def _places(name: str) -> list[str]:
    """How the files begin that a line leaves."""
    verb, _, run = re.sub("-(cut|resume)$", "", name.removeprefix("run/")).partition("-")
    return [f"said/{name}.", f"results/{verb}/{run}/", f"results/{verb}/{run}.partial/"]


def _tell(name: str, found: list[tuple[str, Any, Any]]) -> int:
    for key, was, now in found[:SHOWN]:
        print(f"{name}: {key}: {was} -> {now}")
    if len(found) > SHOWN:
        print(f"{name}: and {len(found) - SHOWN} more")
    return len(found)


def _files(folder: Path, begin: str = "") -> dict[str, Path]:
    """Recorded files by name; of TensorBoard's events the name without its numbers."""
    paths = [path for part in ("results", "said") for path in (folder / part).rglob("*")]
    named = {str(path.relative_to(folder)): path for path in paths if path.is_file()}
    return {
        re.sub(r"(events\.out\.tfevents)\S*", r"\1", name): path
        for name, path in named.items()
        if name.startswith(begin)
    }


def _differences(name: str, one: Path | None, other: Path | None) -> list[tuple[str, Any, Any]]:
    """What is not the same in two files: where, before, after."""
    if one is None or other is None:
        was, now = ("absent" if path is None else "there" for path in (one, other))
        return [("file", was, now)]
    if one.suffix == ".safetensors":
        return _of_mappings(_tensors(one), _tensors(other))
    if one.name == "summary.json":
        return _of_mappings(json.loads(one.read_text()), json.loads(other.read_text()))
    if one.suffix in (".csv", ".tsv"):
        return _of_mappings(_cells(one), _cells(other))
    printed = name.startswith(("said/list", "said/mistake")) or one.suffix == ".code"
    if printed and name.startswith("said/"):
        return _of_mappings(_numbered(one), _numbered(other))
    return []


def _of_mappings(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    keys = [*one, *(key for key in other if key not in one)]
    pairs = [(key, one.get(key, "absent"), other.get(key, "absent")) for key in keys]
    return [(key, was, now) for key, was, now in pairs if not _same(was, now)]


def _same(was: Any, now: Any) -> bool:
    """Equal, as numbers where both are; NaN is equal to NaN."""
    if was == now:
        return True
    try:
        return math.isnan(float(was)) and math.isnan(float(now))
    except (TypeError, ValueError):
        return False


def _tensors(path: Path) -> dict[str, str]:
    """Type, shape, a few numbers and the checksum of every tensor: equal for equal bytes alone."""
    import hashlib

    import torch
    from safetensors.torch import load_file

    told = {}
    for name, tensor in load_file(path).items():
        content = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        some = [f"{value:.6g}" for value in tensor.reshape(-1)[:3].tolist()]
        digest = hashlib.sha256(content).hexdigest()[:12]
        told[name] = f"{tensor.dtype} {tuple(tensor.shape)} {' '.join(some)}... {digest}"
    return told


def _cells(path: Path) -> dict[str, str]:
    """Every cell by its line and the head of its column."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
    head = rows[0] if rows else []
    return {
        f"line {number}, {head[i] if number and i < len(head) else i}": cell
        for number, row in enumerate(rows)
        for i, cell in enumerate(row)
    }


def _numbered(path: Path) -> dict[str, str]:
    return {f"line {i}": line for i, line in enumerate(path.read_text().splitlines(), 1)}


def _tell_words(one: Mapping[str, Path], other: Mapping[str, Path], names: set[str]) -> None:
    """Print how many lines of reports, options and printed text differ, of each file."""
    for name in sorted(names & one.keys() & other.keys()):
        was, now = (_text(name, path) for path in (one[name], other[name]))
        changed = [
            line
            for line in difflib.unified_diff(was, now, lineterm="", n=0)
            if line[:1] in "+-" and line[:3] not in ("+++", "---")
        ]
        if changed:
            print(f"words: {name}: {len(changed)} lines, such as {changed[0][:100]}")


def _text(name: str, path: Path) -> list[str]:
    """The lines to compare; none of a file whose words are not compared."""
    if path.name == "run.json":
        content = {k: v for k, v in json.loads(path.read_text()).items() if k not in PLACES}
        return json.dumps(content, indent=1).splitlines()
    if path.name in ("report.md", "config.yaml") or name.startswith("said/run"):
        lines = path.read_text().splitlines()
        return [line for line in lines if "━ " not in line]  # no progress bars
    return []


# Reading what an earlier version has left


def read(before: Path, package: Path, only: str = "") -> int:
    """Repeat the lines that take recorded runs as input, elsewhere, and check what they find."""
    lines = [
        (line, name)
        for line, name in _lines()
        if name.startswith("run/") and _reads(line) and re.search(only, line)
    ]
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        out, said = Path(folder, "results"), Path(folder, "said")
        for number, (line, name) in enumerate(lines, 1):
            code = _run(before, package, line, said / name, f"{number}/{len(lines)}", str(out))
            was = int((before / "said" / name).with_suffix(".code").read_text())
            if code != was:
                count += _tell(name, [("exit code", was, code)])
                print((said / name).with_suffix(".err").read_text().strip()[-300:])
            run = "results/{}/{}/".format(*line.split()[:2])
            recorded, found = _files(before, run), _files(Path(folder), run)
            for file in sorted(recorded.keys() | found.keys()):
                count += _tell(file, _differences(file, recorded.get(file), found.get(file)))
    print(f"{len(lines)} lines read what was recorded: {count or 'no'} differences")
    return 1 if count else 0


def _reads(line: str) -> bool:
    """Whether a line takes recorded runs, or measures recorded networks; none goes on with one."""
    verb, *words = line.split()
    kinds = ("run:", "net:") if verb in ("evaluate", "compare") else ("run:",)
    return "--resume" not in words and any(word.startswith(kinds) for word in words)


if __name__ == "__main__":
    raise SystemExit(main())
