"""A run as a value: its folder is written under a temporary name, and renamed when whole."""

import errno
import json
import math
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_type_hints

from rich.console import Console

from frankenstein.catalog import MEASURES
from frankenstein.data import ImageData
from frankenstein.errors import FileError, Interrupted, UserError
from frankenstein.files import cannot_write, write_whole
from frankenstein.networks.network import Network, open_network, short_name
from frankenstein.networks.sight import foreign_lines, guessed_lines, is_usual, sight_lines
from frankenstein.records import check_fields, cut, read_json
from frankenstein.report.labelled import LabelledMatrix
from frankenstein.runs.fields import PARTIAL, RunFields
from frankenstein.runs.folder import (
    ORIGIN,
    RECORD,
    SHARED,
    UnderWay,
    check_launcher,
    check_room,
    check_there,
    claim_partial,
    find_unfinished,
    give_name,
    remove,
    taken_away,
    unlock,
    write_origin,
)
from frankenstein.runs.index import write_index
from frankenstein.runs.plan import Command, Plan, plan_of
from frankenstein.runs.provenance import noted, provenance
from frankenstein.source import names_code
from frankenstein.stitches import Stitch
from frankenstein.stitches.files import holds_stitch, load_stitch
from frankenstein.zoo.files import Card, check_card

CHECKPOINT = "last.ckpt"
_OFTEN = 0.5  # seconds between looks at a folder that another process writes
_NO_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG, errno.EIO}
# Of what a record may hold besides, that which is read again.
_MAY_HOLD: Mapping[str, Any] = {
    "commit": str | None,
    "dataset": str | None,
    "examples": int | None,
    "called": str | None,
    "accuracy/most_frequent": int | float | None,
    "finding": str | None,
}
_WRITTEN = {
    "verb",
    "options",
    "cards",
    "warnings",
    "finding",
}  # what `Run` holds in fields of its own


@dataclass
class Run:
    """A folder that exists under its name only once it is whole, and what it says of itself."""

    folder: Path  # `<name>.partial` until the run is whole
    plan: Plan
    networks: dict[str, dict[str, Any]]  # by role, as `Network.record`: what it was given
    record: dict[str, Any] = field(default_factory=dict)  # what else `run.json` holds
    numbers: dict[str, float] = field(default_factory=dict)  # `summary.json`; NaN is undefined
    finding: str = (
        ""  # what was found, in a sentence or two of markdown: first on page and terminal
    )
    shown: list[Any] = field(default_factory=list)  # what a terminal shows: text and rich tables
    warnings: list[str] = field(default_factory=list)  # raised by Python since it began, each once
    doubts: list[str] = field(default_factory=list)  # what to know before a number is believed
    command: Command = field(default_factory=Command)  # how pages say the plan
    leads: bool = True  # False in the further processes of a run on several devices
    unfinished: bool = False  # True once a signal has ended it, and its folder stays as it is

    @property
    def final(self) -> Path:
        """Where it will lie once it is whole."""
        return self.folder.with_name(self.folder.name.removesuffix(PARTIAL))

    @property
    def name(self) -> str:
        """What it is called."""
        return self.final.name

    @property
    def called(self) -> str:
        """What examples are: images, sentences, or rows of which nobody knows more."""
        unknown = "examples" if self.record.get("dataset", "") is None else "images"
        return self.record.get("called") or unknown

    def say_name(self, quiet: bool) -> None:
        """Print what the run is called, above its progress bars."""
        if self.leads and not quiet:
            Console().out(self.name, highlight=False)

    def tell_sight(self, networks: Sequence[Network], data: ImageData, dataset: str | None) -> None:
        """Keep what each network is shown; say it where files do not, and warn of other data."""
        self.record["eyes"] = sight_lines(networks, data)
        self.record["called"] = data.called
        self.shown += data.lines
        if not is_usual(networks, data):
            seen: dict[str, list[str]] = {}
            for role, line in self.record["eyes"].items():
                seen.setdefault(line, []).append(role)
            for line, roles in seen.items():
                self.shown.append(f"{', '.join(roles)} {'see' if roles[1:] else 'sees'} {line}")
        self.doubts += guessed_lines(networks, data, dataset)
        for line in foreign_lines(networks, dataset):
            self.shown.append(f"warning: {line}")
            self.warnings.append(line)

    @property
    def checkpoint(self) -> Path | None:
        """What training goes on from; None in a new run."""
        path = self.folder / CHECKPOINT
        return path if path.exists() else None

    @classmethod
    @contextmanager
    def write(
        cls,
        plan: RunFields,
        name: str,
        networks: Sequence[Network] = (),
        command: Command = Command(),  # noqa: B008 - it is frozen
        goes_on_from: str = CHECKPOINT,
        size: int = 0,
    ) -> Iterator["Run"]:
        """A new folder `out_dir/verb/name` that has that name only once the block is done.

        If the name is taken the run gets a number. On several devices the first process leads; the
        others write where it does, and are done after training. A block that fails leaves
        `name.partial` if there is a checkpoint in it to go on from, else nothing; `goes_on_from`
        names that file or folder, which a whole run no longer has, or is a pattern of what it
        keeps. `size` is the bytes that it will
        write at least.

        Raises:
            UserError: if the folder cannot be made, there is nothing to resume, or it is of a run
                with other options or networks; if it is moved or deleted meanwhile; if another
                launcher has started several processes.
        """
        records = {network.role: network.record() for network in networks}
        check_launcher()
        if os.environ.get("LOCAL_RANK", "0") != "0":
            path = Path(os.environ[SHARED])
            try:
                yield cls(path, plan, records, command=command, leads=False)
            except Interrupted as error:
                error.kept = path if any(path.glob(goes_on_from)) else None
                raise
            return
        origin = {role: record["sha256"] for role, record in records.items()}
        parent = Path(plan.out_dir) / plan.verb
        path, lock = _folder(plan, parent, name, origin, command.goes_on, goes_on_from)
        began = time.monotonic()
        run = cls(path, plan, records, command=command)
        os.environ[SHARED] = str(path)  # inherited by the processes that Lightning starts
        try:
            check_room(path, size)
            write_origin(path, plan, origin)
            with noted(run.warnings, [short_name(one.source) for one in networks]):
                yield run
            check_there(path, lock)
            run._finish(parent, name, time.monotonic() - began)
            remove(run.folder / goes_on_from)  # only now: until its name is final, it may go on
        except BaseException as error:
            if run.folder == path and (gone := taken_away(path, lock)):
                raise gone from error
            kept = path if any(path.glob(goes_on_from)) else None
            if kept is None:
                shutil.rmtree(path, ignore_errors=True)
            unwritten = isinstance(error, FileError) and isinstance(error.__cause__, OSError)
            unwritten |= isinstance(error, UserError) and command.goes_on == "itself"
            if unwritten or isinstance(error, Interrupted):
                error.kept = kept  # type: ignore[attr-defined]
            if isinstance(error, OSError) and error.errno in _NO_WRITING:
                where = error.filename if isinstance(error.filename, str | bytes) else path
                told = cannot_write(os.fsdecode(where), error)  # TensorBoard's are bytes
                told.kept = kept
                raise told from error
            raise
        finally:
            unlock(lock)
        if command.goes_on != "step":  # what lies in a study is in the index once that is whole
            write_index(Path(plan.out_dir))

    @classmethod
    def read(cls, folder: str | Path) -> "Run":
        """The finished run in a folder: its plan, numbers, networks' records and all else it says.

        Raises:
            UserError: if there is no whole run, or another version of the program wrote it.

        >>> Run.read("no/such/run")
        Traceback (most recent call last):
        ...
        frankenstein.errors.UserError: no/such/run is no folder of a run: there is no \
no/such/run/run.json; give results/<verb>/<run>
        """
        path = Path(folder)
        record, numbers = read_records(path)
        return cls(
            path,
            plan_of(record["verb"], record["options"], path / "run.json"),
            record["cards"],
            {key: value for key, value in record.items() if key not in _WRITTEN},
            {key: math.nan if value is None else value for key, value in numbers.items()},
            finding=record.get("finding") or "",
            warnings=record["warnings"],
        )

    def network(self, role: str, allow_code: bool = False) -> Network:
        """A network that the run was given, by its role: opened from its file, which must be it.

        Raises:
            UserError: if there is none of that role, or the file has changed since; if it was made
                by somebody's code, and `allow_code` does not say that this may be run.
        """
        if role not in self.networks:
            raise UserError(
                f"{self.folder} has no network {role!r}; known: {', '.join(self.networks)}"
            )
        record = self.networks[role]
        if (code := names_code(record["file"])) and not allow_code:
            raise UserError(
                f"the {role} of {self.folder} is made by code, {code}; read it, and then say "
                "allow_code=True"
            )
        told = {
            "dataset": self.record.get("dataset"),
            **{name: getattr(self.plan, name, None) for name in ("size", "normalize")},
        }
        network = open_network(record["file"], role, getattr(self.plan, "model", None), **told)
        if network.sha256 != record["sha256"]:
            raise UserError(
                f"{record['file']} has changed since {self.folder} was run: its sha256 was "
                f"{record['sha256'][:12]}..., and is {network.sha256[:12]}...; put it back"
            )
        return network

    def stitches(self) -> dict[str, Stitch]:
        """The stitches that the run saved, by name; none of a verb that makes none."""
        files = {path.stem: path for path in sorted(self.folder.glob("*.safetensors"))}
        return {name: load_stitch(path) for name, path in files.items() if holds_stitch(path)}

    def matrices(self) -> dict[str, LabelledMatrix]:
        """The matrices that the run saved, by measure; none of a verb that makes none.

        Those of two networks are of their layers. Those of more are of networks, the mean over
        layers, and where all have the same layers "linear_cka-mean" and "linear_cka-spread" over
        pairs of networks are of layers. A study and a report have none: their curves are CSV files
        beside the figures.
        """
        files = {path.stem: path for path in self.folder.glob("*.csv")}
        saved = [name for name in sorted(files) if name.partition("-")[0] in MEASURES]
        return {name: LabelledMatrix.from_csv(files[name]) for name in saved}

    def _finish(self, parent: Path, name: str, seconds: float) -> None:
        """Write the records, then give the folder its name."""
        record = {
            "verb": self.plan.verb,
            "options": self.plan.values(),
            "cards": self.networks,
            # A run of a study is made again by its own command, not by that of the study.
            **provenance(self.command.line if self.command.goes_on == "step" else ""),
            **self.record,
            **({"finding": self.finding} if self.finding else {}),
            "warnings": self.warnings,
            "seconds": round(seconds, 3),
        }
        # JSON has no NaN: what is undefined is null.
        numbers = {key: None if math.isnan(value) else value for key, value in self.numbers.items()}
        write_whole(self.folder / "summary.json", json.dumps(numbers, indent=2) + "\n")
        write_whole(self.folder / RECORD, json.dumps(record, indent=2) + "\n")
        self.folder = give_name(self.folder, parent, name)
        remove(self.folder / ORIGIN)


def _folder(
    plan: RunFields,
    parent: Path,
    name: str,
    origin: Mapping[str, str],
    goes_on: Literal["no", "itself", "step"],
    goes_on_from: str,
) -> tuple[Path, int]:
    """The folder that a run writes, and the lock on it: one to go on with, or a new one.

    Raises:
        AlreadyDone: if it is finished, and was asked to go on.
        UserError: if there is nothing to resume, or no folder can be made.
    """
    resume = getattr(plan, "resume", False)
    while goes_on == "step":  # of a study, which may have lost sight of who does the same
        with suppress(UnderWay):
            try:
                return find_unfinished(parent, name, plan, origin, goes_on_from)
            except UnderWay:
                raise
            except UserError:
                return claim_partial(parent, name, goes_on_from, beside=False)
        time.sleep(_OFTEN)
    if resume or goes_on == "itself":
        try:
            return find_unfinished(parent, name, plan, origin, goes_on_from, finished=resume)
        except UserError:
            if resume:
                raise
    return claim_partial(parent, name, goes_on_from)


def read_records(folder: Path) -> tuple[dict[str, Any], dict[str, float | None]]:
    """What `run.json` and `summary.json` of a finished run hold.

    Raises:
        UserError: if they are not there, damaged, or of another version of the program.
    """
    record, numbers = (_read_record(folder, name) for name in ("run.json", "summary.json"))
    record.setdefault("warnings", [])
    kinds = {"verb": str, "options": dict, "cards": dict, "warnings": list}
    if not all(isinstance(record.get(key), kind) for key, kind in kinds.items()):
        raise UserError(f"{folder} was written by another version of frankenstein; run it again")
    check_fields(record, _MAY_HOLD, str(folder / RECORD))
    for role, card in record["cards"].items():
        where = f"{folder / 'run.json'}, {role}"
        check_fields({"card": card}, {"card": dict}, where)
        check_fields(card, {"file": str, "sha256": str}, where)
        card |= {name: card.get(name) for name in get_type_hints(Card)}
        check_card(card, where)
    for text in record["warnings"]:
        check_fields({"warnings": text}, {"warnings": str}, str(folder / "run.json"))
    for name, value in numbers.items():
        if not (value is None or _is_number(value)):
            raise _damaged(folder, f"{cut(name)} is no number")
        if value is not None and name.startswith("accuracy/") and not 0 <= value <= 1:
            raise _damaged(folder, f"{cut(name)} is {value:g}, and no share")
    return record, numbers


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _damaged(folder: Path, what: str) -> UserError:
    return UserError(f"{folder / 'summary.json'} is damaged: {what}; run again")


def _read_record(folder: Path, name: str) -> dict[str, Any]:
    """One of the JSON files of a finished run.

    Raises:
        UserError: if it is not there, or is damaged.
    """
    file = folder / name
    if not file.exists():
        inside = folder.is_dir() and any(folder.glob(f"*/{name}"))
        hint = f"name the runs inside: {folder}/*" if inside else "give results/<verb>/<run>"
        raise UserError(f"{folder} is no folder of a run: there is no {file}; {hint}")
    try:
        return read_json(file)
    except FileError as error:
        raise UserError(f"{error}; run again") from None
