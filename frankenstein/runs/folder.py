"""A run's folder: written under a temporary name, renamed when whole, never overwritten."""

import errno
import json
import math
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any, TextIO

import yaml
from rich.console import Console

from frankenstein.errors import Interrupted, UserError
from frankenstein.files import cannot_write, write_whole
from frankenstein.networks.cards import cards_of
from frankenstein.runs.resume import PARTIAL, find_unfinished, forget, hold, let_go, remember

CHECKPOINT = "last.ckpt"
_SHARED = "FRANKENSTEIN_RUN_FOLDER"
_PACKAGES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "numpy", "scipy")
_NO_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG, errno.EIO}
_SPARE = 10_000_000  # bytes for reports, events and tables


@dataclass
class RunFolder:
    """Where a run writes, and what `run.json` will say of it."""

    path: Path  # `<name>.partial` until the run is whole
    leads: bool  # False in the further processes of a run on several devices
    verb: str
    options: dict[str, Any]  # every one, as in config.yaml
    cards: dict[str, dict[str, Any]]  # of the networks that it was given
    facts: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)  # raised by Python since it began, each once
    unfinished: bool = False  # True once a signal has ended it, and its folder stays as it is

    @property
    def final(self) -> Path:
        """Where it will lie once it is whole."""
        return self.path.with_name(self.path.name.removesuffix(PARTIAL))

    def say_name(self) -> None:
        """Print what the run is called, above its progress bars."""
        if self.leads and not self.options["quiet"]:
            Console().out(self.final.name, highlight=False)

    @property
    def checkpoint(self) -> Path | None:
        """What training goes on from; None in a new run."""
        path = self.path / CHECKPOINT
        return path if path.exists() else None


@contextmanager
def run_folder(
    out_dir: str | Path,
    verb: str,
    name: str,
    config: str,
    resume: bool = False,
    goes_on_from: str = CHECKPOINT,
    size: int = 0,
) -> Iterator[RunFolder]:
    """A new folder `out_dir/verb/name` that exists under that name only once the block is done.

    If the name is taken the run gets a number. On several devices the first process leads; the
    others write where it does, and are done after training. A block that fails leaves
    `name.partial` if there is a checkpoint in it to go on from, else nothing; `goes_on_from` names
    that file or folder, which a whole run no longer has. `size` is the
    bytes that it will write at least.

    Raises:
        UserError: if the folder cannot be made, there is nothing to resume, or it is of a run with
            other options or networks; if another launcher has started several processes.
    """
    options = yaml.safe_load(config) or {}
    _check_launcher()
    if os.environ.get("LOCAL_RANK", "0") != "0":
        yield RunFolder(Path(os.environ[_SHARED]), False, verb, options, {})
        return
    cards = cards_of(options)
    made_of = {whose: card["sha256"] for whose, card in cards.items()}
    parent = Path(out_dir) / verb
    if resume:
        path, lock = find_unfinished(parent, name, config, made_of)
    else:
        path, lock = _claim(parent, name)
    began = time.monotonic()
    run = RunFolder(path, True, verb, options, cards)
    os.environ[_SHARED] = str(path)  # inherited by the processes that Lightning starts
    try:
        _check_room(path, size)
        remember(path, config, made_of)
        with _noted(run.warnings):
            yield run
        record = {
            "verb": verb,
            "options": options,
            "cards": cards,
            **_provenance(),
            **run.facts,
            "warnings": run.warnings,
            "seconds": round(time.monotonic() - began, 3),
        }
        # JSON has no NaN: what is undefined is null.
        summary = {key: None if math.isnan(value) else value for key, value in run.summary.items()}
        write_whole(path / "run.json", json.dumps(record, indent=2) + "\n")
        write_whole(path / "summary.json", json.dumps(summary, indent=2) + "\n")
        run.path = _rename(path, parent, name)
        forget(run.path)
        _remove(run.path / goes_on_from)  # only now: until its name is final, the run may go on
    except BaseException as error:
        kept = path if (path / goes_on_from).exists() else None
        if kept is None:
            shutil.rmtree(path, ignore_errors=True)
        if isinstance(error, Interrupted):
            error.kept = kept
        if isinstance(error, OSError) and error.errno in _NO_WRITING:
            told = cannot_write(error.filename or path, error)
            told.kept = kept
            raise told from error
        raise
    finally:
        let_go(lock)


def _check_launcher() -> None:
    """Processes that this program has not started know of no folder that they share."""
    for variable in ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS"):
        count = os.environ.get(variable, "1")
        if count != "1" and _SHARED not in os.environ:
            raise UserError(
                f"torchrun or srun has started {count} processes of this run; start one, with "
                f"--devices {count}, and it starts the others"
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
        raise UserError(f"cannot write results to {parent}: {reason}; choose --out-dir") from None
    raise AssertionError("labels never end")


@contextmanager
def _noted(notes: list[str]) -> Iterator[None]:
    """Keep the text of every warning that is shown in the block, and show it as before."""
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
        yield


def _claim(parent: Path, name: str) -> tuple[Path, int]:
    while True:
        path = claim_folder(parent, name, PARTIAL)
        if (lock := hold(path)) >= 0:  # or else a run with --resume was faster: it has it
            return path, lock


def _check_room(path: Path, size: int) -> None:
    free = shutil.disk_usage(path).free
    if free < size + _SPARE:
        raise UserError(
            f"cannot write {path}: this run writes {(size + _SPARE) / 1e6:,.0f} MB or more, and "
            f"{free / 1e6:,.0f} MB are free there; make room or choose --out-dir"
        )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _rename(path: Path, parent: Path, name: str) -> Path:
    mine = path.name.removesuffix(PARTIAL)
    for label in [mine, *_few(_labels(name))]:
        try:
            return path.rename(parent / label)  # refuses a folder that is not empty
        except OSError:
            continue
    return path


def _labels(name: str) -> Iterator[str]:
    yield name
    for number in count(2):
        yield f"{name}-{number}"


def _few(labels: Iterator[str]) -> list[str]:
    return [next(labels) for _ in range(1000)]


def _provenance() -> Mapping[str, Any]:
    return {
        "command": shlex.join(sys.argv),
        "commit": _commit(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
        "machine": platform.platform(),
    }


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
