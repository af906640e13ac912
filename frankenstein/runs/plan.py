"""A plan: the options of one verb as a value, checked once, that can be run.

The command line, a YAML file, a notebook and a study make the same plan.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from frankenstein.catalog import VERBS
from frankenstein.errors import PlanError
from frankenstein.runs.schema import options_of
from frankenstein.runs.values import checked

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
        return VERBS[self.verb].runner(self, command)
