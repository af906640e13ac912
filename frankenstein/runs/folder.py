"""Folders of runs on disk: claimed under a name of their own, renamed when whole."""

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from itertools import count, islice
from pathlib import Path
from typing import Any

from frankenstein.errors import AlreadyDone, FileError, UserError
from frankenstein.files import UNFINISHED, write_whole
from frankenstein.records import read_json, read_yaml
from frankenstein.runs.fields import PARTIAL
from frankenstein.runs.plan import Plan, dump
from frankenstein.runs.schema import options_of

SHARED = "FRANKENSTEIN_RUN_FOLDER"  # the variable that tells further processes where a run lies
_SPARE = 10_000_000  # bytes for reports, events and tables

ORIGIN = "origin.json"


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
        reason, mend = error.strerror or error, "choose ‹out_dir›"
        if error.errno == errno.ENAMETOOLONG:
            mend = f"choose a shorter ‹run_name›, got {len(name)} characters: {name[:20]}..."
        raise UserError(f"cannot write results to {parent}: {reason}; {mend}") from None
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
    for label in [mine, *islice(_labels(name), 1000)]:
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


try:
    import fcntl
except ImportError:  # Windows has no such locks: there, two runs could resume one folder
    fcntl = None  # type: ignore[assignment]


def find_unfinished(
    parent: Path, name: str, plan: Plan, origin: Mapping[str, str]
) -> tuple[Path, int]:
    """The unfinished run of that name with this plan and these networks, and the lock on it.

    Raises:
        AlreadyDone: if there is none, but a finished one.
        UserError: if there is neither, it has others, or it is running.
    """
    reasons: list[str] = []
    for path in _candidates(parent, name):
        lock = lock_folder(path)
        if lock < 0:
            reasons.append(f"{path} is being written by a run that is under way; wait for it")
        elif other := _difference(path, path / ORIGIN, plan, origin):
            own = "resume it with its own options, or choose ‹run_name›"
            reasons.append(f"the unfinished run in {path} has {other}; {own}")
            unlock(lock)
        else:
            _tidy(path)
            return path, lock
    none = f"nothing to resume: no {parent / name}{PARTIAL}"
    for path in _candidates(parent, name, ""):
        if not (path / "run.json").is_file():
            continue
        other = _difference(path, path / "run.json", plan, origin)
        if other is None:
            raise AlreadyDone(path)
        reasons.append(f"{none}, and the finished run in {path} has {other}; run without ‹resume›")
    raise UserError(reasons[0] if reasons else f"{none}; run without ‹resume›")


def write_origin(path: Path, plan: Plan, origin: Mapping[str, str]) -> None:
    """Keep the plan of a run, and the sha256 of what it starts from, while it is under way."""
    write_whole(path / ORIGIN, json.dumps(dict(origin)))
    write_whole(path / "config.yaml", dump(plan))


def lock_folder(path: Path) -> int:
    """Hold a folder until `unlock` or the end of the process, however it ends; -1 if one does."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # it was renamed just now
        return -1
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return -1
    return handle


def unlock(lock: int) -> None:
    """Let others have the folder."""
    if lock >= 0:
        os.close(lock)


def _candidates(parent: Path, name: str, suffix: str = PARTIAL) -> Iterator[Path]:
    form = re.compile(re.escape(name) + r"(-\d+)?" + re.escape(suffix))
    found = [
        path for path in parent.glob(f"*{suffix}") if form.fullmatch(path.name) and path.is_dir()
    ]
    yield from sorted(found, key=lambda path: (len(path.name), path.name))


def _difference(path: Path, record: Path, plan: Plan, origin: Mapping[str, str]) -> str | None:
    """What the run in a folder has that this one has not; None if they are the same."""
    if not (path / "config.yaml").exists() or not record.exists():
        return None  # it was killed before it wrote anything
    try:
        before_of = read_json(record)
        if "cards" in before_of:  # of a finished run
            before_of = {role: card["sha256"] for role, card in before_of["cards"].items()}
    except (FileError, AttributeError, TypeError, KeyError):
        return f"a damaged {record.name}"
    try:
        values = read_yaml(path / "config.yaml")
    except FileError:
        values = None
    if not isinstance(values, dict):
        return "a damaged config.yaml"
    before: dict[str, Any] = {**values, **before_of}
    now: dict[str, Any] = {**plan.values(), **origin}
    idle = {name for name, one in options_of(type(plan)).items() if one.changes == "nothing"}
    for key in (before.keys() | now.keys()) - idle:
        if before.get(key) != now.get(key):
            return f"{key} {before.get(key)!r}, this one {now.get(key)!r}"
    return None


def _tidy(path: Path) -> None:
    """Without the halves of files that a kill left; what Lightning would write over, aside."""
    for half in path.rglob(f".*{UNFINISHED}"):
        half.unlink()
    # What the projector shows comes last of all and is made anew, which TensorBoard does not like.
    (path / "projector_config.pbtxt").unlink(missing_ok=True)
    for points in path.glob("[0-9]" * 5):
        shutil.rmtree(points)
    if (metrics := path / "metrics.csv").exists():
        metrics.rename(path / f"metrics-{len(list(path.glob('metrics*.csv')))}.csv")
