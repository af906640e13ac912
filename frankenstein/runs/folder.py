"""Folders of runs on disk: claimed under a name of their own, renamed when whole."""

import errno
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from html import escape
from itertools import count, islice
from pathlib import Path
from typing import Any

from frankenstein.errors import AlreadyDone, FileError, UserError
from frankenstein.files import UNFINISHED, write_whole
from frankenstein.records import read_json, read_yaml, shown
from frankenstein.runs.fields import PARTIAL
from frankenstein.runs.plan import Plan, dump
from frankenstein.runs.schema import options_of

SHARED = "FRANKENSTEIN_RUN_FOLDER"  # the variable that tells further processes where a run lies
_SPARE = 10_000_000  # bytes for reports, events and tables

ORIGIN = "origin.json"  # in a run's folder until it is whole: what it started from
RECORD = "run.json"  # what is written last: a folder that has it is whole
_TEXTS = {".yaml", ".json", ".md", ".html", ".csv"}


def check_launcher() -> None:
    """Processes that this program has not started know of no folder that they share."""
    for variable in ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS"):
        count = os.environ.get(variable, "1")
        if count != "1" and SHARED not in os.environ:
            raise UserError(
                f"torchrun or srun has started {count} processes of this run; start one, with "
                f"‹devices› {count}, and it starts the others"
            )


class UnderWay(UserError):  # noqa: N818 - one may wait for it
    """Another process writes the folder that a run wants."""


def claim_partial(
    parent: Path, name: str, goes_on_from: str, beside: bool = True
) -> tuple[Path, int]:
    """A new folder for a run under way, and the lock on it; numbered if that name is taken.

    What a kill has left under the name before there was anything to go on from is swept away.

    Raises:
        UnderWay: if another run is under way there, and this one must not lie `beside` it.
        UserError: if it cannot be made.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for label in _labels(name):
            path = parent / f"{label}{PARTIAL}"
            if (parent / label).exists():
                continue
            with suppress(FileExistsError):
                path.mkdir()
            lock = lock_folder(path)
            if lock < 0 and not beside:
                raise UnderWay(f"{path} is being written by another process")
            if lock < 0:
                continue  # another run is under way there
            if _is_begun(path) and not any(path.glob(goes_on_from)):
                _empty(path)
                return path, lock
            unlock(lock)
    except OSError as error:
        reason, mend = error.strerror or error, "choose ‹out_dir›"
        if error.errno == errno.ENAMETOOLONG:
            mend = f"choose a shorter ‹run_name›, got {len(name)} characters: {name[:20]}..."
        raise UserError(f"cannot write results to {parent}: {reason}; {mend}") from None
    raise AssertionError("labels never end")


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
    _settle(path, mine)
    for label in [mine, *islice(_labels(name), 1000)]:
        try:
            return path.rename(parent / label)  # refuses a folder that is not empty
        except OSError:
            continue
    return path


def _settle(path: Path, name: str) -> None:
    """Let the runs inside a study name its folder as it will be called, each file as it spells.

    Done again, it changes nothing.
    """
    if not any(path.glob("*/*/config.yaml")):
        return
    quoted = shlex.quote(name)[1:-1] if "'" in name else name
    spelled = {name, escape(name), json.dumps(name)[1:-1], name.replace("'", "''")}
    spelled |= {quoted, escape(quoted)}
    forms = "|".join(map(re.escape, spelled))
    form = re.compile(rf"(/(?:{forms})){re.escape(PARTIAL)}(?![\w.-])".encode())
    for file in path.rglob("*"):
        if file.suffix in _TEXTS and file.is_file():
            before = file.read_bytes()
            after = form.sub(rb"\1", before)
            if after != before:
                write_whole(file, after)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
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
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)  # where a pipe stands in a folder's place


def find_unfinished(
    parent: Path,
    name: str,
    plan: Plan,
    origin: Mapping[str, str],
    goes_on_from: str,
    finished: bool = True,  # whether a finished one is looked for, too
) -> tuple[Path, int]:
    """The unfinished run of that name with this plan and these networks, and the lock on it.

    Raises:
        AlreadyDone: if there is a finished one, or one that lacks nothing but its name: it gets it.
        UnderWay: if there is none that is free, and one that another process writes.
        UserError: if there is none, it has others, or it is running.
    """
    reasons: list[str] = []
    under_way = False
    for path in _candidates(parent, name):
        lock = lock_folder(path)
        whole = (path / RECORD).exists()
        if lock < 0:
            reasons.append(f"{path} is being written by a run that is under way; wait for it")
            under_way = True
            continue
        if not _is_begun(path):
            what = "is a finished run" if whole else f"has no {ORIGIN}, which says what it is"
            reasons.append(f"{path} {what}; give it another name, or choose ‹run_name›")
        elif other := _difference(path, path / (RECORD if whole else ORIGIN), plan, origin):
            own = "resume it with its own options, or choose ‹run_name›"
            reasons.append(f"the unfinished run in {path} has {other}; {own}")
        elif whole:
            path = give_name(path, parent, name)
            for left in (ORIGIN, goes_on_from):
                remove(path / left)
            unlock(lock)
            raise AlreadyDone(path)
        else:
            if not any(path.glob(goes_on_from)):
                _empty(path)
            _tidy(path)
            return path, lock
        unlock(lock)
    none = f"nothing to resume: no {parent / name}{PARTIAL}"
    for path in _candidates(parent, name, "") if finished else ():
        if not (path / RECORD).is_file():
            continue
        other = _difference(path, path / RECORD, plan, origin)
        if other is None:
            raise AlreadyDone(path)
        reasons.append(f"{none}, and the finished run in {path} has {other}; run without ‹resume›")
    kind = UnderWay if under_way else UserError
    raise kind(reasons[0] if reasons else f"{none}; run without ‹resume›")


def finished_run(parent: Path, name: str, plan: Plan) -> Path | None:
    """The finished run of that name with this plan; its networks' files are not opened."""
    idle = {key for key, one in options_of(type(plan)).items() if one.changes == "nothing"}
    for path in _candidates(parent, name, ""):
        if not (path / RECORD).is_file():
            continue
        with suppress(FileError):
            values = read_yaml(path / "config.yaml")
            if isinstance(values, dict) and all(
                value == values.get(key) for key, value in plan.values().items() if key not in idle
            ):
                return path
    return None


def write_origin(path: Path, plan: Plan, origin: Mapping[str, str]) -> None:
    """Keep the plan of a run, and the sha256 of what it starts from, while it is under way."""
    write_whole(path / "config.yaml", dump(plan))
    write_whole(path / ORIGIN, json.dumps(dict(origin)))  # behind it there is a plan


def lock_folder(path: Path) -> int:
    """Hold a folder until `unlock` or the end of the process, however it ends; -1 if one does."""
    try:
        handle = os.open(path, os.O_RDONLY | _AT_ONCE)
    except FileNotFoundError:  # it was renamed just now
        return -1
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), os.stat(path)):  # not renamed, or new, meanwhile
            return handle
    except OSError:
        pass
    os.close(handle)
    return -1


def check_there(path: Path, lock: int) -> None:
    """Refuse to end a run whose folder, or what says what it is, was taken away meanwhile.

    Raises:
        UserError: if it was; `kept` if it can be put back.
    """
    if error := taken_away(path, lock):
        raise error
    for name in ("config.yaml", ORIGIN):
        if not (path / name).is_file():
            raise UserError(
                f"files of {path} were deleted while the run was under way: there is no {name}; "
                "look at what is left, and run again"
            )


def taken_away(path: Path, lock: int) -> UserError | None:
    """What to say if a folder that is held was moved or deleted since; None if it is there."""
    held = os.fstat(lock)
    with suppress(OSError):
        if os.path.samestat(held, os.stat(path)):
            return None
    if not held.st_nlink:  # no name is left of it
        return UserError(f"{path} was deleted while the run was under way; run again")
    error = UserError(f"{path} was moved while the run was under way; put it back")
    error.kept = path
    return error


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
    if not record.exists():
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
            return f"{key} {shown(before.get(key))}, this one {shown(now.get(key))}"
    return None


def _is_begun(path: Path) -> bool:
    """Whether a folder is of a run that a kill has ended: it has an origin, or nothing at all."""
    if not path.is_dir() or (path / ORIGIN).exists():
        return path.is_dir()
    halves = (f".{ORIGIN}.", ".config.yaml.")
    return all(one.name == "config.yaml" or one.name.startswith(halves) for one in path.iterdir())


def _empty(path: Path) -> None:
    for one in path.iterdir():
        remove(one)


def _tidy(path: Path) -> None:
    """Without the halves of files that a kill left; what Lightning would write over, aside."""
    for half in path.rglob(f".*{UNFINISHED}"):
        remove(half)
    # What the projector shows comes last of all and is made anew, which TensorBoard does not like.
    (path / "projector_config.pbtxt").unlink(missing_ok=True)
    for points in path.glob("[0-9]" * 5):
        remove(points)
    for name in ("hparams.yaml", "metrics.csv"):  # a pipe in their place would be waited for
        if not (path / name).is_file():
            remove(path / name)
    if (metrics := path / "metrics.csv").exists():
        metrics.rename(path / f"metrics-{len(list(path.glob('metrics*.csv')))}.csv")
