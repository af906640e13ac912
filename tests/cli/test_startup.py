import subprocess
import sys

import pytest

HEAVY = "pytorch_lightning", "torchmetrics", "torchvision", "torch._dynamo", "matplotlib.pyplot"
RUN = """
import sys
from frankenstein.cli import main
heavy, *words = sys.argv[1:]
assert main(words) == 0
print(*[name for name in heavy.split() if name in sys.modules])
"""


@pytest.fixture(scope="module")
def compared(saved, tmp_path_factory):
    """A folder with a run of compare in it, and what it has imported."""
    folder = tmp_path_factory.mktemp("startup")
    words = "compare", saved("mlp", 0), saved("mlp", 1), "tanh2", "tanh2", "unbiased_cka"
    return folder, imported_by(folder, *words, "--run-name", "one", "--quiet")


def imported_by(folder, *words):
    run = subprocess.run(
        [sys.executable, "-c", RUN, " ".join(HEAVY), *words],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()[-1].split()


def test_comparing_networks_of_the_zoo_imports_neither_lightning_nor_torchvision(compared):
    assert compared[1] == []


@pytest.mark.parametrize("verb", ["evaluate", "analyze", "report", "layers"])
def test_what_trains_nothing_imports_neither_lightning_nor_torchmetrics(verb, compared, saved):
    words = {
        "evaluate": [saved("mlp"), "--quiet"],
        "analyze": [saved("mlp"), "--weights", "--quiet"],
        "report": ["results/compare/one", "--quiet"],
        "layers": ["mlp"],
    }
    imported = imported_by(compared[0], verb, *words[verb])
    assert not {"pytorch_lightning", "torchmetrics"} & {*imported}
