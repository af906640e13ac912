"""One typed function per verb is the schema: its signature and docstring define every option once.

    def train(*, model: Annotated[NetworkName, "-m"] = "tiny10", resume: bool = False) -> Path:

A parameter is a key in YAML and an option `--model`; keyword-only ones are options, the others
positionals. Notes in `Annotated`: a string with dashes is one more flag, another string is the
heading under which `--help` lists it, a tuple holds the names to choose from.
"""

import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from docstring_parser.google import parse as parse_docstring

REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Option:
    """One parameter of a verb."""

    name: str  # of the parameter, and the key in YAML
    flags: tuple[str, ...]  # as typed, the long one last; none for a positional
    hint: Any  # its type, without notes; names to choose from are a Literal
    default: Any  # REQUIRED if there is none
    heading: str  # in --help
    about: str

    @property
    def shown(self) -> tuple[str, ...]:
        """The flags that `--help` lists: those that change something."""
        on = self.hint is bool and self.default is True
        return (f"--no-{self.flags[-1][2:]}",) if on and self.flags else self.flags

    @property
    def is_list(self) -> bool:
        """Whether it takes several words."""
        return list in {get_origin(kind) or kind for kind in alternatives(self.hint)}


CONFIG = Option("config", ("--config",), str, None, "options", "YAML file of values; options win")


@dataclass(frozen=True)
class Schema:
    """What the function of a verb says of itself."""

    options: Mapping[str, Option]
    about: str
    examples: str


def read_schema(verb: Callable[..., Any]) -> Schema:
    """The schema of a verb.

    Raises:
        TypeError: if the docstring's Args and the parameters are not the same.
    """
    text, _, examples = (inspect.getdoc(verb) or "").partition("\nExamples:\n")
    docstring = parse_docstring(text)
    about = {parameter.arg_name: parameter.description or "" for parameter in docstring.params}
    parameters = inspect.signature(verb).parameters
    if set(about) != set(parameters):
        wrong = ", ".join(sorted(set(about) ^ set(parameters)))
        raise TypeError(f"{verb.__name__}: Args and parameters must be the same, not so: {wrong}")
    hints = get_type_hints(verb, include_extras=True)
    return Schema(
        options={
            name: _option(parameter, hints[name], " ".join(about[name].split()))
            for name, parameter in parameters.items()
        },
        about=docstring.description or "",
        examples=textwrap.dedent(examples).strip("\n"),
    )


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


def _option(parameter: inspect.Parameter, hint: Any, about: str) -> Option:
    notes = [note for note in _notes(hint) if isinstance(note, str)]
    flags = {note: None for note in notes if note.startswith("-")}
    flags[f"--{parameter.name.replace('_', '-')}"] = None
    positional = parameter.kind is not inspect.Parameter.KEYWORD_ONLY
    return Option(
        name=parameter.name,
        flags=() if positional else tuple(sorted(flags, key=lambda flag: flag.startswith("--"))),
        hint=_without_notes(hint),
        default=parameter.default,
        heading=next((note for note in notes if not note.startswith("-")), "options"),
        about=about,
    )


def _notes(hint: Any) -> tuple[Any, ...]:
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


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
