"""Packages whose names are imported when they are first asked for, so that plans stay light."""

import ast
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any


def lazy_names(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package, from its own imports.

        if TYPE_CHECKING:  # imported when first asked for
            from frankenstein.zoo.vision import torchvision_network
        __getattr__, __dir__, __all__ = lazy_names(__name__)

    What stands under TYPE_CHECKING is seen by type checkers and editors at once, and imported by
    Python when it is first asked for. The other imports from this project are listed beside it.

    Source: PEP 562.

    Raises:
        ImportError: if a name is that of its module, which Python would give instead.
    """
    tree = ast.parse(Path(str(sys.modules[package].__file__)).read_text(encoding="utf-8"))
    later = [line for block in tree.body if isinstance(block, ast.If) for line in block.body]
    where = _imported(later)
    for name, module in where.items():
        if module == f"{package}.{name}":
            raise ImportError(f"{name} of {package} is a module, too; give the module another name")
    names = sorted({*where, *_imported(tree.body)})

    def load(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(where[name]), name)

    return load, lambda: names, names


@contextmanager
def importing() -> Iterator[None]:
    """Inside, nobody looks for dead objects: imports make many that stay, a sixth of their time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _imported(lines: list[ast.stmt]) -> dict[str, str]:
    """What is imported from this project, and from which module."""
    return {
        alias.name: line.module
        for line in lines
        if isinstance(line, ast.ImportFrom) and line.module
        for alias in line.names
        if line.module.startswith("frankenstein.") and line.module != __name__
    }
