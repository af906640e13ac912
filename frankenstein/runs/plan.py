"""A plan: the options of one verb as a value, checked once, that can be run.

The command line, a YAML file, a notebook and a study make the same plan.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import yaml

from frankenstein.catalog import VERBS
from frankenstein.errors import FileError, PlanError, UserError, did_you_mean
from frankenstein.printing import printing
from frankenstein.records import read_yaml
from frankenstein.runs.schema import REQUIRED, checked, options_of, read_words

if TYPE_CHECKING:
    from frankenstein.runs.run import Run


def _no_words(line: str, study: str) -> "Plan":
    raise PlanError(
        f"in Python a step is {{verb: {{field: value}}}}, got the command line {line!r}"
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

    def run(self, command: Command = Command()) -> "Run":
        """Do it: write a run's folder, its report included, and return the run.

        Raises:
            UserError: if something that only the data, the networks or the machine know is wrong.
        """
        with printing():
            return VERBS[self.verb].runner(self, command)


P = TypeVar("P", bound=Plan)


def dump(plan: Plan) -> str:
    """The complete YAML of a plan, which replays it: every field; a resumed run is the same run."""
    values = plan.values()
    if "resume" in values:
        values["resume"] = False
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False)


def read_plan(kind: type[P], path: str | Path, **changed: Any) -> P:
    """The plan of a kind in a YAML file, with some of its fields changed.

    Raises:
        PlanError: as `read_values`, or if it makes no plan.
    """
    return kind(**{**read_values(kind, path), **changed})


def plan_of(verb: str, values: dict[str, Any]) -> Plan:
    """The plan of a verb from plain values, as a run's record holds them.

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
    return kind(**values)


def read_values(kind: type[Plan], path: str | Path) -> dict[str, Any]:
    """The values in a YAML file, converted and checked; those it leaves out are left out.

    Raises:
        PlanError: if there is no such file, or it says something that the plan does not know.
    """
    try:
        content = read_yaml(Path(path))
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
            raise PlanError(f"unknown key {key} in {path}{did_you_mean(str(key), options)}")
    return {
        key: read_words(options[key], value, f"{key} in {path}") for key, value in content.items()
    }


class _Dumper(yaml.SafeDumper):
    """PyYAML would write a value that stands twice as a reference to the first."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
