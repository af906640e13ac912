"""A command line as the fields of a verb's plan.

The words are told apart here rather than by argparse, which would take `-l` for `-lr` and answer a
slip with a page of usage.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from frankenstein.cli.errors import UsageError
from frankenstein.cli.words import CONFIG, Spoken
from frankenstein.errors import did_you_mean
from frankenstein.records import cut
from frankenstein.runs.plan import read_values
from frankenstein.runs.schema import REQUIRED, Option, read_words, wanted


def parse(said: Spoken, words: Sequence[str]) -> dict[str, Any]:
    """A value for every field: from the command line, else from `--config`, else the default.

    Raises:
        UsageError: if a word is not understood or a positional is missing.
        PlanError: if a value is of another type than its field.
    """
    given = {one.name: read_words(one, raw, typed) for one, typed, raw in _told(said, words)}
    config = given.pop(CONFIG.name, None)
    defaults = {name: one.default for name, one in said.options.items()}
    allowed = bool(given.get("allow_code"))
    values = defaults | (read_values(said.plan, config, allowed) if config else {}) | given
    if missing := [name for name, value in values.items() if value is REQUIRED]:
        about = ", ".join(f"{name.upper()} ({_about(said, name)})" for name in missing)
        raise UsageError(f"missing {about}")
    return values


def _about(said: Spoken, name: str) -> str:
    return said.words.abouts.get(name, said.options[name].about)


def _told(said: Spoken, words: Sequence[str]) -> Iterator[tuple[Option, str, Any]]:
    """Each option or positional, as it was typed, with its raw value."""
    options = [*said.options.values(), CONFIG]
    flags = {flag: one for one in options for flag in said.flags(one.name)}
    # So that a switch that is on in YAML, or by default, can be turned off.
    negations = {
        f"--no-{flag[2:]}": one
        for flag, one in flags.items()
        if one.hint is bool and flag.startswith("--")
    }
    shown = [flag for one in options for flag in said.shown(one.name)]
    positionals = iter(said.words.positionals)
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not _is_flag(word):
            name = next(positionals, None)
            if name is None:
                raise UsageError(f"unexpected {cut(repr(word))}: {_positionals(said)}")
            rest.insert(0, word)
            one = said.options[name]
            yield one, name.upper(), _taken(one, name.upper(), rest)
            continue
        flag, equals, value = word.partition("=")
        if flag not in (known := negations | flags):
            raise UsageError(f"unknown option {cut(flag)}{did_you_mean(flag, shown)}")
        one = known[flag]
        if one.hint is bool:
            if equals:
                raise UsageError(f"{flag} takes no value, got {cut(repr(value))}")
            yield one, flag, flag in flags
        elif equals:
            yield one, flag, [value] if one.is_list else value
        else:
            yield one, flag, _taken(one, flag, rest)


def _taken(one: Option, flag: str, rest: list[str]) -> str | list[str]:
    """Takes the words that belong to an option: one, or for a list all up to the next option."""
    count = next((place for place, word in enumerate(rest) if _is_flag(word)), len(rest))
    if not count:
        raise UsageError(f"{flag} needs a value: {wanted(one.hint)}")
    if not one.is_list:
        return rest.pop(0)
    taken, rest[:] = rest[:count], rest[count:]
    return taken


def _positionals(said: Spoken) -> str:
    names = [name.upper() for name in said.words.positionals]
    return (
        f"only {' '.join(names)} come without an option" if names else "every value has an option"
    )


def _is_flag(word: str) -> bool:
    """Whether a word is an option; -0.5 and a lone - are values."""
    return word.startswith("-") and word != "-" and not re.match(r"-\.?\d", word)
