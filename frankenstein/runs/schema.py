"""The fields of a plan: the only place where an option is written down.

    epochs: int = option(30, "passes over the training data", least=0)

Its type, default, bound and meaning are read from here by help, YAML, Python and the command line.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache, reduce
from numbers import Number
from operator import or_
from pathlib import Path, PurePath
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from frankenstein.catalog import filled
from frankenstein.errors import PlanError, did_you_mean
from frankenstein.records import cut, shown

REQUIRED = MISSING


_MOST = 2**63  # what torch takes for a seed

_NO_TEXT = re.compile("[\x00\ud800-\udfff]")  # the last are Python's for bytes that are no UTF-8
_NO_LINE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")

_WORDS = {
    Any: "values",
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    NoneType: "null",
}


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
    # Whether its words may name code of the user's: a network by its source, or steps that do.
    source: bool = False

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
    source: bool = False,
) -> Any:
    """A field of a plan with its default and its meaning."""
    facts = {"about": about, "least": least, "changes": changes, "off": off}
    facts["source"] = source
    if isinstance(default, list):
        return field(default_factory=default.copy, metadata=facts)
    return field(default=default, metadata=facts)


def options_of(plan: type[Any]) -> Mapping[str, Option]:
    """The fields of a plan by name, in order."""
    return _options_of(cast(Any, plan))  # mypy takes no class for hashable


@cache
def _options_of(plan: type[Any]) -> Mapping[str, Option]:
    hints = get_type_hints(plan, include_extras=True)
    told = [one for one in fields(plan) if "about" in one.metadata]  # what a user may say
    return MappingProxyType({one.name: _option(plan, one, hints[one.name]) for one in told})


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


def _option(plan: type, one: Field, hint: Any) -> Option:
    owner = next(
        c for c in reversed(plan.__mro__) if one.name in vars(c).get("__annotations__", ())
    )
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
        source=one.metadata.get("source", False),
    )


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


def read_words(option: Option, words: Any, name: str) -> Any:
    """What text stands for: `"3"` is 3 where a whole number is wanted. Other values stay.

    Raises:
        PlanError: if it is not of the type; `name` is what the user calls the option.
    """
    several = isinstance(words, list)
    read = [_read(option.hint, word) for word in (words if several else [words])]
    return checked(option, read if several else read[0], name)


def checked(option: Option, value: Any, name: str | None = None) -> Any:
    """The value, if it is of the field's type and not below its bound; a path becomes text.

    Raises:
        PlanError: if it is not.
    """
    name = f"‹{option.name}›" if name is None else name
    value = _plain(value)
    kinds = alternatives(option.hint)
    if float in kinds and int not in kinds and type(value) is int and -_MOST <= value < _MOST:
        value = float(value)
    if not _fits(option.hint, value):
        names = choices(option.hint)
        words = [str(word) for word in (value if isinstance(value, list) else [value])]
        near = next((did_you_mean(word, names) for word in words if word not in names), "")
        listed = isinstance(value, list)
        kind = "a list of " if option.is_list and not listed else ""
        shown = f"[{_shown(value)}]" if listed and not option.is_list else _shown(value)
        raise PlanError(f"{name} takes {kind}{wanted(option.hint)}, got {shown}{near}")
    if isinstance(value, float) and not math.isfinite(value):
        raise PlanError(f"{name} must be a finite number, got {value}")
    no_text = _NO_TEXT if option.hint == list[Any] else _NO_LINE  # a step may have several lines
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str) and no_text.search(text):
            raise PlanError(f"{name} is text in UTF-8, of one line, got {_shown(text)}; rename it")
    if type(value) is int and not -_MOST <= value < _MOST:
        raise PlanError(f"{name} must be a number of 64 bits, got {_shown(value)}")
    if option.least is not None and value is not None and not value >= option.least:
        raise PlanError(f"{name} must be at least {option.least}, got {value}")
    return value


def wanted(hint: Any) -> str:
    """A type in words.

    >>> wanted(int | None), wanted(Literal["sgd", "adam"]), wanted(list[str])
    ('a whole number', 'sgd or adam', 'one or more of text')
    """
    if get_origin(hint) is Literal:
        return _listed([str(word) for word in get_args(hint)])
    if get_origin(hint) is list:
        return f"one or more of {wanted(get_args(hint)[0])}"
    kinds = [kind for kind in alternatives(hint) if kind is not NoneType]  # said by leaving it out
    if len(kinds) > 1:
        return _listed([wanted(kind) for kind in kinds])
    kind = kinds[0] if kinds else hint
    return wanted(kind) if kind is not hint else _WORDS.get(kind, str(kind))


def _read(hint: Any, word: Any) -> Any:
    """The first of a type's alternatives that a word can be read as; else the word."""
    if not isinstance(word, str):
        return word
    kinds = [
        inner
        for kind in alternatives(hint)
        for inner in (get_args(kind) if get_origin(kind) is list else [kind])
    ]
    if NoneType in kinds and word == "null" and str not in kinds:
        return None
    for kind in kinds:
        for number in (int, float):
            if kind is number:
                try:
                    value = number(word)
                except ValueError:
                    continue
                if type(value) is int or math.isfinite(value):
                    return value
    return word


def _fits(hint: Any, value: Any) -> bool:
    if get_origin(hint) is list:
        return isinstance(value, list) and all(_fits(get_args(hint)[0], one) for one in value)
    if get_origin(hint) is Literal:
        # `resnet20_w<k>` stands for names, and is none itself.
        return isinstance(value, str) and any(
            (filled(word, value) is not None if "<" in word else word == value)
            or (word == "<FOLDER>" and Path(value).is_dir())
            for word in get_args(hint)
        )
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    kinds = alternatives(hint)
    if len(kinds) > 1:
        return any(_fits(kind, value) for kind in kinds)
    return hint is Any or isinstance(value, hint)


def _plain(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Number) and hasattr(value, "item"):
        return value.item()  # of NumPy
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def _listed(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return cut(", ".join(map(_shown, value)), 300) or "none"
    return shown(value)
