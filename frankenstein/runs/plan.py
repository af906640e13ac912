"""A plan: the options of one verb as a value, checked once, that can be run.

The command line, a YAML file, a notebook and a study make the same plan.
"""

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import yaml

from frankenstein.catalog import VERBS
from frankenstein.errors import FileError, PlanError, UserError, did_you_mean
from frankenstein.printing import printing
from frankenstein.records import cut, read_yaml, shown
from frankenstein.runs.schema import REQUIRED, checked, options_of, read_words
from frankenstein.shipped import shipped
from frankenstein.source import names_code

if TYPE_CHECKING:
    from frankenstein.runs.run import Run


def _no_words(line: str, study: str) -> "Plan":
    raise PlanError(
        f"in Python a step is {{verb: {{field: value}}}}, got the command line {shown(line)}"
    )


@dataclass(frozen=True)
class Command:
    """How the one who runs a plan writes it, and others: on pages, and as steps of a study.

    As it stands, in Python.
    """

    line: str = ""  # all of it, or nothing
    replay: str = "read_plan({kind}, {config!r}).run()"
    resume: str = "read_plan({kind}, {config!r}, resume=True).run()"
    language: str = "python"
    of: "Callable[[Plan], Command] | None" = None  # how another plan is written
    read: "Callable[[str, str], Plan]" = _no_words  # a step and the folder of its study -> its plan
    show: "Callable[[Run], None] | None" = None  # what is shown of a step that is done
    # Whether a run goes on unasked: "itself" if it is unfinished, "step" also if it is finished.
    goes_on: Literal["no", "itself", "step"] = "no"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options as a value. A subclass states its fields by `option`, and refuses contradictions.

    Raises:
        PlanError: if a field is of another type, below its bound, or contradicts another.
    """

    def __post_init__(self) -> None:
        for name, one in options_of(type(self)).items():
            object.__setattr__(self, name, checked(one, getattr(self, name)))
        self.check()

    def check(self) -> None:
        """Refuse fields that contradict each other."""

    def values(self) -> dict[str, Any]:
        """Every field by name, as plain values."""
        return {name: getattr(self, name) for name in options_of(type(self))}


@dataclass(frozen=True, kw_only=True)
class Plan(Options):
    """The options of a verb, which can be run."""

    verb: ClassVar[str]

    # The file that it was read from, which may have been written by somebody else; None for the
    # command line and for Python.
    read_from: str | None = field(default=None, compare=False, repr=False)

    def run(self, command: Command = Command()) -> "Run":
        """Do it: write a run's folder, its report included, and return the run.

        Raises:
            UserError: if something that only the data, the networks or the machine know is wrong;
                if it was read from a run's record and names code, and ‹allow_code› is not said.
        """
        if self.read_from is not None:
            check_code(
                type(self), self.values(), self.read_from, getattr(self, "allow_code", False)
            )
        with printing():
            return VERBS[self.verb].runner(self, command)


P = TypeVar("P", bound=Plan)


def dump(plan: Plan) -> str:
    """The complete YAML of a plan, which replays it: every field.

    A resumed run is the same run. That code may be run is no file's to say.
    """
    values = plan.values()
    for name in ("resume", "allow_code"):
        if name in values:
            values[name] = False
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=sys.maxsize)


def read_plan(kind: type[P], path: str | Path, **changed: Any) -> P:
    """The plan of a kind in a YAML file, with some of its fields changed.

    Raises:
        PlanError: as `read_values`, or if it makes no plan.
    """
    values = read_values(kind, path, bool(changed.get("allow_code")))
    values |= changed
    missing = [name for name, one in options_of(kind).items() if one.default is REQUIRED]
    if missing := [name for name in missing if name not in values]:
        raise PlanError(f"{path} does not say ‹{missing[0]}›; add a line `{missing[0]}: ...`")
    return kind(**values)


def plan_of(verb: str, values: dict[str, Any], path: str | Path) -> Plan:
    """The plan of a verb from plain values, as a run's record, the file at `path`, holds them.

    Raises:
        UserError: if there is no such verb, or this version knows no such plan.
    """
    if verb not in VERBS:
        raise UserError(f"unknown verb {verb!r}; known: {', '.join(VERBS)}")
    kind = VERBS[verb].target
    if unknown := [name for name in values if name not in options_of(kind)]:
        raise UserError(f"another version of frankenstein wrote it: {verb} has no {unknown[0]}")
    if missing := [
        name
        for name, one in options_of(kind).items()
        if one.default is REQUIRED and name not in values
    ]:
        raise UserError(f"another version of frankenstein wrote it: {missing[0]} is missing")
    values = values | ({"allow_code": False} if "allow_code" in values else {})
    return kind(**values, read_from=str(path))


def check_code(
    kind: type[Plan], values: Mapping[str, Any], path: str | Path, allowed: bool
) -> None:
    """Refuse values out of a file that name code, unless the user has said that it may be run.

    Raises:
        PlanError: with the code and the file that names it.
    """
    if allowed:
        return
    for key, one in options_of(kind).items():
        for word in _words(values.get(key)) if one.source else ():
            if word.strip("-").replace("-", "_").startswith("allow_code"):
                raise PlanError(
                    f"{key} in {path} allows code to be run; only you can, by ‹allow_code›"
                )
            if code := names_code(word):
                raise PlanError(
                    f"{key} in {path} names code, {code}, which would be run; read it, and then "
                    "say ‹allow_code›"
                )
    if values.get("allow_code"):
        raise PlanError(f"allow_code in {path} is yours to say and no file's: leave it out there")


def _words(value: Any) -> Iterator[str]:
    """All words in a value: of a text itself and its parts, of a step those of all its fields."""
    if isinstance(value, str):
        yield value
        with suppress(ValueError):  # no command line
            yield from shlex.split(value)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _words(str(key) if one else "")
            yield from _words(one)
    elif isinstance(value, list):
        for one in value:
            yield from _words(one)


def read_values(kind: type[Plan], path: str | Path, allow_code: bool = False) -> dict[str, Any]:
    """The values in a YAML file, converted and checked; those it leaves out are left out.

    Raises:
        PlanError: if there is no such file, it says something that the plan does not know, or it
            names code, and `allow_code` does not say that this may be run.
    """
    try:
        content = read_yaml(shipped(path), streams=True)  # as of <(echo ...)
    except FileError as error:
        raise PlanError(f"‹config› {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise PlanError(
            f"‹config› {path} must be lines of `name: value`, got a {type(content).__name__}"
        )
    options = options_of(kind)
    for key in content:
        if key not in options:
            raise PlanError(f"unknown key {cut(key)} in {path}{did_you_mean(str(key), options)}")
    values = {
        key: read_words(options[key], value, f"{key} in {path}") for key, value in content.items()
    }
    check_code(kind, values, path, allow_code)
    return values


class _Dumper(yaml.SafeDumper):
    """PyYAML would write a value that stands twice as a reference to the first."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
