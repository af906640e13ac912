"""A word of the command line or a value of YAML as the type that a parameter asks for."""

from argparse import ArgumentError
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from jsonargparse import ArgumentParser

from frankenstein.catalog import filled
from frankenstein.cli.errors import UsageError
from frankenstein.errors import did_you_mean
from frankenstein.runs.schema import Option, alternatives, choices, is_optional

_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    Path: "a path",
    NoneType: "null",
}


def typed(option: Option, value: Any, said: str) -> Any:
    """The value, converted and checked.

    Raises:
        UsageError: if it is not of the type; `said` names the option as the user wrote it.
    """
    try:
        result = _converted(option.hint, value)
    except (ArgumentError, TypeError):
        pass
    else:
        # jsonargparse takes None for "not set" and lets it pass.
        if result is not None or is_optional(option.hint):
            return result
    names = choices(option.hint)
    words = [str(word) for word in (value if isinstance(value, list) else [value])]
    near = next((did_you_mean(word, names) for word in words if word not in names), "")
    raise UsageError(f"{said} takes {wanted(option.hint)}, got {_shown(value)}{near}")


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
    return (
        wanted(kind) if kind is not hint else _WORDS.get(kind, getattr(kind, "__name__", str(kind)))
    )


def _converted(hint: Any, value: Any) -> Any:
    # Text stays as it is: jsonargparse would read "null" and "# x" as no text at all.
    if isinstance(value, str) and set(alternatives(hint)) <= {str, NoneType}:
        return value
    if isinstance(value, str) and (patterns := [word for word in choices(hint) if "<" in word]):
        if value in patterns:  # `resnet20_w<k>` stands for names and is none itself
            raise TypeError
        if any(filled(pattern, value) is not None for pattern in patterns):
            return value
    if hint is bool:
        if not isinstance(value, bool):
            raise TypeError
        return value
    parser = ArgumentParser(exit_on_error=False, add_help=False, default_env=False)
    parser.add_argument("--value", type=hint)
    return parser.parse_object({"value": value}).value


def _listed(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    return "null" if value is None else repr(value)
