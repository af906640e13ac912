"""The user's own code, run only where the user names it: `FILE.py:name`, `package:name`."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from frankenstein.errors import FileError, UserError, did_you_mean


def named_in_code(name: str) -> tuple[Any, Any]:
    """What a name such as `my_nets.py:small` or `my_package.nets:Net.small` stands for.

    Returns its module and the thing itself. The file's folder is looked at first while it is
    imported, and it is imported once.

    Raises:
        FileError: if there is no such file.
        UserError: if it cannot be imported, or has no such name.
    """
    place, _, attribute = name.rpartition(":")
    namespace = _imported(place)
    thing: Any = namespace
    for part in attribute.split("."):
        if not hasattr(thing, part):
            known = [one for one in vars(namespace) if not one.startswith("_")]
            raise UserError(f"{place} has no {attribute!r}{did_you_mean(attribute, known)}")
        thing = getattr(thing, part)
    return namespace, thing


def check_no_arguments(label: str, factory: Callable[..., Any]) -> None:
    """Refuse a function that needs arguments.

    Raises:
        UserError: with their names; `label` is what the message calls it.
    """
    try:
        needed = [
            name
            for name, one in inspect.signature(factory).parameters.items()
            if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        ]
    except (TypeError, ValueError):  # of what is not written in Python
        return
    if needed:
        raise UserError(
            f"{label} is called without arguments, and needs {', '.join(needed)}; write a "
            "function that gives them"
        )


def _imported(place: str) -> Any:
    path = Path(place)
    of_file = place.endswith(".py")
    if of_file and not path.is_file():
        raise FileError(f"no file {path}; is the path right, and are you in the right folder?")
    folder = str(path.resolve().parent) if of_file else str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        if not of_file:
            return importlib.import_module(place)
        name = f"_frankenstein_{path.resolve().as_posix()}".replace(".", "_")
        if name in sys.modules:
            return sys.modules[name]
        spec: Any = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return module
    except Exception as error:  # the user's own code
        reason = " ".join(str(error).split())
        raise UserError(f"{place} cannot be imported ({type(error).__name__}: {reason})") from error
    finally:
        sys.path.remove(folder)
