"""Runs that were interrupted: which of them is resumed, and that only one process does."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from frankenstein.errors import AlreadyDone, UserError
from frankenstein.files import UNFINISHED, write_whole
from frankenstein.runs.config import dump
from frankenstein.runs.plan import Plan
from frankenstein.runs.schema import idle

try:
    import fcntl
except ImportError:  # Windows has no such locks: there, two runs could resume one folder
    fcntl = None  # type: ignore[assignment]

PARTIAL = ".partial"
_ORIGIN = "origin.json"


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
        elif other := _difference(path, path / _ORIGIN, plan, origin):
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
    write_whole(path / _ORIGIN, json.dumps(dict(origin)))
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


def remove_origin(path: Path) -> None:
    """Drop what only an unfinished run needs."""
    (path / _ORIGIN).unlink(missing_ok=True)


def unlock(lock: int) -> None:
    """Let others have the folder."""
    if lock >= 0:
        os.close(lock)


def _candidates(parent: Path, name: str, suffix: str = PARTIAL) -> Iterator[Path]:
    form = re.compile(re.escape(name) + r"(-\d+)?" + re.escape(suffix))
    found = [path for path in parent.glob(f"*{suffix}") if form.fullmatch(path.name)]
    yield from sorted(found, key=lambda path: (len(path.name), path.name))


def _difference(path: Path, record: Path, plan: Plan, origin: Mapping[str, str]) -> str | None:
    """What the run in a folder has that this one has not; None if they are the same."""
    try:
        written = (path / "config.yaml").read_text(encoding="utf-8")
        before_of = json.loads(record.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None  # it was killed before it wrote anything
    except ValueError:  # of JSON, or of text
        return f"a damaged {record.name}"
    if "cards" in before_of:  # of a finished run
        before_of = {role: card["sha256"] for role, card in before_of["cards"].items()}
    before: dict[str, Any] = {**(yaml.safe_load(written) or {}), **before_of}
    now: dict[str, Any] = {**plan.values(), **origin}
    for key in before.keys() | now.keys():
        if key not in idle(type(plan)) and before.get(key) != now.get(key):
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
