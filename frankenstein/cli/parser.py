"""A command line as the values of a verb's parameters.

The words are told apart here rather than by argparse, which would take `-l` for `-lr` and answer a
slip with a page of usage; jsonargparse converts and checks each value against its type.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from frankenstein.cli.errors import UsageError
from frankenstein.errors import did_you_mean
from frankenstein.runs.config import read_config
from frankenstein.runs.schema import CONFIG, REQUIRED, Option, Schema
from frankenstein.runs.values import typed, wanted


def parse(schema: Schema, words: Sequence[str]) -> dict[str, Any]:
    """A value for every parameter: from the command line, else from `--config`, else the default.

    Raises:
        UsageError: if a word is not understood or a positional is missing.
    """
    given = {option.name: typed(option, raw, said) for option, said, raw in _told(schema, words)}
    config = given.pop(CONFIG.name, None)
    defaults = {name: option.default for name, option in schema.options.items()}
    values = defaults | (read_config(schema, config) if config else {}) | given
    if missing := [name for name, value in values.items() if value is REQUIRED]:
        about = ", ".join(f"{name.upper()} ({schema.options[name].about})" for name in missing)
        raise UsageError(f"missing {about}")
    name = values.get("run_name")
    if name is not None and (not name.strip(".") or set(name) & set("/\\")):
        raise UsageError(f"--run-name is that of one folder in --out-dir, got {name!r}")
    return values


def _told(schema: Schema, words: Sequence[str]) -> Iterator[tuple[Option, str, Any]]:
    """Each option or positional, as it was said, with its raw value."""
    options = [*schema.options.values(), CONFIG]
    flags = {flag: option for option in options for flag in option.flags}
    # So that a switch that is on in YAML, or by default, can be turned off.
    negations = {
        f"--no-{flag[2:]}": option
        for flag, option in flags.items()
        if option.hint is bool and flag.startswith("--")
    }
    shown = [flag for option in options for flag in option.shown]
    positionals = iter([option for option in options if not option.flags])
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not _is_flag(word):
            option = next(positionals, None)
            if option is None:
                raise UsageError(f"unexpected {word!r}: {_positionals(schema)}")
            rest.insert(0, word)
            yield option, option.name.upper(), _taken(option, option.name.upper(), rest)
            continue
        flag, equals, value = word.partition("=")
        if flag not in (known := negations | flags):
            raise UsageError(f"unknown option {flag}{did_you_mean(flag, shown)}")
        option = known[flag]
        if option.hint is bool:
            if equals:
                raise UsageError(f"{flag} takes no value, got {value!r}")
            yield option, flag, flag in flags
        elif equals:
            yield option, flag, [value] if option.is_list else value
        else:
            yield option, flag, _taken(option, flag, rest)


def _taken(option: Option, flag: str, rest: list[str]) -> str | list[str]:
    """Takes the words that belong to an option: one, or for a list all up to the next option."""
    count = next((place for place, word in enumerate(rest) if _is_flag(word)), len(rest))
    if not count:
        raise UsageError(f"{flag} needs a value: {wanted(option.hint)}")
    if not option.is_list:
        return rest.pop(0)
    taken, rest[:] = rest[:count], rest[count:]
    return taken


def _positionals(schema: Schema) -> str:
    names = [option.name.upper() for option in schema.options.values() if not option.flags]
    return (
        f"only {' '.join(names)} come without an option" if names else "every value has an option"
    )


def _is_flag(word: str) -> bool:
    """Whether a word is an option; -0.5 and a lone - are values."""
    return word.startswith("-") and word != "-" and not re.match(r"-\.?\d", word)
