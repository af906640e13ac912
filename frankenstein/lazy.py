"""Packages whose names are imported when they are first asked for, so that plans stay light."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(package: str, where: Mapping[str, str]) -> tuple[Callable[[str], Any], list[str]]:
    """`__getattr__` and `__all__` of a package, from the module that holds each name.

        __getattr__, __all__ = lazily(__name__, {"cut": "frankenstein.surgery.cut"})

    Source: PEP 562.
    """

    def load(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(where[name]), name)

    return load, sorted(where)
