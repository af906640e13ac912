"""A word of the command line, or a value of YAML or Python, as the type that a field asks for."""

import math
from pathlib import PurePath
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from frankenstein.catalog import filled
from frankenstein.errors import PlanError, did_you_mean
from frankenstein.runs.schema import Option, alternatives, choices

_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    NoneType: "null",
}


def read_words(option: Option, words: Any, name: str) -> Any:
    """What text stands for: `"3"` is 3 where a whole number is wanted. Other values stay.

    Raises:
        PlanError: if it is not of the type; `name` is what the user calls the option.
    """
    value = (
        [_read(option.hint, word) for word in words]
        if isinstance(words, list)
        else (_read(option.hint, words))
    )
    return checked(option, value, name)


def checked(option: Option, value: Any, name: str | None = None) -> Any:
    """The value, if it is of the field's type and not below its bound; a path becomes text.

    Raises:
        PlanError: if it is not.
    """
    name = f"‹{option.name}›" if name is None else name
    value = _plain(value)
    kinds = alternatives(option.hint)
    if float in kinds and int not in kinds and type(value) is int:
        value = float(value)
    if not _fits(option.hint, value):
        names = choices(option.hint)
        words = [str(word) for word in (value if isinstance(value, list) else [value])]
        near = next((did_you_mean(word, names) for word in words if word not in names), "")
        raise PlanError(f"{name} takes {wanted(option.hint)}, got {_shown(value)}{near}")
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
    kinds = get_args(hint) if get_origin(hint) is list else alternatives(hint)
    if NoneType in kinds and word == "null" and str not in kinds:
        return None
    for kind in kinds:
        for number in (int, float):
            if kind is number:
                try:
                    value = number(word)
                except ValueError:
                    continue
                if math.isfinite(value):
                    return value
    return word


def _fits(hint: Any, value: Any) -> bool:
    if get_origin(hint) is list:
        return isinstance(value, list) and all(_fits(get_args(hint)[0], one) for one in value)
    if get_origin(hint) is Literal:
        # `resnet20_w<k>` stands for names, and is none itself.
        return isinstance(value, str) and any(
            filled(word, value) is not None if "<" in word else word == value
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
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def _listed(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    return "null" if value is None else repr(value)
