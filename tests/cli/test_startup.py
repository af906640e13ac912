import json
import subprocess
import sys

import pytest

# Verbs in one process, one after the other, and what each of them found imported at its end.
RUN = """
import json, sys
from frankenstein.cli import main
from frankenstein.stitches import Affine, save_stitch
save_stitch("stitch.safetensors", Affine(2, 2))
imported = {}
for verb, *words in json.loads(sys.argv[1]):
    assert main([verb, *words, "--quiet"] if verb != "layers" else [verb, *words]) == 0
    imported[verb] = sorted(sys.modules)
print(json.dumps(imported))
"""
VERBS = "compare", "evaluate", "report", "layers", "analyze"


@pytest.fixture(scope="module")
def imported(saved, tmp_path_factory):
    one, other = saved("mlp", 0), saved("mlp", 1)
    lines = [
        ["compare", one, other, "--run-name", "one"],
        ["evaluate", one],
        ["report", "results/compare/one"],
        ["layers", "mlp"],
        ["analyze", one, other, "--weights", "--untrained", "1"],
    ]
    assert tuple(line[0] for line in lines) == VERBS
    run = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(lines)],
        cwd=tmp_path_factory.mktemp("startup"),
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("verb", VERBS)
def test_what_trains_nothing_imports_neither_lightning_nor_torchmetrics(imported, verb):
    heavy = {"pytorch_lightning", "lightning_fabric", "torchmetrics"}
    assert not heavy & {*imported[verb]}


def test_comparing_two_networks_and_saving_a_stitch_import_what_they_need_only(imported):
    # Recording needs torch._dynamo: PyTorch's symbolic sizes import it themselves. They would take
    # the compiler behind it as well, only to tell the line of code that a size comes from.
    needless = {"torchvision", "sklearn", "scipy", "networkx", "torch.export._trace"}
    assert not needless & {*imported["compare"]}


@pytest.mark.parametrize("verb", VERBS)
def test_libraries_of_networks_are_imported_where_they_are_named_only(imported, verb):
    assert not {"timm", "transformers", "huggingface_hub"} & {*imported[verb]}
