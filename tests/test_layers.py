import ast
import subprocess
import sys
from pathlib import Path

import pytest

import frankenstein

LEVELS = [
    # level 0 of DESIGN.md, from the ground up
    {"errors"},
    {"catalog"},
    {"shapes", "files", "signals"},
    {"examples", "assignment"},
    {"moments", "grams", "labels"},
    {"few_rows", "folds", "cross_moments", "buffers"},
    {"linear"},
    # levels 1 to 5
    {"data", "zoo", "stitches", "dictionaries", "measures", "report"},
    {"surgery", "metrics"},
    {"tasks", "compare"},
    {"callbacks"},
    {"cli"},
]
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
ROOT = Path(frankenstein.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def rooms_imported(path):
    """Rooms that a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            whole = node.module == "frankenstein"
            names = [f"frankenstein.{a.name}" for a in node.names] if whole else [node.module]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("frankenstein."))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_downhill(path):
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    assert room in LEVEL, f"give {room} a level"
    for other in set(rooms_imported(path)) - {room, "__doc__", "__version__"}:
        assert LEVEL[other] < LEVEL[room], f"{room} must not import {other}"


def test_importing_the_package_and_the_command_line_imports_nothing_heavy():
    heavy = ["torch", "torchvision", "numpy", "scipy", "matplotlib", "pytorch_lightning"]
    code = (
        "import sys, frankenstein, frankenstein.catalog, frankenstein.cli\n"
        f"print(*[name for name in {heavy} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
