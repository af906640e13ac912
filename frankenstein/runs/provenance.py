"""Where numbers come from: command, commit, versions, machine, and what Python warned of."""

import platform
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

from frankenstein.errors import whose_units

_PACKAGES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "numpy", "scipy")


def provenance(command: str = "") -> Mapping[str, Any]:
    """What `run.json` says of how and where a run was made; by this process's command if absent."""
    return {
        "command": command or shlex.join(sys.argv),
        "commit": _commit(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
        "machine": platform.platform(),
    }


@contextmanager
def noted(notes: list[str], networks: Sequence[str] = ()) -> Iterator[None]:
    """Keep the text of every warning that is shown in the block, and show it as before.

    Of two networks it then says which of them has units that depend on each other.
    """
    with warnings.catch_warnings():
        show = warnings.showwarning

        def note(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            text = " ".join(f"{category.__name__}: {message}".split())
            notes.extend([] if text in notes else [text])
            show(message, category, filename, lineno, file, line)

        warnings.showwarning = note
        with whose_units(**dict(zip("xy", networks, strict=True)) if len(networks) == 2 else {}):
            yield


def _commit() -> str | None:
    """The commit of the code that ran, marked where files differ from it; None outside of git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
