import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import frankenstein

LEVELS = [
    {
        "errors",
        "shapes",
        "files",
        "labels",
        "intervals",
        "catalog",
        "lazy",
        "records",
        "pickles",
        "printing",
        "shipped",
        "source",
        "user_code",
    }
    | {"signals", "buffers", "memory"},
    {"accumulators"},
    {"data", "zoo", "stitches", "dictionaries", "measures", "report", "activations"},
    {"surgery", "networks"},
    {"tasks", "metrics"},
    {"callbacks"},
    {"runs"},
    {"training"},
    {"similarity", "stitching", "questions"},
    {"studies"},
    {"benchmark"},
    {"cli"},
    {"__main__"},
]
GROUND = LEVELS[0]
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
ROOT = Path(frankenstein.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("frankenstein", *parts)).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def modules_imported(path, running=False):
    """Modules that a file imports, wherever in the file; `running`: not those for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if running and id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else node.module for name in inside]
        else:
            continue
        yield from (name for name in names if name in MODULES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_downhill(path):
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    assert room in LEVEL, f"give {room} a level"
    for module in modules_imported(path, running=True):
        other = module.split(".")[1]
        if other != room and not (room in GROUND and other in GROUND):
            assert LEVEL[other] < LEVEL[room], f"{room} must not import {other}"


def test_no_files_import_one_another_in_a_circle():
    left = {name: {*modules_imported(path, running=True)} for name, path in MODULES.items()}
    while ends := {name for name, others in left.items() if not others & left.keys()}:
        left = {name: others for name, others in left.items() if name not in ends}
    assert not left, f"in a circle, or before one: {sorted(left)}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_command_line_spells_flags(path):
    if path.is_relative_to(ROOT / "cli"):
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    sentences = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and id(node) not in sentences:
            flag = re.search(r"(?<![\w-])--[a-z]", text)
            git = path.name == "provenance.py" and " " not in text
            assert not flag or git, f"line {node.lineno} names a flag; name the field: ‹data_root›"


def test_importing_the_package_and_the_command_line_imports_nothing_heavy():
    heavy = ["torch", "torchvision", "numpy", "scipy", "matplotlib", "pytorch_lightning"]
    code = (
        "import sys, frankenstein, frankenstein.catalog, frankenstein.cli\n"
        f"print(*[name for name in {heavy} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
