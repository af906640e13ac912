"""The fields of a plan: the only place where an option is written down.

    epochs: int = option(30, "passes over the training data", least=0)

Its type, default, bound and meaning are read from here by help, YAML, Python and the command line.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache, reduce
from operator import or_
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

REQUIRED = MISSING


@dataclass(frozen=True)
class Option:
    """One field of a plan."""

    name: str
    hint: Any  # its type; names to choose from are a Literal
    default: Any  # REQUIRED if there is none
    about: str
    off: str  # what switching it off means, for a switch that is on
    group: str  # what --help lists it under
    least: float | None  # a number below it is refused
    # What it can change: of "nothing" are where things lie and what is shown, of "rounding" where
    # they are computed; two runs that differ in a "seed" alone are two draws of one thing.
    changes: Literal["numbers", "seed", "rounding", "nothing"]

    @property
    def is_list(self) -> bool:
        """Whether it takes several values."""
        return list in {get_origin(kind) or kind for kind in alternatives(self.hint)}


def option(
    default: Any = REQUIRED,
    about: str = "",
    *,
    off: str = "",
    least: float | None = None,
    changes: Literal["numbers", "seed", "rounding", "nothing"] = "numbers",
) -> Any:
    """A field of a plan with its default and its meaning."""
    facts = {"about": about, "least": least, "changes": changes, "off": off}
    if isinstance(default, list):
        return field(default_factory=default.copy, metadata=facts)
    return field(default=default, metadata=facts)


def options_of(plan: type[Any]) -> Mapping[str, Option]:
    """The fields of a plan by name, in order."""
    return _options_of(plan)


@cache
def _options_of(plan: Any) -> Mapping[str, Option]:
    hints = get_type_hints(plan, include_extras=True)
    return MappingProxyType({one.name: _option(plan, one, hints[one.name]) for one in fields(plan)})


def idle(plan: type[Any]) -> set[str]:
    """The fields of a plan that change no number."""
    return {name for name, one in options_of(plan).items() if one.changes == "nothing"}


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The members of a union, or the one type."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def choices(hint: Any) -> list[str]:
    """All words that a type consists of, if it is made of words.

    >>> choices(int | Literal["auto"])
    ['auto']
    """
    if get_origin(hint) is Literal:
        return [str(word) for word in get_args(hint)]
    inside = get_args(hint) if get_origin(hint) is list else alternatives(hint)
    return [word for kind in inside if kind is not hint for word in choices(kind)]


def is_optional(hint: Any) -> bool:
    """Whether None is a value."""
    return NoneType in alternatives(hint)


def _option(plan: type, one: Field, hint: Any) -> Option:
    owner = next(cls for cls in reversed(plan.__mro__) if one.name in _annotations(cls))
    default = one.default_factory() if one.default_factory is not MISSING else one.default
    return Option(
        name=one.name,
        hint=_without_notes(hint),
        default=default,
        about=one.metadata.get("about", ""),
        off=one.metadata.get("off", ""),
        group=vars(owner).get("group", "options"),
        least=one.metadata.get("least"),
        changes=one.metadata.get("changes", "numbers"),
    )


def _annotations(cls: type) -> Mapping[str, Any]:
    return vars(cls).get("__annotations__", {})


def _without_notes(hint: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        names = [note for note in arguments[1:] if isinstance(note, tuple)]
        return Literal[names[0]] if names else _without_notes(arguments[0])
    if origin in (Union, UnionType):
        return reduce(or_, (_without_notes(kind) for kind in arguments))
    if origin is list:
        return list[_without_notes(arguments[0])]  # type: ignore[misc]
    return hint
