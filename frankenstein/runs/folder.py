"""Folders of runs on disk: claimed under a name of their own, renamed when whole."""

import os
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from frankenstein.errors import UserError
from frankenstein.runs.resume import PARTIAL, lock_folder

SHARED = "FRANKENSTEIN_RUN_FOLDER"  # the variable that tells further processes where a run lies
_SPARE = 10_000_000  # bytes for reports, events and tables


def check_launcher() -> None:
    """Processes that this program has not started know of no folder that they share."""
    for variable in ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS"):
        count = os.environ.get(variable, "1")
        if count != "1" and SHARED not in os.environ:
            raise UserError(
                f"torchrun or srun has started {count} processes of this run; start one, with "
                f"‹devices› {count}, and it starts the others"
            )


def claim_folder(parent: Path, name: str, suffix: str = "") -> Path:
    """A new folder `parent/name`, numbered if that name is taken.

    Raises:
        UserError: if it cannot be made.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for label in _labels(name):
            if suffix and (parent / label).exists():
                continue
            try:
                (parent / f"{label}{suffix}").mkdir()
            except FileExistsError:
                continue
            return parent / f"{label}{suffix}"
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"cannot write results to {parent}: {reason}; choose ‹out_dir›") from None
    raise AssertionError("labels never end")


def claim_partial(parent: Path, name: str) -> tuple[Path, int]:
    """A new folder for a run under way, and the lock on it."""
    while True:
        path = claim_folder(parent, name, PARTIAL)
        if (lock := lock_folder(path)) >= 0:  # or else a run that resumes was faster: it has it
            return path, lock


def check_room(path: Path, size: int) -> None:
    """Refuse to begin what the disk has no room for."""
    free = shutil.disk_usage(path).free
    if free < size + _SPARE:
        raise UserError(
            f"cannot write {path}: this run writes {(size + _SPARE) / 1e6:,.0f} MB or more, and "
            f"{free / 1e6:,.0f} MB are free there; make room or choose ‹out_dir›"
        )


def give_name(path: Path, parent: Path, name: str) -> Path:
    """Rename a whole run; if the name is taken by now it gets a number."""
    mine = path.name.removesuffix(PARTIAL)
    for label in [mine, *_few(_labels(name))]:
        try:
            return path.rename(parent / label)  # refuses a folder that is not empty
        except OSError:
            continue
    return path


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _labels(name: str) -> Iterator[str]:
    yield name
    for number in count(2):
        yield f"{name}-{number}"


def _few(labels: Iterator[str]) -> list[str]:
    return [next(labels) for _ in range(1000)]
